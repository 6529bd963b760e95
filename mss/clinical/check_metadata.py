"""Do the metadata of an archive say what the document says?

The metadata that the national table derives from the header are compared, field by field, with
those that the sender wrote. Differences of form alone (letter case, blanks, labels) are none.

Errors
    None.
Sources
    ANS, lien entre l'en-tête CDA et les métadonnées XDS; ANS, ASS_X04 and ASS_A11.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mss.clinical import finding, vocabulary
from mss.clinical.document import CdaDocument, CdaHeader
from mss.clinical.finding import Finding, Severity
from mss.clinical.mapping import describe, event_codes
from mss.clinical.metadata import (
    Action,
    Author,
    DocumentEntry,
    SubmissionSet,
    missing_entry_fields,
    missing_set_fields,
)
from mss.clinical.patient import Patient
from mss.clinical.people import Code, Identifier, is_oid, parse_cx, same_field

MAX_CONFIDENTIALITIES = 4


def check_set(one: SubmissionSet, where: str) -> Iterator[Finding]:
    """Say what a submission set lacks."""
    for name in missing_set_fields(one):
        if name != "submission-set.entry_uuid":
            yield _missing(name, where)
    for name, value in (("uniqueId", one.unique_id), ("sourceId", one.source_id)):
        if value and not is_oid(value):
            yield finding.of("metadata-oid", name=name, where=where)


def check_entry(
    entry: DocumentEntry, cda: CdaDocument, octets: bytes, where: str
) -> Iterator[Finding]:
    """Compare the entry of a document with the document itself."""
    expected = describe(cda, octets, uri=entry.uri)
    yield from _as_described(entry, expected, cda, where)
    yield from _only_announced(entry, expected, where)
    yield from _visibility(entry, where)
    yield from _action(entry, cda.header, where)


def _missing(name: str, where: str) -> Finding:
    return finding.of("metadata-missing", name=name.replace("_", "-"), where=where)


def _only_announced(entry: DocumentEntry, expected: DocumentEntry, where: str) -> Iterator[Finding]:
    """Name what is missing though nothing in the document says otherwise; the rest was compared."""
    compared = {
        f"document-entry.{field.name}" for field in _FIELDS if getattr(expected, field.name)
    }
    told = {"document-entry.entry_uuid", "document-entry.hash", "document-entry.size"}
    told |= {"document-entry.patient_id", "document-entry.mime_type"}
    for name in missing_entry_fields(entry):
        if name not in compared | told:
            yield _missing(name, where)


# Comparison, field by field


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
    """Compare traits line by line, in any order; further local numbers may be there or not."""
    if not isinstance(left, tuple) or not isinstance(right, tuple):
        return False
    ours, theirs = _traits(left), _traits(right)
    return len(ours) == len(theirs) and all(
        same_field(*pair) for pair in zip(ours, theirs, strict=True)
    )


def _traits(lines: tuple[str, ...]) -> list[str]:
    return sorted(one for one in lines if not one.startswith("PID-3|"))


@dataclass(frozen=True, slots=True)
class _Field:
    """How one field is compared."""

    name: str
    same: Callable[[object, object], bool]


_FIELDS = (
    _Field("unique_id", _same_text),
    _Field("type_code", _same_code),
    _Field("class_code", _same_code),
    _Field("format_code", _same_code),
    _Field("title", _same_text),
    _Field("language", _same_text),
    _Field("creation_time", _same_text),
    _Field("service_start_time", _same_text),
    _Field("service_stop_time", _same_text),
    _Field("source_patient_id", _same_text),
    _Field("source_patient_info", _same_lines),
    _Field("legal_authenticator", _same_text),
    _Field("authors", _same_authors),
    _Field("facility", _same_code),
    _Field("practice_setting", _same_code),
    _Field("confidentiality", _same_first_code),
    _Field("events", _same_codes),
)


def _as_described(
    entry: DocumentEntry, expected: DocumentEntry, cda: CdaDocument, where: str
) -> Iterator[Finding]:
    for field in _FIELDS:
        ours, theirs = getattr(entry, field.name), getattr(expected, field.name)
        if field.same(ours, theirs) or _is_allowed(field.name, entry, theirs, cda):
            continue
        yield finding.of(f"metadata-{field.name.replace('_', '-')}", where=where)
    if _person(parse_cx(entry.patient_id)) != _person(_subject(cda.header)):
        yield finding.of("metadata-patient-id", where=where)


def _is_allowed(name: str, entry: DocumentEntry, expected: object, cda: CdaDocument) -> bool:
    """Tell whether a difference is within what the rules leave open."""
    match name:
        case "class_code":
            return expected is None  # a type that our table does not know
        case "format_code":
            ours = entry.format_code.code if entry.format_code else ""
            return not vocabulary.is_format_wrong(
                ours, templates=cda.header.template_roots, media_type=cda.media_type
            )
        case "events":
            return _same_codes(entry.events, _all_events(cda.header))
        case _:
            return False


def _all_events(header: CdaHeader) -> tuple[Code, ...]:
    """The acts with their translations, which some senders list for other types than imaging."""
    return (*event_codes(header), *(one for act in header.acts for one in act.translations))


def _subject(header: CdaHeader) -> Identifier | None:
    patient = header.patient or Patient()
    return patient.ins.identifier if patient.ins else patient.local_id


def _person(identifier: Identifier | None) -> tuple[str, str]:
    return (identifier.root, identifier.extension or "") if identifier else ("", "")


def _visibility(entry: DocumentEntry, where: str) -> Iterator[Finding]:
    further = [one.code for one in entry.confidentiality[1:]]
    known = vocabulary.codes("visibility")
    if (
        len(entry.confidentiality) > MAX_CONFIDENTIALITIES
        or len(set(further)) < len(further)
        or not set(further) <= known.keys()
    ):
        yield finding.of("metadata-visibility", where=where)


# What is to be done with the document


def _action(entry: DocumentEntry, header: CdaHeader, where: str) -> Iterator[Finding]:
    """Compare the action slot with what the document says about its version.

    A deletion sends the latest version again, so its target is the document itself.
    """
    version = header.version or 1
    if entry.action is Action.NEW and (header.replaces or version > 1):
        severity = Severity.WARNING if header.replaces else Severity.INFO
        yield finding.of("action-missing", severity=severity, where=where)
    if entry.action is Action.REPLACE and not header.replaces:
        has_fallback = version > 1 and header.set_id is not None
        severity = Severity.INFO if has_fallback else Severity.WARNING
        yield finding.of("action-target", severity=severity, where=where)
