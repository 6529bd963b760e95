"""What a stored body looks like: a header, then the body's octets.

Shapes
    Header, 48 octets, big-endian: magic `MSSB`, version, state (`L` live or `D` dead), two zero
    octets, body length, name (16 octets), instant of storing (microseconds since 1970),
    CRC-32 of the body, CRC-32 of the header as it is when live. Only the state ever changes.
    Local reference: `local:<segment>:<offset>:<length>:<name>`.
Errors
    `RecordSyntaxError`, which never leaves this folder. A CRC finds accidents; whoever fears
    malice puts `SealedBlobStore` on top.
"""

import re
import struct
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MAGIC = b"MSSB"
VERSION = 1
LIVE = ord("L")
DEAD = ord("D")
STATE_OFFSET = 5

_LAYOUT = struct.Struct(">4sBBHQ16sqI")
_CHECKSUM = struct.Struct(">I")
HEADER_OCTETS = _LAYOUT.size + _CHECKSUM.size

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME = re.compile(r"[0-9a-f]{32}")
_LOCAL_REF = re.compile(r"local:([0-9a-f]{32}):([0-9]{1,18}):([0-9]{1,18}):([0-9a-f]{32})")


class RecordSyntaxError(ValueError):
    """The octets are not a record that we wrote, or not any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordHeader:
    """What is said in front of a body."""

    name: str
    length_octets: int
    stored_at: datetime
    checksum: int
    is_live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRef:
    """Where a record stands in the local store."""

    segment: str
    offset: int
    length_octets: int
    name: str

    def __str__(self) -> str:
        """Write the reference as a row keeps it."""
        return f"local:{self.segment}:{self.offset}:{self.length_octets}:{self.name}"


def is_name(text: str) -> bool:
    """Say whether *text* has the form of a blob's name."""
    return _NAME.fullmatch(text) is not None


def require_name(name: str) -> None:
    """Refuse a name that is not 32 hexadecimal digits: a mistake of the caller's."""
    if not is_name(name):
        raise ValueError("a blob's name is 32 lower-case hexadecimal digits")


def find_local_ref(text: str) -> LocalRef | None:
    """Read a local reference; `None` for any other text."""
    match = _LOCAL_REF.fullmatch(text)
    if match is None:
        return None
    segment, offset, length, name = match.groups()
    return LocalRef(segment=segment, offset=int(offset), length_octets=int(length), name=name)


def build_header(name: str, octets: bytes, stored_at: datetime) -> bytes:
    """Lay out the header of a live record."""
    microseconds = (stored_at - _EPOCH) // timedelta(microseconds=1)
    fields = _LAYOUT.pack(
        MAGIC,
        VERSION,
        LIVE,
        0,
        len(octets),
        bytes.fromhex(name),
        microseconds,
        zlib.crc32(octets),
    )
    return fields + _CHECKSUM.pack(zlib.crc32(fields))


def parse_header(octets: bytes) -> RecordHeader:
    """Read the header that *octets* begin with.

    Raises:
        RecordSyntaxError: They begin with something else.
    """
    if len(octets) < HEADER_OCTETS:
        raise RecordSyntaxError("cut short")
    fields = octets[: _LAYOUT.size]
    magic, version, state, _, length, name, microseconds, checksum = _LAYOUT.unpack(fields)
    if magic != MAGIC or version != VERSION or state not in (LIVE, DEAD):
        raise RecordSyntaxError("not a record")
    as_written = fields[:STATE_OFFSET] + bytes((LIVE,)) + fields[STATE_OFFSET + 1 :]
    if _CHECKSUM.pack(zlib.crc32(as_written)) != octets[_LAYOUT.size : HEADER_OCTETS]:
        raise RecordSyntaxError("header damaged")
    try:
        stored_at = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        raise RecordSyntaxError("instant out of range") from None
    return RecordHeader(
        name=name.hex(),
        length_octets=length,
        stored_at=stored_at,
        checksum=checksum,
        is_live=state == LIVE,
    )


def parse_body(header: RecordHeader, name: str, body: bytes) -> bytes:
    """Return *body* if it is what was stored under *name*.

    Raises:
        RecordSyntaxError: It is something else.
    """
    if header.name != name:
        raise RecordSyntaxError("another record")
    if header.length_octets != len(body):
        raise RecordSyntaxError("another length")
    if zlib.crc32(body) != header.checksum:
        raise RecordSyntaxError("body damaged")
    return body
