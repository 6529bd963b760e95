"""Turn what arrives in an application mailbox into messages for hospital software.

One MDM for each CDA document in the archives of a letter: new (T02), replaced (T10) or deleted
(T04) as the archive says. What is to be sent is written down together with the mark of how far the
mailbox was looked at; the message itself is written when its turn has come, from the letter.

Reports, and letters without documents, stay in the mailbox for people.

Sources
    ANS, CI-SIS, Transmission au LPS d'un document CDA provenant d'un courriel MSSanté 1.1.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import pybase64

from crypto.errors import CryptoError
from mss.blobs.errors import BlobDamagedError, BlobMissingError
from mss.clinical.cda import CdaDocument, CdaSyntaxError, parse_cda
from mss.clinical.document import CdaHeader
from mss.clinical.metadata import Action, DocumentEntry
from mss.clinical.patient import INSAuthority, Patient, Traits
from mss.clinical.people import Actor
from mss.clinical.times import HL7Time
from mss.clinical.xdm import ArchiveDocument, ArchiveError, read_archive
from mss.clock import Clock
from mss.hl7.gateway import new_control_id
from mss.hl7.letters import MASKS
from mss.hl7.request import Flag
from mss.hl7.writing import (
    Field,
    Heading,
    base64_field,
    build_hl7,
    components,
    escape,
    segment,
    timestamp,
)
from mss.mime.errors import MessageSyntaxError
from mss.mime.limits import MimeLimits
from mss.mime.parse import ParsedMessage, parse_message, part_octets, part_text
from mss.pipeline.covers import MAX_ARCHIVES, may_be_archive
from mss.pipeline.protect import aside
from mss.ports import BlobStore
from mss.settings import Settings
from mss.store import hl7, messages
from mss.store.engine import Database
from mss.store.hl7 import Arrived, Outgoing, Route

_log = logging.getLogger("mss.hl7")
KIND: Final = "MDM"
PROFILE: Final = ("1.1", "CISIS_CDA_HL7_LPS")
AT_ONCE: Final = 50
LOINC: Final = "2.16.840.1.113883.6.1"
EVENTS: Final = {
    Action.NEW: ("T02", "NW", "F"),
    Action.REPLACE: ("T10", "RO", "C"),
    Action.DELETE: ("T04", "CA", "D"),
}
_INS_NAMES: Final = {
    INSAuthority.NIR: "ASIP-SANTE-INS-NIR",
    INSAuthority.NIA: "ASIP-SANTE-INS-NIA",
    INSAuthority.NIR_TEST: "ASIP-SANTE-INS-NIR",
    INSAuthority.NIR_DEMO: "ASIP-SANTE-INS-NIR",
}
_LABELS: Final = {
    Flag.MASQUE_PS: "Masqué aux professionnels de Santé",
    Flag.INVISIBLE_PATIENT: "Document Non Visible par le patient",
    Flag.INVISIBLE_REP_LEGAUX: "Non visible par les représentants Légaux du patient",
    Flag.MODIF_CONF_CODE: "Modification Confidentiality Code",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedDocument:
    """A document of a letter, as it lies in its archive and as it reads."""

    file: ArchiveDocument
    cda: CdaDocument

    @property
    def action(self) -> Action:
        """What is to be done with it."""
        return self.file.entry.action


def carried_documents(message: ParsedMessage) -> list[CarriedDocument]:
    """Read every CDA document in the archives of a letter, in order."""
    return list(_carried(message))


def _carried(message: ParsedMessage) -> Iterator[CarriedDocument]:
    parts = [part for part in message.parts() if may_be_archive(message, part)]
    for part in parts[:MAX_ARCHIVES]:
        try:
            archive = read_archive(part_octets(message.raw, part))
        except (ArchiveError, MessageSyntaxError):
            continue
        for file in archive.documents:
            try:
                yield CarriedDocument(file=file, cda=parse_cda(file.octets))
            except CdaSyntaxError:
                continue


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """Looks after the mailboxes whose documents go to software."""

    database: Database
    blobs: BlobStore
    clock: Clock
    settings: Settings
    limits: MimeLimits

    async def look(self) -> int:
        """Write down the documents that arrived since the last look; tell how many."""
        found = 0
        for route in await self.database.read(hl7.list_routes):
            if route.takes_documents:
                found += await self._look_into(route)
        return found

    async def _look_into(self, route: Route) -> int:
        ask = partial(hl7.list_arrived, route=route, limit=AT_ONCE)
        found = 0
        for one in await self.database.read(ask):
            count = 0 if one.report else await self._count(one)
            await self._take(route, one, count)
            found += count
        return found

    async def _take(self, route: Route, arrived: Arrived, count: int) -> None:
        at = self.clock.now()
        documents = [
            Outgoing(
                id=self.clock.new_id(),
                route_id=route.id,
                subject=f"{arrived.message_id}:{KIND}:{route.id}:{number}",
                kind=KIND,
                message_id=arrived.message_id,
                number=number,
                control_id=new_control_id(self.clock),
                queued_at=at,
            )
            for number in range(1, count + 1)
        ]
        await self.database.write(lambda c: hl7.take_in(c, route, arrived, documents, at=at))

    async def _count(self, arrived: Arrived) -> int:
        letter = await self.letter(arrived.message_id)
        if letter is None:
            return 0
        return len(await aside(len(letter.raw), carried_documents, letter))

    async def letter(self, message_id: str) -> ParsedMessage | None:
        """Read a letter that arrived; `None` if it is gone or cannot be read."""
        row = await self.database.read(lambda c: messages.find_message(c, message_id))
        if row is None or not row.blob_ref:
            return None
        try:
            raw = await self.blobs.get(row.blob_ref)
            return await aside(len(raw), parse_message, raw, self.limits)
        except (BlobMissingError, BlobDamagedError, MessageSyntaxError, CryptoError) as error:
            _log.warning("letter %s cannot be read: %s", message_id, type(error).__name__)
            return None

    async def build(self, route: Route, one: Outgoing) -> bytes | None:
        """Write a message that was queued; `None` if its letter is gone."""
        letter = await self.letter(one.message_id or "")
        if letter is None:
            return None
        heading = Heading(
            sender=(self.settings.hl7.application, facility_of(self.settings)),
            receiver=(route.application, route.facility),
            kind=("MDM", "", "MDM_T02"),
            control_id=one.control_id,
            version="2.6",
            at=self.clock.now(),
            profile=PROFILE,
        )
        return await aside(len(letter.raw), _built, letter, one.number, heading, route.mailbox_key)


def facility_of(settings: Settings) -> str:
    """Say whose server this is, MSH-4."""
    return settings.hl7.facility or settings.host_name


def _built(letter: ParsedMessage, number: int, heading: Heading, mailbox: str) -> bytes | None:
    documents = carried_documents(letter)
    if not 1 <= number <= len(documents):
        return None
    return build_document_message(letter, documents[number - 1], heading=heading, mailbox=mailbox)


def build_document_message(
    letter: ParsedMessage, document: CarriedDocument, *, heading: Heading, mailbox: str
) -> bytes:
    """Write the MDM about one document of a letter.

    Args:
        letter: What arrived.
        document: One of `carried_documents`.
        heading: MSH; its event is set here.
        mailbox: Where it arrived.
    """
    event, order, status = EVENTS[document.action]
    header, entry = document.cda.header, document.file.entry
    code = header.code
    system = "LN" if code is None or code.system == LOINC else "TRE_A05"
    kind = components(code.code if code else "", code.display if code else "", system)
    encoded = pybase64.b64encode(document.file.octets).decode("ascii")
    heading = Heading(
        sender=heading.sender,
        receiver=heading.receiver,
        kind=(heading.kind[0], event, heading.kind[2]),
        control_id=heading.control_id,
        version=heading.version,
        at=heading.at,
        charset=heading.charset,
        profile=heading.profile,
    )
    segments = [
        heading.written(),
        segment("EVN", {2: timestamp(heading.at)}),
        _patient(header.patient or Patient()),
        segment("PV1", {1: "1", 2: "N"}),
        segment("ORC", {1: order}),
        segment("OBR", {1: "1", 4: kind}),
        _document(header, entry, event),
        segment(
            "OBX",
            {1: "1", 2: "ED", 3: kind, 5: base64_field("text", "XML", encoded), 11: status},
        ),
        *_participants(letter, header, mailbox),
        _mail(letter),
        *_flags(entry),
    ]
    return build_hl7(segments)


def _patient(patient: Patient) -> str:
    traits = patient.traits
    numbers = [_number(one.root, one.extension or "") for one in patient.identifiers]
    names = []
    if traits.birth_name or traits.first_given:
        given = traits.first_given or traits.used_given
        names.append(_name(traits.birth_name, given, traits.all_given, "L"))
    if traits.used_name:
        names.append(_name(traits.used_name, traits.used_given, "", "D"))
    return segment(
        "PID",
        {
            3: Field("~".join(numbers)),
            5: Field("~".join(names)),
            7: _day(traits.birth_date),
            8: traits.sex,
            11: _addresses(patient, traits),
            32: "VALI" if patient.is_qualified else "PROV",
        },
    )


def _number(root: str, extension: str) -> str:
    try:
        authority, kind = _INS_NAMES[INSAuthority(root)], "INS"
    except ValueError:
        authority, kind = "", "PI"
    return components(extension, "", "", (authority, root, "ISO"), kind).written


def _name(family: str, given: str, all_given: str, kind: str) -> str:
    return components(family, given, all_given, "", "", "", kind).written


def _addresses(patient: Patient, traits: Traits) -> Field:
    """Write where the patient lives and was born, PID-11."""
    found = []
    for one in patient.addresses:
        street, unit = f"{one.house_number} {one.street}".strip(), one.unit
        if one.free_lines and not street:
            # Lines that nobody told apart: the first, and the others as they are.
            street, unit = one.free_lines[0], ", ".join(one.free_lines[1:])
        country = one.country if len(one.country) == len("FRA") else "FRA"
        where = components(street, unit, one.city, "", one.postal_code, country, "H")
        found.append(where.written)
    if traits.birth_place:
        birth = ("", "", "", "", "", "", "BDL", "", traits.birth_place)
        found.append(components(*birth).written)
    return Field("~".join(found))


def _document(header: CdaHeader, entry: DocumentEntry, event: str) -> str:
    replaced = header.replaces[0].xds if header.replaces else ""
    own = header.id.xds if header.id else entry.unique_id
    signer = header.legal_authenticator
    return segment(
        "TXA",
        {
            1: "1",
            2: header.code.code if header.code else "",
            3: "TEXT",
            4: header.effective_time.text if header.effective_time else "",
            12: _identified(own),
            13: _identified(replaced) if event != "T02" and replaced else "",
            17: "AU",
            22: _actor(signer) if signer else "",
        },
    )


def _identified(xds: str) -> Field:
    """Write an identifier as TXA has it: an OID, or extension and root."""
    root, _, extension = xds.partition("^")
    return components(extension, "", root, "ISO") if extension else components(root)


def _actor(actor: Actor) -> Field:
    number = actor.id.extension or "" if actor.id else ""
    name = actor.name
    authority = ("ASIP-SANTE-PS", actor.id.root if actor.id else "", "ISO")
    family, given = (name.family, name.given) if name else ("", "")
    kind = ("", "", "", "", "", authority, "D", "", "", "IDNPS")
    return components(number, family, given, *kind)


def _participants(letter: ParsedMessage, header: CdaHeader, mailbox: str) -> Iterator[str]:
    author = header.authors[0] if header.authors else None
    person = _actor(author) if author and author.name else Field("")
    keeper = (author.organization if author else None) or header.custodian
    structure: Field | str = ""
    if keeper is not None and keeper.name:
        number = keeper.id.extension or "" if keeper.id else ""
        root = keeper.id.root if keeper.id else ""
        authority = ("ASIP-SANTE-ST", root, "ISO")
        structure = components(keeper.name, "", "", "", "", authority, "IDNST", "", "", number)
    yield _participation("SB", "Send by", str(letter.author.address), person, structure)
    yield _participation("RCT", "Results Copies To", mailbox, "", "")
    if letter.reply_to:
        yield _participation("REPLY", "Reply To", str(letter.reply_to[0].address), "", "")


def _participation(
    code: str, label: str, address: str, person: Field | str, structure: Field | str
) -> str:
    return segment(
        "PRT",
        {
            2: "UC",
            4: components(code, label, "participation"),
            5: person,
            8: structure,
            15: components("", "", "X.400", address),
        },
    )


def _mail(letter: ParsedMessage) -> str:
    """Write the letter itself: its identifier, its subject, its text."""
    text = pybase64.b64encode(_text(letter).encode()).decode("ascii")
    return segment(
        "OBX",
        {
            1: "2",
            2: "ED",
            3: components(letter.internet_message_id or "", letter.subject),
            5: base64_field("text", "", text),
            11: "F",
        },
    )


def _text(letter: ParsedMessage) -> str:
    for part in letter.parts():
        if part.content_type == "text/plain" and part.disposition != "attachment":
            try:
                return part_text(letter.raw, part)
            except MessageSyntaxError:
                return ""
    return ""


def _flags(entry: DocumentEntry) -> Sequence[str]:
    """Write what the archive says of masking."""
    codes = {one.code for one in entry.confidentiality}
    return [
        segment(
            "OBX",
            {
                1: str(number),
                2: "CWE",
                3: components(flag.value, label, "MetaDMPMSS"),
                5: components(
                    "Y" if flag in MASKS and MASKS[flag].code in codes else "N",
                    "",
                    "expandedYes-NoIndicator",
                ),
                11: "F",
            },
        )
        for number, (flag, label) in enumerate(_LABELS.items(), start=3)
    ]


def _day(time: HL7Time | None) -> str:
    return escape(time.text[:8]) if time else ""
