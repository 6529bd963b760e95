"""Encrypted messages of any octets, for any set of recipients."""

import zlib
from contextlib import suppress
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import cms, kem, smime
from crypto.compressed_data import Limits, decompress
from crypto.entity import read_entity
from crypto.errors import CmsSyntaxError, CryptoError, UnsupportedAlgorithmError
from crypto.issuing import CertificateProfile, Issued
from crypto.smime import EnvelopeProfile, RecipientPlan
from tests.property.test_crypto_octets import damaged
from tests.support.envelopes import CONTENT_KEY, Agreement, Authenticated, transport
from tests.support.pki import HOSPITAL, ISSUED_AT, the_pki
from tests.unit.crypto.forging import ENTITY
from tests.unit.crypto.test_compressed_data import compressed

KEYS = ("p256", "p384", "x25519", "rsa2048")
quick = settings(max_examples=60, deadline=None)


@cache
def reader(key: str) -> Issued:
    return the_pki().authority.issue(
        CertificateProfile.CONFIDENTIALITY, HOSPITAL, at=ISSUED_AT, key=key
    )


HOLDERS = {key: reader(key).key_holder() for key in (*KEYS, "mlkem768")}
WRAPPED = kem.wrap(
    smime.encrypt(ENTITY, recipients=[reader("p256").certificate]),
    recipients=[reader("mlkem768").certificate],
)
BARE = read_entity(WRAPPED).decoded_body()
BY_HAND = Authenticated(
    recipients=(
        transport(reader("rsa2048").certificate),
        Agreement(certificate=reader("p256").certificate).octets(),
    ),
    content=ENTITY,
).octets()
COMPRESSED = compressed()


@quick
@given(
    plans=st.lists(
        st.tuples(st.sampled_from(KEYS), st.sampled_from(EnvelopeProfile)), min_size=1, max_size=6
    ),
    content=st.binary(max_size=500),
)
def test_every_recipient_of_any_set_opens_the_same(
    plans: list[tuple[str, EnvelopeProfile]], content: bytes
) -> None:
    """Whatever the abilities, in whatever order, one certificate for each however often named."""
    sealed = smime.encrypt(
        content,
        recipients=[
            RecipientPlan(certificate=reader(key).certificate, profile=profile)
            for key, profile in plans
        ],
    )

    named = {key for key, _ in plans}
    opened = [smime.decrypt(sealed, keys=HOLDERS[key]) for key in named]
    is_modern = all(profile is EnvelopeProfile.MODERN for _, profile in plans)
    assert {each.entity for each in opened} == {content}
    assert {each.authenticated for each in opened} == {is_modern}
    assert len(cms.parse_enveloped(read_entity(sealed).decoded_body()).recipients) == len(named)


@quick
@given(octets=damaged(BARE))
def test_a_damaged_outer_envelope_opens_to_the_same_or_not_at_all(octets: bytes) -> None:
    """Whatever a stranger changes."""
    with suppress(CryptoError):
        opened = smime.decrypt_cms(octets, keys=HOLDERS["mlkem768"])
        assert smime.decrypt(opened.entity, keys=HOLDERS["p256"]).entity == ENTITY


@quick
@given(octets=damaged(BY_HAND))
def test_a_damaged_message_opens_to_the_same_or_not_at_all(octets: bytes) -> None:
    """With two ways to the content key, either of them damaged."""
    holder = HOLDERS["rsa2048"].with_older(HOLDERS["p256"])
    with suppress(CryptoError):
        assert smime.decrypt_cms(octets, keys=holder).entity == ENTITY


@quick
@given(octets=st.binary(max_size=300) | damaged(BARE) | damaged(BY_HAND))
def test_the_structure_of_any_octets_is_read_or_refused(octets: bytes) -> None:
    """One declared error."""
    with suppress(CmsSyntaxError):
        cms.parse_enveloped(octets)


@quick
@given(octets=st.binary(max_size=300) | damaged(COMPRESSED))
def test_compression_of_any_octets_is_undone_or_refused(octets: bytes) -> None:
    """Two declared errors, and never more than was allowed."""
    with suppress(CmsSyntaxError, UnsupportedAlgorithmError):
        assert len(decompress(octets, limits=Limits(octets=10_000))) <= 10_000


@quick
@given(content=st.binary(max_size=2000), level=st.integers(0, 9))
def test_compression_is_undone(content: bytes, level: int) -> None:
    """Any content at any level."""
    assert decompress(compressed(zlib.compress(content, level))) == content


@quick
@given(entity=st.binary(max_size=300))
def test_any_entity_is_wrapped_or_not(entity: bytes) -> None:
    """A value or a declared error, and no opening without a key."""
    with suppress(CryptoError):
        assert not kem.is_wrapped(entity)
    with suppress(CryptoError):
        kem.unwrap(entity, keys=HOLDERS["mlkem768"])


@quick
@given(key=st.binary(max_size=48).filter(lambda key: key != CONTENT_KEY))
def test_a_content_key_of_any_other_octets_opens_nothing(key: bytes) -> None:
    """Of every size, right or wrong."""
    octets = Authenticated(
        recipients=(transport(reader("rsa2048").certificate, key=key),), content=ENTITY
    ).octets()

    with suppress(CryptoError):
        smime.decrypt_cms(octets, keys=HOLDERS["rsa2048"])
        raise AssertionError("it opened")
