"""What do we write, in every form that leaves this server?

Shapes
    Bare CMS objects, as peers take them.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crypto import smime, smime_stream
from crypto.entity import read_entity, split_signed
from crypto.recipient_info import EnvelopeProfile, RecipientPlan
from crypto.recipient_list import build_recipient_list
from crypto.smime_stream import SignedForm
from tests.interop.crypto.identities import AT, Identities, Identity

ENTITY = (
    "Content-Type: text/plain; charset=utf-8\r\n"
    "Content-Transfer-Encoding: 8bit\r\n"
    "\r\n"
    "Compte rendu : hémoglobine glyquée à 6,8 %.\r\n"
    ".\r\n"
    "From la structure d'Évry, fin de ligne avec espace \r\n"
).encode()

EVERYBODY = frozenset({"OpenSSL", "BouncyCastle", "NSS", "Thunderbird", "gpgsm", "pkijs", "forge"})
VERIFYING = EVERYBODY - {"forge"}  # it has no function for that
GCM = frozenset({"OpenSSL", "BouncyCastle"})
COMPATIBLE = GCM | {"Thunderbird", "pkijs"}
# NSS 3.87 and node-forge give up on a letter with any reader of elliptic curves, whoever wrote it.
OLD_RSA = EVERYBODY - {"pkijs"}
BESIDE_EC = OLD_RSA - {"NSS", "forge"}


@dataclass(frozen=True)
class Envelope:
    """How a letter is closed, for whom, and which peers can open it."""

    plans: Mapping[str, EnvelopeProfile]
    reader: str
    opened_by: frozenset[str]

    def write(self, identities: Identities, entity: bytes) -> bytes:
        """Encrypt *entity*."""
        plans = [
            RecipientPlan(certificate=identities[name].issued.certificate, profile=profile)
            for name, profile in self.plans.items()
        ]
        return cms_of(smime.encrypt(entity, recipients=plans))


def cms_of(entity: bytes) -> bytes:
    """Take the CMS object out of an entity."""
    return read_entity(entity).decoded_body()


def _for_one(profile: EnvelopeProfile, reader: str, opened_by: frozenset[str]) -> Envelope:
    return Envelope(plans={reader: profile}, reader=reader, opened_by=opened_by)


A, B, C = EnvelopeProfile.MODERN, EnvelopeProfile.COMPATIBLE, EnvelopeProfile.LEGACY
NOBODY: frozenset[str] = frozenset()
_MIXED_A = {"bob-rsa": A, "bob-p256": A, "bob-p384": A}
_MIXED_B = {"bob-rsa": B, "bob-p256": B, "bob-p384": B}
_MIXED_C = {"bob-p256": A, "bob-rsa3072": B, "bob-rsa": C}
ENVELOPES: Mapping[str, Envelope] = {
    "A: AES-256-GCM, RSA-OAEP": _for_one(A, "bob-rsa", GCM),
    "A: AES-256-GCM, RSA-OAEP, 3072 bits": _for_one(A, "bob-rsa3072", GCM),
    "A: AES-256-GCM, ECDH P-256": _for_one(A, "bob-p256", GCM),
    "A: AES-256-GCM, ECDH P-384": _for_one(A, "bob-p384", GCM),
    "A: AES-256-GCM, ECDH P-521": _for_one(A, "bob-p521", GCM),
    "A: AES-256-GCM, X25519": _for_one(A, "bob-x25519", NOBODY),
    "A: AES-256-GCM, ML-KEM-768": _for_one(A, "bob-mlkem", NOBODY),
    "A: three readers, opened by RSA": Envelope(_MIXED_A, "bob-rsa", GCM),
    "A: three readers, opened by P-256": Envelope(_MIXED_A, "bob-p256", GCM),
    "A: three readers, opened by P-384": Envelope(_MIXED_A, "bob-p384", GCM),
    "B: AES-256-CBC, RSA-OAEP": _for_one(B, "bob-rsa", COMPATIBLE),
    "B: AES-256-CBC, ECDH P-256": _for_one(B, "bob-p256", COMPATIBLE),
    "B: AES-256-CBC, ECDH P-384": _for_one(B, "bob-p384", COMPATIBLE),
    "B: AES-256-CBC, ECDH P-521": _for_one(B, "bob-p521", COMPATIBLE),
    "B: AES-256-CBC, X25519": _for_one(B, "bob-x25519", NOBODY),
    "B: three readers, opened by RSA": Envelope(_MIXED_B, "bob-rsa", COMPATIBLE),
    "B: three readers, opened by P-256": Envelope(_MIXED_B, "bob-p256", COMPATIBLE),
    "B: three readers, opened by P-384": Envelope(_MIXED_B, "bob-p384", COMPATIBLE),
    "C: AES-256-CBC, RSA v1.5": _for_one(C, "bob-rsa", OLD_RSA),
    "A, B and C readers, opened by C": Envelope(_MIXED_C, "bob-rsa", BESIDE_EC),
    "A, B and C readers, opened by B": Envelope(_MIXED_C, "bob-rsa3072", COMPATIBLE),
    "A, B and C readers, opened by A": Envelope(_MIXED_C, "bob-p256", COMPATIBLE),
}


@dataclass(frozen=True)
class Signature:
    """How a letter is signed, and which peers believe it."""

    signer: str
    form: SignedForm
    verified_by: frozenset[str]
    names_readers: bool = False

    def write(self, identities: Identities, entity: bytes) -> tuple[bytes, bytes | None]:
        """Sign *entity*; return the SignedData, and the content if it is detached."""
        listed = [(each.address, each.issued.certificate) for each in identities.readers]
        signed = signed_entity(
            identities[self.signer],
            entity,
            form=self.form,
            attributes=[build_recipient_list(listed)] if self.names_readers else [],
        )
        if self.form is SignedForm.OPAQUE:
            return cms_of(signed), None
        parts = split_signed(read_entity(signed))
        return parts.signature.decoded_body(), parts.content


def signed_entity(
    signer: Identity,
    entity: bytes,
    *,
    form: SignedForm = SignedForm.CLEAR,
    attributes: Sequence[bytes] = (),
) -> bytes:
    """Sign *entity* as it is sent."""
    sink = io.BytesIO()
    smime_stream.sign(
        io.BytesIO(entity),
        sink,
        keys=signer.keys,
        at=AT,
        chain=signer.issued.chain,
        attributes=attributes,
        form=form,
    )
    return sink.getvalue()


_ED25519 = frozenset({"BouncyCastle"})
SIGNATURES: Mapping[str, Signature] = {
    f"{name}, {form.value}": Signature(signer, form, by)
    for name, signer, by in (
        ("RSA-PSS SHA-256", "alice-rsa", VERIFYING),
        ("ECDSA P-256 SHA-256", "alice-p256", VERIFYING),
        ("ECDSA P-384 SHA-384", "alice-p384", VERIFYING),
        ("Ed25519", "alice-ed25519", _ED25519),
    )
    for form in SignedForm
} | {
    f"{name}, its readers named": Signature(signer, SignedForm.CLEAR, VERIFYING, names_readers=True)
    for name, signer in (("RSA-PSS SHA-256", "alice-rsa"), ("ECDSA P-256 SHA-256", "alice-p256"))
}
