from dataclasses import replace

import pytest

from directory.address import MailAddress
from mss.errors import PeerNotTrustedError, SenderNotAllowedError
from mss.model.principal import (
    AccountPrincipal,
    PeerPrincipal,
    Principal,
    Right,
    SystemPrincipal,
)
from mss.policy.identity import author_objection, sender_objection

MINE = MailAddress.parse("Ward@ch-demo.mssante.fr")
READ_ONLY = MailAddress.parse("shared@ch-demo.mssante.fr")
THEIRS = MailAddress.parse("gp@cabinets-demo.mssante.fr")
SUB = MailAddress.parse("ward@sub.ch-demo.mssante.fr")

ACCOUNT = AccountPrincipal(
    account_id="a1",
    name="his",
    rights={
        "ward@ch-demo.mssante.fr": frozenset({Right.SEND}),
        "shared@ch-demo.mssante.fr": frozenset({Right.READ, Right.MANAGE}),
    },
    means="token",
)
PEER = PeerPrincipal(
    subject="CN=mail.ch-demo.mssante.fr",
    fingerprint="0" * 64,
    domains=frozenset({"ch-demo.mssante.fr"}),
    host="192.0.2.1",
)
SYSTEM = SystemPrincipal(reason="failed")


@pytest.mark.parametrize(
    ("principal", "sender", "objection"),
    [
        (ACCOUNT, MINE, type(None)),
        (ACCOUNT, MailAddress.parse(str(MINE).upper()), type(None)),
        (ACCOUNT, READ_ONLY, SenderNotAllowedError),
        (ACCOUNT, THEIRS, SenderNotAllowedError),
        (ACCOUNT, None, SenderNotAllowedError),
        (PEER, MINE, type(None)),
        (PEER, None, type(None)),
        (PEER, THEIRS, PeerNotTrustedError),
        (PEER, SUB, PeerNotTrustedError),
        (SYSTEM, None, type(None)),
        (SYSTEM, MINE, type(None)),
    ],
)
def test_an_envelope_sender_belongs_to_whoever_is_connected(
    principal: Principal, sender: MailAddress | None, objection: type[object]
) -> None:
    """The right to send, or exactly a domain of the certificate; reading is not writing."""
    assert isinstance(sender_objection(principal, sender), objection)


@pytest.mark.parametrize(
    ("principal", "sender", "author", "objection"),
    [
        (ACCOUNT, MINE, MINE, type(None)),
        (ACCOUNT, MINE, READ_ONLY, SenderNotAllowedError),
        (ACCOUNT, None, MINE, SenderNotAllowedError),
        (PEER, MINE, READ_ONLY, type(None)),
        (PEER, None, MINE, type(None)),
        (PEER, MINE, THEIRS, PeerNotTrustedError),
        (PEER, MINE, SUB, PeerNotTrustedError),
        (SYSTEM, None, MINE, type(None)),
    ],
)
def test_an_author_belongs_to_whoever_is_connected(
    principal: Principal, sender: MailAddress | None, author: MailAddress, objection: type[object]
) -> None:
    """From is what readers see: the mailbox written as, or a domain of the operator."""
    found = author_objection(principal, sender=sender, author=author)

    assert isinstance(found, objection)


BUS = replace(PEER, subject="CN=bus.operateur.example,O=OPERATEUR")


@pytest.mark.parametrize(
    ("peer", "sender", "author", "objection"),
    [
        (PEER, None, "MAILER-DAEMON@mta.ch-demo.mssante.fr", type(None)),
        (PEER, None, "Postmaster@a.b.ch-demo.mssante.fr", type(None)),
        (BUS, None, "mailer-daemon@bus.operateur.example", type(None)),
        (PEER, MINE, "MAILER-DAEMON@mta.ch-demo.mssante.fr", PeerNotTrustedError),
        (PEER, None, "ward@mta.ch-demo.mssante.fr", PeerNotTrustedError),
        (PEER, None, "MAILER-DAEMON@elsewhere.mssante.fr", PeerNotTrustedError),
        (PEER, None, "MAILER-DAEMON@not-ch-demo.mssante.fr", PeerNotTrustedError),
        (PEER, None, "MAILER-DAEMON@mssante.fr", PeerNotTrustedError),
        (PEER, None, "MAILER-DAEMON@bus.operateur.example", PeerNotTrustedError),
        (replace(PEER, subject="?"), None, "MAILER-DAEMON@x.example", PeerNotTrustedError),
    ],
)
def test_reports_of_a_peer_may_come_from_its_hosts(
    peer: PeerPrincipal, sender: MailAddress | None, author: str, objection: type[object]
) -> None:
    """Postfix, Exim and OpenSMTPD all write as their host; a person's name gains nothing by it."""
    found = author_objection(peer, sender=sender, author=MailAddress.parse(author))

    assert isinstance(found, objection)
