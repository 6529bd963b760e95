"""What is in this file: a mail as somebody saved it, or a bare cryptographic message?

Mail comes out of archives and mail software with other line ends, a byte order mark or the line
of an mbox before it. What a server would have received is restored, and each repair is named. A
bare CMS object (DER, BER, PEM under any label, base64) is put into the mail entity that it would
have come in, so that one path judges both.

Errors
    None: whatever the octets, there is something to judge.
Sources
    RFC 4155 (mbox); RFC 7468 (PEM); RFC 8551, 3.2 and 3.5 (the entities around CMS).
"""

import hashlib
import re
from binascii import Error, a2b_base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from crypto import cms
from crypto.algorithms import SIGNED_DATA
from crypto.canonical import canonical, is_canonical
from crypto.entity import wrap_base64
from crypto.errors import CmsSyntaxError

MAX_FILE_OCTETS: Final = 64 * 1024 * 1024

_BOM: Final = b"\xef\xbb\xbf"
_BEGIN: Final = re.compile(rb"-----BEGIN [A-Z0-9 #]{1,40}-----[ \t]*\r?\n")
_END: Final = b"-----END "
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=\s]*")
# A SEQUENCE whose length takes several octets or is left open: no mail begins so.
_BEGINNINGS: Final = tuple(bytes((0x30, size)) for size in (0x80, 0x81, 0x82, 0x83, 0x84))


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterFile:
    """What to judge.

    Attributes:
        octets: A mail, or an entity made around a CMS object; CRLF line ends.
        as_saved: The same with the line ends of the file, where these were mixed; else None.
        is_mail: It is a mail, so it should have an author.
        repairs: Kebab-case names of what was done to the file.
    """

    octets: bytes = field(repr=False)
    as_saved: bytes | None = field(default=None, repr=False)
    is_mail: bool
    repairs: tuple[str, ...] = ()


def looks_like_cms(octets: bytes) -> bool:
    """Say whether a file that nobody described is a bare CMS object."""
    return octets.startswith(_BEGINNINGS) or octets.lstrip()[:10] == b"-----BEGIN"


def read_mail(octets: bytes) -> LetterFile:
    """Restore a mail from a file."""
    repairs: list[str] = []
    if octets.startswith(_BOM):
        octets = octets[len(_BOM) :]
        repairs.append("byte-order-mark")
    if octets.startswith((b"From ", b">From ")):
        octets = octets.partition(b"\n")[2]
        repairs.append("mbox-line")
    if is_canonical(octets):
        return LetterFile(octets=octets, is_mail=True, repairs=tuple(repairs))
    is_mixed = b"\r\n" in octets
    repairs.append("line-ends-mixed" if is_mixed else "line-ends-converted")
    return LetterFile(
        octets=canonical(octets),
        as_saved=octets if is_mixed else None,
        is_mail=True,
        repairs=tuple(repairs),
    )


def read_cms(octets: bytes, *, content: bytes | None = None) -> LetterFile:
    """Put a bare CMS object, with its detached content if it has one, into an entity."""
    binary, repairs = decode_cms(octets)
    return LetterFile(
        octets=_entity(binary, content),
        as_saved=None,
        is_mail=False,
        repairs=repairs,
    )


def pem_blocks(octets: bytes) -> list[bytes]:
    """List the PEM blocks of a file, each whole; none in a binary file."""
    return [octets[start:stop] for start, _, _, stop in _iter_blocks(octets)]


def _iter_blocks(octets: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Say where each block, its body and their ends are; in one pass, whatever the octets."""
    at = 0
    while (begin := _BEGIN.search(octets, at)) is not None:
        end = octets.find(_END, begin.end())
        stop = octets.find(b"-----", end + len(_END), end + len(_END) + 45) if end >= 0 else -1
        if stop < 0:
            return
        at = stop + len(b"-----")
        yield begin.start(), begin.end(), end, at


def decode_cms(octets: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Undo PEM or base64 around a binary object; say which."""
    for _, body, end, _ in _iter_blocks(octets):
        armoured = octets[body:end]
        # Header fields of old PEM end with an empty line.
        _, blank, rest = armoured.replace(b"\r\n", b"\n").rpartition(b"\n\n")
        return _unarmoured(rest if blank else armoured), ("pem",)
    if octets[:1] != b"\x30" and _BASE64.fullmatch(octets):
        return _unarmoured(octets), ("base64",)
    return octets, ()


def _unarmoured(text: bytes) -> bytes:
    try:
        return a2b_base64(text)
    except Error:
        return text


def _entity(binary: bytes, content: bytes | None) -> bytes:
    if content is None or not _is_signed(binary):
        return (
            b"Content-Type: application/pkcs7-mime\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + wrap_base64(binary)
        )
    # Not to be found inside what it parts: a digest of just that.
    edge = hashlib.sha256(content).hexdigest().encode()
    return b"".join(
        (
            b'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary="',
            edge,
            b'"\r\n\r\n--',
            edge,
            b"\r\n",
            content,
            b"\r\n--",
            edge,
            (
                b"\r\nContent-Type: application/pkcs7-signature\r\n"
                b"Content-Transfer-Encoding: base64\r\n\r\n"
            ),
            wrap_base64(binary),
            b"--",
            edge,
            b"--\r\n",
        )
    )


def _is_signed(binary: bytes) -> bool:
    try:
        return cms.read_content_type(binary) == SIGNED_DATA
    except CmsSyntaxError:
        return False
