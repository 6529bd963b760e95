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
    format_code: str | None
    unique_id: str | None
    set_id: str | None
    version: str | None
    action: str = Field(description="`new`, `replace` or `delete`.")
    title: str | None
    creation_time: str | None = Field(description="As in the archive: `AAAAMMJJhhmmss`, UTC.")
    confidentiality: str | None
    patient: PatientOut | None
    authors: list[AuthorOut]
    body: str = Field(description="`structured`, `pdf`, …")
    has_pdf: bool
    href: str = Field(description="Its octets; add `?form=pdf` for the readable form.")


class FindingOut(View):
    """One remark on an archive or a document."""

    code: str
    severity: str
    text: str
    text_fr: str
    where: str


class DocumentList(View):
    """The documents of a message, and what there is to say about them."""

    items: list[DocumentOut]
    findings: list[FindingOut]
