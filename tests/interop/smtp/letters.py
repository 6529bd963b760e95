"""Which letters try a mail server, and is what arrived what was sent?

Shapes
    Letters have CRLF line ends and a good header; the server may write fields above them, and
    nothing else may change. A Maildir holds LF line ends, which is undone before comparing.
"""

import random
from base64 import encodebytes
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mss.clock import SystemClock

# What hosts write above a letter on its way (RFC 5321, 4.4), and what a delivery adds.
TRACE = frozenset({b"received", b"return-path", b"delivered-to", b"x-original-to", b"envelope-to"})
FULL_LINE = 998


@dataclass(frozen=True, slots=True)
class Changed:
    """How a letter that arrived differs from the one that was sent."""

    above: bytes
    at: int


def a_letter(author: str, recipient: str, body: bytes, *, more: bytes = b"") -> bytes:
    """Write a letter around a body; each has a Message-ID of its own."""
    now = SystemClock().now()
    header = (
        f"From: <{author}>\r\nTo: <{recipient}>\r\nSubject: Essai\r\n"
        f"Date: {now:%d %b %Y %H:%M:%S +0000}\r\n"
        f"Message-ID: <{SystemClock().new_id()}@{author.partition('@')[2]}>\r\n"
        "MIME-Version: 1.0\r\n"
    )
    return header.encode("ascii") + more + b"\r\n" + body


def _of_size(octets: int) -> bytes:
    chosen = random.Random(octets).randbytes(octets * 3 // 4)
    return encodebytes(chosen).replace(b"\n", b"\r\n")


_EIGHT_BIT = (
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
    "Compte rendu : fièvre à 39,5 °C — œdème.\r\n".encode() * 20 + b"\xe9\xff\x80\r\n",
)
# Case -> fields of its header, and its body.
CASES: Mapping[str, Callable[[], tuple[bytes, bytes]]] = {
    "1 kB": lambda: (b"", _of_size(1_000)),
    "100 kB": lambda: (b"", _of_size(100_000)),
    "10 MB": lambda: (b"", _of_size(10_000_000)),
    "8-bit": lambda: _EIGHT_BIT,
    "lines of 998 octets": lambda: (b"", (b"x" * FULL_LINE + b"\r\n") * 5),
    "dots": lambda: (b"", b".\r\n..\r\n.a\r\n...\r\na.\r\n\r\n.\r\n.\r\n"),
    "long lines of dots": lambda: (b"", (b"." * FULL_LINE + b"\r\n") * 3),
    "blank lines at the end": lambda: (b"", b"a\r\n" + b"\r\n" * 5),
    "blanks at line ends": lambda: (b"", b"a \r\n\t\r\n b\t \r\nFrom x\r\n>From x\r\n"),
    "no body": lambda: (b"", b""),
    "a folded header": lambda: (
        b"X-Long: a\r\n\tb \r\n   c\r\nX-MSS-NIL: ESSAI00001\r\n",
        b"a\r\n",
    ),
    "a boundary at 64 kB": lambda: (b"", b"y" * 70 + b"\r\n" + b"z" * 62 + b"\r\n.\r\n" * 30_000),
}


def find_change(arrived: bytes, sent: bytes) -> Changed | None:
    """Compare a letter as it arrived with what was sent; `None` if only trace was added."""
    if b"\r\n" not in arrived:
        arrived = arrived.replace(b"\n", b"\r\n")
    above = arrived[: max(0, len(arrived) - len(sent))]
    names = {
        line.partition(b":")[0].lower()
        for line in above.split(b"\r\n")[:-1]
        if line[:1] not in {b" ", b"\t"}
    }
    if arrived == above + sent and above.endswith(b"\r\n") and names <= TRACE:
        return None
    pairs = zip(reversed(arrived), reversed(sent), strict=False)
    return Changed(above=above[:300], at=next((n for n, (a, b) in enumerate(pairs) if a != b), -1))
