"""What is fuzzed: each parser, the errors that it declares, and good samples to damage.

The samples are written by our own engine, so each is of the present form.
"""

import io
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from crypto import cms, compressed_data, der, smime, smime_stream, stream_read, trust
from crypto.capabilities import parse_capabilities
from crypto.certificates import parse_certificate, parse_certificates
from crypto.crl import parse_revocation_list
from crypto.entity import read_entity, split_signed
from crypto.enveloped_data import EnvelopeProfile
from crypto.errors import (
    CertificateSyntaxError,
    CmsSyntaxError,
    CryptoError,
    KeySyntaxError,
    RevocationSyntaxError,
    SignatureError,
    XmlSignatureError,
)
from crypto.issuing import CertificateProfile, Issued
from crypto.keys import CombinedKeyHolder, load_pkcs12, parse_private_key
from crypto.ocsp import parse_ocsp_response
from crypto.recipient_list import build_recipient_list, parse_recipient_list
from crypto.trial_keys import trials
from crypto.xml_signature import sign_enveloped, verify_enveloped
from mss.clinical.metadata import MetadataSyntaxError, parse_metadata
from mss.clinical.safe_xml import XMLRefusedError
from mss.clinical.zip_reader import ArchiveError
from mss.hl7.errors import HL7RefusedError, HL7SyntaxError
from mss.mailboxes.letter_file import decode_cms, looks_like_cms, read_cms, read_mail
from mss.mime import entity as entities
from mss.mime.errors import MessageSyntaxError
from tests.fuzz import documents, hospital
from tests.support.attacks import TEXT, attacks, letter
from tests.support.explaining import examiner
from tests.support.ocsp import a_response
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, the_pki
from tests.unit.crypto.test_attacks_signed import the_stage
from tests.unit.crypto.test_compressed_data import compressed


@dataclass(frozen=True, slots=True)
class Target:
    """One parser.

    Attributes:
        run: Takes any octets.
        errors: What it may raise.
        samples: Makes good octets.
    """

    run: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    samples: Callable[[], tuple[bytes, ...]]

    def check(self, octets: bytes) -> None:
        """Run once; anything that is raised but the declared errors is a fault."""
        with suppress(*self.errors):
            self.run(octets)


# --- Samples ---------------------------------------------------------------------------------


@cache
def reader(key: str) -> Issued:
    """A reader with a key of a kind."""
    return the_pki().authority.issue(
        CertificateProfile.CONFIDENTIALITY, HOSPITAL, at=ISSUED_AT, key=key
    )


KINDS = ("p256", "rsa2048", "x25519")


@cache
def everybody() -> CombinedKeyHolder:
    """Holds a key of every kind."""
    return CombinedKeyHolder([reader(key).key_holder() for key in (*KINDS, "mlkem768")])


@cache
def signed() -> bytes:
    signer = the_pki().hospital_signature
    return smime.sign(TEXT, keys=signer.key_holder(), at=NOW, chain=signer.chain)


@cache
def envelopes() -> tuple[bytes, ...]:
    classical = [reader(key).certificate for key in KINDS]
    return (
        *(smime.encrypt(signed(), recipients=classical, profile=each) for each in EnvelopeProfile),
        smime.encrypt(signed(), recipients=[reader("mlkem768").certificate]),
    )


def bare_envelopes() -> tuple[bytes, ...]:
    return tuple(read_entity(each).decoded_body() for each in envelopes())


def bare_signature() -> bytes:
    return split_signed(read_entity(signed())).signature.decoded_body()


@cache
def good_letters() -> tuple[bytes, ...]:
    stage = the_stage()
    honest = letter(stage, TEXT)
    hidden = entities.protected_entity(honest, cipher=True)
    return (
        letter(stage, signed()),
        *(letter(stage, each) for each in envelopes()),
        entities.outer_message(honest, hidden, obscure_subject=True),
    )


@cache
def letters() -> tuple[bytes, ...]:
    hostile = (each.octets for each in attacks(the_stage()))
    return (*good_letters(), *(each for each in hostile if len(each) < 8000))


def private_keys() -> tuple[bytes, ...]:
    return tuple(reader(key).private_key_pem.encode() for key in (*KINDS, "mlkem768"))


def listed() -> bytes:
    attribute = build_recipient_list([("a@b.example", the_pki().hospital_signature.certificate)])
    return der.parse(attribute).children()[1].children()[0].raw


@cache
def bundles() -> tuple[bytes, ...]:
    owner = reader("p256")
    assert isinstance(owner.private_key, EllipticCurvePrivateKey)
    lock = BestAvailableEncryption(b"secret")
    return (
        serialize_key_and_certificates(
            b"reader", owner.private_key, owner.certificate.parsed, None, lock
        ),
    )


def responses() -> tuple[bytes, ...]:
    pki = the_pki()
    leaf, issuing = pki.hospital_signature.certificate, pki.authority.issuing
    return (a_response(leaf, issuer=issuing),)


def xml() -> tuple[bytes, ...]:
    signer = the_pki().hospital_signature
    return (
        sign_enveloped(
            b"<a><b/></a>", private_key=signer.private_key, certificate=signer.certificate
        ),
    )


# --- Ways in ---------------------------------------------------------------------------------


def verify(octets: bytes) -> None:
    proof = smime.verify(octets, store=the_pki().store(), profile=trust.MAIL_SIGNING, at=NOW)
    assert proof.content == TEXT, "somebody else's words, in a signer's name"


def open_bare(octets: bytes) -> None:
    opened = smime.decrypt_cms(octets, keys=everybody())
    assert not opened.authenticated or opened.entity == signed(), "changed, and not noticed"


def open_stream(octets: bytes) -> None:
    opened = stream_read.decrypt(io.BytesIO(octets), keys=everybody(), quarantine=io.BytesIO)
    opened.close()


def verify_stream(octets: bytes) -> None:
    rules = smime_stream.Trust(store=the_pki().store(), profile=trust.MAIL_SIGNING, at=NOW)
    smime_stream.verify(io.BytesIO(octets), trust=rules, quarantine=io.BytesIO)


def restore(octets: bytes) -> None:
    entities.restored_message(good_letters()[0], octets)
    entities.restored_message(octets, TEXT)


def try_keys(octets: bytes) -> None:
    list(trials(octets, [reader(key).private_key for key in ("p256", "x25519")]))


def explain(octets: bytes) -> None:
    file = read_cms(octets) if looks_like_cms(octets) else read_mail(octets)
    found = examiner().explain(file)
    assert found.verdict, "there is always a verdict"


def read_key(octets: bytes) -> None:
    with suppress(KeySyntaxError):
        parse_private_key(octets)
    with suppress(KeySyntaxError):
        parse_private_key(octets, password=b"secret")


_CMS = (CmsSyntaxError,)
_ANY = (CryptoError,)

TARGETS: dict[str, Target] = {
    "der": Target(der.parse, (der.DerSyntaxError,), lambda: (bare_signature(),)),
    "cms-signed": Target(cms.parse_signed_data, _CMS, lambda: (bare_signature(),)),
    "cms-enveloped": Target(cms.parse_enveloped, _CMS, bare_envelopes),
    "cms-compressed": Target(
        compressed_data.decompress, _ANY, lambda: (compressed(zlib.compress(TEXT * 9)),)
    ),
    "certificate": Target(
        parse_certificate,
        (CertificateSyntaxError,),
        lambda: (the_pki().hospital_signature.certificate.der, reader("mlkem768").certificate.der),
    ),
    "certificates": Target(
        parse_certificates,
        (CertificateSyntaxError,),
        lambda: (the_pki().hospital_signature.chain_pem.encode(), bare_signature()),
    ),
    "crl": Target(
        parse_revocation_list, (RevocationSyntaxError,), lambda: (the_pki().authority.crl(NOW),)
    ),
    "ocsp": Target(parse_ocsp_response, (RevocationSyntaxError,), responses),
    "private-key": Target(read_key, (), private_keys),
    "pkcs12": Target(
        lambda octets: load_pkcs12(octets, password=b"secret"),
        (KeySyntaxError, CertificateSyntaxError),
        bundles,
    ),
    "xml-signature": Target(verify_enveloped, (XmlSignatureError, CertificateSyntaxError), xml),
    "capabilities": Target(
        parse_capabilities, _CMS, lambda: (der.sequence(der.sequence(der.oid("1.2.3"))),)
    ),
    "recipient-list": Target(
        parse_recipient_list,
        _CMS,
        lambda: (listed(),),
    ),
    "smime-verify": Target(verify, _ANY, lambda: (signed(),)),
    "smime-decrypt": Target(open_bare, _ANY, bare_envelopes),
    "stream-decrypt": Target(open_stream, _ANY, envelopes),
    "stream-verify": Target(verify_stream, _ANY, lambda: (signed(),)),
    "multipart": Target(
        lambda octets: split_signed(read_entity(octets)), (SignatureError,), lambda: (signed(),)
    ),
    "header-protection": Target(restore, (MessageSyntaxError,), good_letters),
    "trial-keys": Target(try_keys, (), bare_envelopes),
    "armour": Target(decode_cms, (), lambda: (b"-----BEGIN CMS-----\nMAA=\n-----END CMS-----\n",)),
    "explain": Target(explain, (), letters),
    "zip": Target(documents.open_zip, (ArchiveError,), documents.archives),
    "archive": Target(documents.judge_archive, (ArchiveError,), documents.archives),
    "ebrim": Target(parse_metadata, (MetadataSyntaxError,), documents.metadata),
    "cda": Target(documents.judge_document, (), documents.documents),
    "svrl": Target(documents.read_report, (XMLRefusedError,), documents.reports),
    "hl7": Target(hospital.judge_request, (HL7SyntaxError, HL7RefusedError), hospital.requests),
}  # fmt: skip
