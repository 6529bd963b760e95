"""Who signs and who reads in the tests with other implementations?

One authority with RSA keys, as the national ones have. Other programs read the clock of the
machine, so everything is dated from it: issued a month ago, and judged an hour after it was signed.
Every certificate has one address of its own, because some readers choose the key by it.

Shapes
    For each identity: certificate and key in PEM, both together as PKCS #12 with `PASSWORD`, in the
    old form, which is the one that every reader knows.
"""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    KeySerializationEncryption,
    PrivateFormat,
    pkcs12,
)

from crypto.issuing import Authority, CertificateProfile, Issued, Subject, create_authority
from crypto.keys import SoftwareKeyHolder
from crypto.trust import TrustStore
from mss.clock import SystemClock

AT = SystemClock().now().replace(microsecond=0)
JUDGED_AT = AT + timedelta(hours=1)
ISSUED_AT = AT - timedelta(days=30)
PASSWORD = "interop"

SIGNERS = {
    "alice-rsa": "rsa2048",
    "alice-p256": "p256",
    "alice-p384": "p384",
    "alice-ed25519": "ed25519",
}
READERS = {
    "bob-rsa": "rsa2048",
    "bob-rsa3072": "rsa3072",
    "bob-p256": "p256",
    "bob-p384": "p384",
    "bob-p521": "p521",
    "bob-x25519": "x25519",
    "bob-mlkem": "mlkem768",
}


@dataclass(frozen=True)
class Identity:
    """Somebody with a certificate, and the files that other programs read it from."""

    name: str
    issued: Issued
    folder: Path

    @property
    def address(self) -> str:
        """The one mail address in the certificate."""
        return f"{self.name}@ch-demo.mssante.fr"

    @property
    def certificate(self) -> Path:
        """The certificate alone, in PEM."""
        return self.folder / f"{self.name}.crt"

    @property
    def key(self) -> Path:
        """The private key, PKCS #8 in PEM."""
        return self.folder / f"{self.name}.key"

    @property
    def bundle(self) -> Path:
        """Both, as PKCS #12."""
        return self.folder / f"{self.name}.p12"

    @cached_property
    def keys(self) -> SoftwareKeyHolder:
        """What our own engine opens and signs with."""
        return self.issued.key_holder()

    @property
    def is_rsa(self) -> bool:
        """The key is of RSA."""
        return isinstance(self.issued.private_key, rsa.RSAPrivateKey)


@dataclass(frozen=True)
class Identities:
    """The authority and everybody it certified."""

    authority: Authority
    folder: Path
    everybody: dict[str, Identity]

    def __getitem__(self, name: str) -> Identity:
        return self.everybody[name]

    @property
    def readers(self) -> list[Identity]:
        """Those to whom letters are encrypted."""
        return [self.everybody[name] for name in READERS]

    def another(self, kind: str) -> Identity:
        """Certify somebody else who reads."""
        name = f"other-{secrets.token_hex(4)}"
        profile = CertificateProfile.CONFIDENTIALITY
        return _identity(self.authority, self.folder, name, kind, profile)

    @property
    def root(self) -> Path:
        """The root, in PEM."""
        return self.folder / "root.crt"

    @property
    def intermediate(self) -> Path:
        """The authority below it, in PEM."""
        return self.folder / "intermediate.crt"

    @cached_property
    def store(self) -> TrustStore:
        """Whom our own engine believes, with lists of revocation of `AT`."""
        authority = self.authority
        return TrustStore(authority.anchors, authority.intermediates, authority.crls(AT))


def make_identities(folder: Path) -> Identities:
    """Issue everything and write the files."""
    authority = create_authority("INTEROP", at=ISSUED_AT, key="rsa2048")
    everybody = {
        name: _identity(authority, folder, name, kind, profile)
        for profile, kinds in (
            (CertificateProfile.SIGNATURE, SIGNERS),
            (CertificateProfile.CONFIDENTIALITY, READERS),
        )
        for name, kind in kinds.items()
    }
    (folder / "root.crt").write_text(authority.anchors_pem, encoding="ascii")
    (folder / "intermediate.crt").write_text(authority.intermediates[0].pem, encoding="ascii")
    return Identities(authority=authority, folder=folder, everybody=everybody)


def _identity(
    authority: Authority, folder: Path, name: str, kind: str, profile: CertificateProfile
) -> Identity:
    subject = Subject(
        common_name=name,
        organization="CENTRE HOSPITALIER DEMO",
        structure_id="1750000001",
        mail_addresses=(f"{name}@ch-demo.mssante.fr",),
    )
    issued = authority.issue(profile, subject, at=ISSUED_AT, key=kind)
    identity = Identity(name=name, issued=issued, folder=folder)
    identity.certificate.write_text(issued.certificate.pem, encoding="ascii")
    identity.key.write_text(issued.private_key_pem, encoding="ascii")
    key = issued.private_key
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        identity.bundle.write_bytes(
            pkcs12.serialize_key_and_certificates(
                name.encode("ascii"),
                key,
                issued.certificate.parsed,
                [each.parsed for each in issued.chain],
                _old_form(),
            )
        )
    return identity


@cache
def _old_form() -> KeySerializationEncryption:
    return (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(2048)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())  # gpgsm 2.2 knows no other
        .build(PASSWORD.encode("ascii"))
    )
