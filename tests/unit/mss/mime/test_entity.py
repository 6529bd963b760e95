"""Header fields going into a protected entity and coming out of it."""

from pathlib import Path

import pytest

from mss.mime.entity import (
    HeaderFinding,
    HeaderFindingCode,
    join_entity,
    named_recipients,
    outer_message,
    prepend_fields,
    protected_entity,
    restored_message,
    split_entity,
    without_fields,
)
from mss.mime.octets import check_octets
from mss.mime.parse import parse_entity, parse_message, part_entity
from tests.unit.mss.mime.samples import SUBJECT, a_message, a_plain_message

VECTOR = (
    Path(__file__).parents[5]
    / "shared/data/smime/rfc9788/C.3.1.2-signed-enc-hp-baseline.payload.mime"
)
CIPHER = (
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: application/pkcs7-mime; smime-type=authEnveloped-data\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
)
RECEIVED = (b"Received", b" from a by b; Mon, 23 Nov 2026 18:00:00 +0000")


def _names(octets: bytes) -> list[str]:
    return [name.decode().lower() for name, _ in split_entity(octets)[0]]


def _value(octets: bytes, name: str) -> bytes | None:
    fields, _ = split_entity(octets)
    return next((value for key, value in fields if key.decode().lower() == name), None)


def _found(outer: bytes, payload: bytes) -> set[tuple[str, str]]:
    restored = restored_message(outer, payload)
    return {(finding.code.value, finding.field) for finding in restored.findings}


def _signed(payload: bytes) -> bytes:
    return (
        b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n'
        b" micalg=sha-256; boundary=sig\r\n\r\n--sig\r\n" + payload + b"\r\n--sig\r\n"
        b"Content-Type: application/pkcs7-signature\r\n\r\nx\r\n--sig--\r\n"
    )


@pytest.mark.parametrize("raw", [a_message(), a_plain_message(), b"From: a@b.fr\r\n\r\n"])
def test_splitting_and_joining_changes_nothing(raw: bytes) -> None:
    """Surgery that touched other octets would break signatures."""
    fields, body = split_entity(raw)
    assert join_entity(fields, raw[body:]) == raw


def test_fields_are_put_on_top() -> None:
    """A host's trace stands above what it received."""
    raw = prepend_fields(a_plain_message(), [RECEIVED])
    assert raw.startswith(b"Received: from a by b; ")
    assert raw.endswith(a_plain_message())


def test_fields_are_removed_by_name() -> None:
    """Blind copies are taken off before a message leaves."""
    raw = a_plain_message(b"Bcc: x@y.fr,\r\n z@y.fr", b"BCC: u@v.fr")
    assert without_fields(raw, ["Bcc"]) == a_plain_message()


def test_a_ciphered_message_comes_back_as_it_was() -> None:
    """The whole way: protect, obscure, carry, restore."""
    raw = a_message()
    payload = protected_entity(raw, cipher=True)
    outer = prepend_fields(outer_message(raw, CIPHER, obscure_subject=True), [RECEIVED])
    restored = restored_message(outer, payload)
    assert restored.findings == ()
    assert restored.header_protected
    message, original = parse_message(restored.raw), parse_message(raw)
    assert message.subject == SUBJECT
    assert (message.author, message.to, message.mss_fields) == (
        original.author,
        original.to,
        original.mss_fields,
    )
    assert message.received_count == 1
    assert [part.path for part in message.parts()] == [part.path for part in original.parts()]
    assert b"hp=" not in restored.raw
    assert "hp-outer" not in _names(restored.raw)
    assert restored.raw.endswith(raw[split_entity(raw)[1] :])


def test_the_outside_of_a_ciphered_message_tells_no_subject() -> None:
    """It carries a patient's name."""
    raw = a_plain_message(b"Subject: DUPONT Jean", b"Comments: DUPONT", b"X-Patient: DUPONT")
    outer = outer_message(raw, CIPHER, obscure_subject=True)
    assert b"DUPONT" not in outer
    assert parse_message(outer).subject == "[...]"


def test_the_outside_keeps_what_operators_must_not_strip() -> None:
    """ANS: Disposition-Notification-To, X-MSS, Reply-To and References go through unchanged."""
    outer = parse_message(outer_message(a_message(), CIPHER, obscure_subject=True))
    original = parse_message(a_message())
    assert outer.mss_fields == original.mss_fields
    assert outer.disposition_notification_to == original.disposition_notification_to
    assert (outer.reply_to, outer.references) == (original.reply_to, original.references)


def test_the_entity_inside_the_outer_message_is_untouched() -> None:
    """Its octets were signed."""
    signed = _signed(protected_entity(a_message(), cipher=False))
    outer = outer_message(a_message(), signed, obscure_subject=False)
    assert outer.endswith(signed)


@pytest.mark.parametrize("cipher", [True, False])
def test_the_payload_says_how_it_is_protected(cipher: bool) -> None:  # noqa: FBT001 - a case
    """RFC 9788, 2.1.1: without the mark the fields inside mean nothing."""
    part = parse_entity(protected_entity(a_message(), cipher=cipher))
    assert part.parameters["hp"] == ("cipher" if cipher else "clear")


def test_the_payload_says_what_stands_outside() -> None:
    """RFC 9788, 2.2: the recipient can tell what was hidden on purpose from what was changed."""
    payload = protected_entity(a_plain_message(b"Subject: secret", b"X-Own: y"), cipher=True)
    said = [value for name, value in split_entity(payload)[0] if name == b"HP-Outer"]
    assert said == [
        b" From: a@b.fr",
        b" To: c@d.fr",
        b" Message-ID: <1@b.fr>",
        b" Subject: [...]",
    ]


def test_a_clear_payload_has_no_account_of_the_outside() -> None:
    """RFC 9788, 2.2: only an encrypted message has one."""
    assert "hp-outer" not in _names(protected_entity(a_message(), cipher=False))


def test_blind_copies_and_trace_are_not_protected() -> None:
    """A blind copy inside would be shown to everybody; the trace belongs to the transport."""
    raw = a_plain_message(b"Bcc: x@y.fr", b"Received: by a", b"HP-Outer: Subject: forged")
    names = _names(protected_entity(raw, cipher=True))
    assert "bcc" not in names
    assert "received" not in names
    assert b"forged" not in protected_entity(raw, cipher=True)
    assert b"x@y.fr" not in outer_message(raw, CIPHER, obscure_subject=True)


@pytest.mark.parametrize(
    "content_type",
    [
        b'text/plain; hp="clear"; charset=utf-8',
        b"text/plain; HP=cipher; charset=utf-8",
        b"text/plain; charset=utf-8; hp=clear;",
        b"text/plain;\r\n hp=x;\r\n charset=utf-8",
    ],
)
def test_a_forged_mark_is_replaced(content_type: bytes) -> None:
    """Two `hp` parameters would be a duplicate, and the first one a lie."""
    raw = a_plain_message(b"Content-Type: " + content_type)
    part = parse_entity(protected_entity(raw, cipher=True))
    assert part.parameters == {"charset": "utf-8", "hp": "cipher"}


def test_a_quoted_text_that_looks_like_the_mark_is_kept() -> None:
    """A boundary or a file name may hold any characters."""
    raw = a_plain_message(b'Content-Type: text/plain; name="a; hp=clear"')
    part = parse_entity(protected_entity(raw, cipher=True))
    assert part.parameters == {"name": "a; hp=clear", "hp": "cipher"}


@pytest.mark.parametrize("length", [900, 985, 990])
def test_protection_never_makes_a_line_too_long(length: int) -> None:
    """What we write is checked by peers as strictly as we check them."""
    name = b"a" * (length - len(b'Content-Type: a/b; name=""'))
    raw = a_plain_message(
        b'Content-Type: a/b; name="' + name + b'"', b"References: <" + b"r" * (length - 20) + b">"
    )
    check_octets(raw)
    check_octets(protected_entity(raw, cipher=True))


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (b"From: a@b.fr", b"From: eve@b.fr", ("header-differs", "From")),
        (b"To: c@d.fr", b"To: eve@d.fr", ("header-differs", "To")),
        (b"To: c@d.fr", b"To: c@d.fr, eve@d.fr", ("header-differs", "To")),
        (b"To: c@d.fr", b"To: c(x)@d.fr", ("header-differs", "To")),
        (b"To: c@d.fr\r\n", b"", ("header-not-outside", "To")),
        (b"To: c@d.fr", b"To: c@d.fr\r\nCc: eve@d.fr", ("header-not-inside", "Cc")),
        (b"To: c@d.fr", b"To: c@d.fr\r\nTo: c@d.fr", ("header-differs", "To")),
        (b"<1@b.fr>", b"<2@b.fr>", ("header-differs", "Message-ID")),
        (b"18:00:00", b"18:00:01", ("header-differs", "Date")),
        (b"Subject: [...]", b"Subject: urgent", ("header-differs", "Subject")),
        (
            b"To: c@d.fr",
            b"To: c@d.fr\r\nReply-To: eve@d.fr",
            ("header-not-inside", "Reply-To"),
        ),
    ],
)
def test_a_change_on_the_way_is_found(
    before: bytes, after: bytes, expected: tuple[str, str]
) -> None:
    """Row 13 of the threats: the transport header is not signed, so it is compared."""
    raw = a_plain_message(b"Subject: letter", b"Date: Mon, 23 Nov 2026 18:00:00 +0000")
    payload = protected_entity(raw, cipher=True)
    outer = outer_message(raw, CIPHER, obscure_subject=True)
    assert before in outer
    changed = outer.replace(before, after, 1)
    assert _found(changed, payload) == {expected}
    assert parse_message(restored_message(changed, payload).raw).subject == "letter"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"To: c@d.fr", b"To: <C@D.fr>"),
        (b"To: c@d.fr", b"to:\r\n c@d.fr"),
        (b"18:00:00 +0000", b"19:00:00 +0100"),
        (b"Subject: [...]", b"Subject: ..."),
        (b"<1@b.fr>", b"  <1@b.fr> "),
    ],
)
def test_another_spelling_is_not_a_change(before: bytes, after: bytes) -> None:
    """Hosts on the way refold and respell; a false alarm would be ignored next time."""
    raw = a_plain_message(b"Subject: letter", b"Date: Mon, 23 Nov 2026 18:00:00 +0000")
    outer = outer_message(raw, CIPHER, obscure_subject=True).replace(before, after, 1)
    assert _found(outer, protected_entity(raw, cipher=True)) == set()


def test_another_author_outside_is_found_even_when_it_was_meant() -> None:
    """A sender could declare any From outside; readers without keys would believe it."""
    payload = protected_entity(a_plain_message(), cipher=True)
    payload = payload.replace(b"HP-Outer: From: a@b.fr", b"HP-Outer: From: boss@b.fr")
    outer = a_plain_message().replace(b"From: a@b.fr", b"From: boss@b.fr")
    assert _found(outer, payload) == {("header-differs", "From")}


def test_fields_of_an_unmarked_payload_mean_nothing() -> None:
    """RFC 9788, 4.1: an inner Subject without the mark is whatever the sender's software left."""
    payload = b"Subject: inner\r\nContent-Type: text/plain\r\n\r\nx"
    restored = restored_message(a_plain_message(b"Subject: outer"), payload)
    assert restored.findings == (HeaderFinding(code=HeaderFindingCode.NOT_PROTECTED),)
    assert not restored.header_protected
    assert parse_message(restored.raw).subject == "outer"


def test_a_signature_kept_as_evidence_is_untouched() -> None:
    """Whoever doubts the verdict later checks the same octets again."""
    raw = a_message()
    payload = protected_entity(raw, cipher=True)
    signed = _signed(payload)
    outer = outer_message(raw, CIPHER, obscure_subject=True)
    restored = restored_message(outer, payload, evidence=signed)
    assert restored.raw.endswith(signed)
    message = parse_message(restored.raw)
    assert (message.subject, message.content_type) == (SUBJECT, "multipart/signed")
    assert part_entity(restored.raw, message.root.children[0]) == payload


def test_a_signed_message_can_be_its_own_evidence() -> None:
    """A message that is only signed brings its transport fields along; they must not double."""
    raw = a_message()
    payload = protected_entity(raw, cipher=False)
    outer = outer_message(raw, _signed(payload), obscure_subject=False)
    restored = restored_message(outer, payload, evidence=outer)
    assert restored.findings == ()
    assert parse_message(restored.raw).subject == SUBJECT


@pytest.mark.parametrize("mark", [b"; forwarded=no", b""])
def test_a_wrapped_message_is_unwrapped(mark: bytes) -> None:
    """RFC 8551, 3.1: the older form of header protection, still in use."""
    inner = a_plain_message(b"Subject: inner")
    payload = b"Content-Type: message/rfc822" + mark + b"\r\n\r\n" + inner
    restored = restored_message(a_plain_message(b"Subject: ..."), payload)
    assert restored.header_protected
    assert restored.findings == ()
    assert parse_message(restored.raw).subject == "inner"


def test_a_forwarded_message_is_not_unwrapped() -> None:
    """Its author would be shown as the author of what was signed by another."""
    inner = a_plain_message(b"Subject: inner").replace(b"<1@b.fr>", b"<other@b.fr>")
    payload = b"Content-Type: message/rfc822\r\n\r\n" + inner
    restored = restored_message(a_plain_message(b"Subject: Fwd"), payload)
    assert not restored.header_protected
    assert parse_message(restored.raw).content_type == "message/rfc822"


def test_the_example_of_the_rfc_is_restored() -> None:
    """RFC 9788, C.3.1.2, as published."""
    if not VECTOR.exists():
        pytest.skip("no project test data")
    payload = VECTOR.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    outer = (
        b"Received: from x by y; Sat, 20 Feb 2021 10:09:03 -0500\r\n"
        b"Subject: [...]\r\n"
        b"Message-ID: <smime-signed-enc-hp-baseline@example>\r\n"
        b"From: Alice <alice@smime.example>\r\nTo: Bob <bob@smime.example>\r\n"
        b"Date: Sat, 20 Feb 2021 10:09:02 -0500\r\nUser-Agent: Sample MUA Version 1.0\r\n" + CIPHER
    )
    restored = restored_message(outer, payload)
    assert restored.findings == ()
    message = parse_message(restored.raw)
    assert message.subject == "smime-signed-enc-hp-baseline"
    assert message.values("User-Agent") == ("Sample MUA Version 1.0",)


def test_the_older_mark_protects_fields_too() -> None:
    """`protected-headers="v1"` was written for years before the RFC; the subject was hidden."""
    payload = a_plain_message(
        b"Subject: inner", b'Content-Type: text/plain; protected-headers="v1"'
    )
    restored = restored_message(a_plain_message(b"Subject: ..."), payload)
    assert restored.header_protected
    assert restored.findings == ()
    assert parse_message(restored.raw).subject == "inner"


@pytest.mark.parametrize("mark", [b'"v2"', b"x"])
def test_an_unknown_mark_protects_nothing(mark: bytes) -> None:
    """What it promises is not known."""
    payload = a_plain_message(b"Content-Type: text/plain; protected-headers=" + mark)
    assert not restored_message(a_plain_message(), payload).header_protected


@pytest.mark.parametrize("subject", [b"KOM-LE-Nachricht", b"KIM-Nachricht", b"...", b"[...]"])
def test_a_subject_that_hides_is_not_a_change(subject: bytes) -> None:
    """Each kind of software says nothing in its own words."""
    payload = b"Content-Type: message/rfc822\r\n\r\n" + a_plain_message(b"Subject: inner")
    assert _found(a_plain_message(b"Subject: " + subject), payload) == set()


def test_a_signature_around_a_whole_message_is_not_kept() -> None:
    """Readers could not open what is forwarded inside a signature; a finding says so."""
    inner = a_plain_message(b"Subject: inner")
    payload = b"Content-Type: message/rfc822\r\n\r\n" + inner
    restored = restored_message(a_plain_message(), payload, evidence=_signed(payload))
    assert [one.code for one in restored.findings][-1] is HeaderFindingCode.SIGNATURE_NOT_KEPT
    assert parse_message(restored.raw).content_type == "text/plain"


@pytest.mark.parametrize("cipher", [True, False])
def test_a_blind_copy_names_its_reader_inside_only(cipher: bool) -> None:  # noqa: FBT001 - a case
    """RFC 5322, 3.6.3: signed, so that the reader knows; and not shown when it is read."""
    raw = a_plain_message()
    payload = protected_entity(raw, cipher=cipher, blind_copy_to="x@y.fr")
    outer = outer_message(raw, CIPHER, obscure_subject=cipher)
    restored = restored_message(outer, payload)
    assert restored.recipients == frozenset({"c@d.fr", "x@y.fr"})
    assert restored.findings == ()
    assert b"x@y.fr" not in outer
    assert b"x@y.fr" not in restored.raw


def test_the_protected_recipients_are_those_of_to_cc_and_bcc() -> None:
    """In one spelling, whatever the sender's was."""
    raw = a_plain_message(b"Cc: Name <E@F.fr>")
    restored = restored_message(raw, protected_entity(raw, cipher=False))
    assert restored.recipients == frozenset({"c@d.fr", "e@f.fr"})
    assert named_recipients(raw) == frozenset({"c@d.fr", "e@f.fr"})


def test_recipients_that_cannot_be_read_are_unknown() -> None:
    """A list of half of them would be a lie."""
    raw = a_plain_message(b"Cc: a@b(c)@d.fr")
    assert named_recipients(raw) is None
    assert restored_message(raw, protected_entity(raw, cipher=False)).recipients is None


def test_without_protection_nobody_was_named_by_the_signer() -> None:
    """Fields outside are anybody's."""
    assert restored_message(a_plain_message(), b"\r\nx").recipients is None
