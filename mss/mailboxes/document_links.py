"""What does a document have to do with the others that a mailbox has received?

A document replaces the one that it names; failing that (many senders name none), the newest lower
version of its set. A duplicate is the same document, octet for octet, received before. Documents
that say they are about different people are never linked.

Pure: values in, links out.

Sources
    HL7 CDA R2, 4.2.3.1 (setId, versionNumber, relatedDocument); documents published by the ANS,
    many of which raise the version without naming what they replace.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mss.clinical.listing import DocumentSet, DocumentView, is_deletion
from mss.store.documents import KeyKind

MAX_LINKS = 20


@dataclass(frozen=True, slots=True, order=True)
class DocumentPlace:
    """A document of a message, by its number."""

    message_id: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentLinks:
    """Where the other versions of a document are, oldest first."""

    replaces: tuple[DocumentPlace, ...] = ()
    replaced_by: tuple[DocumentPlace, ...] = ()
    deleted_by: DocumentPlace | None = None
    duplicate_of: DocumentPlace | None = None


Related = Sequence[tuple[str, DocumentSet]]


def wanted_identifiers(found: DocumentSet) -> set[tuple[KeyKind, str]]:
    """List what the versions and copies of these documents are found by."""
    wanted: set[tuple[KeyKind, str]] = set()
    for one in found.documents:
        if one.unique_id:
            wanted |= {(KeyKind.DOCUMENT, one.unique_id), (KeyKind.REPLACED, one.unique_id)}
        if one.set_id:
            wanted.add((KeyKind.SET, one.set_id))
        wanted |= {(KeyKind.DOCUMENT, each) for each in one.replaces}
    return wanted


def link(message_id: str, document: DocumentView, related: Related) -> DocumentLinks:
    """Link one document.

    Args:
        message_id: The message that it is in.
        document: What is known of it.
        related: Messages that name one of its identifiers, oldest first, its own among them.
    """
    own = DocumentPlace(message_id, document.number)
    every = [
        (DocumentPlace(key, one.number), one) for key, found in related for one in found.documents
    ]
    others = [
        (place, one) for place, one in every if place != own and not _are_strangers(document, one)
    ]
    before = _before(own, every)
    return DocumentLinks(
        replaces=_replaced(document, others),
        replaced_by=_replacing(document, others),
        deleted_by=next((place for place, one in others if _deletes(one, document)), None),
        duplicate_of=next(
            (place for place, one in others if place in before and _is_same(one, document)), None
        ),
    )


def _replaced(
    document: DocumentView, others: Iterable[tuple[DocumentPlace, DocumentView]]
) -> tuple[DocumentPlace, ...]:
    others = list(others)
    named = [place for place, one in others if one.unique_id in document.replaces]
    if named:
        return tuple(named[-MAX_LINKS:])
    lower = [(_version(one), place) for place, one in others if _is_earlier_version(one, document)]
    newest = max((version for version, _ in lower), default=0)
    return tuple(place for version, place in lower if version == newest)[-MAX_LINKS:]


def _replacing(
    document: DocumentView, others: Iterable[tuple[DocumentPlace, DocumentView]]
) -> tuple[DocumentPlace, ...]:
    found = [
        place
        for place, one in others
        if (document.unique_id and document.unique_id in one.replaces)
        or _is_earlier_version(document, one)
    ]
    return tuple(found[-MAX_LINKS:])


def _is_earlier_version(one: DocumentView, other: DocumentView) -> bool:
    is_same_set = bool(one.set_id) and one.set_id == other.set_id
    return is_same_set and 0 < _version(one) < _version(other)


def _deletes(one: DocumentView, document: DocumentView) -> bool:
    return (
        is_deletion(one)
        and not is_deletion(document)
        and bool(one.unique_id)
        and one.unique_id == document.unique_id
    )


def _is_same(one: DocumentView, document: DocumentView) -> bool:
    return (
        bool(one.unique_id)
        and one.unique_id == document.unique_id
        and one.sha1 == document.sha1
        and one.action == document.action
    )


def _are_strangers(one: DocumentView, other: DocumentView) -> bool:
    """Tell whether two documents say that they are about different people."""
    if one.patient is None or other.patient is None:
        return False
    left, right = one.patient.ins, other.patient.ins
    return left is not None and right is not None and left[:13] != right[:13]


def _version(one: DocumentView) -> int:
    return int(one.version) if one.version and one.version.isdecimal() else 0


def _before(
    own: DocumentPlace, every: Sequence[tuple[DocumentPlace, DocumentView]]
) -> frozenset[DocumentPlace]:
    places = [place for place, _ in every]
    return frozenset(places[: places.index(own)]) if own in places else frozenset(places)
