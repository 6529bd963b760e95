"""Any octets at all: a value or the one declared error, nothing else."""

from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import cms, der, smime, trust
from crypto.canonical import canonical, is_canonical
from crypto.certificates import parse_certificate, parse_certificates
from crypto.crl import parse_revocation_list
from crypto.entity import read_entity, split_signed, wrap_base64
from crypto.errors import (
    CertificateSyntaxError,
    CmsSyntaxError,
    CryptoError,
    KeySyntaxError,
    RevocationSyntaxError,
    SealError,
    XmlSignatureError,
)
from crypto.keys import load_pkcs12, parse_private_key
from crypto.sealing import Sealer
from crypto.smime import EnvelopeProfile
from crypto.xml_signature import sign_enveloped, verify_enveloped
from tests.support.pki import NOW, the_pki

PKI = the_pki()
STORE = PKI.store()
SIGNER = PKI.hospital_signature
READER = PKI.practice_confidentiality
ENTITY = b"Content-Type: text/plain\r\n\r\nLettre de sortie.\r\n"
SIGNED = smime.sign(ENTITY, keys=SIGNER.key_holder(), at=NOW, chain=SIGNER.chain)
SEALED = {
    profile: smime.encrypt(ENTITY, recipients=[READER.certificate], profile=profile)
    for profile in (EnvelopeProfile.MODERN, EnvelopeProfile.COMPATIBLE)
}
BARE = read_entity(SEALED[EnvelopeProfile.MODERN]).decoded_body()
SIGNATURE = split_signed(read_entity(SIGNED)).signature.decoded_body()
CERTIFICATE = SIGNER.certificate.der
CRL = PKI.authority.crl(NOW)
XML = sign_enveloped(b"<a><b/></a>", private_key=SIGNER.private_key, certificate=SIGNER.certificate)
SEALER = Sealer({1: bytes(32)}, current=1)
AT_REST = SEALER.seal(ENTITY, context=b"c")

quick = settings(max_examples=60, deadline=None)


@st.composite
def damaged(draw: st.DrawFn, octets: bytes) -> bytes:
    """*octets* with a few of them changed, cut out or doubled."""
    result = bytearray(octets)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(result) - 1)))
        length = draw(st.integers(0, 8))
        result[at : at + length] = draw(st.binary(max_size=8))
    return bytes(result)


PARSERS: list[tuple[Callable[[bytes], object], type[CryptoError], bytes]] = [
    (der.parse, der.DerSyntaxError, SIGNATURE),
    (cms.parse_signed_data, CmsSyntaxError, SIGNATURE),
    (cms.parse_enveloped, CmsSyntaxError, BARE),
    (cms.read_content_type, CmsSyntaxError, BARE),
    (parse_certificate, CertificateSyntaxError, CERTIFICATE),
    (parse_certificates, CertificateSyntaxError, SIGNER.chain_pem.encode()),
    (parse_revocation_list, RevocationSyntaxError, CRL),
    (parse_private_key, KeySyntaxError, SIGNER.private_key_pem.encode()),
    (lambda octets: load_pkcs12(octets, password=None), KeySyntaxError, CERTIFICATE),
    (verify_enveloped, XmlSignatureError, XML),
    (lambda octets: SEALER.open(octets, context=b"c"), SealError, AT_REST),
]


@pytest.mark.parametrize(("parse", "error", "sample"), PARSERS)
@quick
@given(data=st.data())
def test_a_parser_returns_or_raises_its_one_error(
    parse: Callable[[bytes], object],
    error: type[CryptoError],
    sample: bytes,
    data: st.DataObject,
) -> None:
    """Random octets and damaged samples; anything else that is raised fails the test."""
    octets = data.draw(st.binary(max_size=300) | damaged(sample))

    with suppress(error):
        parse(octets)


@quick
@given(data=st.data())
def test_what_verifies_is_what_was_signed(data: st.DataObject) -> None:
    """Whatever a stranger changes: refused, or the octets of the signer."""
    octets = data.draw(damaged(SIGNED))

    with suppress(CryptoError):
        proof = smime.verify(octets, store=STORE, profile=trust.MAIL_SIGNING, at=NOW)
        assert proof.content == ENTITY
        assert proof.signer == SIGNER.certificate


@quick
@given(data=st.data())
def test_what_opens_authenticated_is_what_was_sealed(data: st.DataObject) -> None:
    """Damaged ciphertext, header or recipient: refused, or the octets of the sender."""
    octets = data.draw(damaged(BARE))

    with suppress(CryptoError):
        assert smime.decrypt_cms(octets, keys=READER.key_holder()).entity == ENTITY


@quick
@given(octets=st.binary(max_size=400))
def test_an_entity_of_any_octets_has_a_kind(octets: bytes) -> None:
    """Classifying never raises; opening and verifying raise declared errors."""
    smime.classify(octets)
    with suppress(CryptoError):
        smime.decrypt(octets, keys=READER.key_holder())
    with suppress(CryptoError):
        smime.verify(octets, store=STORE, profile=trust.MAIL_SIGNING, at=NOW)


@quick
@given(
    octets=st.binary(max_size=300),
    media=st.sampled_from([b"multipart/signed", b"application/pkcs7-mime", b"text/plain"]),
    parameters=st.binary(max_size=60),
)
def test_a_header_of_any_parameters_is_read(octets: bytes, media: bytes, parameters: bytes) -> None:
    """The header is as hostile as the body."""
    entity = b"Content-Type: " + media + b"; " + parameters + b"\r\n\r\n" + octets

    with suppress(CryptoError):
        smime.verify(entity, store=STORE, profile=trust.MAIL_SIGNING, at=NOW)


@quick
@given(body=st.binary(max_size=2000), profile=st.sampled_from(EnvelopeProfile))
def test_signing_and_encrypting_are_undone(body: bytes, profile: EnvelopeProfile) -> None:
    """Any content, in canonical form, comes back to the octet."""
    entity = b"Content-Type: text/plain\r\n\r\n" + body
    signed = smime.sign(entity, keys=SIGNER.key_holder(), at=NOW)

    sealed = smime.encrypt(signed, recipients=[READER.certificate], profile=profile)
    opened = smime.decrypt(sealed, keys=READER.key_holder())
    proof = smime.verify(opened.entity, store=STORE, profile=trust.MAIL_SIGNING, at=NOW)

    assert opened.entity == signed
    assert proof.content == canonical(entity)


@quick
@given(octets=st.binary(max_size=500))
def test_the_canonical_form_is_a_form(octets: bytes) -> None:
    """Canonical once, canonical for ever; and nothing but line ends changed."""
    form = canonical(octets)

    assert is_canonical(form)
    assert canonical(form) == form
    assert form.replace(b"\r", b"").replace(b"\n", b"") == octets.replace(b"\r", b"").replace(
        b"\n", b""
    )


@quick
@given(
    content=st.binary(max_size=3000), context=st.binary(max_size=40), other=st.binary(max_size=40)
)
def test_sealed_octets_open_in_their_context_only(
    content: bytes, context: bytes, other: bytes
) -> None:
    """Any content, any context."""
    sealed = SEALER.seal(content, context=context)

    assert SEALER.open(sealed, context=context) == content
    with pytest.raises(SealError):
        SEALER.open(sealed, context=context + b"\x00" + other)


@quick
@given(octets=st.binary(max_size=500))
def test_base64_in_lines_is_undone(octets: bytes) -> None:
    """As the reader of a part undoes it."""
    entity = b"Content-Transfer-Encoding: base64\r\n\r\n" + wrap_base64(octets)

    assert read_entity(entity).decoded_body() == octets


@quick
@given(value=st.integers(-(2**200), 2**200))
def test_integers_are_undone(value: int) -> None:
    """Any sign, any size that we read."""
    assert der.read_integer(der.parse(der.integer(value))) == value


arcs = st.lists(st.integers(0, 2**40), min_size=1, max_size=8)


@quick
@given(first=st.integers(0, 2), second=st.integers(0, 39), rest=arcs)
def test_object_identifiers_are_undone(first: int, second: int, rest: list[int]) -> None:
    """Any arcs that fit."""
    dotted = ".".join(map(str, (first, second, *rest)))

    assert der.read_oid(der.parse(der.oid(dotted))) == dotted


trees = st.recursive(
    st.binary(max_size=20).map(der.octet_string) | st.integers(0, 2**64).map(der.integer),
    lambda inner: st.lists(inner, max_size=4).map(lambda parts: der.sequence(*parts)),
    max_leaves=12,
)


@quick
@given(tree=trees)
def test_what_is_written_is_already_normal(tree: bytes) -> None:
    """DER read as BER and written again is the same."""
    assert der.normalised(der.parse(tree)) == tree
