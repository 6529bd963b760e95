"""The declared test PKI: two authorities, a hospital, a practice, an operator, and what goes wrong.

Issued once per process on a fixed date, so nothing expires with the calendar. `the_pki()` is
shared and must not be changed; a test that revokes or adds makes its own with `make_pki()`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from crypto.crl import RevocationList
from crypto.issuing import Authority, CertificateProfile, Issued, Subject, create_authority
from crypto.trust import Profile, RevocationMode, TrustStore, Usage

ISSUED_AT = datetime(2026, 11, 1, tzinfo=UTC)
NOW = datetime(2026, 11, 3, 10, 0, tzinfo=UTC)

HOSPITAL = Subject(
    common_name="mail.ch-demo.mssante.fr",
    organization="CENTRE HOSPITALIER DEMO",
    structure_id="1750000001",
)
PRACTICE = Subject(
    common_name="mail.cabinets-demo.mssante.fr",
    organization="OPERATEUR DES CABINETS DEMO",
    structure_id="300000000000010",
    locality="Rhône (69)",
)
PERSON = Subject(
    common_name="800000000001",
    organization="CABINET DEMO",
    structure_id="1690000001",
    mail_addresses=("anne.essai-leroux@cabinets-demo.mssante.fr",),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pki:
    """Certificates by role. `stranger` is an authority that nobody trusts, with look-alikes."""

    authority: Authority
    stranger: Authority
    hospital_signature: Issued
    hospital_confidentiality: Issued
    hospital_server: Issued
    practice_signature: Issued
    practice_confidentiality: Issued
    practice_server: Issued
    person_signature: Issued
    stranger_signature: Issued
    stranger_server: Issued

    def store(self, *, at: datetime = NOW) -> TrustStore:
        """Whom the hospital trusts: the authority, with its revocation lists as of *at*."""
        return self.store_with(self.authority.crls(at))

    def store_with(self, crls: Iterable[bytes | RevocationList]) -> TrustStore:
        """The same trust with other revocation lists."""
        return TrustStore(self.authority.anchors, self.authority.intermediates, crls)


def make_pki(*, at: datetime = ISSUED_AT, key: str = "p256") -> Pki:
    """Issue everything anew, valid from *at*."""
    authority = create_authority("DEMO ELEMENTAIRE", at=at, key=key)
    stranger = create_authority("DEMO ELEMENTAIRE", at=at, key=key)

    def issue(profile: CertificateProfile, subject: Subject, by: Authority = authority) -> Issued:
        return by.issue(profile, subject, at=at, key=key)

    return Pki(
        authority=authority,
        stranger=stranger,
        hospital_signature=issue(CertificateProfile.SIGNATURE, HOSPITAL),
        hospital_confidentiality=issue(CertificateProfile.CONFIDENTIALITY, HOSPITAL),
        hospital_server=issue(CertificateProfile.SERVER, HOSPITAL),
        practice_signature=issue(CertificateProfile.SIGNATURE, PRACTICE),
        practice_confidentiality=issue(CertificateProfile.CONFIDENTIALITY, PRACTICE),
        practice_server=issue(CertificateProfile.SERVER, PRACTICE),
        person_signature=issue(CertificateProfile.PERSON_SIGNATURE, PERSON),
        stranger_signature=issue(CertificateProfile.SIGNATURE, HOSPITAL, stranger),
        stranger_server=issue(CertificateProfile.SERVER, HOSPITAL, stranger),
    )


@cache
def the_pki() -> Pki:
    """The shared PKI of P-256 keys; read only."""
    return make_pki()


def lenient(usage: Usage) -> Profile:
    """A profile that reports an unknown revocation status instead of refusing it."""
    return Profile(usage=usage, revocation=RevocationMode.IF_KNOWN)


def write_pem(folder: Path, issued: Issued, name: str) -> tuple[Path, Path]:
    """Write chain and key as a TLS server wants them; return both paths."""
    certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
    certificate.write_text(issued.chain_pem, encoding="ascii")
    key.write_text(issued.private_key_pem, encoding="ascii")
    return certificate, key


def issue_briefly(authority: Authority, *, until: datetime) -> Issued:
    """A signing certificate that ends at *until*."""
    valid_for = until - ISSUED_AT
    if valid_for <= timedelta(0):
        raise ValueError("it would end before it begins")
    return authority.issue(
        CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT, valid_for=valid_for
    )
