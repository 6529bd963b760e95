import pytest

from directory.address import MailAddress
from mss.errors import PatientAddressError
from mss.policy.patients import Closing, PatientRules, answer_objection, closing_of
from mss.settings import PatientSettings

PATIENT = "279035121518989@patient.mssante.fr"
WARD = "sortie@ch-demo.mssante.fr"
PHARMACY = "officine@pharmacie.mssante.fr"


def address(text: str) -> MailAddress:
    return MailAddress.parse(text)


def rules(**changes: object) -> PatientRules:
    """Make the rules of an operator."""
    return PatientRules(settings=PatientSettings.model_validate(changes))


@pytest.mark.parametrize(
    "recipient",
    [PATIENT, PATIENT.upper(), "279032A21518980@patient.mssante.fr", WARD,
     "279035121518980@ch-demo.mssante.fr", "reponse.automatique-test@patient.mssante.fr"],
)  # fmt: skip
def test_addresses_that_pass(recipient: str) -> None:
    """Patients by their number and key, services by name, and everybody elsewhere."""
    if "2a" in recipient.lower():
        recipient = _with_key("279032A215189")

    assert rules().address_objection(address(recipient)) is None


@pytest.mark.parametrize(
    "local",
    ["279035121518980", "2790351215189", "27903512151898x", "jean.dupont", "2790351215189890",
     "2.79.03.51.215.189.89"],
)  # fmt: skip
def test_a_patients_address_is_a_number_with_its_key(local: str) -> None:
    """Nothing is guessed or completed: one digit away lives somebody else."""
    objection = rules().address_objection(address(f"{local}@patient.mssante.fr"))

    assert isinstance(objection, PatientAddressError)


def test_the_domain_is_a_setting() -> None:
    """Tests of the ANS have their own; without one there are no patients."""
    wrong = address("jean@patients.test.mssante.fr")

    assert rules(domain="patients.test.mssante.fr").address_objection(wrong)
    assert rules(domain="").address_objection(wrong) is None
    assert rules(domain="").address_objection(address("jean@patient.mssante.fr")) is None


@pytest.mark.parametrize(
    ("author", "recipient", "is_report", "changes", "expected"),
    [
        (PATIENT, WARD, False, {}, True),
        (PATIENT, WARD, True, {}, False),
        (PATIENT, WARD, False, {"only_answers": False}, False),
        (PATIENT, PHARMACY, False, {"open_to": (PHARMACY.upper(),)}, False),
        (PATIENT, WARD, False, {"open_to": (PHARMACY,)}, True),
        (WARD, PATIENT, False, {}, False),
        ("reponse.automatique-test@patient.mssante.fr", WARD, False, {}, False),
    ],
)
def test_who_needs_a_letter_to_answer(
    author: str, recipient: str, *, is_report: bool, changes: dict[str, object], expected: bool
) -> None:
    """Patients, except to pharmacies that the settings name; never a receipt."""
    assert (
        rules(**changes).needs_letter(
            author=address(author), is_report=is_report, recipient=address(recipient)
        )
        is expected
    )


@pytest.mark.parametrize(
    ("subject", "field", "expected"),
    [
        ("[FIN]", None, Closing.EVERYTHING_BEFORE),
        (" [FIN] ", "FIN", Closing.EVERYTHING_BEFORE),
        ("Re: [FIN]", None, Closing.NOTHING),
        ("[fin]", None, Closing.NOTHING),
        ("Compte rendu", "FIN", Closing.THIS_LETTER),
        ("Compte rendu", " fin ", Closing.THIS_LETTER),
        ("Compte rendu", "SUITE", Closing.NOTHING),
        ("Compte rendu", None, Closing.NOTHING),
    ],
)
def test_what_closes_an_exchange(subject: str, field: str | None, expected: Closing) -> None:
    """The field for one letter, the exact subject for all of them."""
    fields = {} if field is None else {"X-MSS-MES": field}

    assert closing_of(subject=subject, mss_fields=fields) is expected


@pytest.mark.parametrize(
    ("answered", "others", "reason"),
    [
        ([], [], "no-letter"),
        ([], [True], None),
        ([], [False, True], None),
        ([], [False], "closed"),
        ([True], [True, False], None),
        ([False], [False, True], "closed"),
        ([False, True], [False, True], None),
    ],
)
def test_what_may_be_answered(answered: list[bool], others: list[bool], reason: str | None) -> None:
    """The letter that a mail names, otherwise any letter of the same mailbox."""
    objection = answer_objection(answered=answered, others=others)

    assert (objection.reason if objection else None) == reason


def _with_key(body: str) -> str:
    number = int(body.replace("2A", "19"))
    return f"{body}{97 - number % 97:02d}@patient.mssante.fr"
