"""A request that says two things is refused, whatever the two things are."""

from dataclasses import replace

import pytest

from mss.clinical.metadata import Action
from mss.hl7.agreement import ORDERS, STATUSES, Agreement, check_agreement
from mss.hl7.message import parse_hl7
from mss.hl7.request import ACTIONS, Request, read_request
from tests.support.hospital import DELETE, FLAGS, INS_OID, MATRICULE, NEW, REPLACE, Written

THREE = {Action.NEW: NEW, Action.REPLACE: REPLACE, Action.DELETE: DELETE}
CASES = [
    (event, order, status)
    for event in ("R01", *ACTIONS)
    for order in ("", "SC", *ORDERS)
    for status in STATUSES
]


def read(**changes: object) -> Request:
    """Read a request that was written with some parts changed."""
    return read_request(parse_hl7(Written(**changes).octets_of()))  # type: ignore[arg-type]


def codes(agreement: Agreement) -> list[str]:
    """What is objected to."""
    return [one.code for one in agreement.objections]


@pytest.fixture(scope="module")
def requests() -> dict[tuple[str, Action], Request]:
    """One request for each event and version of the document; reading them takes a while."""
    found = {("R01", action): read(kind="ORU", action=words) for action, words in THREE.items()}
    for event, action in ACTIONS.items():
        found[event, action] = read(action=THREE[action])
    return found


@pytest.mark.parametrize(("event", "order", "status"), CASES)
def test_event_order_and_status_say_the_same_or_the_request_is_refused(
    requests: dict[tuple[str, Action], Request], event: str, order: str, status: str
) -> None:
    """The whole table: three actions, each said by the event, ORC-1 and OBX-11."""
    meant = ACTIONS.get(event) or STATUSES[status]
    request = requests[event, meant]
    (document,) = request.documents
    said = replace(request, documents=(replace(document, order=order, status=status),))

    agreement = check_agreement(said)

    expected = []
    if STATUSES[status] is not meant:
        expected.append("status-differs")
    if order in ORDERS and ORDERS[order] is not meant:
        expected.append("order-differs")
    assert (agreement.action, codes(agreement)) == (meant, expected)


@pytest.mark.parametrize(
    ("order", "status", "code", "where", "condition"),
    [
        ("NW", "X", "status-unknown", "OBX^1^11", "103"),
        ("NW", "", "status-unknown", "OBX^1^11", "101"),
        ("XX", "F", "order-unknown", "ORC^1^1", "103"),
    ],
)
def test_a_word_that_nobody_knows_is_named(
    order: str, status: str, code: str, where: str, condition: str
) -> None:
    """So that whoever runs the software finds the field."""
    request = read()
    (document,) = request.documents
    said = replace(request, documents=(replace(document, order=order, status=status),))

    (objection,) = check_agreement(said).objections

    assert (objection.code, objection.where) == (code, where)
    assert objection.condition.code == condition


OTHER_OID = "1.2.250.1.999.1"
DIFFERENT = {
    "TXA-12 is another document": ({"own_id": OTHER_OID}, ["document-id-differs"]),
    "TXA-13 in a new document": ({"parent_id": OTHER_OID}, ["parent-id-differs"]),
    "TXA-13 is another document": (
        {"action": REPLACE, "parent_id": OTHER_OID},
        ["parent-id-differs"],
    ),
    "no TXA-13 in a new version": ({"action": REPLACE, "parent_id": ""}, ["parent-id-missing"]),
    "another type": ({"code": "34112-3"}, ["type-differs"] * 3),
    "no type": ({"code": ""}, ["type-missing"] * 3),
    "another patient": (
        {"patient": f"279035121518989^^^ASIP-SANTE-INS-NIR&{INS_OID}&ISO^INS"},
        ["patient-differs"],
    ),
    "the same number of another register": (
        {"patient": f"{MATRICULE}^^^X&1.2.3&ISO^PI"},
        ["patient-differs"],
    ),
    "no patient": ({"patient": ""}, ["patient-differs"]),
    "a second INS that is another patient's": (
        {
            "patient": f"{MATRICULE}^^^A&{INS_OID}&ISO^INS~"
            f"279035121518989^^^A&{INS_OID}&ISO^INS"
        },
        ["patient-differs"],
    ),
    "no visit": ({"visit": "PV1|1|I|"}, ["visit-missing"]),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), DIFFERENT.values(), ids=DIFFERENT)
def test_segments_that_speak_of_another_document_or_patient_are_refused(
    changes: dict[str, object], expected: list[str]
) -> None:
    """A letter about one patient in the record of another is the worst that can happen here."""
    assert codes(check_agreement(read(**changes))) == expected


ALIKE = {
    "a local number beside the INS": {
        "patient": f"4711^^^X&1.2.3&ISO^PI~{MATRICULE}^^^A&{INS_OID}&ISO^INS"
    },
    "a patient who is not there": {"visit": "PV1|1|N|"},
    "no PV1": {"without": frozenset({"PV1"})},
    "no ORC": {"without": frozenset({"ORC"})},
    "no OBR": {"without": frozenset({"OBR"})},
    "an ORU has no TXA": {"kind": "ORU"},
    "a new version": {"action": REPLACE},
    "a deletion that names the version before": {"action": DELETE},
    "a deletion that names none": {"action": DELETE, "parent_id": ""},
}  # fmt: skip


@pytest.mark.parametrize("changes", ALIKE.values(), ids=ALIKE)
def test_what_older_software_leaves_out_is_no_disagreement(changes: dict[str, object]) -> None:
    """Silence contradicts nothing."""
    assert codes(check_agreement(read(**changes))) == []


@pytest.mark.parametrize("visited", ["E", "I", "O", "R"])
def test_each_class_of_visit_needs_its_number(visited: str) -> None:
    """PV1-19 is required for these four."""
    assert codes(check_agreement(read(visit=f"PV1|1|{visited}|"))) == ["visit-missing"]


def test_a_new_document_replaces_none_and_a_new_version_does() -> None:
    """The document itself has the last word about what it is."""
    second = read(action=REPLACE).documents[0]
    new, later = read(), read(action=REPLACE)
    first = new.documents[0]
    as_new = replace(second, order="NW", status="F", own_id="", parent_id="")
    as_later = replace(first, order="RO", status="C", own_id="", parent_id="1.2.3")

    assert codes(check_agreement(replace(new, documents=(as_new,)))) == ["document-replaces"]
    assert codes(check_agreement(replace(later, documents=(as_later,)))) == [
        "document-replaces-none",
        "document-version",
        "parent-id-differs",
    ]


def test_two_documents_may_not_ask_for_two_actions() -> None:
    """An archive says one thing of its set."""
    new, later = read(kind="ORU"), read(kind="ORU", action=REPLACE)
    both = replace(new, documents=(*new.documents, *later.documents))

    assert codes(check_agreement(both)) == ["actions-differ"]


def test_the_present_guide_makes_more_obligatory_than_older_software_writes() -> None:
    """Strict: ORC with its code, who sends, and all ten metadata."""
    bare = read(flags=dict.fromkeys(FLAGS, ""), without=frozenset({"ORC", "PRT"}))

    assert codes(check_agreement(bare)) == []
    assert codes(check_agreement(bare, strict=True)) == [
        "order-missing",
        "sender-missing",
        *["metadata-missing"] * len(FLAGS),
    ]
    assert codes(check_agreement(read(), strict=True)) == []
