r"""Read the words of an RTF file, so that they can be shown in a page: no looks, no objects.

Fields, pictures, embedded objects and style sheets are skipped, so nothing in the file can act.

Errors
    None: octets that are no RTF give the words that are found. Work is bounded by the length.
Sources
    Rich Text Format 1.9.1: groups, control words, `\'hh`, `\uN`, destinations.
"""

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"\\([a-z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-z'])|([{}])|([^\\{}]+)", re.DOTALL
)
_SKIPPED: Final = frozenset(
    {"fonttbl", "colortbl", "stylesheet", "info", "pict", "object", "objdata", "header", "footer",
     "headerl", "headerr", "footerl", "footerr", "fldinst", "themedata", "datastore", "listtable",
     "listoverridetable", "rsidtbl", "generator", "xmlnstbl", "latentstyles", "bin"}
)  # fmt: skip
_SIGNS: Final = {
    "par": "\n", "line": "\n", "sect": "\n", "page": "\n", "row": "\n", "tab": "\t", "cell": "\t",
    "emdash": "\u2014", "endash": "\u2013", "bullet": "\u2022", "lquote": "\u2018",
    "rquote": "\u2019", "ldblquote": "\u201c", "rdblquote": "\u201d",
}  # fmt: skip


def rtf_text(octets: bytes) -> str:
    """Take the words out of an RTF file, paragraphs parted by line ends."""
    words: list[str] = []
    stack: list[tuple[bool, int]] = []
    is_skipped, unicode_skip, pending = False, 1, 0
    for token in _TOKEN.finditer(octets.decode("latin-1")):
        word, number, hexadecimal, sign, brace, text = token.groups()
        if brace == "{":
            stack.append((is_skipped, unicode_skip))
        elif brace == "}":
            is_skipped, unicode_skip = stack.pop() if stack else (False, 1)
        elif word in _SKIPPED or sign == "*":
            is_skipped = True
        elif word == "uc":
            unicode_skip = min(int(number or 1), 8)
        elif not is_skipped:
            found = _words(word, number, hexadecimal, sign, text)
            if word == "u":
                pending = unicode_skip
            elif pending and found:
                found, pending = _without(found, pending, is_one=hexadecimal is not None)
            words.append(found)
    return "".join(words).strip()


def _words(
    word: str | None,
    number: str | None,
    hexadecimal: str | None,
    sign: str | None,
    text: str | None,
) -> str:
    if text is not None:
        return text.replace("\r", "").replace("\n", "")
    if hexadecimal is not None:
        return bytes.fromhex(hexadecimal).decode("cp1252", "replace")
    if sign is not None:
        return {"~": "\u00a0", "_": "-", "-": ""}.get(sign, sign if sign in "\\{}" else "")
    if word == "u" and number is not None:
        value = int(number) % 65536
        return "" if 0xD800 <= value <= 0xDFFF else chr(value)
    return _SIGNS.get(word or "", "")


def _without(found: str, pending: int, *, is_one: bool) -> tuple[str, int]:
    """Leave out the letters that stand for a Unicode character in software that has none."""
    if is_one:
        return "", pending - 1
    return found[pending:], max(0, pending - len(found))
