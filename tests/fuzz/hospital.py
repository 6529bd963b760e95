"""What is fuzzed about hospital software: a request in HL7 v2, its answers, and if it agrees."""

from functools import cache

from mss.hl7.agreement import check_agreement
from mss.hl7.answers import Verdict, build_ack, build_blind_ack
from mss.hl7.destinations import audiences_of
from mss.hl7.message import parse_hl7
from mss.hl7.request import read_request
from mss.hl7.translation import syntax_objection
from tests.support.hospital import AT, REPLACE, a_request


@cache
def requests() -> tuple[bytes, ...]:
    """Requests that can be carried out: both messages, every line end and charset."""
    return (
        a_request(),
        a_request(kind="ORU", line_end="\n", charset="8859/15"),
        a_request(action=REPLACE, line_end="\r\n", charset="8859/1"),
    )


def judge_request(octets: bytes) -> object:
    """Read, answer and judge a request; every answer is a message, whatever was asked."""
    blind = build_blind_ack(octets, syntax_objection("segment"), control_id="1", at=AT)
    assert parse_hl7(blind).first("MSA"), "what cannot be read is answered"
    message = parse_hl7(octets)
    answer = build_ack(message, Verdict.ACCEPTED, control_id="1", at=AT)
    assert parse_hl7(answer).first("MSA"), "what can be read is answered"
    request = read_request(message)
    return check_agreement(request, strict=True), audiences_of(request.flags, strict=True)
