"""ML-KEM recipients, and the double envelope made of them."""

import base64
import re
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap

from crypto import algorithms, cms, der, kem, smime, trust
from crypto.certificates import Certificate
from crypto.content_encryption import open_decryptor, read_content_algorithm
from crypto.content_key import unwrapping_key
from crypto.entity import read_entity, wrap_base64
from crypto.errors import (
    CmsSyntaxError,
    CryptoError,
    DecryptionError,
    KeyUnavailableError,
    NoMatchingKeyError,
    NotEncryptedError,
    UnsupportedAlgorithmError,
    UntrustedError,
)
from crypto.issuing import CertificateProfile, Issued
from crypto.key_derivation import encapsulation_info
from crypto.keys import SoftwareKeyHolder, parse_private_key
from tests.support.ml_kem import decapsulate_512, public_key_512
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, the_pki
from tests.unit.crypto.forging import ENTITY

EXAMPLE = Path(__file__).parents[4] / "shared" / "data" / "smime" / "rfc9936"
READER = the_pki().practice_confidentiality
OTHER_READER = the_pki().hospital_confidentiality

needs_data = pytest.mark.skipif(not EXAMPLE.exists(), reason="../shared/data is absent")


@cache
def post_quantum(kind: str = "mlkem768") -> Issued:
    return the_pki().authority.issue(
        CertificateProfile.CONFIDENTIALITY, HOSPITAL, at=ISSUED_AT, key=kind
    )


@cache
def wrapped() -> bytes:
    """A letter in both envelopes."""
    inner = smime.encrypt(ENTITY, recipients=[READER.certificate])
    return kem.wrap(inner, recipients=[post_quantum().certificate])


def bare(entity: bytes) -> bytes:
    return read_entity(entity).decoded_body()


def as_entity(octets: bytes) -> bytes:
    return (
        b"Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + wrap_base64(octets)
    )


# --- The example of RFC 9936 -----------------------------------------------------------------


def example(name: str) -> bytes:
    return bytes.fromhex("".join((EXAMPLE / f"{name}.txt").read_text(encoding="ascii").split()))


def unarmoured(name: str) -> bytes:
    text = (EXAMPLE / name).read_text(encoding="ascii")
    return base64.b64decode("".join(re.findall(r"^[A-Za-z0-9+/=]+$", text, re.MULTILINE)))


def example_message() -> cms.Enveloped:
    return cms.parse_enveloped(unarmoured("ML-KEM-512.cms"))


def example_recipient() -> cms.KemRecipient:
    (recipient,) = example_message().recipients
    assert isinstance(recipient, cms.KemRecipient)
    return recipient


def example_seed() -> bytes:
    """The private key is a seed behind the fixed head of its PKCS #8 form."""
    return unarmoured("ML-KEM-512-seed.priv")[-64:]


@needs_data
def test_the_example_has_the_ciphertext_and_the_wrapped_key_of_its_files() -> None:
    """What is read is where the RFC says that it is."""
    recipient = example_recipient()

    assert recipient.encapsulated == example("ciphertext")
    assert recipient.encrypted_key == example("encrypted_cek")
    assert recipient.algorithm.oid == "2.16.840.1.101.3.4.4.1"
    assert recipient.derivation.oid == algorithms.HKDF_SHA256


@needs_data
def test_the_example_s_seed_makes_its_public_key() -> None:
    """Else the shared secret below would be that of another key."""
    assert unarmoured("ML-KEM-512.pub").endswith(public_key_512(example_seed()))


@needs_data
def test_the_example_s_shared_secret_comes_out() -> None:
    """The library has no ML-KEM-512, so it is computed from the text of FIPS 203."""
    assert decapsulate_512(example_seed(), example("ciphertext")) == example("shared_secret")


@needs_data
def test_the_example_s_derivation_context_comes_out() -> None:
    """CMSORIforKEMOtherInfo, without keying material."""
    recipient = example_recipient()

    info = encapsulation_info(
        wrap=recipient.wrap.raw,
        size=recipient.key_octets,
        material=recipient.user_keying_material,
    )

    assert info == example("ori_info")


@needs_data
def test_the_example_s_key_encryption_key_comes_out() -> None:
    """From the shared secret, as the product does it."""
    assert unwrapping_key(example_recipient(), example("shared_secret")) == example("kek")


@needs_data
def test_the_example_s_content_key_comes_out() -> None:
    """AES key wrap with 128 bits."""
    assert aes_key_unwrap(example("kek"), example_recipient().encrypted_key) == example("cek")


@needs_data
def test_the_example_s_plaintext_comes_out() -> None:
    """AES-128-GCM, tag checked."""
    message = example_message()
    algorithm = read_content_algorithm(message.algorithm, has_tag=True)

    decryptor = open_decryptor(
        algorithm, example("cek"), tag=message.tag, attributes=message.authenticated_attributes
    )
    plaintext = decryptor.update(message.ciphertext) + decryptor.finish()

    assert plaintext == (EXAMPLE / "plaintext.txt").read_bytes()


# --- Both envelopes --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mlkem768", "mlkem1024"])
def test_a_letter_in_both_envelopes_opens_with_both_keys(kind: str) -> None:
    """Outer post-quantum, inner classical: two openings, each with its own key."""
    outer = post_quantum(kind)
    inner = smime.encrypt(ENTITY, recipients=[READER.certificate])

    opened = kem.unwrap(kem.wrap(inner, recipients=[outer.certificate]), keys=outer.key_holder())

    assert opened.entity == inner
    assert opened.authenticated
    assert opened.key_algorithm == kind.replace("mlkem", "ml-kem-")
    assert smime.decrypt(opened.entity, keys=READER.key_holder()).entity == ENTITY


def test_the_outer_key_alone_does_not_read() -> None:
    """Lattices may be broken and the curve still holds."""
    opened = kem.unwrap(wrapped(), keys=post_quantum().key_holder())

    with pytest.raises(NoMatchingKeyError):
        smime.decrypt(opened.entity, keys=post_quantum().key_holder())


def test_the_inner_key_alone_does_not_read() -> None:
    """The curve may be broken and ML-KEM still holds."""
    with pytest.raises(NoMatchingKeyError):
        kem.unwrap(wrapped(), keys=READER.key_holder())


def test_a_private_key_survives_being_written() -> None:
    """PKCS #8 holds the seed."""
    issued = post_quantum()
    key = parse_private_key(issued.private_key_pem.encode())
    holder = SoftwareKeyHolder([(issued.certificate, key)])

    assert kem.unwrap(wrapped(), keys=holder).key_algorithm == "ml-kem-768"


def test_several_operators_keys_each_open_the_outer_envelope() -> None:
    """An operator may be between two keys."""
    holders = [post_quantum("mlkem768"), post_quantum("mlkem1024")]
    inner = smime.encrypt(ENTITY, recipients=[READER.certificate])

    sealed = kem.wrap(inner, recipients=[each.certificate for each in holders])

    assert [kem.unwrap(sealed, keys=each.key_holder()).entity for each in holders] == [inner] * 2


def test_a_letter_in_clear_is_not_wrapped() -> None:
    """ML-KEM alone is young: it is a second lock, not the only one."""
    with pytest.raises(NotEncryptedError):
        kem.wrap(ENTITY, recipients=[post_quantum().certificate])


def test_the_outer_envelope_takes_no_classical_recipient() -> None:
    """Either key would open it, so the weaker would decide."""
    inner = smime.encrypt(ENTITY, recipients=[READER.certificate])

    with pytest.raises(KeyUnavailableError) as refusal:
        kem.wrap(inner, recipients=[post_quantum().certificate, OTHER_READER.certificate])

    assert refusal.value.reason == "not-post-quantum"


def test_no_envelope_mixes_post_quantum_and_classical_recipients() -> None:
    """Not even for a caller that does not use the double envelope."""
    with pytest.raises(KeyUnavailableError) as refusal:
        smime.encrypt(ENTITY, recipients=[post_quantum().certificate, READER.certificate])

    assert refusal.value.reason == "post-quantum-beside-classical"


def test_nobody_is_no_recipient_of_the_outer_envelope() -> None:
    """It could never be opened."""
    inner = smime.encrypt(ENTITY, recipients=[READER.certificate])

    with pytest.raises(KeyUnavailableError):
        kem.wrap(inner, recipients=[])


def test_a_classical_envelope_is_not_unwrapped() -> None:
    """A peer that is bound to send both layers cannot leave one out unseen."""
    inner = smime.encrypt(ENTITY, recipients=[READER.certificate])

    assert not kem.is_wrapped(inner)
    with pytest.raises(NotEncryptedError):
        kem.unwrap(inner, keys=READER.key_holder())


def test_an_outer_envelope_around_clear_content_is_not_unwrapped() -> None:
    """The inner layer left out would go unseen otherwise."""
    sealed = smime.encrypt(ENTITY, recipients=[post_quantum().certificate])

    assert kem.is_wrapped(sealed)
    with pytest.raises(NotEncryptedError):
        kem.unwrap(sealed, keys=post_quantum().key_holder())


def test_a_letter_in_clear_is_not_wrapped_either() -> None:
    """The question has an answer for any entity."""
    assert not kem.is_wrapped(ENTITY)


def test_the_outer_envelope_is_written_as_the_rfc_asks() -> None:
    """Version 0 all around, HKDF with SHA-256, AES-256 key wrap, no parameters, no material."""
    enveloped = cms.parse_enveloped(bare(wrapped()))
    (recipient,) = enveloped.recipients

    assert isinstance(recipient, cms.KemRecipient)
    assert recipient.algorithm.raw == der.sequence(der.oid("2.16.840.1.101.3.4.4.2"))
    assert recipient.derivation.raw == der.sequence(der.oid("1.2.840.113549.1.9.16.3.28"))
    assert recipient.wrap.raw == der.sequence(der.oid("2.16.840.1.101.3.4.1.45"))
    assert recipient.key_octets == 32
    assert recipient.user_keying_material is None
    assert enveloped.algorithm.oid == algorithms.AES256_GCM


@pytest.mark.parametrize("kind", ["mlkem768", "mlkem1024"])
def test_a_certificate_for_ml_kem_is_trusted_to_encrypt_for(kind: str) -> None:
    """Like any other, by its chain, its usage and its revocation status."""
    pki = the_pki()
    leaf = post_quantum(kind).certificate

    chain = trust.validate(leaf, store=pki.store(), profile=trust.MAIL_ENCRYPTION, at=NOW)

    assert chain.leaf == leaf


def test_a_certificate_for_ml_kem_is_not_trusted_to_sign() -> None:
    """Its key cannot."""
    with pytest.raises(UntrustedError) as refusal:
        trust.validate(
            post_quantum().certificate,
            store=the_pki().store(),
            profile=trust.MAIL_SIGNING,
            at=NOW,
        )

    assert refusal.value.reason == "key-usage"


# --- What strangers change -------------------------------------------------------------------


def changed(
    certificate: Certificate | None = None,
    *,
    version: int = 0,
    mechanism: bytes = der.sequence(der.oid(algorithms.ML_KEM_768)),
    encapsulated: bytes | None = None,
    derivation: bytes = der.sequence(der.oid(algorithms.HKDF_SHA256)),
    size: int = 32,
    material: bytes = b"",
    wrap: bytes = der.sequence(der.oid(algorithms.AES256_WRAP)),
    more: bytes = b"",
) -> bytes:
    """The outer envelope with one member of its recipient replaced."""
    octets = bare(wrapped())
    (recipient,) = cms.parse_enveloped(octets).recipients
    assert isinstance(recipient, cms.KemRecipient)
    named = certificate or post_quantum().certificate
    info = der.encode(
        der.context(4),
        der.oid(algorithms.KEM_RECIPIENT),
        der.sequence(
            der.integer(version),
            der.sequence(named.issuer_der, named.serial_der),
            mechanism,
            der.octet_string(recipient.encapsulated if encapsulated is None else encapsulated),
            derivation,
            der.integer(size),
            material,
            wrap,
            der.octet_string(recipient.encrypted_key),
            more,
        ),
    )
    fields = der.Fields(der.parse(octets).children()[1].children()[0])
    before, _, inner, tag = (fields.take().raw for _ in range(4))
    body = der.sequence(before, der.encode(der.SET, info), inner, tag)
    return der.sequence(der.oid(algorithms.AUTH_ENVELOPED_DATA), der.encode(der.context(0), body))


def test_the_outer_envelope_rebuilt_unchanged_opens() -> None:
    """Else the tests below would pass for another reason."""
    opened = smime.decrypt_cms(changed(), keys=post_quantum().key_holder())

    assert opened.key_algorithm == "ml-kem-768"


@pytest.mark.parametrize(
    ("octets", "error", "reason"),
    [
        pytest.param(changed(version=3), CmsSyntaxError, "kem-version", id="version"),
        pytest.param(
            changed(mechanism=der.sequence(der.oid("2.16.840.1.101.3.4.4.1"))),
            UnsupportedAlgorithmError,
            "key-encapsulation",
            id="ml-kem-512",
        ),
        pytest.param(
            changed(mechanism=der.sequence(der.oid(algorithms.ML_KEM_768), der.null())),
            CmsSyntaxError,
            "kem-parameters",
            id="mechanism parameters",
        ),
        pytest.param(
            changed(mechanism=der.sequence(der.oid(algorithms.ML_KEM_1024))),
            CmsSyntaxError,
            "recipient-key-mismatch",
            id="the other parameter set",
        ),
        pytest.param(
            changed(READER.certificate),
            CmsSyntaxError,
            "recipient-key-mismatch",
            id="a curve's certificate",
        ),
        pytest.param(
            changed(encapsulated=bytes(1087)), CmsSyntaxError, "kem-ciphertext-length", id="short"
        ),
        pytest.param(
            changed(encapsulated=b""), CmsSyntaxError, "kem-ciphertext-length", id="empty"
        ),
        pytest.param(
            changed(derivation=der.sequence(der.oid("1.2.3"))),
            UnsupportedAlgorithmError,
            "key-derivation",
            id="derivation",
        ),
        pytest.param(
            changed(derivation=der.sequence(der.oid(algorithms.HKDF_SHA256), der.null())),
            CmsSyntaxError,
            "key-derivation-parameters",
            id="derivation parameters",
        ),
        pytest.param(changed(size=16), CmsSyntaxError, "kem-key-length", id="key length"),
        pytest.param(changed(size=-1), CmsSyntaxError, "kem-key-length", id="negative length"),
        pytest.param(
            changed(wrap=der.sequence(der.oid("1.2.840.113549.1.9.16.3.6"))),
            UnsupportedAlgorithmError,
            "weak-cipher",
            id="triple DES wrap",
        ),
        pytest.param(
            changed(wrap=der.sequence(der.oid(algorithms.AES256_WRAP), der.octet_string(b"x"))),
            CmsSyntaxError,
            "key-wrap-parameters",
            id="wrap parameters",
        ),
        pytest.param(changed(more=der.null()), CmsSyntaxError, "unexpected-field", id="more"),
    ],
)
def test_a_recipient_of_another_form_is_refused_with_its_reason(
    octets: bytes, error: type[CryptoError], reason: str
) -> None:
    """By what anybody can see, before a key is used."""
    keys = post_quantum().key_holder().with_older(READER.key_holder())

    with pytest.raises(error) as refusal:
        smime.decrypt_cms(octets, keys=keys)

    assert getattr(refusal.value, "reason", "") == reason


@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(changed(encapsulated=bytes(1088)), id="zeros"),
        pytest.param(changed(encapsulated=b"\xff" * 1088), id="out of range"),
        pytest.param(
            changed(material=der.encode(der.context(0), der.octet_string(bytes(32)))),
            id="material added",
        ),
        pytest.param(
            changed(derivation=der.sequence(der.oid("1.2.840.113549.1.9.16.3.29"))),
            id="derived with SHA-384",
        ),
        pytest.param(
            changed(wrap=der.sequence(der.oid(algorithms.AES256_WRAP), der.null())),
            id="wrap with NULL",
        ),
        pytest.param(
            changed(size=16, wrap=der.sequence(der.oid(algorithms.AES128_WRAP))),
            id="smaller key",
        ),
    ],
)
def test_whatever_changes_the_key_gets_the_one_answer(octets: bytes) -> None:
    """ML-KEM rejects implicitly: a wrong ciphertext gives a wrong secret, and no error."""
    with pytest.raises(DecryptionError) as refusal:
        smime.decrypt_cms(octets, keys=post_quantum().key_holder())

    assert type(refusal.value) is DecryptionError
    assert str(refusal.value) == "undecryptable"


def test_another_key_of_the_same_name_gets_the_one_answer() -> None:
    """A certificate renewed under its old serial number, say."""
    mine = post_quantum("mlkem768")
    other = the_pki().authority.issue(
        CertificateProfile.CONFIDENTIALITY, HOSPITAL, at=ISSUED_AT, key="mlkem768"
    )

    with pytest.raises(DecryptionError) as refusal:
        smime.decrypt_cms(changed(other.certificate), keys=other.key_holder())

    assert mine.certificate != other.certificate
    assert str(refusal.value) == "undecryptable"


def test_unwrapping_refuses_what_is_damaged() -> None:
    """One bit of the outer tag."""
    octets = bytearray(bare(wrapped()))
    octets[-1] ^= 1

    with pytest.raises(DecryptionError):
        kem.unwrap(as_entity(bytes(octets)), keys=post_quantum().key_holder())
