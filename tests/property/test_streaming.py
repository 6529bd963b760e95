"""A letter read from file to file and one read in memory: the same, whatever the octets."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import smime, smime_stream, trust
from crypto.canonical import canonical
from crypto.entity import read_entity, wrap_base64
from crypto.smime import EnvelopeProfile
from crypto.smime_stream import SignedForm
from tests.support.pki import NOW, the_pki
from tests.support.streaming import Reader

SIGNER = the_pki().hospital_signature
READER = the_pki().practice_confidentiality
WHO = Reader(keys=READER.key_holder(), store=the_pki().store(), profile=trust.MAIL_SIGNING, at=NOW)
ENTITY = b"Content-Type: text/plain\r\n\r\nLettre de sortie.\r\n"

quick = settings(max_examples=80, deadline=None)


def signed(form: SignedForm) -> bytes:
    sink = io.BytesIO()
    smime_stream.sign(
        io.BytesIO(ENTITY), sink, keys=SIGNER.key_holder(), at=NOW, chain=SIGNER.chain, form=form
    )
    return sink.getvalue()


def encrypted(content: bytes, profile: EnvelopeProfile) -> bytes:
    return smime.encrypt(content, recipients=[READER.certificate], profile=profile)


SIGNED = {form: signed(form) for form in SignedForm}
SAMPLES = [
    *SIGNED.values(),
    *(encrypted(SIGNED[SignedForm.CLEAR], profile) for profile in EnvelopeProfile),
    encrypted(SIGNED[SignedForm.OPAQUE], EnvelopeProfile.MODERN),
]


@st.composite
def damaged(draw: st.DrawFn, octets: bytes) -> bytes:
    """*octets* with a few of them changed, cut out or doubled."""
    result = bytearray(octets)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(result) - 1)))
        length = draw(st.integers(0, 8))
        result[at : at + length] = draw(st.binary(max_size=8))
    return bytes(result)


@pytest.mark.parametrize("sample", SAMPLES)
@quick
@given(data=st.data())
def test_a_damaged_letter_has_one_reading(sample: bytes, data: st.DataObject) -> None:
    """Header, boundaries, base64: wherever the damage is."""
    letter = data.draw(damaged(sample))

    assert WHO.streaming(letter).alike == WHO.in_memory(letter).alike


@pytest.mark.parametrize("sample", SAMPLES[1:])
@quick
@given(data=st.data())
def test_a_damaged_structure_has_one_reading(sample: bytes, data: st.DataObject) -> None:
    """In the object itself, below the base64."""
    header = read_entity(sample)
    octets = data.draw(damaged(header.decoded_body()))
    letter = sample[: header.body_at] + wrap_base64(octets)

    assert WHO.streaming(letter).alike == WHO.in_memory(letter).alike


@pytest.mark.parametrize("profile", EnvelopeProfile)
@quick
@given(data=st.data())
def test_a_damaged_letter_inside_an_encrypted_one_has_one_reading(
    profile: EnvelopeProfile, data: st.DataObject
) -> None:
    """What a recipient makes of it before passing it on."""
    inner = data.draw(damaged(SIGNED[data.draw(st.sampled_from(SignedForm))]))
    letter = encrypted(inner, profile)

    assert WHO.streaming(letter).alike == WHO.in_memory(letter).alike


@quick
@given(
    lines=st.lists(
        st.sampled_from(
            [b"--edge", b"--edge--", b"--edge ", b"--edged", b"", b"text", b"\r", b"\n", b"--"]
        ),
        max_size=9,
    ),
    separator=st.sampled_from([b"\r\n", b"\n"]),
)
def test_any_arrangement_of_boundaries_has_one_reading(
    lines: list[bytes], separator: bytes
) -> None:
    """The part that is hashed is the part that the strict reader sees."""
    letter = (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=edge'
        b"\r\n\r\n" + separator.join(lines)
    )

    assert WHO.streaming(letter).alike == WHO.in_memory(letter).alike


@quick
@given(body=st.binary(max_size=3000), profile=st.sampled_from(EnvelopeProfile))
def test_any_content_comes_back(body: bytes, profile: EnvelopeProfile) -> None:
    """Written by one way, read by both."""
    content = canonical(b"Content-Type: text/plain\r\n\r\n" + body)
    sink = io.BytesIO()
    smime_stream.sign_and_encrypt(
        io.BytesIO(content),
        sink,
        keys=SIGNER.key_holder(),
        recipients=[READER.certificate],
        at=NOW,
        profile=profile,
    )

    assert WHO.streaming(sink.getvalue()).content == content
    assert WHO.in_memory(sink.getvalue()).content == content
