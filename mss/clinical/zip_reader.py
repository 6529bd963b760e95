"""Take the files out of a zip that came in by mail, or refuse it.

Nothing in the zip is believed. The central directory must lie where it says, fill its place and
agree with each local header; entries may not overlap; names must be plain relative paths, unique
without regard to case. Octets are counted while they are inflated, against every ceiling; those of
a large archive are kept only when it is inflated a second time, after all of it was measured. Zips
inside the zip are left closed.

Shapes
    `ZipFileEntry` has the path as written, with `/` between folders, and the octets.
Errors
    `ArchiveError` and its kinds, on any octets.
Sources
    PKWARE APPNOTE 6.3.10; CVE-2024-0450 (overlapping entries), CVE-2025-8291 (zip64 records),
    CVE-2019-9674 (bombs).
"""

import stat
import struct
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from mss.errors import MSSError

_END = struct.Struct("<4s4H2LH")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_END_MARK, _CENTRAL_MARK, _LOCAL_MARK = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_ZIP64_LOCATOR_MARK = b"PK\x06\x07"
_ZIP64_EXTRA = 1
_MAX_COMMENT = 0xFFFF
_ENCRYPTED = 0x0001 | 0x0040 | 0x2000  # traditional, strong, hidden directory
_PATCH_DATA = 0x0020
_HAS_DESCRIPTOR = 0x0008
_UTF8_NAMES = 0x0800
_STORED, _DEFLATED = 0, 8
_UNIX_HOSTS = frozenset({3, 19})  # Unix, macOS: the upper half of the attributes is a file mode
_CHUNK = 64 * 1024


@dataclass(eq=False)
class ArchiveError(MSSError):
    """The octets are not an archive that may be opened; each kind says in which way."""

    code: ClassVar[str] = "archive-refused"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The document archive cannot be opened safely."
    public_text_fr: ClassVar[str] = "L'archive de documents ne peut pas être ouverte sans risque."
    next_step: ClassVar[str] = "Correct the software that wrote the archive."

    reason: str


@dataclass(eq=False)
class ArchiveSyntaxError(ArchiveError):
    """The octets are not a zip, or a damaged one, or one that contradicts itself."""

    code: ClassVar[str] = "archive-syntax"
    public_text: ClassVar[str] = "The document archive is damaged."
    public_text_fr: ClassVar[str] = "L'archive de documents est endommagée."


@dataclass(eq=False)
class ArchiveTooLargeError(ArchiveError):
    """The zip has too many entries, or would inflate to too much."""

    code: ClassVar[str] = "archive-too-large"
    public_text: ClassVar[str] = "The document archive is larger than this server opens."
    public_text_fr: ClassVar[str] = "L'archive de documents dépasse la taille que ce serveur ouvre."
    next_step: ClassVar[str] = "Send fewer or smaller documents."


@dataclass(eq=False)
class ArchiveUnsafeError(ArchiveError):
    """The zip is built to deceive: names, links, overlaps, zip64 records."""

    code: ClassVar[str] = "archive-unsafe"


@dataclass(eq=False)
class ArchiveEncryptedError(ArchiveError):
    """An entry is encrypted with a password, which the exchange rules do not allow."""

    code: ClassVar[str] = "archive-encrypted"
    public_text: ClassVar[str] = "The document archive is protected by a password."
    public_text_fr: ClassVar[str] = "L'archive de documents est protégée par un mot de passe."
    next_step: ClassVar[str] = "Send the archive without a password."


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveLimits:
    """Ceilings for one archive.

    Attributes:
        ratio: Inflated size over packed size, judged once *ratio_free_octets* have been inflated.
        kept_octets: What an archive may declare to be inflated once only, and kept meanwhile.
    """

    size_octets: int = 64 * 1024 * 1024
    entries: int = 256
    entry_octets: int = 48 * 1024 * 1024
    total_octets: int = 64 * 1024 * 1024
    ratio: int = 100
    ratio_free_octets: int = 1024 * 1024
    kept_octets: int = 8 * 1024 * 1024
    name_octets: int = 255
    depth: int = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ZipFileEntry:
    """One file of an archive."""

    path: str
    octets: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    """One line of the central directory, checked, and where its packed octets lie."""

    path: str
    is_folder: bool
    method: int
    crc: int
    packed_size: int
    size: int
    start: int
    data: int


def read_zip(octets: bytes, limits: ArchiveLimits) -> tuple[ZipFileEntry, ...]:
    """Take all files out of a zip, in the order of its directory.

    Raises:
        ArchiveError: Anything at all is wrong with it.
    """
    if len(octets) > limits.size_octets:
        raise ArchiveTooLargeError("size")
    records = tuple(_records(octets, limits))
    _refuse_clashes(records)
    _refuse_overlaps(records)
    # No entry gives more octets than it declares, so a small archive may be kept while it is
    # measured; a large one is measured first, in constant memory.
    is_small = sum(one.size for one in records) <= limits.kept_octets
    contents = _measure(octets, records, limits, is_kept=is_small)
    return tuple(
        ZipFileEntry(path=one.path, octets=content if is_small else _unpack(octets, one))
        for one, content in zip(records, contents, strict=True)
        if not one.is_folder
    )


def _records(octets: bytes, limits: ArchiveLimits) -> Iterator[_Record]:
    """Walk the central directory, which must fill exactly the place it claims."""
    end = _find_end(octets)
    _, disk, first_disk, here, total, size, offset, _ = _END.unpack_from(octets, end)
    if 0xFFFF in {disk, first_disk, here, total} or 0xFFFFFFFF in {size, offset}:
        raise ArchiveUnsafeError("zip64")
    if disk or first_disk or here != total:
        raise ArchiveSyntaxError("several-disks")
    if total > limits.entries:
        raise ArchiveTooLargeError("entries")
    if offset + size != end:
        raise ArchiveSyntaxError("directory-place")
    at = offset
    for _ in range(total):
        record, at = _record(octets, at, offset, limits)
        yield record
    if at != end:
        raise ArchiveSyntaxError("directory-size")


def _find_end(octets: bytes) -> int:
    """Find the one end record whose comment reaches the last octet."""
    lowest = max(0, len(octets) - _END.size - _MAX_COMMENT)
    at = len(octets)
    while (at := octets.rfind(_END_MARK, lowest, at)) >= 0:
        if at + _END.size <= len(octets):
            comment = int.from_bytes(octets[at + 20 : at + 22], "little")
            if at + _END.size + comment == len(octets):
                break
        at += len(_END_MARK) - 1
    if at < 0:
        raise ArchiveSyntaxError("not-a-zip")
    if octets[max(0, at - 20) : max(0, at - 16)] == _ZIP64_LOCATOR_MARK:
        raise ArchiveUnsafeError("zip64")
    return at


def _record(octets: bytes, at: int, directory: int, limits: ArchiveLimits) -> tuple[_Record, int]:
    fields = _fields(_CENTRAL, _CENTRAL_MARK, octets, at)
    _, made_by, _, flags, method, _, _, crc, packed, size, *rest = fields
    name_size, extra_size, comment_size, disk, _, attributes, start = rest
    name_end = at + _CENTRAL.size + name_size
    end = name_end + extra_size + comment_size
    if end > len(octets) or disk:
        raise ArchiveSyntaxError("directory-entry")
    _refuse_flags(flags, method)
    if 0xFFFFFFFF in {packed, size, start} or _has_zip64(octets[name_end : name_end + extra_size]):
        raise ArchiveUnsafeError("zip64")
    raw = octets[at + _CENTRAL.size : name_end]
    path = _path(raw, flags, limits)
    _refuse_links(made_by, attributes)
    data = _data_start(octets, start, raw, (flags, method, crc, packed, size))
    if data + packed > directory:
        raise ArchiveUnsafeError("overlap")
    is_folder = raw.endswith(b"/")
    if is_folder and size:
        raise ArchiveUnsafeError("folder-with-content")
    return _Record(
        path=path, is_folder=is_folder, method=method, crc=crc,
        packed_size=packed, size=size, start=start, data=data,
    ), end  # fmt: skip


def _data_start(
    octets: bytes, start: int, raw: bytes, expected: tuple[int, int, int, int, int]
) -> int:
    """Find where packed octets begin; the local header must repeat the directory's facts."""
    fields = _fields(_LOCAL, _LOCAL_MARK, octets, start)
    _, _, flags, method, _, _, crc, packed, size, name_size, extra_size = fields
    name = octets[start + _LOCAL.size : start + _LOCAL.size + name_size]
    if name != raw or method != expected[1] or flags & _ENCRYPTED:
        raise ArchiveUnsafeError("headers-differ")
    is_later = bool(flags & _HAS_DESCRIPTOR) and not (crc or packed or size)
    if not is_later and (crc, packed, size) != expected[2:]:
        raise ArchiveUnsafeError("headers-differ")
    return start + _LOCAL.size + name_size + extra_size


def _fields(form: struct.Struct, mark: bytes, octets: bytes, at: int) -> tuple[int, ...]:
    if at + form.size > len(octets) or octets[at : at + 4] != mark:
        raise ArchiveSyntaxError("entry-place")
    return form.unpack_from(octets, at)


def _refuse_flags(flags: int, method: int) -> None:
    if flags & _ENCRYPTED:
        raise ArchiveEncryptedError("encrypted")
    if flags & _PATCH_DATA or method not in {_STORED, _DEFLATED}:
        raise ArchiveSyntaxError("compression-method")


def _has_zip64(extra: bytes) -> bool:
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        if kind == _ZIP64_EXTRA:
            return True
        at += 4 + size
    return False


def _refuse_links(made_by: int, attributes: int) -> None:
    mode = attributes >> 16
    if made_by >> 8 in _UNIX_HOSTS and stat.S_IFMT(mode) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise ArchiveUnsafeError("not-a-file")


def _path(raw: bytes, flags: int, limits: ArchiveLimits) -> str:
    """Read a name, which must be a plain relative path."""
    if not raw or len(raw) > limits.name_octets:
        raise ArchiveUnsafeError("name")
    try:
        name = raw.decode("utf-8" if flags & _UTF8_NAMES else "cp437")
    except UnicodeDecodeError as error:
        raise ArchiveUnsafeError("name") from error
    parts = name.removesuffix("/").split("/")
    if any(part in {"", ".", ".."} for part in parts) or len(parts) > limits.depth:
        raise ArchiveUnsafeError("name")
    if any(letter in '\\:*?"<>|' or not letter.isprintable() for letter in name):
        raise ArchiveUnsafeError("name")
    return name


def _refuse_clashes(records: tuple[_Record, ...]) -> None:
    """Refuse names that some file system takes for one, and a file used as a folder."""
    seen: set[str] = set()
    files: set[str] = set()
    for one in records:
        key = unicodedata.normalize("NFKC", one.path.removesuffix("/")).casefold()
        if key in seen:
            raise ArchiveUnsafeError("duplicate-name")
        seen.add(key)
        if not one.is_folder:
            files.add(key)
    for key in seen:
        parts = key.split("/")
        if any("/".join(parts[:count]) in files for count in range(1, len(parts))):
            raise ArchiveUnsafeError("duplicate-name")


def _refuse_overlaps(records: tuple[_Record, ...]) -> None:
    end = 0
    for one in sorted(records, key=lambda record: record.start):
        if one.start < end:
            raise ArchiveUnsafeError("overlap")
        end = one.data + one.packed_size


def _measure(
    octets: bytes, records: tuple[_Record, ...], limits: ArchiveLimits, *, is_kept: bool
) -> list[bytes]:
    """Inflate everything once against sizes, checksums and ceilings; keep it only if told to."""
    total, total_packed = 0, 0
    contents = []
    for one in records:
        size, crc = 0, 0
        kept = bytearray()
        total_packed += one.packed_size
        for chunk in _inflate(octets, one):
            size += len(chunk)
            crc = zlib.crc32(chunk, crc)
            if size > one.size:
                raise ArchiveUnsafeError("size-understated")
            if size > limits.entry_octets or total + size > limits.total_octets:
                raise ArchiveTooLargeError("inflated-size")
            _refuse_ratio(size, one.packed_size, limits)
            _refuse_ratio(total + size, total_packed, limits)
            if is_kept:
                kept += chunk
        if size != one.size or crc != one.crc:
            raise ArchiveSyntaxError("checksum")
        total += size
        contents.append(bytes(kept))
    return contents


def _refuse_ratio(size: int, packed: int, limits: ArchiveLimits) -> None:
    if size > limits.ratio_free_octets and size > limits.ratio * packed:
        raise ArchiveTooLargeError("ratio")


def _inflate(octets: bytes, one: _Record) -> Iterator[bytes]:
    packed = memoryview(octets)[one.data : one.data + one.packed_size]
    if one.method == _STORED:
        for at in range(0, len(packed), _CHUNK):
            yield bytes(packed[at : at + _CHUNK])
        return
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        for at in range(0, len(packed), _CHUNK):
            rest: bytes | memoryview = packed[at : at + _CHUNK]
            if inflater.eof:
                raise ArchiveSyntaxError("deflate")  # octets that belong to no entry
            while rest and not inflater.eof:
                yield inflater.decompress(rest, _CHUNK)
                rest = inflater.unconsumed_tail
        while not inflater.eof and (chunk := inflater.decompress(b"", _CHUNK)):
            yield chunk
    except zlib.error as error:
        raise ArchiveSyntaxError("deflate") from error
    if not inflater.eof or inflater.unused_data:
        raise ArchiveSyntaxError("deflate")


def _unpack(octets: bytes, one: _Record) -> bytes:
    packed = octets[one.data : one.data + one.packed_size]
    if one.method == _STORED:
        return packed
    return zlib.decompress(packed, -zlib.MAX_WBITS, one.size + 1)
