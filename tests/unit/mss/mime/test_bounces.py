"""Bounces written for people."""

import time

import pytest

from directory.address import MailAddress
from mss.mime.bounces import find_bounce
from mss.mime.parse import parse_message
from mss.mime.reports import ReportKind, find_report
from tests.support.reports import LETTER_ID, Dialect, dialects

RECIPIENT = "279035121518989@patient.mssante.fr"
SENDER = "sortie.cardiologie@ch-demo.mssante.fr"


@pytest.mark.parametrize(
    "dialect",
    dialects(RECIPIENT, to=SENDER),
    ids=[one.name for one in dialects("a@b.fr", to="c@d.fr")],
)
def test_a_bounce_tells_which_letter_for_whom_and_why(dialect: Dialect) -> None:
    """In whatever words: a person must hear of it, and the timeline must show it."""
    report = find_report(parse_message(dialect.raw))

    assert report is not None
    assert report.kind is ReportKind.DELIVERY
    assert report.original_message_id == LETTER_ID
    (about,) = [one for one in report.recipients if one.address == MailAddress.parse(RECIPIENT)]
    assert (about.action, about.reason or about.status, about.status) == (
        "failed",
        dialect.reason,
        dialect.status,
    )


@pytest.mark.parametrize(
    "subject",
    [
        "Re: Message non distribué hier",
        "Patient inconnu de nos services",
        "Votre courrier",
        "Fermeture de la boîte aux lettres",
    ],
)
def test_a_letter_about_bounces_is_no_bounce(subject: str) -> None:
    """People write about mail that came back, too."""
    raw = (
        f"From: a@b.mssante.fr\r\nTo: c@d.mssante.fr\r\nSubject: {subject}\r\n"
        "Message-ID: <1@b.fr>\r\n\r\nLa boîte x@y.mssante.fr est introuvable.\r\n"
    )

    assert find_bounce(parse_message(raw.encode())) is None


def test_the_words_of_the_returned_letter_do_not_count() -> None:
    """Its subject says closed and unknown; the host said neither."""
    exim = next(one for one in dialects(RECIPIENT, to=SENDER) if one.name == "Exim")

    bounce = find_bounce(parse_message(exim.raw))

    assert bounce is not None
    assert bounce.reason == "peer-refused"


@pytest.mark.parametrize(
    "filling",
    [
        b"-" * 60_000,
        b" \t" * 30_000,
        b"a@" * 30_000,
        b"a.b@c.d" * 9_000,
        b"\r\n".join([b"-- "] * 900),
    ],
    ids=["dashes", "blanks", "at signs", "addresses", "lines"],
)
def test_a_hostile_bounce_costs_little(filling: bytes) -> None:
    """Whoever may write to us may write this."""
    lines = b"\r\n".join(filling[at : at + 900] for at in range(0, len(filling), 900))
    raw = (
        b"From: a@b.mssante.fr\r\nTo: c@d.mssante.fr\r\nSubject: failure notice\r\n"
        b"Message-ID: <1@b.fr>\r\n\r\n" + lines + b"\r\n"
    )
    message = parse_message(raw)
    begun = time.process_time()

    bounce = find_bounce(message)

    assert bounce is not None
    assert len(bounce.addresses) <= 20
    assert time.process_time() - begun < 1.0
