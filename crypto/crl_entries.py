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

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple, overload

from cryptography import x509

from crypto import der
from crypto.certificates import MAX_SERIAL_OCTETS, ComparableName, comparable_name
from crypto.errors import RevocationSyntaxError

ISSUER_OCTETS: Final = 2
OFFSET_OCTETS: Final = 4
KEY_OCTETS: Final = MAX_SERIAL_OCTETS + ISSUER_OCTETS
RECORD_OCTETS: Final = KEY_OCTETS + OFFSET_OCTETS
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
    table: Octets = field(repr=False)
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
            wanted = _key(serial.to_bytes(MAX_SERIAL_OCTETS, "little"), number)
            at = bisect_left(_Keys(self.table), wanted)
            record = bytes(self.table[at * RECORD_OCTETS : (at + 1) * RECORD_OCTETS])
            if record[:KEY_OCTETS] == wanted:
                return _read_entry(self.octets, int.from_bytes(record[KEY_OCTETS:], "big"))
        return None


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
    for record in scan.records(start, end):
        parts[record[0]] += record
    table = bytearray()
    for part in parts:
        records = [part[at : at + RECORD_OCTETS] for at in range(0, len(part), RECORD_OCTETS)]
        part.clear()
        table += b"".join(sorted(records))
    return Entries(
        octets=octets,
        table=bytes(table),
        issuers=tuple(scan.issuers),
        is_understood=scan.is_understood,
    )


def _key(serial: bytes, issuer: int) -> bytes:
    return serial + issuer.to_bytes(ISSUER_OCTETS, "big")


class _Keys(Sequence[bytes]):
    """The keys of a table, as a sequence that bisection can look into."""

    __slots__ = ("_table",)

    def __init__(self, table: Octets) -> None:
        self._table = table

    def __len__(self) -> int:
        return len(self._table) // RECORD_OCTETS

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | Sequence[bytes]:
        assert isinstance(at, int), "bisection asks for one key at a time"
        return bytes(self._table[at * RECORD_OCTETS : at * RECORD_OCTETS + KEY_OCTETS])


class _Scan:
    """One pass over the entries."""

    def __init__(self, octets: Octets, *, is_indirect: bool) -> None:
        self.octets = octets
        self.is_indirect = is_indirect
        self.is_understood = True
        self.issuers: dict[bytes, int] = {}
        self._issuer = (0).to_bytes(ISSUER_OCTETS, "big")
        self._known: dict[bytes, bytes | None] = {}

    def records(self, start: int, end: int) -> Iterator[bytes]:
        octets, at = self.octets, start
        while at < end:
            body, after = _span(octets, at, end, der.SEQUENCE)
            serial, dated = _span(octets, body, after, der.INTEGER)
            _, extended = _span(octets, dated, after, der.UTC_TIME, der.GENERALIZED_TIME)
            if extended < after:
                self._extensions(bytes(octets[extended:after]))
            number = bytes(octets[serial:dated])[::-1]
            if len(number) > MAX_SERIAL_OCTETS:
                number = number.rstrip(b"\x00")
            # No certificate that we read has a negative number, or a longer one.
            if len(number) <= MAX_SERIAL_OCTETS and not octets[serial] & 0x80:
                yield (
                    number.ljust(MAX_SERIAL_OCTETS, b"\x00")
                    + self._issuer
                    + at.to_bytes(OFFSET_OCTETS, "big")
                )
            at = after

    def _extensions(self, encoded: bytes) -> None:
        """Take note of what the extensions of an entry mean for it and for those that follow.

        Most entries of a list have the same few, so what was read is kept for a while.
        """
        if encoded not in self._known:
            if len(self._known) >= MAX_KNOWN_EXTENSIONS:
                self._known.clear()
            self._known[encoded] = self._read_extensions(encoded)
        issuer = self._known[encoded]
        if issuer is not None:
            self._issuer = issuer

    def _read_extensions(self, encoded: bytes) -> bytes | None:
        issuer = None
        for identifier, is_critical, value in _extensions(encoded):
            if is_critical and identifier not in _UNDERSTOOD:
                self.is_understood = False
            if identifier == _CERTIFICATE_ISSUER:
                issuer = self._number_of(value)
        return issuer

    def _number_of(self, names: bytes) -> bytes:
        if not self.is_indirect:
            self.is_understood = False
        number = self.issuers.setdefault(names, len(self.issuers) + 1)
        if number > MAX_ISSUERS:
            raise RevocationSyntaxError("too-many-issuers")
        return number.to_bytes(ISSUER_OCTETS, "big")


def _span(octets: Octets, at: int, end: int, *tags: int) -> tuple[int, int]:
    """Return where the content of the element at *at* begins and where the element ends."""
    if at + 2 > end or octets[at] not in tags:
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
    _, after = _span(octets, at, len(octets), der.SEQUENCE)
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
