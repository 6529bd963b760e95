"""Header fields: octets to fields, field values to text, dates and identifiers, and back.

A field is a pair of octets, name and value, kept exactly as received: `name + b":" + value + CRLF`
is the field again. Unfolding and decoding happen only when a value is asked for.

Errors
    Readers raise `MessageSyntaxError`; builders raise `HeaderValueError`.
Sources
    RFC 5322, 2.2 and 3.3 to 3.6 (fields, dates, identifiers); RFC 2047 (encoded words).
"""

import binascii
import re
from collections.abc import Callable, Iterable, Sequence, Sized
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from functools import lru_cache
from itertools import chain

from mss.mime.charsets import decode_octets, visible
from mss.mime.errors import HeaderValueError, MessageLimitError, MessageSyntaxError
from mss.mime.limits import DEFAULT_LIMITS, MimeLimits

Field = tuple[bytes, bytes]

CRLF = b"\r\n"
FOLD_COLUMNS = 76
_REMEMBERED_OCTETS = 8192

# A field begins where a line begins; what follows a CRLF and a space still belongs to it.
_FIELD = re.compile(rb"(?<![^\n])([!-9;-~]++):((?:[^\r]++|\r\n[ \t])*+)(?:\r\n|\Z)")


# Fields


def split_fields(block: bytes, limits: MimeLimits = DEFAULT_LIMITS) -> tuple[Field, ...]:
    """Split a header block, without its empty line, into fields in their order."""
    return (_split if len(block) <= _REMEMBERED_OCTETS else _split.__wrapped__)(block, limits)


@lru_cache(maxsize=32)
def _split(block: bytes, limits: MimeLimits) -> tuple[Field, ...]:
    """Split a block; a letter on its way is asked for the same one several times."""
    block = block.removesuffix(CRLF)
    if not block:
        return ()
    fields: list[Field] = _FIELD.findall(block)
    if len(fields) > limits.fields:
        raise MessageLimitError(reason="fields", ceiling=limits.fields)
    # Colons and line ends; what the pattern has skipped is not a field. A space before the colon is
    # refused too: some readers would not see that field.
    if sum(map(len, chain(*fields))) + 3 * len(fields) - 2 != len(block):
        raise MessageSyntaxError(reason="header-field")
    if len(block) > limits.field_octets and max(map(len, chain(*fields))) > limits.field_octets:
        raise MessageLimitError(reason="field-octets", ceiling=limits.field_octets)
    return tuple(fields)


def join_fields(fields: Iterable[Field]) -> bytes:
    """Write *fields* one after the other, without the empty line."""
    return b"".join(b"%b:%b\r\n" % field for field in fields)


def header_end(
    raw: bytes, start: int = 0, stop: int | None = None, *, ceiling: int
) -> tuple[int, int]:
    """Find where the header block that begins at *start* ends, and where its body begins.

    Args:
        raw: The octets that hold the entity.
        start: First octet of the entity.
        stop: End of the entity, or the end of *raw*.
        ceiling: Octets to look at before giving up.
    """
    stop = len(raw) if stop is None else stop
    if raw.startswith(CRLF, start, stop):
        return start, start + 2
    end = raw.find(b"\r\n\r\n", start, min(stop, start + ceiling + 4))
    if end >= 0:
        return end, end + 4
    if stop - start > ceiling:
        raise MessageLimitError(reason="header-octets", ceiling=ceiling)
    return stop, stop


def unfold(value: bytes) -> bytes:
    """Remove the line breaks of a folded value and the space around it."""
    if b"\r\n" in value:
        value = value.replace(CRLF, b"")
    return value.strip(b" \t")


# Text

# "?" and space end every piece, so there is one way to match and nothing to try again.
_ENCODED_WORD = re.compile(r"=\?([^?\s]{1,60})\?([BbQq])\?([^?\s]*)\?=")


def decode_text(value: bytes) -> str:
    """Read an unstructured value: unfolded, RFC 2047 decoded, safe to show on one line."""
    text = decode_octets(unfold(value))
    return visible(decode_words(text) if "=?" in text else text)


def decode_words(text: str) -> str:
    """Replace the RFC 2047 encoded words in *text*; what is not one stays as it is."""
    if "=?" not in text:
        return text
    output: list[str] = []
    run: list[bytes] = []  # octets of adjacent words: a character may be cut between two words
    run_charset = ""
    at = 0
    for match in _ENCODED_WORD.finditer(text):
        octets = _word_octets(match[2], match[3])
        if octets is None:
            continue
        charset = match[1].partition("*")[0].lower()  # RFC 2231, 5: the language is ignored
        between = text[at : match.start()]
        if run and (between.strip(" \t") or charset != run_charset):
            output.append(decode_octets(b"".join(run), run_charset))
            run = []
        if between.strip(" \t") or at == 0:
            output.append(between)
        run.append(octets)
        run_charset = charset
        at = match.end()
    if run:
        output.append(decode_octets(b"".join(run), run_charset))
    output.append(text[at:])
    return "".join(output)


def _word_octets(encoding: str, payload: str) -> bytes | None:
    try:
        if encoding in "Qq":
            return binascii.a2b_qp(payload.encode("ascii"), header=True)
        return binascii.a2b_base64(payload.encode("ascii") + b"=" * (-len(payload) % 4))
    except (binascii.Error, UnicodeEncodeError):
        return None


_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SAFE_IN_WORD = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
_WRITTEN = ["_" if n == 0x20 else chr(n) if n in _SAFE_IN_WORD else f"={n:02X}" for n in range(256)]
_WORD_ROOM = 75 - len("=?utf-8?q??=")


def require_printable(name: str, text: str) -> str:
    """Return *text*, or refuse it if it could end the field *name* or hide in it."""
    if _CONTROLS.search(text):
        raise HeaderValueError(field=name, reason="control-character")
    return text


def encode_words(text: str, *, taken: int = 0) -> list[str]:
    """Write *text* as UTF-8 encoded words of at most 75 columns, cut between characters.

    Args:
        text: Any text that UTF-8 can encode.
        taken: Columns of the first line that are already used.
    """
    octets = text.encode("utf-8")
    quoted = len(_quoted(octets)) <= len(octets) * 4 // 3 + 8
    first = _WORD_ROOM - taken
    if quoted:
        chunks = _chunks(text, _quoted, first, _WORD_ROOM)
        return [f"=?utf-8?q?{_quoted(chunk)}?=" for chunk in chunks]
    chunks = _chunks(text, bytes, first // 4 * 3, _WORD_ROOM // 4 * 3)
    return [f"=?utf-8?b?{_base64(chunk)}?=" for chunk in chunks]


def _chunks(text: str, written: Callable[[bytes], Sized], first: int, room: int) -> list[bytes]:
    """Cut *text* so that each piece, when it is written, fits its room."""
    chunks = [b""]
    left = first
    for character in text:
        octets = character.encode("utf-8")
        cost = len(written(octets))
        if cost > left:
            chunks.append(b"")
            left = room
        chunks[-1] += octets
        left -= cost
    return chunks


def _quoted(octets: bytes) -> str:
    return "".join(_WRITTEN[octet] for octet in octets)


def _base64(octets: bytes) -> str:
    return binascii.b2a_base64(octets, newline=False).decode("ascii")


def build_text(name: str, text: str) -> bytes:
    """Write the field *name* with any text on one logical line.

    Raises:
        HeaderValueError: The text has a line break or another control character.
    """
    require_printable(name, text)
    tokens = re.findall(r" *[^ ]+", text)
    plain = (
        text.isascii()
        and "=?" not in text
        and text == text.strip(" ")
        and all(len(token) < FOLD_COLUMNS - len(name) - 2 for token in tokens)
    )
    return build_folded(name, tokens if plain else encode_words(text, taken=len(name) + 2))


def build_folded(name: str, tokens: Sequence[str]) -> bytes:
    """Write the field *name* from *tokens* that must not be cut, folded between them.

    A token may bring its leading spaces; it gets one if it brings none.
    """
    line = f"{name}:"
    lines = []
    for number, token in enumerate(tokens):
        spaced = token if token.startswith(" ") and number else f" {token}"
        if number and len(line) + len(spaced) > FOLD_COLUMNS:
            lines.append(line)
            line = ""
        line += spaced
    lines.append(line)
    octets = "\r\n".join(lines).encode("ascii", errors="strict") + CRLF
    if max(map(len, lines)) > DEFAULT_LIMITS.line_octets:
        raise HeaderValueError(field=name, reason="too-long")
    return octets


# Dates

_MONTHS = dict(
    zip(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
        range(1, 13),
        strict=True,
    )
)
_ZONES = {
    "ut": 0, "utc": 0, "gmt": 0, "z": 0, "est": -5, "edt": -4,
    "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}  # fmt: skip
_DATE = re.compile(
    r"(?:[a-z]{3}\s*,\s*)?(\d{1,2})\s+([a-z]{3})[a-z]*\s+(\d{2,4})\s+"
    r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s+([+-]\d{4}|[a-z]{1,5})\s*(?:\(.*\))?",
    re.IGNORECASE | re.ASCII,
)


def parse_date(value: bytes) -> datetime:
    """Read a date and time; the zone is resolved, so the answer is aware UTC.

    Raises:
        MessageSyntaxError: It is not a date of RFC 5322.
    """
    match = _DATE.fullmatch(decode_octets(unfold(value)))
    if match is None or match[2].lower() not in _MONTHS:
        raise MessageSyntaxError(reason="date")
    year = int(match[3])
    if len(match[3]) < 4:  # RFC 5322, 4.3
        year += 2000 if year < 50 and len(match[3]) == 2 else 1900
    try:
        return datetime(
            year,
            _MONTHS[match[2].lower()],
            int(match[1]),
            int(match[4]),
            int(match[5]),
            min(int(match[6] or 0), 59),  # a leap second has no place in datetime
            tzinfo=_zone(match[7].lower()),
        ).astimezone(UTC)
    except (ValueError, OverflowError):
        raise MessageSyntaxError(reason="date") from None


def _zone(text: str) -> timezone:
    if text[0] in "+-":
        offset = timedelta(hours=int(text[1:3]), minutes=int(text[3:5]))
        return timezone(-offset if text[0] == "-" else offset)
    if text not in _ZONES:
        raise MessageSyntaxError(reason="date")
    return timezone(timedelta(hours=_ZONES[text]))


def build_date(name: str, at: datetime) -> bytes:
    """Write the field *name* with an aware instant, in UTC."""
    if at.tzinfo is None:
        raise HeaderValueError(field=name, reason="naive-instant")
    return f"{name}: {format_datetime(at.astimezone(UTC))}\r\n".encode("ascii")


# Identifiers

_MESSAGE_ID = re.compile(r"<[!-;=?-~]+>")
_STRICT_MESSAGE_ID = re.compile(r"<[!-;=?A-~]+@[!-;=?A-~]+>")
_TRAILING_COMMENT = re.compile(r"\s*\([^()]*\)\Z")


def parse_message_id(value: bytes) -> str:
    """Read one identifier, angle brackets included.

    Raises:
        MessageSyntaxError: There is not exactly one.
    """
    text = _TRAILING_COMMENT.sub("", decode_octets(unfold(value)))
    if _MESSAGE_ID.fullmatch(text) is None:
        raise MessageSyntaxError(reason="message-id")
    return text


def parse_references(value: bytes, *, limit: int = DEFAULT_LIMITS.references) -> tuple[str, ...]:
    """Read every identifier of `References` or `In-Reply-To`; free text between them is skipped.

    When there are more than *limit*, the first (the root of the thread) and the last are kept.
    """
    found = _MESSAGE_ID.findall(decode_octets(unfold(value)))
    if len(found) > limit:
        found = [found[0], *found[len(found) - limit + 1 :]]
    return tuple(found)


def build_message_ids(name: str, identifiers: Sequence[str]) -> bytes:
    """Write a field of one or more identifiers, angle brackets included."""
    if not identifiers or not all(map(_STRICT_MESSAGE_ID.fullmatch, identifiers)):
        raise HeaderValueError(field=name, reason="message-id")
    return build_folded(name, identifiers)
