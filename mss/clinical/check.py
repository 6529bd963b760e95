"""Say what is wrong with an archive or a document; a fault of content never raises.

Three layers: the file is what the metadata announce (fingerprint, size, one patient); the metadata
say what the document says; the document keeps the national rules of the header. An *error* means
that whoever receives the document should not rely on it as it is. Published examples break lesser
rules, so those are warnings; a message is never refused for them.

Errors
    None.
Sources
    ANS, CI-SIS, volets Structuration minimale and Échange de documents de santé; the examples of
    documents that ANS publishes.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from directory.errors import IdentifierSyntaxError
from directory.identifiers import NationalPersonId, NationalStructureId
from mss.clinical import finding, vocabulary
from mss.clinical.cda_read import embedded_files, parse_cda
from mss.clinical.document import BodyKind, CdaDocument, CdaHeader, CdaSyntaxError
from mss.clinical.finding import Finding, Severity
from mss.clinical.mapping import describe, event_codes
from mss.clinical.metadata import Action, Author, DocumentEntry
from mss.clinical.patient import (
    INSAuthority,
    Patient,
    contradicting_traits,
    missing_traits,
)
from mss.clinical.people import (
    ORGANIZATION_OID,
    PERSON_OID,
    Actor,
    ActorKind,
    Code,
    Identifier,
    Organization,
    is_oid,
    parse_cx,
    same_field,
)
from mss.clinical.times import HL7Time
from mss.clinical.xdm import Archive, ArchiveDocument

_MIME_TYPES = frozenset({"text/xml", "application/xml", "application/xslt+xml"})
_CUSTODIANS = frozenset({ORGANIZATION_OID, "1.2.250.1.213.4.1"})
_ACTIVE_PDF = re.compile(rb"/(?:JavaScript|JS|Launch|RichMedia)[\s(<\[/]")
_PDF_MARK = b"%PDF-"
_NOBODY = ("", "")


class Environment(StrEnum):
    """Which kind of identities may be met: those of living people, or invented ones."""

    PRODUCTION = "production"
    TEST = "test"


def check_archive(archive: Archive, *, environment: Environment | None = None) -> list[Finding]:
    """List everything worth saying about an archive and each of its documents.

    Args:
        archive: The archive, as read.
        environment: If given, an INS of the other world is remarked upon.
    """
    found = list(archive.findings)
    if not archive.documents:
        found.append(
            finding.error(
                "archive-empty",
                "The archive holds no document.",
                "L'archive ne contient aucun document.",
            )
        )
    read = [(document, _read(document.octets)) for document in archive.documents]
    found += _one_patient(archive, [cda for _, cda in read if isinstance(cda, CdaDocument)])
    found += _distinct(archive)
    for document, cda in read:
        found += document.findings
        found += _as_announced(document)
        if isinstance(cda, CdaSyntaxError):
            found.append(_not_cda(cda, document.path))
            continue
        expected = describe(cda, document.octets, uri=document.entry.uri)
        found += _as_described(document.entry, expected, cda.header, document.path)
        found += _action(document.entry, cda.header, document.path)
        found += _check_document(cda, document.octets, environment, document.path)
    return found


def check_cda(
    octets: bytes, *, environment: Environment | None = None, where: str = ""
) -> list[Finding]:
    """List everything worth saying about one document outside any archive."""
    cda = _read(octets)
    if isinstance(cda, CdaSyntaxError):
        return [_not_cda(cda, where)]
    return list(_check_document(cda, octets, environment, where))


def has_errors(findings: list[Finding]) -> bool:
    """Tell whether one of the findings is an error."""
    return any(one.severity is Severity.ERROR for one in findings)


def _read(octets: bytes) -> CdaDocument | CdaSyntaxError:
    try:
        return parse_cda(octets)
    except CdaSyntaxError as error:
        return error


def _not_cda(error: CdaSyntaxError, where: str) -> Finding:
    return finding.error(
        "document-not-cda",
        f"The document is not readable CDA ({error.reason}).",
        f"Le document n'est pas un CDA lisible ({error.reason}).",
        where=where,
    )


# The archive: each file is what was announced, and all are about one person


def _one_patient(archive: Archive, read: list[CdaDocument]) -> Iterator[Finding]:
    announced = [one.patient_id for one in archive.submission_sets]
    announced += [one.entry.patient_id for one in archive.documents]
    people = {_person(parse_cx(text)) for text in announced}
    people |= {_person(_subject(one.header)) for one in read}
    if len(people - {_NOBODY}) > 1:
        yield finding.error(
            "several-patients",
            "The archive speaks of more than one patient.",
            "L'archive concerne plus d'un patient.",
        )


def _subject(header: CdaHeader) -> Identifier | None:
    """The identifier that stands for the patient: the INS, else the local number."""
    patient = header.patient or Patient()
    return patient.ins.identifier if patient.ins else patient.local_id


def _person(identifier: Identifier | None) -> tuple[str, str]:
    return (identifier.root, identifier.extension or "") if identifier else _NOBODY


def _distinct(archive: Archive) -> Iterator[Finding]:
    ids = [one.entry.unique_id for one in archive.documents if one.entry.unique_id]
    paths = [one.path for one in archive.documents]
    if len(set(ids)) < len(ids) or len(set(paths)) < len(paths):
        yield finding.warning(
            "document-twice",
            "The same document is listed twice.",
            "Le même document est listé deux fois.",
        )


def _as_announced(document: ArchiveDocument) -> Iterator[Finding]:
    if not document.has_declared_hash:
        yield finding.error(
            "document-hash",
            "The fingerprint in the metadata is not that of the document.",
            "L'empreinte des métadonnées n'est pas celle du document.",
            where=document.path,
        )
    if not document.has_declared_size:
        yield finding.error(
            "document-size",
            "The size in the metadata is not that of the document.",
            "La taille des métadonnées n'est pas celle du document.",
            where=document.path,
        )
    if document.entry.mime_type.lower() not in _MIME_TYPES:
        yield finding.warning(
            "metadata-mime-type",
            "The metadata do not call the document XML.",
            "Les métadonnées n'annoncent pas un document XML.",
            where=document.path,
        )


# The metadata say what the document says


def _same_text(left: object, right: object) -> bool:
    return same_field(str(left), str(right))


def _same_code(left: object, right: object) -> bool:
    """Compare codes alone: labels differ freely, and examples disagree on some code systems."""
    if not isinstance(left, Code) or not isinstance(right, Code):
        return left is right
    return left.code == right.code


def _same_codes(left: object, right: object) -> bool:
    if not isinstance(left, tuple) or not isinstance(right, tuple):
        return False
    return {one.code for one in left} == {one.code for one in right}


def _same_first_code(left: object, right: object) -> bool:
    """Compare the first confidentiality; others come from the sender, not from the document."""
    if not isinstance(left, tuple) or not isinstance(right, tuple):
        return False
    return bool(left) == bool(right) and (not left or left[0].code == right[0].code)


def _same_authors(left: object, right: object) -> bool:
    if not isinstance(left, tuple) or not isinstance(right, tuple) or len(left) != len(right):
        return False
    return all(_same_author(*pair) for pair in zip(left, right, strict=True))


def _same_author(left: Author, right: Author) -> bool:
    fields = zip(left.institutions, right.institutions, strict=False)
    return same_field(left.person, right.person) and all(same_field(*pair) for pair in fields)


def _same_lines(left: object, right: object) -> bool:
    if not isinstance(left, tuple) or not isinstance(right, tuple):
        return False
    ours = [one for one in left if not one.startswith("PID-3|")]
    return len(ours) == len(right) and all(
        same_field(*pair) for pair in zip(sorted(ours), sorted(right), strict=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Field:
    """How one field is compared, and what to say when it differs."""

    name: str
    severity: Severity
    same: Callable[[object, object], bool]
    label: str
    label_fr: str


_FIELDS = tuple(
    _Field(name=name, severity=severity, same=same, label=label, label_fr=label_fr)
    for name, severity, same, label, label_fr in (
        ("unique_id", Severity.ERROR, _same_text, "unique id", "l'identifiant unique"),
        ("type_code", Severity.ERROR, _same_code, "type", "le type"),
        ("class_code", Severity.WARNING, _same_code, "class", "la classe"),
        ("format_code", Severity.WARNING, _same_code, "format", "le format"),
        ("title", Severity.WARNING, _same_text, "title", "le titre"),
        ("language", Severity.WARNING, _same_text, "language", "la langue"),
        ("creation_time", Severity.WARNING, _same_text, "creation time", "la date de création"),
        ("service_start_time", Severity.WARNING, _same_text, "start of care", "le début de l'acte"),
        ("service_stop_time", Severity.WARNING, _same_text, "end of care", "la fin de l'acte"),
        ("source_patient_id", Severity.WARNING, _same_text, "local patient id", "l'IPP"),
        ("source_patient_info", Severity.WARNING, _same_lines, "patient traits", "les traits"),
        ("legal_authenticator", Severity.WARNING, _same_text, "signer", "le responsable"),
        ("authors", Severity.WARNING, _same_authors, "authors", "les auteurs"),
        ("facility", Severity.WARNING, _same_code, "kind of facility", "le type de structure"),
        (
            "practice_setting",
            Severity.WARNING,
            _same_code,
            "practice setting",
            "le cadre d'exercice",
        ),
        (
            "confidentiality",
            Severity.ERROR,
            _same_first_code,
            "confidentiality",
            "la confidentialité",
        ),
        ("events", Severity.WARNING, _same_codes, "acts", "les actes"),
    )
)


def _as_described(
    entry: DocumentEntry, expected: DocumentEntry, header: CdaHeader, where: str
) -> Iterator[Finding]:
    for field in _FIELDS:
        ours, theirs = getattr(entry, field.name), getattr(expected, field.name)
        unknown = field.name in {"class_code", "format_code"} and theirs is None
        if unknown or field.same(ours, theirs):
            continue
        if field.name == "events" and _same_codes(ours, _all_events(header)):
            continue
        yield Finding(
            code=f"metadata-{field.name.replace('_', '-')}",
            severity=field.severity,
            text=f"The metadata and the document differ on the {field.label}.",
            text_fr=f"Les métadonnées et le document diffèrent sur {field.label_fr}.",
            where=where,
        )
    if _person(parse_cx(entry.patient_id)) != _person(_subject(header)):
        yield finding.error(
            "metadata-patient-id",
            "The metadata name another patient than the document.",
            "Les métadonnées désignent un autre patient que le document.",
            where=where,
        )


def _all_events(header: CdaHeader) -> tuple[Code, ...]:
    """The acts with their translations, which some senders list for other types than imaging."""
    return (*event_codes(header), *(one for act in header.acts for one in act.translations))


def _action(entry: DocumentEntry, header: CdaHeader, where: str) -> Iterator[Finding]:
    if entry.action is Action.NEW and header.replaces:
        yield finding.warning(
            "action-missing",
            "The document replaces another, but the metadata do not say so.",
            "Le document en remplace un autre, mais les métadonnées ne le disent pas.",
            where=where,
        )
    if entry.action is Action.REPLACE and not header.replaces:
        is_first = (header.version or 1) == 1
        make = finding.warning if is_first else finding.info
        yield make(
            "action-target",
            "The metadata announce a replacement, but the document does not name what it replaces.",
            "Les métadonnées annoncent un remplacement, sans que le document nomme le remplacé.",
            where=where,
        )


# The document keeps the national rules


def _check_document(
    cda: CdaDocument, octets: bytes, environment: Environment | None, where: str
) -> Iterator[Finding]:
    header = cda.header
    yield from _header(cda, where)
    yield from _patient(header.patient or Patient(), environment, where)
    yield from _vocabulary(cda, where)
    yield from _people(header, where)
    yield from _dates(header, where)
    yield from _body(octets, cda.body, where)


def _header(cda: CdaDocument, where: str) -> Iterator[Finding]:
    header = cda.header
    vital = {"id": header.id, "code": header.code, "effectiveTime": header.effective_time}
    usual = {
        "title": header.title,
        "confidentialityCode": header.confidentiality,
        "languageCode": header.language,
        "setId": header.set_id,
        "versionNumber": header.version,
        "author": header.authors,
        "custodian": header.custodian,
        "legalAuthenticator": header.legal_authenticator,
        "documentationOf": header.acts,
        "componentOf": header.encounter,
    }
    for make, elements in ((finding.error, vital), (finding.warning, usual)):
        for name, value in elements.items():
            if not value:
                yield make(
                    "header-missing",
                    f"The header has no {name}.",
                    f"L'en-tête n'a pas d'élément {name}.",
                    where=where,
                )
    if cda.patients != 1:
        yield finding.error(
            "header-patient",
            "The document is not about exactly one patient.",
            "Le document ne concerne pas exactement un patient.",
            where=where,
        )
    if header.id and not header.id.extension and not _is_oid_or_uuid(header.id.root):
        yield finding.warning(
            "header-id",
            "The identifier of the document is neither an OID nor a UUID.",
            "L'identifiant du document n'est ni un OID ni un UUID.",
            where=where,
        )


def _is_oid_or_uuid(root: str) -> bool:
    return is_oid(root) or (len(root) == 36 and root.count("-") == 4)


def _patient(patient: Patient, environment: Environment | None, where: str) -> Iterator[Finding]:
    ins = patient.ins
    if ins is None:
        yield finding.info(
            "ins-absent",
            "The document has no INS; the patient must be recognised by other means.",
            "Le document ne porte pas d'INS ; le patient doit être reconnu autrement.",
            where=where,
        )
        return
    is_production = environment is Environment.PRODUCTION
    if not ins.has_valid_key:
        is_serious = is_production and ins.authority.is_production
        make = finding.error if is_serious else finding.warning
        yield make(
            "ins-key",
            "The key of the INS does not match its digits.",
            "La clé de l'INS ne correspond pas à ses chiffres.",
            where=where,
        )
    yield from _world(ins.authority, environment, where)
    for trait in missing_traits(patient):
        yield finding.warning(
            "ins-trait-missing",
            f"An INS is given without a trait that must accompany it: {trait}.",
            f"L'INS est donnée sans un trait obligatoire : {trait}.",
            where=where,
        )
    for trait in contradicting_traits(ins, patient.traits):
        yield finding.warning(
            "ins-trait-differs",
            f"The INS does not fit a trait of the patient: {trait}.",
            f"L'INS ne correspond pas à un trait du patient : {trait}.",
            where=where,
        )


def _world(
    authority: INSAuthority, environment: Environment | None, where: str
) -> Iterator[Finding]:
    if environment is Environment.PRODUCTION and not authority.is_production:
        yield finding.error(
            "ins-of-test",
            "The INS is one of the test environment.",
            "L'INS appartient à l'environnement de test.",
            where=where,
        )
    if environment is Environment.TEST and authority.is_production:
        yield finding.warning(
            "ins-of-production",
            "The INS is one of the production environment.",
            "L'INS appartient à l'environnement de production.",
            where=where,
        )


def _vocabulary(cda: CdaDocument, where: str) -> Iterator[Finding]:
    header = cda.header
    roots = header.template_roots
    model = vocabulary.find_model(roots)
    if header.code and vocabulary.find_class(header.code.code) is None:
        yield finding.info(
            "type-unknown",
            "The type of document is not in the national table known here.",
            "Le type de document n'est pas dans la table nationale connue ici.",
            where=where,
        )
    if model and header.code and model.types and header.code.code not in model.types:
        yield finding.warning(
            "template-type",
            "The model that the document declares is for another type of document.",
            "Le modèle déclaré par le document vaut pour un autre type de document.",
            where=where,
        )
    if not set(vocabulary.FIXED_TEMPLATES) <= set(roots):
        yield finding.warning(
            "template-missing",
            "The document does not declare the national header template.",
            "Le document ne déclare pas le modèle national d'en-tête.",
            where=where,
        )
    is_file = cda.body not in {BodyKind.STRUCTURED, BodyKind.NONE}
    if is_file != (vocabulary.UNSTRUCTURED_TEMPLATE in roots):
        yield finding.warning(
            "template-body",
            "The declared model and the kind of body do not fit together.",
            "Le modèle déclaré et la nature du corps ne vont pas ensemble.",
            where=where,
        )


def _people(header: CdaHeader, where: str) -> Iterator[Finding]:
    signer = (header.legal_authenticator,) if header.legal_authenticator else ()
    for actor in (*header.authors, *signer):
        yield from _person_id(actor, where)
        if actor.organization and actor.kind is not ActorKind.PATIENT:
            yield from _structure_id(actor.organization, where)
    keeper = header.custodian
    if keeper and (keeper.id is None or keeper.id.root not in _CUSTODIANS):
        yield finding.warning(
            "custodian-id",
            "The structure that keeps the document has no national identifier.",
            "La structure qui conserve le document n'a pas d'identifiant national.",
            where=where,
        )


def _person_id(actor: Actor, where: str) -> Iterator[Finding]:
    if actor.kind is not ActorKind.PERSON:
        return
    if actor.id is None or actor.id.root != PERSON_OID:
        yield finding.warning(
            "person-id",
            "An author or signer has no national identifier.",
            "Un auteur ou un responsable n'a pas d'identifiant national.",
            where=where,
        )
    elif not _is_checked(NationalPersonId, actor.id.extension or ""):
        yield finding.warning(
            "person-id-check",
            "The identifier of an author or signer fails its check digit.",
            "L'identifiant d'un auteur ou d'un responsable ne vérifie pas sa clé.",
            where=where,
        )


def _structure_id(organization: Organization, where: str) -> Iterator[Finding]:
    if organization.id is None or organization.id.root != ORGANIZATION_OID:
        return
    if not _is_checked(NationalStructureId, organization.id.extension or ""):
        yield finding.warning(
            "structure-id-check",
            "The identifier of a structure fails its check digit.",
            "L'identifiant d'une structure ne vérifie pas sa clé.",
            where=where,
        )


def _is_checked(kind: type[NationalPersonId | NationalStructureId], text: str) -> bool:
    try:
        return kind.parse(text).is_checked
    except IdentifierSyntaxError:
        return False


def _dates(header: CdaHeader, where: str) -> Iterator[Finding]:
    written, act = header.effective_time, header.main_act
    born = header.patient.traits.birth_date if header.patient else None
    signer = header.legal_authenticator
    signed = signer.at if signer else None
    start, stop = (act.start, act.stop) if act else (None, None)
    for earlier, later, text, text_fr in (
        (
            born,
            written,
            "The patient was born after the document.",
            "Patient né après le document.",
        ),
        (start, stop, "The care ends before it begins.", "L'acte finit avant d'avoir commencé."),
        (start, signed, "The signature is older than the care.", "Signature antérieure à l'acte."),
    ):
        if _is_after(earlier, later):
            yield finding.warning("date-order", text, text_fr, where=where)
    if written and written.instant is None:
        yield finding.warning(
            "date-zone",
            "The date of the document has no time zone.",
            "La date du document n'a pas de fuseau horaire.",
            where=where,
        )


def _is_after(earlier: HL7Time | None, later: HL7Time | None) -> bool:
    """Compare two times at the lesser of their precisions, in UTC when both say it."""
    if earlier is None or later is None or not (earlier.is_valid and later.is_valid):
        return False
    size = min(len(earlier.xds), len(later.xds))
    return earlier.xds[:size] > later.xds[:size]


def _body(octets: bytes, kind: BodyKind, where: str) -> Iterator[Finding]:
    if kind is BodyKind.NONE:
        yield finding.error(
            "body-missing",
            "The document has no body.",
            "Le document n'a pas de corps.",
            where=where,
        )
    try:
        files = embedded_files(octets)
    except CdaSyntaxError as error:
        yield finding.error(
            "body-unreadable",
            f"A file inside the document cannot be taken out ({error.reason}).",
            f"Un fichier inclus dans le document est illisible ({error.reason}).",
            where=where,
        )
        return
    for file in files:
        if file.media_type == "application/pdf":
            yield from _pdf(file.octets, where)


def _pdf(octets: bytes, where: str) -> Iterator[Finding]:
    if not octets[:1024].lstrip().startswith(_PDF_MARK):
        yield finding.error(
            "pdf-unreadable",
            "A file inside the document is called PDF but is none.",
            "Un fichier inclus dans le document est dit PDF mais n'en est pas un.",
            where=where,
        )
    if _ACTIVE_PDF.search(octets):
        yield finding.warning(
            "pdf-active",
            "A PDF inside the document has active content.",
            "Un PDF inclus dans le document a un contenu actif.",
            where=where,
        )
