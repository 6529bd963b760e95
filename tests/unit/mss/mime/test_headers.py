"""Header fields: splitting, text, dates and identifiers."""

from datetime import UTC, datetime

import pytest

from mss.mime.errors import HeaderValueError, MessageLimitError, MessageSyntaxError
from mss.mime.headers import (
    build_date,
    build_message_ids,
    build_text,
    decode_text,
    header_end,
    join_fields,
    parse_date,
    parse_message_id,
    parse_references,
    split_fields,
)
from mss.mime.limits import MimeLimits


def test_a_split_header_joins_to_the_same_octets() -> None:
    """Fields are moved between entities, so nothing of them may be lost."""
    block = b"Subject: one\r\n two\r\nX-Empty:\r\nTo:a@b.fr\r\n"
    assert join_fields(split_fields(block)) == block


def test_a_folded_value_belongs_to_its_field() -> None:
    """A continuation line is not a field of its own."""
    assert split_fields(b"Subject: one\r\n\ttwo\r\nTo: x") == (
        (b"Subject", b" one\r\n\ttwo"),
        (b"To", b" x"),
    )


@pytest.mark.parametrize(
    "block",
    [
        b" folded: first line",
        b"no colon",
        b"Subject : space before the colon",
        b"Sub ject: space in the name",
        b": no name",
        b"Subj\xc3\xa9t: accent in the name",
        b"To: a\r\n\r\nCc: b",
        b"To: a\rCc: b",
        b"To: a\r\nnot a field\r\nCc: b",
        b"\nTo: a",
    ],
)
def test_a_block_that_two_readers_split_differently_is_refused(block: bytes) -> None:
    """What one reader skips and another obeys is a way to hide a field."""
    with pytest.raises(MessageSyntaxError) as caught:
        split_fields(block)
    assert caught.value.reason == "header-field"


def test_too_many_fields_are_refused() -> None:
    """The number of fields bounds the work of whoever reads them."""
    with pytest.raises(MessageLimitError) as caught:
        split_fields(b"A:\r\n" * 11, MimeLimits(fields=10))
    assert (caught.value.reason, caught.value.ceiling) == ("fields", 10)


def test_one_endless_field_is_refused() -> None:
    """A field is decoded as a whole, so its length bounds memory."""
    with pytest.raises(MessageLimitError) as caught:
        split_fields(b"A: " + b"x\r\n " * 50 + b"x", MimeLimits(field_octets=100))
    assert caught.value.reason == "field-octets"


def test_the_search_for_the_end_of_the_header_stops_at_the_ceiling() -> None:
    """A header without end must not make us read the whole message."""
    with pytest.raises(MessageLimitError):
        header_end(b"A: b\r\n" * 100, ceiling=300)


def test_a_header_without_a_body_ends_with_the_octets() -> None:
    """RFC 5322, 2.1: the body is optional."""
    assert header_end(b"A: b\r\n", ceiling=300) == (6, 6)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b" plain", "plain"),
        (b" =?utf-8?q?H=C3=B4pital?=", "Hôpital"),
        (b" =?UTF-8?B?SMO0cGl0YWw=?=", "Hôpital"),
        (b" =?utf-8?B?SMO0cGl0YWw?=", "Hôpital"),
        (b" =?iso-8859-1?Q?caf=E9?= noir", "café noir"),
        (b" =?iso-8859-1?Q?l=92=E9tat?=", "l\N{RIGHT SINGLE QUOTATION MARK}état"),
        (b" =?iso-8859-15?Q?=A4?=", "€"),
        (b" =?utf-8*fr?q?l=C3=A0?=", "là"),
        (b" =?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b" =?utf-8?q?a?=\r\n =?iso-8859-1?q?=E9?=", "aé"),
        (b" =?utf-8?b?w6=?= =?utf-8?b?qQ==?=", "é"),
        (b" x =?utf-8?q?a?= y", "x a y"),
        (b" x =?utf-8?q?a?= =?utf-8?q?b?= y", "x ab y"),
        (b" =?unknown-charset?q?=C3=A9?=", "é"),
        (b" =?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        (b" =?utf-8?q?not ended", "=?utf-8?q?not ended"),
        (b" caf\xc3\xa9", "café"),
        (b" caf\xe9", "café"),
    ],
)
def test_text_is_decoded_as_people_wrote_it(value: bytes, text: str) -> None:
    """Encoded words, cut characters and mislabelled Windows text all occur in the field."""
    assert decode_text(value) == text


@pytest.mark.parametrize(
    "value",
    [
        b"=?utf-8?q?a=0D=0ABcc:_evil?=",
        b"=?utf-8?b?YQ0KQmNjOiBl?=",
        b"=?utf-8?q?a=00b?=",
        b"=?utf-8?q?a=E2=80=AEfdp.exe?=",
        b"=?utf-8?q?a=E2=80=A8b?=",
        b"=?utf-8?q?a=E2=80=8Bb?=",
        b"=?utf-16be?b?AA0ACg==?=",
        "a\N{RIGHT-TO-LEFT OVERRIDE}b".encode(),
        b"a\x1b[2Jb",
    ],
)
def test_decoded_text_cannot_break_a_line_or_reorder_it(value: bytes) -> None:
    """Row 21 and 52 of the threats: a decoded value goes to logs, forms and new headers."""
    text = decode_text(value)
    assert text.isprintable()
    assert "\N{REPLACEMENT CHARACTER}" in text


def test_utf_7_is_not_decoded() -> None:
    """It hides markup from every filter, and no health software writes it."""
    assert decode_text(b"=?utf-7?q?+ADw-script+AD4-?=") == "+ADw-script+AD4-"


@pytest.mark.parametrize("text", ["a\rb", "a\nb", "a\0b", "a\x85b", "a\u2028b", "a\ud800b"])
def test_a_subject_that_would_break_the_header_is_refused(text: str) -> None:
    """A line break in a value would let a caller write header fields of its own."""
    with pytest.raises(HeaderValueError) as caught:
        build_text("Subject", text)
    assert (caught.value.field, caught.value.reason) == ("Subject", "control-character")


def test_a_long_subject_is_folded_within_76_columns() -> None:
    """RFC 2047, 2: a line with an encoded word holds at most 76 characters."""
    field = build_text("Subject", "Compte rendu d'hospitalisation très détaillé " * 10)
    assert max(map(len, field.split(b"\r\n"))) <= 76


def test_text_that_looks_encoded_is_encoded() -> None:
    """Otherwise the reader would decode what the author wrote literally."""
    field = build_text("Subject", "=?utf-8?q?x?=")
    assert decode_text(field.partition(b":")[2]) == "=?utf-8?q?x?="


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        (b"Mon, 23 Nov 2026 17:36:47 +0100", datetime(2026, 11, 23, 16, 36, 47, tzinfo=UTC)),
        (b"23 Nov 2026 17:36 GMT", datetime(2026, 11, 23, 17, 36, tzinfo=UTC)),
        (
            b"Mon,  3 Nov 2026\r\n 07:36:47 -0000 (UTC)",
            datetime(2026, 11, 3, 7, 36, 47, tzinfo=UTC),
        ),
        (b"1 Jan 99 00:00:00 EST", datetime(1999, 1, 1, 5, 0, tzinfo=UTC)),
        (b"1 Jan 26 00:00:60 Z", datetime(2026, 1, 1, 0, 0, 59, tzinfo=UTC)),
    ],
)
def test_dates_are_read_into_utc(value: bytes, instant: datetime) -> None:
    """Zones, old forms and leap seconds of RFC 5322, 3.3 and 4.3."""
    assert parse_date(value) == instant
    assert parse_date(value).tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"yesterday",
        b"32 Nov 2026 17:36:47 +0100",
        b"23 Foo 2026 17:36:47 +0100",
        b"23 Nov 2026 25:36:47 +0100",
        b"23 Nov 2026 17:36:47 +9999",
        b"23 Nov 2026 17:36:47 A",
        b"1 Jan 0001 00:00:00 +2300",
        b"1 Jan 000 00:00:00 +0000 x",
        b"\xff",
    ],
)
def test_what_is_not_a_date_raises_the_declared_error(value: bytes) -> None:
    """No value may surface as an overflow or a value error of the library."""
    with pytest.raises(MessageSyntaxError):
        parse_date(value)


def test_a_date_is_written_in_utc() -> None:
    """The zone of the server is nobody's business."""
    at = datetime(2026, 11, 23, 17, 36, 47, tzinfo=UTC)
    assert build_date("Date", at) == b"Date: Mon, 23 Nov 2026 17:36:47 +0000\r\n"


def test_a_naive_date_is_refused() -> None:
    """An instant without a zone would be written as some other instant."""
    with pytest.raises(HeaderValueError):
        build_date("Date", datetime(2026, 11, 23))  # noqa: DTZ001 - that is the point


@pytest.mark.parametrize(
    "value", [b"", b"a@b", b"<a@b> <c@d>", b"<a b@c>", b"<>", b"<a@b", b"<\xe9@b>"]
)
def test_an_identifier_is_exactly_one(value: bytes) -> None:
    """Reports are matched by it, so it must read in one way."""
    with pytest.raises(MessageSyntaxError):
        parse_message_id(value)


def test_references_keep_the_root_and_the_end_of_a_long_thread() -> None:
    """A bounded list still threads: the first and the latest are what readers use."""
    value = b" ".join(b"<%d@a.fr>" % number for number in range(10))
    assert parse_references(value, limit=3) == ("<0@a.fr>", "<8@a.fr>", "<9@a.fr>")


def test_an_identifier_cannot_bring_a_line_break() -> None:
    """It comes from a caller and goes into the header."""
    with pytest.raises(HeaderValueError):
        build_message_ids("In-Reply-To", ["<a@b>\r\nBcc: x@y.fr"])
