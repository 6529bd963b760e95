"""Turn documents into wire models: plain functions, one per shape, no decision.

Sources
    docs/adr/0027 (what may be shown of a document, and under which policy).
"""

from typing import Final

from api.presentation import finding_out, message_path
from api.schemas import document
from mss.clinical.html import content_policy
from mss.mailboxes.document_links import DocumentPlace
from mss.mailboxes.documents import LinkedDocument, LinkedDocuments, PatientView

PAGE_POLICY: Final = content_policy()


def document_list(found: LinkedDocuments, *, message_id: str) -> document.DocumentList:
    """Show the documents of a message."""
    return document.DocumentList(
        items=[_document(one, message_id=message_id) for one in found.documents],
        findings=[finding_out(one) for one in found.findings],
    )


def _document(one: LinkedDocument, *, message_id: str) -> document.DocumentOut:
    view, links = one.view, one.links
    path = f"{message_path(message_id)}/documents/{view.number}"
    return document.DocumentOut(
        number=view.number,
        archive_part=view.archive_part,
        file=view.file,
        media_type=view.media_type,
        size_octets=view.size_octets,
        sha1=view.sha1,
        type_code=view.type_code,
        type_label=view.type_label,
        class_code=view.class_code,
        class_label=view.class_label,
        format_code=view.format_code,
        unique_id=view.unique_id,
        set_id=view.set_id,
        version=view.version,
        action=view.action,
        replaces_ids=list(view.replaces),
        replaces=[_place(place) for place in links.replaces],
        replaced_by=[_place(place) for place in links.replaced_by],
        deleted_by=_place(links.deleted_by) if links.deleted_by else None,
        duplicate_of=_place(links.duplicate_of) if links.duplicate_of else None,
        title=view.title,
        creation_time=view.creation_time,
        confidentiality=view.confidentiality,
        patient=_patient(view.patient) if view.patient else None,
        authors=[
            document.AuthorOut(name=author.name, organization=author.organization)
            for author in view.authors
        ],
        body=view.body,
        has_pdf=view.has_pdf,
        findings=[finding_out(each) for each in view.findings],
        href=path,
        links=document.DocumentForms(
            xml=f"{path}/xml",
            html=f"{path}/html" if view.has_html else None,
            pdf=f"{path}/pdf" if view.has_pdf else None,
            file=f"{path}/file" if view.body not in {"structured", "none"} else None,
        ),
    )


def _patient(patient: PatientView) -> document.PatientOut:
    return document.PatientOut(
        ins=patient.ins,
        oid=patient.oid,
        birth_name=patient.birth_name,
        given_name=patient.given_name,
        birth_date=patient.birth_date,
        sex=patient.sex,
    )


def _place(place: DocumentPlace) -> document.DocumentPlaceOut:
    return document.DocumentPlaceOut(
        message=place.message_id,
        number=place.number,
        href=f"{message_path(place.message_id)}/documents/{place.number}",
    )
