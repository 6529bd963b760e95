"""How large and how deep a message may be before reading stops.

Units
    Names that end in `_octets` count octets; the others count things.
Sources
    RFC 5322, 2.1.1 (998 octets a line); RFC 2046, 5.1.1 (boundaries).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MimeLimits:
    """Ceilings that bound the time and memory of every reader in this package.

    Attributes:
        size_octets: The whole message.
        header_octets: All header blocks together, those of the parts included.
        field_octets: One header field, folded.
        line_octets: One line, without its CRLF.
        fields: Header fields in one block.
        depth: Multiparts inside each other.
        parts: All parts, multiparts included.
        addresses: Addresses in one header.
        parameters: Parameters of one field, RFC 2231 sections counted one by one.
        references: Message identifiers kept from `References`; older ones are dropped.
        report_octets: The machine-readable part of a report.
    """

    size_octets: int = 35 * 1024 * 1024
    header_octets: int = 256 * 1024
    field_octets: int = 64 * 1024
    line_octets: int = 998
    fields: int = 1000
    depth: int = 20
    parts: int = 1000
    addresses: int = 500
    parameters: int = 100
    references: int = 200
    report_octets: int = 1024 * 1024


DEFAULT_LIMITS = MimeLimits()
