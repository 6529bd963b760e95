"""Decrypt and verify an entity of any size, from file to file.

What parses and judges is what does so in memory: only the content takes another way. The structure
is cut out first (`crypto.tlv`, and here for multipart/signed) and goes to `crypto.cms` and
`crypto.smime`; the content goes in pieces from file to file, or into a digest. The source is read
twice, because a message names its tag and its signers after the content.

Plaintext goes into a quarantine, a file that the caller's factory opens and nobody else sees. It is
handed over when its tag was judged, and emptied and closed when anything went wrong.

Errors
    Those of `crypto.smime`, and whatever the files raise.
Sources
    RFC 5652, 5.4 and 6.3; RFC 5083, 2.2 (attributes after the content are authenticated with it);
    RFC 1847, 2.1.
"""

import hashlib
from binascii import a2b_qp
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Final, Protocol

from crypto import base64_lines, cms, enveloped_data, layout, tlv
from crypto.base64_lines import wrap_base64
from crypto.compressed_data import DEFAULT_LIMITS, Inflater, Limits, parse_compressed
from crypto.entity import MAX_HEADER_OCTETS, Entity, read_entity, split_signed
from crypto.errors import DecryptionError, NotEncryptedError, SignatureError
from crypto.flow import PIECE_OCTETS, ReadableFile, Span, of_file
from crypto.kinds import Kind, kind_of
from crypto.ports import KeyHolder
from crypto.smime import Decrypted

MAX_AROUND_OCTETS: Final = 1024 * 1024
"""Limit for what stands before the content of a multipart/signed, and for what stands after."""
_HEAD_OCTETS: Final = MAX_HEADER_OCTETS + 4 + 8 * 1024
_MAX_LINE_OCTETS: Final = 4096


class QuarantineFile(ReadableFile, Protocol):
    """A private file for what nobody may see yet; open for reading and writing, empty."""

    def write(self, octets: bytes, /) -> object:
        """Take all of *octets*."""

    def truncate(self, size: int, /) -> int:
        """Forget what is beyond *size*."""

    def close(self) -> None:
        """Close the file, and forget it for good."""


Quarantine = Callable[[], QuarantineFile]
"""Opens a file of mode 0600 that has no name, or whose name goes when it is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecryptedFile:
    """An entity that was encrypted for us, in a file; close it after use.

    Attributes:
        entity: The entity inside, exactly as the sender made it.
        facts: What is known of the encryption; its own `entity` is empty.
    """

    entity: Span = field(repr=False)
    facts: Decrypted
    file: QuarantineFile = field(repr=False)

    def close(self) -> None:
        """Forget the plaintext."""
        discard(self.file)


def discard(file: QuarantineFile) -> None:
    """Empty and close a file, whatever state it is in."""
    with suppress(OSError, ValueError):
        file.truncate(0)
    file.close()


def decrypt(
    source: ReadableFile,
    *,
    keys: KeyHolder,
    quarantine: Quarantine,
    only_authenticated: bool = False,
) -> DecryptedFile:
    """Do as `crypto.smime.decrypt`, from file to file; raises the same."""
    span = Span(source)
    header = read_head(span)
    if kind_of(header) is not Kind.ENCRYPTED:
        raise NotEncryptedError
    skeleton = tlv.split(_body(span, header), take=len)
    unlocked = enveloped_data.unlock(cms.parse_enveloped(skeleton), keys=keys)
    decryptor = unlocked.decryptor()
    file = quarantine()
    try:
        tlv.split(_body(span, header), take=lambda piece: file.write(decryptor.update(piece)))
        file.write(decryptor.finish())
    except BaseException:
        discard(file)
        raise
    opened = unlocked.opened(b"")
    if only_authenticated and not opened.is_authenticated:
        discard(file)
        raise DecryptionError
    facts = Decrypted(
        entity=b"",
        authenticated=opened.is_authenticated,
        content_algorithm=opened.content_algorithm,
        key_algorithm=opened.key_algorithm,
        recipient=opened.recipient,
        findings=opened.findings,
    )
    return DecryptedFile(entity=Span(file), facts=facts, file=file)


def decompress(
    source: ReadableFile, *, quarantine: Quarantine, limits: Limits = DEFAULT_LIMITS
) -> Span:
    """Undo compression from file to file, within *limits*, as `crypto.compressed_data` does."""
    span = Span(source)
    header = read_head(span)
    sizes: list[int] = []
    skeleton = tlv.split(_body(span, header), take=lambda piece: sizes.append(len(piece)))
    parse_compressed(skeleton)
    inflater = Inflater(limits.allowed(sum(sizes)))
    file = quarantine()

    def write(pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            file.write(piece)

    try:
        tlv.split(_body(span, header), take=lambda piece: write(inflater.update(piece)))
        write(inflater.finish())
    except BaseException:
        discard(file)
        raise
    return Span(file)


def claim(span: Span) -> Kind:
    """Say what an entity is to be treated as; one that may be signed or not is signed badly."""
    header = read_head(span)
    is_doubtful = header.is_ambiguous and "sign" in header.media_type
    return Kind.SIGNED if is_doubtful else kind_of(header)


def read_head(span: Span) -> Entity:
    """Read the header of an entity, and enough of its body to tell what it is."""
    return read_entity(span.part(0, _HEAD_OCTETS).read())


def _body(span: Span, header: Entity) -> Iterator[bytes]:
    """Go through the body with its transfer encoding undone."""
    body = span.part(header.body_at)
    if header.coding == "base64":
        return base64_lines.decode_pieces(body)
    if header.coding == "quoted-printable":
        return _from_quoted_printable(body)
    return of_file(body).pieces()


def _from_quoted_printable(body: Span) -> Iterator[bytes]:
    held = b""
    while piece := body.read(PIECE_OCTETS):
        octets = held + piece
        cut = octets.rfind(b"\n") + 1
        yield a2b_qp(octets[:cut])
        held = octets[cut:]
    yield a2b_qp(held)


# --- Signatures ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Detached:
    """A signed entity taken apart, before anybody is believed.

    Attributes:
        entity: The entity without its content, for `crypto.smime.verify`.
        content: What is signed, to the octet.
        file: Where it was put when it had to be copied; None while it is in the source.
    """

    entity: bytes = field(repr=False)
    content: Span = field(repr=False)
    file: QuarantineFile | None = field(repr=False)

    def close(self) -> None:
        """Forget the content, unless it is the source's."""
        if self.file is not None:
            discard(self.file)

    def digest(self) -> Callable[[str], bytes]:
        """Return what gives the digest of the content by name; each is computed once."""

        @cache
        def digest(name: str) -> bytes:
            hasher = hashlib.new(name)
            for piece in of_file(self.content).pieces():
                hasher.update(piece)
            return hasher.digest()

        return digest


def detach(source: ReadableFile, *, quarantine: Quarantine) -> Detached:
    """Take a signed entity apart; the content of an opaque one goes into *quarantine*.

    Raises:
        NotSignedError: It does not claim to be signed.
        CmsSyntaxError: The structure is unreadable.
        SignatureError: It claims to be signed, but its form is wrong.
    """
    span = Span(source)
    header = read_head(span)
    if kind_of(header) is not Kind.SIGNED:
        # Refused on its header, by the one function that says how.
        return Detached(entity=header.octets, content=span.part(0, 0), file=None)
    if header.media_type == "multipart/signed":
        entity, content = _cut_multipart(span, header)
        return Detached(entity=entity, content=content, file=None)
    file = quarantine()
    try:
        skeleton = tlv.split(_body(span, header), take=file.write)
    except BaseException:
        discard(file)
        raise
    entity = layout.OPAQUE_SIGNED + wrap_base64(skeleton)
    return Detached(entity=entity, content=Span(file), file=file)


def _cut_multipart(span: Span, header: Entity) -> tuple[bytes, Span]:
    """Return a multipart/signed without its first part, and that part.

    Only the two lines around the part are looked for. Whether the rest has the strict form that a
    signature needs is judged on what remains, by `crypto.entity.split_signed`.
    """
    boundary = header.parameters.get("boundary", "").encode("latin-1")
    lines = _boundary_lines(span, header.body_at, boundary) if boundary else iter(())
    first, second = next(lines, None), next(lines, None)
    if first is None or second is None:
        return header.octets, span.part(0, 0)  # refused on what was read
    start, end = first[1], max(first[1], second[0])
    if start > _HEAD_OCTETS + MAX_AROUND_OCTETS:
        raise SignatureError("text-before-signed-part")
    if len(span) - end > MAX_AROUND_OCTETS:
        raise SignatureError("signature-part-too-large")
    entity = span.part(0, start).read() + span.part(end).read()
    if split_signed(read_entity(entity)).content:
        raise SignatureError("boundary")  # the two readings must see the same part
    return entity, span.part(start, end)


def _boundary_lines(span: Span, start: int, boundary: bytes) -> Iterator[tuple[int, int]]:
    """Find lines that begin with *boundary* and end there: their CRLF before, and their end."""
    mark = b"\r\n--" + boundary
    window, window_at = b"\r\n", start - 2  # a boundary on the first line is like any other
    body, at, is_end = span.part(start), 0, False
    while True:
        found = window.find(mark, at)
        line_end = -1 if found < 0 else window.find(b"\r\n", found + len(mark))
        if is_end or line_end >= 0:
            if found < 0:
                return
            line_end = len(window) if line_end < 0 else line_end
            if window[found + len(mark) : line_end].rstrip(b" \t") in {b"", b"--"}:
                yield window_at + found, min(window_at + line_end + 2, len(span))
            at = line_end  # the CRLF that ends one line may be the one that begins the next
            continue
        if found >= 0 and len(window) - found > _MAX_LINE_OCTETS:
            if not window[found + len(mark) :].strip(b" \t-"):
                raise SignatureError("boundary")
            at = found + len(mark)
            continue
        keep = found if found >= 0 else max(len(window) - len(mark) + 1, at)
        piece = body.read(PIECE_OCTETS)
        is_end = not piece
        window, window_at, at = window[keep:] + piece, window_at + keep, 0
