"""Read and write the parameters of `Content-Type` and `Content-Disposition`.

Errors
    Readers raise `MessageSyntaxError`; builders raise `HeaderValueError`.
Sources
    RFC 2045, 5.1 (syntax); RFC 2231 (continuations, charsets).
"""

import re
from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import quote_from_bytes, unquote_to_bytes

from mss.mime.charsets import decode_octets, visible
from mss.mime.errors import HeaderValueError, MessageLimitError, MessageSyntaxError
from mss.mime.headers import build_folded, decode_words, require_printable, unfold
from mss.mime.limits import DEFAULT_LIMITS, MimeLimits

_PIECE = re.compile(r'(?:[^;"]++|"(?:[^"\\]++|\\.)*+")*+')
_QUOTED = re.compile(r'"((?:[^"\\]++|\\.)*+)"\s*(?:\([^()]*\))?')
_QUOTED_PAIR = re.compile(r"\\(.)")
_COMMENT = re.compile(r"(\S+)\s+\([^()]*\)")
_NAME = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'+\-.^_`{|}~]+")
_SECTION_COLUMNS = 60

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
_Sections = dict[int, tuple[bool, str]]


def parse_parameters(
    value: bytes, limits: MimeLimits = DEFAULT_LIMITS
) -> tuple[str, dict[str, str]]:
    """Read a value with parameters: the part before the first `;`, lower-case, and the rest.

    Names are lower-case; values are decoded and safe to show on one line.

    Raises:
        MessageSyntaxError: A parameter is given twice, or a quote does not end.
        MessageLimitError: There are too many parameters.
    """
    text = decode_octets(unfold(value))
    if ";" not in text:
        return _main_value(text), {}
    pieces = _pieces(text)
    if len(pieces) > limits.parameters + 1:
        raise MessageLimitError(reason="parameters", ceiling=limits.parameters)
    values: dict[str, str] = {}
    extended: dict[str, _Sections] = {}
    for piece in pieces[1:]:
        name, equals, content = piece.partition("=")
        if not equals:
            continue
        key = name.strip().lower()
        content = _content(content.strip())
        if "*" in key:
            _put_section(extended, key, content)
        else:
            _put_once(values, key, visible(decode_words(content) if "=?" in content else content))
    for key, sections in extended.items():
        values[key] = visible(_joined(sections))
    return _main_value(pieces[0]), values


def _pieces(text: str) -> list[str]:
    if '"' not in text:
        return text.split(";")
    pieces = []
    at = 0
    while True:
        match = _PIECE.match(text, at)
        end = match.end() if match else at
        if end < len(text) and text[end] != ";":
            raise MessageSyntaxError(reason="parameter-quote")
        pieces.append(text[at:end])
        if end >= len(text):
            return pieces
        at = end + 1


def _main_value(text: str) -> str:
    return text.partition("(")[0].strip().lower()


def _content(text: str) -> str:
    if text.startswith('"'):
        match = _QUOTED.fullmatch(text)
        if match is None:
            raise MessageSyntaxError(reason="parameter-quote")
        return _QUOTED_PAIR.sub(r"\1", match[1]) if "\\" in match[1] else match[1]
    comment = _COMMENT.fullmatch(text) if text.endswith(")") else None
    return comment[1] if comment else text


def _put_section(extended: dict[str, _Sections], key: str, content: str) -> None:
    """Keep one RFC 2231 section; a name that is none is not a parameter."""
    match = _NAME.fullmatch(key)
    if match is not None:
        sections = extended.setdefault(match[1], {})
        _put_once(sections, int(match[2] or 0), (match[3] is not None, content))


def _put_once(values: dict[_Key, _Value], key: _Key, value: _Value) -> None:
    if key in values:
        raise MessageSyntaxError(reason="duplicate-parameter")
    values[key] = value


def _joined(sections: _Sections) -> str:
    """Put RFC 2231 sections together; what follows a missing number is not part of the value."""
    charset = "utf-8"
    octets = bytearray()
    for number in range(len(sections)):
        if number not in sections:
            break
        encoded, text = sections[number]
        if encoded and number == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        octets += unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace")
    return decode_octets(bytes(octets), charset)


def build_parameters(name: str, main: str, parameters: Mapping[str, str]) -> bytes:
    """Write the field *name* with *main* and *parameters*, long or accented values as RFC 2231.

    Raises:
        HeaderValueError: A value has a control character, or a name is not a token.
    """
    tokens = [main]
    for key, value in parameters.items():
        if _TOKEN.fullmatch(key) is None:
            raise HeaderValueError(field=name, reason="parameter-name")
        tokens[-1] += ";"
        tokens += _written(key, require_printable(name, value))
    return build_folded(name, tokens)


def _written(key: str, value: str) -> list[str]:
    if _TOKEN.fullmatch(value) and len(value) <= _SECTION_COLUMNS:
        return [f"{key}={value}"]
    if value.isascii() and "=?" not in value and len(value) <= _SECTION_COLUMNS:
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return [f'{key}="{escaped}"']
    return _extended(key, value)


def _extended(key: str, value: str) -> list[str]:
    chunks = ["utf-8''"]
    for character in value:
        piece = quote_from_bytes(character.encode("utf-8"), safe="")
        if len(chunks[-1]) + len(piece) > _SECTION_COLUMNS:
            chunks.append("")
        chunks[-1] += piece
    if len(chunks) == 1:
        return [f"{key}*={chunks[0]}"]
    last = len(chunks) - 1
    return [
        f"{key}*{number}*={chunk}{';' if number < last else ''}"
        for number, chunk in enumerate(chunks)
    ]
