"""Compare the names of certificates the way the trust list needs: by value, not by spelling.

The trust list writes the subject of an operator's certificate as a text; the certificate holds it
as a structure. Real lists add quotes, double and non-breaking spaces, a space after a comma,
`Paris(75)` for `Paris (75)`, and differ by accent encoding and case. Both sides become the same
sequence of typed, normalised values, and only these are compared.

Shapes
    RDNs stand in the order of the text, leaf first: CN, OU, O, ST, C. The order counts.
    `L` and `ST` are different types and never equal, although some lists mix them up: guessing here
    would let one organisation speak for another. `differences` says so to whoever is refused.
Errors
    `DistinguishedNameSyntaxError`, for any text whatever.
Sources
    RFC 4514 and RFC 2253 (text form); RFC 4518 (why white space and case do not count).
"""

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Self

from directory.errors import DistinguishedNameSyntaxError

MAX_TEXT: Final = 4096
MAX_RDNS: Final = 32

_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}|(?:OID\.|oid\.)?[0-9]+(?:\.[0-9]+){1,31}")
_ESCAPED: Final = frozenset(' "#+,;<=>\\')
_HEX_PAIR: Final = re.compile(r"[0-9A-Fa-f]{2}")
_PARENTHESIS: Final = re.compile(r" +\(")

# Short names, and the other names that the same type goes by.
_SAME_TYPE: Final = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "SERIALNUMBER",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "T",
    "2.5.4.42": "GN",
    "2.5.4.97": "ORGANIZATIONIDENTIFIER",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "EMAILADDRESS",
    "E": "EMAILADDRESS",
    "EMAIL": "EMAILADDRESS",
    "S": "ST",
    "SP": "ST",
    "STATEORPROVINCENAME": "ST",
    "LOCALITYNAME": "L",
    "COMMONNAME": "CN",
    "SURNAME": "SN",
    "GIVENNAME": "GN",
    "TITLE": "T",
    "COUNTRYNAME": "C",
    "ORGANIZATIONNAME": "O",
    "ORGANIZATIONALUNITNAME": "OU",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DistinguishedName:
    """The name in a certificate. Equal when the normalised values are.

    Attributes:
        rdns: Type and value as they were written, leaf first.
        key: Type and value normalised; what is compared and hashed.
    """

    rdns: tuple[tuple[str, str], ...] = field(compare=False)
    key: tuple[tuple[str, str], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.rdns:
            raise DistinguishedNameSyntaxError("empty")
        if len(self.rdns) > MAX_RDNS:
            raise DistinguishedNameSyntaxError("too-many-parts")
        key = tuple((_normal_type(name), normal_value(value)) for name, value in self.rdns)
        object.__setattr__(self, "key", key)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the RFC 4514 form, leaf first.

        Raises:
            DistinguishedNameSyntaxError: It is not such a form, or a part has several values.
        """
        if len(text) > MAX_TEXT:
            raise DistinguishedNameSyntaxError("too-long")
        return cls(rdns=_Scanner(text).read())

    @classmethod
    def from_rdns(cls, rdns: tuple[tuple[str, str], ...]) -> Self:
        """Take the parts of a certificate's subject, leaf first.

        Raises:
            DistinguishedNameSyntaxError: There is no part, a type is not one, or a value is empty.
        """
        return cls(rdns=tuple(rdns))

    def values_of(self, name: str) -> tuple[str, ...]:
        """List the values of one type, as written."""
        wanted = _normal_type(name)
        pairs = zip(self.key, self.rdns, strict=True)
        return tuple(value for (kind, _), (_, value) in pairs if kind == wanted)

    def normal_values_of(self, name: str) -> frozenset[str]:
        """List the values of one type, as compared."""
        wanted = _normal_type(name)
        return frozenset(value for kind, value in self.key if kind == wanted)

    def differences(self, other: "DistinguishedName") -> tuple[str, ...]:
        """Name the types in which two names differ, sorted; `ORDER` if only the order does."""
        mine, theirs = Counter(self.key), Counter(other.key)
        kinds = {kind for kind, _ in (mine - theirs) + (theirs - mine)}
        if not kinds and self.key != other.key:
            return ("ORDER",)
        return tuple(sorted(kinds))

    @property
    def common_name(self) -> str | None:
        """The leaf-most CN; for an operator, the name of its mail host."""
        return next(iter(self.values_of("CN")), None)

    @property
    def organization(self) -> str | None:
        """The leaf-most O; for an operator, the legal entity."""
        return next(iter(self.values_of("O")), None)

    def __str__(self) -> str:
        return ",".join(f"{name}={_escape(value)}" for name, value in self.rdns)


def normal_value(value: str) -> str:
    """Bring a value to the form in which it is compared.

    Raises:
        DistinguishedNameSyntaxError: Nothing is left of it.
    """
    # Case folding can undo the composition, and composing can make new letters to fold.
    folded = unicodedata.normalize("NFKC", value).casefold()
    folded = unicodedata.normalize("NFKC", folded).casefold()
    folded = unicodedata.normalize("NFKC", folded)
    normal = _PARENTHESIS.sub("(", " ".join(folded.split()))
    if not normal:
        raise DistinguishedNameSyntaxError("empty-value")
    return normal


def _normal_type(name: str) -> str:
    name = name.strip(" ")
    if not _TYPE.fullmatch(name):
        raise DistinguishedNameSyntaxError("type-shape")
    upper = name.upper().removeprefix("OID.")
    return _SAME_TYPE.get(upper, upper)


def _escape(value: str) -> str:
    escaped = re.sub(r'(["+,;<>\\])', r"\\\1", value)
    escaped = re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\{ord(found[0]):02X}", escaped)
    if value.startswith("#"):
        escaped = "\\" + escaped
    # A space of any kind at an end is written as its octets: "\ " does not survive trimming.
    if _is_bare_space(value[:1]):
        escaped = _as_octets(value[0]) + escaped[1:]
    if len(value) > 1 and _is_bare_space(value[-1]):
        escaped = escaped[:-1] + _as_octets(value[-1])
    return escaped


def _is_bare_space(character: str) -> bool:
    """Tell whether this is a space that was not escaped as a control character."""
    return character.isspace() and (character == " " or character > "\x7f")


def _as_octets(character: str) -> str:
    return "".join(f"\\{octet:02X}" for octet in character.encode("utf-8"))


class _Scanner:
    """Reads the text from left to right, once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def read(self) -> tuple[tuple[str, str], ...]:
        rdns = []
        while True:
            name, equals, _ = self.text[self.at :].partition("=")
            if not equals:
                raise DistinguishedNameSyntaxError("no-equals-sign")
            self.at += len(name) + 1
            rdns.append((name.strip(), self._value()))
            if self.at >= len(self.text):
                return tuple(rdns)
            if len(rdns) > MAX_RDNS:
                raise DistinguishedNameSyntaxError("too-many-parts")
            self.at += 1  # the comma that ended the value

    def _value(self) -> str:
        self._skip_spaces()
        if self.text.startswith('"', self.at):
            return self._quoted()
        octets = bytearray()
        kept = 0  # an escaped space at the end belongs to the value, a plain one does not
        while self.at < len(self.text):
            character = self.text[self.at]
            if character in ",;":
                break
            # A part with several values has no order of its own; no authority here issues one.
            if character in "+<>":
                raise DistinguishedNameSyntaxError("special-character")
            if character == "\\":
                octets += self._escaped()
                kept = len(octets)
            else:
                octets += character.encode("utf-8", "surrogatepass")
                self.at += 1
        return _decode(octets[:kept] + octets[kept:].rstrip(b" "))

    def _quoted(self) -> str:
        self.at += 1
        octets = bytearray()
        while self.at < len(self.text):
            character = self.text[self.at]
            if character == "\\":
                octets += self._escaped()
            elif character != '"':
                octets += character.encode("utf-8", "surrogatepass")
                self.at += 1
            elif self.text.startswith('""', self.at):  # the doubled quote of spreadsheet writers
                octets += b'"'
                self.at += 2
            else:
                self.at += 1
                self._skip_spaces()
                if self.at < len(self.text) and self.text[self.at] not in ",;":
                    raise DistinguishedNameSyntaxError("text-after-quotes")
                return _decode(octets)
        raise DistinguishedNameSyntaxError("open-quotes")

    def _escaped(self) -> bytes:
        pair = self.text[self.at + 1 : self.at + 3]
        if pair[:1] in _ESCAPED and pair:
            self.at += 2
            return pair[0].encode()
        if _HEX_PAIR.fullmatch(pair):
            self.at += 3
            return bytes.fromhex(pair)
        raise DistinguishedNameSyntaxError("escape")

    def _skip_spaces(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1


def _decode(octets: bytes | bytearray) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise DistinguishedNameSyntaxError("not-utf-8") from None
