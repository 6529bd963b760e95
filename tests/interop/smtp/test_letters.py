"""Letters between us and the mail servers of others, both ways, compared octet for octet."""

import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from mss.clock import SystemClock
from mss.model.delivery import Delivery, DeliveryState, Relayed
from mss.store import deliveries
from tests.interop.smtp import servers
from tests.interop.smtp.conftest import Note
from tests.interop.smtp.letters import CASES, a_letter, find_change
from tests.interop.smtp.servers import SERVERS, Server
from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    AddressBook,
    Ground,
    Running,
    Software,
    accepted_id,
    note,
    until,
)
from tests.support.wire import Wire, WireReply

OUT, BACK = "we to them", "they to us"
UNKNOWN = f"inconnu@{PRACTICES.domain}"
pytestmark = [pytest.mark.interop, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


def a_delivery(*, notify: frozenset[str] = frozenset({"NEVER"})) -> Delivery:
    """A delivery to the known mailbox, that is due."""
    now = SystemClock().now()
    return Delivery(
        id=SystemClock().new_id(),
        message_id=SystemClock().new_id(),
        recipient=PRACTICES.mailbox,
        domain=PRACTICES.domain,
        state=DeliveryState.QUEUED,
        attempts=1,
        queued_at=now,
        next_attempt_at=now,
        expires_at=now + timedelta(days=1),
        blob_ref=None,
        sender=HOSPITAL.mailbox,
        envelope_id=SystemClock().new_id(),
        notify=notify,
        original_recipient=None,
        last_code=None,
        last_detail=None,
    )


async def handed_in(server: Server, raw: bytes, *, to: str = HOSPITAL.mailbox) -> WireReply:
    """Let a user of the server send a letter."""
    async with await Wire.open(server.inside) as wire:
        assert (await wire.ask("EHLO poste.example.org")).code == 250
        assert (await wire.ask(f"MAIL FROM:<{PRACTICES.mailbox}> BODY=8BITMIME")).code == 250
        assert (await wire.ask(f"RCPT TO:<{to}>")).code == 250
        assert (await wire.ask("DATA")).code == 354
        await wire.send(raw.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        return await wire.reply()


async def await_letter(server: Server, raw: bytes) -> bytes:
    """Wait until a letter lies in the known mailbox of the server."""
    name = raw[raw.index(b"Message-ID") :].split(b"\r\n")[0]
    found: list[bytes] = []

    async def has_come() -> bool:
        found[:] = [one for one in server.letters() if name in one]
        return bool(found)

    await until(has_come, f"{name!r} in the mailbox; the log: {server.said()[-2000:]}")
    return found[0]


@pytest.mark.parametrize("case", CASES)
async def test_what_we_send_arrives_as_it_was(
    beside: Server, hospital: Running, case: str, note_case: Note
) -> None:
    """Over TLS with both certificates; the server writes its trace above, and changes nothing."""
    note_case(beside.name, OUT, case)
    more, body = CASES[case]()
    raw = a_letter(HOSPITAL.mailbox, PRACTICES.mailbox, body, more=more)

    (outcome,) = await hospital.operator.services.delivering.relay.relay([a_delivery()], raw)

    assert isinstance(outcome, Relayed), outcome
    assert outcome.reports
    assert find_change(await await_letter(beside, raw), raw) is None


@pytest.mark.parametrize("case", CASES)
async def test_what_they_send_arrives_as_it_was(
    beside: Server, hospital: Running, case: str, note_case: Note
) -> None:
    """Their certificate is recognised at our door, and the mailbox holds what their user wrote."""
    note_case(beside.name, BACK, case)
    more, body = CASES[case]()
    raw = a_letter(PRACTICES.mailbox, HOSPITAL.mailbox, body, more=more)
    async with Software(hospital.home, hospital.ports) as reader:
        before = len(await reader.listed())
        assert (await handed_in(beside, raw)).code == 250

        arrived, *_ = await reader.await_inbox(before + 1)

        assert find_change(await reader.octets(f"/v1/messages/{arrived['id']}/raw"), raw) is None


async def test_a_protected_letter_is_followed_to_its_mailbox(
    beside: Server, hospital: Running, note_case: Note
) -> None:
    """What we queued arrives to the octet; the server's own report raises it to `delivered`."""
    note_case(beside.name, OUT, "report of success")
    async with Software(hospital.home, hospital.ports) as writer:
        raw = note(HOSPITAL.mailbox, PRACTICES.mailbox)
        sent = accepted_id(await writer.submit(raw, PRACTICES.mailbox))

        stations = await writer.await_station(sent, "delivered")

        assert stations == ["accepted", "relayed", "delivered"]
        database, blobs = hospital.operator.database, hospital.operator.blobs
        (delivery,) = await database.read(lambda c: deliveries.deliveries_of(c, sent))
        assert delivery.blob_ref is not None
        queued = await blobs.get(delivery.blob_ref)
        assert find_change(await await_letter(beside, raw), queued) is None


async def test_a_bounce_of_theirs_is_understood(
    beside: Server, hospital: Running, note_case: Note
) -> None:
    """The server took the letter and found nobody: its author is told, once, and by whom."""
    note_case(beside.name, OUT, "bounce of an unknown user")
    async with Software(hospital.home, hospital.ports) as writer:
        sent = accepted_id(await writer.submit(note(HOSPITAL.mailbox, UNKNOWN), UNKNOWN))

        stations = await writer.await_station(sent, "failed")

        assert [one for one in stations if one != "deferred"] == ["accepted", "relayed", "failed"]
        report, *_ = await writer.listed()
        assert report["report"] == "delivery"


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("name", SERVERS)
async def test_both_versions_of_tls_carry_letters_both_ways(
    ground: Ground,
    open_folder: Path,
    hospital_port: int,
    hospital: Running,
    book: AddressBook,
    name: str,
    version: str,
    note_case: Note,
) -> None:
    """A letter out and its report back, with a server that speaks one version only."""
    note_case(name, "both ways", f"TLS {version}")
    folder = Path(tempfile.mkdtemp(dir=open_folder))
    part = servers.prepare(folder, ground, hospital=hospital_port, tls=version)
    with SERVERS[name](part) as server:
        book.ports[PRACTICES.domain] = server.port
        async with Software(hospital.home, hospital.ports) as writer:
            raw = note(HOSPITAL.mailbox, PRACTICES.mailbox)
            sent = accepted_id(await writer.submit(raw, PRACTICES.mailbox))

            await writer.await_station(sent, "delivered")

        other = "1.3" if version == "1.2" else "1.2"
        said = server.said()
        assert any(f"{word}{version}" in said for word in ("TLSv", "TLS")), said[-2000:]
        assert not any(f"{word}{other}" in said for word in ("TLSv", "TLS"))
