"""Chapters two to five: the letter is written, carried, read, answered; and two are refused."""

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import httpx

from mss.cli.demo.operators import Operators
from mss.cli.demo.software import HospitalSoftware, PracticeSoftware, Refusal, await_until
from mss.cli.demo.stage import Stage, verify
from mss.clinical.sample import Letter, discharge_letter
from mss.clock import SystemClock

STATIONS = ["accepted", "relayed", "delivered", "read"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A letter on its way: how it was handed over, and its identifier at the hospital."""

    door: str
    letter: Letter
    raw: bytes
    message_id: str


def tell_story(operators: Operators, stage: Stage) -> None:
    """Tell it from the first letter to the last refusal."""
    hospital = HospitalSoftware(operators.hospital, str(operators.anchors))
    practice = PracticeSoftware(operators.practices, str(operators.anchors))
    try:
        sent = _send(hospital, operators, stage)
        _receive(practice, operators, sent, stage)
        _answer(hospital, practice, sent, stage)
        _refuse(hospital, operators, stage)
    finally:
        hospital.close()
        practice.close()


def _send(hospital: HospitalSoftware, operators: Operators, stage: Stage) -> list[Sent]:
    """Hand the letter over twice, through both doors for users."""
    stage.chapter("The hospital's software sends a discharge letter to the GP, twice")
    to = operators.practices.mailbox
    sent: list[Sent] = []
    with stage.step("Letter written: LDL-SES (CDA R2) in IHE_XDM.ZIP, and its PDF copy") as details:
        letters = [_letter(), _letter()]
        details.append(letters[0].subject)
        details.append(
            f"IHE_XDM.ZIP {len(letters[0].archive)} octets, PDF {len(letters[0].pdf)} octets"
        )
    with stage.step("Submitted by SMTP (STARTTLS, login): accepted"):
        raw = hospital.compose(letters[0], to=to)
        answer = hospital.submit(raw, to=to)
        verify(isinstance(answer, str), f"the SMTP submission was refused: {answer}")
        sent.append(Sent(door="SMTP", letter=letters[0], raw=raw, message_id=str(answer)))
    with stage.step("Submitted by REST (POST /v1/mailboxes/…/messages): 202 accepted"):
        raw = hospital.compose(letters[1], to=to)
        accepted = hospital.post(raw)
        if isinstance(accepted, httpx.Response):
            verify(is_so=False, otherwise=f"the REST submission was refused: {accepted.text}")
        else:
            sent.append(
                Sent(door="REST", letter=letters[1], raw=raw, message_id=str(accepted["id"]))
            )
    with stage.step("Relayed: signed, encrypted, STARTTLS with both certificates checked"):
        for one in sent:
            await_until(
                lambda one=one: "relayed" in hospital.stations(one.message_id),  # type: ignore[misc]
                f"the letter sent by {one.door} was not relayed",
            )
    return sent


def _receive(
    practice: PracticeSoftware, operators: Operators, sent: list[Sent], stage: Stage
) -> None:
    """Read both letters as the GP's software does, and compare with what was sent."""
    stage.chapter("The GP's software reads them by REST")
    with stage.step("Both letters are in the inbox; subject and sender are the protected ones"):
        await_until(lambda: len(practice.inbox()) == len(sent), "the letters did not arrive")
        inbox = practice.inbox()
        arrived = {item["internet_message_id"]: item for item in inbox}
        for one in sent:
            item = arrived.get(_message_id(one.raw))
            verify(item is not None, f"the letter sent by {one.door} is not in the inbox")
            assert item is not None, "it was just verified"
            verify(item["subject"] == one.letter.subject, "the subject differs")
            verify(item["author"]["address"] == operators.hospital.mailbox, "the sender differs")
    with stage.step(
        "Security verdict of both: valid, signed by the hospital, encrypted"
    ) as details:
        judged = [practice.message(item["id"])["security"] for item in inbox]
        for security in judged:
            verify(security["verdict"] == "valid", f"the verdict is {security['verdict']}")
            verify(security["encrypted"], "it was not encrypted")
        first = judged[0]
        details.append(f"signed by {first['signer']}, tied by {first['binding']}")
        details.append(f"{first['signature_algorithm']}, {first['content_algorithm']}")
    for one in sent:
        with stage.step(
            f"Document and PDF of the letter sent by {one.door}, octet for octet"
        ) as said:
            said.extend(_check_letter(practice, arrived[_message_id(one.raw)]["id"], one))
    with stage.step("Sealed at rest: neither patient nor document is readable in the files"):
        _check_sealed(operators.practices.home, sent[0].letter)


def _check_letter(practice: PracticeSoftware, message_id: str, one: Sent) -> list[str]:
    """Compare one letter at the far end with what the hospital wrote."""
    found = practice.documents(message_id)
    verify(len(found["items"]) == 1, "there is not exactly one document")
    document = found["items"][0]
    errors = [finding["code"] for finding in found["findings"] if finding["severity"] == "error"]
    verify(not errors, f"the document has errors: {errors}")
    cda = practice.octets(f"/v1/messages/{message_id}/documents/1?form=xml")
    verify(cda == one.letter.cda, "the CDA document differs")
    message = practice.message(message_id)
    pdf = next(part for part in message["parts"] if part["content_type"] == "application/pdf")
    verify(pdf["filename"] == one.letter.pdf_name, "the name of the PDF differs")
    verify(practice.octets(pdf["href"]) == one.letter.pdf, "the PDF differs")
    patient, author = document["patient"], document["authors"][0]
    return [
        f"{document['type_code']} {document['type_label']}",
        f"patient {patient['birth_name']} {patient['given_name']}, INS {patient['ins']}",
        f"author {author['name']}, {author['organization']}",
    ]


def _check_sealed(home: Path, letter: Letter) -> None:
    """Search every file of a home for what nobody may read there."""
    secrets = [b"PATIENT-FICTIF", letter.cda[200:260], letter.subject.encode(), letter.pdf[100:160]]
    files = [one for one in home.rglob("*") if one.is_file()]
    for file in files:
        octets = file.read_bytes()
        for secret in secrets:
            verify(secret not in octets, f"{file.name} holds clinical content in clear")


def _answer(
    hospital: HospitalSoftware, practice: PracticeSoftware, sent: list[Sent], stage: Stage
) -> None:
    """Mark the letters read, and see the receipts arrive at the hospital."""
    stage.chapter("The GP reads, the hospital knows")
    with stage.step("Marked as read; a read receipt (MDN) goes back for each"):
        practice.mark_read([item["id"] for item in practice.inbox()])
    with stage.step("The hospital follows both: " + " → ".join(STATIONS)):
        for one in sent:
            await_until(
                lambda one=one: "read" in hospital.stations(one.message_id),  # type: ignore[misc]
                f"no read receipt came for the letter sent by {one.door}",
            )
            stations = hospital.stations(one.message_id)
            verify(stations == STATIONS, f"the timeline reads {stations}")


def _refuse(hospital: HospitalSoftware, operators: Operators, stage: Stage) -> None:
    """Write to nobody, and to somebody outside the trust space."""
    stage.chapter("Two letters that must not leave")
    letter = _letter()
    unknown = f"inconnu@{operators.practices.domain}"
    with stage.step("To an address that does not exist: refused at submission") as details:
        answer = hospital.submit(hospital.compose(letter, to=unknown), to=unknown)
        if not isinstance(answer, Refusal):
            verify(is_so=False, otherwise=f"a letter to {unknown} was accepted")
        else:
            verify(answer.code == 550, f"the answer was {answer}")
            details.append(f"SMTP {answer.code} {answer.text}")
    outside = "quelqu.un@example.org"
    with stage.step("To a domain outside the trust list: refused at submission") as details:
        response = hospital.post(hospital.compose(letter, to=outside))
        if not isinstance(response, httpx.Response):
            verify(is_so=False, otherwise=f"a letter to {outside} was accepted")
        else:
            problem = response.json()
            verify(problem["code"] == "domain-not-trusted", f"the answer was {problem}")
            details.append(f"HTTP {response.status_code} {problem['code']}: {problem['detail']}")
            details.append(problem["detail_fr"])


def _letter() -> Letter:
    clock = SystemClock()
    return discharge_letter(at=clock.now(), letter_id=UUID(hex=clock.new_id()))


def _message_id(raw: bytes) -> str:
    """Read the Message-ID that our own software wrote."""
    line = next(one for one in raw.split(b"\r\n") if one.startswith(b"Message-ID:"))
    return line.split(b":", 1)[1].strip().decode()
