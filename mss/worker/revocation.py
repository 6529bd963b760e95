"""How does news of revoked certificates reach this operator?

Judging a certificate notes where its issuer publishes lists and answers (`crypto.wanted`). Here the
notes become rows, one process at a time visits what is due, and what comes back is put in use only
if its signature, dates and number are better than what is in use: the last good list stays until
it expires, whatever the network does. Every process takes up what is in use from the database, and
gives up the verdicts that it may change.

Nothing here runs inside a verification, and nothing is connected to that the settings do not name.

Errors
    None: what goes wrong is kept with the source, told once in the journal, and tried again.
Sources
    RFC 5280, 6.3; RFC 6960; RFC 5019; docs/adr/0017.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

from crypto.certificates import Certificate, parse_certificate, parse_certificates
from crypto.crl import RevocationList
from crypto.crl_index import find_list, forget_lists, load_list
from crypto.errors import CertificateSyntaxError, CryptoError, FetchError
from crypto.fetch import FetchPolicy, fetch, is_allowed
from crypto.ocsp import CLOCK_SKEW, OcspResponse, build_ocsp_request, parse_ocsp_response
from crypto.path_finder import find_paths, is_signed_by
from crypto.trust import TrustStore
from crypto.wanted import WantedKind, WantedSource, lists_about
from mss.model.audit import AuditEvent, AuditName
from mss.settings import Settings
from mss.store import audit, revocation
from mss.store.engine import Connection
from mss.store.revocation import KeptObject, SourceRow
from mss.trust_space import INDEX_FOLDER, TrustSpace, load_trust_store

CLAIM: Final = timedelta(minutes=10)  # far longer than any visit lasts
FIRST_PAUSE: Final = timedelta(minutes=1)  # after a failure; doubled by each further one
SOONEST: Final = timedelta(minutes=1)
AT_ONCE: Final = 4
BATCH: Final = 16
UNWANTED_AFTER: Final = timedelta(days=30)
_LISTS: Final = frozenset({WantedKind.CRL, WantedKind.DELTA_CRL})
_log = logging.getLogger("mss.worker")

Statement = RevocationList | OcspResponse | Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class _News:
    """What a visit brought and we believe."""

    kept: KeptObject
    next_try_at: datetime
    facts: tuple[tuple[str, str], ...]


@dataclass(slots=True, kw_only=True)
class RevocationNews:
    """Fetches, keeps and takes up lists, answers and issuing certificates."""

    trust: TrustSpace
    settings: Settings
    _files: TrustStore | None = field(default=None, init=False)
    _in_use: dict[str, Statement] = field(default_factory=dict, init=False)

    # --- In every process ---

    async def follow(self) -> None:
        """Pass on what was noted, and take up what is in use by now."""
        await self._pass_on_wanted()
        await self._take_up(is_new=self._files is None)

    async def reload(self) -> None:
        """Read anchors, issuing certificates and lists of the home again."""
        self._files = await asyncio.to_thread(load_trust_store, self.settings)
        await asyncio.to_thread(self._note_own)
        await self._take_up(is_new=True)

    async def _pass_on_wanted(self) -> None:
        hosts = frozenset(self.settings.trust.fetch_hosts)
        rows = [
            _row(each)
            for each in self.trust.store.wanted.take()
            if is_allowed(each.url, hosts=hosts)
        ]
        if rows:
            now = self.trust.clock.now()
            await self.trust.database.write(lambda c: revocation.want(c, rows, at=now))

    async def _take_up(self, *, is_new: bool) -> None:
        """Build the store anew if there is something new to build it from."""
        wanted = await self.trust.database.read(revocation.list_in_use)
        if not is_new and wanted.keys() == self._in_use.keys():
            return
        if self._files is None:
            self._files = await asyncio.to_thread(load_trust_store, self.settings)
        found: dict[str, Statement] = {}
        for sha256, kind in wanted.items():
            statement = self._in_use.get(sha256) or await self._load(sha256, WantedKind(kind))
            if statement is not None:
                found[sha256] = statement
        self._in_use = found
        self.trust.store = self.trust.store.succeeded_by(self._joined(self._files))
        await asyncio.to_thread(self._forget_indexes)

    def _joined(self, files: TrustStore) -> TrustStore:
        news = self._in_use.values()
        return TrustStore(
            files.anchors,
            [*files.intermediates, *(each for each in news if isinstance(each, Certificate))],
            [*files.crls, *(each for each in news if isinstance(each, RevocationList))],
            [each for each in news if isinstance(each, OcspResponse)],
        )

    def _forget_indexes(self) -> None:
        store = self.trust.store
        forget_lists(self._folder, but={each.fingerprint for each in store.crls})

    def _note_own(self) -> None:
        """Want the lists about the authorities that we know, and about our own certificate."""
        store = self.trust.store
        for certificate in (*store.intermediates, *_certificates_in(self.settings)):
            for path in find_paths(certificate, known=store.authorities):
                for each, issuer in pairwise(path):
                    for source in lists_about(each, issuer):
                        store.wanted.note(source)

    @property
    def _folder(self) -> Path:
        return self.settings.path(INDEX_FOLDER)

    async def _load(self, sha256: str, kind: WantedKind) -> Statement | None:
        """Read what is in use; None if this process cannot, which is told in the log."""
        if kind in _LISTS:
            indexed = await asyncio.to_thread(find_list, sha256, folder=self._folder)
            if indexed is not None:
                return indexed
        kept = await self.trust.database.survey(lambda c: revocation.find_object(c, sha256))
        if kept is None:
            return None
        try:
            return await asyncio.to_thread(self._parse, kept.octets, kind)
        except CryptoError as error:
            _log.warning("a %s in use cannot be read: %s", kind, error.code)
            return None

    def _parse(self, octets: bytes, kind: WantedKind) -> Statement:
        match kind:
            case WantedKind.CRL | WantedKind.DELTA_CRL:
                authorities = (*self.trust.store.anchors, *self.trust.store.intermediates)
                return load_list(octets, folder=self._folder, signers=authorities)
            case WantedKind.OCSP:
                return parse_ocsp_response(octets)
            case WantedKind.ISSUER:
                return parse_certificate(octets)

    # --- In the process that fetches ---

    async def turn(self) -> None:
        """Follow, then fetch what is due."""
        await self.follow()
        await self.fetch_due()

    async def fetch_due(self) -> None:
        """Visit every source whose time has come."""
        while True:
            now = self.trust.clock.now()
            rows = await self.trust.database.write(
                lambda c, at=now: revocation.claim_due(c, at=at, until=at + CLAIM, limit=BATCH)  # type: ignore[misc]  # the default binds the loop's value
            )
            if not rows:
                break
            turn = asyncio.Semaphore(AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for row in rows:
                    group.create_task(self._visit(row, turn))
        await self._take_up(is_new=False)

    async def forget(self) -> None:
        """Forget sources that nobody asked for in a month, and evidence that is old enough."""
        now = self.trust.clock.now()
        kept_since = now - timedelta(seconds=self.settings.retention.evidence)
        await self.trust.database.write(
            lambda c: revocation.forget(
                c, unwanted_since=now - UNWANTED_AFTER, kept_since=kept_since
            )
        )

    async def _visit(self, row: SourceRow, turn: asyncio.Semaphore) -> None:
        async with turn:
            try:
                await self._renew(row)
            except CryptoError as error:
                reason = getattr(error, "reason", "") or error.code
                await self._note_failure(row, reason)

    async def _renew(self, row: SourceRow) -> None:
        fetched = await fetch(
            row.url,
            policy=self._policy(),
            body=_question(row),
            etag=row.etag,
            last_modified=row.last_modified,
        )
        now = self.trust.clock.now()
        news: _News | None = None
        if fetched.octets is not None:
            news = await self._judge(row, fetched.octets, now)

        def change(connection: Connection) -> None:
            if news is not None:
                revocation.keep(connection, [news.kept], at=now)
            revocation.note_visit(
                connection,
                row.key,
                at=now,
                next_try_at=news.next_try_at if news else now + self._pause,
                etag=fetched.etag,
                last_modified=fetched.last_modified,
                sha256=news.kept.sha256 if news else None,
            )
            if news is not None and news.facts and news.kept.sha256 != row.sha256:
                event = AuditEvent(
                    name=AuditName.REVOCATION_RENEWED,
                    actor="system",
                    facts=(("url", row.url), ("sha256", news.kept.sha256), *news.facts),
                )
                audit.append(connection, event, chain=self.trust.chain, at=now)

        await self.trust.database.write(change)

    async def _note_failure(self, row: SourceRow, reason: str) -> None:
        now = self.trust.clock.now()
        pause = min(FIRST_PAUSE * 2 ** min(row.failures, 10), max(self._pause, FIRST_PAUSE))

        def change(connection: Connection) -> None:
            revocation.note_failure(
                connection, row.key, reason=reason[:64], next_try_at=now + pause
            )
            if reason[:64] != row.last_reason:
                event = AuditEvent(
                    name=AuditName.REVOCATION_REFUSED,
                    actor="system",
                    facts=(("url", row.url), ("kind", row.kind), ("reason", reason)),
                )
                audit.append(connection, event, chain=self.trust.chain, at=now)

        await self.trust.database.write(change)

    @property
    def _pause(self) -> timedelta:
        return timedelta(seconds=self.settings.trust.fetch_every)

    def _policy(self) -> FetchPolicy:
        trust = self.settings.trust
        return FetchPolicy(
            hosts=frozenset(trust.fetch_hosts),
            max_octets=trust.fetch_octets,
            seconds=trust.fetch_seconds,
            allows_private=trust.fetch_private,
        )

    # --- Believing ---

    async def _judge(self, row: SourceRow, octets: bytes, now: datetime) -> _News:
        current: Statement | None = None
        if row.sha256 is not None:
            current = self._in_use.get(row.sha256) or await self._load(
                row.sha256, WantedKind(row.kind)
            )
        match WantedKind(row.kind):
            case WantedKind.CRL | WantedKind.DELTA_CRL:
                return await asyncio.to_thread(self._judge_list, row, octets, current, now)
            case WantedKind.OCSP:
                return self._judge_answer(row, octets, current, now)
            case WantedKind.ISSUER:
                return self._judge_issuer(row, octets)

    def _judge_list(
        self, row: SourceRow, octets: bytes, current: Statement | None, now: datetime
    ) -> _News:
        found = self._parse(octets, WantedKind(row.kind))
        assert isinstance(found, RevocationList), "it was parsed as one"
        if (found.base_number is None) is not (row.kind == WantedKind.CRL):
            raise FetchError("wrong-kind")
        if not any(
            each.allows("cRLSign") and found.is_signed_by(each) for each in self._signers(row)
        ):
            raise FetchError("wrong-signature")
        if found.next_update_at is None or found.next_update_at < now:
            raise FetchError("stale")
        if found.this_update_at > now + CLOCK_SKEW:
            raise FetchError("from-the-future")
        if isinstance(current, RevocationList) and _is_older(found, current):
            raise FetchError("older")
        return _News(
            kept=KeptObject(sha256=found.fingerprint, kind=row.kind, octets=found.der),
            next_try_at=now + self._pause_until(found.next_update_at, now),
            facts=(
                ("kind", row.kind),
                ("issuer", found.issuer_text),
                ("number", str(found.number)),
                ("entries", str(len(found.entries))),
                ("this-update", found.this_update_at.isoformat()),
                ("next-update", found.next_update_at.isoformat()),
            ),
        )

    def _signers(self, row: SourceRow) -> Iterable[Certificate]:
        """List who may have signed; whether they had the right is judged with each certificate."""
        if row.issuer is not None:
            yield parse_certificate(row.issuer)
        yield from self.trust.store.anchors
        yield from self.trust.store.intermediates

    def _judge_answer(
        self, row: SourceRow, octets: bytes, current: Statement | None, now: datetime
    ) -> _News:
        certificate, issuer = _both(row)
        found = parse_ocsp_response(octets)
        single = found.find(certificate, issuer=issuer)
        if single is None:
            raise FetchError("not-about")
        if found.find_responder(issuer, at=now) is None:
            raise FetchError("wrong-signature")
        if not single.is_fresh_at(now):
            raise FetchError("stale")
        if isinstance(current, OcspResponse):
            known = current.find(certificate, issuer=issuer)
            if known is not None and single.this_update_at < known.this_update_at:
                raise FetchError("older")
        return _News(
            kept=KeptObject(sha256=found.fingerprint, kind=row.kind, octets=found.der),
            next_try_at=now + self._pause_until(single.relied_upon_until, now),
            facts=(),  # one for each correspondent and hour would drown the journal
        )

    def _judge_issuer(self, row: SourceRow, octets: bytes) -> _News:
        child = parse_certificate(row.certificate)
        for each in parse_certificates(octets):
            leads = each.is_authority and is_signed_by(child, each)
            if leads and next(find_paths(each, known=self.trust.store.authorities), None):
                return _News(
                    kept=KeptObject(sha256=each.fingerprint, kind=row.kind, octets=each.der),
                    next_try_at=self.trust.clock.now() + self._pause,
                    facts=(("kind", row.kind), ("subject", each.subject_text)),
                )
        raise FetchError("not-the-issuer")

    def _pause_until(self, lapses_at: datetime, now: datetime) -> timedelta:
        """Come back well before what is in use lapses."""
        return max(SOONEST, min(self._pause, (lapses_at - now) / 2))


def _row(source: WantedSource) -> SourceRow:
    return SourceRow(
        key=hashlib.sha256("\n".join(source.key).encode()).hexdigest(),
        kind=source.kind,
        url=source.url,
        certificate=source.certificate.der,
        issuer=source.issuer.der if source.issuer else None,
    )


def _question(row: SourceRow) -> bytes | None:
    if row.kind != WantedKind.OCSP:
        return None
    certificate, issuer = _both(row)
    return build_ocsp_request(certificate, issuer=issuer)


def _both(row: SourceRow) -> tuple[Certificate, Certificate]:
    assert row.issuer is not None, "only the search for an issuer does without one"
    return parse_certificate(row.certificate), parse_certificate(row.issuer)


def _is_older(found: RevocationList, current: RevocationList) -> bool:
    """Tell a replay: a list with a lower number, or made earlier, than the one in use."""
    if found.number is not None and current.number is not None and found.number < current.number:
        return True
    return found.this_update_at < current.this_update_at


def _certificates_in(settings: Settings) -> tuple[Certificate, ...]:
    """Read our own certificate, if it is there; its absence is told elsewhere."""
    try:
        return parse_certificates(settings.path(settings.tls.certificate).read_bytes())
    except (OSError, CertificateSyntaxError):
        return ()
