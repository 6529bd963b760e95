"""Read the few things of MIME on which S/MIME depends, on raw octets.

Nothing is decoded and encoded again: a signature covers octets as received. Header reading is
bounded, and a field that must be single but is not makes the entity ambiguous instead of letting
one reader see another message than the next.

Errors
    `SignatureError` from `split_signed` only, when the form of a multipart/signed is not strict.
Sources
    RFC 2045, 5 (Content-Type); RFC 2046, 5.1 (boundaries); RFC 1847, 2.1 (multipart/signed).
"""

import re
from binascii import a2b_qp
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from crypto.base64_lines import OTHER_OCTETS, unwrap_base64, wrap_base64
from crypto.errors import SignatureError

__all__ = [
    "MAX_FIELD_OCTETS",
    "MAX_HEADER_OCTETS",
    "Entity",
    "SignedParts",
    "read_entity",
    "split_signed",
    "wrap_base64",
]

MAX_HEADER_OCTETS: Final = 256 * 1024
MAX_FIELD_OCTETS: Final = 4096

_FOLD: Final = re.compile(rb"\r\n[ \t]+")
_PARAMETER: Final = re.compile(r';\s*([^\s=;"]{1,64})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')
_SINGLE: Final = (b"content-type", b"content-transfer-encoding")
_DISPOSITION: Final = b"content-disposition"
# Base64 of the first octets of a CMS object: a SEQUENCE whose length takes two octets or more, or
# is left open. Seven-bit transport cannot carry the object itself, so nothing is mistaken for it.
_BASE64_OF_CMS: Final = (b"MI", b"MH", b"MG")
# Text that known software puts before the first part. Any other text there is refused: a reader
# might show it as if it were signed.
_KNOWN_PREAMBLES: Final = frozenset(
    {
        b"This is a cryptographically signed message in MIME format.",
        b"This is an S/MIME signed message",
        b"This is a multi-part message in MIME format.",
        b"This is a multipart message in MIME format.",
        b"This is a message with multiple parts in MIME format.",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """The header of a MIME entity, as far as S/MIME looks at it.

    Attributes:
        media_type: Lower case, `text/plain` if absent (RFC 2045, 5.2).
        parameters: Of the media type, names in lower case.
        file_name: What the part is to be saved as, lower case; empty if it does not say.
        body_at: Offset of the body.
        is_ambiguous: A field that must be single is not, or is beyond reading.
    """

    octets: bytes
    media_type: str
    parameters: Mapping[str, str]
    file_name: str
    transfer_encoding: str
    body_at: int
    is_ambiguous: bool

    @property
    def body(self) -> bytes:
        """The octets after the header."""
        return self.octets[self.body_at :]

    @property
    def coding(self) -> str:
        """How the body is encoded: `base64`, `quoted-printable`, or empty if it is not.

        Base64 is recognised when the field that should announce it was lost on the way.
        """
        encoding = self.transfer_encoding
        if encoding in {"base64", "quoted-printable"}:
            return encoding
        start = self.octets[self.body_at : self.body_at + 64].lstrip()
        is_lost = encoding in {"", "7bit"} and start.startswith(_BASE64_OF_CMS)
        return "base64" if is_lost else ""

    def decoded_body(self, *, first: int | None = None) -> bytes:
        """Return the body with its transfer encoding undone; only its *first* octets if asked.

        Raises:
            CmsSyntaxError: The base64 is damaged.
        """
        end = None if first is None else self.body_at + 4 * first
        body = self.octets[self.body_at : end]
        coding = self.coding
        if coding == "quoted-printable":
            return a2b_qp(body)
        if coding != "base64":
            return body
        if first is not None:
            body = body.translate(None, OTHER_OCTETS)
            body = body[: len(body) // 4 * 4]
        return unwrap_base64(body)


def read_entity(octets: bytes) -> Entity:
    """Read the header of *octets*; whatever they are, there is an answer."""
    if octets.startswith(b"\r\n"):
        header, body_at = b"", 2
    else:
        end = octets.find(b"\r\n\r\n", 0, MAX_HEADER_OCTETS)
        header, body_at = (octets[:end], end + 4) if end >= 0 else (b"", len(octets))
    fields: dict[bytes, list[bytes]] = {}
    for line in _FOLD.sub(b" ", header).split(b"\r\n"):
        name, colon, value = line.partition(b":")
        name = name.rstrip(b" \t").lower()
        if colon and (name in _SINGLE or name == _DISPOSITION):
            fields.setdefault(name, []).append(value.strip())
    values = [fields.get(name, [b""]) for name in _SINGLE]
    media, encoding = (each[0].decode("latin-1") for each in values)
    media_type, parameters, is_doubled = _media_type(media)
    disposition = b"; ".join(fields.get(_DISPOSITION, [])).decode("latin-1")
    saved_as = _media_type(disposition)[1].get("filename", "")
    return Entity(
        octets=octets,
        media_type=media_type,
        parameters=parameters,
        file_name=(parameters.get("name") or saved_as).lower(),
        transfer_encoding=encoding.strip().lower(),
        body_at=body_at,
        is_ambiguous=is_doubled or any(len(each) > 1 for each in values),
    )


def _media_type(value: str) -> tuple[str, dict[str, str], bool]:
    if len(value) > MAX_FIELD_OCTETS:
        return "text/plain", {}, True
    kind, _, _ = value.partition(";")
    parameters: dict[str, str] = {}
    is_doubled = False
    for match in _PARAMETER.finditer(value, len(kind)):
        name, quoted, plain = match.groups()
        is_doubled |= name.lower() in parameters
        parameters[name.lower()] = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
    return kind.strip().lower() or "text/plain", parameters, is_doubled


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedParts:
    """The two parts of a multipart/signed."""

    content: bytes
    signature: Entity
    has_preamble: bool


def split_signed(entity: Entity) -> SignedParts:
    """Cut a multipart/signed into what is signed and the signature, to the octet.

    Raises:
        SignatureError: There is not exactly that, and nothing else.
    """
    boundary = entity.parameters.get("boundary", "").encode("latin-1")
    if not 1 <= len(boundary) <= 70:  # RFC 2046, 5.1.1
        raise SignatureError("boundary")
    body = b"\r\n" + entity.body  # so that a boundary on the first line is like any other
    first = _Boundary.find(body, boundary, 0)
    second = _Boundary.find(body, boundary, first.after)
    if first.is_last or second.is_last:
        raise SignatureError("part-missing")
    third = _Boundary.find(body, boundary, second.after)
    preamble = body[: first.at].strip()
    if preamble and preamble not in _KNOWN_PREAMBLES:
        raise SignatureError("text-before-signed-part")
    if not third.is_last:
        raise SignatureError("part-superfluous")
    if body[third.after :].strip():
        raise SignatureError("text-after-signature")
    return SignedParts(
        content=body[first.after : second.at],
        signature=read_entity(body[second.after : third.at]),
        has_preamble=bool(preamble),
    )


@dataclass(frozen=True, slots=True)
class _Boundary:
    """One boundary line: where it begins (its CRLF included) and where the next line begins."""

    at: int
    after: int
    is_last: bool

    @classmethod
    def find(cls, body: bytes, boundary: bytes, start: int) -> "_Boundary":
        mark = b"\r\n--" + boundary
        # The CRLF that ends one boundary line may be the one that begins the next.
        at = body.find(mark, max(start - 2, 0))
        while at >= 0:
            end = body.find(b"\r\n", at + len(mark))
            end = len(body) if end < 0 else end
            rest = body[at + len(mark) : end].rstrip(b" \t")
            if rest in {b"", b"--"}:
                return cls(at, min(end + 2, len(body)), rest == b"--")
            at = body.find(mark, at + 2)
        raise SignatureError("boundary-missing")
