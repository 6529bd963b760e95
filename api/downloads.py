"""Hand octets to a client so that a browser saves them and runs nothing.

What the octets are called comes from strangers' mail: the media type is passed on only if it is
one, and the file name is cleaned, then written in both forms that clients read.

Sources
    RFC 6266 and RFC 8187 (Content-Disposition); RFC 9110, 8.3 (media types).
"""

import re
import unicodedata
from hashlib import sha256
from typing import Final
from urllib.parse import quote

from starlette.responses import Response

MAX_NAME_OCTETS: Final = 200
DEFAULT_TYPE: Final = "application/octet-stream"

_MEDIA_TYPE: Final = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]{1,100}/[A-Za-z0-9!#$&^_.+-]{1,100}"
    r"(?:; ?charset=\"?[A-Za-z0-9._:-]{1,40}\"?)?"
)
# Everything but letters, marks, numbers, punctuation, symbols and plain spaces: controls, format
# characters that reverse the reading order, line separators, private use, surrogates.
_UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})
_FORBIDDEN: Final = frozenset('/\\:*?"<>|')


def download(octets: bytes, *, content_type: str, filename: str | None, fallback: str) -> Response:
    """Answer with a file to save; *fallback* names it when nothing of *filename* can be kept."""
    kind = content_type if _MEDIA_TYPE.fullmatch(content_type) else DEFAULT_TYPE
    name = safe_name(filename or "") or fallback
    # Bytes, because the framework would add a charset of its own to text.
    return Response(
        octets,
        headers={"Content-Type": kind, "Content-Disposition": disposition(name)},
    )


def show_page(octets: bytes, *, policy: str) -> Response:
    """Answer with a page of our own making, which its policy keeps from running or fetching."""
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Disposition": "inline",
        "Content-Security-Policy": policy,
    }
    return Response(octets, headers=headers)


def etag(octets: bytes) -> str:
    """Name these very octets."""
    return f'"{sha256(octets).hexdigest()[:32]}"'


def is_unchanged(known: str | None, tag: str) -> bool:
    """Tell whether the client has the octets already (RFC 9110, 13.1.2)."""
    named = (one.strip().removeprefix("W/") for one in (known or "")[:2000].split(","))
    return any(one in {"*", tag} for one in named)


def safe_name(filename: str) -> str:
    """Keep of a file name what cannot mislead a reader or a file system."""
    kept = "".join(
        "_" if character in _FORBIDDEN else character
        for character in unicodedata.normalize("NFC", filename)
        if unicodedata.category(character) not in _UNSAFE_CATEGORIES
    ).strip(" .")
    if len(kept.encode()) <= MAX_NAME_OCTETS:
        return kept
    stem, dot, extension = kept.rpartition(".")
    if not dot or len(extension) > 10:
        stem, dot, extension = kept, "", ""
    room = MAX_NAME_OCTETS - len((dot + extension).encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + extension


def disposition(name: str) -> str:
    """Write the field for a safe name: plain for old clients, exact for all others."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip()
    plain = plain.replace('"', "_").replace("\\", "_").replace("%", "_") or "file"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
