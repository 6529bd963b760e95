"""Say what a practice knows about a letter that it wants to send, before it is a document.

Everything is as software or a person gives it: text that nobody has judged yet. What is left out
may be completed from the directory and from the mailbox that sends (`draft_known`); what is wrong
is said all at once by `build_letter`. A letter is about one patient and has one document or more.

Shapes
    Dates and times are ISO 8601 (`1979-03-28`, `2026-03-12T14:30:00+01:00`); a time without an
    offset is that of France. A time of HL7 (`20260312143000+0100`) is understood as well.
Errors
    None here.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from mss.clinical.people import Address, Code, Identifier


class DraftAction(StrEnum):
    """What the receiver is to do with a document."""

    NEW = "new"
    REPLACE = "replace"
    DELETE = "delete"


class HiddenFrom(StrEnum):
    """Who must not see a document where it is filed."""

    PROFESSIONALS = "professionals"
    PATIENT = "patient"
    REPRESENTATIVES = "representatives"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationDraft:
    """A structure; its national number alone is enough if the directory knows it.

    Attributes:
        national_id: With its first digit for the kind, as in documents; or give `finess`, `siret`.
        sector: Kind of facility (`SA07`), JDV_J02.
        practice_setting: JDV_J04 (`AMBULATOIRE`); by default that of the sector.
    """

    national_id: str = ""
    finess: str = ""
    siret: str = ""
    name: str = ""
    phone: str = ""
    address: Address | None = None
    sector: str = ""
    practice_setting: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonDraft:
    """A professional; the RPPS number alone is enough if the directory knows it.

    Attributes:
        national_id: With its first digit for the kind (`8` + RPPS); or give `rpps`, `adeli`.
        title: Civility (`M`, `MME`).
        suffix: Title of practice (`DR`, `PR`).
        specialty: Profession and speciality, JDV_J01 (`G15_10/SM26`).
        function: As what they take part, JDV_J47.
        at: When; by default the date of the document.
        software: For an author that is a device: its name. Then `national_id` is its own number.
        model: For a device: the make.
        is_patient: The author is the patient.
    """

    national_id: str = ""
    rpps: str = ""
    adeli: str = ""
    family: str = ""
    given: str = ""
    title: str = ""
    suffix: str = ""
    specialty: Code | None = None
    function: Code | None = None
    phone: str = ""
    email: str = ""
    address: Address | None = None
    organization: OrganizationDraft | None = None
    at: str = ""
    software: str = ""
    model: str = ""
    is_patient: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RelativeDraft:
    """Somebody near the patient.

    Attributes:
        kind: `emergency` (to be called), `trusted` (personne de confiance), `guardian`.
        relation: HL7 RoleCode (`SIS`).
    """

    kind: str
    family: str
    given: str = ""
    title: str = ""
    relation: Code | None = None
    phone: str = ""
    address: Address | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientDraft:
    """Whom the letter is about.

    Attributes:
        ins: Matricule of 15 characters, or of 13: the key is then computed.
        ins_oid: Who assigned it; by default the NIR, of production or of test.
        given_names: All given names of the birth record, between blanks.
        first_given: The first of them; by default the first word.
        birth_place: INSEE code of the place of birth.
        local_ids: Numbers that structures gave (IPP).
    """

    ins: str = ""
    ins_oid: str = ""
    birth_name: str = ""
    given_names: str = ""
    first_given: str = ""
    used_name: str = ""
    used_given: str = ""
    birth_date: str = ""
    sex: str = ""
    birth_place: str = ""
    birth_city: str = ""
    local_ids: tuple[Identifier, ...] = ()
    phone: str = ""
    mobile: str = ""
    email: str = ""
    address: Address | None = None
    relatives: tuple[RelativeDraft, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActDraft:
    """What was done; by default something that the author did on the day of the document."""

    code: Code | None = None
    translations: tuple[Code, ...] = ()
    ids: tuple[Identifier, ...] = ()
    start: str = ""
    stop: str = ""
    performer: PersonDraft | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EncounterDraft:
    """When and where the patient was seen; by default during the act, where the author works."""

    code: Code | None = None
    ids: tuple[Identifier, ...] = ()
    start: str = ""
    stop: str = ""
    discharge: Code | None = None
    sector: str = ""
    organization: OrganizationDraft | None = None
    responsible: PersonDraft | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDraft:
    """A request that the document answers."""

    id: Identifier | None = None
    accession: Identifier | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousDraft:
    """The version that a document replaces or deletes.

    Attributes:
        id: Its identifier, `root` or `root^extension`.
        set_id: Common to all versions; known by itself for documents that this server made.
        version: Its number; known by itself for documents that this server made.
    """

    id: str
    set_id: str = ""
    version: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDraft:
    """One file: what the document is (level 1), or a CDA that is ready, or its PDF copy."""

    octets: bytes = field(repr=False)
    content_type: str = ""
    filename: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDraft:
    """One piece of a text: exactly one of a paragraph, a list and a table."""

    text: str = ""
    items: tuple[str, ...] = ()
    is_ordered: bool = False
    rows: tuple[tuple[str, ...], ...] = ()
    head: tuple[str, ...] = ()
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FactDraft:
    """A coded question with its answer, which software reads beside the text.

    Attributes:
        value: A code; or else `text`, or `is_true`.
    """

    code: Code
    value: Code | None = None
    text: str = ""
    is_true: bool | None = None
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionDraft:
    """A titled part of a structured document."""

    title: str
    code: Code | None = None
    templates: tuple[str, ...] = ()
    blocks: tuple[BlockDraft, ...] = ()
    facts: tuple[FactDraft, ...] = ()
    sections: tuple["SectionDraft", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatmentDraft:
    """One line of treatment.

    Attributes:
        product: CIS or CIP code of the medicine.
        substance: ATC code.
        dose, unit: Quantity of one intake; `{tbl}` for tablets.
        every_hours: From one intake to the next.
    """

    name: str
    dosage: str = ""
    route: str = ""
    start: str = ""
    stop: str = ""
    comment: str = ""
    product: Code | None = None
    substance: Code | None = None
    dose: str = ""
    unit: str = ""
    every_hours: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemDraft:
    """A disease, an operation, or what somebody reacts to: words, and a code if there is one.

    Attributes:
        code: ICD-10 for a disease, CCAM for an operation, CIS or ATC for an allergy.
        relation: For a disease in the family: who has it.
    """

    name: str
    code: Code | None = None
    start: str = ""
    stop: str = ""
    comment: str = ""
    relation: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DischargeDraft:
    """What a discharge letter says (LDL-SES; code de la santé publique, R. 1112-1-2).

    Attributes:
        admission, discharge: How the patient came and left: a code, or words.
        looked_for_bacteria: Whether resistant germs were looked for; `bacteria` says which.
        treatments: What is to be taken after discharge; empty for none.
        stopped: What was stopped during the stay.
    """

    reason: str = ""
    summary: str = ""
    admission: Code | None = None
    admission_text: str = ""
    discharge: Code | None = None
    discharge_text: str = ""
    adverse_events: str = ""
    looked_for_bacteria: bool | None = None
    bacteria: str = ""
    transfused: bool | None = None
    transfusion_events: str = ""
    blood_products: bool | None = None
    blood_product_events: str = ""
    treatments: tuple[TreatmentDraft, ...] | None = None
    stopped: tuple[TreatmentDraft, ...] = ()
    results: tuple[BlockDraft, ...] = ()
    follow_up: tuple[BlockDraft, ...] = ()
    devices: tuple[BlockDraft, ...] = ()
    allergies: tuple[ProblemDraft, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryDraft:
    """What a medical summary says (VSM); a list that is empty says that there is none."""

    problems: tuple[ProblemDraft, ...] | None = None
    history: tuple[ProblemDraft, ...] | None = None
    procedures: tuple[ProblemDraft, ...] = ()
    allergies: tuple[ProblemDraft, ...] | None = None
    lifestyle: tuple[BlockDraft, ...] = ()
    occupational: tuple[BlockDraft, ...] = ()
    family: tuple[ProblemDraft, ...] = ()
    watch_points: tuple[str, ...] = ()
    treatments: tuple[TreatmentDraft, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentDraft:
    """One document: its type, exactly one content, and whatever differs from the defaults.

    Attributes:
        type: Code of the type (JDV_J07), `11488-4` for instance.
        file: The document is this file: PDF, JPEG, TIFF, RTF or text.
        cda: The document is ready: sent as it is, and nothing else may be said about it.
        sections: The document is a text in sections; it is sent as a PDF made of them, unless
            `template` names the national model that the sections follow.
        discharge: The document is a discharge letter (`type` 11490-0).
        summary: The document is a medical summary (`type` SYNTH).
        pdf: The readable copy, where the software has a better one than we would make.
        id: A complete OID; by default a new one.
        author, legal_authenticator: By default who owns the mailbox that sends.
        recipients: For whom it was written; by default the professionals whom the mail goes to.
    """

    type: str = ""
    title: str = ""
    file: FileDraft | None = None
    cda: FileDraft | None = None
    sections: tuple[SectionDraft, ...] = ()
    template: Identifier | None = None
    discharge: DischargeDraft | None = None
    summary: SummaryDraft | None = None
    pdf: FileDraft | None = None
    action: DraftAction = DraftAction.NEW
    previous: PreviousDraft | None = None
    id: str = ""
    at: str = ""
    language: str = "fr-FR"
    confidentiality: str = "N"
    hidden_from: tuple[HiddenFrom, ...] = ()
    authors: tuple[PersonDraft, ...] = ()
    legal_authenticator: PersonDraft | None = None
    authenticators: tuple[PersonDraft, ...] = ()
    data_enterer: PersonDraft | None = None
    treating_physician: PersonDraft | None = None
    recipients: tuple[PersonDraft, ...] = ()
    custodian: OrganizationDraft | None = None
    acts: tuple[ActDraft, ...] = ()
    encounter: EncounterDraft | None = None
    orders: tuple[OrderDraft, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterDraft:
    """Documents about one patient; documents that are ready say themselves who that is."""

    patient: PatientDraft | None = None
    documents: tuple[DocumentDraft, ...] = ()
