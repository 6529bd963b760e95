"""Write a FHIR resource as XML.

The dictionaries of `directory.fhir.resources` stand in the order of FHIR, so one walk is enough:
a primitive is an attribute `value`, `id` of an element and `url` of an extension are attributes, a
contained resource is wrapped in an element of its type.

Errors
    None: control characters that XML cannot carry are replaced.
Sources
    FHIR R4, 2.6.1 (XML).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from xml.sax.saxutils import quoteattr

NAMESPACE: Final = "http://hl7.org/fhir"
_UNWRITABLE: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def build_xml(resource: Mapping[str, object]) -> bytes:
    """Write a resource as a document in UTF-8."""
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    body = "".join(_resource(resource, f' xmlns="{NAMESPACE}"'))
    return (head + body).encode()


def _resource(resource: Mapping[str, object], attributes: str = "") -> Iterator[str]:
    kind = str(resource["resourceType"])
    yield f"<{kind}{attributes}>"
    for name, value in resource.items():
        if name != "resourceType":
            yield from _member(name, value)
    yield f"</{kind}>"


def _member(name: str, value: object) -> Iterator[str]:
    if isinstance(value, list):
        for one in value:
            yield from _element(name, one)
    else:
        yield from _element(name, value)


def _element(name: str, value: object) -> Iterator[str]:
    if not isinstance(value, Mapping):
        yield f"<{name} value={_attribute(value)}/>"
        return
    if "resourceType" in value:
        yield f"<{name}>"
        yield from _resource(value)
        yield f"</{name}>"
        return
    attributes = f" id={_attribute(value['id'])}" if "id" in value else ""
    is_extension = name in {"extension", "modifierExtension"}
    if is_extension:
        attributes += f" url={_attribute(value['url'])}"
    yield f"<{name}{attributes}>"
    for inner, content in value.items():
        if inner != "id" and not (is_extension and inner == "url"):
            yield from _member(inner, content)
    yield f"</{name}>"


def _attribute(value: object) -> str:
    if isinstance(value, bool):
        return '"true"' if value else '"false"'
    return quoteattr(_UNWRITABLE.sub("\ufffd", str(value)))
