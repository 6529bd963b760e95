"""Find a certificate for somebody to whom a letter is about to leave.

Only for such a recipient is anybody asked, once, and only if no certificate was published here for
the mailbox or its domain. What comes back is believed if it is tied to that very mailbox (it names
the address, its domain, or a structure that operates the domain after the trust list), leads to an
anchor, may encrypt mail and is not revoked; the rest is dropped. It is judged again at each use.

Units
    Answers are believed for the seconds of the settings; trouble, for a minute.
Errors
    None: a letter does not fail because a directory does not answer. The policy on letters without
    a certificate decides then.
Sources
    RFC 4523 (certificates in LDAP), RFC 8550, 3 (addresses in certificates); docs/adr/0032.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from crypto.certificates import Certificate, parse_certificate
from crypto.errors import CryptoError, IndeterminateError
from crypto.trust import Usage, validate
from directory import index_sql
from directory.address import MailAddress
from directory.index_sql import FoundCertificate
from mss.clock import Clock
from mss.model.security import Binding
from mss.policy.binding import binding_of
from mss.ports import CertificateSource
from mss.settings import DirectorySettings
from mss.store.engine import Connection, Database
from mss.trust_space import TrustSpace

TROUBLE: Final = timedelta(minutes=1)
KEPT: Final = timedelta(days=7)
MAX_CERTIFICATES: Final = 16  # of one recipient; who has more is not looked through
MAX_RECIPIENTS: Final = 100  # of one letter
_AT_ONCE: Final = 8
_log = logging.getLogger("mss.pipeline")


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFinder:
    """Asks, judges and remembers.

    Attributes:
        source: Whom to ask.
        trust: Whom to believe.
    """

    database: Database
    source: CertificateSource
    trust: TrustSpace
    settings: DirectorySettings
    clock: Clock

    async def look_up(self, addresses: Sequence[MailAddress]) -> None:
        """Find what can be found for the recipients of a letter; it is kept with all the others."""
        now = self.clock.now()
        unanswered = await self.database.read(
            lambda c: index_sql.list_unanswered(c, addresses[:MAX_RECIPIENTS], at=now)
        )
        if not unanswered:
            return
        turns = asyncio.Semaphore(_AT_ONCE)
        answers: dict[MailAddress, Sequence[bytes] | None] = dict.fromkeys(unanswered)

        async def ask(address: MailAddress) -> None:
            async with turns:
                answers[address] = await self.source.find(address)

        try:
            async with asyncio.timeout(self.settings.ldap_seconds), asyncio.TaskGroup() as group:
                for address in unanswered:
                    group.create_task(ask(address))
        except TimeoutError:
            _log.warning("directories of certificates did not answer in time")
        judged = await asyncio.to_thread(
            lambda: {each: self._judge(each, octets) for each, octets in answers.items()}
        )

        def keep(connection: Connection) -> None:
            for address, (found, believed_for) in judged.items():
                index_sql.keep_answer(
                    connection, address, found, at=now, ask_again_at=now + believed_for
                )

        await self.database.write(keep)

    def _judge(
        self, address: MailAddress, octets: Sequence[bytes] | None
    ) -> tuple[list[FoundCertificate] | None, timedelta]:
        """Keep the certificates that hold; say how long to believe that these are all."""
        if octets is None:
            return None, TROUBLE
        found: list[FoundCertificate] = []
        is_open = False
        for der in octets[:MAX_CERTIFICATES]:
            try:
                certificate = parse_certificate(der)
                if not self._is_for(certificate, address):
                    continue
                validate_recipient(certificate, trust=self.trust, at=self.clock.now())
            except IndeterminateError:
                is_open = True  # its revocation list is being fetched
                continue
            except CryptoError:
                continue
            found.append(
                FoundCertificate(
                    der=certificate.der,
                    fingerprint=certificate.fingerprint,
                    not_after_at=certificate.not_after_at,
                )
            )
        if found:
            return found, timedelta(seconds=self.settings.ldap_found_seconds)
        absent = timedelta(seconds=self.settings.ldap_absent_seconds)
        return found, min(TROUBLE, absent) if is_open else absent

    def _is_for(self, certificate: Certificate, address: MailAddress) -> bool:
        """Tell whether a certificate is tied to the mailbox: else somebody else would read."""
        binding = binding_of(
            author_key=address.key,
            signer_addresses=certificate.mail_addresses,
            signer_domains=certificate.dns_names,
            signer_structure=certificate.structure_id,
            mailbox_structures=frozenset(),
            operator_structures=self.trust.operator_structures(str(address.domain)),
        )
        return binding is not Binding.NONE

    async def forget(self) -> None:
        """Forget what was found for letters of long ago."""
        before = self.clock.now() - KEPT
        await self.database.write(lambda c: index_sql.forget_answers(c, asked_before=before))


def validate_recipient(certificate: Certificate, *, trust: TrustSpace, at: datetime) -> None:
    """Let pass a certificate that may be encrypted for at an instant.

    Raises:
        CryptoError: What is wrong with it.
    """
    validate(
        certificate,
        store=trust.store,
        profile=trust.profile(Usage.MAIL_ENCRYPTION),
        at=at,
    )
