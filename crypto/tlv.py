"""Read BER whose content is too large to hold: structure as octets, content in pieces.

A `Cursor` goes once over a stream and keeps only a window of it. `split` cuts a CMS object in two:
the *skeleton*, which is the same object in definite lengths with its content left out, and the
content, which is handed on piece by piece. The skeleton then goes to the one parser that reads
objects in memory, so both ways refuse the same things.

Units
    Sizes and positions in octets.
Errors
    `CmsSyntaxError` for octets that do not follow the encoding or exceed a limit.
Sources
    ITU-T X.690 (02/2021), 8.1; RFC 5652, 3 (ContentInfo), 5.1 and 6.1; RFC 5083, 2.1.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from crypto import der
from crypto.algorithms import COMPRESSED_DATA, SIGNED_DATA
from crypto.errors import CmsSyntaxError
from crypto.flow import PIECE_OCTETS

MAX_SKELETON_OCTETS: Final = 2 * 1024 * 1024
_MAX_HEADER_OCTETS: Final = 10  # the tag, the size of the length, and eight octets of it


class Header(NamedTuple):
    """The identifier and length with which an element begins; `length` is None if indefinite."""

    tag: int
    length: int | None
    raw: bytes


class Cursor:
    """Goes over the elements of a stream, in order and once."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._window = b""
        self._at = 0
        self._before = 0  # octets that have left the window
        self._ends: list[int | None] = []  # of the elements entered; None for an indefinite one
        self._budget = der.MAX_ELEMENTS

    @property
    def position(self) -> int:
        """How far the cursor is from the beginning."""
        return self._before + self._at

    def next(self) -> Header | None:
        """Return the header of the next element inside the one entered last; None at its end."""
        end = self._ends[-1] if self._ends else None
        if end is not None and self.position >= end:
            self._ends.pop()
            return None
        header = self._header()
        if self._ends and end is None and header.raw == b"\x00\x00":
            self._ends.pop()
            return None
        if header.tag == 0:
            raise der.DerSyntaxError("end-of-contents")
        self._check_end(header)
        return header

    def expect(self, tag: int) -> Header:
        """Return the header of the next element, which must be there and have *tag*."""
        header = self.next()
        if header is None:
            raise der.DerSyntaxError("missing-field")
        if header.tag != tag:
            raise der.DerSyntaxError("unexpected-tag")
        return header

    def enter(self, header: Header) -> None:
        """Go inside a constructed element whose header was just read."""
        if not header.tag & der.CONSTRUCTED:
            raise der.DerSyntaxError("not-constructed")
        if len(self._ends) >= der.MAX_DEPTH:
            raise der.DerSyntaxError("too-deep")
        self._ends.append(None if header.length is None else self.position + header.length)

    def copy(self, header: Header, *, limit: int) -> bytes:
        """Return the whole element whose header was just read, as it stands.

        Raises:
            DerSyntaxError: It is longer than *limit*, or not well formed.
        """
        if header.length is not None:
            if header.length > limit:
                raise der.DerSyntaxError("structure-too-large")
            return header.raw + b"".join(self._take(header.length))
        return b"".join(self._copy_indefinite(header, limit))

    def _copy_indefinite(self, header: Header, limit: int) -> Iterator[bytes]:
        yield header.raw
        outside = len(self._ends)
        self.enter(header)
        size = 0
        while len(self._ends) > outside:
            inner = self.next()
            if inner is None:
                yield b"\x00\x00"
                continue
            size += len(inner.raw) + (inner.length or 0)
            if size > limit:
                raise der.DerSyntaxError("structure-too-large")
            yield inner.raw
            if inner.length is None:
                self.enter(inner)
            else:
                yield from self._take(inner.length)

    def string(self, header: Header, *, tag: int) -> Iterator[bytes]:
        """Go through an OCTET STRING, whole or in pieces; *tag* is its primitive identifier."""
        if header.tag == tag:
            yield from self._take(header.length or 0)
            return
        if header.tag != tag | der.CONSTRUCTED:
            raise der.DerSyntaxError("unexpected-tag")
        outside = len(self._ends)
        self.enter(header)
        while len(self._ends) > outside:
            piece = self.next()
            if piece is None:
                continue
            if piece.tag == der.OCTET_STRING:
                yield from self._take(piece.length or 0)
            elif piece.tag != der.OCTET_STRING | der.CONSTRUCTED:
                raise der.DerSyntaxError("unexpected-tag")
            elif len(self._ends) - outside >= der.MAX_STRING_DEPTH:
                raise der.DerSyntaxError("too-deep")
            else:
                self.enter(piece)

    def finish(self) -> None:
        """Refuse octets after the last element."""
        if self._at < len(self._window) or any(self._pieces):
            raise der.DerSyntaxError("trailing-octets")

    def _header(self) -> Header:
        self._budget -= 1
        if self._budget < 0:
            raise der.DerSyntaxError("too-many-elements")
        if len(self._window) - self._at < _MAX_HEADER_OCTETS:
            self._fill()
        window, at = self._window, self._at
        if at + 2 > len(window):
            raise der.DerSyntaxError("truncated")
        header = der.parse_header(window, at)
        self._at = header.body
        return Header(header.tag, header.length, window[at : header.body])

    def _check_end(self, header: Header) -> None:
        """Refuse an element that is longer than the one around it."""
        after = self.position + (header.length or 0)
        for end in reversed(self._ends):
            if end is not None:
                if after > end:
                    raise der.DerSyntaxError("truncated")
                return

    def _fill(self) -> None:
        """Bring enough octets for a header into the window, if there are so many."""
        window = self._window[self._at :]
        self._before += self._at
        self._at = 0
        while len(window) < _MAX_HEADER_OCTETS:
            piece = next(self._pieces, None)
            if piece is None:
                break
            window += piece
        self._window = window

    def _take(self, size: int) -> Iterator[bytes]:
        """Go through the next *size* octets."""
        while size:
            found = self._window[self._at : self._at + size]
            if not found:
                piece = next(self._pieces, None)
                if piece is None:
                    raise der.DerSyntaxError("truncated")
                self._before += self._at
                self._window, self._at = piece, 0
                continue
            self._at += len(found)
            size -= len(found)
            yield found


def split(pieces: Iterable[bytes], *, take: Callable[[bytes], object]) -> bytes:
    """Cut a CMS object in two: give its content to *take*, return the rest as a skeleton.

    SignedData, EnvelopedData, AuthEnvelopedData and CompressedData are understood, attached or
    detached. Whether the skeleton makes sense is for the parser of objects in memory to say.

    Raises:
        CmsSyntaxError: It does not follow the encoding, or its structure is too large.
    """
    try:
        return _Splitter(Cursor(pieces), take).split()
    except der.DerSyntaxError as error:
        raise CmsSyntaxError(error.reason) from error


class _Splitter:
    """Follows one path to the content, and copies what is beside it."""

    def __init__(self, cursor: Cursor, take: Callable[[bytes], object]) -> None:
        self._cursor = cursor
        self._take = take
        self._left = MAX_SKELETON_OCTETS
        self._has_content = False

    def split(self) -> bytes:
        """ContentInfo ::= SEQUENCE { contentType, [0] EXPLICIT content }."""
        cursor = self._cursor
        cursor.enter(cursor.expect(der.SEQUENCE))
        kind = self._copy(cursor.expect(der.OBJECT_IDENTIFIER))
        cursor.enter(cursor.expect(der.context(0)))
        cursor.enter(cursor.expect(der.SEQUENCE))
        body = der.sequence(*self._members(kind))
        explicit = der.encode(der.context(0), body, *self._rest())
        whole = der.sequence(kind, explicit, *self._rest())
        cursor.finish()
        return whole

    def _members(self, kind: bytes) -> Iterator[bytes]:
        """Pass over the members until the SEQUENCE that holds the content."""
        # In a CompressedData the algorithm stands before it; elsewhere it is the first.
        before = 1 if kind == der.oid(COMPRESSED_DATA) else 0
        is_explicit = kind in {der.oid(SIGNED_DATA), der.oid(COMPRESSED_DATA)}
        while header := self._cursor.next():
            is_sequence = header.tag == der.SEQUENCE
            if is_sequence and before == 0:
                self._cursor.enter(header)
                yield der.sequence(*self._content_info(is_explicit=is_explicit))
            else:
                yield self._copy(header)
            before -= is_sequence

    def _content_info(self, *, is_explicit: bool) -> Iterator[bytes]:
        primitive = der.context(0, constructed=False)
        while header := self._cursor.next():
            is_content = not self._has_content and header.tag | der.CONSTRUCTED == der.context(0)
            if not is_content:
                yield self._copy(header)
            elif is_explicit and header.tag == der.context(0):
                self._cursor.enter(header)
                yield der.encode(header.tag, *self._explicit_content())
            else:
                yield self._string(header, primitive)

    def _explicit_content(self) -> Iterator[bytes]:
        while header := self._cursor.next():
            if header.tag | der.CONSTRUCTED == der.OCTET_STRING | der.CONSTRUCTED and (
                not self._has_content
            ):
                yield self._string(header, der.OCTET_STRING)
            else:
                yield self._copy(header)

    def _string(self, header: Header, tag: int) -> bytes:
        self._has_content = True
        for piece in gathered(self._cursor.string(header, tag=tag)):
            self._take(piece)
        return der.encode(tag)

    def _copy(self, header: Header) -> bytes:
        octets = self._cursor.copy(header, limit=self._left)
        self._left -= len(octets)
        if self._left < 0:
            raise der.DerSyntaxError("structure-too-large")
        return octets

    def _rest(self) -> Iterator[bytes]:
        """Copy what nobody expects, so that the parser can refuse it."""
        while header := self._cursor.next():
            yield self._copy(header)


def gathered(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces: a stranger chooses their size, and each has its cost."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= PIECE_OCTETS // 2:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)
