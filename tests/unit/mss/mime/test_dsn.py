"""Delivery status notifications."""

from dataclasses import replace
from datetime import timedelta

import pytest

from directory.address import MailAddress
from mss.mime.dsn import (
    Action,
    DeliveryStatus,
    RecipientStatus,
    build_delivery_status,
    build_dsn,
    parse_delivery_status,
)
from mss.mime.errors import HeaderValueError, MessageLimitError, MessageSyntaxError
from mss.mime.limits import MimeLimits
from mss.mime.octets import check_octets
from mss.mime.parse import parse_message, part_text
from tests.unit.mss.mime.samples import AT, a_message, named

FAILED = RecipientStatus(
    final_recipient="jean.martin@medecin.mssante.fr",
    action=Action.FAILED,
    status="5.1.1",
    original_recipient="Jean.Martin@medecin.mssante.fr",
    remote_mta="mx.medecin.mssante.fr",
    diagnostic_code="550 5.1.1 No such mailbox",
    last_attempt_at=AT,
)
STATUS = DeliveryStatus(
    reporting_mta="mx.chu.mssante.fr",
    recipients=(FAILED,),
    original_envelope_id="QQ314159",
    arrival_at=AT - timedelta(hours=2),
)


def _dsn(status: DeliveryStatus) -> bytes:
    return build_dsn(
        status,
        original=a_message(),
        author=named("postmaster@chu.mssante.fr", "Système de messagerie"),
        to=MailAddress.parse("cardio@chu.mssante.fr"),
        message_id="<dsn1@chu.mssante.fr>",
        at=AT,
    )


@pytest.mark.parametrize(
    "status",
    [
        STATUS,
        DeliveryStatus(
            reporting_mta="mx.a.fr",
            recipients=(
                RecipientStatus(final_recipient="a@b.fr", action=Action.DELIVERED, status="2.0.0"),
                RecipientStatus(
                    final_recipient="c@d.fr",
                    action=Action.DELAYED,
                    status="4.4.1",
                    will_retry_until=AT + timedelta(days=2),
                ),
                RecipientStatus(final_recipient="e@f.fr", action=Action.RELAYED, status="2.0.0"),
                RecipientStatus(final_recipient="g@h.fr", action=Action.EXPANDED, status="2.0.0"),
            ),
        ),
    ],
)
def test_a_status_reads_back_as_it_was(status: DeliveryStatus) -> None:
    """Senders' software drives its follow-up from these fields."""
    assert parse_delivery_status(build_delivery_status(status)) == status


def test_a_notification_is_a_report_in_the_thread() -> None:
    """RFC 6522: three parts; RFC 3834: it says that no person wrote it."""
    message = parse_message(_dsn(STATUS))
    assert [part.content_type for part in message.root.children] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert message.root.parameters["report-type"] == "delivery-status"
    assert message.auto_submitted == "auto-replied"
    assert message.in_reply_to == "<m1@chu.mssante.fr>"
    check_octets(message.raw)


def test_a_notification_speaks_both_languages() -> None:
    """Its reader is a person first."""
    message = parse_message(_dsn(STATUS))
    text = part_text(message.raw, message.root.children[0])
    assert "Votre message n'a pas pu être remis à :" in text
    assert "Your message could not be delivered to:" in text
    assert text.count("Jean.Martin@medecin.mssante.fr  (5.1.1)") == 2


def test_a_notification_tells_nothing_clinical() -> None:
    """It may travel unencrypted where the letter did not."""
    raw = _dsn(STATUS)
    for secret in (b"DUPONT", b"XDM/1.0", b"34112-3", b"CORSE", b"a@b.mssante.fr", b"Bonjour"):
        assert secret not in raw


def test_the_gravest_outcome_names_the_notification() -> None:
    """One failure among ten deliveries is what the sender must see."""
    delivered = replace(FAILED, action=Action.DELIVERED, status="2.0.0")
    raw = _dsn(replace(STATUS, recipients=(delivered, FAILED)))
    assert parse_message(raw).subject == "Message non remis / Message not delivered"


def test_a_foreign_answer_cannot_write_fields() -> None:
    """The remote host chooses the words of its refusal."""
    hostile = replace(FAILED, diagnostic_code="550 no\r\nAction: delivered\r\n\r\n\0é" + "x" * 2000)
    status = parse_delivery_status(build_delivery_status(replace(STATUS, recipients=(hostile,))))
    assert [item.action for item in status.recipients] == [Action.FAILED]
    assert len(status.recipients[0].diagnostic_code or "") <= 500


@pytest.mark.parametrize(
    "change",
    [
        {"final_recipient": "a@b.fr\r\nAction: delivered"},
        {"original_recipient": "a@b.fr\r\n\r\nFinal-Recipient: x"},
        {"remote_mta": "mx\r\nAction: delivered"},
    ],
)
def test_no_value_opens_a_line(change: dict[str, str]) -> None:
    """Row 21 of the threats, inside the body of a report."""
    item = replace(FAILED, **change)  # type: ignore[arg-type]
    status = parse_delivery_status(build_delivery_status(replace(STATUS, recipients=(item,))))
    assert [item.action for item in status.recipients] == [Action.FAILED]


def test_an_envelope_id_with_a_control_is_refused() -> None:
    """It comes from the envelope, decoded from xtext, which can hold anything."""
    with pytest.raises(HeaderValueError):
        build_delivery_status(replace(STATUS, original_envelope_id="a\r\nb"))


POSTFIX = (
    b"Reporting-MTA: dns; mail.example.fr\r\n"
    b"X-Postfix-Queue-ID: 4F8A21\r\n"
    b"Arrival-Date: Mon, 23 Nov 2026 18:00:00 +0000 (UTC)\r\n"
    b"\r\n"
    b"Final-Recipient: rfc822; a@b.fr\r\n"
    b"Original-Recipient: rfc822;A@b.fr\r\n"
    b"Action: failed\r\n"
    b"Status: 5.1.1\r\n"
    b"Remote-MTA: dns; mx.b.fr\r\n"
    b"Diagnostic-Code: smtp; 550 5.1.1 <a@b.fr>: Recipient address rejected:\r\n"
    b"    User unknown\r\n"
    b"\r\n"
)


def test_the_report_of_a_common_host_is_read() -> None:
    """Fields that we do not know are skipped, folded answers joined."""
    status = parse_delivery_status(POSTFIX)
    (item,) = status.recipients
    assert (status.reporting_mta, status.arrival_at) == ("mail.example.fr", AT)
    assert (item.action, item.status) == (Action.FAILED, "5.1.1")
    assert item.address == MailAddress.parse("a@b.fr")
    assert item.diagnostic_code is not None
    assert item.diagnostic_code.endswith("User unknown")


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (b"Status: 5.1.1", b"Status: 5.1.1 (bad mailbox)", "5.1.1"),
        (b"Status: 5.1.1", b"Status: none", "5.0.0"),
        (b"Status: 5.1.1\r\n", b"", "5.0.0"),
        (b"Action: failed", b"Action: FAILED (really)", "5.1.1"),
    ],
)
def test_sloppy_reports_are_still_understood(before: bytes, after: bytes, status: str) -> None:
    """A failure that is not understood is a letter that nobody knows is lost."""
    (item,) = parse_delivery_status(POSTFIX.replace(before, after)).recipients
    assert (item.action, item.status) == (Action.FAILED, status)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n\r\n",
        b"Reporting-MTA: dns; a",
        POSTFIX.replace(b"Action: failed\r\n", b"").replace(b"Status: ", b"X-Status: "),
        POSTFIX.replace(b"failed", b"exploded").replace(b"5.1.1\r", b"unknown\r"),
        POSTFIX.replace(b"-Recipient", b"-Receiver"),
        POSTFIX.replace(b"Status:", b"Status"),
    ],
)
def test_a_report_without_its_facts_is_refused(octets: bytes) -> None:
    """Guessing what became of a letter is worse than not knowing."""
    with pytest.raises(MessageSyntaxError):
        parse_delivery_status(octets)


@pytest.mark.parametrize(
    "octets", [b"x" * 2_000_000, b"Action: failed\r\n\r\n" * 50_000, b"\r\n" * 500_000]
)
def test_a_report_is_bounded(octets: bytes) -> None:
    """Anybody can send one."""
    with pytest.raises((MessageLimitError, MessageSyntaxError)):
        parse_delivery_status(octets, MimeLimits())


def test_an_unreadable_recipient_is_no_address() -> None:
    """Some hosts report local names or X.400 addresses."""
    item = replace(FAILED, original_recipient=None, final_recipient="/CN=x/")
    assert item.address is None
