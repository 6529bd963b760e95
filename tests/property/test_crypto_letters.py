"""Whatever a letter is made of, taking it apart ends in an answer, and never in a wrong one."""

from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import layers, smime, trust
from crypto.capabilities import parse_capabilities
from crypto.clear_form import in_the_clear
from crypto.errors import CmsSyntaxError, CryptoError
from crypto.layers import Judgement, Unwrapped
from crypto.recipient_list import parse_recipient_list
from tests.support.pki import NOW, the_pki

PKI = the_pki()
ENTITY = b"Content-Type: text/plain\r\n\r\nDose : 1 mg.\r\n"
SIGNED = smime.sign(ENTITY, keys=PKI.hospital_signature.key_holder(), at=NOW)
CLOSED = smime.encrypt(SIGNED, recipients=[PKI.practice_confidentiality.certificate])
STORE, KEYS = PKI.store(), PKI.practice_confidentiality.key_holder()


def unwrap(octets: bytes) -> Unwrapped:
    return layers.unwrap(octets, keys=KEYS, store=STORE, profile=trust.MAIL_SIGNING, at=NOW)


@given(
    letter=st.sampled_from([SIGNED, CLOSED]),
    at=st.integers(min_value=0, max_value=10_000),
    put=st.binary(max_size=6),
    cut=st.integers(min_value=0, max_value=6),
)
@settings(max_examples=150, deadline=None)
def test_a_damaged_letter_is_never_valid_over_other_words(
    letter: bytes, at: int, put: bytes, cut: int
) -> None:
    """Any octets may be lost, changed or added anywhere."""
    at %= len(letter)

    found = unwrap(letter[:at] + put + letter[at + cut :])

    assert found.judgement is not Judgement.VALID or found.content == ENTITY


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_any_octets_after_a_header_end_in_an_answer(octets: bytes) -> None:
    """Nothing but the answer comes out, and it is never a good one."""
    header = b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\n"

    assert unwrap(header + octets).judgement is not Judgement.VALID


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_small_readers_raise_the_error_that_they_declare(octets: bytes) -> None:
    """A value or the declared error, whatever the octets."""
    for read in (parse_capabilities, parse_recipient_list):
        try:
            read(octets)
        except CmsSyntaxError:
            continue


@given(st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_a_clear_form_is_made_or_refused(octets: bytes) -> None:
    """By errors of this package only."""
    header = b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\n"
    try:
        entity = in_the_clear(header + octets)
    except CryptoError:
        return
    assert entity.startswith(b"Content-Type: multipart/signed;")
