"""Health documents of a message on the wire."""

from pydantic import Field

from api.schemas.wire import View


class PatientOut(View):
    """Whom a document is about, as it says itself."""

    ins: str | None
    oid: str | None = Field(description="Who assigned the INS: which kind of number it is.")
    birth_name: str | None
    given_name: str | None
    birth_date: str | None
    sex: str | None


class AuthorOut(View):
    """Who wrote a document."""

    name: str
    organization: str | None


class FindingOut(View):
    """One remark on an archive or a document."""

    code: str
    severity: str = Field(description="`error`, `warning` or `info`.")
    text: str
    text_fr: str
    where: str
    next_step: str = Field(description="What to do about it; may be empty.")
    next_step_fr: str


class DocumentPlaceOut(View):
    """Another document that this mailbox has received."""

    message: str
    number: int
    href: str


class DocumentForms(View):
    """Where each form of a document is; `null` for a form that it has not."""

    xml: str
    html: str | None = Field(description="A page to show, without script and without links out.")
    pdf: str | None
    file: str | None = Field(description="The body itself, when it is one file.")


class DocumentOut(View):
    """One document of an IHE_XDM archive."""

    number: int
    archive_part: str = Field(description="Path of the archive among the message's parts.")
    file: str
    media_type: str
    size_octets: int
    sha1: str
    type_code: str | None
    type_label: str | None
    class_code: str | None
    class_label: str | None
    format_code: str | None
    unique_id: str | None
    set_id: str | None
    version: str | None
    action: str = Field(description="`new`, `replace` or `delete`.")
    replaces_ids: list[str] = Field(description="Identifiers that it says it takes the place of.")
    replaces: list[DocumentPlaceOut] = Field(
        description="Those of them in this mailbox; else the version before it there."
    )
    replaced_by: list[DocumentPlaceOut] = Field(description="Later versions, oldest first.")
    deleted_by: DocumentPlaceOut | None = Field(description="Where its deletion is asked for.")
    duplicate_of: DocumentPlaceOut | None = Field(
        description="The same document, octet for octet, received before."
    )
    title: str | None
    creation_time: str | None = Field(description="As in the archive: `AAAAMMJJhhmmss`, UTC.")
    confidentiality: str | None
    patient: PatientOut | None
    authors: list[AuthorOut]
    body: str = Field(description="`structured`, `pdf`, …")
    has_pdf: bool
    findings: list[FindingOut] = Field(description="What there is to say about this document.")
    href: str = Field(description="Its octets; the Accept field chooses among the forms.")
    links: DocumentForms


class DocumentList(View):
    """The documents of a message, and what there is to say about them."""

    items: list[DocumentOut]
    findings: list[FindingOut] = Field(description="What is about no document alone.")
