"""Read what recurs all over a CDA header: identifiers, codes, times, names, places, people.

Errors
    None: what is missing or odd is left out. A reason why something is missing (a null flavor) is
    kept where the national rules know one.
Sources
    HL7 v3 data types (II, CE, TS, IVL_TS, AD, TEL, PN); HL7 CDA R2, POCD_MT000040.
"""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from lxml import etree
from lxml.etree import _Element

from mss.clinical.narrative import CDA
from mss.clinical.people import (
    Actor,
    Address,
    Code,
    Device,
    Identifier,
    Organization,
    Period,
    PersonName,
    Telecom,
)
from mss.clinical.times import HL7Time

NOT_ASKED: Final = "NASK"
"""What a professional without an address is written with, and therefore not worth keeping."""

_NS: Final = {"h": CDA}
_KNOWN_ADDRESS_PARTS: Final = {
    "houseNumber": "house_number",
    "streetName": "street",
    "unitID": "unit",
    "postBox": "post_box",
    "postalCode": "postal_code",
    "city": "city",
    "country": "country",
}
_DEPTH_OF_ORGANIZATIONS: Final = 8
_T = TypeVar("_T")


def read_actor(
    element: _Element,
    *,
    person: str,
    organization: str,
    around: _Element | None = None,
    is_short: bool = False,
) -> Actor:
    """Read who acts.

    Args:
        element: The role: `assignedEntity`, `associatedEntity` …
        person: Name of the element that holds the name.
        organization: Name of the element that holds the structure.
        around: The participation, which holds time, function and kind.
        is_short: The element has no address unless one is given (recipients).
    """
    addresses = read_addresses(element)
    if not is_short:
        addresses = tuple(one for one in addresses if one.missing != NOT_ASKED)
    identifiers = read_identifiers(element, "h:id")
    time = None if around is None else first(around, "h:time")
    no_telecom = missing_telecom(element)
    return Actor(
        id=identifiers[0] if identifiers else None,
        other_ids=identifiers[1:],
        name=maybe(first(element, f"h:{person}/h:name"), read_name),
        device=maybe(first(element, "h:assignedAuthoringDevice"), _device),
        role=None if around is None else read_free_code(first(around, "h:functionCode")),
        specialty=read_code(first(element, "h:code")),
        telecoms=read_telecoms(element),
        no_telecom=no_telecom if is_short or no_telecom != NOT_ASKED else "",
        address=addresses[0] if addresses else None,
        other_addresses=addresses[1:],
        organization=maybe(first(element, f"h:{organization}"), read_organization),
        at=_point(time),
        during=_period(time),
        templates=() if around is None else read_identifiers(around, "h:templateId"),
    )


def read_organization(element: _Element, depth: int = _DEPTH_OF_ORGANIZATIONS) -> Organization:
    """Read a structure, and those that it belongs to."""
    addresses = read_addresses(element)
    identifiers = read_identifiers(element, "h:id")
    whole = first(element, "h:asOrganizationPartOf/h:wholeOrganization")
    return Organization(
        name=text(element, "h:name"),
        id=identifiers[0] if identifiers else None,
        other_ids=identifiers[1:],
        telecoms=read_telecoms(element),
        no_telecom=missing_telecom(element),
        address=addresses[0] if addresses else None,
        practice_setting=read_code(first(element, "h:standardIndustryClassCode")),
        part_of=None if whole is None or depth == 0 else read_organization(whole, depth - 1),
    )


def read_name(name: _Element) -> PersonName:
    """Read a name; several given names become one text."""
    return PersonName(
        family=_words(name, "h:family") or (own(name) if not len(name) else ""),
        given=_words(name, "h:given"),
        prefix=_words(name, "h:prefix"),
        suffix=_words(name, "h:suffix"),
        missing=attribute(name, "nullFlavor"),
    )


def read_addresses(parent: _Element) -> tuple[Address, ...]:
    """Read the addresses; an empty one without a reason is none."""
    return tuple(one for one in map(_address, every(parent, "h:addr")) if one is not None)


def read_telecoms(parent: _Element) -> tuple[Telecom, ...]:
    """Read numbers and electronic addresses."""
    return tuple(
        Telecom(value=attribute(one, "value"), use=attribute(one, "use"))
        for one in every(parent, "h:telecom")
        if attribute(one, "value")
    )


def missing_telecom(parent: _Element) -> str:
    """Read why there is no number, if the document says so."""
    reasons = (attribute(one, "nullFlavor") for one in every(parent, "h:telecom"))
    return next(filter(None, reasons), "")


def read_identifiers(parent: _Element, path: str) -> tuple[Identifier, ...]:
    """Read all the identifiers at a path."""
    return tuple(one for one in map(read_identifier, every(parent, path)) if one is not None)


def read_identifier(element: _Element | None) -> Identifier | None:
    """Read an identifier, if it has a root."""
    root = attribute(element, "root")
    if not root:
        return None
    return Identifier(
        root,
        attribute(element, "extension") or None,
        attribute(element, "assigningAuthorityName"),
    )


def read_code(element: _Element | None) -> Code | None:
    """Read a code that software relies on: without a code there is nothing."""
    found = read_free_code(element)
    return found if found and found.code else None


def read_free_code(element: _Element | None) -> Code | None:
    """Read a code, or the words that stand for one, or why there is none."""
    if element is None:
        return None
    made = Code(
        attribute(element, "code"),
        attribute(element, "codeSystem"),
        attribute(element, "displayName"),
        text=text(element, "h:originalText"),
        reference=attribute(first(element, "h:originalText/h:reference"), "value"),
        missing=attribute(element, "nullFlavor"),
        system_name=attribute(element, "codeSystemName"),
        qualifiers=_qualifiers(element),
    )
    return made if made != Code("") else None


def read_translations(element: _Element | None) -> tuple[Code, ...]:
    """Read the same thing said in other code systems."""
    if element is None:
        return ()
    found = (read_code(one) for one in every(element, "h:translation"))
    return tuple(one for one in found if one)


def read_time(element: _Element | None) -> HL7Time | None:
    """Read a time, or the last bound of an interval that stands where a time should."""
    if element is None:
        return None
    for bound in (element, first(element, "h:high"), first(element, "h:low")):
        if attribute(bound, "value"):
            return HL7Time(attribute(bound, "value"))
    return None


def read_value(parent: _Element, path: str) -> HL7Time | None:
    """Read a point in time, never an interval."""
    found = attribute(first(parent, path), "value")
    return HL7Time(found) if found else None


def attribute(element: _Element | None, name: str) -> str:
    """Read an attribute with its blanks folded; an absent one is empty."""
    return "" if element is None else " ".join(element.get(name, "").split())


def text(parent: _Element, path: str) -> str:
    """Read the words of the first element at a path."""
    found = first(parent, path)
    return "" if found is None else own(found)


def own(element: _Element) -> str:
    """Read the words of an element with their blanks folded."""
    return " ".join("".join(element.itertext()).split())


def maybe(element: _Element | None, read: Callable[[_Element], _T]) -> _T | None:
    """Read what is there."""
    return None if element is None else read(element)


def first(parent: _Element, path: str) -> _Element | None:
    """Find the first element at a path; `h:` is the namespace of CDA."""
    return next(_each(parent, path), None)


def every(parent: _Element, path: str) -> list[_Element]:
    """Find all the elements at a path."""
    return list(_each(parent, path))


def _each(parent: _Element, path: str) -> Iterator[_Element]:
    return parent.iterfind(path, _NS)


def _words(parent: _Element, path: str) -> str:
    return " ".join(filter(None, (own(one) for one in every(parent, path))))


def _device(device: _Element) -> Device:
    return Device(
        software=text(device, "h:softwareName"),
        model=text(device, "h:manufacturerModelName"),
        code=read_code(first(device, "h:code")),
    )


def _qualifiers(element: _Element) -> tuple[tuple[Code, Code | None], ...]:
    pairs = (
        (read_code(first(line, "h:name")), read_code(first(line, "h:value")))
        for line in every(element, "h:qualifier")
    )
    return tuple((name, value) for name, value in pairs if name)


def _address(element: _Element) -> Address | None:
    known: dict[str, str] = {}
    free: list[str] = []
    others: list[tuple[str, str]] = []
    for part in element.iterchildren():
        name, words = etree.QName(part).localname, own(part)
        attribute_name = _KNOWN_ADDRESS_PARTS.get(name)
        if not words:
            continue
        if name in {"streetAddressLine", "deliveryAddressLine"}:
            free.append(words)
        elif attribute_name is None or attribute_name in known:
            others.append((name, words))
        else:
            known[attribute_name] = words
    if not len(element) and own(element):
        free.append(own(element))
    made = Address(
        **known,
        use=attribute(element, "use"),
        free_lines=tuple(free),
        others=tuple(others),
        missing=attribute(element, "nullFlavor"),
    )
    return made if made.lines or made.missing else None


def _point(time: _Element | None) -> HL7Time | None:
    """Read the time of a participation that has no interval."""
    return HL7Time(attribute(time, "value")) if attribute(time, "value") else None


def _period(time: _Element | None) -> Period | None:
    if time is None or attribute(time, "value"):
        return None
    made = Period(
        start=read_value(time, "h:low"),
        stop=read_value(time, "h:high"),
        missing=attribute(time, "nullFlavor"),
    )
    return made if made != Period() else None
