"""Reading whole messages."""

import base64
from datetime import UTC, datetime

import pytest

from mss.mime.errors import MessageLimitError, MessageSyntaxError
from mss.mime.limits import MimeLimits
from mss.mime.parse import (
    parse_entity,
    parse_message,
    part_entity,
    part_octets,
    part_text,
)
from tests.unit.mss.mime.samples import SUBJECT, a_message, a_multipart, a_plain_message, named


def _reason(raw: bytes, limits: MimeLimits | None = None) -> str:
    with pytest.raises(MessageSyntaxError) as caught:
        parse_message(raw, limits or MimeLimits())
    return caught.value.reason


def test_the_summary_says_who_wrote_to_whom() -> None:
    """Everything the pipeline decides on is read once, here."""
    message = parse_message(b"Received: by a\r\nReceived: by b\r\n" + a_message())
    assert message.author == named("cardio@chu.mssante.fr", "Hôpital, service (cardio)")
    assert message.sender == named("dpi@chu.mssante.fr")
    assert message.to == (named("jean.martin@medecin.mssante.fr", 'Dr "Jean" MARTIN'),)
    assert message.cc == (named("a@b.mssante.fr"), named("c@d.mssante.fr", "C_D"))
    assert message.reply_to == (named("secretariat@chu.mssante.fr"),)
    assert message.disposition_notification_to == (named("cardio@chu.mssante.fr"),)
    assert message.subject == SUBJECT
    assert message.date == datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
    assert message.internet_message_id == "<m1@chu.mssante.fr>"
    assert message.in_reply_to == "<before@medecin.mssante.fr>"
    assert message.references == ("<first@medecin.mssante.fr>", "<before@medecin.mssante.fr>")
    assert message.mss_fields["X-MSS-CODECDA"] == "34112-3"
    assert message.received_count == 2
    assert message.content_type == "multipart/mixed"


def test_parts_are_numbered_and_found() -> None:
    """A part is named by its path, because file names repeat or lack."""
    message = parse_message(a_message())
    assert [(part.path, part.content_type) for part in message.parts()] == [
        ("", "multipart/mixed"),
        ("1", "multipart/alternative"),
        ("1.1", "text/plain"),
        ("1.2", "text/html"),
        ("2", "application/pdf"),
        ("3", "application/zip"),
    ]
    found = message.find_part("3")
    assert found is not None
    assert (found.filename, found.disposition) == ("IHE_XDM.zip", "attachment")
    assert part_octets(message.raw, found) == b"PK\x03\x04"
    assert message.find_part("4") is None


def test_a_message_without_mime_is_one_part_of_text() -> None:
    """RFC 2045, 5.2; the only part is called 1, as in IMAP."""
    message = parse_message(a_plain_message(body=b"caf\xe9\r\n"))
    assert (message.root.path, message.content_type) == ("1", "text/plain")
    assert part_text(message.raw, message.root) == "café\n"


def test_spans_cut_the_exact_octets() -> None:
    """A signature is checked on them, so not one may be added or lost."""
    raw = a_multipart(
        b"preamble\r\n--b\r\nX: 1\r\n\r\none\r\n\r\n--b\r\n\r\ntwo\r\n--b--\r\nepilogue"
    )
    first, second = parse_message(raw).root.children
    assert part_entity(raw, first) == b"X: 1\r\n\r\none\r\n"
    assert part_entity(raw, second) == b"\r\ntwo"


def test_empty_parts_are_parts() -> None:
    """A delimiter right behind another leaves a part without header and content."""
    raw = a_multipart(b"--b\r\n--b\r\n\r\n--b \t\r\n\r\n\r\n--b--")
    parts = parse_message(raw).root.children
    assert [part_entity(raw, part) for part in parts] == [b"", b"", b"\r\n"]


def test_a_forwarded_message_is_a_leaf() -> None:
    """Its own parts are read by whoever opens it, so nesting stays bounded."""
    inner = a_multipart(b"--x\r\n\r\n1\r\n--x--\r\n", boundary=b"x")
    raw = a_multipart(b"--b\r\nContent-Type: message/rfc822\r\n\r\n" + inner + b"\r\n--b--\r\n")
    (part,) = parse_message(raw).root.children
    assert part.children == ()
    assert part_octets(raw, part) == inner


def test_an_outer_boundary_may_begin_like_an_inner_one() -> None:
    """`--b` must not cut a part whose own delimiter is `--b1` (RFC 2046, 5.1.1)."""
    inner = b"Content-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\n\r\nx\r\n--b1--\r\n"
    raw = a_multipart(b"--b\r\n" + inner + b"\r\n--b--\r\n")
    assert [part.path for part in parse_message(raw).parts()] == ["", "1", "1.1"]


@pytest.mark.parametrize(
    "name",
    [
        b"From", b"Sender", b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"Reply-To",
        b"References", b"In-Reply-To", b"Content-Type", b"Content-Transfer-Encoding",
        b"MIME-Version", b"Disposition-Notification-To",
    ],
)  # fmt: skip
def test_a_field_that_may_occur_once_occurs_once(name: bytes) -> None:
    """Row 12 of the threats: one reader shows the first From, another checks the last."""
    field = name + b": <a@b.fr>"
    raw = a_plain_message(field, name.upper() + b": <c@d.fr>")
    assert _reason(raw) == "duplicate-field"


def test_a_part_has_one_content_type() -> None:
    """A scanner and a reader must see the same type."""
    raw = a_multipart(b"--b\r\nContent-Type: a/b\r\nContent-Type: c/d\r\n\r\n\r\n--b--\r\n")
    assert _reason(raw) == "duplicate-field"


@pytest.mark.parametrize(
    "raw",
    [
        b"To: a@b.fr\r\n\r\n",
        b"From:\r\n\r\n",
        b"From: undisclosed:;\r\n\r\n",
        b"From: a@b.fr, c@d.fr\r\n\r\n",
        b"\r\nFrom: a@b.fr\r\n\r\n",
        b"",
    ],
)
def test_a_message_has_exactly_one_author(raw: bytes) -> None:
    """Row 12 of the threats: the signer is compared with one From."""
    assert _reason(raw) == "author"


def test_a_message_has_at_most_one_sender() -> None:
    """RFC 5322, 3.6.2."""
    assert _reason(a_plain_message(b"Sender: a@b.fr, c@d.fr")) == "sender"


@pytest.mark.parametrize("name", [b"Reply-To", b"Cc", b"Disposition-Notification-To"])
def test_an_ambiguous_address_anywhere_refuses_the_message(name: bytes) -> None:
    """Each of these fields can make the server or a person write to somebody."""
    assert _reason(a_plain_message(name + b": a@x.fr(b)@y.fr")) in ("address", "address-list")


def test_an_unreadable_date_is_no_date() -> None:
    """It is only shown; a wrong clock abroad must not lose a letter."""
    assert parse_message(a_plain_message(b"Date: soon")).date is None


def test_an_unreadable_message_id_is_refused() -> None:
    """Two readings of the identifier would split a letter from its receipts."""
    assert _reason(b"From: a@b.fr\r\nMessage-ID: <a b>\r\n\r\n") == "message-id"


def test_blind_copies_only_is_a_legal_message() -> None:
    """The usual To of such a message is an empty group."""
    raw = b"From: a@b.fr\r\nTo: undisclosed-recipients:;\r\n\r\n"
    assert parse_message(raw).to == ()


@pytest.mark.parametrize(
    ("value", "keyword"),
    [
        (b"no", "no"),
        (b"Auto-Replied; x=y", "auto-replied"),
        (b"auto-generated (x)", "auto-generated"),
    ],
)
def test_automatic_mail_says_so(value: bytes, keyword: str) -> None:
    """Row 36 of the threats: loops end where automatic mail is recognised."""
    assert parse_message(a_plain_message(b"Auto-Submitted: " + value)).auto_submitted == keyword


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"no delimiter at all\r\n", "multipart-empty"),
        (b"--b\r\n\r\nopen", "multipart-unterminated"),
        (b"--bb\r\n\r\nx\r\n--bb--\r\n", "multipart-empty"),
        (b"--b--\r\n--b\r\n\r\nx\r\n--b--\r\n", "multipart-epilogue"),
        (b"--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\nhidden\r\n--b--\r\n", "multipart-epilogue"),
        (b"--b\r\nno colon\r\n\r\nx\r\n--b--\r\n", "header-field"),
    ],
)
def test_a_multipart_that_readers_cut_differently_is_refused(body: bytes, reason: str) -> None:
    """Row 11 of the threats: hidden parts live between two ways of cutting."""
    assert _reason(a_multipart(body)) == reason


def test_a_multipart_may_close_at_once() -> None:
    """No part at all is odd but reads in one way."""
    assert parse_message(a_multipart(b"--b--\r\n")).root.children == ()


@pytest.mark.parametrize(
    "parameter",
    [
        b"x=y",
        b"boundary=",
        b'boundary="a "',
        b'boundary="' + b"a" * 71 + b'"',
        b"boundary=\xc3\xa9",
    ],
)
def test_a_multipart_needs_a_usable_boundary(parameter: bytes) -> None:
    """RFC 2046, 5.1.1: 1 to 70 characters, none of them a final space."""
    raw = a_plain_message(b"Content-Type: multipart/mixed; " + parameter, body=b"--a--\r\n")
    assert _reason(raw) == "boundary"


def test_an_encoded_multipart_is_refused() -> None:
    """RFC 2045, 6.4 forbids it, and a scanner that does not decode would see nothing."""
    raw = a_plain_message(
        b"Content-Type: multipart/mixed; boundary=b", b"Content-Transfer-Encoding: base64"
    )
    assert _reason(raw) == "transfer-encoding"


@pytest.mark.parametrize(
    ("encoding", "body", "content"),
    [
        (b"base64", b"QUJD\r\nREVG\r\n", b"ABCDEF"),
        (b"BASE64", b"QUI", b"AB"),
        (b"base64", b"", b""),
        (b"quoted-printable", b"a=C3=A9=\r\nb\r\n", b"a\xc3\xa9b\r\n"),
        (b"8bit", b"\xc3\xa9", b"\xc3\xa9"),
        (b"binary", b"x", b"x"),
    ],
)
def test_content_is_decoded(encoding: bytes, body: bytes, content: bytes) -> None:
    """Missing base64 padding occurs in the national examples and loses nothing."""
    raw = a_plain_message(b"Content-Transfer-Encoding: " + encoding, body=body)
    message = parse_message(raw)
    assert part_octets(raw, message.root) == content


@pytest.mark.parametrize(
    ("encoding", "body", "reason"),
    [
        (b"base64", b"Q", "base64"),
        (b"base64", b"QQ==QUJD", "base64"),
        (b"uuencode", b"x", "transfer-encoding"),
    ],
)
def test_broken_content_raises_the_declared_error(
    encoding: bytes, body: bytes, reason: str
) -> None:
    """Two decoders would give two documents."""
    raw = a_plain_message(b"Content-Transfer-Encoding: " + encoding, body=body)
    message = parse_message(raw)
    with pytest.raises(MessageSyntaxError) as caught:
        part_octets(raw, message.root)
    assert caught.value.reason == reason


def test_decoding_stops_at_the_limit() -> None:
    """Who asks for a small part does not get a large one."""
    raw = a_plain_message(
        b"Content-Transfer-Encoding: base64",
        body=base64.encodebytes(b"x" * 1000).replace(b"\n", b"\r\n"),
    )
    root = parse_message(raw).root
    assert len(part_octets(raw, root, 1000)) == 1000
    with pytest.raises(MessageLimitError):
        part_octets(raw, root, 999)


@pytest.mark.parametrize("charset", [b"utf-8", b"unknown", b"unicode_escape", b"idna", b"utf-7"])
def test_text_is_decoded_whatever_its_label(charset: bytes) -> None:
    """A wrong label makes a letter ugly, never unreadable; codecs of Python are not charsets."""
    raw = a_plain_message(b"Content-Type: text/plain; charset=" + charset, body=b"a\xc3\xa9\\n")
    assert part_text(raw, parse_message(raw).root) == "aé\\n"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"../../etc/passwd", "passwd"),
        (b"C:/a/b.pdf", "b.pdf"),
        (b'"C:\\\\a\\\\b.pdf"', "b.pdf"),
        (b"a/", "unnamed"),
        (b"=?utf-8?q?a=E2=80=AEfdp.exe?=", "a\N{REPLACEMENT CHARACTER}fdp.exe"),
    ],
)
def test_a_file_name_is_only_a_name(name: bytes, shown: str) -> None:
    """Rows 25 and 52 of the threats: folders and reordering have no place in it."""
    raw = a_plain_message(b"Content-Disposition: attachment; filename=" + name)
    assert parse_message(raw).root.filename == shown


@pytest.mark.parametrize("value", [b"text", b"/plain", b"", b"a/b/c"])
def test_a_type_that_is_none_is_nothing_in_particular(value: bytes) -> None:
    """Guessing text could put a document where text is shown."""
    message = parse_message(a_plain_message(b"Content-Type: " + value))
    assert message.content_type == "application/octet-stream"


def test_an_entity_needs_no_author() -> None:
    """Payloads of signatures are read before their header is put back."""
    part = parse_entity(b"Content-Type: text/html\r\n\r\n<p>")
    assert part.content_type == "text/html"


def test_header_values_are_found_by_name() -> None:
    """Fields that the summary does not know stay within reach."""
    message = parse_message(a_plain_message(b"X-A: 1", b"x-a: =?utf-8?q?=C3=A9?="))
    assert message.values("X-a") == ("1", "é")
    assert message.values("X-None") == ()


def test_errors_say_no_content() -> None:
    """Errors are logged; a subject or an address must not be in them."""
    raw = a_plain_message(b"Subject: DUPONT", b"Subject: Jean")
    with pytest.raises(MessageSyntaxError) as caught:
        parse_message(raw)
    assert str(caught.value) == "message-syntax (reason='duplicate-field')"


def test_a_parsed_message_shows_no_content() -> None:
    """Its repr ends in tracebacks and logs."""
    assert "DUPONT" not in repr(parse_message(a_message()))
