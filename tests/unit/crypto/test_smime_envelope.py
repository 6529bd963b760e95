import secrets
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import x25519

from crypto import algorithms, cms, der, enveloped_data, smime, trust
from crypto.certificates import Certificate
from crypto.entity import read_entity, wrap_base64
from crypto.errors import (
    CmsSyntaxError,
    CryptoError,
    DecryptionError,
    KeyUnavailableError,
    NoMatchingKeyError,
    NotEncryptedError,
    UnsupportedAlgorithmError,
)
from crypto.issuing import CertificateProfile, Issued
from crypto.keys import transport_padding
from crypto.smime import EnvelopeProfile, Kind
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, the_pki
from tests.unit.crypto.forging import ENTITY

READER = the_pki().practice_confidentiality
OTHER_READER = the_pki().hospital_confidentiality


def issued_for(key: str) -> Issued:
    return the_pki().authority.issue(
        CertificateProfile.CONFIDENTIALITY, HOSPITAL, at=ISSUED_AT, key=key
    )


def as_entity(octets: bytes) -> bytes:
    return (
        b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + wrap_base64(octets)
    )


def bare(entity: bytes) -> bytes:
    return read_entity(entity).decoded_body()


@pytest.mark.parametrize("profile", list(EnvelopeProfile))
@pytest.mark.parametrize("key", ["p256", "p384", "x25519", "rsa2048"])
def test_what_is_encrypted_opens_to_the_same_octets(key: str, profile: EnvelopeProfile) -> None:
    """Each kind of key, each profile."""
    reader = issued_for(key)

    sealed = smime.encrypt(ENTITY, recipients=[reader.certificate], profile=profile)
    opened = smime.decrypt(sealed, keys=reader.key_holder())

    assert opened.entity == ENTITY
    assert opened.recipient == reader.certificate
    assert opened.authenticated is (profile is EnvelopeProfile.MODERN)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 65536, 300_000])
@pytest.mark.parametrize("profile", [EnvelopeProfile.MODERN, EnvelopeProfile.COMPATIBLE])
def test_every_size_comes_back(size: int, profile: EnvelopeProfile) -> None:
    """Block edges and the steps of the length encoding are where sizes go wrong."""
    content = secrets.token_bytes(size)

    sealed = smime.encrypt(content, recipients=[READER.certificate], profile=profile)

    assert smime.decrypt(sealed, keys=READER.key_holder()).entity == content


def test_each_of_several_recipients_opens_it() -> None:
    """One message for a hospital and two practices, with keys of different kinds."""
    readers = [READER, OTHER_READER, issued_for("rsa2048"), issued_for("x25519")]

    sealed = smime.encrypt(ENTITY, recipients=[each.certificate for each in readers])

    opened = [smime.decrypt(sealed, keys=each.key_holder()).entity for each in readers]
    assert opened == [ENTITY] * 4


def test_the_same_recipient_twice_is_one_recipient_info() -> None:
    """Two mailboxes of one structure share a certificate."""
    sealed = smime.encrypt(ENTITY, recipients=[READER.certificate, READER.certificate])

    assert len(cms.parse_enveloped(bare(sealed)).recipients) == 1


def test_recipients_that_announce_gcm_get_it() -> None:
    """The capability in the certificates decides; nothing is guessed."""
    sealed = smime.encrypt(ENTITY, recipients=[READER.certificate, OTHER_READER.certificate])

    assert b"authEnveloped-data" in sealed
    assert cms.parse_enveloped(bare(sealed)).algorithm.oid == algorithms.AES256_GCM


def test_one_recipient_that_announces_nothing_makes_all_compatible() -> None:
    """Thunderbird cannot read GCM, and one message is for all."""
    silent = (
        the_pki().authority.issue(CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT).certificate
    )

    assert enveloped_data.profile_for([READER.certificate, silent]) is EnvelopeProfile.COMPATIBLE


def test_a_rsa_recipient_gets_oaep_unless_legacy_is_asked_for() -> None:
    """The old padding is only for recipients that can read nothing else, and by decision."""
    reader = issued_for("rsa2048")

    modern = smime.encrypt(ENTITY, recipients=[reader.certificate])
    legacy = smime.encrypt(ENTITY, recipients=[reader.certificate], profile=EnvelopeProfile.LEGACY)

    keys = reader.key_holder()
    assert smime.decrypt(modern, keys=keys).key_algorithm == "rsa-oaep-sha256"
    assert "legacy-rsa-pkcs1" in smime.decrypt(legacy, keys=keys).findings


def test_a_point_of_small_order_is_no_recipient() -> None:
    """Everybody could compute the secret shared with it."""
    honest = issued_for("x25519").certificate
    hostile = replace(
        honest, public_key=x25519.X25519PublicKey.from_public_bytes(bytes(32)), der=b"other"
    )

    with pytest.raises(UnsupportedAlgorithmError):
        smime.encrypt(ENTITY, recipients=[hostile])


def test_nobody_is_no_recipient() -> None:
    """It could never be opened."""
    with pytest.raises(KeyUnavailableError):
        smime.encrypt(ENTITY, recipients=[])


def test_a_signing_certificate_is_no_recipient() -> None:
    """Its key usage does not allow it, and its key may be in a card that cannot decrypt."""
    with pytest.raises(KeyUnavailableError):
        smime.encrypt(ENTITY, recipients=[the_pki().hospital_signature.certificate])


def test_a_message_for_others_is_told_apart() -> None:
    """Recipients are named in clear, so saying so gives nothing away."""
    sealed = smime.encrypt(ENTITY, recipients=[READER.certificate])

    with pytest.raises(NoMatchingKeyError):
        smime.decrypt(sealed, keys=OTHER_READER.key_holder())


def test_an_older_key_still_opens_old_mail() -> None:
    """After a rotation, mail on its way is still for the old certificate."""
    older, newer = issued_for("p256"), issued_for("p256")
    sealed = smime.encrypt(ENTITY, recipients=[older.certificate])

    opened = smime.decrypt(sealed, keys=newer.key_holder().with_older(older.key_holder()))

    assert opened.entity == ENTITY
    assert opened.recipient == older.certificate


def test_a_plain_entity_is_not_encrypted() -> None:
    """Not encrypted and not decryptable are different answers."""
    with pytest.raises(NotEncryptedError):
        smime.decrypt(ENTITY, keys=READER.key_holder())


def test_an_encrypted_part_beside_others_is_not_opened() -> None:
    """EFAIL: text around an encrypted part must never end up in one document with it."""
    sealed = smime.encrypt(ENTITY, recipients=[READER.certificate])
    mixed = (
        b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/html\r\n\r\n"
        b'<img src="http://x.example/\r\n--m\r\n' + sealed + b"\r\n--m--\r\n"
    )

    assert smime.classify(mixed) is Kind.PLAIN
    with pytest.raises(NotEncryptedError):
        smime.decrypt(mixed, keys=READER.key_holder())


def test_the_kind_is_told_by_the_structure_and_not_by_the_parameter() -> None:
    """KIM writes another smime-type than the RFC; a lying one must not mislead."""
    sealed = smime.encrypt(ENTITY, recipients=[READER.certificate])
    lying = sealed.replace(b"authEnveloped-data", b"signed-data")

    assert smime.classify(lying) is Kind.ENCRYPTED
    assert smime.decrypt(lying, keys=READER.key_holder()).entity == ENTITY


# --- Attacks ---------------------------------------------------------------------------------


@pytest.mark.parametrize("from_end", [1, 16, 20, 40])
def test_a_flipped_bit_in_authenticated_content_opens_nothing(from_end: int) -> None:
    """Tag or ciphertext: no octet leaves before the tag was found right."""
    octets = bytearray(bare(smime.encrypt(ENTITY, recipients=[READER.certificate])))
    octets[-from_end] ^= 1

    with pytest.raises(DecryptionError):
        smime.decrypt_cms(bytes(octets), keys=READER.key_holder())


@pytest.mark.parametrize("length", [0, 4, 8, 12, 15, 17])
def test_a_tag_of_another_length_than_stated_opens_nothing(length: int) -> None:
    """A short tag is guessed soon."""
    octets = bare(smime.encrypt(ENTITY, recipients=[READER.certificate]))

    with pytest.raises(DecryptionError):
        smime.decrypt_cms(with_tag(octets, length, stated=16), keys=READER.key_holder())


@pytest.mark.parametrize("length", [0, 4, 8, 11])
def test_a_short_tag_opens_nothing_even_when_stated(length: int) -> None:
    """RFC 5084 ends at twelve octets, and so do we."""
    octets = bare(smime.encrypt(ENTITY, recipients=[READER.certificate]))

    with pytest.raises(DecryptionError):
        smime.decrypt_cms(with_tag(octets, length, stated=length), keys=READER.key_holder())


def test_a_tag_of_twelve_octets_opens_with_a_remark() -> None:
    """It is the default of RFC 5084, so honest senders may use it."""
    octets = bare(smime.encrypt(ENTITY, recipients=[READER.certificate]))

    opened = smime.decrypt_cms(with_tag(octets, 12, stated=12), keys=READER.key_holder())

    assert opened.entity == ENTITY
    assert "short-tag" in opened.findings


def with_tag(octets: bytes, length: int, *, stated: int) -> bytes:
    """Rebuild an AuthEnvelopedData with a tag cut or lengthened to *length*."""
    fields = der.Fields(der.parse(octets).children()[1].children()[0])
    version, recipients, inner = fields.take(), fields.take(), der.Fields(fields.take())
    content_type, algorithm, ciphertext = inner.take(), inner.take(), inner.take()
    tag = fields.take().content
    nonce = algorithm.children()[1].children()[0]
    parameters = der.sequence(nonce.raw, der.integer(stated))
    return der.sequence(
        der.oid(algorithms.AUTH_ENVELOPED_DATA),
        der.encode(
            der.context(0),
            der.sequence(
                version.raw,
                recipients.raw,
                der.sequence(
                    content_type.raw,
                    der.sequence(der.oid(algorithms.AES256_GCM), parameters),
                    ciphertext.raw,
                ),
                der.octet_string((tag + bytes(16))[:length]),
            ),
        ),
    )


def relabelled(octets: bytes, cipher: str) -> bytes:
    """Turn an AuthEnvelopedData into an EnvelopedData of another cipher, keys untouched."""
    enveloped = cms.parse_enveloped(octets)
    fields = der.Fields(der.parse(octets).children()[1].children()[0])
    version, recipients = fields.take(), fields.take()
    padded = enveloped.ciphertext[: len(enveloped.ciphertext) // 16 * 16]
    algorithm = der.sequence(der.oid(cipher), der.octet_string(bytes(16)))
    return der.sequence(
        der.oid(algorithms.ENVELOPED_DATA),
        der.encode(
            der.context(0),
            der.sequence(
                version.raw,
                recipients.raw,
                der.sequence(der.oid(algorithms.DATA), algorithm, der.encode(0x80, padded)),
            ),
        ),
    )


def test_authenticated_content_relabelled_as_cbc_gives_no_plaintext() -> None:
    """AEAD downgrade: what comes out, if anything, is garbage marked as not authenticated."""
    octets = bare(smime.encrypt(ENTITY * 4, recipients=[READER.certificate]))

    with pytest.raises(DecryptionError):
        smime.decrypt_cms(
            relabelled(octets, algorithms.AES256_CBC),
            keys=READER.key_holder(),
            only_authenticated=True,
        )


@pytest.mark.parametrize(
    "cipher", [algorithms.AES256_GCM, "1.2.840.113549.3.7", "1.2.840.113549.3.2", "1.2.3"]
)
def test_ciphers_that_do_not_belong_are_refused_before_any_key_is_used(cipher: str) -> None:
    """GCM inside EnvelopedData, triple DES, RC2, and the unknown."""
    octets = bare(smime.encrypt(ENTITY, recipients=[READER.certificate]))

    with pytest.raises(UnsupportedAlgorithmError):
        smime.decrypt_cms(relabelled(octets, cipher), keys=READER.key_holder())


def test_flipped_cbc_content_never_verifies() -> None:
    """EFAIL gadgets: CBC lets anybody change blocks, so the signature inside must catch it."""
    pki = the_pki()
    signed = smime.sign(ENTITY, keys=pki.hospital_signature.key_holder(), at=NOW)
    octets = bytearray(
        bare(
            smime.encrypt(
                signed, recipients=[READER.certificate], profile=EnvelopeProfile.COMPATIBLE
            )
        )
    )
    start = octets.find(cms.parse_enveloped(bytes(octets)).ciphertext)
    # The block before the one that holds the word is garbled, and the word itself is chosen.
    octets[start + (signed.find(b"sortie") // 16 - 1) * 16] ^= 0x20

    opened = smime.decrypt_cms(bytes(octets), keys=READER.key_holder())

    assert not opened.authenticated
    assert opened.entity != signed
    with pytest.raises(CryptoError):
        smime.verify(opened.entity, store=pki.store(), profile=trust.MAIL_SIGNING, at=NOW)


RSA_READER = issued_for("rsa2048")


@pytest.mark.parametrize("name", ["random", "wrong-length", "wrong-padding", "longer", "empty"])
def test_wrong_rsa_blobs_all_get_the_same_answer(name: str) -> None:
    """Bleichenbacher: nothing in the answer tells good padding from bad."""
    key = RSA_READER.certificate.parsed.public_key()
    old = transport_padding(algorithms.KeyTransport.PKCS1)
    blobs = {
        "random": b"\x01" + secrets.token_bytes(255),
        "wrong-length": key.encrypt(bytes(16), old),  # type: ignore[union-attr]
        "wrong-padding": bytes(255) + b"\x02",
        "longer": bytes(257),
        "empty": b"",
    }
    octets = legacy_gcm(blobs[name])

    with pytest.raises(DecryptionError) as refusal:
        smime.decrypt_cms(octets, keys=RSA_READER.key_holder())

    assert type(refusal.value) is DecryptionError
    assert str(refusal.value) == "undecryptable"


def legacy_gcm(encrypted_key: bytes) -> bytes:
    """An AuthEnvelopedData whose only recipient has this PKCS #1 blob."""
    certificate = RSA_READER.certificate
    recipient = der.sequence(
        der.integer(0),
        der.sequence(certificate.issuer_der, certificate.serial_der),
        der.sequence(der.oid(algorithms.RSA), der.null()),
        der.octet_string(encrypted_key),
    )
    parameters = der.sequence(der.octet_string(bytes(12)), der.integer(16))
    inner = der.sequence(
        der.oid(algorithms.DATA),
        der.sequence(der.oid(algorithms.AES256_GCM), parameters),
        der.encode(0x80, bytes(64)),
    )
    body = der.sequence(
        der.integer(0), der.encode(der.SET, recipient), inner, der.octet_string(bytes(16))
    )
    return der.sequence(der.oid(algorithms.AUTH_ENVELOPED_DATA), der.encode(der.context(0), body))


@pytest.mark.parametrize("at", range(4))
def test_a_point_off_the_curve_gets_the_same_answer(at: int) -> None:
    """Invalid-curve attacks read a private key from answers that differ."""
    octets = bytearray(bare(smime.encrypt(ENTITY, recipients=[READER.certificate])))
    recipient = cms.parse_enveloped(bytes(octets)).recipients[0]
    assert isinstance(recipient, cms.KeyAgreeRecipient)
    start = octets.find(recipient.originator)
    octets[start + 10 + at] ^= 0xFF

    with pytest.raises(DecryptionError) as refusal:
        smime.decrypt_cms(bytes(octets), keys=READER.key_holder())

    assert type(refusal.value) is DecryptionError


def test_a_thousand_and_one_recipients_are_too_many() -> None:
    """Each one costs a key agreement to write and a comparison to read."""
    with pytest.raises(KeyUnavailableError):
        smime.encrypt(ENTITY, recipients=_distinct(1001))


def _distinct(count: int) -> list[Certificate]:
    """Certificates that differ without the cost of issuing: only equality is looked at."""
    base = READER.certificate
    return [replace(base, der=base.der + bytes([n >> 8, n & 255])) for n in range(count)]


def test_recipients_beyond_a_mebibyte_are_refused() -> None:
    """The list is read whole, so it is bounded."""
    recipient = der.sequence(der.integer(0), der.octet_string(bytes(1024 * 1024)))
    body = der.sequence(der.integer(0), der.encode(der.SET, recipient))
    octets = der.sequence(der.oid(algorithms.ENVELOPED_DATA), der.encode(der.context(0), body))

    with pytest.raises(CmsSyntaxError, match="recipients-too-large"):
        smime.decrypt_cms(octets, keys=READER.key_holder())


def test_recipients_of_a_kind_that_we_do_not_know_are_passed_over() -> None:
    """A password or a post-quantum recipient beside ours must not stop us."""
    octets = bare(smime.encrypt(ENTITY, recipients=[READER.certificate]))
    fields = der.Fields(der.parse(octets).children()[1].children()[0])
    version, recipients = fields.take(), fields.take()
    rest = b"".join(each.raw for each in (fields.take(), fields.take()))
    unknown = der.encode(der.context(4), der.oid("1.2.840.113549.1.9.16.13.99"), der.null())
    body = der.sequence(version.raw, der.encode(der.SET, unknown, recipients.content), rest)
    grown = der.sequence(der.oid(algorithms.AUTH_ENVELOPED_DATA), der.encode(der.context(0), body))

    assert smime.decrypt_cms(grown, keys=READER.key_holder()).entity == ENTITY
