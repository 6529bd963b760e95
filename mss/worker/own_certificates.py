"""Keep the certificate that letters to our domains are encrypted for in the directory.

It is published by itself when a key is created or rotated, and the one before is withdrawn: whoever
asks our directory finds what is to be used today. Old keys still open what was encrypted for them.

Errors
    None of ours.
"""

from dataclasses import dataclass
from functools import partial

from crypto.recipient_info import is_post_quantum
from directory.address import Domain
from directory.index_sql import FoundCertificate
from directory.index_sql.own_certificates import is_own_published, publish_own
from mss.clock import Clock
from mss.pipeline.own_keys import KeysInForce
from mss.store.engine import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCertificates:
    """The job; nothing is written when nothing has changed."""

    database: Database
    keys: KeysInForce
    domains: frozenset[str]
    clock: Clock

    async def run(self) -> None:
        """Publish the current reading certificate for each of our domains."""
        held = self.keys.current.reading.certificates
        current = next((one for one in held if not is_post_quantum(one)), None)
        if current is None:
            return
        own = FoundCertificate(
            der=current.der,
            fingerprint=current.fingerprint,
            not_after_at=current.not_after_at,
        )
        domains = [Domain(one) for one in sorted(self.domains)]
        if not await self.database.read(partial(is_own_published, domains=domains, own=own)):
            change = partial(publish_own, domains=domains, own=own, published_at=self.clock.now())
            await self.database.write(change)
