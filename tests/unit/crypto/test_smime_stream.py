"""Letters that are signed, encrypted and read from file to file."""

import io
import zlib
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from crypto import algorithms, der, layers, smime, smime_stream, trust
from crypto.certificates import Certificate
from crypto.entity import read_entity, wrap_base64
from crypto.errors import (
    DecryptionError,
    IndeterminateError,
    KeyUnavailableError,
    NoMatchingKeyError,
    NotEncryptedError,
    NotSignedError,
    SignatureError,
    UntrustedError,
)
from crypto.flow import Flow, FlowChangedError
from crypto.issuing import CertificateProfile
from crypto.quarantine import SealedTemporaryFile
from crypto.smime import EnvelopeProfile
from crypto.smime_stream import SignedForm, Trust
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, make_pki, the_pki
from tests.support.streaming import Reader, quarantines
from tests.unit.crypto import forging
from tests.unit.crypto.forging import ENTITY

SIGNER = the_pki().hospital_signature
READER = the_pki().practice_confidentiality
TRUST = Trust(store=the_pki().store(), profile=trust.MAIL_SIGNING, at=NOW)
LONG = b"Content-Type: text/plain\r\n\r\n" + b"Lettre de sortie, longue.\r\n" * 40_000
WHO = Reader(keys=READER.key_holder(), store=TRUST.store, profile=TRUST.profile, at=TRUST.at)


def sealed(
    content: bytes = ENTITY,
    *,
    recipients: Sequence[Certificate] = (READER.certificate,),
    profile: EnvelopeProfile = EnvelopeProfile.MODERN,
    form: SignedForm = SignedForm.CLEAR,
) -> bytes:
    sink = io.BytesIO()
    smime_stream.sign_and_encrypt(
        io.BytesIO(content),
        sink,
        keys=SIGNER.key_holder(),
        recipients=recipients,
        profile=profile,
        at=NOW,
        chain=SIGNER.chain,
        form=form,
    )
    return sink.getvalue()


def signed(content: bytes = ENTITY, *, form: SignedForm = SignedForm.CLEAR) -> bytes:
    sink = io.BytesIO()
    smime_stream.sign(io.BytesIO(content), sink, keys=SIGNER.key_holder(), at=NOW, form=form)
    return sink.getvalue()


def encrypted(content: bytes, profile: EnvelopeProfile = EnvelopeProfile.MODERN) -> bytes:
    return smime.encrypt(content, recipients=[READER.certificate], profile=profile)


def rewritten(letter: bytes, change: Callable[[bytearray], object]) -> bytes:
    """A letter whose bare CMS object went through *change*."""
    header = read_entity(letter)
    octets = bytearray(header.decoded_body())
    change(octets)
    return letter[: header.body_at] + wrap_base64(bytes(octets))


# --- What is written -------------------------------------------------------------------------


@pytest.mark.parametrize("form", SignedForm)
@pytest.mark.parametrize("profile", EnvelopeProfile)
@pytest.mark.parametrize("size", [0, 15, 16, 57, 131_071, 131_072, 131_073, 300_000])
def test_what_streams_out_opens_in_memory(
    size: int, profile: EnvelopeProfile, form: SignedForm
) -> None:
    """Block, line and piece edges are where sizes go wrong."""
    content = (b"Content-Type: text/plain\r\n\r\n" + b"x" * 300_000)[: size or None]

    letter = sealed(content, profile=profile, form=form)

    found = layers.unwrap(letter, keys=WHO.keys, store=WHO.store, profile=WHO.profile, at=WHO.at)
    assert found.content == content
    assert found.judgement == "valid"
    assert WHO.streaming(letter) == WHO.in_memory(letter)


@pytest.mark.parametrize("key", ["p256", "p384", "rsa2048", "ed25519"])
def test_every_kind_of_key_signs_a_stream(key: str) -> None:
    """The digest goes with the key."""
    signer = the_pki().authority.issue(
        CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT, key=key
    )
    sink = io.BytesIO()
    smime_stream.sign(io.BytesIO(LONG), sink, keys=signer.key_holder(), at=NOW)

    with_memory = smime.verify(sink.getvalue(), store=TRUST.store, profile=TRUST.profile, at=NOW)
    with_files = smime_stream.verify(sink, trust=TRUST, quarantine=quarantines())

    assert with_memory.content == with_files.content.read() == LONG
    assert with_files.proof.signers == with_memory.signers


def test_both_ways_write_the_same_layout() -> None:
    """Only what is drawn at random differs: the boundary."""
    in_memory = smime.sign(LONG, keys=SIGNER.key_holder(), at=NOW)
    streamed = signed(LONG)

    def form(entity: bytes) -> tuple[bytes, ...]:
        boundary = read_entity(entity).parameters["boundary"].encode()
        lines = entity.replace(boundary, b"").split(b"\r\n")
        return tuple(line for line in lines if b":" in line or line.startswith((b"--", b" micalg")))

    assert form(streamed) == form(in_memory)
    assert len(streamed) - len(in_memory) in range(-8, 9)  # an ECDSA signature varies a little


def test_bare_line_feeds_become_line_ends() -> None:
    """As in memory; and also when they are cut between two pieces."""
    letter = sealed(LONG.replace(b"\r\n", b"\n"))

    assert WHO.streaming(letter).content == LONG


def test_a_flow_may_be_put_together() -> None:
    """A new header and an old body need no file of their own."""
    from_parts = Flow(lambda: iter((ENTITY[:20], ENTITY[20:])))
    sink = io.BytesIO()
    smime_stream.encrypt(from_parts, sink, recipients=[READER.certificate])

    assert smime.decrypt(sink.getvalue(), keys=WHO.keys).entity == ENTITY


@pytest.mark.parametrize("second", [ENTITY + b"x", ENTITY[:-1], b""])
def test_a_source_that_changes_is_not_sealed(second: bytes) -> None:
    """Between the reading that measures and the one that encrypts."""
    readings = iter([ENTITY, second])
    source = Flow(lambda: iter((next(readings),)))

    with pytest.raises(FlowChangedError):
        smime_stream.encrypt(source, io.BytesIO(), recipients=[READER.certificate])


def test_nobody_is_no_recipient() -> None:
    """Nothing is written for nobody."""
    sink = io.BytesIO()

    with pytest.raises(KeyUnavailableError):
        smime_stream.encrypt(io.BytesIO(ENTITY), sink, recipients=[])
    assert sink.getvalue() == b""


def test_twenty_recipients_each_read_it() -> None:
    """Each with a key of their own."""
    authority = the_pki().authority
    readers = [
        authority.issue(CertificateProfile.CONFIDENTIALITY, HOSPITAL, at=ISSUED_AT)
        for _ in range(20)
    ]
    letter = sealed(recipients=[each.certificate for each in readers])

    for_each = [smime.decrypt(letter, keys=each.key_holder()).entity for each in readers]
    assert len(set(for_each)) == 1


# --- What is read ----------------------------------------------------------------------------


def indefinite(tag: int, *parts: bytes) -> bytes:
    return bytes((tag, 0x80)) + b"".join(parts) + b"\x00\x00"


def as_streaming_software_writes(letter: bytes, size: int) -> bytes:
    """The same message in indefinite lengths, its content in pieces of *size*."""
    header = read_entity(letter)
    kind, explicit = der.parse(header.decoded_body()).children()
    members = explicit.children()[0].children()
    at = next(i for i, each in enumerate(members) if each.tag == der.SEQUENCE)
    oid, algorithm, ciphertext = members[at].children()
    content = ciphertext.content
    pieces = (der.octet_string(content[i : i + size]) for i in range(0, len(content), size))
    inner = indefinite(der.SEQUENCE, oid.raw, algorithm.raw, indefinite(0xA0, *pieces))
    body = (*(each.raw for each in members[:at]), inner, *(each.raw for each in members[at + 1 :]))
    whole = indefinite(
        der.SEQUENCE, kind.raw, indefinite(der.context(0), indefinite(der.SEQUENCE, *body))
    )
    return letter[: header.body_at] + wrap_base64(whole)


@pytest.mark.parametrize("profile", EnvelopeProfile)
@pytest.mark.parametrize("size", [100, 1000, 1024, 200_000])
def test_messages_in_indefinite_lengths_are_read(profile: EnvelopeProfile, size: int) -> None:
    """What everybody writes who streams without knowing the size."""
    letter = as_streaming_software_writes(sealed(LONG[:150_000], profile=profile), size)

    found = WHO.streaming(letter)

    assert found.content == LONG[:150_000]
    assert found == WHO.in_memory(letter)


@pytest.mark.parametrize(
    "encode",
    [
        lambda octets: b"Content-Transfer-Encoding: binary\r\n\r\n" + octets,
        lambda octets: b"\r\n" + wrap_base64(octets),
        lambda octets: b"Content-Transfer-Encoding: BASE64\r\n\r\n\r\n\r\n" + wrap_base64(octets),
        lambda octets: (
            b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
            + b"=\r\n".join(
                b"".join(b"=%02X" % octet for octet in octets[at : at + 24])
                for at in range(0, len(octets), 24)
            )
        ),
    ],
    ids=["binary", "not-announced", "capitals-and-empty-lines", "quoted-printable"],
)
def test_every_transfer_encoding_is_undone(encode: Callable[[bytes], bytes]) -> None:
    """As in memory."""
    bare = read_entity(sealed(LONG[:200_000])).decoded_body()
    letter = b"Content-Type: application/pkcs7-mime; name=smime.p7m\r\n" + encode(bare)

    found = WHO.streaming(letter)

    assert found.content == LONG[:200_000]
    assert found == WHO.in_memory(letter)


def test_triple_wrapping_is_taken_off() -> None:
    """Signed, encrypted, signed again: each layer is reported."""
    letter = signed(sealed(LONG), form=SignedForm.OPAQUE)

    found = WHO.streaming(letter)

    assert [each[0] for each in found.layers] == ["signed", "encrypted", "signed"]
    assert found == WHO.in_memory(letter)
    assert found.content == LONG


def test_a_fifth_layer_ends_the_search() -> None:
    """Nobody wraps so often, and each layer costs a file."""
    letter = ENTITY
    for _ in range(5):
        letter = encrypted(letter)

    assert WHO.streaming(letter) == WHO.in_memory(letter)
    assert WHO.streaming(letter).content is None


def test_a_plain_letter_is_its_own_content() -> None:
    """Nothing is claimed, nothing is judged, and no file is needed."""
    aside = quarantines()

    with smime_stream.open(
        io.BytesIO(ENTITY), keys=WHO.keys, quarantine=aside, trust=TRUST
    ) as opened:
        assert opened.content is not None
        assert opened.content.read() == ENTITY
        assert opened.report.judgement == "not-signed"
    assert aside.files == []


def test_evidence_is_the_signed_entity() -> None:
    """It is kept so that the signature can be judged again."""
    inner = signed(LONG)

    with smime_stream.open(
        io.BytesIO(encrypted(inner)), keys=WHO.keys, quarantine=quarantines(), trust=TRUST
    ) as opened:
        assert opened.evidence is not None
        assert opened.evidence.read() == inner


def test_a_sealed_quarantine_serves(tmp_path: Path) -> None:
    """The disk sees neither the letter nor a name."""
    with smime_stream.open(
        io.BytesIO(sealed(LONG, form=SignedForm.OPAQUE)),
        keys=WHO.keys,
        quarantine=lambda: SealedTemporaryFile(tmp_path),
        trust=TRUST,
    ) as opened:
        assert opened.content is not None
        assert opened.content.read() == LONG
        assert list(tmp_path.iterdir()) == []


VARIED = b"Content-Type: text/plain\r\n\r\n" + b"".join(
    sha256(number.to_bytes(4, "big")).hexdigest().encode() + b"\r\n" for number in range(8000)
)
"""What does not compress to nothing: that would be taken for a bomb."""


def compressed(content: bytes, change: Callable[[bytearray], object] = len) -> bytes:
    octets = bytearray(zlib.compress(content))
    change(octets)
    inside = der.sequence(
        der.oid(algorithms.DATA), der.encode(der.context(0), der.octet_string(bytes(octets)))
    )
    data = der.sequence(der.integer(0), der.sequence(der.oid(algorithms.ZLIB)), inside)
    cms = der.sequence(der.oid(algorithms.COMPRESSED_DATA), der.encode(der.context(0), data))
    return (
        b"Content-Type: application/pkcs7-mime; smime-type=compressed-data\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + wrap_base64(cms)
    )


@pytest.mark.parametrize(
    "letter",
    [compressed(signed(VARIED)), signed(compressed(VARIED)), encrypted(signed(compressed(VARIED)))],
    ids=["around-a-signature", "inside-a-signature", "inside-everything"],
)
def test_compression_is_taken_off(letter: bytes) -> None:
    """Wherever it is (RFC 8551, 3.6)."""
    found = WHO.streaming(letter)

    assert found.content == VARIED
    assert found == WHO.in_memory(letter)


@pytest.mark.parametrize(
    ("letter", "reason"),
    [
        (compressed(bytes(6_000_000)), "decompressed-too-large"),
        (compressed(VARIED, lambda octets: octets.pop()), "compressed-truncated"),
        (compressed(VARIED, lambda octets: octets.append(0)), "compressed-trailing-octets"),
        (compressed(VARIED, lambda octets: octets.reverse()), "compressed-content"),
    ],
)
def test_bad_compression_is_refused_within_limits(letter: bytes, reason: str) -> None:
    """For the same reason as in memory, and nothing of it remains."""
    found = WHO.streaming(letter)

    assert found.content is None
    assert reason in str(found.layers[0])
    assert found == WHO.in_memory(letter)


# --- What is refused -------------------------------------------------------------------------


def flip(at: int) -> Callable[[bytearray], None]:
    def change(octets: bytearray) -> None:
        octets[at] ^= 1

    return change


def cut(count: int) -> Callable[[bytearray], None]:
    def change(octets: bytearray) -> None:
        del octets[-count:]

    return change


@pytest.mark.parametrize(
    "change",
    [flip(-1), flip(-17), flip(-18), flip(-500_000), cut(1), cut(4), cut(18), cut(400_000)],
    ids=["tag", "tag-begins", "tag-length", "content", "cut-1", "cut-4", "no-tag", "half"],
)
@pytest.mark.parametrize("profile", EnvelopeProfile)
def test_a_damaged_message_gives_nothing(
    profile: EnvelopeProfile, change: Callable[[bytearray], None]
) -> None:
    """The same refusal as in memory, and every octet that was decrypted is forgotten."""
    letter = rewritten(sealed(LONG, profile=profile), change)

    found = WHO.streaming(letter)

    assert found == WHO.in_memory(letter)


def test_a_wrong_tag_is_one_answer_and_leaves_an_empty_quarantine() -> None:
    """The plaintext was written before anybody could know; it is gone when the answer comes."""
    aside = quarantines()
    letter = rewritten(encrypted(LONG), flip(-1))

    with pytest.raises(DecryptionError) as refusal:
        smime_stream.decrypt(io.BytesIO(letter), keys=WHO.keys, quarantine=aside)

    assert refusal.value.reason == ""
    assert len(aside.files) == 1
    assert aside.all_forgotten


@pytest.mark.parametrize("profile", [EnvelopeProfile.COMPATIBLE, EnvelopeProfile.LEGACY])
def test_a_cipher_that_does_not_authenticate_can_be_refused(profile: EnvelopeProfile) -> None:
    """For senders who are known to do better; the work done is the same."""
    aside = quarantines()
    letter = encrypted(LONG, profile)

    with pytest.raises(DecryptionError):
        smime_stream.decrypt(
            io.BytesIO(letter), keys=WHO.keys, quarantine=aside, only_authenticated=True
        )
    assert aside.all_forgotten


def test_a_message_for_others_makes_no_file() -> None:
    """Names of recipients are in clear, so nothing is lost by saying so."""
    aside = quarantines()

    with pytest.raises(NoMatchingKeyError):
        smime_stream.decrypt(
            io.BytesIO(encrypted(LONG)), keys=SIGNER.key_holder(), quarantine=aside
        )
    assert aside.files == []


def test_what_is_not_encrypted_is_told_apart() -> None:
    """A caller may ask before knowing."""
    with pytest.raises(NotEncryptedError):
        smime_stream.decrypt(io.BytesIO(ENTITY), keys=WHO.keys, quarantine=quarantines())


def test_what_is_not_signed_is_told_apart() -> None:
    """And it is not a bad signature."""
    with pytest.raises(NotSignedError):
        smime_stream.verify(io.BytesIO(ENTITY), trust=TRUST, quarantine=quarantines())


def changed(entity: bytes) -> bytes:
    """One character in the middle is another of the alphabet."""
    at = 500_000
    while not entity[at : at + 1].isalpha():
        at += 1
    return entity[:at] + bytes((entity[at] ^ 0x20,)) + entity[at + 1 :]


@pytest.mark.parametrize("form", SignedForm)
def test_changed_content_is_refused(form: SignedForm) -> None:
    """One octet in the middle of a megabyte."""
    letter = changed(signed(LONG, form=form))
    aside = quarantines()

    with pytest.raises(SignatureError) as refusal:
        smime_stream.verify(io.BytesIO(letter), trust=TRUST, quarantine=aside)

    assert refusal.value.reason == "content-changed"
    assert aside.all_forgotten


@pytest.mark.parametrize("form", SignedForm)
def test_a_bad_signature_inside_gives_nothing_of_what_was_decrypted(form: SignedForm) -> None:
    """The tag was right, and still nobody sees the letter."""
    letter = encrypted(changed(signed(LONG, form=form)))
    aside = quarantines()

    with smime_stream.open(
        io.BytesIO(letter), keys=WHO.keys, quarantine=aside, trust=TRUST
    ) as opened:
        assert opened.content is None
        assert opened.evidence is None
        assert opened.report.judgement == "invalid"
        assert aside.all_forgotten
    assert WHO.streaming(letter) == WHO.in_memory(letter)


@pytest.mark.parametrize("form", SignedForm)
def test_a_signer_whom_nobody_vouches_for_is_told_with_the_content(form: SignedForm) -> None:
    """A letter can be kept with an honest verdict."""
    stranger = make_pki().hospital_signature
    sink = io.BytesIO()
    smime_stream.sign(io.BytesIO(LONG), sink, keys=stranger.key_holder(), at=NOW, form=form)
    letter = encrypted(sink.getvalue())

    found = WHO.streaming(letter)

    assert found.judgement == "untrusted"
    assert found.content == LONG
    assert found == WHO.in_memory(letter)
    with pytest.raises(UntrustedError) as refusal:
        smime_stream.verify(sink, trust=TRUST, quarantine=quarantines())
    assert refusal.value.content is None
    assert refusal.value.signer == stranger.certificate


def test_a_signer_without_a_certificate_is_not_judged() -> None:
    """It may come with another letter."""
    info = forging.signer_info(ENTITY, SIGNER)
    letter = forging.multipart(ENTITY, forging.signed_data([info], []))

    with pytest.raises(IndeterminateError):
        smime_stream.verify(io.BytesIO(letter), trust=TRUST, quarantine=quarantines())
    assert WHO.streaming(letter) == WHO.in_memory(letter)


GOOD = forging.signed_data([forging.signer_info(ENTITY, SIGNER)], [SIGNER.certificate])
INSIDE = forging.signed_data(
    [forging.signer_info(ENTITY, SIGNER)], [SIGNER.certificate], content=ENTITY
)
EMPTY = forging.signed_data([], [SIGNER.certificate])
BARE = forging.signed_data(
    [forging.signer_info(ENTITY, SIGNER, with_attributes=False)], [SIGNER.certificate]
)
MULTIPART = forging.multipart(ENTITY, GOOD)

TRICKS = {
    "text-before": forging.multipart(ENTITY, GOOD, before=b"Please pay.\r\n"),
    "known-text-before": forging.multipart(
        ENTITY, GOOD, before=b"This is an S/MIME signed message\r\n"
    ),
    "text-after": forging.multipart(ENTITY, GOOD, after=b"Please pay.\r\n"),
    "white-space-after": forging.multipart(ENTITY, GOOD, after=b"\r\n \t\r\n"),
    "third-part": forging.multipart(ENTITY, GOOD, between=b"\r\n--edge\r\n" + ENTITY),
    "part-before": forging.multipart(ENTITY, GOOD, before=b"--edge\r\n\r\nPlease pay.\r\n"),
    "content-twice": forging.multipart(ENTITY, INSIDE),
    "content-missing": forging.opaque(GOOD),
    "other-content": forging.multipart(forging.OTHER, GOOD),
    "empty-content": forging.multipart(b"", GOOD),
    "nobody-signed": forging.multipart(ENTITY, EMPTY),
    "nobody-signed-inside": forging.opaque(EMPTY),
    "no-attributes": forging.multipart(ENTITY, BARE),
    "opaque": forging.opaque(INSIDE),
    "no-end": MULTIPART.replace(b"--edge--", b"--edgy--"),
    "no-boundary": MULTIPART.replace(b'boundary="edge"', b""),
    "empty-boundary": MULTIPART.replace(b'boundary="edge"', b'boundary=""'),
    "long-boundary": MULTIPART.replace(b"edge", b"e" * 71),
    "two-boundaries": MULTIPART.replace(b'boundary="edge"', b"boundary=edge; boundary=x"),
    "padded-boundary": MULTIPART.replace(b"--edge\r\n", b"--edge \t \r\n"),
    "longer-boundary-line": MULTIPART.replace(b"--edge\r\nC", b"--edge-more\r\nC", 1),
    "closing-first": MULTIPART.replace(b"--edge\r\n", b"--edge--\r\n", 1),
    "adjacent-boundaries": MULTIPART.replace(b"--edge\r\n", b"--edge\r\n--edge\r\n", 1),
    "bare-line-feeds": MULTIPART.replace(b"\r\n", b"\n"),
    "other-protocol": MULTIPART.replace(b"pkcs7-signature", b"pgp-signature"),
    "two-media-types": b"Content-Type: multipart/signed\r\n" + MULTIPART,
    "signature-of-another-type": MULTIPART.replace(
        b"Content-Type: application/pkcs7-signature", b"Content-Type: text/plain"
    ),
    "damaged-base64": MULTIPART.replace(b"\r\n--edge--", b"=\r\n--edge--"),
    "not-a-structure": forging.opaque(b"\x30\x03\x02\x01\x00"),
    "trailing-octets": forging.opaque(INSIDE + b"\x00"),
    "no-body": MULTIPART.split(b"\r\n\r\n", maxsplit=1)[0] + b"\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("trick", TRICKS)
def test_every_trick_with_signatures_ends_as_in_memory(trick: str) -> None:
    """Signed or not, for the same reason; also when it was encrypted."""
    letter = TRICKS[trick]

    assert WHO.streaming(letter) == WHO.in_memory(letter)
    assert WHO.streaming(encrypted(letter)) == WHO.in_memory(encrypted(letter))


@pytest.mark.parametrize("offset", range(131_040, 131_110, 3))
def test_a_boundary_is_found_wherever_pieces_end(offset: int) -> None:
    """The line may be cut in two by the end of a piece."""
    content = ENTITY + b"-" * (offset - len(ENTITY) - 150)
    letter = signed(content)

    assert WHO.streaming(letter).content == content


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        (b" " * 2_000_000 + b"\r\n", b"", "text-before-signed-part"),
        (b"", b" " * 2_000_000, "signature-part-too-large"),
    ],
)
def test_what_surrounds_the_content_is_bounded(before: bytes, after: bytes, reason: str) -> None:
    """White space is harmless, but not by the megabyte."""
    letter = forging.multipart(ENTITY, GOOD, before=before, after=after)

    with pytest.raises(SignatureError) as refusal:
        smime_stream.verify(io.BytesIO(letter), trust=TRUST, quarantine=quarantines())
    assert refusal.value.reason == reason


def test_a_boundary_line_is_bounded() -> None:
    """White space after a boundary is allowed, but not without end."""
    padded = MULTIPART.replace(b"--edge\r\n", b"--edge" + b" " * 200_000 + b"\r\n", 1)
    written_out = MULTIPART.replace(
        b"--edge\r\n", b"--edge" + b"x" * 200_000 + b"\r\n--edge\r\n", 1
    )

    with pytest.raises(SignatureError, match="boundary"):
        smime_stream.verify(io.BytesIO(padded), trust=TRUST, quarantine=quarantines())
    with pytest.raises(SignatureError, match="text-before-signed-part"):
        smime_stream.verify(io.BytesIO(written_out), trust=TRUST, quarantine=quarantines())


class FullDisk(io.BytesIO):
    """A file on a disk that is full after the first piece."""

    def write(self, octets: object, /) -> int:
        """Refuse."""
        raise OSError(28, "No space left on device")


@pytest.mark.parametrize("letter", [encrypted(LONG), signed(LONG, form=SignedForm.OPAQUE)])
def test_a_disk_that_is_full_is_told_and_leaves_nothing(letter: bytes) -> None:
    """It is no fault of the letter, so it is no verdict on it."""
    files: list[FullDisk] = []

    def quarantine() -> FullDisk:
        files.append(FullDisk())
        return files[-1]

    with pytest.raises(OSError, match="No space"):
        smime_stream.open(io.BytesIO(letter), keys=WHO.keys, quarantine=quarantine, trust=TRUST)
    assert all(each.closed for each in files)


def test_one_content_key_and_nonce_serve_one_message() -> None:
    """The same letter twice: nothing repeats."""
    first, second = (read_entity(sealed()).decoded_body() for _ in range(2))

    def vector(octets: bytes) -> bytes:
        at = octets.index(der.oid(algorithms.AES256_GCM))
        return octets[at : at + 30]

    assert vector(first) != vector(second)
