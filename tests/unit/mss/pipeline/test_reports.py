"""Reports: what is owed, to whom, how often, and which ones are believed."""

from dataclasses import replace
from pathlib import Path

import pytest

from directory.address import MailAddress
from mss.mime.addresses import NamedAddress
from mss.mime.dsn import Action, DeliveryStatus, RecipientStatus, build_dsn
from mss.mime.mdn import (
    Disposition,
    DispositionNotification,
    DispositionType,
    build_mdn,
)
from mss.mime.parse import parse_message, part_text
from mss.mime.reports import ReportKind, find_report
from mss.model.delivery import Deferred, DeliveryState, Refused, Relayed, Station, Tracking
from mss.model.envelope import Notify
from mss.model.mailbox import Flag
from mss.model.principal import AccountPrincipal, PeerPrincipal
from mss.settings import QueueSettings
from mss.store import messages, tables
from tests.support.clock import FixedClock
from tests.support.factories import (
    GP,
    LAB,
    PRACTICE_DOMAIN,
    WARD,
    Pair,
    a_letter,
    a_pair,
)
from tests.support.reports import Dialect, dialects

AWAY = Deferred(code="no-host", detail="nobody answers")
NO = Refused(code="recipient-unknown", detail="550 5.1.1 no such mailbox")
ASKS_RECEIPT = (f"Disposition-Notification-To: {WARD}",)


async def reports_to_the_ward(pair: Pair) -> list[str]:
    """Say what the reports in the ward's mailbox tell, oldest first."""
    told = []
    for view in reversed(await pair.hospital.letters("ward", WARD)):
        report = find_report(parse_message(await pair.hospital.blobs.get(view.message.blob_ref)))
        told += [one.action for one in report.recipients] if report else []
    return told


async def tracked(pair: Pair, ward: AccountPrincipal, message_id: str) -> Tracking:
    (tracking,) = await pair.hospital.services.tracking.get_tracking(ward, message_id)
    return tracking


# Failure, delay, expiry


async def test_a_refused_letter_comes_back(pair: Pair, ward: AccountPrincipal) -> None:
    """The sender learns which letter, for whom, and why; in the inbox, where it is seen."""
    pair.hospital.relay.answers.append(NO)
    accepted = await pair.hospital.submit(ward, a_letter(subject="Mme CANARI"))
    await pair.settle()

    newest, _ = await pair.hospital.letters("ward", WARD)
    raw = await pair.hospital.blobs.get(newest.message.blob_ref)
    report = find_report(parse_message(raw))

    assert (await tracked(pair, ward, accepted.message_id)).state is DeliveryState.FAILED
    assert newest.deposits[0].folder == "inbox"
    assert report is not None
    assert report.kind is ReportKind.DELIVERY
    assert report.original_envelope_id == accepted.message_id
    assert [(str(one.address), one.action) for one in report.recipients] == [(GP, "failed")]
    assert "550 5.1.1" in report.recipients[0].diagnostic
    assert b"CANARI" not in raw  # a subject names a patient


async def test_a_sender_who_wants_no_report_gets_none(pair: Pair, ward: AccountPrincipal) -> None:
    """NOTIFY=NEVER is respected, whatever happens (RFC 3461, 4.1)."""
    pair.hospital.relay.answers.append(NO)
    await pair.hospital.submit(ward, a_letter(), GP, notify=frozenset({Notify.NEVER}))
    await pair.settle()

    assert await reports_to_the_ward(pair) == []


async def test_attempts_follow_the_schedule(homes: Path, clock: FixedClock) -> None:
    """Each delay of the settings in its turn; the last one repeats."""
    queue = QueueSettings(delays=(60, 300), spread=0, expires_after=3600, delayed_after=3600)
    async with a_pair(homes, clock, queue=queue) as pair:
        pair.hospital.relay.answers += [AWAY] * 100
        start = clock.now()
        await pair.hospital.submit(await pair.hospital.log_in("ward"), a_letter())
        attempts = []
        for _ in range(15):
            tried = len(pair.hospital.relay.carried)
            await pair.hospital.work()
            if len(pair.hospital.relay.carried) > tried:
                attempts.append((clock.now() - start).total_seconds() / 60)
            clock.advance(minutes=1)

    assert attempts == [0, 1, 6, 11]


async def test_a_letter_that_nobody_takes_expires_and_comes_back(
    homes: Path, clock: FixedClock
) -> None:
    """The last attempt is made at the very end; then the sender is told, once."""
    queue = QueueSettings(delays=(600,), spread=0, expires_after=900, delayed_after=9999)
    async with a_pair(homes, clock, queue=queue) as pair:
        pair.hospital.relay.answers += [AWAY] * 10
        ward = await pair.hospital.log_in("ward")
        accepted = await pair.hospital.submit(ward, a_letter())
        for _ in range(6):
            await pair.settle()
            clock.advance(minutes=5)
        tracking = await tracked(pair, ward, accepted.message_id)

        assert len(pair.hospital.relay.carried) == 3  # after 0, 10 and 15 minutes
        assert tracking.state is DeliveryState.FAILED
        assert tracking.events[-1].code == "expired"
        assert await reports_to_the_ward(pair) == ["failed"]


async def test_a_delay_is_told_once(homes: Path, clock: FixedClock) -> None:
    """A letter that is hours late is worth one warning, not one per attempt."""
    queue = QueueSettings(delays=(60,), spread=0, expires_after=86400, delayed_after=3600)
    async with a_pair(homes, clock, queue=queue) as pair:
        pair.hospital.relay.answers += [AWAY] * 10
        await pair.hospital.submit(await pair.hospital.log_in("ward"), a_letter())
        await pair.settle()
        assert await reports_to_the_ward(pair) == []

        for _ in range(3):
            clock.advance(hours=1)
            await pair.settle()

        assert await reports_to_the_ward(pair) == ["delayed"]


async def test_a_peer_that_reports_nothing_is_spoken_for(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """Without DSN at the peer, we say that we relayed (RFC 3461, 6.2.4)."""
    pair.hospital.relay.answers.append(
        Relayed(reply="250 taken", host="old.example", reports=False)
    )
    await pair.hospital.submit(
        ward, a_letter(), GP, notify=frozenset({Notify.SUCCESS, Notify.FAILURE})
    )
    await pair.settle()

    assert await reports_to_the_ward(pair) == ["relayed"]


async def test_success_inside_the_house_is_reported_when_asked(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """A colleague's mailbox deserves the same answer as a stranger's."""
    await pair.hospital.submit(ward, a_letter(to=LAB), LAB, notify=frozenset({Notify.SUCCESS}))
    await pair.settle()

    assert await reports_to_the_ward(pair) == ["delivered"]


async def test_a_report_never_causes_a_report(pair: Pair, ward: AccountPrincipal) -> None:
    """The null sender is never answered: a report to a closed mailbox ends there."""
    pair.hospital.relay.answers.append(NO)
    await pair.hospital.submit(ward, a_letter())
    await pair.hospital.services.mailboxes.close(MailAddress.parse(WARD))
    await pair.settle()
    pair.hospital.clock.advance(hours=1)
    await pair.settle()

    assert await pair.hospital.running.worker.notifier.claim(limit=10) == []


async def test_a_report_that_cannot_be_taken_now_stays_owed(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """The sender's mailbox is full: the report waits, and comes when there is room."""
    mailboxes = pair.hospital.services.mailboxes
    pair.hospital.relay.answers.append(NO)
    await pair.hospital.submit(ward, a_letter())
    await mailboxes.set_quota(MailAddress.parse(WARD), 1)
    await pair.settle()
    assert await reports_to_the_ward(pair) == []

    await mailboxes.set_quota(MailAddress.parse(WARD), 1_000_000)
    pair.hospital.clock.advance(minutes=3)
    await pair.settle()

    assert await reports_to_the_ward(pair) == ["failed"]


async def test_two_workers_send_one_report(pair: Pair, ward: AccountPrincipal) -> None:
    """Both claimed it (one was slow): the transaction that accepts it lets one pass."""
    pair.hospital.relay.answers.append(NO)
    await pair.hospital.submit(ward, a_letter())
    (parcel,) = await pair.hospital.services.delivering.claim(slots=1, under_way={}, proven=())
    await pair.hospital.services.delivering.deliver(parcel)
    notifier = pair.hospital.running.worker.notifier
    (first,) = await notifier.claim(limit=1)
    bodies = await pair.hospital.blobs.count()

    await notifier.send(first)
    await notifier.send(first)

    assert await reports_to_the_ward(pair) == ["failed"]
    assert await pair.hospital.blobs.count() == bodies + 1


# Read receipts


async def read(
    pair: Pair, *, receipt: bool = True, account: str = "anne", address: str = GP
) -> None:
    """Mark everything in the practice's mailbox as read."""
    views = await pair.practices.letters(account, address)
    await pair.practices.services.reading.mark(
        await pair.practices.log_in(account),
        address,
        [one.message.id for one in views],
        add=frozenset({Flag.SEEN}),
        receipt=receipt,
    )


async def test_a_receipt_goes_back_once(pair: Pair, ward: AccountPrincipal) -> None:
    """However often the letter is opened."""
    await pair.hospital.submit(ward, a_letter(more=ASKS_RECEIPT))
    await pair.settle()
    await read(pair)
    await pair.settle()
    await read(pair)
    await pair.settle()

    assert (await reports_to_the_ward(pair)).count("displayed") == 1


@pytest.mark.parametrize(
    "more",
    [
        (),
        (f"Disposition-Notification-To: {LAB}",),
        (f"Disposition-Notification-To: {WARD}, {LAB}",),
        ("Disposition-Notification-To: somebody@elsewhere.example",),
    ],
    ids=["not asked", "to a colleague", "to two", "to a stranger"],
)
async def test_a_receipt_goes_to_the_sender_alone(
    pair: Pair, ward: AccountPrincipal, more: tuple[str, ...]
) -> None:
    """Nobody else learns who reads what, and when (RFC 8098, 2.1)."""
    await pair.hospital.submit(ward, a_letter(more=more))
    await pair.settle()
    before = len(pair.practices.relay.carried)
    await read(pair)
    await pair.settle()

    assert len(pair.practices.relay.carried) == before


async def test_reading_quietly_sends_nothing(pair: Pair, ward: AccountPrincipal) -> None:
    """A receipt is the reader's decision."""
    await pair.hospital.submit(ward, a_letter(more=ASKS_RECEIPT))
    await pair.settle()
    await read(pair, receipt=False)
    await pair.settle()

    assert "displayed" not in await reports_to_the_ward(pair)


async def test_a_notice_that_can_never_be_written_is_given_up(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """A row that was tampered with must not keep a worker busy for ever."""
    await pair.hospital.submit(ward, a_letter(more=ASKS_RECEIPT))
    await pair.settle()
    await read(pair)
    await pair.practices.database.write(
        lambda c: c.execute(tables.message.update().values(summary=b"tampered"))
    )

    await pair.practices.work()
    pair.practices.clock.advance(hours=1)

    assert await pair.practices.running.worker.notifier.claim(limit=10) == []


# Whose word counts


def a_dsn(accepted: object, *, action: Action = Action.DELIVERED, recipient: str = GP) -> bytes:
    """Write a delivery report about a letter of the ward's."""
    status = DeliveryStatus(
        reporting_mta="mail.cabinets-demo.mssante.fr",
        original_envelope_id=getattr(accepted, "message_id", None),
        recipients=(RecipientStatus(final_recipient=recipient, action=action, status="2.0.0"),),
    )
    return build_dsn(
        status,
        original=a_letter(),
        author=NamedAddress(address=MailAddress.parse(f"postmaster@{PRACTICE_DOMAIN}")),
        to=MailAddress.parse(WARD),
        message_id="<dsn-1@mail.cabinets-demo.mssante.fr>",
        at=FixedClock().now(),
    )


def an_mdn(original: bytes, *, reader: str = GP) -> bytes:
    """Write a read receipt about a letter of the ward's."""
    return build_mdn(
        DispositionNotification(
            final_recipient=reader,
            original_message_id="<letter-1@his.ch-demo.fr>",
            disposition=Disposition(type=DispositionType.DISPLAYED),
        ),
        original=original,
        author=NamedAddress(address=MailAddress.parse(f"postmaster@{PRACTICE_DOMAIN}")),
        to=MailAddress.parse(WARD),
        message_id="<mdn-1@mail.cabinets-demo.mssante.fr>",
        at=FixedClock().now(),
    )


@pytest.fixture
def silent(pair: Pair) -> Pair:
    """The practices take letters and do not report by themselves."""
    pair.practices.relay.peers.clear()
    return pair


async def test_the_responsible_operator_is_believed(silent: Pair, ward: AccountPrincipal) -> None:
    """It answers for the recipient's mailbox."""
    accepted = await silent.hospital.submit(ward, a_letter())
    await silent.hospital.work()

    await silent.hospital.receive(a_dsn(accepted), WARD, sender=None, peer=silent.practices.peer)

    assert (await tracked(silent, ward, accepted.message_id)).state is DeliveryState.DELIVERED


async def test_a_read_receipt_says_delivered_too(silent: Pair, ward: AccountPrincipal) -> None:
    """Who has read a letter has received it: the timeline says both."""
    accepted = await silent.hospital.submit(ward, a_letter())
    await silent.hospital.work()

    await silent.hospital.receive(an_mdn(a_letter()), WARD, sender=None, peer=silent.practices.peer)

    tracking = await tracked(silent, ward, accepted.message_id)
    assert [one.station for one in tracking.events][-2:] == [Station.DELIVERED, Station.READ]


async def test_another_operator_is_not_believed(silent: Pair, ward: AccountPrincipal) -> None:
    """A stranger of the trust space cannot mark somebody else's letter; the mail is ordinary."""
    accepted = await silent.hospital.submit(ward, a_letter())
    await silent.hospital.work()
    domain = "autre-demo.mssante.fr"
    stranger: PeerPrincipal = replace(silent.practices.peer, domains=frozenset({domain}))
    forged = a_dsn(accepted).replace(
        f"postmaster@{PRACTICE_DOMAIN}".encode(), f"postmaster@{domain}".encode()
    )

    await silent.hospital.receive(forged, WARD, sender=None, peer=stranger)

    newest, _ = await silent.hospital.letters("ward", WARD)
    assert (await tracked(silent, ward, accepted.message_id)).state is DeliveryState.RELAYED
    assert newest.deposits[0].folder == "inbox"


async def test_a_user_is_not_believed(silent: Pair, ward: AccountPrincipal) -> None:
    """What somebody writes to themselves proves nothing."""
    accepted = await silent.hospital.submit(ward, a_letter())
    await silent.hospital.work()
    forged = a_dsn(accepted).replace(f"postmaster@{PRACTICE_DOMAIN}".encode(), WARD.encode())

    await silent.hospital.submit(ward, forged, WARD)

    assert (await tracked(silent, ward, accepted.message_id)).state is DeliveryState.RELAYED


async def test_a_report_to_another_mailbox_changes_nothing(
    silent: Pair, ward: AccountPrincipal
) -> None:
    """A report comes back to whoever sent the letter."""
    accepted = await silent.hospital.submit(ward, a_letter())
    await silent.hospital.work()

    await silent.hospital.receive(a_dsn(accepted), LAB, sender=None, peer=silent.practices.peer)

    assert (await tracked(silent, ward, accepted.message_id)).state is DeliveryState.RELAYED


async def test_a_report_about_another_recipient_changes_nothing(
    silent: Pair, ward: AccountPrincipal
) -> None:
    """One colleague's receipt is not the other's."""
    accepted = await silent.hospital.submit(ward, a_letter())
    await silent.hospital.work()

    await silent.hospital.receive(
        a_dsn(accepted, recipient=f"other@{PRACTICE_DOMAIN}"),
        WARD,
        sender=None,
        peer=silent.practices.peer,
    )

    assert (await tracked(silent, ward, accepted.message_id)).state is DeliveryState.RELAYED


async def test_a_report_about_nothing_of_ours_is_ordinary_mail(silent: Pair) -> None:
    """Somebody should look at it."""
    await silent.hospital.receive(
        a_dsn(None).replace(b"<letter-1@", b"<letter-9@"),
        WARD,
        sender=None,
        peer=silent.practices.peer,
    )

    (view,) = await silent.hospital.letters("ward", WARD)
    assert view.deposits[0].folder == "inbox"


async def test_a_late_failure_does_not_undo_a_delivery(
    silent: Pair, ward: AccountPrincipal
) -> None:
    """States move forwards only; the report itself is still shown."""
    accepted = await silent.hospital.submit(ward, a_letter())
    await silent.hospital.work()
    for action in (Action.DELIVERED, Action.FAILED):
        await silent.hospital.receive(
            a_dsn(accepted, action=action), WARD, sender=None, peer=silent.practices.peer
        )

    assert (await tracked(silent, ward, accepted.message_id)).state is DeliveryState.DELIVERED


async def test_a_delay_at_the_peer_is_worth_a_line(silent: Pair, ward: AccountPrincipal) -> None:
    """It changes no state."""
    accepted = await silent.hospital.submit(ward, a_letter())
    await silent.hospital.work()

    await silent.hospital.receive(
        a_dsn(accepted, action=Action.DELAYED), WARD, sender=None, peer=silent.practices.peer
    )

    tracking = await tracked(silent, ward, accepted.message_id)
    assert tracking.state is DeliveryState.RELAYED
    assert (tracking.events[-1].station, tracking.events[-1].code) == (
        Station.REPORTED,
        "delayed",
    )


async def test_a_report_by_the_submitters_own_envelope_id_is_found(
    silent: Pair, ward: AccountPrincipal
) -> None:
    """Software that gave an ENVID gets it back from the peer (RFC 3461, 4.4)."""
    accepted = await silent.hospital.submit(ward, a_letter(), GP, envelope_id="HIS-4711")
    await silent.hospital.work()
    raw = a_dsn(accepted).replace(accepted.message_id.encode(), b"HIS-4711")

    await silent.hospital.receive(raw, WARD, sender=None, peer=silent.practices.peer)

    assert (await tracked(silent, ward, accepted.message_id)).state is DeliveryState.DELIVERED


async def test_a_report_that_cannot_be_read_is_ordinary_mail(silent: Pair) -> None:
    """A person may understand what a parser does not."""
    raw = a_dsn(None).replace(b"Final-Recipient", b"Final-Nonsense")
    accepted = await silent.hospital.receive(raw, WARD, sender=None, peer=silent.practices.peer)

    row = await silent.hospital.database.read(
        lambda c: messages.find_message(c, accepted.message_id)
    )
    assert row is not None
    assert row.report is None


# Other systems' words, and integration results


@pytest.mark.parametrize(
    "dialect", dialects(GP, to=WARD), ids=[one.name for one in dialects(GP, to=WARD)]
)
async def test_a_bounce_in_any_dialect_ends_the_timeline(
    silent: Pair, ward: AccountPrincipal, dialect: Dialect
) -> None:
    """From the recipient's operator; and a person sees it in the inbox."""
    accepted = await silent.hospital.submit(ward, a_letter())
    await silent.hospital.work()

    await silent.hospital.receive(dialect.raw, WARD, sender=None, peer=silent.practices.peer)

    tracking = await tracked(silent, ward, accepted.message_id)
    assert tracking.state is DeliveryState.FAILED
    assert tracking.events[-1].code == dialect.reason
    newest, _ = await silent.hospital.letters("ward", WARD)
    assert newest.deposits[0].folder == "inbox"


@pytest.mark.parametrize(
    "dialect",
    dialects(GP, to=WARD, by="other.mssante.fr"),
    ids=[one.name for one in dialects(GP, to=WARD)],
)
async def test_a_bounce_from_somebody_else_changes_nothing(
    silent: Pair, ward: AccountPrincipal, dialect: Dialect
) -> None:
    """Another operator of the trust space says that the letter failed."""
    accepted = await silent.hospital.submit(ward, a_letter())
    await silent.hospital.work()
    stranger = replace(silent.practices.peer, domains=frozenset({"other.mssante.fr"}))

    await silent.hospital.receive(dialect.raw, WARD, sender=None, peer=stranger)

    state = (await tracked(silent, ward, accepted.message_id)).state
    assert state is DeliveryState.RELAYED


@pytest.mark.parametrize(
    ("errors", "modifiers", "state", "code"),
    [
        ((), (), DeliveryState.INTEGRATED, "processed"),
        (
            ("902^Identifiant de patient inconnu^applicationErrorCondition",),
            ("error",),
            DeliveryState.NOT_INTEGRATED,
            "902",
        ),
    ],
    ids=["taken in", "refused"],
)
async def test_software_tells_whether_it_took_the_documents_in(
    silent: Pair,
    ward: AccountPrincipal,
    errors: tuple[str, ...],
    modifiers: tuple[str, ...],
    state: DeliveryState,
    code: str,
) -> None:
    """It is no reader: a person may still have to act, and sees that in the inbox."""
    accepted = await silent.hospital.submit(ward, a_letter())
    await silent.hospital.work()
    raw = build_mdn(
        DispositionNotification(
            final_recipient=GP,
            original_message_id="<letter-1@his.ch-demo.fr>",
            disposition=Disposition(
                type=DispositionType.PROCESSED,
                automatic=True,
                sent_automatically=True,
                modifiers=modifiers,
            ),
            errors=errors,
        ),
        original=a_letter(),
        author=NamedAddress(address=MailAddress.parse(GP)),
        to=MailAddress.parse(WARD),
        message_id="<mdn-9@cabinets>",
        at=silent.hospital.clock.now(),
        return_content=True,
    )

    await silent.hospital.receive(raw, WARD, sender=None, peer=silent.practices.peer)

    tracking = await tracked(silent, ward, accepted.message_id)
    assert (tracking.state, tracking.events[-1].code) == (state, code)
    newest, _ = await silent.hospital.letters("ward", WARD)
    expected = "inbox" if state is DeliveryState.NOT_INTEGRATED else "receipts"
    assert newest.deposits[0].folder == expected


async def test_the_letter_comes_back_whole_when_its_sender_asked(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """RET=FULL (RFC 3461, 4.3); otherwise no word of it travels again."""
    pair.hospital.relay.answers.append(NO)
    await pair.hospital.submit(ward, a_letter(subject="Mme CANARI"), returns="FULL")
    await pair.settle()

    newest, _ = await pair.hospital.letters("ward", WARD)
    raw = await pair.hospital.blobs.get(newest.message.blob_ref)
    assert b"Content-Type: message/rfc822" in raw
    assert b"Mme CANARI" in raw


async def test_a_report_tells_in_both_languages_and_in_one_code(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """A secretary reads French, software reads the code, another postmaster English."""
    pair.hospital.relay.answers.append(
        Refused(code="message-too-large", detail="too large", host="mx.peer.fr:25", status="5.3.4")
    )
    await pair.hospital.submit(ward, a_letter())
    await pair.settle()

    newest, _ = await pair.hospital.letters("ward", WARD)
    message = parse_message(await pair.hospital.blobs.get(newest.message.blob_ref))
    text = part_text(message.raw, message.root.children[0])
    assert "dépasse la taille" in text
    assert "larger than" in text
    assert b"X-MSS-Reason: message-too-large" in message.raw
    assert b"Remote-MTA: dns; mx.peer.fr\r\n" in message.raw.replace(b"dns;mx", b"dns; mx")
