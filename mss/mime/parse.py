"""Read a message: who, to whom, about what, and where its parts begin and end.

Every accepted message comes through here, so nothing is copied or decoded that was not asked for:
the header block is read, part boundaries are searched, and bodies stay where they are in `raw`,
as spans. A forwarded message (`message/rfc822`) is a leaf: whoever wants its parts parses it.

Shapes
    A part has a path, as in IMAP: `1`, `2`, `2.1`; a multipart at the root has the empty path.
    Identifiers keep their angle brackets; field names of `mss_fields` are in capitals.
Errors
    `MessageSyntaxError` when the octets can be read in two ways or in none; `MessageLimitError`,
    its subclass, when a ceiling is reached. Nothing else, whatever the octets.
Sources
    RFC 5322, 3.6 (how often a field may occur); RFC 2045 and 2046; RFC 3834, 5; RFC 8098, 2.1.
"""

import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import pybase64

from mss.mime.addresses import NamedAddress, parse_addresses
from mss.mime.charsets import decode_octets
from mss.mime.errors import MessageLimitError, MessageSyntaxError
from mss.mime.headers import (
    Field,
    decode_text,
    header_end,
    parse_date,
    parse_message_id,
    parse_references,
    split_fields,
    unfold,
)
from mss.mime.limits import DEFAULT_LIMITS, MimeLimits
from mss.mime.octets import check_octets
from mss.mime.parameters import parse_parameters


class Span(NamedTuple):
    """Octets `raw[start:stop]`."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One MIME entity inside a message; its octets stay in `raw`.

    Attributes:
        path: Numbers of the parts that lead here, such as `1.2`.
        content_type: Type and subtype, lower-case.
        parameters: Parameters of the type; names are lower-case, values decoded.
        disposition: `attachment`, `inline`, another token, or `None`.
        filename: Name given by the sender, without folders; only fit to be shown.
        content_id: Identifier with its angle brackets.
        transfer_encoding: Lower-case token; `7bit` when the part does not say.
        header_span: Header fields, without the empty line.
        body_span: Encoded content.
        children: Parts of a multipart.
    """

    path: str
    content_type: str
    parameters: Mapping[str, str] = field(hash=False)
    disposition: str | None
    filename: str | None
    content_id: str | None
    transfer_encoding: str
    header_span: Span
    body_span: Span
    children: tuple["Part", ...] = ()

    @property
    def is_multipart(self) -> bool:
        """True if it holds parts rather than content."""
        return self.content_type.startswith("multipart/")

    def walk(self) -> Iterator["Part"]:
        """Give this part and all below it, in the order of the octets."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedMessage:
    """What a message says in its header, and the tree of its parts.

    Attributes:
        raw: The octets, as received.
        fields: Header fields in their order, values folded and encoded.
        author: The one address of `From`.
        sender: `Sender`, when it is given.
        subject: Decoded, on one line, safe to show.
        date: Aware UTC; `None` when absent or unreadable.
        internet_message_id: `Message-ID`, when it is given.
        in_reply_to: First identifier of that field.
        disposition_notification_to: Where read receipts are asked to go.
        auto_submitted: Lower-case keyword, such as `auto-replied`; `None` when absent.
        mss_fields: `X-MSS-…` fields, the first value of each.
        received_count: How many hosts say that they have handled it.
        root: The part that is the whole message.
    """

    raw: bytes = field(repr=False)
    fields: tuple[Field, ...] = field(repr=False)
    author: NamedAddress
    sender: NamedAddress | None
    to: tuple[NamedAddress, ...]
    cc: tuple[NamedAddress, ...]
    reply_to: tuple[NamedAddress, ...]
    subject: str = field(repr=False)
    date: datetime | None
    internet_message_id: str | None
    in_reply_to: str | None
    references: tuple[str, ...]
    disposition_notification_to: tuple[NamedAddress, ...]
    auto_submitted: str | None
    mss_fields: Mapping[str, str] = field(hash=False)
    received_count: int
    root: Part = field(repr=False)

    @property
    def content_type(self) -> str:
        """Type of the whole message."""
        return self.root.content_type

    def parts(self) -> Iterator[Part]:
        """Give every part, multiparts included, in the order of the octets."""
        return self.root.walk()

    def find_part(self, path: str) -> Part | None:
        """Give the part at *path*, if there is one."""
        return next((part for part in self.parts() if part.path == path), None)

    def values(self, name: str) -> tuple[str, ...]:
        """Decode every value of the header field *name*, as unstructured text."""
        wanted = name.lower().encode("ascii", "replace")
        return tuple(decode_text(value) for key, value in self.fields if key.lower() == wanted)


def parse_message(raw: bytes, limits: MimeLimits = DEFAULT_LIMITS) -> ParsedMessage:
    """Read a complete message.

    Args:
        raw: All octets, CRLF line ends, header block first.
        limits: Ceilings; a message beyond one of them is refused before it costs anything.

    Raises:
        MessageSyntaxError: The octets are not one unambiguous message.
        MessageLimitError: The message is beyond *limits*.
    """
    if len(raw) > limits.size_octets:
        raise MessageLimitError(reason="size-octets", ceiling=limits.size_octets)
    check_octets(raw, line_octets=limits.line_octets)
    reader = _TreeReader(raw, limits)
    root = reader.read(0, len(raw))
    header = _Header(reader.root_fields, reader.root_values, limits)
    authors = header.addresses(b"from")
    if len(authors) != 1:
        raise MessageSyntaxError(reason="author")
    senders = header.addresses(b"sender")
    if len(senders) > 1:
        raise MessageSyntaxError(reason="sender")
    in_reply_to = header.references(b"in-reply-to")
    return ParsedMessage(
        raw=raw,
        fields=reader.root_fields,
        author=authors[0],
        sender=senders[0] if senders else None,
        to=header.addresses(b"to"),
        cc=header.addresses(b"cc"),
        reply_to=header.addresses(b"reply-to"),
        subject=header.text(b"subject"),
        date=header.date(),
        internet_message_id=header.message_id(),
        in_reply_to=in_reply_to[0] if in_reply_to else None,
        references=header.references(b"references"),
        disposition_notification_to=header.addresses(b"disposition-notification-to"),
        auto_submitted=header.keyword(b"auto-submitted"),
        mss_fields=header.mss_fields(),
        received_count=header.received_count(),
        root=root,
    )


def parse_entity(octets: bytes, limits: MimeLimits = DEFAULT_LIMITS) -> Part:
    """Read the part tree of a MIME entity, which needs no author.

    Raises:
        MessageSyntaxError: The octets are not one unambiguous entity.
    """
    if len(octets) > limits.size_octets:
        raise MessageLimitError(reason="size-octets", ceiling=limits.size_octets)
    return _TreeReader(octets, limits).read(0, len(octets))


def part_entity(raw: bytes, part: Part) -> bytes:
    """Cut out a whole part, header included, as received."""
    return raw[part.header_span.start : part.body_span.stop]


def part_octets(raw: bytes, part: Part, limit: int = DEFAULT_LIMITS.size_octets) -> bytes:
    """Decode the content of a part.

    Raises:
        MessageLimitError: It would decode to more than *limit* octets.
        MessageSyntaxError: The encoding is unknown or broken.
    """
    start, stop = part.body_span
    # No encoding takes more than three octets for one, line ends aside; the rest is exact below.
    if stop - start > 4 * limit + 1024:
        raise MessageLimitError(reason="size-octets", ceiling=limit)
    body = raw[start:stop]
    match part.transfer_encoding:
        case "base64":
            content = _base64(body)
        case "quoted-printable":
            content = binascii.a2b_qp(body)
        case "7bit" | "8bit" | "binary":
            content = body
        case _:
            raise MessageSyntaxError(reason="transfer-encoding")
    if len(content) > limit:
        raise MessageLimitError(reason="size-octets", ceiling=limit)
    return content


def part_text(raw: bytes, part: Part, limit: int = DEFAULT_LIMITS.size_octets) -> str:
    """Decode a textual part, with LF line ends; a wrong charset label never fails.

    Raises:
        MessageSyntaxError: The transfer encoding is unknown or broken.
    """
    text = decode_octets(part_octets(raw, part, limit), part.parameters.get("charset"))
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _base64(body: bytes) -> bytes:
    try:
        return bytes(pybase64.b64decode(body))
    except (binascii.Error, ValueError):
        pass
    # Some senders forget the padding, which loses nothing; padding in the middle is another matter.
    letters = body.translate(None, b"\r\n \t").rstrip(b"=")
    if b"=" in letters:
        raise MessageSyntaxError(reason="base64")
    try:
        return bytes(pybase64.b64decode(letters + b"=" * (-len(letters) % 4)))
    except (binascii.Error, ValueError):
        raise MessageSyntaxError(reason="base64") from None


# Header of the message

# RFC 5322, 3.6, and RFC 2045: of two such fields, two readers may choose two different ones.
_ONCE = frozenset(
    b"from sender reply-to to cc bcc date message-id in-reply-to references subject mime-version "
    b"content-type content-transfer-encoding content-disposition content-id "
    b"disposition-notification-to auto-submitted".split()
)


def _first_values(fields: tuple[Field, ...]) -> dict[bytes, bytes]:
    values: dict[bytes, bytes] = {}
    for name, value in fields:
        key = name.lower()
        if key not in values:
            values[key] = value
        elif key in _ONCE:
            raise MessageSyntaxError(reason="duplicate-field")
    return values


class _Header:
    """The fields of a message by name, read on demand."""

    def __init__(
        self, fields: tuple[Field, ...], values: Mapping[bytes, bytes], limits: MimeLimits
    ) -> None:
        self._fields = fields
        self._values = values
        self._limits = limits

    def text(self, name: bytes) -> str:
        value = self._values.get(name)
        return "" if value is None else decode_text(value)

    def message_id(self) -> str | None:
        value = self._values.get(b"message-id")
        return None if value is None else parse_message_id(value)

    def addresses(self, name: bytes) -> tuple[NamedAddress, ...]:
        value = self._values.get(name)
        if value is None or not value.strip():
            return ()
        return parse_addresses(value, self._limits)

    def references(self, name: bytes) -> tuple[str, ...]:
        value = self._values.get(name)
        return () if value is None else parse_references(value, limit=self._limits.references)

    def keyword(self, name: bytes) -> str | None:
        value = self._values.get(name)
        return None if value is None else parse_parameters(value, self._limits)[0] or None

    def date(self) -> datetime | None:
        value = self._values.get(b"date")
        try:
            return None if value is None else parse_date(value)
        except MessageSyntaxError:
            return None  # shown to people only; nothing is decided on what a sender calls now

    def mss_fields(self) -> dict[str, str]:
        return {
            name.decode("ascii").upper(): decode_text(value)
            for name, value in self._values.items()
            if name.startswith(b"x-mss-")
        }

    def received_count(self) -> int:
        return sum(1 for name, _ in self._fields if name.lower() == b"received")


# Tree of the parts

_UNENCODED = ("7bit", "8bit", "binary")


@dataclass(slots=True)
class _Open:
    """A multipart whose parts are still being read."""

    part: Part
    delimiter: bytes
    at: int  # where the next part begins
    children: list[Part] = field(default_factory=list)

    def child_path(self) -> str:
        number = str(len(self.children) + 1)
        return f"{self.part.path}.{number}" if self.part.path else number


class _TreeReader:
    """Reads the part tree of one entity, without recursion and within the limits."""

    def __init__(self, raw: bytes, limits: MimeLimits) -> None:
        self._raw = raw
        self._limits = limits
        self._header_room = limits.header_octets
        self._parts = 0
        # Lines that begin like a delimiter and are not one; each costs a look in Python.
        self._near_misses = 4 * limits.parts
        self.root_fields: tuple[Field, ...] = ()
        self.root_values: Mapping[bytes, bytes] = {}

    def read(self, start: int, stop: int) -> Part:
        opened: list[_Open] = []
        part = self._enter("", Span(start, stop), opened)
        while opened:
            top = opened[-1]
            if part is not None:
                top.children.append(part)
            span = self._next_span(top)
            if span is not None:
                part = self._enter(top.child_path(), span, opened)
            else:
                opened.pop()
                part = _with_children(top)
        assert part is not None
        return part

    def _enter(self, path: str, span: Span, opened: list[_Open]) -> Part | None:
        """Read the header of the part at *span*; a multipart goes on *opened* instead."""
        self._parts += 1
        if self._parts > self._limits.parts:
            raise MessageLimitError(reason="parts", ceiling=self._limits.parts)
        part = self._part(path, span)
        if not part.is_multipart:
            return part
        if len(opened) >= self._limits.depth:
            raise MessageLimitError(reason="depth", ceiling=self._limits.depth)
        opened.append(self._opened(part))
        return None

    def _part(self, path: str, span: Span) -> Part:
        stop, body = header_end(self._raw, *span, ceiling=self._header_room)
        self._header_room -= stop - span.start
        fields = split_fields(self._raw[span.start : stop], self._limits)
        values = _first_values(fields)
        if not path:
            self.root_fields = fields
            self.root_values = values
        content_type, parameters = self._content_type(values)
        disposition, more = self._disposition(values)
        filename = more.get("filename") or parameters.get("name")
        encoding = values.get(b"content-transfer-encoding", b"7bit")
        content_id = values.get(b"content-id")
        multipart = content_type.startswith("multipart/")
        return Part(
            path=path if path or multipart else "1",
            content_type=content_type,
            parameters=parameters,
            disposition=disposition,
            filename=_base_name(filename) if filename else None,
            content_id=decode_text(content_id) if content_id is not None else None,
            transfer_encoding=decode_octets(unfold(encoding)).lower(),
            header_span=Span(span.start, stop),
            body_span=Span(body, span.stop),
        )

    def _content_type(self, values: Mapping[bytes, bytes]) -> tuple[str, dict[str, str]]:
        value = values.get(b"content-type")
        if value is None:
            return "text/plain", {}
        content_type, parameters = parse_parameters(value, self._limits)
        if content_type.count("/") != 1 or content_type.startswith("/"):
            # RFC 2045, 5.2 would call it text; unknown octets are safer as nothing in particular.
            return "application/octet-stream", parameters
        return content_type, parameters

    def _disposition(self, values: Mapping[bytes, bytes]) -> tuple[str | None, dict[str, str]]:
        value = values.get(b"content-disposition")
        if value is None:
            return None, {}
        disposition, parameters = parse_parameters(value, self._limits)
        return disposition or None, parameters

    def _opened(self, part: Part) -> _Open:
        boundary = part.parameters.get("boundary", "")
        if part.transfer_encoding not in _UNENCODED:
            raise MessageSyntaxError(reason="transfer-encoding")
        if not (1 <= len(boundary) <= 70 and boundary.isascii() and boundary == boundary.rstrip()):
            raise MessageSyntaxError(reason="boundary")
        delimiter = b"\r\n--" + boundary.encode("ascii")
        opened = _Open(part, delimiter, part.body_span.start)
        if self._next_delimiter(opened) is None:
            raise MessageSyntaxError(reason="multipart-empty")
        return opened

    def _next_span(self, top: _Open) -> Span | None:
        """Give the octets of the next part of *top*, or `None` after its closing delimiter."""
        start = top.at
        if start < 0:
            return None
        stop = self._next_delimiter(top)
        if stop is None:
            raise MessageSyntaxError(reason="multipart-unterminated")
        return Span(start, max(start, stop))

    def _next_delimiter(self, top: _Open) -> int | None:
        """Find the next delimiter line of *top* and say where its CRLF is; move behind the line.

        `top.at` becomes negative behind a closing delimiter. The CRLF of a delimiter belongs to it
        (RFC 2046, 5.1.1) and may be the line end just before `top.at`.
        """
        raw, stop, delimiter = self._raw, top.part.body_span.stop, top.delimiter
        at = raw.find(delimiter, max(0, top.at - 2), stop)
        while at >= 0:
            end = at + len(delimiter)
            line_end = raw.find(b"\r\n", end, min(stop, end + self._limits.line_octets))
            rest = raw[end : line_end if line_end >= 0 else stop]
            after = line_end + 2 if line_end >= 0 else stop
            rest = rest.rstrip(b" \t")
            if rest == b"":
                top.at = after
                return at
            if rest == b"--":
                top.at = -1
                self._check_epilogue(top, line_end if line_end >= 0 else stop)
                return at
            self._near_misses -= 1
            if self._near_misses < 0:
                raise MessageLimitError(reason="parts", ceiling=self._limits.parts)
            at = raw.find(delimiter, end, stop)
        return None

    def _check_epilogue(self, top: _Open, start: int) -> None:
        """Refuse a delimiter behind the closing one: some readers would go on with a part there."""
        if self._raw.find(top.delimiter, start, top.part.body_span.stop) >= 0:
            raise MessageSyntaxError(reason="multipart-epilogue")


def _with_children(top: _Open) -> Part:
    return replace(top.part, children=tuple(top.children))


def _base_name(filename: str) -> str:
    return filename.replace("\\", "/").rpartition("/")[2].strip() or "unnamed"
