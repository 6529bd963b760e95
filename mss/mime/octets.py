"""Refuse octets that two mail systems could cut into lines differently.

A message that holds a bare CR, a bare LF, a NUL or an endless line is one message here and may be
two somewhere else. The check runs on every octet that is accepted, so it is done in bulk: a base64
body has lines of one width, and a slice with a stride looks at all their ends at once.

Errors
    `MessageSyntaxError`, reason `nul`, `bare-newline` or `line-too-long`.
Sources
    RFC 5321, 2.3.8 and 4.5.3.1.6; CVE-2023-51764, 51765 and 51766 (SMTP smuggling).
"""

from mss.mime.errors import MessageSyntaxError
from mss.mime.limits import DEFAULT_LIMITS

# A run of equal lines is worth the stride only when it is long; the probe doubles while it holds,
# so that what is looked at in vain never exceeds what was gained.
_PROBE_OCTETS = 2048
_WINDOW_OCTETS = 64 * 1024
_LEAST_WIDTH = 16


def check_octets(raw: bytes, *, line_octets: int = DEFAULT_LIMITS.line_octets) -> None:
    """Refuse NUL, bare CR or LF, and lines longer than *line_octets* without their CRLF.

    Raises:
        MessageSyntaxError: There is one of them.
    """
    if b"\0" in raw:
        raise MessageSyntaxError(reason="nul")
    size = len(raw)
    reach = line_octets + 2
    at = irregular = 0
    while size - at > line_octets:
        width = raw.find(b"\n", at, at + reach) + 1 - at
        if width <= 0:
            raise MessageSyntaxError(reason="line-too-long")
        regular = _equal_lines(raw, at, width) if width >= _LEAST_WIDTH else 0
        if regular:
            _check_pairs(raw, irregular, at)
            at = irregular = at + regular
        else:
            at = raw.rfind(b"\n", at, at + reach) + 1
    _check_pairs(raw, irregular, size)


def _check_pairs(raw: bytes, start: int, stop: int) -> None:
    """Refuse a CR without LF or an LF without CR between two line starts."""
    pairs = raw.count(b"\r\n", start, stop)
    if not pairs == raw.count(b"\n", start, stop) == raw.count(b"\r", start, stop):
        raise MessageSyntaxError(reason="bare-newline")


def _equal_lines(raw: bytes, start: int, width: int) -> int:
    """Count the octets from *start* that are whole lines of *width*; 0 when too few to matter."""
    at = start
    octets = _PROBE_OCTETS
    while True:
        stop = at + octets // width * width
        ends = raw[at + width - 1 : stop : width]
        lines = len(ends) - len(ends.lstrip(b"\n"))
        returns = raw[at + width - 2 : at + lines * width : width]
        lines = len(returns) - len(returns.lstrip(b"\r"))
        if lines * width < octets // 2 or not _unbroken(raw, at, lines, width):
            return at - start
        at += lines * width
        if at < stop:
            return at - start
        octets = min(octets * 2, _WINDOW_OCTETS)


def _unbroken(raw: bytes, at: int, lines: int, width: int) -> bool:
    """Say whether the *lines* of *width* at *at* hold no other CR or LF than at their ends."""
    block = bytearray(memoryview(raw)[at : at + lines * width])
    block[width - 1 :: width] = block[width - 2 :: width] = b" " * lines
    return b"\n" not in block and b"\r" not in block
