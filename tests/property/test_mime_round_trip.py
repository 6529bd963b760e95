"""What is written is read back; what is read, whatever it is, answers or raises."""

import string
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.address import MailAddress
from mss.mime.addresses import NamedAddress, build_addresses, parse_addresses
from mss.mime.build import Attachment, Draft, build_message
from mss.mime.dsn import parse_delivery_status
from mss.mime.entity import outer_message, protected_entity, restored_message
from mss.mime.errors import MessageSyntaxError
from mss.mime.headers import build_text, decode_text, parse_date
from mss.mime.limits import MimeLimits
from mss.mime.mdn import parse_disposition_notification
from mss.mime.octets import check_octets
from mss.mime.parameters import build_parameters, parse_parameters
from mss.mime.parse import parse_message, part_octets, part_text
from mss.mime.reports import find_report
from tests.unit.mss.mime.samples import AT, MESSAGE_ID

LINE = st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), max_size=120).filter(
    str.isprintable
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=400)
ATOM = st.text(string.ascii_letters + string.digits + "-_+", min_size=1, max_size=20)
ADDRESS = st.builds(
    lambda local, host: MailAddress.parse(f"{local}@{host.strip('-_+') or 'x'}.fr"),
    ATOM,
    st.text(string.ascii_lowercase, min_size=1, max_size=12),
)
NAMED = st.builds(
    NamedAddress, address=ADDRESS, display_name=LINE.map(lambda name: " ".join(name.split()))
)
HIDDEN = frozenset("\r\n\0\x85\u200b\u2028\u202e\u2066")
TOKENS = st.sampled_from(
    [
        b"From: a@b.fr", b"To: ", b"Content-Type: multipart/mixed; boundary=b",
        b"Content-Type: multipart/report; boundary=b", b"Content-Type: message/delivery-status",
        b"Content-Transfer-Encoding: base64", b"Message-ID: <1@b.fr>", b"Subject: ",
        b"=?utf-8?q?", b"?=", b'"', b"(", b"<", b">", b",", b":", b";", b"--b", b"--b--", b"\r\n",
        b"\r\n\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b"a", b"\xe9", b"=", b"*0*=", b"name",
        b"Action: failed", b"Final-Recipient: rfc822; a@b.fr", b"Disposition: ",
        b"manual-action/MDN-sent-manually; displayed", b"Error: 902^x",
    ]
)  # fmt: skip
SOUP = st.lists(TOKENS, max_size=40).map(b"".join)
OCTETS = st.one_of(st.binary(max_size=300), SOUP, SOUP.map(lambda soup: b"From: a@b.fr\r\n" + soup))


@pytest.mark.slow
@given(OCTETS)
@settings(max_examples=300)
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    """One declared error, whatever arrives; and what is read can be decoded or refused."""
    with suppress(MessageSyntaxError):
        message = parse_message(octets)
        paths = [part.path for part in message.parts()]
        assert len(paths) == len(set(paths))
        find_report(message)
        for part in message.parts():
            part_text(message.raw, part)


@given(OCTETS)
@settings(max_examples=150)
def test_any_report_body_is_read_or_refused(octets: bytes) -> None:
    """Reports come from anybody."""
    with suppress(MessageSyntaxError):
        parse_disposition_notification(octets)
    with suppress(MessageSyntaxError):
        parse_delivery_status(octets)


@pytest.mark.slow
@given(OCTETS, OCTETS)
@settings(max_examples=150)
def test_any_payload_is_restored_or_refused(outer: bytes, payload: bytes) -> None:
    """What comes out of a decryption is as foreign as what came in."""
    with suppress(MessageSyntaxError):
        restored_message(outer, payload)


@pytest.mark.slow
@given(st.one_of(st.binary(max_size=80), st.text(max_size=60).map(str.encode)))
@settings(max_examples=150)
def test_any_value_is_read_or_refused(value: bytes) -> None:
    """Each reader of a field alone, without the checks that come before it."""
    assert HIDDEN.isdisjoint(decode_text(value))
    with suppress(MessageSyntaxError):
        parse_date(value)
    with suppress(MessageSyntaxError):
        parse_addresses(value)
    with suppress(MessageSyntaxError):
        parse_parameters(value)


@given(LINE)
@settings(max_examples=150)
def test_text_survives_the_header(text: str) -> None:
    """Any subject that can be shown can be sent, in ASCII and within 76 columns."""
    field = build_text("Subject", text)
    assert decode_text(field[8:]) == text
    assert field.isascii()
    assert max(map(len, field.split(b"\r\n"))) <= 76


@pytest.mark.slow
@given(st.lists(NAMED, min_size=1, max_size=5))
@settings(max_examples=100)
def test_addresses_survive_the_header(addresses: list[NamedAddress]) -> None:
    """No display name changes who is written to."""
    field = build_addresses("To", addresses)
    assert parse_addresses(field[3:]) == tuple(addresses)


@given(LINE)
@settings(max_examples=100)
def test_file_names_survive_the_header(name: str) -> None:
    """Whatever an author calls a file, the recipient sees the same."""
    field = build_parameters("Content-Disposition", "attachment", {"filename": name})
    assert parse_parameters(field.partition(b":")[2])[1] == {"filename": name}


@pytest.mark.slow
@given(
    subject=LINE,
    text=TEXT,
    to=st.lists(NAMED, min_size=1, max_size=3),
    content=st.lists(st.binary(max_size=300), max_size=3),
)
@settings(max_examples=60)
def test_a_message_survives_protection(
    subject: str, text: str, to: list[NamedAddress], content: list[bytes]
) -> None:
    """Build, protect, carry, restore, read: the author's words and files are the same."""
    files = tuple(
        Attachment(filename="f", content_type="application/pdf", octets=octets)
        for octets in content
    )
    draft = Draft(author=to[0], to=tuple(to), subject=subject, text=text, attachments=files)
    raw = build_message(draft, message_id=MESSAGE_ID, at=AT)
    check_octets(raw)
    entity = b"Content-Type: application/pkcs7-mime\r\n\r\nx"
    outer = outer_message(raw, entity, obscure_subject=True)
    restored = restored_message(outer, protected_entity(raw, cipher=True))
    assert restored.findings == ()
    message = parse_message(restored.raw)
    assert (message.author, message.to, message.subject) == (draft.author, draft.to, subject)
    leaves = [part for part in message.parts() if not part.is_multipart]
    shown = text if not text or text.endswith("\n") else text + "\n"
    assert part_text(message.raw, leaves[0]) == shown
    assert [part_octets(message.raw, part) for part in leaves[1:]] == content


@given(st.lists(st.integers(0, 120), max_size=200), st.booleans())
@settings(max_examples=60)
def test_the_fast_check_agrees_with_the_obvious_one(widths: list[int], damaged: bool) -> None:  # noqa: FBT001 - a case
    """The stride over equal lines must not see less than a look at every line."""
    raw = b"".join(b"a" * width + b"\r\n" for width in widths for _ in range(60))
    if damaged:
        raw = raw[: len(raw) // 2] + b"\n" + raw[len(raw) // 2 :]
    expected = raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n")
    try:
        check_octets(raw, line_octets=MimeLimits().line_octets)
        agreed = expected
    except MessageSyntaxError:
        agreed = not expected
    assert agreed
