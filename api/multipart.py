"""Read a `multipart/form-data` body that has already arrived, and was bounded while it did.

Searching for the delimiter is all the work, so a large file costs one pass over its octets.

Errors
    `MalformedFormError` for any octets that are not a form.
Sources
    RFC 7578; RFC 2046, 5.1.1 (delimiters); WHATWG HTML, 4.10.21.8 (how browsers escape names).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from api.errors import MalformedFormError

MAX_PARTS: Final = 200
MAX_HEAD_OCTETS: Final = 8192
PLAIN_ENCODINGS: Final = frozenset({"7bit", "8bit", "binary"})

_BOUNDARY: Final = re.compile(
    r';\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s;",]{1,70}))', re.IGNORECASE
)
_PARAMETER: Final = re.compile(
    r';\s*([a-z*]{1,20})=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))', re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormPart:
    """One field of a form.

    Attributes:
        filename: Given for a file; `None` for a plain field.
        content_type: As the client says, or `None`.
    """

    name: str
    filename: str | None
    content_type: str | None
    octets: bytes


def parse_form(octets: bytes, content_type: str) -> tuple[FormPart, ...]:
    """Read the parts of a form in their order.

    Args:
        octets: The whole body.
        content_type: The request's field of that name, which holds the boundary.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise MalformedFormError("no boundary")
    delimiter = b"--" + (found[1] or found[2]).encode("latin-1")
    if not octets.startswith(delimiter):
        raise MalformedFormError("does not start with its boundary")
    return tuple(_parts(octets, delimiter))


def _parts(octets: bytes, delimiter: bytes) -> Iterator[FormPart]:
    inner = b"\r\n" + delimiter
    start = len(delimiter)
    for _ in range(MAX_PARTS + 1):
        if octets.startswith(b"--", start):
            return
        if not octets.startswith(b"\r\n", start):
            raise MalformedFormError("a boundary line does not end")
        head_end = octets.find(b"\r\n\r\n", start, start + MAX_HEAD_OCTETS)
        if head_end < 0:
            raise MalformedFormError("the header of a part does not end")
        body = head_end + 4
        # From the empty line's own CRLF on: the body may be empty.
        end = octets.find(inner, head_end + 2)
        if end < 0:
            raise MalformedFormError("the last boundary is missing")
        yield _part(octets[start + 2 : head_end], octets[body:end])
        start = end + len(inner)
    raise MalformedFormError("too many parts")


def _part(head: bytes, octets: bytes) -> FormPart:
    fields = _fields(head)
    disposition = fields.get("content-disposition", "")
    kind, _, _ = disposition.partition(";")
    if kind.strip().lower() != "form-data":
        raise MalformedFormError("a part is not form-data")
    parameters = {
        name.lower(): _unescape(quoted) if quoted else plain
        for name, quoted, plain in _PARAMETER.findall(disposition)
    }
    if "name" not in parameters:
        raise MalformedFormError("a part has no name")
    if fields.get("content-transfer-encoding", "binary").lower() not in PLAIN_ENCODINGS:
        raise MalformedFormError("a part is transfer-encoded")  # RFC 7578, 4.7: nobody should
    return FormPart(
        name=parameters["name"],
        filename=parameters.get("filename"),
        content_type=fields.get("content-type"),
        octets=octets,
    )


def _fields(head: bytes) -> dict[str, str]:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedFormError("a header is not UTF-8") from None
    fields: dict[str, str] = {}
    for line in text.split("\r\n"):
        name, colon, value = line.partition(":")
        key = name.strip().lower()
        if not colon or key in fields:
            raise MalformedFormError("a header field is broken or repeated")
        fields[key] = value.strip()
    return fields


def _unescape(quoted: str) -> str:
    """Undo what clients do to a quote or a line end inside a name: `%22`, or a backslash."""
    text = re.sub(r'\\(["\\])', r"\1", quoted)
    for escape, character in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):
        text = text.replace(escape, character)
    return text
