"""Turn labelled octets into text, and make text safe to show.

Decoding never fails: an unknown or wrong label falls back to UTF-8, then to Windows-1252. Only
charsets on a list are used, because some of Python's codecs are not charsets of mail, take
quadratic time or emit warnings (`idna`, `punycode`, `unicode_escape`), and UTF-7 hides markup.

Sources
    WHATWG Encoding, 4.2: what is labelled ISO-8859-1 is read as Windows-1252.
    Unicode Technical Report 36, 2.5: bidirectional controls that reorder what is read.
"""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_CODECS = {
    **{name: name for name in ("utf-8", "utf-16", "utf-16le", "utf-16be", "utf-32")},
    **{f"iso-8859-{n}": f"iso8859-{n}" for n in (*range(2, 12), *range(13, 17))},
    **{f"windows-{n}": f"cp{n}" for n in range(1250, 1259)},
    **{name: name for name in ("koi8-r", "koi8-u", "gb18030", "gbk", "big5")},
    **{name: name for name in ("euc-jp", "euc-kr", "shift_jis", "iso-2022-jp")},
    **{name: name for name in ("cp437", "cp850", "cp858", "cp1252", "mac-roman")},
    "utf8": "utf-8",
    "us-ascii": "utf-8",
    "ascii": "utf-8",
    "iso-8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-9": "iso8859-15",
    "gb2312": "gb18030",
    "macintosh": "mac-roman",
}

# Line breaks and controls would end a field or a log line; the others reorder or hide what a person
# reads. All become visible, so that nobody can mistake a spoofed name for the real one.
_HIDDEN = (
    *range(0x20),
    *range(0x7F, 0xA0),
    0xAD,
    0x61C,
    0x180E,
    *range(0x200B, 0x2010),
    *range(0x2028, 0x202F),
    *range(0x2060, 0x2070),
    0xFEFF,
)
_VISIBLE = {**dict.fromkeys(_HIDDEN, REPLACEMENT), 0x09: " "}


def decode_octets(octets: bytes, charset: str | None = None) -> str:
    """Decode *octets* as *charset*, or as well as possible when the label is unknown."""
    codec = _CODECS.get(charset.strip().lower()) if charset else None
    if codec is not None and codec != "utf-8":
        return octets.decode(codec, errors="replace")
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        if codec == "utf-8":
            return octets.decode("utf-8", errors="replace")
        return octets.decode("cp1252", errors="replace")


def visible(text: str) -> str:
    """Replace line breaks, controls, bidirectional and zero-width characters by U+FFFD."""
    # None of the hidden characters is printable to Python, so most text is returned as it is.
    return text if text.isprintable() else text.translate(_VISIBLE)
