"""Every refusal tells where and why, in the codes of HL7, whatever could be read."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from mss.errors import MSSError
from mss.hl7.answers import Verdict, build_ack, build_blind_ack, verdict_on
from mss.hl7.errors import Condition, HL7RefusedError, HL7SyntaxError, Objection
from mss.hl7.message import HL7Message, parse_hl7
from mss.hl7.translation import (
    APPLICATION_LABELS,
    CONDITIONS,
    SMTP_LABELS,
    application_failure,
    objections_to,
    smtp_failure,
    syntax_objection,
)

AT = datetime(2026, 5, 20, 14, 15, tzinfo=UTC)
QUESTION = (
    b"MSH|^~\\&|RIS|Org-R|PFI|Org-P|202106060931||MDM^T10^MDM_T02|015|P|2.6|||||FRA|8859/15\r"
)


@dataclass(eq=False)
class TroubleError(MSSError):
    """An error with any code."""

    code: ClassVar[str] = "trouble"
    retryable: ClassVar[bool] = False


def trouble(code: str, *, retryable: bool) -> MSSError:
    """An error of the server, by its name."""
    kind = type("Named", (TroubleError,), {"code": code, "retryable": retryable})
    made = kind()
    assert isinstance(made, MSSError)
    return made


def answered(verdict: Verdict, *objections: Objection, question: bytes = QUESTION) -> HL7Message:
    """Write an acknowledgement and read it."""
    return parse_hl7(build_ack(parse_hl7(question), verdict, objections, control_id="016", at=AT))


@pytest.mark.parametrize("code", sorted(CONDITIONS))
def test_an_error_of_the_table_becomes_its_fields_of_err(code: str) -> None:
    """Sort, place, name and words stand where software looks for them."""
    verdict, objections = objections_to(trouble(code, retryable=False))
    answer = answered(verdict, *objections)
    (error,) = answer.all("ERR")
    condition, where = CONDITIONS[code]

    assert [error.text(3, number) for number in (1, 2, 3)] == [
        condition.code,
        condition.label,
        "messageErrorCondition",
    ]
    assert "^".join(error.text(2, number) for number in (1, 2, 3)).rstrip("^") == where
    assert (error.text(4), error.text(5), error.text(5, 3)) == ("E", code, "mssErrorCode")
    assert (error.text(7), error.text(8)) == (code, MSSError.public_text)
    (said,) = answer.all("MSA")
    assert (said.text(1), said.text(2)) == ("AE", "015")


@pytest.mark.parametrize(
    ("retryable", "verdict"), [(False, Verdict.ERROR), (True, Verdict.REJECTED)]
)
def test_what_may_work_later_is_rejected_and_not_wrong(
    retryable: bool,  # noqa: FBT001 -- a case
    verdict: Verdict,
) -> None:
    """Software repeats what was rejected; an error not in the table is the application's."""
    found, (objection,) = objections_to(trouble("nobody-knows-it", retryable=retryable))

    assert found is verdict
    assert (objection.condition, objection.where) == (Condition.APPLICATION, "")


@pytest.mark.parametrize(
    ("condition", "verdict"),
    [
        (
            one,
            Verdict.REJECTED if one.code in {"200", "201", "202", "203"} else Verdict.ERROR,
        )
        for one in Condition
    ],
)
def test_a_message_that_this_door_does_not_take_at_all_is_rejected(
    condition: Condition, verdict: Verdict
) -> None:
    """AR for type, event, processing and version; AE for what is wrong inside."""
    objection = Objection(condition=condition, where="", code="x", text="x")

    assert verdict_on([objection]) is verdict
    assert verdict_on([]) is Verdict.ACCEPTED


def test_everything_that_is_wrong_is_said_at_once() -> None:
    """One answer, all reasons, so that a message is corrected once."""
    objections = tuple(
        Objection(condition=Condition.TABLE, where=f"OBX^{number}^11", code="x", text="|^&~\\\r")
        for number in (1, 2)
    )
    verdict, given = objections_to(HL7RefusedError(objections=objections))
    answer = answered(verdict, *given)

    assert [one.name for one in answer.segments] == ["MSH", "MSA", "ERR", "ERR"]
    assert [one.text(2, 2) for one in answer.all("ERR")] == ["1", "2"]
    assert [one.text(5, 2) for one in answer.all("ERR")] == ["|^&~\\"] * 2


def test_an_answer_turns_the_question_round() -> None:
    """Who asked is told; event, processing, version and charset are those of the question."""
    header = answered(Verdict.ACCEPTED).header

    assert [header.text(number) for number in (3, 4, 5, 6)] == ["PFI", "Org-P", "RIS", "Org-R"]
    assert [header.text(9, number) for number in (1, 2, 3)] == ["ACK", "T10", "ACK"]
    assert [header.text(number) for number in (7, 10, 11, 12, 17, 18)] == [
        "20260520141500+0000", "016", "P", "2.6", "FRA", "8859/15",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("charset", "version", "expected"),
    [
        ("8859/1", "2.5", ("8859/1", "2.5")),
        ("ASCII", "2.5.1", ("UNICODE UTF-8", "2.5.1")),
        ("", "nine", ("UNICODE UTF-8", "2.6")),
    ],
)
def test_what_we_do_not_write_is_answered_in_what_everybody_reads(
    charset: str, version: str, expected: tuple[str, str]
) -> None:
    """UTF-8, and the version of the guides."""
    question = QUESTION.replace(b"8859/15", charset.encode()).replace(
        b"|2.6|", f"|{version}|".encode()
    )
    header = answered(Verdict.ACCEPTED, question=question).header

    assert (header.text(18), header.text(12)) == expected


@pytest.mark.parametrize(
    "reason",
    [
        "no-header",
        "separators",
        "charset",
        "octets",
        "segment",
        "several-messages",
        "too-many-fields",
        "too-many-segments",
        "too-large",
        "structure",
    ],
)
def test_every_reason_of_the_parser_has_words(reason: str) -> None:
    """And is rejected: there was no message that could be wrong."""
    verdict, (objection,) = objections_to(HL7SyntaxError(reason=reason))

    assert verdict is Verdict.REJECTED
    assert objection == syntax_objection(reason)
    assert objection.code == f"hl7-{reason}"
    assert objection.text


BLIND = {
    "a whole header": (QUESTION, ("RIS", "015", "T10")),
    "the beginning of a frame": (QUESTION + b"OBX|1|ED|" + b"x" * 9000, ("RIS", "015", "T10")),
    "after a byte order mark": (b"\xef\xbb\xbf" + QUESTION, ("RIS", "015", "T10")),
    "LF": (QUESTION.replace(b"\r", b"\nrubbish\n"), ("RIS", "015", "T10")),
    "components": (
        QUESTION.replace(b"|RIS|", b"|RIS^1.2.3^ISO|").replace(b"|015|", b"|0\\T\\15|"),
        ("RIS", "0&15", "T10"),
    ),
    "half a header": (QUESTION[:25], ("RIS", "", "")),
    "nothing": (b"", ("", "", "")),
    "rubbish": (bytes(range(256)), ("", "", "")),
    "a header of control characters": (b"MSH|^~\\&|\x01\x02|\x00", ("", "", "")),
    "a name without end": (b"MSH|^~\\&|" + b"x" * 1500 + b"|", ("", "", "")),
}


@pytest.mark.parametrize(("octets", "expected"), BLIND.values(), ids=BLIND)
def test_what_cannot_be_read_is_answered_with_what_is_known_of_it(
    octets: bytes, expected: tuple[str, str, str]
) -> None:
    """Software that gets no answer sends the same for ever."""
    answer = parse_hl7(
        build_blind_ack(octets, syntax_objection("segment"), control_id="016", at=AT)
    )
    (said,) = answer.all("MSA")
    (error,) = answer.all("ERR")

    assert (answer.header.text(5), said.text(2), answer.header.text(9, 2)) == expected
    assert (said.text(1), error.text(5)) == ("AR", "hl7-segment")


@pytest.mark.parametrize(
    ("code", "detail", "status", "expected"),
    [
        ("recipient-refused", "550 5.1.1 no such mailbox", "5.1.1", "550"),
        ("recipient-refused", "452-4.2.2 full", "4.2.2", "452"),
        ("recipient-refused", "599 what is this", "5.2.2", "552"),
        ("host-unreachable", None, "4.4.1", "101"),
        ("domain-has-no-host", None, None, "512"),
        ("message-too-large", "", "5.3.4", "523"),
        (None, None, "5.7.1", "541"),
        (None, None, "5.9.9", "554"),
        (None, None, None, "554"),
        ("unheard-of", "no number here", "", "554"),
    ],
)
def test_a_failure_has_a_number_of_the_national_table(
    code: str | None, detail: str | None, status: str | None, expected: str
) -> None:
    """The peer's own number, else what our error means, else what its status means."""
    failure = smtp_failure(code=code, detail=detail, status=status)

    assert (failure.code, failure.label) == (expected, SMTP_LABELS[expected])
    assert failure.table == "SMTPERRORCODE"


@pytest.mark.parametrize(
    ("code", "label", "expected"),
    [
        *((one, "", (one, label)) for one, label in APPLICATION_LABELS.items()),
        ("902", "Patient absent", ("902", "Patient absent")),
        ("950", "", ("950", APPLICATION_LABELS["906"])),
        ("", "", ("906", APPLICATION_LABELS["906"])),
        ("x^y", "", ("906", APPLICATION_LABELS["906"])),
    ],
)
def test_a_reason_of_software_is_handed_on(
    code: str, label: str, expected: tuple[str, str]
) -> None:
    """In its own words; a number that the table lacks is still a number."""
    failure = application_failure(code=code, label=label)

    assert (failure.code, failure.label) == expected
    assert failure.table == "applicationErrorCondition"
