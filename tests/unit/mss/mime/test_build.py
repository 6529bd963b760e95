"""Writing messages."""

from dataclasses import replace

import pytest

from mss.mime.build import Attachment, Draft, build_message, multipart, text_entity
from mss.mime.errors import HeaderValueError
from mss.mime.octets import check_octets
from mss.mime.parse import parse_entity, parse_message, part_octets, part_text
from tests.unit.mss.mime.samples import AT, MESSAGE_ID, a_draft, a_message, named


def test_a_message_reads_back_as_its_draft() -> None:
    """What the author entered is what the recipient's software sees."""
    draft = a_draft()
    message = parse_message(a_message())
    assert (message.author, message.to, message.cc) == (draft.author, draft.to, draft.cc)
    assert (message.subject, message.mss_fields) == (draft.subject, draft.mss_fields)
    texts = [part for part in message.parts() if part.content_type.startswith("text/")]
    assert [part_text(message.raw, part) for part in texts] == [draft.text, draft.html]
    files = [part for part in message.parts() if part.disposition == "attachment"]
    assert [part.filename for part in files] == [item.filename for item in draft.attachments]
    assert [part_octets(message.raw, part) for part in files] == [
        item.octets for item in draft.attachments
    ]


def test_what_is_written_survives_any_host() -> None:
    """RFC 8551, 3.1.1: ASCII, short lines, no line a mailbox file or SMTP would change."""
    raw = a_message()
    check_octets(raw, line_octets=78)
    assert raw.isascii()
    lines = raw.split(b"\r\n")
    assert b"." not in lines
    assert not [line for line in lines if line.startswith(b"From ")]
    assert not [line for line in lines if line.endswith((b" ", b"\t"))]


def test_the_same_draft_makes_the_same_octets() -> None:
    """A retry of the same request must not become another message."""
    assert a_message() == a_message()


def test_a_boundary_can_be_given() -> None:
    """Tests and recorded examples need a known one."""
    raw = build_message(a_draft(), message_id=MESSAGE_ID, at=AT, boundary="=_fixed")
    assert b"--=_fixed-m--\r\n" in raw


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "From \nFrom x\n",
        "." * 100 + "\n",
        ".\n..\n",
        "a  \n\t\n",
        "é" * 500 + "\n",
        "x" * 5000 + "\n",
        "From " + "x" * 80 + "\n",
        "=?utf-8?q?x?= = =3D\n",
        "--=_x--\n",
        "日本語\n",
    ],
)
@pytest.mark.parametrize("subtype", ["plain", "html"])
def test_text_survives_its_encoding(text: str, subtype: str) -> None:
    """Letters are read by people who act on them."""
    entity = text_entity(text, subtype=subtype)
    check_octets(entity, line_octets=76)
    part = parse_entity(entity)
    assert part.content_type == f"text/{subtype}"
    assert part_text(entity, part) == text


@pytest.mark.parametrize("text", ["a\rb\r\nc\nd", "a\nb\nc\nd"])
def test_line_ends_become_crlf(text: str) -> None:
    """Row 16 of the threats: nothing we write holds a bare newline."""
    entity = text_entity(text)
    check_octets(entity)
    assert part_text(entity, parse_entity(entity)) == "a\nb\nc\nd\n"


@pytest.mark.parametrize(
    "change",
    [
        {"subject": "a\r\nBcc: x@y.fr"},
        {"subject": "a\0"},
        {"author": named("a@b.fr", "x\nBcc: y@z.fr")},
        {"to": (named("a@b.fr", "x\ry"),)},
        {"in_reply_to": "<a@b>\r\nBcc: x@y.fr"},
        {"in_reply_to": "not an identifier"},
        {"references": ("<a@b.fr>", "<c d@e.fr>")},
        {"mss_fields": {"X-MSS-NIL": "a\r\nb"}},
        {"mss_fields": {"X-MSS-NIL\r\nBcc: x@y.fr": "a"}},
        {"mss_fields": {"Bcc": "x@y.fr"}},
        {"auto_submitted": "a\nb"},
        {"attachments": (Attachment(filename="a\nb", content_type="a/b", octets=b""),)},
        {"attachments": (Attachment(filename="a", content_type="a/b\r\nX: y", octets=b""),)},
        {"attachments": (Attachment(filename="a", content_type="a/b; c=d", octets=b""),)},
        {
            "attachments": (
                Attachment(filename="a", content_type="a/b", octets=b"", content_id="<a>\r\nX: y"),
            )
        },
    ],
    ids=str,
)
def test_header_injection_is_refused(change: dict[str, object]) -> None:
    """Row 21 of the threats: every value that reaches the header through the API."""
    draft = replace(a_draft(), **change)  # type: ignore[arg-type]
    with pytest.raises(HeaderValueError):
        build_message(draft, message_id=MESSAGE_ID, at=AT)


def test_a_refusal_does_not_repeat_the_value() -> None:
    """The error is logged; the subject must not be."""
    draft = Draft(author=named("a@b.fr"), to=(), subject="DUPONT\n")
    with pytest.raises(HeaderValueError) as caught:
        build_message(draft, message_id=MESSAGE_ID, at=AT)
    assert "DUPONT" not in str(caught.value)


def test_a_boundary_inside_a_part_is_refused() -> None:
    """The part would end there for every reader."""
    with pytest.raises(HeaderValueError):
        multipart("mixed", [b"\r\nx\r\n--b\r\n"], boundary="b")
