"""What ends soon: certificates with keys of ours, those whom we believe by, revocation lists?

Looked at once a day. Each threshold that is passed is told once, in the journal and in the log;
whatever is near its end also shows in the readiness of the server until it is renewed. A threshold
counts only for what lives at least twice as long: a list that is issued every week is no news a
month before its end.

Errors
    None: what cannot be read is told of where it is used.
Sources
    docs/adr/0022; the thresholds are `keys.warn_days`.
"""

import asyncio
import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from crypto import xml_signature
from crypto.certificates import Certificate, parse_certificate, parse_certificates
from crypto.errors import CryptoError
from mss.clock import Clock
from mss.model.audit import AuditName
from mss.pipeline.own_keys import KeysInForce
from mss.policy.endings import ENDED, days_left, threshold_passed
from mss.settings import Settings
from mss.store import endings, mailboxes, trust_lists
from mss.store.engine import Connection, Database
from mss.trust_space import TrustSpace

_log = logging.getLogger("mss.worker")
KEPT_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Something that ends.

    Attributes:
        use: What it serves for: `tls`, `signing`, `anchor`, `mailbox`…
        name: Subject of a certificate, issuer of a list, identifier of a mailbox.
        key: Digest that stands for it.
    """

    use: str
    name: str
    key: str
    begins_at: datetime
    ends_at: datetime

    def threshold(self, now: datetime, days: Iterable[int]) -> int | None:
        """Name the threshold that was passed last, of those that mean something for it."""
        lives = self.ends_at - self.begins_at
        telling = [one for one in days if timedelta(days=2 * one) <= lives]
        return threshold_passed(self.ends_at, now, telling)


@dataclass(slots=True, kw_only=True)
class Endings:
    """Looks after what ends."""

    trust: TrustSpace
    keys: KeysInForce
    database: Database
    settings: Settings
    clock: Clock
    _near: list[tuple[Ending, int]] = field(default_factory=list, init=False)
    _looked_at: datetime | None = field(default=None, init=False)

    async def run(self) -> None:
        """Tell what passed a threshold since the last look."""
        near = await self._look()
        everything = {one.key for one, _ in near}
        for one, threshold in near:
            claim = partial(endings.claim_warning, key=one.key, threshold=threshold)
            is_news = await self.database.write(claim)
            if is_news:
                await self._tell(one, threshold)
        await self.database.write(lambda c: endings.forget_others(c, everything))

    async def check(self) -> str:
        """Say `ok`, or what ends soon, for the readiness of the server."""
        now = self.clock.now()
        if self._looked_at is None or now - self._looked_at >= KEPT_FOR:
            await self._look()
        if not self._near:
            return "ok"
        return "; ".join(_sentence(one, now) for one, _ in self._near)

    async def _tell(self, one: Ending, threshold: int) -> None:
        sentence = _sentence(one, self.clock.now())
        (_log.error if threshold == ENDED else _log.warning)("%s", sentence)
        await self.trust.note(
            AuditName.CERTIFICATE_ENDING,
            actor="system",
            use=one.use,
            subject=one.name,
            until=one.ends_at.isoformat(),
            threshold=str(threshold),
        )

    async def _look(self) -> list[tuple[Ending, int]]:
        now = self.clock.now()
        boxes, xml = await self.database.read(_read)
        found = await asyncio.to_thread(lambda: list(self._everything(boxes, xml)))
        days = self.settings.keys.warn_days
        passed = ((one, one.threshold(now, days)) for one in found)
        near = [(one, threshold) for one, threshold in passed if threshold is not None]
        self._near = sorted(near, key=lambda pair: pair[0].ends_at)
        self._looked_at = now
        return self._near

    def _everything(self, boxes: list[tuple[str, str]], xml: bytes | None) -> Iterator[Ending]:
        yield from self._own()
        store = self.trust.store
        yield from (_of(one, "anchor") for one in store.anchors)
        yield from (_of(one, "intermediate") for one in store.intermediates)
        for each in store.crls:
            if each.next_update_at is not None:
                yield Ending(
                    use="revocation-list",
                    name=each.issuer_text,
                    key=each.fingerprint,
                    begins_at=each.this_update_at,
                    ends_at=each.next_update_at,
                )
        if xml is not None:
            try:
                yield _of(xml_signature.verify_enveloped(xml).signer, "trust-list-signer")
            except CryptoError:
                _log.warning("the signer of the trust list in force cannot be read")
        for mailbox_id, pem in boxes:
            yield _of(parse_certificate(pem.encode()), "mailbox", name=mailbox_id)

    def _own(self) -> Iterator[Ending]:
        """List our certificates; of those to read with, the current ones: old ones may end."""
        try:
            file = self.settings.path(self.settings.tls.certificate)
            yield _of(parse_certificates(file.read_bytes())[0], "tls")
        except (OSError, CryptoError):
            _log.warning("the certificate of the doors cannot be read")
        keys = self.keys.current
        yield from (_of(one, "signing") for one in keys.signing.certificates[:1])
        seen: set[bool] = set()
        for one in keys.reading.certificates:
            is_kem = one.key_name.startswith("mlkem")
            if is_kem not in seen:
                yield _of(one, "reading")
            seen.add(is_kem)
        for agreed in keys.outer.by_domain.values():
            yield from (_of(one, "post-quantum") for one in agreed)


def _of(certificate: Certificate, use: str, *, name: str | None = None) -> Ending:
    key = hashlib.sha256(f"{use} {name} {certificate.fingerprint}".encode()).hexdigest()
    return Ending(
        use=use,
        name=name or certificate.subject_text,
        key=key,
        begins_at=certificate.not_before_at,
        ends_at=certificate.not_after_at,
    )


def _read(connection: Connection) -> tuple[list[tuple[str, str]], bytes | None]:
    kept = trust_lists.find_current(connection)
    return mailboxes.list_client_certificates(connection), None if kept is None else kept.xml


def _sentence(one: Ending, now: datetime) -> str:
    left = days_left(one.ends_at, now)
    when = "has ended" if one.ends_at <= now else f"ends in {left} days"
    return f"{one.use} {when} ({one.ends_at:%Y-%m-%d}): {one.name}"
