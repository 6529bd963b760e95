"""Patients, rates, documents, content and quarantine, at the one way in of a whole operator."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from directory.address import MailAddress
from mss.errors import (
    ContentRefusedError,
    MessageRefusedError,
    MSSError,
    NotFoundError,
    PatientAddressError,
    PatientConversationError,
    RateLimitedError,
    ReplyAddressNotTrustedError,
    ScannerUnavailableError,
)
from mss.mailboxes.reading import MessageView
from mss.model.delivery import DeliveryState
from mss.model.principal import AccountPrincipal
from mss.pipeline.quarantine import Quarantine
from mss.pipeline.submission import RefusedRoute
from mss.settings import (
    AntivirusSettings,
    ContentSettings,
    LimitSettings,
    PatientSettings,
)
from mss.store import audit, tables
from tests.support.clamd import EICAR, NAME, Clamd, running_clamd
from tests.support.clock import FixedClock
from tests.support.factories import (
    GP,
    LAB,
    PRACTICE_DOMAIN,
    WARD,
    InProcessOperator,
    Pair,
    a_letter,
    a_pair,
)
from tests.support.operators import compose, the_letter

# In these tests the other operator hosts patients too, as the CNAM does.
INS = "279035121518989"
PATIENT = f"{INS}@{PRACTICE_DOMAIN}"
PATIENTS = PatientSettings(domain=PRACTICE_DOMAIN, services=("robot", "anne.essai-leroux"))
INFECTED = a_letter(text=EICAR, message_id="<infected@his.ch-demo.fr>")


@pytest.fixture
async def clamd() -> AsyncIterator[Clamd]:
    async with running_clamd() as running:
        yield running


def opened(homes: Path, clock: FixedClock, **sections: Any) -> AbstractAsyncContextManager[Pair]:
    """Open both operators; *sections* are settings of the hospital."""
    return a_pair(homes, clock, **sections)


def scanning(clamd: Clamd, **changes: object) -> AntivirusSettings:
    """Write the settings of an operator that asks this scanner."""
    return AntivirusSettings.model_validate(
        {"address": clamd.address, "timeout_seconds": 1, **changes}
    )


def desk_of(operator: InProcessOperator) -> Quarantine:
    return operator.services.acceptance.hygiene.quarantine


async def events(operator: InProcessOperator) -> list[str]:
    """Name what the journal holds."""
    return await operator.database.read(lambda c: [row.name for row in audit.iter_rows(c)])


def codes(view: MessageView) -> list[str]:
    """Name what a careful reader should know."""
    return [one.code for one in view.message.security.findings]


# Reply addresses and loops


async def test_answers_stay_inside_the_trust_space(pair: Pair, ward: AccountPrincipal) -> None:
    """A reply to an address elsewhere would leave in clear."""
    with pytest.raises(ReplyAddressNotTrustedError):
        await pair.hospital.submit(ward, a_letter(more=("Reply-To: x@elsewhere.example",)))


@pytest.mark.parametrize("address", [LAB, GP])
async def test_answers_may_go_to_another_trusted_mailbox(
    pair: Pair, ward: AccountPrincipal, address: str
) -> None:
    """An application mailbox names the person who answers (ECO.2.2.5)."""
    assert await pair.hospital.submit(ward, a_letter(more=(f"Reply-To: {address}",)))


@pytest.mark.parametrize(
    "more",
    [
        tuple(f"Received: from a by host{number}.fr; x" for number in range(51)),
        ("Received: from a by mail.ch-demo.mssante.fr; x",) * 5,
        (f"Delivered-To: {GP}",),
    ],
    ids=["hosts", "ours", "delivered"],
)
async def test_a_letter_that_goes_round_is_stopped(
    pair: Pair, ward: AccountPrincipal, more: tuple[str, ...]
) -> None:
    """Two mailboxes that send everything on to each other."""
    with pytest.raises(MessageRefusedError) as refusal:
        await pair.hospital.submit(ward, a_letter(more=more))

    assert refusal.value.reason == "mail-loop"


# Rates


async def test_an_account_sends_so_many_messages_an_hour(homes: Path, clock: FixedClock) -> None:
    """Temporary, at the door and at the way in alike; the hour moves on."""
    async with opened(homes, clock, limits=LimitSettings(account_messages=2)) as pair:
        ward = await pair.hospital.log_in("ward")
        acceptance = pair.hospital.services.acceptance
        for number in range(2):
            await pair.hospital.submit(ward, a_letter(message_id=f"<{number}@x.fr>"))

        with pytest.raises(RateLimitedError):
            await acceptance.check_sender(ward, MailAddress.parse(WARD))
        with pytest.raises(RateLimitedError):
            await pair.hospital.submit(ward, a_letter(message_id="<3@x.fr>"))
        lab = await pair.hospital.log_in("lab")
        assert await pair.hospital.submit(lab, a_letter(author=LAB), sender=LAB)

        clock.advance(hours=1)
        assert await pair.hospital.submit(ward, a_letter(message_id="<4@x.fr>"))


async def test_a_repeated_letter_is_not_counted_twice(homes: Path, clock: FixedClock) -> None:
    """A client whose connection broke is not punished for it."""
    async with opened(homes, clock, limits=LimitSettings(account_messages=1)) as pair:
        ward = await pair.hospital.log_in("ward")
        await pair.hospital.submit(ward, a_letter())

        assert (await pair.hospital.submit(ward, a_letter())).is_repeat


async def test_what_another_process_accepted_counts(homes: Path, clock: FixedClock) -> None:
    """It is seen in the database, some seconds later at most."""
    async with opened(homes, clock, limits=LimitSettings(account_recipients=2)) as pair:
        ward = await pair.hospital.log_in("ward")
        await pair.hospital.submit(ward, a_letter(), GP, LAB)
        pair.hospital.services.acceptance.hygiene.rates._counts.clear()

        with pytest.raises(RateLimitedError) as refusal:
            await pair.hospital.submit(ward, a_letter(message_id="<2@x.fr>"))

    assert (refusal.value.what, refusal.value.limit) == ("recipients", 2)


async def test_an_operator_is_limited_as_well(homes: Path, clock: FixedClock) -> None:
    """By its own limit, whoever of its users writes."""
    async with opened(homes, clock, limits=LimitSettings(peer_messages=1)) as pair:
        peer = pair.practices.peer
        await pair.hospital.receive(a_letter(author=GP, to=WARD), WARD, sender=GP, peer=peer)

        with pytest.raises(RateLimitedError):
            await pair.hospital.receive(
                a_letter(author=GP, to=WARD, message_id="<2@x.fr>"), WARD, sender=GP, peer=peer
            )


# Patients


@pytest.fixture
async def with_patients(homes: Path, clock: FixedClock) -> AsyncIterator[Pair]:
    async with opened(homes, clock, patients=PATIENTS) as pair:
        yield pair


async def write_to_patient(pair: Pair, *more: str, number: int = 1, subject: str = "CR") -> None:
    """Let the ward write to the patient."""
    ward = await pair.hospital.log_in("ward")
    raw = a_letter(to=PATIENT, message_id=f"<ward-{number}@x.fr>", subject=subject, more=more)
    await pair.hospital.submit(ward, raw, PATIENT)


async def hear_from_patient(
    pair: Pair, *more: str, to: str = WARD, number: int = 1, sender: str | None = PATIENT
) -> None:
    """Let the patients' operator bring a letter of the patient."""
    raw = a_letter(author=PATIENT, to=to, message_id=f"<patient-{number}@x.fr>", more=more)
    await pair.hospital.receive(raw, to, sender=sender, peer=pair.practices.peer)


async def test_a_patient_never_writes_first(with_patients: Pair) -> None:
    """Only professionals open an exchange."""
    with pytest.raises(PatientConversationError):
        await hear_from_patient(with_patients)


async def test_a_patient_answers_a_letter(with_patients: Pair) -> None:
    """Naming it or not; and only to the mailbox that wrote."""
    await write_to_patient(with_patients)

    await hear_from_patient(with_patients, "In-Reply-To: <ward-1@x.fr>")
    await hear_from_patient(with_patients, number=2)
    with pytest.raises(PatientConversationError):
        await hear_from_patient(with_patients, to=LAB, number=3)


async def test_a_patient_answers_to_the_reply_address(with_patients: Pair) -> None:
    """It replaces the author, who is no contact then."""
    await write_to_patient(with_patients, f"Reply-To: {LAB}")

    await hear_from_patient(with_patients, to=LAB)
    with pytest.raises(PatientConversationError):
        await hear_from_patient(with_patients, to=WARD, number=2)


async def test_a_letter_may_forbid_its_answer(with_patients: Pair) -> None:
    """`X-MSS-MES: FIN` is about this letter; the one before may still be answered."""
    await write_to_patient(with_patients)
    await write_to_patient(with_patients, "X-MSS-MES: FIN", number=2)

    await hear_from_patient(with_patients, "In-Reply-To: <ward-1@x.fr>")
    with pytest.raises(PatientConversationError):
        await hear_from_patient(with_patients, "References: <ward-2@x.fr>", number=2)


async def test_a_letter_may_close_everything_before(with_patients: Pair) -> None:
    """The subject `[FIN]`; a new letter opens the exchange again."""
    await write_to_patient(with_patients)
    await write_to_patient(with_patients, subject="[FIN]", number=2)
    with pytest.raises(PatientConversationError) as refusal:
        await hear_from_patient(with_patients, "In-Reply-To: <ward-1@x.fr>")
    assert refusal.value.reason == "closed"

    await write_to_patient(with_patients, number=3)
    await hear_from_patient(with_patients, "In-Reply-To: <ward-3@x.fr>", number=2)


async def test_refusals_of_the_patients_operator_come_through(with_patients: Pair) -> None:
    """They have no sender, and are free text: `Message non distribué`."""
    await hear_from_patient(with_patients, sender=None)


async def test_a_wrong_patient_address_is_refused_at_rcpt(with_patients: Pair) -> None:
    """Before anybody is asked about it; nothing is corrected."""
    ward = await with_patients.hospital.log_in("ward")
    acceptance = with_patients.hospital.services.acceptance
    wrong = MailAddress.parse(f"{INS[:-1]}0@{PRACTICE_DOMAIN}")

    route = await acceptance.route(ward, wrong)

    assert isinstance(route, RefusedRoute)
    assert isinstance(route.error, PatientAddressError)
    assert with_patients.hospital.probe.asked == []


# Documents


async def test_fields_about_documents_are_computed_where_they_lack(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """And nothing else of the letter is touched."""
    raw = _with_archive()

    accepted = await pair.hospital.submit(ward, raw, LAB)

    (view,) = await pair.hospital.letters("lab", LAB)
    fields = dict(view.message.summary.headers)
    assert {name: fields[name] for name in the_letter().headers} == dict(the_letter().headers)
    kept = await _octets(pair.hospital, accepted.message_id)
    assert kept.endswith(raw)
    assert "header-codes" not in codes(view)


async def test_fields_that_are_there_stay_octet_for_octet(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """A difference is a warning: connectors that set them without looking are in use."""
    folded = ("X-MSS-CODECDA: 11111-1,\r\n\t22222-2", "X-MSS-INS: N", "X-MSS-NIL: DEV935997")
    raw = _with_archive(*folded, "References: <a@x.fr>\r\n <b@x.fr>", f"Reply-To: <{LAB}>")

    accepted = await pair.hospital.submit(ward, raw, LAB)

    (view,) = await pair.hospital.letters("lab", LAB)
    kept = await _octets(pair.hospital, accepted.message_id)
    assert kept.endswith(raw)
    assert {"header-codes", "header-ins"} <= set(codes(view))
    products = select(tables.message.c.software)
    assert await pair.hospital.database.read(lambda c: list(c.execute(products).scalars())) == [
        "DEV935997"
    ]


# Content


@pytest.mark.parametrize("blocked", ["refuse", "quarantine", "mark"])
async def test_kinds_of_attachments_that_are_not_welcome(
    homes: Path, clock: FixedClock, blocked: str
) -> None:
    """Refused, put aside, or marked for the reader."""
    content = ContentSettings.model_validate(
        {"blocked_types": ("application/zip",), "blocked": blocked}
    )
    async with opened(homes, clock, content=content) as pair:
        ward = await pair.hospital.log_in("ward")
        outcome: str
        try:
            accepted = await pair.hospital.submit(ward, _with_archive(), LAB)
            outcome = accepted.deliveries[0].state
        except ContentRefusedError as error:
            outcome = error.reason
        views = await pair.hospital.letters("lab", LAB)

        assert (
            outcome
            == {
                "refuse": "attachment-type",
                "quarantine": DeliveryState.HELD.value,
                "mark": DeliveryState.DELIVERED.value,
            }[blocked]
        )
        assert ["attachment-type" in codes(one) for one in views] == [True] * (blocked == "mark")


# Viruses and the quarantine


async def test_a_virus_is_put_aside_and_told(homes: Path, clock: FixedClock, clamd: Clamd) -> None:
    """Nobody gets it, its sender knows, and the journal says what happened."""
    async with opened(homes, clock, antivirus=scanning(clamd)) as pair:
        ward = await pair.hospital.log_in("ward")

        accepted = await pair.hospital.submit(ward, INFECTED, LAB, GP)
        await pair.settle()

        assert {one.state for one in accepted.deliveries} == {DeliveryState.HELD.value}
        assert await pair.hospital.letters("lab", LAB) == []
        assert await pair.practices.letters("anne", GP) == []
        (told,) = await pair.hospital.letters("ward", WARD)
        assert told.message.report == "delivery"
        (one,) = await desk_of(pair.hospital).list()
        assert (one.id, one.cause, one.detail) == (accepted.message_id, "virus", NAME)
        assert WARD.encode() not in one.submission
        assert "message-quarantined" in await events(pair.hospital)


async def test_a_virus_from_another_operator_is_put_aside(
    homes: Path, clock: FixedClock, clamd: Clamd
) -> None:
    """Found inside its encryption; its sender is told through their operator."""
    async with opened(homes, clock, antivirus=scanning(clamd)) as pair:
        anne = await pair.practices.log_in("anne")
        raw = a_letter(author=GP, to=WARD, text=EICAR)
        await pair.practices.submit(anne, raw, WARD, sender=GP)
        await pair.settle()

        assert await pair.hospital.letters("ward", WARD) == []
        assert len(await desk_of(pair.hospital).list()) == 1
        assert [one.message.report for one in await pair.practices.letters("anne", GP)].count(
            "delivery"
        ) == 1
        assert any(EICAR.encode() in one for one in clamd.scanned)


async def test_the_same_infected_letter_is_put_aside_once(
    homes: Path, clock: FixedClock, clamd: Clamd
) -> None:
    """A sender whose connection broke sends it again."""
    async with opened(homes, clock, antivirus=scanning(clamd)) as pair:
        ward = await pair.hospital.log_in("ward")
        first = await pair.hospital.submit(ward, INFECTED, LAB)

        again = await pair.hospital.submit(ward, INFECTED, LAB)

        assert (again.message_id, again.is_repeat) == (first.message_id, True)
        assert len(await pair.hospital.letters("ward", WARD)) == 1


async def test_a_false_alarm_is_let_out(homes: Path, clock: FixedClock, clamd: Clamd) -> None:
    """It goes where it was meant to go, as its sender sent it, and leaves nothing behind."""
    async with opened(homes, clock, antivirus=scanning(clamd)) as pair:
        ward = await pair.hospital.log_in("ward")
        put = await pair.hospital.submit(ward, INFECTED, LAB, GP)

        released = await desk_of(pair.hospital).release(
            put.message_id, way_in=pair.hospital.services.acceptance.accept
        )
        await pair.settle()

        assert len(await pair.hospital.letters("lab", LAB)) == 1
        assert len(await pair.practices.letters("anne", GP)) == 1
        assert (await _octets(pair.hospital, released.message_id)).endswith(INFECTED)
        assert await desk_of(pair.hospital).list() == []
        assert "quarantine-released" in await events(pair.hospital)
        with pytest.raises(NotFoundError):
            await desk_of(pair.hospital).release(
                put.message_id, way_in=pair.hospital.services.acceptance.accept
            )


async def test_what_is_thrown_away_is_told(homes: Path, clock: FixedClock, clamd: Clamd) -> None:
    """Two reports: put aside, and gone for good; and no body is left."""
    async with opened(homes, clock, antivirus=scanning(clamd)) as pair:
        ward = await pair.hospital.log_in("ward")
        put = await pair.hospital.submit(ward, INFECTED, LAB)
        before = await pair.hospital.blobs.count()

        await desk_of(pair.hospital).drop(
            put.message_id, way_in=pair.hospital.services.acceptance.accept
        )

        told = await pair.hospital.letters("ward", WARD)
        assert [one.message.report for one in told] == ["delivery", "delivery"]
        assert await pair.hospital.blobs.count() == before  # one body less, one report more
        assert await desk_of(pair.hospital).list() == []
        assert "quarantine-dropped" in await events(pair.hospital)


async def test_the_sweeper_leaves_what_was_put_aside(
    homes: Path, clock: FixedClock, clamd: Clamd
) -> None:
    """Its body is referred to, though by no message."""
    async with opened(homes, clock, antivirus=scanning(clamd)) as pair:
        ward = await pair.hospital.log_in("ward")
        put = await pair.hospital.submit(ward, INFECTED, LAB)
        clock.advance(days=2)
        await pair.hospital.work()

        _, submission = await desk_of(pair.hospital).show(put.message_id)

        assert submission.raw == INFECTED
        assert [str(one.address) for one in submission.envelope.recipients] == [LAB]


@pytest.mark.parametrize(
    ("changes", "fault", "expected"),
    [
        ({"found": "refuse"}, "", ContentRefusedError),
        ({"when_unavailable": "defer"}, "garbage", ScannerUnavailableError),
        ({"max_octets": 1024, "when_too_large": "refuse"}, "", ContentRefusedError),
    ],
)
async def test_what_the_settings_refuse(
    homes: Path,
    clock: FixedClock,
    clamd: Clamd,
    changes: dict[str, object],
    fault: str,
    expected: type[MSSError],
) -> None:
    """The sender hears it at once and nothing is kept."""
    clamd.fault = fault
    async with opened(homes, clock, antivirus=scanning(clamd, **changes)) as pair:
        ward = await pair.hospital.log_in("ward")

        with pytest.raises(expected):
            await pair.hospital.submit(ward, a_letter(text=EICAR + "\r\nx" * 1000), LAB)

        count = select(func.count()).select_from(tables.message)
        assert await pair.hospital.database.read(lambda c: c.execute(count).scalar_one()) == 0
        assert await pair.hospital.blobs.count() == 0


@pytest.mark.parametrize(
    ("changes", "fault"),
    [({"when_unavailable": "accept"}, "garbage"), ({"max_octets": 1024}, "")],
)
async def test_what_was_not_scanned_is_marked(
    homes: Path, clock: FixedClock, clamd: Clamd, changes: dict[str, object], fault: str
) -> None:
    """Its reader should know."""
    clamd.fault = fault
    async with opened(homes, clock, antivirus=scanning(clamd, **changes)) as pair:
        ward = await pair.hospital.log_in("ward")

        await pair.hospital.submit(ward, a_letter(text="x\r\n" * 1000), LAB)

        (view,) = await pair.hospital.letters("lab", LAB)
        assert "not-scanned" in codes(view)


def _with_archive(*more: str) -> bytes:
    """Write a letter with documents, as software that sets no field about them does."""
    raw = compose(WARD, LAB, with_pdf=False)
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.replace(b"\r\n ", b"\0 ").replace(b"\r\n\t", b"\0\t").split(b"\r\n")
    kept = [one for one in lines if not one.lower().startswith(b"x-mss-")]
    fields = b"\r\n".join(one.replace(b"\0", b"\r\n") for one in kept)
    added = b"".join(f"{one}\r\n".encode() for one in more)
    return added + fields + b"\r\n\r\n" + body


async def _octets(operator: InProcessOperator, message_id: str) -> bytes:
    ref = select(tables.message.c.blob_ref).where(tables.message.c.id == message_id)
    return await operator.blobs.get(
        await operator.database.read(lambda c: c.execute(ref).scalar_one())
    )
