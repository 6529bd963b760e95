"""Who acts: a person or software with an account, another operator, or the server itself."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Right(StrEnum):
    """What an account may do with a mailbox."""

    READ = "read"
    SEND = "send"
    MANAGE = "manage"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPrincipal:
    """A person or a piece of software that has logged in.

    Attributes:
        account_id: Our identifier of the account.
        name: The name it logs in with.
        rights: Mailbox address (normalised key) to the rights held on it.
        means: How it proved who it is: `password`, `token`, `certificate`, `identity-provider`.
        until: When it has to prove that again; `None` for never.
    """

    account_id: str
    name: str
    rights: dict[str, frozenset[Right]]
    means: str
    until: datetime | None = None

    def has_right(self, address_key: str, right: Right) -> bool:
        """Tell whether this account holds *right* on the mailbox of that address."""
        return right in self.rights.get(address_key, frozenset())


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerPrincipal:
    """Another operator, known by the certificate that it showed during the TLS handshake.

    Attributes:
        subject: Its certificate's subject, RFC 4514.
        fingerprint: SHA-256 of the certificate, hexadecimal.
        domains: Every domain that the trust list lets this certificate speak for.
        host: Network address of the other side, for the journal.
        serial: The certificate's serial number, hexadecimal.
        issuer: Common name of the authority that issued it.
        findings: What was noted when its chain was judged, `revocation-not-judged` for instance.
    """

    subject: str
    fingerprint: str
    domains: frozenset[str]
    host: str
    serial: str = ""
    issuer: str = ""
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemPrincipal:
    """This server, when it writes a report."""

    reason: str


Principal = AccountPrincipal | PeerPrincipal | SystemPrincipal
