"""Undo compression around content, within limits.

Compressed content is inside or outside of signatures and encryption; whoever wrote it is not yet
known, so it is read as a bomb: never more than `Limits` allow, and never more at a time than one
piece. We do not write it: compressing what is then encrypted tells its length.

Units
    Octets.
Errors
    `CmsSyntaxError` for any octets that are not a CompressedData of ours to read, with the reason
    `decompressed-too-large` beyond a limit; `UnsupportedAlgorithmError` if it is not zlib.
Sources
    RFC 3274 (CompressedData), RFC 1950 (zlib), RFC 8551, 2.4.5.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from crypto import der
from crypto.algorithms import COMPRESSED_DATA, DATA, ZLIB
from crypto.cms_parts import declared, only, read_algorithm
from crypto.errors import CmsSyntaxError, UnsupportedAlgorithmError

PIECE_OCTETS: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much may come out.

    Attributes:
        octets: In all.
        ratio: Times what went in, once *free_octets* have come out; zlib reaches 1,030 on zeros,
            letters and documents stay far below 100.
        free_octets: What may come out at any ratio.
    """

    octets: int = 100 * 1024 * 1024
    ratio: int = 200
    free_octets: int = 1024 * 1024

    def allowed(self, compressed_octets: int) -> int:
        """Return what may come out of so much."""
        return min(self.octets, max(self.free_octets, self.ratio * compressed_octets))


DEFAULT_LIMITS: Final = Limits()


def decompress(octets: bytes, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the content of a ContentInfo that holds a CompressedData, in DER or BER."""
    compressed = parse_compressed(octets)
    inflater = Inflater(limits.allowed(len(compressed)))
    return b"".join((*inflater.update(compressed), *inflater.finish()))


class Inflater:
    """Undoes zlib, piece by piece: exactly one stream, checksum included, within a limit."""

    def __init__(self, most_octets: int) -> None:
        self._stream = zlib.decompressobj()
        self._left = most_octets

    def update(self, compressed: bytes) -> Iterator[bytes]:
        """Go through what comes out; it must be gone through to the end.

        Raises:
            CmsSyntaxError: It is damaged, too large, or something follows it.
        """
        # Fed in pieces too, because what is not yet consumed is copied at every step.
        for at in range(0, len(compressed), PIECE_OCTETS):
            rest = compressed[at : at + PIECE_OCTETS]
            while rest and not self._stream.eof:
                yield self._step(rest)
                rest = self._stream.unconsumed_tail
            if self._stream.unused_data or rest:
                raise CmsSyntaxError("compressed-trailing-octets")

    def finish(self) -> Iterator[bytes]:
        """Go through what is left; raises as `update`, and when the end is missing."""
        while not self._stream.eof:
            piece = self._step(b"")
            if not piece and not self._stream.eof:
                raise CmsSyntaxError("compressed-truncated")
            yield piece

    def _step(self, compressed: bytes) -> bytes:
        try:
            piece = self._stream.decompress(compressed, PIECE_OCTETS)
        except zlib.error as error:
            raise CmsSyntaxError("compressed-content") from error
        self._left -= len(piece)
        if self._left < 0:
            raise CmsSyntaxError("decompressed-too-large")
        return piece


@declared
def parse_compressed(octets: bytes) -> bytes:
    """Return what is compressed in a ContentInfo that holds a CompressedData, as it stands."""
    outer = der.Fields(der.parse(octets))
    if der.read_oid(outer.take()) != COMPRESSED_DATA:
        raise CmsSyntaxError("content-type")
    holder = outer.take(der.context(0))
    outer.finish()
    fields = der.Fields(only(holder))
    if der.read_integer(fields.take()) != 0:
        raise CmsSyntaxError("compressed-version")
    algorithm = read_algorithm(fields.take())
    if algorithm.oid != ZLIB:
        raise UnsupportedAlgorithmError(algorithm.oid, reason="compression")
    if algorithm.parameters not in {b"", der.null()}:  # RFC 3274, 2: absent
        raise CmsSyntaxError("compression-parameters")
    inner = der.Fields(fields.take(der.SEQUENCE))
    fields.finish()
    if der.read_oid(inner.take()) != DATA:
        raise CmsSyntaxError("inner-content-type")
    content = der.read_octets(only(inner.take(der.context(0))))
    inner.finish()
    return content
