"""The values that a CDA R2 document is read into and written from.

Shapes
    `CdaHeader` is the header, field by field; the body stays opaque except for its kind.
    `StructuredBody` and `FileBody` are what can be written as a body: sections for people (and for
    software, by coded entries), or one file such as a PDF.
Errors
    `CdaSyntaxError` when octets are no readable document, `CdaContentError` when a header lacks
    what a French document must have.
Sources
    HL7 CDA R2; ANS, CI-SIS, volet Structuration minimale.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from mss.clinical.narrative import Section
from mss.clinical.patient import Patient
from mss.clinical.people import Actor, Address, Code, Identifier, Organization
from mss.clinical.times import HL7Time
from mss.errors import MSSError


@dataclass(eq=False)
class CdaSyntaxError(MSSError):
    """The octets are not a readable CDA document."""

    code: ClassVar[str] = "cda-syntax"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The document is not a readable CDA document."
    public_text_fr: ClassVar[str] = "Le document n'est pas un document CDA lisible."
    next_step: ClassVar[str] = "Correct the software that wrote the document."

    reason: str


@dataclass(eq=False)
class CdaContentError(MSSError):
    """A document cannot be written: its header lacks what the national rules ask for."""

    code: ClassVar[str] = "cda-content"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The document lacks something that a health document must have."
    public_text_fr: ClassVar[str] = "Il manque au document un élément obligatoire."
    next_step: ClassVar[str] = "Supply the missing elements."

    missing: tuple[str, ...]


class BodyKind(StrEnum):
    """What the body of a document is."""

    STRUCTURED = "structured"
    PDF = "pdf"
    TEXT = "text"
    JPEG = "jpeg"
    RTF = "rtf"
    TIFF = "tiff"
    OTHER = "other"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What was done: the stay, the consultation, the examination that the document reports.

    Attributes:
        status: How far it is (`completed`), which laboratories say.
        performer: Who did it; the first of all.
    """

    code: Code | None = None
    translations: tuple[Code, ...] = ()
    ids: tuple[Identifier, ...] = ()
    templates: tuple[Identifier, ...] = ()
    status: str = ""
    start: HL7Time | None = None
    stop: HL7Time | None = None
    performer: Actor | None = None
    other_performers: tuple[Actor, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Encounter:
    """When and where the patient was cared for.

    Attributes:
        ids: Numbers of the stay (a venue, a dossier).
        no_time: Why no date is given (a null flavor).
        discharge: How it ended.
        responsible: Who answered for it.
        participants: Who else took part.
        provider: The structure that the place belongs to.
    """

    ids: tuple[Identifier, ...] = ()
    code: Code | None = None
    start: HL7Time | None = None
    stop: HL7Time | None = None
    no_time: str = ""
    discharge: Code | None = None
    responsible: Actor | None = None
    participants: tuple[Actor, ...] = ()
    facility: Code | None = None
    facility_id: Identifier | None = None
    facility_name: str = ""
    facility_address: Address | None = None
    provider: Organization | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Informant:
    """Who gave information, or can be asked: somebody near the patient, or a professional.

    Attributes:
        class_code: How they are linked: ECON to be called in an emergency, NOK trusted by the
            patient, CON, CAREGIVER, PAT; empty for a professional.
        actor: Its `specialty` is the relation of somebody near (`SIS`, a sister).
    """

    class_code: str = ""
    actor: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request that the document answers, with the numbers of the examinations made for it."""

    ids: tuple[Identifier, ...] = ()
    code: Code | None = None
    priority: Code | None = None
    accession_numbers: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What the patient agreed to."""

    ids: tuple[Identifier, ...] = ()
    code: Code | None = None
    status: str = "completed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """Somebody else who matters, such as the treating doctor (INF with function PCP)."""

    type_code: str
    class_code: str
    actor: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class RelatedDocument:
    """An earlier version; France allows only `RPLC`, replaces."""

    type_code: str
    ids: tuple[Identifier, ...]
    code: Code | None = None
    set_id: Identifier | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CdaHeader:
    """Everything before the body; what a document lacks is `None` or empty."""

    id: Identifier | None = None
    set_id: Identifier | None = None
    version: int | None = None
    templates: tuple[Identifier, ...] = ()
    code: Code | None = None
    code_translations: tuple[Code, ...] = ()
    title: str = ""
    effective_time: HL7Time | None = None
    confidentiality: Code | None = None
    language: str = ""
    patient: Patient | None = None
    authors: tuple[Actor, ...] = ()
    data_enterer: Actor | None = None
    informants: tuple[Informant, ...] = ()
    custodian: Organization | None = None
    recipients: tuple[Actor, ...] = ()
    legal_authenticator: Actor | None = None
    authenticators: tuple[Actor, ...] = ()
    participants: tuple[Participant, ...] = ()
    orders: tuple[Order, ...] = ()
    acts: tuple[Act, ...] = ()
    related: tuple[RelatedDocument, ...] = ()
    consents: tuple[Consent, ...] = ()
    encounter: Encounter | None = None

    @property
    def template_roots(self) -> tuple[str, ...]:
        """The OIDs of the templates, in the order of the document."""
        return tuple(template.root for template in self.templates)

    @property
    def main_act(self) -> Act | None:
        """The first act, from which the metadata take dates and practice setting."""
        return self.acts[0] if self.acts else None

    @property
    def replaces(self) -> tuple[Identifier, ...]:
        """The identifiers of the documents that this one replaces."""
        return tuple(one for doc in self.related if doc.type_code == "RPLC" for one in doc.ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class CdaDocument:
    """A document as read: header, kind of body, and how it was presented.

    Attributes:
        odd_forms: Parts of the header that are not written in the national form.
    """

    header: CdaHeader
    body: BodyKind
    media_type: str = ""
    patients: int = 1
    is_self_presenting: bool = False
    odd_forms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedFile:
    """A file inside a document; `is_copy` marks the readable copy of the whole document."""

    media_type: str
    octets: bytes
    is_copy: bool


@dataclass(frozen=True, slots=True)
class StructuredBody:
    """A body made of sections (level 3)."""

    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class FileBody:
    """A body that is one file (level 1)."""

    media_type: str
    octets: bytes


Body = StructuredBody | FileBody
