"""Which rules of ebRIM does a METADATA.XML break, though it can be read all the same?

Published archives break most of them, so each is a remark on the whole file, made once: a reader
learns what the sender's software should correct, and loses nothing.

Errors
    None.
Sources
    OASIS ebRIM 3.0 (order of children, references); IHE ITI TF-3, 4.2 (names, associations).
"""

import re
from collections.abc import Iterator, Sequence

from lxml import etree
from lxml.etree import _Element

from mss.clinical import finding
from mss.clinical.finding import Finding

RIM = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
CHILD_ORDER = (
    "Slot",
    "Name",
    "Description",
    "VersionInfo",
    "Classification",
    "ExternalIdentifier",
)
WHERE = "METADATA.XML"

_HAS_MEMBER = "urn:oasis:names:tc:ebxml-regrep:associationtype:hasmember"
_ASSOCIATION_TYPE = "urn:oasis:names:tc:ebxml-regrep:objecttype:registryobject:association"
_NAMES = {
    "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446": "XDSSubmissionSet.patientId",
    "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832": "XDSSubmissionSet.sourceId",
    "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8": "XDSSubmissionSet.uniqueId",
    "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427": "XDSDocumentEntry.patientId",
    "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab": "XDSDocumentEntry.uniqueId",
}
_UUID_URN = re.compile(r"urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_ACTION_SLOT = "urn:action:extraMetadataSlot"
_ACTIONS = frozenset({"", "C", "D"})


def find_oversights(
    octets: bytes, root: _Element, packages: Sequence[_Element], documents: Sequence[_Element]
) -> Iterator[Finding]:
    """Say what reading had to overlook.

    Args:
        octets: The file.
        root: Its root element.
        packages: The submission sets in it.
        documents: The document entries in it.
    """
    objects = [*packages, *documents]
    associations = list(root.iter(_rim("Association")))
    for code, is_broken in (
        ("metadata-leading-space", octets[:1].isspace()),
        ("metadata-order", any(map(_is_out_of_order, _with_children(objects)))),
        ("metadata-reference", any(map(_has_wrong_reference, objects))),
        ("metadata-identifier-name", any(map(_has_wrong_name, objects))),
        ("metadata-object-id", not all(map(_has_uuid, (*_with_children(objects), *associations)))),
        ("metadata-association", not _are_members(associations, documents)),
        ("metadata-sets", len(packages) > 1),
        ("metadata-action", any(map(_has_unknown_action, documents))),
    ):
        if is_broken:
            yield finding.of(code, where=WHERE)


def plain_uuid(text: str) -> str:
    """Write a UUID the usual way, whatever its case and however often its prefix was put on."""
    return "urn:uuid:" + text.strip().lower().rpartition("urn:uuid:")[2]


def _with_children(objects: Sequence[_Element]) -> Iterator[_Element]:
    for top in objects:
        yield top
        yield from top.iterchildren(_rim("Classification"), _rim("ExternalIdentifier"))


def _is_out_of_order(element: _Element) -> bool:
    names = [etree.QName(child).localname for child in element]
    ranks = [CHILD_ORDER.index(name) for name in names if name in CHILD_ORDER]
    return ranks != sorted(ranks)


def _has_wrong_reference(top: _Element) -> bool:
    own = plain_uuid(top.get("id", ""))
    references = [one.get("classifiedObject") for one in top.iterchildren(_rim("Classification"))]
    references += [
        one.get("registryObject") for one in top.iterchildren(_rim("ExternalIdentifier"))
    ]
    return any(one is not None and plain_uuid(one) != own for one in references)


def _has_wrong_name(top: _Element) -> bool:
    for one in top.iterchildren(_rim("ExternalIdentifier")):
        name = _NAMES.get(plain_uuid(one.get("identificationScheme", "")))
        text = next(one.iter(_rim("LocalizedString")), None)
        if name and (text is None or text.get("value") != name):
            return True
    return False


def _has_uuid(element: _Element) -> bool:
    return _UUID_URN.fullmatch(element.get("id", "").lower()) is not None


def _are_members(associations: Sequence[_Element], documents: Sequence[_Element]) -> bool:
    """Tell whether each document is a member of the set, and nothing odd is said about it."""
    members = {
        plain_uuid(one.get("targetObject", ""))
        for one in associations
        if one.get("associationType", "").lower() == _HAS_MEMBER
        and one.get("objectType", _ASSOCIATION_TYPE).lower() == _ASSOCIATION_TYPE
    }
    return all(plain_uuid(one.get("id", "")) in members for one in documents)


def _has_unknown_action(document: _Element) -> bool:
    return any(
        slot.get("name", "").strip() == _ACTION_SLOT
        and "".join(slot.itertext()).strip().upper() not in _ACTIONS
        for slot in document.iterchildren(_rim("Slot"))
    )


def _rim(tag: str) -> str:
    return f"{{{RIM}}}{tag}"
