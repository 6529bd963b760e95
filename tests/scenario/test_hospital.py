"""Hospital software, its operator, another operator, and the software behind a mailbox there.

Everything runs as `mss serve` runs it, over sockets: a request comes in over MLLP, the letter goes
signed and encrypted to the second operator, and what becomes of it comes back as ZAM.
"""

import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from crypto.issuing import CertificateProfile, Subject
from mss.hl7.desk import Desk
from mss.hl7.message import HL7Message, parse_hl7
from mss.hl7.request import decode_base64
from mss.store import tables
from mss.store.deliveries import RELAY
from mss.store.engine import Connection
from tests.support.hospital import (
    DELETE,
    ER7,
    NEW,
    REPLACE,
    Line,
    Listening,
    a_request,
    accepts,
    document,
    does_not_know_the_patient,
    listening,
    says_nothing,
)
from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    Ground,
    Home,
    Pair,
    Running,
    both_operating,
    until,
)

pytestmark = pytest.mark.slow
SOFTWARE = Subject(
    common_name="ris.ch-essai.fr",
    organization=HOSPITAL.organization,
    structure_id=HOSPITAL.structure_id,
)
BOTH_RECEIPTS = {"ACK_RECEPTION": "Y", "ACK_LECTURE_MSS": "Y"}
QUICK = {"poll_seconds": 0.05, "delays": [0.1], "answer_seconds": 5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Both operators, and the hospital's software with its certificate."""

    pair: Pair
    creator: Listening
    tls: ssl.SSLContext

    @property
    def port(self) -> int:
        """Where the hospital's operator listens over TLS."""
        return self.pair.hospital.ports["mllps"]

    async def ask(self, message: bytes) -> HL7Message:
        """Send one message over TLS."""
        async with Line.open(self.port, self.tls) as line:
            return await line.ask(message)

    async def await_kinds(self, *kinds: str) -> list[HL7Message]:
        """Wait until the creator got these."""

        async def is_there() -> bool:
            return len(self.creator.got) >= len(kinds)

        await until(is_there, f"{kinds} at the creator")
        assert self.creator.kinds() == list(kinds)
        return self.creator.got


def desk_of(running: Running) -> Desk:
    """The administrator's desk of an operator that runs."""
    operator = running.operator
    return Desk(database=operator.database, clock=operator.services.clock, chain="essais")


@pytest.fixture
async def stage(
    ground: Ground, hospital_home: Home, practices_home: Home, tmp_path: Path
) -> AsyncIterator[Stage]:
    """Open everything, and let the creator use the hospital's mailbox."""
    async with AsyncExitStack() as stack:
        creator = await stack.enter_async_context(listening())
        listen = {"mllps": "127.0.0.1:0"}
        hospital_home.configure({"listen": listen, "hl7": QUICK})
        practices_home.configure({"hl7": QUICK})
        pair = await stack.enter_async_context(both_operating(hospital_home, practices_home))
        clock = pair.hospital.operator.services.clock
        issued = ground.authority.issue(CertificateProfile.CLIENT, SOFTWARE, at=clock.now())
        (tmp_path / "ris.pem").write_text(
            issued.chain_pem + issued.private_key_pem, encoding="ascii"
        )
        context = ssl.create_default_context(cafile=str(hospital_home.anchors))
        context.load_cert_chain(tmp_path / "ris.pem")
        await desk_of(pair.hospital).add_route(
            application="RIS-Y",
            facility="Organisation-Y",
            mailbox=HOSPITAL.mailbox,
            destination=creator.address,
            certificate=issued.certificate.subject_text,
        )
        yield Stage(pair=pair, creator=creator, tls=context)


@asynccontextmanager
async def reader_software(stage: Stage, *replies: object) -> AsyncIterator[Listening]:
    """Let software take the documents that arrive in the practice's mailbox."""
    async with listening(*replies) as software:  # type: ignore[arg-type]
        await desk_of(stage.pair.practices).add_route(
            application="DPI-Z",
            facility="Cabinet",
            mailbox=PRACTICES.mailbox,
            destination=software.address,
            takes_documents=True,
        )
        yield software


async def test_a_request_is_delivered_and_read_and_its_software_is_told(stage: Stage) -> None:
    """The whole story of issue: AA, the letter, Z02 when it arrived, Z03 when it was read."""
    answer = await stage.ask(a_request(to=[PRACTICES.mailbox], flags=BOTH_RECEIPTS))

    said = answer.first("MSA")
    assert said is not None
    assert (said.text(1), said.text(2), answer.header.text(9, 2)) == ("AA", "015", "T02")
    (letter,) = await stage.pair.reader.await_inbox()
    assert letter["subject"].startswith("XDM/1.0/DDM+")
    await stage.await_kinds("Z02")
    await stage.pair.reader.mark_read(letter["id"])
    received, read = await stage.await_kinds("Z02", "Z03")
    for one, name in ((received, "DESTINATAIRE_MSS"), (read, "LECTEUR_MSS")):
        verdict, person = one.all("OBX")
        assert (verdict.text(4), verdict.text(5)) == ("015", "Y")
        assert person.text(3) == name
        assert (person.text(4), person.text(5, 4)) == ("801234567897", PRACTICES.mailbox)


async def test_a_document_that_cannot_be_taken_in_is_told_to_its_creator(stage: Stage) -> None:
    """902 travels from software to software: AE, MDN, Z03."""
    async with reader_software(stage, does_not_know_the_patient) as reader:
        await stage.ask(a_request(to=[PRACTICES.mailbox], flags=BOTH_RECEIPTS))
        _, read = await stage.await_kinds("Z02", "Z03")

        assert reader.kinds() == ["T02"]
        verdict, _ = read.all("OBX")
        error = read.first("ERR")
        assert error is not None
        assert verdict.text(5) == "N"
        assert (error.text(3), error.text(5)) == ("207", "902")
        (mail,) = await stage.pair.writer.await_inbox()
        assert mail["subject"].startswith("[KO Intégration système !][902] XDM/1.0/DDM+")


async def test_a_document_that_was_taken_in_is_read(stage: Stage) -> None:
    """AA of the reader's software becomes Z03 with yes, and the receipt makes no noise."""
    async with reader_software(stage, accepts) as reader:
        await stage.ask(a_request(to=[PRACTICES.mailbox], flags=BOTH_RECEIPTS))
        _, read = await stage.await_kinds("Z02", "Z03")

        (document,) = reader.got
        assert document.header.text(21) == "1.1"
        assert next(read.all("OBX")).text(5) == "Y"
        assert await stage.pair.writer.listed() == []


async def test_a_document_is_new_then_replaced_then_deleted_at_the_other_end(
    stage: Stage,
) -> None:
    """An ORU becomes T02, and T10 and T04 stay what they are, each with what goes with it."""
    asked = (
        a_request(to=[PRACTICES.mailbox], kind="ORU", line_end="\n"),
        a_request(to=[PRACTICES.mailbox], action=REPLACE, control_id="016", charset="8859/15"),
        a_request(to=[PRACTICES.mailbox], action=DELETE, control_id="017"),
    )
    async with reader_software(stage, accepts) as reader:

        async def have_come() -> bool:
            return len(reader.got) == arrived

        for arrived, message in enumerate(asked, start=1):
            answer = await stage.ask(message)
            assert next(answer.all("MSA")).text(1) == "AA"
            await until(have_come, f"document {arrived} at the reader's software")

    told = [
        (
            one.header.text(9, 2),
            next(one.all("ORC")).text(1),
            next(one.all("OBX")).text(11),
            bool(next(one.all("TXA")).text(13)),
        )
        for one in reader.got
    ]
    assert told == [("T02", *NEW[1:], False), (*REPLACE, True), (*DELETE, True)]
    assert [decoded(one) for one in reader.got] == [
        document(),
        document(version=2),
        document(version=2),
    ]


def decoded(message: HL7Message) -> bytes | None:
    """The document that a message carries."""
    return decode_base64(next(message.all("OBX")).text(5, 5), is_strict=True)


def official(name: str) -> bytes:
    """An official request to the mailbox of these tests; nothing goes to a patient."""
    path = ER7 / f"{name}.er7"
    if not path.exists():
        pytest.skip(f"official test data are not here: {name}")
    text = path.read_text(encoding="utf-8")
    for theirs, ours in (
        ("SIL-Y|labo", "RIS-Y|Organisation-Y"),
        ("adam.hoda@test-ci-sis.mssante.fr", PRACTICES.mailbox),
        ("DESTMSSANTEPAT^Destinataire Patient^MetaDMPMSS||Y^", "DESTMSSANTEPAT^^MetaDMPMSS||N^"),
    ):
        text = text.replace(theirs, ours)
    lines = [one for one in text.splitlines() if "@patient.mssante.fr" not in one]
    return "\r".join(lines).encode()


@pytest.mark.parametrize(
    ("name", "becomes"),
    [("mdm_t02_init", "T02"), ("mdm_t10_replace", "T10"), ("oru_r01_init", "T02")],
)
async def test_an_official_request_comes_out_at_the_other_end(
    stage: Stage, name: str, becomes: str
) -> None:
    """Their documents, octet for octet, from their software to another's through both operators."""
    message = official(name)
    sent = [
        decode_base64(one.text(5, 5), is_strict=False)
        for one in parse_hl7(message).all("OBX")
        if one.text(5, 3) == "XML"
    ]
    async with reader_software(stage, accepts) as reader:
        answer = await stage.ask(message)
        assert next(answer.all("MSA")).text(1) == "AA"

        async def have_come() -> bool:
            return len(reader.got) >= len(sent)

        await until(have_come, "each document at the reader's software")

    assert sent
    assert {one.header.text(9, 2) for one in reader.got} == {becomes}
    assert sorted(filter(None, map(decoded, reader.got))) == sorted(filter(None, sent))


async def test_software_that_breaks_off_gets_the_same_message_again(stage: Stage) -> None:
    """What has no answer was perhaps not stored: the control id tells that it is the same."""
    async with reader_software(stage, says_nothing, says_nothing, accepts) as reader:
        await stage.ask(a_request(to=[PRACTICES.mailbox], flags={"ACK_LECTURE_MSS": "Y"}))
        await stage.await_kinds("Z03")

        assert len(reader.got) == 3
        assert len({one.header.text(10) for one in reader.got}) == 1


async def test_a_repeated_request_gets_the_same_answer_and_sends_nothing(stage: Stage) -> None:
    """Software that lost the answer asks again; the recipient must not get two letters."""
    message = a_request(to=[PRACTICES.mailbox])
    async with Line.open(stage.port, stage.tls) as line:
        first, second = await line.ask_raw(message), await line.ask_raw(message)

    assert first == second
    await stage.pair.reader.await_inbox()
    assert await stage.pair.hospital.operator.database.read(count_relayed) == 1


def count_relayed(connection: Connection) -> int:
    """Count letters to the other operator; a report that came from there is another delivery."""
    relayed = select(func.count()).where(tables.delivery.c.route == RELAY)
    return connection.execute(relayed).scalar_one()


async def test_a_request_over_http_needs_the_mailbox_of_its_account(stage: Stage) -> None:
    """The account that holds the mailbox may ask; another one learns nothing."""
    message = a_request(to=[PRACTICES.mailbox])
    headers = {"Content-Type": "application/hl7-v2; charset=utf-8"}
    mine = await stage.pair.writer.http.post("/v1/hl7", content=message, headers=headers)
    others = stage.pair.hospital.home.tokens["voisin"]
    refused = await stage.pair.writer.http.post(
        "/v1/hl7", content=message, headers=headers | {"Authorization": f"Bearer {others}"}
    )

    assert mine.headers["content-type"] == "application/hl7-v2; charset=utf-8"
    assert b"MSA|AA|015" in mine.content
    assert b"MSA|AE|015" in refused.content
    await stage.pair.reader.await_inbox()
