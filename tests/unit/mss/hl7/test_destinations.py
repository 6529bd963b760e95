"""Who may get a document: all 128 combinations of masking and destinations, both ways of judging.

What is expected is written here as rules in words, not as the rows that the code has.
"""

from itertools import product

import pytest

from mss.hl7.destinations import Audience, audiences_of
from mss.hl7.errors import Condition, Objection
from mss.hl7.request import Flag

COLUMNS = (
    Flag.MASQUE_PS,
    Flag.INVISIBLE_PATIENT,
    Flag.INVISIBLE_REP_LEGAUX,
    Flag.CONNEXION_SECRETE,
    Flag.DESTDMP,
    Flag.DESTMSSANTEPS,
    Flag.DESTMSSANTEPAT,
)
EVERY = ["".join(letters) for letters in product("NY", repeat=len(COLUMNS))]
BOTH = (Audience.PROFESSIONALS, Audience.PATIENT)
# The published matrix, each line with a star where any value may stand.
PUBLISHED = {"NNN**YY": BOTH, "NYN**YN": BOTH[:1], "*N*NNNY": BOTH[1:]}


def flags(letters: str) -> dict[Flag, bool]:
    """Y and N for the columns."""
    return {flag: letter == "Y" for flag, letter in zip(COLUMNS, letters, strict=True)}


def published(letters: str) -> tuple[Audience, ...] | None:
    """Look a combination up in the published matrix."""
    if letters.endswith("NN"):
        return ()
    for row, audiences in PUBLISHED.items():
        if all(want in {"*", letter} for want, letter in zip(row, letters, strict=True)):
            return audiences
    return None


def meant(letters: str) -> tuple[Audience, ...] | None:
    """Say in words who may get it: what is masked from somebody is not sent to them."""
    masked, invisible, from_representatives, secret, _, people, patient = (
        letter == "Y" for letter in letters
    )
    if people and patient:
        is_open = not (masked or invisible or from_representatives)
        return BOTH if is_open else None
    if people:
        return None if masked else BOTH[:1]
    if patient:
        return None if invisible or secret else BOTH[1:]
    return ()


@pytest.mark.parametrize("letters", EVERY)
def test_strictly_only_the_published_combinations_pass(letters: str) -> None:
    """Three lines of the matrix, and a copy for the DMP alone, which is no mail."""
    _expect(audiences_of(flags(letters), strict=True), published(letters))


@pytest.mark.parametrize("letters", EVERY)
def test_else_whoever_may_see_a_document_may_get_it(letters: str) -> None:
    """The commonest case of all is not in the matrix."""
    _expect(audiences_of(flags(letters), strict=False), meant(letters))


def _expect(found: tuple[Audience, ...] | Objection, expected: tuple[Audience, ...] | None) -> None:
    if expected is not None:
        assert found == expected
        return
    assert isinstance(found, Objection)
    assert (found.condition, found.code) == (Condition.APPLICATION, "destination-not-allowed")


def test_what_is_not_said_is_no() -> None:
    """Older software leaves out what is not so."""
    assert audiences_of({Flag.DESTMSSANTEPS: True}, strict=False) == BOTH[:1]
    assert audiences_of({}, strict=True) == ()


@pytest.mark.parametrize("is_strict", [True, False])
def test_nothing_masked_from_somebody_is_ever_sent_to_them(is_strict: bool) -> None:  # noqa: FBT001 -- a case
    """Whatever the matrix says."""
    for_professionals = [
        one for one in EVERY if Audience.PROFESSIONALS in _found(one, is_strict)
    ]  # fmt: skip
    for_patients = [one for one in EVERY if Audience.PATIENT in _found(one, is_strict)]

    assert for_professionals
    assert for_patients
    assert {one[0] for one in for_professionals} == {"N"}
    assert {one[1] for one in for_patients} == {"N"}


def _found(letters: str, is_strict: bool) -> tuple[Audience, ...]:  # noqa: FBT001 -- see above
    found = audiences_of(flags(letters), strict=is_strict)
    return () if isinstance(found, Objection) else found
