"""Judge METADATA.XML by the rules of ebRIM 3.0, independently of the code that writes it.

The schema itself is not at hand; these are its rules for the objects that an archive uses: which
children in which order, which attributes, which lengths.
"""

from collections.abc import Iterator

from lxml import etree

RIM = "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}"
LCM = "{urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0}"

_OBJECT = ("Slot*", "Name?", "Description?", "VersionInfo?", "Classification*")
_CHILDREN = {
    f"{LCM}SubmitObjectsRequest": ("RegistryObjectList",),
    f"{RIM}RegistryObjectList": ("RegistryPackage*", "ExtrinsicObject*", "Association*"),
    f"{RIM}RegistryPackage": (*_OBJECT, "ExternalIdentifier*"),
    f"{RIM}ExtrinsicObject": (*_OBJECT, "ExternalIdentifier*"),
    f"{RIM}Association": (*_OBJECT, "ExternalIdentifier*"),
    f"{RIM}Classification": (*_OBJECT, "ExternalIdentifier*"),
    f"{RIM}ExternalIdentifier": (*_OBJECT, "ExternalIdentifier*"),
    f"{RIM}Slot": ("ValueList",),
    f"{RIM}ValueList": ("Value*",),
    f"{RIM}Name": ("LocalizedString*",),
    f"{RIM}Description": ("LocalizedString*",),
    f"{RIM}Value": (),
    f"{RIM}LocalizedString": (),
}
_ATTRIBUTES = {
    f"{RIM}RegistryPackage": {"id"},
    f"{RIM}ExtrinsicObject": {"id", "mimeType", "objectType"},
    f"{RIM}Association": {"id", "associationType", "sourceObject", "targetObject"},
    f"{RIM}Classification": {"id", "classifiedObject"},
    f"{RIM}ExternalIdentifier": {"id", "registryObject", "identificationScheme", "value"},
    f"{RIM}Slot": {"name"},
    f"{RIM}LocalizedString": {"value"},
}


def faults(octets: bytes) -> list[str]:
    """List what the schema would complain about."""
    root = etree.fromstring(octets, etree.XMLParser(remove_comments=True, remove_pis=True))
    ids = [one.get("id") for one in root.iter() if one.get("id")]
    found = ["an id is used twice"] if len(set(ids)) < len(ids) else []
    return found + [fault for one in root.iter() for fault in _faults(one)]


def _faults(element: etree._Element) -> Iterator[str]:
    name = etree.QName(element).localname
    if element.tag not in _CHILDREN:
        yield f"{name} is no element of an archive"
        return
    names = [etree.QName(child).localname for child in element]
    if not _is_allowed(names, _CHILDREN[str(element.tag)]):
        yield f"{name} has children {names}"
    lacking = _ATTRIBUTES.get(str(element.tag), set()) - set(map(str, element.attrib))
    if lacking:
        yield f"{name} lacks {sorted(lacking)}"
    if name == "Value" and len(element.text or "") > 256:
        yield "a value is longer than 256 characters"
    if name == "LocalizedString" and len(element.get("value", "")) > 1024:
        yield "a text is longer than 1024 characters"


def _is_allowed(names: list[str], expected: tuple[str, ...]) -> bool:
    """Match children against a sequence of names, each with `*`, `?` or nothing."""
    at = 0
    for one in expected:
        name, most = one.rstrip("*?"), len(names) if one.endswith("*") else 1
        count = 0
        while at < len(names) and names[at] == name and count < most:
            at, count = at + 1, count + 1
        if not count and one[-1] not in "*?":
            return False
    return at == len(names)
