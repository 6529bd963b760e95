"""The official messages: read, agreed with, answered, and written by us field by field.

What we write otherwise than the examples stands in `DIFFERENT`, each with its reason; a difference
that is not there is a fault.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from mss.clinical.metadata import Action
from mss.hl7.agreement import check_agreement
from mss.hl7.answers import ReportKind, Verdict, build_ack, build_report
from mss.hl7.destinations import Audience, audiences_of
from mss.hl7.errors import Objection
from mss.hl7.message import HL7Message, parse_hl7
from mss.hl7.request import Request, read_request
from mss.hl7.writing import Heading
from tests.support.hospital import ER7

AT = datetime(2021, 6, 6, 9, 31, tzinfo=UTC)
PATIENT = ("279035121518989", "1.2.250.1.213.1.4.10")
READER = "adam.hoda@test-ci-sis.mssante.fr"

# Field: why it may differ. A blank in the examples between values is none of ours.
DIFFERENT = {
    "MSH-7": "the instant, with its zone",
    "EVN-2": "the instant, with its zone",
}


def official(name: str) -> bytes:
    """Read an official message, or skip the test."""
    path = ER7 / f"{name}.er7"
    if not path.exists():
        pytest.skip(f"official test data are not here: {name}")
    return path.read_bytes()


def fields(message: HL7Message) -> dict[str, str]:
    """Every value of a message by its place: `OBX[2]-5.4`; empty ones are left out."""
    found = {}
    for segment in message.segments:
        for number in range(2 if segment.name == "MSH" else 1, 40):
            for component in range(1, 15):
                value = segment.text(number, component)
                if value:
                    place = f"{segment.name}[{segment.number}]-{number}.{component}"
                    found[place] = value
    return found


def differences(written: bytes, name: str) -> dict[str, tuple[str, str]]:
    """Compare what we write with an official message; what `DIFFERENT` allows is left out."""
    ours, theirs = fields(parse_hl7(written)), fields(parse_hl7(official(name)))
    return {
        place: (ours.get(place, ""), theirs.get(place, ""))
        for place in sorted(ours.keys() | theirs.keys())
        if ours.get(place) != theirs.get(place)
        and f"{place[:3]}-{place.partition('-')[2].partition('.')[0]}" not in DIFFERENT
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What an official request says."""

    action: Action
    type: str
    recipients: tuple[str, ...]
    audiences: tuple[Audience, ...]
    replaces: str = ""


PROFESSIONALS = (Audience.PROFESSIONALS,)
REQUESTS: Mapping[str, Expected] = {
    "mdm_t02_init": Expected(
        action=Action.NEW, type="18748-4", recipients=(READER,), audiences=PROFESSIONALS
    ),
    "mdm_t10_replace": Expected(
        action=Action.REPLACE,
        type="18748-4",
        recipients=(READER,),
        audiences=PROFESSIONALS,
        replaces="1.2.250.1.71.4.2.2.120456789.71024000081",
    ),
    "oru_r01_init": Expected(
        action=Action.NEW,
        type="11502-2",
        recipients=(READER, "27707279035121518989@patient.mssante.fr"),
        audiences=(*PROFESSIONALS, Audience.PATIENT),
    ),
}


def read(name: str) -> Request:
    """Read an official request."""
    return read_request(parse_hl7(official(name)))


@pytest.mark.parametrize("name", REQUESTS)
def test_an_official_request_is_read(name: str) -> None:
    """Who, what, about whom and to whom."""
    expected, request = REQUESTS[name], read(name)
    (document,) = request.documents

    assert request.control_id == "015"
    assert set(document.codes.values()) == {expected.type}
    assert document.parent_id == expected.replaces
    assert request.patient_ids == (PATIENT,)
    addresses = tuple(str(one.address) for one in request.recipients)
    assert addresses == expected.recipients
    assert request.sender is not None
    assert request.sender.identifier.startswith("8012345")
    assert request.bodies["PS"].startswith("Cher confrère")
    assert len(request.flags) == 10


@pytest.mark.parametrize("name", REQUESTS)
def test_an_official_request_agrees_with_itself(name: str) -> None:
    """Whatever they are examples of, we must take them."""
    request = read(name)
    agreement = check_agreement(request)

    assert [one.code for one in agreement.objections] == []
    assert agreement.action is REQUESTS[name].action


@pytest.mark.parametrize("name", REQUESTS)
def test_an_official_request_may_go_where_it_says(name: str) -> None:
    """The masking and the destinations of the examples go together."""
    found = audiences_of(read(name).flags, strict=False)

    assert not isinstance(found, Objection)
    assert found == REQUESTS[name].audiences


def test_our_acknowledgement_is_the_official_one() -> None:
    """ACK^T10, field by field."""
    question = parse_hl7(official("mdm_t10_replace"))

    written = build_ack(question, Verdict.ACCEPTED, control_id="016", at=AT)

    assert differences(written, "ack_t10") == {}


@pytest.mark.parametrize(
    ("kind", "name", "control_id"),
    [
        (ReportKind.RECEPTION, "zam_z02_mss", "018"),
        (ReportKind.READING, "zam_z03_lecture", "019"),
    ],
)
def test_our_reports_are_the_official_ones(kind: ReportKind, name: str, control_id: str) -> None:
    """ZAM Z02 and Z03, field by field."""
    heading = Heading(
        sender=("PFI-X", "Organisation-X"),
        receiver=("SIL-Y", "labo"),
        kind=("ZAM", kind.value, "ZAM_Z01"),
        control_id=control_id,
        version="2.6",
        at=AT,
        profile=("2.1", "CISIS_CDA_HL7_V2"),
    )
    written = build_report(
        kind,
        heading,
        answered="015",
        identifier="801234567897",
        address=READER,
        failure=None,
        happened_at=AT,
    )

    assert differences(written, name) == {}


def test_the_report_for_the_dmp_is_read_and_is_none_of_ours() -> None:
    """A Z01 tells of the DMP; its error stands where ours do."""
    report = parse_hl7(official("zam_z01_dmp"))
    (error,) = report.all("ERR")

    assert (report.header.text(9, 2), error.text(3), error.text(5)) == ("Z01", "207", "DMPClosed")
