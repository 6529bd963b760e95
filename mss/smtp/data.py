"""Read and write the message as it travels after DATA, so that no two servers read it differently.

Only CRLF.CRLF ends a message. Smuggling lives on other endings (`LF . LF`, `CR . CR`, ...), so a
message that holds a bare CR, a bare LF or a NUL anywhere is refused as a whole: whatever hides
behind it is content of a refused message and never a command.

The work is done on all complete lines of a chunk at once, by splitting, searching and replacing
octets. What is left to the interpreter is the length of each line.

Shapes
    `DataReader`: chunks as the network cut them to octets with CRLF line ends, dots un-stuffed, in
    the spool.
    `iter_wire`: the inverse, for the relay.
Units
    A line has at most 998 octets and its CRLF (RFC 5322, 2.1.1), counted after un-stuffing.
    The size counts content only, neither stuffed dots nor the final one (RFC 1870, 5).
Errors
    From `DataReader.outcome`, which is asked only when the true end of the message was seen:
    `MailDataError`, `MessageTooLargeError`, and what the spool says of a full disk.
Sources
    RFC 5321, 2.3.8 and 4.5.2; CVE-2023-51764, -51765, -51766 (smuggling).
"""

from collections.abc import Iterator
from typing import Final

from mss.blobs.spool import SpooledOctets
from mss.errors import MessageTooLargeError, MSSError
from mss.smtp.errors import MailDataError

END: Final = b"\r\n.\r\n"
MAX_LINE: Final = 998
WIRE_OCTETS: Final = 256 * 1024
# How far a sender may run on after its message was found too large or malformed.
DRAIN_OCTETS: Final = 16 * 1024 * 1024


class DataReader:
    """Receives the chunks of one message after DATA."""

    def __init__(self, limit_octets: int, spooled: SpooledOctets) -> None:
        self._limit = limit_octets
        self._spooled = spooled
        # Begins at the beginning of a line while the message is good; afterwards it is only the
        # few last octets, in which the end may have begun.
        self._carry = b""
        self._drained = 0
        self._error: MSSError | None = None
        self._rest: bytes | None = None

    @property
    def is_complete(self) -> bool:
        """Tell whether the end of the message was seen."""
        return self._rest is not None

    @property
    def is_hopeless(self) -> bool:
        """Tell whether a refused message goes on for so long that hanging up is the only answer."""
        return self._drained > DRAIN_OCTETS + self._limit

    @property
    def size_octets(self) -> int:
        """How much content was taken so far."""
        return self._spooled.size_octets

    @property
    def rest(self) -> bytes:
        """What came after the end of the message: pipelined commands."""
        return self._rest or b""

    def feed(self, chunk: bytes) -> None:
        """Take one more chunk; call until `is_complete`."""
        if self._error is None:
            self._read(self._carry + chunk)
        else:
            self._drain(chunk)

    def outcome(self) -> SpooledOctets:
        """Give the message.

        Raises:
            MailDataError: It has a bare line end, a NUL or an over-long line.
            MessageTooLargeError: It is larger than the limit.
            StoreFullError: There was no room for it.
            StoreUnavailableError: The disk did not answer.
        """
        if self._error is not None:
            raise self._error
        return self._spooled

    def _read(self, window: bytes) -> None:
        """Take the complete lines of a window that begins at the beginning of a line."""
        if window.startswith(END[2:]):
            self._carry, self._rest = b"", window[3:]
            return
        # Base64 has no dot, and looking for one octet is far cheaper than looking for five.
        end = window.find(END) if b"." in window else -1
        cut = window.rfind(b"\r\n") + 2 if end < 0 else end + 2
        # rfind's -1 becomes 1: there is no complete line yet.
        cut = cut if cut > 1 else 0
        self._carry = window[cut:]
        if cut:
            self._keep(window[:cut])
        if end >= 0:
            self._carry, self._rest = b"", window[end + len(END) :]
        elif self._error is None and len(self._carry) > MAX_LINE + 2:
            self._refuse(MailDataError(reason="line-too-long"))
        if self._error is not None and self._rest is None:
            # The block that was cut off ended with CRLF, or nothing came before the first line.
            self._carry = (b"\r\n" + self._carry)[-len(END) + 1 :]

    def _keep(self, block: bytes) -> None:
        """Judge complete lines, un-stuff their dots and keep them."""
        if b"." in block:
            block = block[1:] if block.startswith(b".") else block
            block = block.replace(b"\r\n.", b"\r\n")
        reason = find_fault(block)
        if reason is None:
            self._store(block)
        else:
            self._refuse(MailDataError(reason=reason))

    def _store(self, block: bytes) -> None:
        """Keep a block that is clean, if there is room for it."""
        size = self._spooled.size_octets + len(block)
        if size > self._limit:
            self._refuse(MessageTooLargeError(size_octets=size, limit_octets=self._limit))
            return
        try:
            self._spooled.write(block)
        except MSSError as error:
            self._refuse(error)

    def _refuse(self, error: MSSError) -> None:
        self._error = error
        self._spooled.close()

    def _drain(self, chunk: bytes) -> None:
        """Look for the end of a message that is refused already."""
        window = self._carry + chunk
        end = window.find(END)
        if end >= 0:
            self._carry, self._rest = b"", window[end + len(END) :]
            return
        self._drained += len(chunk)
        self._carry = window[-len(END) + 1 :]


def iter_wire(raw: bytes) -> Iterator[bytes]:
    """Write a message as it travels after DATA, in chunks of lines, the end included.

    Raises:
        MailDataError: A peer could read the message in two ways; what was yielded so far is not
            a message, because its end is missing.
    """
    start, length = 0, len(raw)
    while start < length:
        cut = raw.rfind(b"\n", start, start + WIRE_OCTETS) + 1
        if cut <= start:
            if length - start > WIRE_OCTETS:
                raise MailDataError(reason="line-too-long")
            cut = length
        block = raw[start:cut]
        if cut == length and not block.endswith(b"\r\n"):
            block += b"\r\n"
        reason = find_fault(block)
        if reason is not None:
            raise MailDataError(reason=reason)
        if b"." in block:
            block = block.replace(b"\r\n.", b"\r\n..")
            block = b"." + block if block.startswith(b".") else block
        yield block
        start = cut
    yield END[2:]


def find_fault(block: bytes) -> str | None:
    """Say what is wrong with a block of complete lines: a `MailDataError` reason, or `None`."""
    if b"\0" in block:
        return "nul-octet"
    if _is_even(block):
        return None
    lengths = list(map(len, block.splitlines()))
    # bytes.splitlines breaks at CRLF, at a bare CR and at a bare LF. Only if each break took two
    # octets were they all CRLF.
    if len(block) != sum(lengths) + 2 * len(lengths):
        return "bare-newline"
    return "line-too-long" if max(lengths, default=0) > MAX_LINE else None


def _is_even(block: bytes) -> bool:
    """Tell whether a block is clean lines of one width, as in a base64 attachment.

    Halves the cost of large letters: two columns are compared instead of each line split.
    """
    width = block.find(b"\n") + 1
    if width < 2 or width > MAX_LINE + 2 or len(block) % width:
        return False
    lines = len(block) // width
    return (
        block[width - 1 :: width] == b"\n" * lines
        and block[width - 2 :: width] == b"\r" * lines
        and block.count(b"\n") == lines
        and block.count(b"\r") == lines
    )
