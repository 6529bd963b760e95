"""Write what goes back to hospital software: acknowledgements, and reports of what became of it.

Shapes
    `build_ack` answers a message at once. `build_report` is a ZAM: Z02 for what became of a letter
    at the recipient's operator, Z03 for what its reader did with it.
Sources
    HL7 v2.6, 2.9 (acknowledgement) and 2.14.5 (ERR); ANS, Transmission d'un document CDA-R2 en
    HL7v2 2.1 (ZAM).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from mss.hl7.errors import Condition, Objection
from mss.hl7.message import HL7Message, unescape
from mss.hl7.writing import (
    Field,
    Heading,
    build_hl7,
    components,
    known_charset,
    segment,
    timestamp,
)

PROFILE: Final = ("2.1", "CISIS_CDA_HL7_V2")
_CONDITIONS: Final = "messageErrorCondition"
_ACTIONABLE: Final = {Condition.MESSAGE_TYPE, Condition.EVENT, Condition.PROCESSING}
_REJECTED: Final = _ACTIONABLE | {Condition.VERSION}
_SAFE_VERSION: Final = re.compile(r"2\.[1-9](?:\.[0-9])?")


class Verdict(StrEnum):
    """MSA-1: accepted, wrong in itself, or not taken."""

    ACCEPTED = "AA"
    ERROR = "AE"
    REJECTED = "AR"


def verdict_on(objections: Sequence[Objection]) -> Verdict:
    """Tell an error of content from a message that this door does not take at all."""
    if not objections:
        return Verdict.ACCEPTED
    rejected = any(one.condition in _REJECTED for one in objections)
    return Verdict.REJECTED if rejected else Verdict.ERROR


def build_ack(
    message: HL7Message,
    verdict: Verdict,
    objections: Sequence[Objection] = (),
    *,
    control_id: str,
    at: datetime,
) -> bytes:
    """Answer a message that could be read."""
    header = message.header
    version = header.text(12)
    heading = Heading(
        sender=(header.text(5), header.text(6)),
        receiver=(header.text(3), header.text(4)),
        kind=("ACK", header.text(9, 2) or "", "ACK"),
        control_id=control_id,
        processing=header.text(11) or "P",
        version=version if _SAFE_VERSION.fullmatch(version) else "2.6",
        at=at,
        charset=known_charset(message.charset.upper()),
    )
    return _ack(heading, verdict, header.text(10), objections)


def build_blind_ack(octets: bytes, objection: Objection, *, control_id: str, at: datetime) -> bytes:
    """Answer octets that could not be read, with what can be told of their header."""
    line = octets[:2000].decode("iso-8859-15").lstrip("\ufeffï»¿ \r\n\t")
    line = re.split(r"[\r\n]", line, maxsplit=1)[0]
    fields = line.split("|") if line.startswith("MSH|") else []

    def given(number: int) -> str:
        found = fields[number - 1] if len(fields) >= number else ""
        return found if len(found) <= 200 and found.isprintable() else ""

    def value(number: int) -> str:
        return unescape(given(number).partition("^")[0]).strip()

    event = given(9).split("^")
    version = given(12)
    heading = Heading(
        sender=(value(5), value(6)),
        receiver=(value(3), value(4)),
        kind=("ACK", event[1] if len(event) > 1 else "", "ACK"),
        control_id=control_id,
        version=version if _SAFE_VERSION.fullmatch(version) else "2.6",
        at=at,
    )
    return _ack(heading, Verdict.REJECTED, value(10), [objection])


def _ack(
    heading: Heading, verdict: Verdict, answered: str, objections: Sequence[Objection]
) -> bytes:
    segments = [heading.written(), segment("MSA", {1: verdict.value, 2: answered})]
    segments += [error_segment(one) for one in objections]
    return build_hl7(segments, charset=heading.charset)


def error_segment(one: Objection) -> str:
    """Write ERR: where, which sort, how grave, which one, in words."""
    return segment(
        "ERR",
        {
            2: components(*one.where.split("^")) if one.where else "",
            3: components(one.condition.code, one.condition.label, _CONDITIONS),
            4: "E",
            5: components(one.code, one.text, "mssErrorCode"),
            7: one.code,
            8: one.text,
        },
    )


class ReportKind(StrEnum):
    """Which ZAM."""

    RECEPTION = "Z02"
    READING = "Z03"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why it did not work: code, label and name of the table."""

    code: str
    label: str
    table: str


_SUBJECTS: Final = {
    ReportKind.RECEPTION: ("ACK_RECEPTION_MSS", "Accusé de réception MSSanté"),
    ReportKind.READING: ("ACK_LECTURE_MSS", "Accusé de lecture"),
}
_PERSONS: Final = {
    ReportKind.RECEPTION: ("DESTINATAIRE_MSS", "Destinataire MSSanté"),
    ReportKind.READING: ("LECTEUR_MSS", "Lecteur du courriel MSSanté"),
}


def build_report(
    kind: ReportKind,
    heading: Heading,
    *,
    answered: str,
    identifier: str,
    address: str,
    failure: Failure | None,
    happened_at: datetime,
) -> bytes:
    """Write a ZAM about one recipient.

    Args:
        kind: Which.
        heading: Its MSH.
        answered: Control id of the request.
        identifier: The recipient's number, as the request gave it.
        address: The recipient's mailbox.
        failure: Why it did not work; `None` if it did.
        happened_at: When.
    """
    verdict = components("N" if failure else "Y", "", "expandedYes-NoIndicator")
    segments = [
        heading.written(),
        segment("EVN", {2: timestamp(happened_at)}),
        _observation(1, "CWE", _SUBJECTS[kind], answered, verdict),
        _observation(2, "XTN", _PERSONS[kind], identifier, components("", "", "X.400", address)),
    ]
    if failure is not None:
        condition = Condition.APPLICATION
        segments.append(
            segment(
                "ERR",
                {
                    3: components(condition.code, condition.label, _CONDITIONS),
                    4: "E",
                    5: components(failure.code, failure.label, failure.table),
                },
            )
        )
    return build_hl7(segments, charset=heading.charset)


def _observation(number: int, kind: str, what: tuple[str, str], sub: str, value: Field) -> str:
    fields: dict[int, str | Field] = {
        1: str(number),
        2: kind,
        3: components(*what, "AckMetierZAM"),
        4: sub,
        5: value,
        11: "F",
    }
    return segment("OBX", fields)
