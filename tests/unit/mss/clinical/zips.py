"""Write zips that no ordinary software writes, octet by octet."""

import struct
import zlib
from dataclasses import dataclass

DOCUMENTED = "IHE_XDM/SUBSET01/METADATA.XML"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One entry; what is left `None` is what an honest zip would say."""

    name: bytes = b"A.TXT"
    data: bytes = b"text"
    method: int = 8
    flags: int = 0
    mode: int = 0
    made_by: int = 3 << 8
    size: int | None = None
    crc: int | None = None
    packed: bytes | None = None
    local_name: bytes | None = None
    local_size: int | None = None
    start: int | None = None
    extra: bytes = b""


def make_zip(
    *entries: Entry, comment: bytes = b"", total: int | None = None, gap: int = 0
) -> bytes:
    """Write a zip of these entries."""
    body, directory = bytearray(), bytearray()
    for entry in entries:
        packed = _packed(entry)
        size = len(entry.data) if entry.size is None else entry.size
        crc = zlib.crc32(entry.data) if entry.crc is None else entry.crc
        start = len(body) if entry.start is None else entry.start
        local = entry.name if entry.local_name is None else entry.local_name
        local_size = size if entry.local_size is None else entry.local_size
        if entry.start is None:
            body += struct.pack(
                "<4s5H3L2H", b"PK\x03\x04", 20, entry.flags, entry.method, 0, 33,
                crc, len(packed), local_size, len(local), 0,
            ) + local + packed  # fmt: skip
        directory += struct.pack(
            "<4s6H3L5H2L", b"PK\x01\x02", entry.made_by | 20, 20, entry.flags, entry.method, 0, 33,
            crc, len(packed), size, len(entry.name), len(entry.extra), 0, 0, 0,
            entry.mode << 16, start,
        ) + entry.name + entry.extra  # fmt: skip
    count = len(entries) if total is None else total
    end = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), len(body) + gap, len(comment)
    )
    return bytes(body + directory + end + comment)


def _packed(entry: Entry) -> bytes:
    if entry.packed is not None:
        return entry.packed
    if entry.method != 8:
        return entry.data
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(entry.data) + packer.flush()
