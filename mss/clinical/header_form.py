"""Is a header written in the form that the national rules ask for, whatever it says?

What values do not carry: for which country it is written, as which kind of document, what may not
be left empty, how people can be reached. (Why other elements are empty is not judged: the official
examples give reasons that the rules do not list.)

Errors
    None.
Sources
    ANS, CI-SIS, volet Structuration minimale (realmCode, typeId, nullFlavor, telecom, name).
"""

from collections.abc import Iterator
from typing import Final

from lxml.etree import _Element

from mss.clinical.narrative import CDA

_PREFIX: Final = f"{{{CDA}}}"
_COMPONENT: Final = f"{_PREFIX}component"
_TYPE_ID: Final = ("2.16.840.1.113883.1.3", "POCD_HD000040")
_NEVER_EMPTY: Final = frozenset(
    {
        "realmCode",
        "typeId",
        "id",
        "code",
        "effectiveTime",
        "confidentialityCode",
        "languageCode",
        "setId",
        "versionNumber",
        "recordTarget",
        "custodian",
        "legalAuthenticator",
        "componentOf",
    }
)
_SCHEMES: Final = ("tel:", "fax:", "mailto:", "http:", "https:", "ftp:", "mllp:")
_USES: Final = frozenset({"H", "HP", "HV", "WP", "DIR", "PUB", "EC", "MC", "PG"})
_QUALIFIERS: Final = frozenset({"BR", "CL"})


def odd_forms(root: _Element) -> tuple[str, ...]:
    """Name the parts of a header whose form is not the national one, each once."""
    return tuple(dict.fromkeys(_odd_forms(root)))


def _odd_forms(root: _Element) -> Iterator[str]:
    realm = root.find(f"{_PREFIX}realmCode")
    if realm is None or realm.get("code") != "FR":
        yield "realmCode"
    type_id = root.find(f"{_PREFIX}typeId")
    if type_id is None or (type_id.get("root"), type_id.get("extension")) != _TYPE_ID:
        yield "typeId"
    for child in root.iterchildren(f"{_PREFIX}*"):
        if child.tag == _COMPONENT:
            continue
        name = str(child.tag).removeprefix(_PREFIX)
        if name in _NEVER_EMPTY and child.get("nullFlavor") is not None:
            yield f"{name}/@nullFlavor"
        for one in child.iter(f"{_PREFIX}*"):
            yield from _odd_element(one, name)


def _odd_element(element: _Element, place: str) -> Iterator[str]:
    if element.tag == f"{_PREFIX}telecom" and not _is_telecom(element):
        yield f"{place}//telecom"
    if place == "recordTarget" and not _is_name_part(element):
        yield f"{place}//name"


def _is_telecom(element: _Element) -> bool:
    value = element.get("value")
    has_value = value is not None and value.lower().startswith(_SCHEMES)
    is_either = has_value if element.get("nullFlavor") is None else value is None
    return is_either and set(element.get("use", "").split()) <= _USES


def _is_name_part(element: _Element) -> bool:
    """Only names of birth and names in use are told apart, by these two marks."""
    if element.tag not in {f"{_PREFIX}family", f"{_PREFIX}given"}:
        return True
    return set(element.get("qualifier", "").split()) <= _QUALIFIERS
