"""Write the letters that a request asks for: one for professionals, one for the patient.

Each carries the archive made from the documents alone (with the action and the masking that the
request adds), and a readable copy of each document beside it.

Errors
    `HL7RefusedError` when the documents cannot be put into an archive, or nobody is to get them.
Sources
    Référentiel #2, ECO.2.1 to ECO.2.4; ANS, Transmission d'un document CDA-R2 en HL7v2 2.1 (fields
    of the mail).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from directory.address import MailAddress
from directory.errors import DirectoryError
from directory.matricule import Matricule
from mss.clinical.document import CdaSyntaxError
from mss.clinical.letter import cover
from mss.clinical.metadata import Action, Author, MetadataContentError
from mss.clinical.patient import Patient
from mss.clinical.people import (
    ORGANIZATION_OID,
    PERSON_OID,
    Actor,
    Code,
    Identifier,
    Organization,
    PersonName,
    build_xcn,
    build_xon,
)
from mss.clinical.xdm import FILE_NAME, ArchiveContentError, OutgoingDocument, build_archive
from mss.hl7.destinations import Audience
from mss.hl7.errors import Condition, HL7RefusedError, Objection
from mss.hl7.request import Flag, Party, Request
from mss.mime.addresses import NamedAddress
from mss.mime.build import Attachment, Draft, build_message
from mss.model.envelope import DEFAULT_NOTIFY, Envelope, Notify, Recipient

MASKING_OID: Final = "1.2.250.1.213.1.1.4.13"
MASKS: Final = {
    Flag.MASQUE_PS: Code("MASQUE_PS", MASKING_OID, "Document masqué aux professionnels de santé"),
    Flag.INVISIBLE_PATIENT: Code(
        "INVISIBLE_PATIENT", MASKING_OID, "Document non visible par le patient"
    ),
    Flag.INVISIBLE_REP_LEGAUX: Code(
        "INVISIBLE_REPRESENTANTS_LEGAUX",
        MASKING_OID,
        "Document non visible par les représentants légaux du patient",
    ),
}
_CLOSING: Final = {"X-MSS-MES": "FIN"}
_TEXTS: Final = {
    Action.NEW: "Veuillez trouver ci-joint un document de santé.",
    Action.REPLACE: "Le document ci-joint remplace celui qui vous a été transmis précédemment.",
    Action.DELETE: "Le document ci-joint, qui vous a été transmis précédemment, est à supprimer.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A letter that is to be written, before anything large is made for it.

    Attributes:
        recipients: Each with the identifier that reports about them name.
    """

    audience: Audience
    recipients: tuple[tuple[MailAddress, str], ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enclosures:
    """What every letter of a request carries."""

    subject: str = field(repr=False)
    fields: tuple[tuple[str, str], ...]
    files: tuple[Attachment, ...]


def plan_letters(
    request: Request, audiences: tuple[Audience, ...], *, patient_domain: str
) -> tuple[Plan, ...]:
    """Decide which letters are written, and to whom.

    Raises:
        HL7RefusedError: There is nobody to write to.
    """
    plans: list[Plan] = []
    objections: list[Objection] = []
    domain = patient_domain.lower()
    for audience in audiences:
        found = (
            _professionals(request, domain)
            if audience is Audience.PROFESSIONALS
            else _patient(request, domain)
        )
        if isinstance(found, Objection):
            objections.append(found)
        else:
            plans.append(Plan(audience=audience, recipients=found))
    if not audiences:
        objections.append(
            Objection(
                condition=Condition.APPLICATION,
                where="OBX",
                code="no-destination",
                text="No MSSanté destination is asked for, and no other one is served here",
            )
        )
    if objections:
        raise HL7RefusedError(objections=tuple(objections))
    return tuple(plans)


def _professionals(
    request: Request, patient_domain: str
) -> tuple[tuple[MailAddress, str], ...] | Objection:
    found: dict[str, tuple[MailAddress, str]] = {}
    for one in request.recipients:
        if one.address is not None and str(one.address.domain) != patient_domain:
            found.setdefault(one.address.key, (one.address, one.identifier))
    return tuple(found.values()) or Objection(
        condition=Condition.MISSING,
        where="PRT",
        code="recipient-missing",
        text="DESTMSSANTEPS is Y, and no PRT with RCT names a mailbox",
    )


def _patient(
    request: Request, patient_domain: str
) -> tuple[tuple[MailAddress, str], ...] | Objection:
    """Make the patient's address from their number; one that is given must not be another's."""
    ins = (request.documents[0].cda.header.patient or Patient()).ins
    try:
        matricule = Matricule.parse_checked((ins.matricule if ins else "").upper())
        address = MailAddress.parse(f"{matricule}@{patient_domain}")
    except DirectoryError:
        return Objection(
            condition=Condition.APPLICATION,
            where="PID^1^3",
            code="patient-without-ins",
            text="Only a patient whose INS is known and valid has a mailbox",
        )
    for one in request.recipients:
        given = one.address
        is_patients = given is not None and str(given.domain) == patient_domain
        # An official example writes more digits before the number.
        if given is not None and is_patients and matricule not in given.local.upper():
            return Objection(
                condition=Condition.APPLICATION,
                where=f"{one.where}^15",
                code="patient-address-differs",
                text="This is the mailbox of another patient",
            )
    return ((address, str(matricule)),)


def build_enclosures(
    request: Request, action: Action, *, set_uuid: UUID, at: datetime
) -> Enclosures:
    """Make the archive and the readable copies; takes a while, so call it in a thread.

    Raises:
        HL7RefusedError: The documents cannot be put into an archive.
    """
    from mss.clinical.pdf import build_copy  # noqa: PLC0415 -- mail doors load no drawing

    masks = tuple(code for flag, code in MASKS.items() if request.wants(flag))
    documents = [one.octets for one in request.documents]
    try:
        archive = build_archive(
            [OutgoingDocument(octets=one, action=action, hidden_from=masks) for one in documents],
            set_uuid=set_uuid,
            at=at,
            sender=submission_author(request.sender),
        )
        described = cover([one.cda.header for one in request.documents])
        copies = [build_copy(one) for one in documents]
    except (ArchiveContentError, MetadataContentError, CdaSyntaxError) as error:
        facts = getattr(error, "missing", ()) or (getattr(error, "reason", ""),)
        raise HL7RefusedError(
            objections=(
                Objection(
                    condition=Condition.APPLICATION,
                    where="OBX^1^5",
                    code=error.code,
                    text=f"{error.public_text} ({', '.join(facts)})",
                ),
            )
        ) from error
    files = [Attachment(filename=FILE_NAME, content_type="application/zip", octets=archive)]
    files += [
        Attachment(filename=name, content_type="application/pdf", octets=octets)
        for name, octets in zip(described.pdf_names, copies, strict=True)
    ]
    return Enclosures(
        subject=described.subject, fields=tuple(described.headers.items()), files=tuple(files)
    )


def submission_author(sender: Party | None) -> Author | None:
    """Write who sends, for the submission set; `None` if the request does not say."""
    if sender is None or not (sender.family or sender.organization):
        return None
    organization = Organization(
        name=sender.organization, id=Identifier(ORGANIZATION_OID, _structure(sender))
    )
    actor = Actor(
        id=Identifier(PERSON_OID, sender.identifier),
        name=PersonName(family=sender.family, given=sender.given),
    )
    return Author(
        person=build_xcn(actor) if sender.family else "",
        institutions=(build_xon(organization),) if sender.organization else (),
    )


def _structure(sender: Party) -> str:
    """Write a FINESS of nine characters with its figure, as a national structure number."""
    number = sender.organization_id
    return f"1{number}" if len(number) == 9 and number.isdigit() else number


def build_letter(
    request: Request,
    plan: Plan,
    enclosures: Enclosures,
    *,
    action: Action,
    author: NamedAddress,
    product: str,
    message_id: str,
    at: datetime,
) -> tuple[Envelope, bytes]:
    """Write one letter.

    Args:
        request: What is asked for.
        plan: For whom.
        enclosures: What it carries.
        action: What is asked for, once it is clear.
        author: The application mailbox.
        product: Value of `X-MSS-NIL`; empty for none.
        message_id: With angle brackets.
        at: For `Date`.
    """
    is_patient = plan.audience is Audience.PATIENT
    body = request.bodies.get("PATIENT" if is_patient else "PS", "")
    reply_to = request.reply_to.address if request.reply_to else None
    fields = dict(enclosures.fields)
    fields |= {"X-MSS-NIL": product} if product else {}
    fields |= _CLOSING if is_patient and request.closes else {}
    draft = Draft(
        author=author,
        to=tuple(NamedAddress(address=address) for address, _ in plan.recipients),
        reply_to=(NamedAddress(address=reply_to),) if reply_to else (),
        subject=enclosures.subject,
        text=_readable(body) or _TEXTS[action],
        attachments=enclosures.files,
        disposition_notification_to=(author,) if request.wants(Flag.ACK_LECTURE_MSS) else (),
        mss_fields=fields,
    )
    success = {Notify.SUCCESS} if request.wants(Flag.ACK_RECEPTION) else set()
    envelope = Envelope(
        sender=author.address,
        recipients=tuple(
            Recipient(address=address, notify=DEFAULT_NOTIFY | success)
            for address, _ in plan.recipients
        ),
    )
    return envelope, build_message(draft, message_id=message_id, at=at)


def _readable(text: str) -> str:
    """Keep letters, tabs and line ends of a text that came from elsewhere."""

    def kept() -> Iterator[str]:
        for letter in text.replace("\r\n", "\n").replace("\r", "\n"):
            if letter.isprintable() or letter in "\n\t":
                yield letter

    return "".join(kept()).strip()
