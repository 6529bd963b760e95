"""What does hospital software want sent, to whom, and how?

Reads a request (ORU^R01 of version 2.5, MDM^T02, T10 and T04 of version 2.6) into one value. What
is judged here is whether each field can be read; whether the fields agree with each other and with
the documents is `agreement`, who may get them is `destinations`.

Shapes
    The documents are the OBX of type ED that are no text of a mail. Metadata are OBX with a code of
    the national table `MetaDMPMSS`; PRT name the sender, the recipients and who is to be answered.
Errors
    `HL7RefusedError` with everything that cannot be read, not only the first.
Sources
    ANS, CI-SIS, Transmission d'un document CDA-R2 en HL7v2 2.1; Transmission au LPS 1.1.
"""

import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from directory.address import MailAddress
from directory.errors import AddressSyntaxError
from mss.clinical.cda import CdaDocument, CdaSyntaxError, parse_cda
from mss.clinical.metadata import Action
from mss.hl7.errors import Condition, HL7RefusedError, Objection
from mss.hl7.message import HL7Message, Segment

ACTIONS: Final = {
    "T02": Action.NEW,
    "T10": Action.REPLACE,
    "T04": Action.DELETE,
}
_VERSION: Final = re.compile(r"2\.[5-9](?:\.[0-9])?")
_MAX_DOCUMENTS: Final = {"ORU": 2, "MDM": 1}


class Flag(Enum):
    """The metadata of the table MetaDMPMSS that say yes or no."""

    MASQUE_PS = "MASQUE_PS"
    INVISIBLE_PATIENT = "INVISIBLE_PATIENT"
    INVISIBLE_REP_LEGAUX = "INVISIBLE_REP_LEGAUX"
    CONNEXION_SECRETE = "CONNEXION_SECRETE"  # noqa: S105 -- the name of a flag
    MODIF_CONF_CODE = "MODIF_CONF_CODE"
    DESTDMP = "DESTDMP"
    DESTMSSANTEPS = "DESTMSSANTEPS"
    DESTMSSANTEPAT = "DESTMSSANTEPAT"
    ACK_RECEPTION = "ACK_RECEPTION"
    ACK_LECTURE_MSS = "ACK_LECTURE_MSS"


_FLAGS: Final = {one.value: one for one in Flag} | {
    "ACK_LECTURE": Flag.ACK_LECTURE_MSS,  # in some official examples
    "INVISIBLE_REPRESENTANTS_LEGAUX": Flag.INVISIBLE_REP_LEGAUX,
}
_BODIES: Final = ("CORPSMAIL_PS", "CORPSMAIL_PATIENT", "CORPSMAIL_PAT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """Somebody that a PRT names.

    Attributes:
        identifier: National number of the person, else of the structure; may be empty.
        address: Their mailbox, if it is given.
        where: The segment.
    """

    identifier: str = ""
    family: str = field(default="", repr=False)
    given: str = field(default="", repr=False)
    identifier_type: str = ""
    organization: str = ""
    organization_id: str = ""
    address: MailAddress | None = field(default=None, repr=False)
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestedDocument:
    """One document, and what the segments around it say of it.

    Attributes:
        order: ORC-1; empty if there is no ORC.
        status: OBX-11.
        codes: The type as OBX-3, OBR-4 and TXA-2 write it, with where each stands.
        own_id: TXA-12, and `parent_id` TXA-13; empty in a request that has no TXA.
    """

    octets: bytes = field(repr=False)
    cda: CdaDocument = field(repr=False)
    order: str
    status: str
    codes: Mapping[str, str]
    where: str
    own_id: str = ""
    parent_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as read.

    Attributes:
        event: `R01`, `T02`, `T10` or `T04`.
        patient_ids: Number and OID of each PID-3; the type of the INS ones says so.
        patient_class: PV1-2.
        visit: PV1-19.
        bodies: Text of the mail for professionals and for the patient, where it is given.
        closes: True if the patient is not to answer.
    """

    message: HL7Message = field(repr=False)
    event: str
    documents: tuple[RequestedDocument, ...]
    patient_ids: tuple[tuple[str, str], ...] = field(repr=False)
    patient_class: str
    visit: str
    flags: Mapping[Flag, bool]
    sender: Party | None
    recipients: tuple[Party, ...]
    reply_to: Party | None
    bodies: Mapping[str, str] = field(repr=False)
    closes: bool

    @property
    def control_id(self) -> str:
        """MSH-10."""
        return self.message.header.text(10)

    def wants(self, flag: Flag) -> bool:
        """Tell whether a flag says yes; one that is not there says no."""
        return self.flags.get(flag, False)


def read_request(message: HL7Message, *, processing: tuple[str, ...] = ("P",)) -> Request:
    """Read a request.

    Args:
        message: The message.
        processing: Processing identifiers (MSH-11) that are served here.

    Raises:
        HL7RefusedError: Something cannot be read; every objection is in it.
    """
    objections = list(_header_objections(message, processing))
    if objections:
        raise HL7RefusedError(objections=tuple(objections))
    reader = _Reader(message)
    request = reader.read()
    if reader.objections:
        raise HL7RefusedError(objections=tuple(reader.objections))
    return request


def _header_objections(message: HL7Message, processing: tuple[str, ...]) -> Iterator[Objection]:
    header = message.header
    kind, event = header.text(9, 1), header.text(9, 2)
    if kind not in _MAX_DOCUMENTS:
        yield _objection(Condition.MESSAGE_TYPE, header.where(9), "message-type", kind)
    elif event not in ({"R01"} if kind == "ORU" else ACTIONS):
        yield _objection(Condition.EVENT, header.where(9), "event", event)
    if header.text(11) not in processing:
        yield _objection(Condition.PROCESSING, header.where(11), "processing-id", header.text(11))
    if not _VERSION.fullmatch(header.text(12)):
        yield _objection(Condition.VERSION, header.where(12), "version", header.text(12))
    if not header.text(10):
        yield _objection(Condition.MISSING, header.where(10), "control-id")
    for name in ("PID", "OBX") if kind in _MAX_DOCUMENTS else ():
        if message.first(name) is None:
            yield _objection(Condition.SEQUENCE, name, "segment-missing")


class _Reader:
    """Collects what the segments say, and what is wrong with them."""

    def __init__(self, message: HL7Message) -> None:
        self.message = message
        self.objections: list[Objection] = []
        self._order: Segment | None = None
        self._heading: Segment | None = None
        self._documents: list[RequestedDocument] = []
        self._flags: dict[Flag, bool] = {}
        self._bodies: dict[str, str] = {}
        self._parties: dict[str, list[Party]] = {"SB": [], "RCT": [], "REPLY": []}
        self._closes = False
        self._after: Flag | None = None

    def read(self) -> Request:
        for segment in self.message.segments:
            self._take(segment)
        self._check_numbers()
        visit, patient = self.message.first("PV1"), self.message.first("PID")
        assert patient is not None, "asked for before"
        return Request(
            message=self.message,
            event=self.message.header.text(9, 2),
            documents=tuple(self._documents),
            patient_ids=tuple(
                (
                    patient.text(3, 1, repetition=number),
                    patient.text(3, 4, 2, repetition=number),
                )
                for number in range(1, patient.repetitions(3) + 1)
            ),
            patient_class=visit.text(2) if visit else "",
            visit=visit.text(19) if visit else "",
            flags=self._flags,
            sender=next(iter(self._parties["SB"]), None),
            recipients=tuple(self._parties["RCT"]),
            reply_to=next(iter(self._parties["REPLY"]), None),
            bodies=self._bodies,
            closes=self._closes,
        )

    def object(self, condition: Condition, where: str, code: str, value: str = "") -> None:
        self.objections.append(_objection(condition, where, code, value))

    def _take(self, segment: Segment) -> None:
        match segment.name:
            case "ORC":
                self._order = segment
            case "OBR":
                self._heading = segment
            case "OBX":
                self._observation(segment)
            case "PRT":
                self._party(segment)
            case "NTE" if self._after is Flag.DESTMSSANTEPAT:
                self._closes |= segment.text(4).upper() == "FIN" or segment.text(3).upper() == "FIN"

    def _observation(self, segment: Segment) -> None:
        name = segment.text(3).upper()
        self._after = _FLAGS.get(name)
        if self._after is not None:
            self._flag(segment, self._after)
        elif name in _BODIES:
            self._body(segment, "PS" if name == "CORPSMAIL_PS" else "PATIENT")
        elif segment.text(2) == "ED":
            self._document(segment)
        # Anything else is a result or a remark of software's own: not ours to judge.

    def _flag(self, segment: Segment, flag: Flag) -> None:
        value = segment.text(5).upper()
        if value not in {"Y", "N"}:
            condition = Condition.TABLE if value else Condition.MISSING
            self.object(condition, segment.where(5), "metadata-value", flag.value)
        elif self._flags.setdefault(flag, value == "Y") is not (value == "Y"):
            self.object(Condition.CARDINALITY, segment.where(3), "metadata-twice", flag.value)

    def _body(self, segment: Segment, audience: str) -> None:
        octets = decode_base64(segment.raw(5, 5), is_strict=False)
        if octets is None:
            self.object(Condition.DATA_TYPE, segment.where(5), "mail-body")
            return
        try:
            self._bodies[audience] = octets.decode("utf-8")
        except UnicodeDecodeError:
            # A text that was cut in the middle of a letter, or one of an older charset.
            cut = octets.decode("utf-8", "ignore")
            is_cut = len(octets) - len(cut.encode()) < 4
            self._bodies[audience] = cut if is_cut else octets.decode("iso-8859-15")

    def _document(self, segment: Segment) -> None:
        octets = decode_base64(segment.raw(5, 5), is_strict=True)
        if not segment.text(5, 5):
            self.object(Condition.MISSING, segment.where(5), "document-missing")
        elif octets is None or segment.text(5, 4).lower() not in {"base64", ""}:
            self.object(Condition.DATA_TYPE, segment.where(5), "document-encoding")
        else:
            try:
                cda = parse_cda(octets)
            except CdaSyntaxError:
                self.object(Condition.DATA_TYPE, segment.where(5), "document-not-cda")
                return
            self._documents.append(self._described(segment, octets, cda))

    def _described(self, segment: Segment, octets: bytes, cda: CdaDocument) -> RequestedDocument:
        note = self.message.first("TXA")
        codes = {segment.where(3): segment.text(3)}
        if self._heading is not None:
            codes[self._heading.where(4)] = self._heading.text(4)
        if note is not None:
            codes[note.where(2)] = note.text(2)
        return RequestedDocument(
            octets=octets,
            cda=cda,
            order=self._order.text(1).upper() if self._order else "",
            status=segment.text(11).upper(),
            codes=codes,
            where=segment.where(),
            own_id=_entity_identifier(note, 12) if note else "",
            parent_id=_entity_identifier(note, 13) if note else "",
        )

    def _party(self, segment: Segment) -> None:
        role = segment.text(4).upper()
        if role not in self._parties:
            return
        address, text = None, segment.text(15, 4)
        if text:
            try:
                address = MailAddress.parse(text)
            except AddressSyntaxError:
                self.object(Condition.DATA_TYPE, segment.where(15), "address")
                return
        elif role != "SB":
            self.object(Condition.MISSING, segment.where(15), "address-missing")
            return
        number = segment.text(8, 10) or segment.text(8, 3)
        self._parties[role].append(
            Party(
                identifier=segment.text(5) or number or segment.text(10),
                family=segment.text(5, 2),
                given=segment.text(5, 3),
                identifier_type=segment.text(5, 13),
                organization=segment.text(8),
                organization_id=number,
                address=address,
                where=segment.where(),
            )
        )

    def _check_numbers(self) -> None:
        kind = self.message.header.text(9, 1)
        if not self._documents and not self.objections:
            self.object(Condition.MISSING, "OBX", "document-missing")
        if len(self._documents) > _MAX_DOCUMENTS[kind]:
            self.object(Condition.CARDINALITY, "OBX", "too-many-documents")
        if kind == "MDM" and self.message.first("TXA") is None:
            self.object(Condition.SEQUENCE, "TXA", "segment-missing")
        for role in ("SB", "REPLY"):
            if len(self._parties[role]) > 1:
                self.object(
                    Condition.CARDINALITY, self._parties[role][1].where, "participation-twice", role
                )


_IN_BASE64: Final = re.compile(r"[\s\\]+")
_SHORT: Final = {2: "==", 3: "="}


def decode_base64(text: str, *, is_strict: bool) -> bytes | None:
    """Undo base64 whose padding may be missing and whose lines may be broken.

    Args:
        text: As it stands in the message.
        is_strict: False to make do with what there is of a text that was cut.

    Returns:
        The octets; `None` if it is no base64.
    """
    bare = _IN_BASE64.sub("", text).rstrip("=")
    left = len(bare) % 4
    if left == 1:
        if is_strict:
            return None
        bare, left = bare[:-1], 0
    try:
        return binascii.a2b_base64(bare + _SHORT.get(left, ""), strict_mode=bool(bare))
    except ValueError:  # binascii.Error, or a letter that is not even ASCII
        return None


def _entity_identifier(segment: Segment, number: int) -> str:
    """Read TXA-12 or TXA-13: an OID (and a name), or extension and root."""
    value, root = segment.text(number, 1), segment.text(number, 3)
    if root and segment.text(number, 4).upper() in {"ISO", ""} and root != value:
        return f"{root}^{value}" if value else root
    return value


_TEXTS: Final = {
    "message-type": "This door takes ORU^R01 and MDM^T02, T10 and T04",
    "event": "This door takes ORU^R01 and MDM^T02, T10 and T04",
    "processing-id": "This processing id is not served here",
    "version": "Versions 2.5 and 2.6 are served here",
    "control-id": "A message needs a control id",
    "segment-missing": "This segment is required",
    "metadata-value": "The value must be Y or N",
    "metadata-twice": "Given twice, with different values",
    "mail-body": "The text of the mail is not base64",
    "document-missing": "There is no document in base64 (OBX of type ED, OBX-5.5)",
    "document-encoding": "The document is not base64",
    "document-not-cda": "The document is not a readable CDA document",
    "address": "Not a mail address",
    "address-missing": "PRT-15.4 must name the mailbox",
    "too-many-documents": "An MDM carries one document, an ORU one or two",
    "participation-twice": "Only one of this role is allowed",
}


def _objection(condition: Condition, where: str, code: str, value: str = "") -> Objection:
    shown = f": {value[:40]}" if value.isprintable() and value else ""
    return Objection(condition=condition, where=where, code=code, text=_TEXTS[code] + shown)
