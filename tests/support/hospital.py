"""Hospital software for tests: it writes requests, and answers what comes back.

The requests are of our own making, in the form of the official examples; the documents in them are
those of `mss.clinical.sample`.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final
from uuid import UUID

from mss.clinical.cda import FileBody, build_cda, parse_cda
from mss.clinical.document import CdaHeader, RelatedDocument
from mss.clinical.pdf import build_pdf
from mss.clinical.people import Identifier
from mss.clinical.sample import (
    CARDIOLOGIST,
    GENERAL_PRACTITIONER,
    HOSPITAL,
    PATIENT,
    discharge_header,
)
from mss.clinical.vocabulary import FIXED_TEMPLATES
from mss.hl7.framing import FrameReader, build_frame
from mss.hl7.message import HL7Message, parse_hl7

ER7: Final = Path(__file__).parents[3] / "shared" / "data" / "er7"
AT: Final = datetime(2026, 5, 20, 14, 15, tzinfo=UTC)
MATRICULE: Final = "254057511404292"
INS_OID: Final = "1.2.250.1.213.1.4.10"
TYPE: Final = "11490-0"
FLAGS: Final = (
    "MASQUE_PS",
    "INVISIBLE_PATIENT",
    "INVISIBLE_REP_LEGAUX",
    "CONNEXION_SECRETE",
    "MODIF_CONF_CODE",
    "DESTDMP",
    "DESTMSSANTEPS",
    "DESTMSSANTEPAT",
    "ACK_RECEPTION",
    "ACK_LECTURE_MSS",
)
NEW, REPLACE, DELETE = ("T02", "NW", "F"), ("T10", "RO", "C"), ("T04", "CA", "D")


@cache
def header(*, version: int = 1) -> CdaHeader:
    """The header of the sample letter; a higher version replaces the one before."""
    made = discharge_header(
        at=AT,
        letter_id=UUID(int=7),
        author=CARDIOLOGIST,
        gp=GENERAL_PRACTITIONER,
        hospital=HOSPITAL,
        patient=PATIENT,
    )
    assert made.set_id is not None
    root = made.set_id.root
    made = replace(
        made,
        id=Identifier(f"{root}.{version}"),
        version=version,
        templates=tuple(Identifier(one) for one in (*FIXED_TEMPLATES, "1.3.6.1.4.1.19376.1.2.20")),
    )
    if version == 1:
        return made
    old = Identifier(f"{root}.{version - 1}")
    return replace(made, related=(RelatedDocument(type_code="RPLC", ids=(old,)),))


@cache
def document(*, version: int = 1) -> bytes:
    """A letter as one PDF in a CDA."""
    head = header(version=version)
    return build_cda(head, FileBody("application/pdf", build_pdf(head, ())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A request to write; every part may be changed.

    Attributes:
        flags: Those that are not as usual.
        without: Names of segments that are left out.
        more: Segments that come last.
    """

    action: tuple[str, str, str] = NEW
    kind: str = "MDM"
    to: Sequence[str] = ("karim.modele@cabinets-essai.mssante.fr",)
    flags: Mapping[str, str] = field(default_factory=dict)
    control_id: str = "015"
    application: str = "RIS-Y"
    facility: str = "Organisation-Y"
    version: str = ""
    processing: str = "P"
    charset: str = "UNICODE UTF-8"
    octets: bytes | None = None
    own_id: str | None = None
    parent_id: str | None = None
    code: str = TYPE
    title: str = "Lettre de liaison"
    patient: str = f"{MATRICULE}^^^ASIP-SANTE-INS-NIR&{INS_OID}&ISO^INS"
    visit: str = "PV1|1|I|||||||||||||||||000897406^^^AUT&120456789&M^VN"
    without: frozenset[str] = frozenset()
    more: Sequence[str] = ()
    line_end: str = "\r"

    def text(self) -> str:
        """Write it."""
        event, order, status = self.action
        event = "R01" if self.kind == "ORU" else event
        cda = self.octets
        if cda is None:
            cda = document(version=1 if self.action is NEW else 2)
        head = _header_of(cda)
        own_id = head.id.xds if head and head.id else ""
        parent = head.replaces[0].xds if head and head.replaces else ""
        own_id = own_id if self.own_id is None else self.own_id
        parent = parent if self.parent_id is None else self.parent_id
        version = self.version or ("2.5" if self.kind == "ORU" else "2.6")
        structure = "ORU_R01" if self.kind == "ORU" else "MDM_T02"
        code = f"{self.code}^{self.title}^LN"
        encoded = b64encode(cda).decode()
        segments = [
            (
                f"MSH|^~\\&|{self.application}|{self.facility}|PFI-Y|Organisation-Y|202106060931||"
                f"{self.kind}^{event}^{structure}|{self.control_id}|{self.processing}|{version}"
                f"|||||FRA|{self.charset}|||2.1^CISIS_CDA_HL7_V2"
            ),
            "EVN||20211005152908",
            f"PID|||{self.patient}||PATIENT-FICTIF^CAMILLE^CAMILLE^^^^L||19540514|F",
            self.visit,
            f"ORC|{order}|",
            f"OBR|1|||{code}|",
            f"TXA|1|{self.code}|TEXT|202212160932||||||||{own_id}^Organisation-Y"
            + (f"|{parent}^Organisation-Y" if parent else ""),
            f"OBX|1|ED|{code}||^text^XML^Base64^{encoded}||||||{status}|",
            (
                "PRT||UC||SB^^participation|801234564895^Eric^Thomas^^^^^^ASIP&1.2.250.1.71.4.2.1&ISO"
                "^D^^^IDNPS|||Organisation-Y^^^^^ASIP-SANTE-ST&1.2.250.1.71.4.2.2&ISO^FINEG^^^300017985"
            ),
            *(
                "PRT||UC||RCT^^participation|801234567897^Hoda^Adam^^^^^^ASIP&1.2.250.1.71.4.2.1"
                f"&ISO^D^^^IDNPS||||||||||^^X.400^{one}"
                for one in self.to
            ),
        ]
        if self.kind == "ORU":
            segments = [one for one in segments if one[:3] not in {"EVN", "TXA"}]
        segments += self._metadata()
        kept = [one for one in segments if one[:3] not in self.without]
        return self.line_end.join([*kept, *self.more]) + self.line_end

    def _metadata(self) -> list[str]:
        usual = dict.fromkeys(FLAGS, "N") | {"DESTMSSANTEPS": "Y"} | dict(self.flags)
        value = "CE" if self.kind == "ORU" else "CWE"
        return [
            f"OBX|{number}|{value}|{name}^x^MetaDMPMSS||{flag}^^expandedYes-NoIndicator||||||F|"
            for number, (name, flag) in enumerate(usual.items(), start=2)
            if flag
        ]

    def octets_of(self) -> bytes:
        """Write it as it goes over the wire."""
        codec = {"8859/15": "iso-8859-15", "8859/1": "iso-8859-1"}.get(self.charset, "utf-8")
        return self.text().encode(codec)


def _header_of(cda: bytes) -> CdaHeader | None:
    try:
        return parse_cda(cda).header
    except Exception:  # noqa: BLE001 -- a test may ask for a document that is none
        return None


def a_request(**changes: object) -> bytes:
    """Write a request with some parts changed."""
    return Written(**changes).octets_of()  # type: ignore[arg-type]  # names are checked there


class Line:
    """A connection of hospital software to our door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.frames = FrameReader(reader, 1024 * 1024)
        self.writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, port: int, context: ssl.SSLContext | None = None) -> AsyncIterator["Line"]:
        """Connect while the block lasts."""
        host = "localhost" if context else "127.0.0.1"
        reader, writer = await asyncio.open_connection(host, port, ssl=context)
        try:
            yield cls(reader, writer)
        finally:
            writer.close()

    async def ask(self, message: bytes) -> HL7Message:
        """Send a message and read its answer."""
        return parse_hl7(await self.ask_raw(message))

    async def ask_raw(self, message: bytes) -> bytes:
        """Send a message and give the octets of its answer."""
        self.writer.write(build_frame(message))
        async with asyncio.timeout(20):
            assert await self.frames.wait(), "the connection was closed without an answer"
            return await self.frames.read()


Reply = Callable[[HL7Message], str | None]


def accepts(message: HL7Message) -> str | None:
    """Answer AA."""
    return _reply(message, "AA")


def does_not_know_the_patient(message: HL7Message) -> str | None:
    """Answer that the patient is unknown, as the guide wants it."""
    return _reply(message, "AE") + (
        "ERR|||207^Application error^messageErrorCondition|E|"
        "902^Identifiant patient inconnu^applicationErrorCondition\r"
    )


def says_nothing(message: HL7Message) -> str | None:
    """Close the connection instead of answering."""
    del message
    return None


def _reply(message: HL7Message, verdict: str) -> str:
    said = message.header
    return (
        f"MSH|^~\\&|{said.text(5)}|{said.text(6)}|{said.text(3)}|{said.text(4)}|20260520||"
        f"ACK^{said.text(9, 2)}^ACK|1|P|2.6\rMSA|{verdict}|{said.text(10)}\r"
    )


@dataclass(slots=True)
class Listening:
    """Software that listens: what it got, and what it answers.

    Attributes:
        replies: Taken one after the other; the last one stays.
    """

    replies: list[Reply] = field(default_factory=lambda: [accepts])
    got: list[HL7Message] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        """Where it listens, as a route says it."""
        return f"mllp://127.0.0.1:{self.port}"

    def kinds(self) -> list[str]:
        """The events of what it got."""
        return [one.header.text(9, 2) for one in self.got]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection."""
        frames = FrameReader(reader, 64 * 1024 * 1024)
        try:
            while await frames.wait():
                message = parse_hl7(await frames.read())
                self.got.append(message)
                reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                answer = reply(message)
                if answer is None:
                    return
                writer.write(build_frame(answer.encode()))
                await writer.drain()
        except ConnectionError:
            return
        finally:
            writer.close()


@asynccontextmanager
async def listening(*replies: Reply) -> AsyncIterator[Listening]:
    """Listen while the block lasts."""
    software = Listening(replies=list(replies) or [accepts])
    server = await asyncio.start_server(software.serve, "127.0.0.1", 0)
    software.port = int(server.sockets[0].getsockname()[1])
    try:
        yield software
    finally:
        server.close()
