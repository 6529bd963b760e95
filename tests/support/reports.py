"""Bounces as other systems write them, about a letter of ours."""

from dataclasses import dataclass, replace
from typing import Final

LETTER_ID: Final = "<letter-1@his.ch-demo.fr>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one system says that a letter was not delivered."""

    name: str
    raw: bytes
    reason: str
    status: str


def _mail(head: list[str], body: str) -> bytes:
    return "\r\n".join([*head, "", *body.splitlines(), ""]).encode()


def dialects(recipient: str, *, to: str, by: str | None = None) -> list[Dialect]:
    """Write a bounce about *recipient* in every dialect, addressed *to* the letter's sender.

    Args:
        recipient: Who did not get the letter.
        to: Who had written it.
        by: The domain that the bounce comes from; the recipient's, if none is given.
    """
    own = recipient.partition("@")[2]
    return [
        replace(one, raw=one.raw.replace(b"DOMAIN", (by or own).encode()))
        for one in _all(recipient, to)
    ]


def _all(recipient: str, to: str) -> list[Dialect]:
    return [
        _patient_space(recipient, to, "La boîte aux lettres du patient est fermée.", "closed"),
        _patient_space(recipient, to, "Le patient est introuvable.", "unknown"),
        _patient_space(
            recipient, to, "L\N{RIGHT SINGLE QUOTATION MARK}adresse est invalide.", "invalid"
        ),
        _exim(recipient, to),
        _qmail(recipient, to),
        _exchange(recipient, to),
        _bare_status(recipient, to),
    ]


def _patient_space(recipient: str, to: str, words: str, name: str) -> Dialect:
    head = [
        "From: ne-pas-repondre@DOMAIN",
        f"To: {to}",
        "Subject: =?utf-8?q?Message_non_distribu=C3=A9?=",
        "Message-ID: <b1@DOMAIN>",
        f"In-Reply-To: {LETTER_ID}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
    ]
    body = f"Bonjour,\n\nVotre message à {recipient} n'a pas pu être distribué.\n{words}\n"
    closed = name == "closed"
    return Dialect(
        name=f"patient space: {name}",
        raw=_mail(head, body),
        reason="mailbox-closed" if closed else "recipient-unknown",
        status="5.2.1" if closed else "5.1.1",
    )


def _exim(recipient: str, to: str) -> Dialect:
    head = [
        f"X-Failed-Recipients: {recipient}",
        "Auto-Submitted: auto-replied",
        "From: Mail Delivery System <Mailer-Daemon@DOMAIN>",
        f"To: {to}",
        "Subject: Mail delivery failed: returning message to sender",
        "Message-ID: <E1@DOMAIN>",
    ]
    body = f"""This message was created automatically by mail delivery software.

A message that you sent could not be delivered to one or more of its
recipients. This is a permanent error. The following address(es) failed:

  {recipient}
    mailbox is full: this account is over its quota

------ This is a copy of the message, including all the headers. ------

From: {to}
Subject: compte inconnu, boite fermee
Message-ID: {LETTER_ID}

texte
"""
    return Dialect(name="Exim", raw=_mail(head, body), reason="peer-refused", status="5.0.0")


def _qmail(recipient: str, to: str) -> Dialect:
    head = [
        "From: MAILER-DAEMON@DOMAIN",
        f"To: {to}",
        "Subject: failure notice",
        "Message-ID: <q1@DOMAIN>",
    ]
    body = f"""Hi. This is the qmail-send program at mx.cabinets-demo.mssante.fr.
I'm afraid I wasn't able to deliver your message to the following addresses.

<{recipient}>:
Sorry, no mailbox here by that name. No such user. (#5.1.1)

--- Below this line is a copy of the message.

Message-ID: {LETTER_ID}
Subject: x

texte
"""
    return Dialect(name="qmail", raw=_mail(head, body), reason="recipient-unknown", status="5.1.1")


def _report(machine: str, to: str, returned: str) -> bytes:
    head = [
        "From: postmaster@DOMAIN",
        f"To: {to}",
        "Subject: Undeliverable: letter",
        "Message-ID: <r1@DOMAIN>",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
    ]
    body = (
        "--b\nContent-Type: text/html; charset=utf-8\n\n<p>sorry</p>\n"
        f"--b\nContent-Type: message/delivery-status\n\n{machine}\n"
        f"--b\nContent-Type: {returned}\n\nMessage-ID: {LETTER_ID}\n\ntexte\n--b--\n"
    )
    return _mail(head, body)


def _exchange(recipient: str, to: str) -> Dialect:
    machine = (
        "Reporting-MTA: dns;EXCH01.interne.fr\nReceived-From-MTA: dns;EXCH02\n"
        "Arrival-Date: Mon, 23 Nov 2026 20:00:00 +0000\n\n"
        f"Original-Recipient: rfc822;{recipient}\nFinal-Recipient: rfc822;{recipient}\n"
        "Action: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp;552 5.2.2 quota\n"
        "X-Display-Name: BAL\n"
    )
    raw = _report(machine, to, "message/rfc822")
    return Dialect(name="Exchange", raw=raw, reason="5.2.2", status="5.2.2")


def _bare_status(recipient: str, to: str) -> Dialect:
    machine = f"Final-Recipient: RFC822; {recipient}\nStatus: 5.1.1 (bad mailbox)\n \n"
    raw = _report(machine, to, "text/rfc822-headers")
    return Dialect(name="no groups, no action", raw=raw, reason="5.1.1", status="5.1.1")
