"""Answer FHIR questions about the directory, and publish mailboxes in it.

Who asks decides what is seen: a mailbox of the liste rouge exists only for the accounts that manage
it and for those that the settings let publish for its domain. Who may change a mailbox is the same,
as long as the domain is ours. What is published is in every reading as soon as it is committed.

Errors
    `FhirError` of `directory.fhir.errors`; `RateLimitedError` beyond the calls of a second.
Sources
    Annuaire Santé, FHIR API: 17 calls per second and key; draft guide of writing (PATCH).
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from directory.address import MailAddress
from directory.fhir.criteria import FhirSearch
from directory.fhir.errors import VersionConflictError
from directory.fhir.patch_reading import Operation
from directory.fhir.records import Record
from directory.fhir.resources import build_resource, version_of
from directory.index_sql.fhir_conditions import STRANGER, Reader
from directory.index_sql.fhir_patch import Patched, Publisher, patch
from directory.index_sql.fhir_search import FhirPage, Position, find_one, read, search
from mss.clock import Clock
from mss.errors import RateLimitedError
from mss.model.audit import AuditEvent, AuditName
from mss.model.principal import AccountPrincipal, Right
from mss.settings import DirectorySettings
from mss.store import audit
from mss.store.engine import Connection, Database

MAX_REMEMBERED: Final = 10_000


@dataclass(slots=True, kw_only=True)
class CallRate:
    """Counts the calls of each key: so many a second, and as many at once after a pause.

    Kept in memory, by each process for itself.

    Attributes:
        per_second: How many; 0 for no limit.
        now: A clock that never goes back, in seconds.
    """

    per_second: float
    now: Callable[[], float] = time.monotonic
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)

    def take(self, key: str) -> None:
        """Count one call.

        Raises:
            RateLimitedError: It is one too many now.
        """
        if not self.per_second:
            return
        now = self.now()
        left, at = self._left.get(key, (self.per_second, now))
        left = min(self.per_second, left + (now - at) * self.per_second)
        allowed = left >= 1
        self._left[key] = (left - 1 if allowed else left, now)
        self._left.move_to_end(key)
        while len(self._left) > MAX_REMEMBERED:
            self._left.popitem(last=False)
        if not allowed:
            raise RateLimitedError(what="calls", limit=int(self.per_second))


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirDesk:
    """The FHIR desk of the directory.

    Attributes:
        domains: The domains whose mailboxes this operator hosts.
        secret: What links to further pages are signed with; the same in every process.
    """

    database: Database
    clock: Clock
    settings: DirectorySettings
    domains: frozenset[str]
    chain: str
    secret: bytes
    rate: CallRate

    def reader_of(self, principal: AccountPrincipal | None) -> Reader:
        """Tell which mailboxes of the liste rouge an account sees: those that it answers for."""
        if principal is None:
            return STRANGER
        managed = {key for key, rights in principal.rights.items() if Right.MANAGE in rights}
        return Reader(
            managed=frozenset(key for key in managed if key.rpartition("@")[2] in self.domains),
            domains=frozenset(self.settings.publishers.get(principal.name, ())) & self.domains,
        )

    async def search(
        self,
        query: FhirSearch,
        *,
        principal: AccountPrincipal | None,
        position: Position | None = None,
    ) -> FhirPage:
        """Answer one page of a search.

        Raises:
            SnapshotGoneError: The state of the directory that the position reads is gone.
        """
        reader = self.reader_of(principal)
        return await self.database.survey(
            lambda c: search(c, query, position=position, reader=reader)
        )

    async def read(
        self, resource: str, number: str, *, principal: AccountPrincipal | None
    ) -> Record:
        """Read one resource.

        Raises:
            ResourceAbsentError: There is none.
        """
        reader = self.reader_of(principal)
        return await self.database.survey(lambda c: read(c, resource, number, reader=reader))

    async def patch(
        self,
        resource: str,
        target: str | FhirSearch,
        operations: Sequence[Operation],
        *,
        principal: AccountPrincipal,
        version: str | None = None,
    ) -> Record:
        """Change the mailboxes of a resource: all that is asked, or nothing.

        Args:
            resource: Its type.
            target: Its identifier, or a search that names exactly one.
            operations: As read.
            principal: Who asks.
            version: The only version that may be changed; `None` for any.

        Raises:
            FhirError: Nothing was changed; the error tells why.
        """
        reader = self.reader_of(principal)
        publisher = Publisher(
            may_publish=lambda address: self._may_publish(reader, address), reader=reader
        )
        now = self.clock.now()

        def change(connection: Connection) -> Patched:
            if isinstance(target, FhirSearch):
                number = find_one(connection, target, reader=reader)
            else:
                number = int(read(connection, resource, target, reader=reader).id)
            if version is not None:
                present = read(connection, resource, str(number), reader=reader)
                if version_of(build_resource(present)) != version:
                    raise VersionConflictError
            done = patch(connection, resource, number, operations, publisher=publisher, at=now)
            event = _event(principal, resource, done)
            audit.append(connection, event, chain=self.chain, at=now)
            return done

        return (await self.database.write(change)).record

    def _may_publish(self, reader: Reader, address: MailAddress) -> bool:
        domain = str(address.domain)
        if domain not in self.domains:
            return False
        return domain in reader.domains or address.key in reader.managed


def _event(principal: AccountPrincipal, resource: str, done: Patched) -> AuditEvent:
    """Say who published how much for which domains; no address."""
    declared, withdrawn = done.result.declared, done.result.withdrawn
    domains = {MailAddress.parse(box.address).domain for box in declared}
    domains |= {address.domain for address in withdrawn}
    return AuditEvent(
        name=AuditName.DIRECTORY_PUBLISHED,
        actor=f"account:{principal.account_id}",
        facts=(
            ("resource", f"{resource}/{done.record.id}"),
            ("declared", str(len(declared))),
            ("withdrawn", str(len(withdrawn))),
            ("domains", ",".join(sorted(map(str, domains)))),
        ),
    )
