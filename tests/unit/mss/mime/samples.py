"""Messages and parts that the tests of this folder share."""

from datetime import UTC, datetime

from directory.address import MailAddress
from mss.mime.addresses import NamedAddress
from mss.mime.build import Attachment, Draft, build_message

AT = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
MESSAGE_ID = "<m1@chu.mssante.fr>"
SUBJECT = "XDM/1.0/DDM+Lettre de liaison à la sortie d'un établissement DUPONT Jean 01/01/1950"


def named(address: str, name: str = "") -> NamedAddress:
    """Name a party."""
    return NamedAddress(address=MailAddress.parse(address), display_name=name)


def a_draft() -> Draft:
    """Write a discharge letter with everything a draft can hold."""
    return Draft(
        author=named("cardio@chu.mssante.fr", "Hôpital, service (cardio)"),
        sender=named("dpi@chu.mssante.fr"),
        to=(named("jean.martin@medecin.mssante.fr", 'Dr "Jean" MARTIN'),),
        cc=(named("a@b.mssante.fr"), named("c@d.mssante.fr", "C_D")),
        reply_to=(named("secretariat@chu.mssante.fr"),),
        disposition_notification_to=(named("cardio@chu.mssante.fr"),),
        subject=SUBJECT,
        text="Bonjour,\n\nFrom here on:\n.\ntrailing  \nà bientôt\n",
        html="<p>Bonjour, à bientôt</p>\n",
        attachments=(
            Attachment(
                filename="20220531_CR d'imagerie médicale_CORSE_FIGATELLIX.pdf",
                content_type="application/pdf",
                octets=bytes(range(256)) * 4,
            ),
            Attachment(
                filename="IHE_XDM.zip", content_type="application/zip", octets=b"PK\x03\x04"
            ),
        ),
        in_reply_to="<before@medecin.mssante.fr>",
        references=("<first@medecin.mssante.fr>", "<before@medecin.mssante.fr>"),
        mss_fields={"X-MSS-NIL": "DEV935997", "X-MSS-CODECDA": "34112-3", "X-MSS-INS": "O"},
    )


def a_message() -> bytes:
    """Write that letter."""
    return build_message(a_draft(), message_id=MESSAGE_ID, at=AT)


def a_plain_message(*extra: bytes, body: bytes = b"text\r\n") -> bytes:
    """Write a small message by hand, with extra header lines."""
    lines = [b"From: a@b.fr", b"To: c@d.fr", b"Message-ID: <1@b.fr>", *extra, b"", body]
    return b"\r\n".join(lines)


def a_multipart(body: bytes, *, boundary: bytes = b"b", subtype: bytes = b"mixed") -> bytes:
    """Write a multipart message by hand; *body* brings its delimiters."""
    content_type = b"Content-Type: multipart/%b; boundary=%b" % (subtype, boundary)
    return a_plain_message(b"MIME-Version: 1.0", content_type, body=body)
