"""Read a FHIR PATCH of mailboxes: a Parameters resource of FHIRPath operations.

Only the paths of mailboxes are read: `Carrier.telecom`, one telecom by its address, and from there
the rank or one part of the metadata. A path to anything else is no path of ours.

Errors
    `PatchSyntaxError`, on any octets.
Sources
    FHIR R4, 3.1.0.7.3 (FHIRPath patch); draft guide of the secure mail interface, writing;
    FHIRPath, 2.1.3 (string literals).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import orjson

from directory.address import MailAddress
from directory.errors import AddressSyntaxError
from directory.fhir import vocabulary
from directory.fhir.errors import PatchSyntaxError

MAX_OPERATIONS: Final = 100
MAX_OCTETS: Final = 256 * 1024
MAX_PATH: Final = 1000
CARRIERS: Final = frozenset({"Organization", "Practitioner", "PractitionerRole"})
_STRING: Final = r"'((?:[^'\\]|\\.)*)'"
_PATH: Final = re.compile(
    r"\s*(?:(?P<carrier>[A-Za-z]+)\s*\.\s*)?telecom"
    r"(?:\s*\.\s*where\s*\(\s*(?:system\s*=\s*'email'\s+and\s+)?(?:\$this\s*\.\s*)?value\s*=\s*"
    + _STRING.replace("(", "(?P<address>", 1)
    + r"(?:\s+and\s+system\s*=\s*'email')?\s*\)(?:\s*\.\s*first\s*\(\s*\))?"
    r"(?P<rest>.*))?\s*",
    re.DOTALL,
)
_EXTENSION: Final = (
    r"\s*\.\s*extension\s*(?:\.\s*where\s*\(\s*url\s*=\s*|\(\s*)" + _STRING + r"\s*\)"
)
_METADATA: Final = re.compile(
    _EXTENSION + _EXTENSION + r"(?:\s*\.\s*value[A-Za-z]*)?(?:\s*\.\s*ofType\s*\([A-Za-z]+\))?\s*"
)
_RANK: Final = re.compile(r"\s*\.\s*rank\s*")
_FIXED: Final = re.compile(r"\s*\.\s*(value|system|use|extension\b.*)\s*", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_LETTERS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}


class Verb(StrEnum):
    """What an operation does."""

    INSERT = "insert"
    REPLACE = "replace"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        number: Its place in the patch, from 1.
        address: Which mailbox; `None` for the list of them.
        member: `rank`, or the name of a part of the metadata, or `value` and the like for what
            never changes; empty for the whole mailbox.
        index: Where to insert; `None` for the end.
        value: As it came: a mapping, a text, a number or a flag.
    """

    number: int
    verb: Verb
    address: MailAddress | None
    member: str = ""
    index: int | None = None
    value: object = None


def parse_patch(octets: bytes, *, carrier: str) -> tuple[Operation, ...]:
    """Read a patch of a resource of the type *carrier*.

    Raises:
        PatchSyntaxError: It cannot be read, or names what is not a mailbox.
    """
    if len(octets) > MAX_OCTETS:
        raise PatchSyntaxError(operation=None, reason="too large")
    try:
        body = orjson.loads(octets)
    except orjson.JSONDecodeError:
        raise PatchSyntaxError(operation=None, reason="not JSON") from None
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise PatchSyntaxError(operation=None, reason="not a Parameters resource")
    parameters = body.get("parameter")
    if not isinstance(parameters, list) or not 1 <= len(parameters) <= MAX_OPERATIONS:
        raise PatchSyntaxError(operation=None, reason="number of operations")
    return tuple(
        _operation(number, parameter, carrier) for number, parameter in enumerate(parameters, 1)
    )


def _operation(number: int, parameter: object, carrier: str) -> Operation:
    parts = _parts(number, parameter)
    path = _text(number, parts, "path")
    verb_text = _text(number, parts, "type")
    if verb_text == "add":
        return _addition(number, parts, path, carrier)
    try:
        verb = Verb(verb_text)
    except ValueError:
        raise PatchSyntaxError(operation=number, reason="type") from None
    address, member = _parse_path(number, path, carrier)
    if (verb is Verb.INSERT) != (address is None):
        raise PatchSyntaxError(operation=number, reason="path does not fit the type")
    index = _index(number, parts) if verb is Verb.INSERT else None
    if verb is not Verb.DELETE and "value" not in parts:
        raise PatchSyntaxError(operation=number, reason="value")
    return Operation(
        number=number,
        verb=verb,
        address=address,
        member=member,
        index=index,
        value=parts.get("value"),
    )


def _addition(number: int, parts: Mapping[str, object], path: str, carrier: str) -> Operation:
    """Read an addition to the end of the list: path to the resource, name of the element."""
    if path.strip() != carrier or parts.get("name") != "telecom" or "value" not in parts:
        raise PatchSyntaxError(operation=number, reason="path")
    return Operation(number=number, verb=Verb.INSERT, address=None, value=parts["value"])


def _parts(number: int, parameter: object) -> dict[str, object]:
    """Gather the parts of an operation: the name of each, and its value whatever its type."""
    if not isinstance(parameter, dict) or parameter.get("name") != "operation":
        raise PatchSyntaxError(operation=number, reason="not an operation")
    listed = parameter.get("part")
    if not isinstance(listed, list) or len(listed) > 8:
        raise PatchSyntaxError(operation=number, reason="part")
    found: dict[str, object] = {}
    for part in listed:
        name = part.get("name") if isinstance(part, dict) else None
        values = [key for key in part if key.startswith("value")] if isinstance(part, dict) else []
        if not isinstance(name, str) or name in found or len(values) != 1:
            raise PatchSyntaxError(operation=number, reason="part")
        found[name] = part[values[0]]
    return found


def _text(number: int, parts: Mapping[str, object], name: str) -> str:
    text = parts.get(name)
    if not isinstance(text, str) or len(text) > MAX_PATH:
        raise PatchSyntaxError(operation=number, reason=name)
    return text


def _index(number: int, parts: Mapping[str, object]) -> int:
    index = parts.get("index")
    if isinstance(index, bool) or not isinstance(index, int) or index < 0:
        raise PatchSyntaxError(operation=number, reason="index")
    return index


def _parse_path(number: int, path: str, carrier: str) -> tuple[MailAddress | None, str]:
    found = _PATH.fullmatch(path)
    if found is None or found["carrier"] not in {None, carrier}:
        raise PatchSyntaxError(operation=number, reason="path")
    if found["address"] is None:
        return None, ""
    try:
        address = MailAddress.parse(_unescape(found["address"]))
    except AddressSyntaxError:
        raise PatchSyntaxError(operation=number, reason="path") from None
    return address, _member(number, found["rest"])


def _member(number: int, rest: str) -> str:
    if not rest.strip():
        return ""
    if _RANK.fullmatch(rest):
        return "rank"
    extension = _METADATA.fullmatch(rest)
    if extension is not None and _unescape(extension[1]) == vocabulary.MAILBOX_METADATA:
        return _unescape(extension[2])
    fixed = _FIXED.fullmatch(rest)
    if fixed is None:
        raise PatchSyntaxError(operation=number, reason="path")
    return fixed[1][:16].split("(")[0].strip()


def _unescape(text: str) -> str:
    return _ESCAPE.sub(
        lambda found: (
            chr(int(found[1][1:], 16)) if len(found[1]) == 5 else _LETTERS.get(found[1], found[1])
        ),
        text,
    )
