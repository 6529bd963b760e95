"""Letters with health documents on the wire: what a practice gives, what is made of it.

Dates are text and numbers of people are text: everything that is wrong with a letter is said
together by the server, not field by field by the shape alone.
"""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from api.schemas.document import FindingOut
from api.schemas.sending import AcceptedOut, Addresses, Base64, Reference
from api.schemas.wire import HeaderText, Request, View
from mss.clinical.draft import DraftAction, HiddenFrom

Word = Annotated[str, Field(max_length=1000)]
Words = Annotated[str, Field(max_length=200_000)]
MAX_LINES: Final = 2000
DATE: Final = "`AAAA-MM-JJ`, or with the time `AAAA-MM-JJThh:mm:ss+01:00`."


class CodeIn(Request):
    """A coded value."""

    code: Word
    system: Word = Field(default="", description="OID of the code system.")
    display: Word = Field(default="", description="Label for people.")


class IdentifierIn(Request):
    """A number and who gave it."""

    root: Word = Field(description="OID of whoever gave the number.")
    extension: Word | None = None


class AddressIn(Request):
    """A postal address."""

    house_number: Word = ""
    street: Word = ""
    unit: Word = ""
    post_box: Word = ""
    postal_code: Word = ""
    city: Word = ""
    country: Word = ""
    free_lines: Annotated[tuple[Word, ...], Field(max_length=10)] = ()


class OrganizationIn(Request):
    """A structure; its national number is enough if the directory knows it."""

    finess: Word = ""
    siret: Word = ""
    national_id: Word = Field(default="", description="With its first digit: `1` + FINESS, …")
    name: Word = ""
    phone: Word = ""
    address: AddressIn | None = None
    sector: Word = Field(default="", description="JDV_J02: `SA01`, `SA07`, …")
    practice_setting: Word = Field(default="", description="JDV_J04: `AMBULATOIRE`, …")


class PersonIn(Request):
    """A professional; the RPPS number is enough if the directory knows it."""

    rpps: Word = ""
    adeli: Word = ""
    national_id: Word = Field(default="", description="With its first digit: `8` + RPPS, …")
    family: Word = ""
    given: Word = ""
    title: Word = Field(default="", description="`M`, `MME`")
    suffix: Word = Field(default="", description="`DR`, `PR`")
    specialty: CodeIn | None = Field(default=None, description="JDV_J01: `G15_10/SM26`, …")
    function: CodeIn | None = Field(default=None, description="JDV_J47")
    phone: Word = ""
    email: Word = ""
    address: AddressIn | None = None
    organization: OrganizationIn | None = None
    at: Word = Field(default="", description="When, if not at the date of the document.")
    software: Word = Field(default="", description="For an author that is a device: its name.")
    model: Word = Field(default="", description="For an author that is a device: its make.")
    is_patient: bool = Field(default=False, description="The author is the patient.")


class RelativeIn(Request):
    """Somebody near the patient."""

    kind: Word = Field(description="`emergency`, `trusted` or `guardian`.")
    family: Word
    given: Word = ""
    title: Word = ""
    relation: CodeIn | None = None
    phone: Word = ""
    address: AddressIn | None = None


class PatientIn(Request):
    """Whom the letter is about: with an INS, every trait of it is needed."""

    ins: Word = Field(default="", description="15 characters; or 13, and the key is computed.")
    ins_oid: Word = Field(default="", description="By default the NIR.")
    birth_name: Word = ""
    given_names: Word = Field(default="", description="All those of the birth record.")
    first_given: Word = Field(default="", description="By default the first word of them.")
    used_name: Word = ""
    used_given: Word = ""
    birth_date: Word = Field(default="", description="`AAAA-MM-JJ`")
    sex: Word = Field(default="", description="`M`, `F` or `UN`")
    birth_place: Word = Field(default="", description="INSEE code of five characters.")
    birth_city: Word = ""
    local_ids: Annotated[tuple[IdentifierIn, ...], Field(max_length=20)] = ()
    phone: Word = ""
    mobile: Word = ""
    email: Word = ""
    address: AddressIn | None = None
    relatives: Annotated[tuple[RelativeIn, ...], Field(max_length=20)] = ()


class ActIn(Request):
    """What was done; by default by the author, on the date of the document."""

    code: CodeIn | None = None
    translations: Annotated[tuple[CodeIn, ...], Field(max_length=50)] = ()
    ids: Annotated[tuple[IdentifierIn, ...], Field(max_length=20)] = ()
    start: Word = Field(default="", description=DATE)
    stop: Word = ""
    performer: PersonIn | None = None


class EncounterIn(Request):
    """When and where the patient was seen; by default as the act, where the author works."""

    code: CodeIn | None = None
    ids: Annotated[tuple[IdentifierIn, ...], Field(max_length=20)] = ()
    start: Word = ""
    stop: Word = ""
    discharge: CodeIn | None = None
    sector: Word = Field(default="", description="JDV_J02")
    organization: OrganizationIn | None = None
    responsible: PersonIn | None = None


class OrderIn(Request):
    """A request that the document answers."""

    id: IdentifierIn | None = None
    accession: IdentifierIn | None = Field(default=None, description="In imaging.")


class PreviousIn(Request):
    """The version that is replaced or deleted."""

    id: Word = Field(description="`unique_id` of it.")
    set_id: Word = Field(default="", description="Not needed for documents made here.")
    version: Annotated[int, Field(ge=1)] | None = None


class FileIn(Request):
    """A file: its content in base64, the name of a part of the form, or an upload."""

    content: Base64 | None = None
    part: Word = Field(default="", description="Name of the part of the form that holds it.")
    upload: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")] | None = Field(
        default=None, description="What was uploaded before; gone from there once sent."
    )
    content_type: Word = Field(default="", description="By default what the file itself says.")


class BlockIn(Request):
    """A paragraph (`text`), a list (`items`) or a table (`rows`)."""

    text: Words = ""
    items: Annotated[tuple[Words, ...], Field(max_length=MAX_LINES)] = ()
    is_ordered: bool = False
    rows: Annotated[
        tuple[Annotated[tuple[Words, ...], Field(max_length=50)], ...], Field(max_length=MAX_LINES)
    ] = ()
    head: Annotated[tuple[Word, ...], Field(max_length=50)] = ()
    caption: Word = ""


class FactIn(Request):
    """A coded question with its answer: `value`, `text` or `is_true`."""

    code: CodeIn
    value: CodeIn | None = None
    text: Words = ""
    is_true: bool | None = None
    at: Word = ""


Blocks = Annotated[tuple[BlockIn, ...], Field(max_length=MAX_LINES)]


class SectionIn(Request):
    """A titled part of a document."""

    title: Word
    code: CodeIn | None = None
    templates: Annotated[tuple[Word, ...], Field(max_length=20)] = ()
    blocks: Blocks = ()
    facts: Annotated[tuple[FactIn, ...], Field(max_length=MAX_LINES)] = ()
    sections: Annotated[tuple["SectionIn", ...], Field(max_length=200)] = ()


class TreatmentIn(Request):
    """One line of treatment."""

    name: Word
    dosage: Words = Field(default="", description="In words, as on a prescription.")
    route: Word = ""
    start: Word = ""
    stop: Word = ""
    comment: Words = ""
    product: CodeIn | None = Field(default=None, description="CIS or CIP.")
    substance: CodeIn | None = Field(default=None, description="ATC.")
    dose: Word = Field(default="", description="Quantity of one intake.")
    unit: Word = Field(default="", description="UCUM; `{tbl}` for tablets.")
    every_hours: int | None = None


class ProblemIn(Request):
    """A disease, an operation or an allergy: words, and a code if there is one."""

    name: Word
    code: CodeIn | None = None
    start: Word = ""
    stop: Word = ""
    comment: Words = ""
    relation: CodeIn | None = Field(default=None, description="In the family: who has it.")


Treatments = Annotated[tuple[TreatmentIn, ...], Field(max_length=500)]
Problems = Annotated[tuple[ProblemIn, ...], Field(max_length=500)]


class DischargeIn(Request):
    """What a discharge letter must say (LDL-SES); an empty list says that there is none."""

    reason: Words = ""
    summary: Words = ""
    admission: CodeIn | None = None
    admission_text: Words = ""
    discharge: CodeIn | None = None
    discharge_text: Words = ""
    adverse_events: Words = ""
    looked_for_bacteria: bool | None = None
    bacteria: Words = ""
    transfused: bool | None = None
    transfusion_events: Words = ""
    blood_products: bool | None = None
    blood_product_events: Words = ""
    treatments: Treatments | None = None
    stopped: Treatments = ()
    results: Blocks = ()
    follow_up: Blocks = ()
    devices: Blocks = ()
    allergies: Problems | None = None


class SummaryIn(Request):
    """What a medical summary says (VSM); an empty list says that there is none."""

    problems: Problems | None = None
    history: Problems | None = None
    procedures: Problems = ()
    allergies: Problems | None = None
    lifestyle: Blocks = ()
    occupational: Blocks = ()
    family: Problems = ()
    watch_points: Annotated[tuple[Words, ...], Field(max_length=500)] = ()
    treatments: Treatments | None = None


class LetterDocumentIn(Request):
    """One document: its type, exactly one content, and what differs from the defaults."""

    type: Word = Field(default="", description="JDV_J07: `11488-4`, …; not with `cda`.")
    title: Word = Field(default="", description="By default the label of the type.")
    file: FileIn | None = Field(default=None, description="PDF, JPEG, TIFF, RTF or text.")
    cda: FileIn | None = Field(default=None, description="A CDA that is ready: sent as it is.")
    sections: Annotated[tuple[SectionIn, ...], Field(max_length=200)] = ()
    template: IdentifierIn | None = Field(
        default=None, description="National model of the sections; without one, they become a PDF."
    )
    discharge: DischargeIn | None = Field(default=None, description="With the type `11490-0`.")
    summary: SummaryIn | None = Field(default=None, description="With the type `SYNTH`.")
    pdf: FileIn | None = Field(default=None, description="A better copy than we would make.")
    action: DraftAction = DraftAction.NEW
    previous: PreviousIn | None = None
    id: Word = Field(default="", description="OID; by default a new one.")
    at: Word = Field(default="", description="When it was written: with the time. Default: now.")
    language: Word = "fr-FR"
    confidentiality: Word = Field(default="N", description="`N`, `R` or `V`.")
    hidden_from: Annotated[tuple[HiddenFrom, ...], Field(max_length=3)] = ()
    authors: Annotated[tuple[PersonIn, ...], Field(max_length=50)] = Field(
        default=(), description="By default who owns the mailbox."
    )
    legal_authenticator: PersonIn | None = None
    authenticators: Annotated[tuple[PersonIn, ...], Field(max_length=50)] = ()
    data_enterer: PersonIn | None = None
    treating_physician: PersonIn | None = None
    recipients: Annotated[tuple[PersonIn, ...], Field(max_length=100)] = Field(
        default=(), description="By default the professionals whom the mail goes to."
    )
    custodian: OrganizationIn | None = Field(
        default=None, description="By default where the author works."
    )
    acts: Annotated[tuple[ActIn, ...], Field(max_length=50)] = ()
    encounter: EncounterIn | None = None
    orders: Annotated[tuple[OrderIn, ...], Field(max_length=50)] = ()


class LetterIn(Request):
    """A letter with documents about one patient."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "to": ["Dr Anne ESSAI-LEROUX <anne.essai-leroux@cabinets-demo.mssante.fr>"],
                    "patient": {
                        "ins": "254057511404292",
                        "ins_oid": "1.2.250.1.213.1.4.10",
                        "birth_name": "PATIENT-FICTIF",
                        "given_names": "CAMILLE JEANNE",
                        "birth_date": "1954-05-14",
                        "sex": "F",
                        "birth_place": "75114",
                    },
                    "documents": [
                        {
                            "type": "11488-4",
                            "sections": [
                                {
                                    "title": "Conclusion",
                                    "blocks": [{"text": "Examen normal. Contrôle dans six mois."}],
                                }
                            ],
                        }
                    ],
                }
            ]
        }
    )

    to: Addresses = ()
    cc: Addresses = ()
    bcc: Addresses = ()
    reply_to: Addresses = ()
    in_reply_to: Reference | None = None
    references: Annotated[tuple[Reference, ...], Field(max_length=200)] = ()
    text: str = Field(default="", description="Words for people; by default a few are written.")
    request_read_receipt: bool = False
    request_delivery_receipt: bool = False
    closes_conversation: bool = Field(
        default=False, description="The patient can no longer answer (`X-MSS-MES: FIN`)."
    )
    software: HeaderText = Field(default="", description="Reference of your software, `X-MSS-NIL`.")
    patient: PatientIn | None = Field(default=None, description="Not needed if all are `cda`.")
    documents: Annotated[tuple[LetterDocumentIn, ...], Field(max_length=100)] = ()


class LetterDocumentOut(View):
    """One document as it was made; keep `unique_id` to replace or delete it later."""

    unique_id: str
    set_id: str
    version: int
    type_code: str
    title: str
    pdf_name: str
    cda_octets: int
    pdf_octets: int


class LetterOut(AcceptedOut):
    """The letter is durable, one delivery per recipient."""

    documents: list[LetterDocumentOut] = Field(
        description="What was made; empty for the repetition of a request."
    )
    findings: list[FindingOut] = Field(description="Warnings: nothing that prevents sending.")


class LetterPreviewOut(View):
    """What would be sent; nothing was."""

    subject: str
    headers: dict[str, str]
    text: str
    archive_octets: int
    documents: list[LetterDocumentOut]
    findings: list[FindingOut]
