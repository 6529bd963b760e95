import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import func, select, update

from directory.address import MailAddress
from mss.errors import (
    DomainNotTrustedError,
    MailboxFullError,
    MessageRefusedError,
    MSSError,
    PeerNotTrustedError,
    RecipientUnknownError,
    SenderNotAllowedError,
    StoreFullError,
    StoreUnavailableError,
    TooManyRecipientsError,
)
from mss.mime.errors import MessageSyntaxError
from mss.mime.parse import ParsedMessage, parse_message
from mss.model.delivery import DeliveryState
from mss.model.mailbox import Folder
from mss.model.message import Origin
from mss.model.principal import AccountPrincipal, SystemPrincipal
from mss.model.security import Verdict
from mss.pipeline.commit import acceptance_keys
from mss.pipeline.submission import LocalRoute, RefusedRoute, RelayRoute, Submission
from mss.settings import LimitSettings
from mss.store import audit, messages, tables
from mss.store.engine import Connection, Database
from tests.support.clock import FixedClock
from tests.support.factories import (
    GP,
    HOSPITAL,
    HOSPITAL_DOMAIN,
    LAB,
    OTHER_GP,
    WARD,
    InProcessOperator,
    Pair,
    a_letter,
    an_envelope,
    an_operator,
)

T = TypeVar("T")
STRANGER = "somebody@elsewhere.example"


def count(connection: Connection) -> dict[str, int]:
    """Count the rows of everything that a message leaves."""
    kept = (tables.message, tables.delivery, tables.deposit, tables.acceptance, tables.notice)
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in kept
    }


async def assert_nothing_kept(operator: InProcessOperator) -> None:
    """Neither rows nor bodies: the message does not exist."""
    assert set((await operator.database.read(count)).values()) == {0}
    assert await operator.blobs.count() == 0


async def stored(operator: InProcessOperator, message_id: str) -> ParsedMessage:
    """Parse the octets that our mailboxes hold of a message."""
    row = await operator.database.read(lambda c: messages.find_message(c, message_id))
    assert row is not None
    return parse_message(await operator.blobs.get(row.blob_ref))


# Who may


async def test_a_letter_from_another_mailbox_is_refused(pair: Pair, ward: AccountPrincipal) -> None:
    """An account writes as the mailboxes it holds, in the envelope as well."""
    with pytest.raises(SenderNotAllowedError):
        await pair.hospital.submit(ward, a_letter(author=LAB), GP, sender=LAB)

    await assert_nothing_kept(pair.hospital)


async def test_a_letter_in_the_name_of_another_is_refused(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """The envelope is honest and the From is forged."""
    with pytest.raises(SenderNotAllowedError):
        await pair.hospital.submit(ward, a_letter(author=LAB), GP, sender=WARD)

    await assert_nothing_kept(pair.hospital)


@pytest.mark.parametrize(
    "more",
    [(f"From: {LAB}",), (f"FROM : {LAB}",)],
    ids=["second field", "second field with a space"],
)
async def test_a_second_from_is_refused(
    pair: Pair, ward: AccountPrincipal, more: tuple[str, ...]
) -> None:
    """One reader would see the first author and another the second."""
    with pytest.raises(MessageSyntaxError):
        await pair.hospital.submit(ward, a_letter(more=more))

    await assert_nothing_kept(pair.hospital)


async def test_two_authors_in_one_from_are_refused(pair: Pair, ward: AccountPrincipal) -> None:
    """A health letter has one responsible author."""
    with pytest.raises(MessageSyntaxError):
        await pair.hospital.submit(ward, a_letter(author=f"{WARD}, {LAB}"))


async def test_a_foreign_sender_field_is_refused(pair: Pair, ward: AccountPrincipal) -> None:
    """`Sender` is shown by some readers; it is nobody else's either."""
    with pytest.raises(SenderNotAllowedError):
        await pair.hospital.submit(ward, a_letter(more=(f"Sender: {LAB}",)))


async def test_a_user_does_not_use_the_null_sender(pair: Pair, ward: AccountPrincipal) -> None:
    """Only servers write reports."""
    with pytest.raises(SenderNotAllowedError):
        await pair.hospital.submit(ward, a_letter(), sender=None)


async def test_a_peer_speaks_for_its_own_domains(pair: Pair) -> None:
    """Neither envelope nor author may name somebody else's domain."""
    hospital, practices = pair.hospital, pair.practices

    with pytest.raises(PeerNotTrustedError):
        await practices.receive(a_letter(author=STRANGER), GP, sender=STRANGER, peer=hospital.peer)
    with pytest.raises(PeerNotTrustedError):
        await practices.receive(a_letter(author=STRANGER), GP, sender=WARD, peer=hospital.peer)

    await assert_nothing_kept(practices)


async def test_a_peer_may_use_the_null_sender(pair: Pair) -> None:
    """Reports have it (RFC 5321, 4.5.5); their author is still the peer's."""
    accepted = await pair.practices.receive(a_letter(), GP, sender=None, peer=pair.hospital.peer)

    assert [one.state for one in accepted.deliveries] == ["delivered"]


async def test_a_message_that_goes_in_circles_is_refused(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """More than fifty hosts have handled it (RFC 5321, 6.3)."""
    hops = tuple(f"Received: by host{n}.example; Tue, 3 Nov 2026 10:00:00 +0100" for n in range(51))

    with pytest.raises(MessageRefusedError) as refusal:
        await pair.hospital.submit(ward, a_letter(more=hops))

    assert refusal.value.reason == "mail-loop"


async def test_a_refusal_is_written_into_the_journal(pair: Pair, ward: AccountPrincipal) -> None:
    """Who was refused what, without address or content."""
    with pytest.raises(SenderNotAllowedError):
        await pair.hospital.submit(ward, a_letter(subject="SECRET"), GP, sender=LAB)

    rows = await pair.hospital.database.read(lambda c: list(audit.iter_rows(c)))

    assert rows[-1].name == "message-refused"
    assert rows[-1].actor == f"account:{ward.account_id}"
    assert rows[-1].facts["code"] == "sender-not-allowed"
    assert LAB not in repr(rows)
    assert "SECRET" not in repr(rows)


# Where to


@pytest.mark.parametrize(
    ("recipient", "wanted"),
    [
        (LAB, LocalRoute),
        (LAB.upper(), LocalRoute),
        (GP, RelayRoute),
        (f"nobody@{HOSPITAL_DOMAIN}", RecipientUnknownError),
        (STRANGER, DomainNotTrustedError),
        ("a@sub.cabinets-demo.mssante.fr", DomainNotTrustedError),
    ],
)
async def test_each_recipient_has_its_way(
    pair: Pair, ward: AccountPrincipal, recipient: str, wanted: type[object]
) -> None:
    """Ours, an operator's of the trust space (exactly its domain), or nowhere, with the reason."""
    route = await pair.hospital.services.acceptance.route(ward, MailAddress.parse(recipient))

    assert isinstance(route.error if isinstance(route, RefusedRoute) else route, wanted)


async def test_we_relay_for_our_users_only(pair: Pair) -> None:
    """A peer hands over for our mailboxes, never through us."""
    route = await pair.hospital.services.acceptance.route(
        pair.practices.peer, MailAddress.parse(GP)
    )

    assert isinstance(route, RefusedRoute)
    assert isinstance(route.error, DomainNotTrustedError)


@pytest.mark.parametrize(
    ("answer", "wanted"), [(True, RelayRoute), (None, RelayRoute), (False, RefusedRoute)]
)
async def test_the_other_operator_has_the_last_word(
    pair: Pair,
    ward: AccountPrincipal,
    *,
    answer: bool | None,
    wanted: type[object],
) -> None:
    """An address that the directory does not know is asked about; no answer means try."""
    pair.hospital.probe.answers[GP] = answer

    route = await pair.hospital.services.acceptance.route(ward, MailAddress.parse(GP))

    assert pair.hospital.probe.asked == [GP]
    assert isinstance(route, wanted)


async def test_a_probe_asks_nobody_outside_the_trust_space(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """No connection to a stranger, not even a question."""
    await pair.hospital.services.acceptance.route(ward, MailAddress.parse(STRANGER))

    assert pair.hospital.probe.asked == []


async def test_a_full_mailbox_takes_nothing_for_now(pair: Pair) -> None:
    """The peer keeps the letter and tries again."""
    practices = pair.practices
    await practices.services.mailboxes.set_quota(MailAddress.parse(GP), 1)
    await practices.receive(a_letter(), GP, sender=WARD, peer=pair.hospital.peer)

    with pytest.raises(MailboxFullError) as refusal:
        await practices.receive(a_letter(text="2"), GP, sender=WARD, peer=pair.hospital.peer)

    assert refusal.value.retryable


async def test_one_bad_recipient_refuses_the_whole_letter(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """Without an answer per recipient, half a sending would look like a whole one."""
    with pytest.raises(DomainNotTrustedError):
        await pair.hospital.submit(ward, a_letter(), GP, STRANGER)

    await assert_nothing_kept(pair.hospital)


async def test_a_letter_to_nobody_is_refused(pair: Pair, ward: AccountPrincipal) -> None:
    """An empty envelope has nowhere to go."""
    submission = Submission(
        envelope=replace(an_envelope(WARD), recipients=()),
        raw=a_letter(),
        principal=ward,
        origin=Origin.SUBMISSION,
    )

    with pytest.raises(MessageRefusedError) as refusal:
        await pair.hospital.services.acceptance.accept(submission)

    assert refusal.value.reason == "no-recipient"


async def test_too_many_recipients_are_refused(homes: Path, clock: FixedClock) -> None:
    """Before the directory is asked about any of them."""
    async with an_operator(
        homes, HOSPITAL, clock=clock, limits=LimitSettings(recipients=1)
    ) as hospital:
        ward = await hospital.log_in("ward")

        with pytest.raises(TooManyRecipientsError):
            await hospital.submit(ward, a_letter(), GP, OTHER_GP)

        assert hospital.probe.asked == []


# What is kept


async def test_a_letter_inside_the_house_is_deposited_and_kept_as_sent(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """Delivered in the transaction that accepted it; the writer finds it under Sent."""
    hospital = pair.hospital
    accepted = await hospital.submit(ward, a_letter(to=LAB), LAB)
    lab = await hospital.log_in("lab")

    received = await hospital.services.reading.get_message(lab, accepted.message_id)
    sent = await hospital.services.reading.get_message(ward, accepted.message_id)

    assert [one.state for one in accepted.deliveries] == [DeliveryState.DELIVERED]
    assert received.deposits[0].folder is Folder.INBOX
    assert sent.deposits[0].folder is Folder.SENT
    assert received.message.security.verdict is Verdict.INTERNAL
    assert await hospital.blobs.count() == 1


async def test_what_is_missing_is_added(pair: Pair, ward: AccountPrincipal) -> None:
    """A submission server completes a message (RFC 6409, 8.2 and 8.3)."""
    accepted = await pair.hospital.submit(ward, a_letter(to=LAB, message_id=None, date=None), LAB)

    kept = await stored(pair.hospital, accepted.message_id)

    assert kept.internet_message_id == accepted.internet_message_id
    assert kept.date == pair.hospital.clock.now()


async def test_a_date_that_nobody_can_read_is_replaced(pair: Pair, ward: AccountPrincipal) -> None:
    """Two dates would be worse than none."""
    accepted = await pair.hospital.submit(ward, a_letter(to=LAB, date="soon"), LAB)

    kept = await stored(pair.hospital, accepted.message_id)

    assert kept.date == pair.hospital.clock.now()
    assert len(kept.values("Date")) == 1


async def test_what_is_there_is_left_alone(pair: Pair, ward: AccountPrincipal) -> None:
    """The author's own identifier and date are what reports will name."""
    accepted = await pair.hospital.submit(ward, a_letter(to=LAB), LAB)

    kept = await stored(pair.hospital, accepted.message_id)

    assert accepted.internet_message_id == "<letter-1@his.ch-demo.fr>"
    assert kept.values("Message-ID") == ("<letter-1@his.ch-demo.fr>",)
    assert kept.values("Date") == ("Tue, 03 Nov 2026 10:59:00 +0100",)


async def test_blind_copies_stay_blind(pair: Pair, ward: AccountPrincipal) -> None:
    """No recipient learns from the header who else was written to."""
    letter = a_letter(to=LAB, more=(f"Bcc: {GP},", f" {OTHER_GP}"))
    accepted = await pair.hospital.submit(ward, letter, LAB, GP)

    kept = await stored(pair.hospital, accepted.message_id)
    await pair.hospital.work()
    (_, leaving), *_ = pair.hospital.relay.carried

    assert kept.values("Bcc") == ()
    assert OTHER_GP.encode() not in kept.raw
    assert OTHER_GP.encode() not in leaving


async def test_the_trace_names_no_user(pair: Pair, ward: AccountPrincipal) -> None:
    """Which host, when and how: never an account, recipient or network address."""
    accepted = await pair.hospital.submit(ward, a_letter(to=LAB), LAB)

    (received,) = (await stored(pair.hospital, accepted.message_id)).values("Received")

    assert received.startswith("from localhost by mail.ch-demo.mssante.fr with ESMTPSA id ")
    assert "ward" not in received
    assert LAB not in received


async def test_the_journal_says_what_was_accepted(pair: Pair, ward: AccountPrincipal) -> None:
    """Identifiers, domains and sizes; no subject, no address."""
    accepted = await pair.hospital.submit(ward, a_letter(subject="Mme ESSAI"), GP)

    *_, row = await pair.hospital.database.read(lambda c: list(audit.iter_rows(c)))

    assert row.name == "message-accepted"
    assert row.facts["message"] == accepted.message_id
    assert row.facts["recipients"] == "1"
    assert "ESSAI" not in repr(row)
    assert GP not in repr(row)


async def test_nothing_in_the_database_says_what_the_letter_is_about(
    pair: Pair, ward: AccountPrincipal, homes: Path
) -> None:
    """A national subject line names a patient: rows hold it sealed, bodies are sealed below."""
    await pair.hospital.submit(ward, a_letter(to=LAB, subject="Mme CANARI"), LAB)
    await pair.hospital.database.aclose()

    files = [one.read_bytes() for one in (homes / HOSPITAL_DOMAIN).glob("mss.db*")]

    assert files
    assert all(b"CANARI" not in one for one in files)


# Twice


async def test_the_same_letter_again_is_recognised(pair: Pair, ward: AccountPrincipal) -> None:
    """A client that did not hear our answer sends it again; nothing is added."""
    first = await pair.hospital.submit(ward, a_letter(), GP)
    before = await pair.hospital.database.read(count)
    pair.hospital.clock.advance(minutes=5)

    again = await pair.hospital.submit(ward, a_letter(), GP)

    assert again.is_repeat
    assert again.message_id == first.message_id
    assert again.deliveries == first.deliveries
    assert await pair.hospital.database.read(count) == before
    assert await pair.hospital.blobs.count() == 2  # the kept copy and the one that leaves


async def test_only_new_recipients_of_a_repeat_are_served(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """A peer that repeats for all after we took some gets each of them once."""
    await pair.hospital.submit(ward, a_letter(to=LAB), LAB)

    accepted = await pair.hospital.submit(ward, a_letter(to=LAB), LAB, GP)

    assert not accepted.is_repeat
    deliveries = await pair.hospital.database.read(
        lambda c: list(c.execute(select(tables.delivery.c.recipient)).scalars())
    )
    assert sorted(deliveries) == sorted([LAB, GP])


async def test_one_octet_more_is_another_letter(pair: Pair, ward: AccountPrincipal) -> None:
    """Recognising is for transfers, never for contents that look alike."""
    first = await pair.hospital.submit(ward, a_letter(), GP)
    second = await pair.hospital.submit(ward, a_letter(text="Addendum."), GP)

    assert first.message_id != second.message_id
    assert not second.is_repeat


async def test_the_same_letter_at_the_same_moment_is_accepted_once(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """Two connections race: one row wins, both hear yes, one body is thrown away."""
    committer = pair.hospital.services.acceptance.committer
    first = await pair.hospital.submit(ward, a_letter(), GP)
    before = await pair.hospital.blobs.count()
    acceptance = pair.hospital.services.acceptance
    submission = Submission(
        envelope=an_envelope(WARD, GP), raw=a_letter(), principal=ward, origin=Origin.SUBMISSION
    )
    message = parse_message(submission.raw)
    route = await acceptance.route(ward, MailAddress.parse(GP))
    assert isinstance(route, RelayRoute)
    keys = acceptance_keys(submission)
    ready = await acceptance._prepare(submission, message, keys, (route,))

    late = await committer.commit(ready)  # as if it had looked for a repeat before the first one

    assert late.is_repeat
    assert late.message_id == first.message_id
    assert await pair.hospital.blobs.count() == before


async def test_letters_that_wait_together_share_no_recipient(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """The same octets to overlapping recipients at once: nobody gets them twice, whoever is first.

    A letter that finds all of its recipients served is told the name of the one that served them.
    """
    both = [(LAB, GP), (LAB, WARD), (LAB,)]

    accepted = await asyncio.gather(
        *(pair.hospital.submit(ward, a_letter(to=LAB), *recipients) for recipients in both)
    )

    served = await pair.hospital.database.read(
        lambda c: c.execute(select(tables.delivery.c.recipient, tables.delivery.c.message_id)).all()
    )
    assert sorted(row.recipient for row in served) == sorted([LAB, GP, WARD])
    serving = {row.message_id for row in served}
    assert {one.message_id for one in accepted} == serving
    assert sorted(one.message_id for one in accepted if not one.is_repeat) == sorted(serving)


async def test_a_repeat_is_a_new_letter_after_a_week(pair: Pair, ward: AccountPrincipal) -> None:
    """The memory of repeats is bounded by the retention job."""
    first = await pair.hospital.submit(ward, a_letter(to=LAB), LAB)
    await pair.hospital.database.write(
        lambda c: messages.forget_old(
            c,
            duplicates=pair.hospital.clock.now() + timedelta(seconds=1),
            idempotent=pair.hospital.clock.now(),
        )
    )

    again = await pair.hospital.submit(ward, a_letter(to=LAB), LAB)

    assert again.message_id != first.message_id


# When something breaks


@pytest.fixture
def full(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> Pair:
    """The hospital's blob store has no room."""

    async def put(name: str, octets: bytes) -> str:
        raise StoreFullError(where="blobs")

    monkeypatch.setattr(type(pair.hospital.blobs), "put", staticmethod(put))
    return pair


async def test_a_full_blob_store_leaves_nothing(full: Pair, ward: AccountPrincipal) -> None:
    """Refused for now, and nothing half-stored."""
    with pytest.raises(StoreFullError) as refusal:
        await full.hospital.submit(ward, a_letter(), GP)

    assert refusal.value.retryable
    await assert_nothing_kept(full.hospital)


class BreakingDatabase(Database):
    """Passes everything on and lets chosen writes fail: before they happen, or after."""

    def __init__(self, inner: Database, error: MSSError, *, after: bool) -> None:
        self._inner, self._error, self._after = inner, error, after

    async def read(self, question: Callable[[Connection], T]) -> T:
        return await self._inner.read(question)

    async def survey(self, question: Callable[[Connection], T]) -> T:
        return await self._inner.survey(question)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def write(self, change: Callable[[Connection], T]) -> T:
        if self._after:
            await self._inner.write(change)
        raise self._error


def breaking(operator: InProcessOperator, error: MSSError, *, after: bool) -> InProcessOperator:
    """Let the transaction of the next letters fail."""
    committer = operator.services.acceptance.committer
    broken = BreakingDatabase(committer.database, error, after=after)
    object.__setattr__(committer, "database", broken)
    return operator


async def test_a_full_database_leaves_no_bodies(pair: Pair, ward: AccountPrincipal) -> None:
    """The bodies were stored first; they are taken back."""
    hospital = pair.hospital
    real = hospital.services.acceptance.committer.database
    breaking(hospital, StoreFullError(where="database"), after=False)

    with pytest.raises(StoreFullError):
        await hospital.submit(ward, a_letter(), GP)

    object.__setattr__(hospital.services.acceptance.committer, "database", real)
    await assert_nothing_kept(hospital)


async def test_bodies_are_kept_while_nobody_knows_whether_the_rows_are(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """The connection broke at the commit, which had happened: the letter must not lose its body."""
    hospital = pair.hospital
    real = hospital.services.acceptance.committer.database
    breaking(hospital, StoreUnavailableError(reason="connection lost"), after=True)
    with pytest.raises(StoreUnavailableError):
        await hospital.submit(ward, a_letter(to=LAB), LAB)
    object.__setattr__(hospital.services.acceptance.committer, "database", real)

    again = await hospital.submit(ward, a_letter(to=LAB), LAB)

    assert again.is_repeat
    kept = await stored(hospital, again.message_id)
    assert kept.internet_message_id == "<letter-1@his.ch-demo.fr>"


async def test_what_must_happen_together_happens_together(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """A change that joins the transaction and fails takes the whole letter back."""

    def fail(connection: Connection, message_id: str) -> None:
        raise SenderNotAllowedError(address="x")

    submission = Submission(
        envelope=an_envelope(WARD, GP), raw=a_letter(), principal=ward, origin=Origin.SUBMISSION
    )
    with pytest.raises(SenderNotAllowedError):
        await pair.hospital.services.acceptance.accept(submission, also=fail)

    await assert_nothing_kept(pair.hospital)


async def test_the_worker_is_woken_when_something_was_queued(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """A letter does not wait for the next look at the queue."""
    pair.hospital.running.worker.awake.clear()

    await pair.hospital.submit(ward, a_letter(), GP)

    assert pair.hospital.running.worker.awake.is_set()


async def test_the_server_writes_to_its_own_users(pair: Pair) -> None:
    """Reports come in by the same way as everything else."""
    accepted = await pair.hospital.services.acceptance.accept(
        Submission(
            envelope=an_envelope(None, WARD),
            raw=a_letter(author=f"postmaster@{HOSPITAL_DOMAIN}", to=WARD),
            principal=SystemPrincipal(reason="failed"),
            origin=Origin.SYSTEM,
        )
    )

    assert [one.state for one in accepted.deliveries] == ["delivered"]


async def test_a_closed_mailbox_receives_nothing(pair: Pair, ward: AccountPrincipal) -> None:
    """Its address names nobody any more."""
    await pair.hospital.database.write(
        lambda c: c.execute(
            update(tables.mailbox)
            .where(tables.mailbox.c.address_key == LAB)
            .values(closed_at=pair.hospital.clock.now())
        )
    )

    with pytest.raises(RecipientUnknownError):
        await pair.hospital.submit(ward, a_letter(to=LAB), LAB)
