"""What we hand to software behind a mailbox, beside the official example of it, field by field."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from uuid import UUID

from directory.address import MailAddress
from mss.clinical.metadata import Action
from mss.hl7.destinations import Audience
from mss.hl7.intake import PROFILE, build_document_message, carried_documents
from mss.hl7.letters import Plan, build_enclosures, build_letter
from mss.hl7.writing import Heading
from mss.mime.addresses import NamedAddress
from mss.mime.limits import MimeLimits
from mss.mime.parse import parse_message
from tests.unit.mss.hl7.test_official import AT, differences, read

MAILBOX: Final = "dpi@hopitalA.mssante.fr"
# Beginning of a place: why we write it otherwise than the example.
RULES: Final[Mapping[str, str]] = {
    "EVN[1]-5": "who recorded the event is known to the sender's software only",
    "EVN[1]-6": "when it happened there is not known here",
    "OBX[1]-5.5": "the example carries no document",
    "OBX[2]-3": "the letter's own Message-ID and subject",
    "OBX[2]-5.5": "the letter's own text",
    "PID[1]-3.7": "the document says of no number since when it is valid",
    "PID[1]-11.2": "the document has lines of the address, and not its parts",
    "PID[1]-11.3": "as above: the city is one of the lines",
    "PID[1]-11.5": "as above: the postal code is one of the lines",
    "PID[1]-18": "the account number is of the sender's administration",
    "PID[1]-31": "whether the identity is of an unknown person is not said by documents",
    "PRT[1]-4.2": "the guide's table has a label, its example leaves it out",
    "PRT[1]-5.9": "the example has a blank in the name of the authority",
    "PRT[1]-8": "the author's structure is in the document, so it is said",
    "PRT[2]-4.2": "as for the sender",
    "PRT[2]-8": "a mailbox is told by its address; its unit stands in no letter",
    "PRT[3]-4.2": "as for the sender",
    "TXA[1]-4": "the instant of the document in the letter",
    "TXA[1]-12.2": "the name of who gave the identifier is not in the document",
    "TXA[1]-22": "the signer with name and authority, not only the number",
}


def test_our_message_is_the_official_one_but_for_what_it_cannot_know() -> None:
    """The letter carries the document of the official request about the same patient."""
    request = replace(read("mdm_t02_init"), reply_to=read("oru_r01_init").reply_to)
    enclosures = build_enclosures(request, Action.NEW, set_uuid=UUID(int=1), at=AT)
    _, raw = build_letter(
        request,
        Plan(audience=Audience.PROFESSIONALS, recipients=((MailAddress.parse(MAILBOX), ""),)),
        enclosures,
        action=Action.NEW,
        author=NamedAddress(address=MailAddress.parse("thomas.eric@medecin.mssante.fr")),
        product="",
        message_id="<1@pfi.example>",
        at=AT,
    )
    letter = parse_message(raw, MimeLimits())
    (document,) = carried_documents(letter)
    heading = Heading(
        sender=("PFI-Y", "Organisation-Y"),
        receiver=("RIS-Y", "Organisation-Y"),
        kind=("MDM", "", "MDM_T02"),
        control_id="015",
        version="2.6",
        at=AT,
        profile=PROFILE,
    )

    written = build_document_message(letter, document, heading=heading, mailbox=MAILBOX)

    found = differences(written, "lps_mdm_t02_init_short")
    assert [place for place in found if not place.startswith(tuple(RULES))] == []
    assert [rule for rule in RULES if not any(one.startswith(rule) for one in found)] == []
