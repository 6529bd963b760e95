"""Recognising reports in what arrives."""

import pytest

from directory.address import MailAddress
from mss.mime.entity import outer_message, protected_entity, restored_message
from mss.mime.errors import MessageSyntaxError
from mss.mime.mdn import IntegrationResult
from mss.mime.parse import parse_message
from mss.mime.reports import Report, ReportKind, find_report
from tests.unit.mss.mime.samples import MESSAGE_ID, a_message, a_multipart, a_plain_message
from tests.unit.mss.mime.test_dsn import POSTFIX, STATUS, _dsn
from tests.unit.mss.mime.test_mdn import READ, REFUSED, _mdn


def _report(raw: bytes) -> Report:
    report = find_report(parse_message(raw))
    assert report is not None
    return report


def _postfix(*, returned: bytes, machine: bytes = POSTFIX, kind: bytes = b"message") -> bytes:
    return a_multipart(
        b"--b\r\n\r\nSorry.\r\n--b\r\nContent-Type: " + kind + b"/delivery-status\r\n\r\n"
        + machine + b"\r\n--b\r\n" + returned + b"\r\n--b--\r\n",
        subtype=b"report; report-type=delivery-status",
    )  # fmt: skip


def test_our_own_notification_is_recognised() -> None:
    """Two of our operators talk to each other in it."""
    report = _report(_dsn(STATUS))
    (recipient,) = report.recipients
    assert report.kind is ReportKind.DELIVERY
    assert report.original_envelope_id == "QQ314159"
    assert report.original_message_id == MESSAGE_ID
    assert recipient.address == MailAddress.parse("jean.martin@medecin.mssante.fr")
    assert (recipient.action, recipient.status) == ("failed", "5.1.1")
    assert recipient.diagnostic == "550 5.1.1 No such mailbox"


def test_our_own_receipt_is_recognised() -> None:
    """It closes the line of a recipient in the follow-up."""
    report = _report(_mdn(READ))
    assert report.kind is ReportKind.DISPOSITION
    assert report.original_message_id == MESSAGE_ID
    assert [item.action for item in report.recipients] == ["displayed"]
    assert report.integration is None


def test_an_integration_result_is_recognised() -> None:
    """The hospital's software learns that the letter was not filed."""
    report = _report(_mdn(REFUSED, return_content=True))
    assert report.integration == IntegrationResult(
        succeeded=False, code="902", label="Identifiant de patient inconnu"
    )


@pytest.mark.parametrize(
    "returned",
    [
        b"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <1@x.fr>\r\nTo: c@d.fr",
        b"Content-Type: message/rfc822\r\n\r\nMessage-ID: <1@x.fr>\r\n\r\nbody\r\n--b1",
        (
            b"Content-Type: text/rfc822-headers\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\nTWVzc2FnZS1JRDogPDFAeC5mcj4NCg=="
        ),
    ],
)
def test_the_original_is_named_by_what_was_returned(returned: bytes) -> None:
    """RFC 3464 has no field for the identifier of the message."""
    assert _report(_postfix(returned=returned)).original_message_id == "<1@x.fr>"


@pytest.mark.parametrize(
    "returned",
    [
        b"Content-Type: text/rfc822-headers\r\n\r\nbroken",
        b"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: broken",
        b"Content-Type: text/plain\r\n\r\nnothing",
    ],
)
def test_a_damaged_copy_does_not_lose_the_report(returned: bytes) -> None:
    """The failure is told all the same; which letter, another way must find out."""
    report = _report(_postfix(returned=returned))
    assert report.original_message_id is None
    assert [item.action for item in report.recipients] == ["failed"]


def test_a_report_inside_a_kept_signature_is_found() -> None:
    """The signed entity stays in the message as evidence."""
    raw = _dsn(STATUS)
    payload = protected_entity(raw, cipher=False)
    signed = (
        b"Content-Type: multipart/signed; boundary=sig\r\n\r\n--sig\r\n" + payload
        + b"\r\n--sig\r\nContent-Type: application/pkcs7-signature\r\n\r\nx\r\n--sig--\r\n"
    )  # fmt: skip
    outer = outer_message(raw, signed, obscure_subject=False)
    restored = restored_message(outer, payload, evidence=signed)
    assert _report(restored.raw).original_envelope_id == "QQ314159"


@pytest.mark.parametrize(
    "prefix", ["[KO Intégration système !][902]", "[Erreur d'intégration !][902]"]
)
def test_the_ordinary_mail_form_is_read_by_its_code(prefix: str) -> None:
    """The words differ between versions of the guide; the bracketed code does not."""
    subject = f"Subject: {prefix} XDM/1.0/DDM+Lettre".encode()
    report = _report(a_plain_message(subject, b"In-Reply-To: <0@b.fr>"))
    assert report.kind is ReportKind.INTEGRATION
    assert report.original_message_id == "<0@b.fr>"
    assert report.integration == IntegrationResult(succeeded=False, code="902")


@pytest.mark.parametrize(
    "raw",
    [
        a_message(),
        a_plain_message(b"Subject: [902] letter", b"In-Reply-To: <0@b.fr>"),
        a_plain_message("Subject: [KO Intégration système !][902]".encode()),
        a_plain_message(
            "Subject: Re: [KO Intégration système !][902]".encode(), b"In-Reply-To: <0@b.fr>"
        ),
        a_multipart(b"--b\r\n\r\nx\r\n--b--\r\n", subtype=b"report"),
        a_multipart(b"--b\r\nContent-Type: message/delivery-status\r\n\r\nx\r\n--b--\r\n"),
    ],
)
def test_ordinary_mail_is_no_report(raw: bytes) -> None:
    """A letter taken for a report would never reach its reader."""
    assert find_report(parse_message(raw)) is None


OPENSMTPD = (
    b"From: Mailer Daemon <%b@mta.ch-essai.mssante.fr>\r\n"
    b"Date: Tue, 3 Nov 2026 09:30:00 +0000\r\nMIME-Version: 1.0\r\n"
    b"Subject: Delivery status notification: failed\r\n"
    b'Content-Type: multipart/mixed;boundary="148/mta"\r\n\r\n'
    b"--148/mta\r\nContent-Description: Notification\r\n\r\nHi!\r\n\r\n--148/mta\r\n"
    b"Content-Description: Delivery Report\r\nContent-Type: message/delivery-status\r\n\r\n"
    b"Reporting-MTA: dns; mta.ch-essai.mssante.fr\r\n\r\n%b\r\n\r\n--148/mta\r\n"
    b"Content-Type: text/rfc822-headers\r\n\r\nMessage-ID: <x1@ch-essai.mssante.fr>\r\n"
    b"\r\n--148/mta--\r\n"
)
OPENSMTPD_GROUP = (
    b"Final-Recipient: rfc822; inconnu@ch-essai.mssante.fr\r\nAction: failed\r\nStatus: 5.3.0"
)


def test_the_reports_of_opensmtpd_are_recognised() -> None:
    """They are reports in everything but the name of their envelope."""
    report = _report(OPENSMTPD % (b"MAILER-DAEMON", OPENSMTPD_GROUP))

    assert (report.kind, report.is_formal) == (ReportKind.DELIVERY, True)
    assert report.original_message_id == "<x1@ch-essai.mssante.fr>"
    (recipient,) = report.recipients
    assert str(recipient.address) == "inconnu@ch-essai.mssante.fr"
    assert (recipient.action, recipient.status) == ("failed", "5.3.0")


@pytest.mark.parametrize(
    ("author", "group"),
    [(b"a.colleague", OPENSMTPD_GROUP), (b"MAILER-DAEMON", b"Status: nonsense")],
    ids=["a report that somebody passes on", "one that cannot be read"],
)
def test_other_mail_with_such_a_part_is_ordinary(author: bytes, group: bytes) -> None:
    """It did not claim to be a report, so nothing is refused and nobody's letter is touched."""
    assert find_report(parse_message(OPENSMTPD % (author, group))) is None


def test_an_unreadable_report_is_refused() -> None:
    """It claims to be about a letter; the caller decides what a broken claim is worth."""
    raw = _postfix(returned=b"\r\n", machine=b"Reporting-MTA: dns; a\r\n")
    with pytest.raises(MessageSyntaxError):
        find_report(parse_message(raw))


def test_the_international_types_are_read() -> None:
    """RFC 6533 renames the parts; the fields are the same."""
    raw = _postfix(returned=b"\r\n").replace(b"message/delivery-", b"message/global-delivery-")
    assert _report(raw).recipients[0].status == "5.1.1"
