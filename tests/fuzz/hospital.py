"""What is fuzzed about hospital software: a request in HL7 v2, down to whether it agrees."""

from mss.hl7.agreement import check_agreement
from mss.hl7.message import parse_hl7
from mss.hl7.request import read_request
from tests.support.hospital import a_request


def requests() -> tuple[bytes, ...]:
    """A request that can be carried out."""
    return (a_request(),)


def judge_request(octets: bytes) -> object:
    """Read a request as the door does, and compare it with itself."""
    return check_agreement(read_request(parse_hl7(octets)))
