"""Which serial numbers does this revocation list hold, and where is each entry?

One pass over the entries makes a table of fixed-width records, sorted, in memory or in a mapped
file: a look-up is a binary search, whatever the size of the list, and the entry itself (date,
reason) is read from the list's own octets when it is asked for. Half a million entries make
13 MB of table, which the operating system may share and drop as it likes.

Shapes
    A record is the serial number (20 octets, least significant first, so that numbers given in
    sequence spread evenly), the issuer (2 octets; 0 is the issuer of the list, others occur in
    indirect lists only) and the offset of the entry in the list (4 octets). Records are sorted as
    octets.
Errors
    `RevocationSyntaxError` for entries that are not understood.
Sources
    RFC 5280, 5.1.2.6 and 5.3 (entries and their extensions).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from struct import Struct
from typing import Final, NamedTuple

from cryptography import x509

from crypto import der
from crypto.certificates import MAX_SERIAL_OCTETS, ComparableName, comparable_name
from crypto.errors import RevocationSyntaxError

_KEY: Final = Struct(f">{MAX_SERIAL_OCTETS}sH")
_RECORD: Final = Struct(f">{MAX_SERIAL_OCTETS}sHI")
KEY_OCTETS: Final = _KEY.size
RECORD_OCTETS: Final = _RECORD.size
MAX_ISSUERS: Final = 4096
MAX_ENTRY_OCTETS: Final = 64 * 1024
MAX_KNOWN_EXTENSIONS: Final = 4096

_REASON: Final = "2.5.29.21"
_INVALIDITY_DATE: Final = "2.5.29.24"
_CERTIFICATE_ISSUER: Final = "2.5.29.29"
_UNDERSTOOD: Final = frozenset({_REASON, _INVALIDITY_DATE, _CERTIFICATE_ISSUER})
_REASONS: Final = (
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "unused",
    "removeFromCRL",
    "privilegeWithdrawn",
    "aACompromise",
)
_TIMES: Final = frozenset({der.UTC_TIME, der.GENERALIZED_TIME})
REMOVED: Final = "removeFromCRL"

Octets = bytes | memoryview


class Entry(NamedTuple):
    """What a list says about one certificate."""

    revoked_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """The entries of one list, ready to be looked up.

    Attributes:
        octets: The whole list.
        table: The records, sorted.
        issuers: Those that entries of an indirect list name; 1 is the first.
        is_understood: False if an entry has a critical extension that we do not know; then nothing
            may be concluded from the list (RFC 5280, 5.3).
    """

    octets: Octets = field(repr=False)
    table: memoryview = field(repr=False)
    issuers: tuple[bytes, ...] = field(default=(), repr=False)
    is_understood: bool = True

    def __len__(self) -> int:
        return len(self.table) // RECORD_OCTETS

    def find(self, serial: int, issuer: ComparableName, *, is_own: bool) -> Entry | None:
        """Return the entry of a certificate, if it has one.

        Args:
            serial: Its serial number.
            issuer: Its issuer.
            is_own: Whether that is the issuer of the list.
        """
        numbers = [0] if is_own else []
        numbers += (
            number
            for number, encoded in enumerate(self.issuers, start=1)
            if issuer in read_directory_names(encoded)
        )
        for number in numbers:
            offset = self._offset_of(serial, number)
            if offset is not None:
                return _read_entry(self.octets, offset)
        return None

    def _offset_of(self, serial: int, issuer: int) -> int | None:
        """Search the table by halves; written out, as it is asked for each certificate judged."""
        wanted = _KEY.pack(serial.to_bytes(MAX_SERIAL_OCTETS, "little"), issuer)
        table, low, high = self.table, 0, len(self)
        while low < high:
            middle = (low + high) // 2
            at = middle * RECORD_OCTETS
            if table[at : at + KEY_OCTETS].tobytes() < wanted:
                low = middle + 1
            else:
                high = middle
        found = table[low * RECORD_OCTETS : (low + 1) * RECORD_OCTETS].tobytes()
        if found[:KEY_OCTETS] != wanted:
            return None
        return int.from_bytes(found[KEY_OCTETS:], "big")


def index_entries(octets: Octets, *, start: int, end: int, is_indirect: bool) -> Entries:
    """Read the entries that lie between *start* and *end* and sort them.

    Args:
        octets: The whole list, whose structure was checked before.
        start: Where the first entry begins.
        end: Where the last one ends.
        is_indirect: Whether entries may name other issuers than that of the list.
    """
    scan = _Scan(octets, is_indirect=is_indirect)
    # Spread over 256 parts by the first octet of the key, then sort each part: only one part at a
    # time is ever held as separate objects.
    parts = [bytearray() for _ in range(256)]
    try:
        scan.spread(parts, start, end)
    except IndexError as error:
        raise RevocationSyntaxError("entry") from error
    table = bytearray()
    for part in parts:
        records = [part[at : at + RECORD_OCTETS] for at in range(0, len(part), RECORD_OCTETS)]
        part.clear()
        records.sort()
        table += b"".join(records)
    return Entries(
        octets=octets,
        table=memoryview(table).toreadonly(),
        issuers=tuple(scan.issuers),
        is_understood=scan.is_understood,
    )


class _Scan:
    """One pass over the entries."""

    def __init__(self, octets: Octets, *, is_indirect: bool) -> None:
        self.octets = octets
        self.is_indirect = is_indirect
        self.is_understood = True
        self.issuers: dict[bytes, int] = {}
        self._known: dict[bytes, int] = {}

    def spread(self, parts: list[bytearray], start: int, end: int) -> None:
        """Add the record of each entry to the part of its first octet.

        One loop, written out: it runs half a million times for a large list.
        """
        octets, at, issuer = self.octets, start, 0
        while at < end:
            body, after = _entry_span(octets, at, end)
            dated = body + 2 + octets[body + 1]
            extended = dated + 2 + octets[dated + 1]
            if octets[body] != der.INTEGER or octets[dated] not in _TIMES or extended > after:
                raise RevocationSyntaxError("entry")
            if extended < after:
                issuer = self._issuer_named_in(bytes(octets[extended:after])) or issuer
            serial = bytes(octets[dated - 1 : body + 1 : -1])
            if len(serial) > MAX_SERIAL_OCTETS:
                serial = serial.rstrip(b"\x00")
            # No certificate that we read has a negative number, or a longer one.
            if len(serial) <= MAX_SERIAL_OCTETS and not octets[body + 2] & 0x80:
                record = _RECORD.pack(serial, issuer, at)
                parts[record[0]] += record
            at = after

    def _issuer_named_in(self, encoded: bytes) -> int:
        """Read the extensions of an entry; return the issuer that it names, 0 if none.

        Most entries of a list have the same few, so what was read is kept for a while.
        """
        known = self._known.get(encoded)
        if known is None:
            if len(self._known) >= MAX_KNOWN_EXTENSIONS:
                self._known.clear()
            known = self._known[encoded] = self._read_extensions(encoded)
        return known

    def _read_extensions(self, encoded: bytes) -> int:
        issuer = 0
        for identifier, is_critical, value in _extensions(encoded):
            if is_critical and identifier not in _UNDERSTOOD:
                self.is_understood = False
            if identifier == _CERTIFICATE_ISSUER:
                issuer = self._number_of(value)
        return issuer

    def _number_of(self, names: bytes) -> int:
        if not self.is_indirect:
            self.is_understood = False
        number = self.issuers.setdefault(names, len(self.issuers) + 1)
        if number > MAX_ISSUERS:
            raise RevocationSyntaxError("too-many-issuers")
        return number


def _entry_span(octets: Octets, at: int, end: int) -> tuple[int, int]:
    """Return where the content of the entry at *at* begins and where the entry ends."""
    if octets[at] != der.SEQUENCE:
        raise RevocationSyntaxError("entry")
    body, length = at + 2, octets[at + 1]
    if length >= 0x80:
        size = length & 0x7F
        body += size
        length = int.from_bytes(octets[at + 2 : body], "big")
        if not 1 <= size <= 4 or length > MAX_ENTRY_OCTETS:
            raise RevocationSyntaxError("entry")
    if body + length > end:
        raise RevocationSyntaxError("entry")
    return body, body + length


def _extensions(encoded: bytes) -> Iterator[tuple[str, bool, bytes]]:
    try:
        for member in der.expect(der.parse(encoded), der.SEQUENCE).children():
            fields = der.Fields(member)
            identifier = der.read_oid(fields.take())
            critical = fields.find(der.BOOLEAN)
            value = fields.take(der.OCTET_STRING).content
            fields.finish()
            yield identifier, critical is not None and critical.content != b"\x00", value
    except der.DerSyntaxError as error:
        raise RevocationSyntaxError("entry-extension") from error


def _read_entry(octets: Octets, at: int) -> Entry:
    _, after = _entry_span(octets, at, len(octets))
    try:
        fields = der.Fields(der.parse(bytes(octets[at:after])))
        fields.take(der.INTEGER)
        revoked_at = _instant(fields.take())
        extensions = fields.find(der.SEQUENCE)
    except (der.DerSyntaxError, ValueError) as error:
        raise RevocationSyntaxError("entry") from error
    reason = _reason(extensions.raw) if extensions is not None else _REASONS[0]
    return Entry(revoked_at, reason)


def _reason(encoded: bytes) -> str:
    for identifier, _, value in _extensions(encoded):
        if identifier == _REASON and len(value) == 3 and value[2] < len(_REASONS):
            return _REASONS[value[2]]
    return _REASONS[0]


def _instant(element: der.Element) -> datetime:
    text = element.content.decode("ascii")
    if element.tag == der.UTC_TIME:
        # RFC 5280, 4.1.2.5.1: two digits of the year, from 1950 to 2049.
        text = ("20" if int(text[:2]) < 50 else "19") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


@lru_cache(maxsize=MAX_ISSUERS)
def read_directory_names(names: bytes) -> frozenset[ComparableName]:
    """Return the directory names among encoded GeneralNames."""
    try:
        return frozenset(
            comparable_name(x509.Name.from_bytes(member.content))
            for member in der.expect(der.parse(names), der.SEQUENCE).children()
            if member.tag == der.context(4)
        )
    except (der.DerSyntaxError, ValueError) as error:
        raise RevocationSyntaxError("entry-issuer") from error
