"""Write messages of HL7 v2: values to segments, segments to octets.

Shapes
    A field is a text that is escaped, or a `Field` that was made of components. Segments end with
    CR, trailing empty fields are left out.
Sources
    HL7 v2.6, 2.6 and 2.7; the national guides for MSH-17 and MSH-18.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mss.hl7.message import UTF_8

_ESCAPES: Final = str.maketrans(
    {
        "\\": "\\E\\",
        "|": "\\F\\",
        "^": "\\S\\",
        "&": "\\T\\",
        "~": "\\R\\",
        "\r": "\\X0D\\",
        "\n": "\\X0A\\",
        "\x0b": " ",
        "\x1c": " ",
    }
)
_CODECS: Final = {UTF_8: "utf-8", "8859/15": "iso-8859-15", "8859/1": "iso-8859-1"}


@dataclass(frozen=True, slots=True)
class Field:
    """A field that is written already."""

    written: str


def escape(text: str) -> str:
    """Write a value so that nothing in it separates."""
    return text.translate(_ESCAPES)


def components(*values: str | Sequence[str]) -> Field:
    """Make a field of components; a sequence is one of sub-components."""
    written = [
        escape(one) if isinstance(one, str) else "&".join(escape(sub) for sub in one)
        for one in values
    ]
    return Field("^".join(written).rstrip("^"))


def base64_field(kind: str, subtype: str, encoded: str) -> Field:
    """Make a field of type ED; base64 needs no escapes, and may be large."""
    return Field(f"^{kind}^{subtype}^Base64^{encoded}")


def segment(name: str, fields: dict[int, str | Field]) -> str:
    """Write a segment from its fields by number."""
    last = max((number for number, value in fields.items() if value), default=0)
    written = []
    for number in range(1, last + 1):
        value = fields.get(number, "")
        written.append(value.written if isinstance(value, Field) else escape(value))
    return "|".join([name, *written])


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """What MSH says.

    Attributes:
        kind: Message, event, structure.
        profile: MSH-21, if there is one.
    """

    sender: tuple[str, str]
    receiver: tuple[str, str]
    kind: tuple[str, str, str]
    control_id: str
    version: str
    at: datetime
    processing: str = "P"
    charset: str = UTF_8
    profile: tuple[str, str] | None = None

    def written(self) -> str:
        """Write the segment."""
        fields: dict[int, str | Field] = {
            2: self.sender[0],
            3: self.sender[1],
            4: self.receiver[0],
            5: self.receiver[1],
            6: timestamp(self.at),
            8: components(*self.kind),
            9: self.control_id,
            10: self.processing,
            11: self.version,
            16: "FRA",
            17: self.charset,
        }
        if self.profile is not None:
            fields[20] = components(*self.profile)
        # MSH-1 is the separator itself, so every field stands one further left.
        return "MSH|^~\\&" + segment("", {**fields, 1: Field("")})[1:]


def timestamp(at: datetime) -> str:
    """Write an instant, in UTC and saying so."""
    return f"{at.astimezone(UTC):%Y%m%d%H%M%S}+0000"


def build_hl7(segments: Sequence[str], *, charset: str = UTF_8) -> bytes:
    """Write a message; what a charset lacks becomes a question mark."""
    text = "\r".join(segments) + "\r"
    return text.encode(_CODECS.get(charset, "utf-8"), "replace")


def known_charset(charset: str) -> str:
    """Give the charset to answer in: that of the question, if we write it."""
    return charset if charset in _CODECS else UTF_8
