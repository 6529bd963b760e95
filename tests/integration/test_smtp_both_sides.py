"""Our relay and our door with each other, on every event loop that the server may run on."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvloop

from mss.model.delivery import Delivery, DeliveryState, Outcome, Refused, Relayed
from mss.model.envelope import Notify
from mss.settings import RelaySettings
from mss.smtp.client import SmtpRelay
from mss.smtp.hosts import Host
from mss.smtp.server import open_smtp_doors
from tests.support.smtp_fakes import (
    DOCTOR,
    OUR_DOMAIN,
    PEER_HOST,
    WARD,
    FakeServices,
    FakeTrust,
    SmtpPki,
    a_letter,
    create_pki,
    door_settings,
)

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@dataclass(frozen=True)
class OneHost:
    """Finds the door under test for every domain."""

    port: int

    async def find(self, domain: str) -> tuple[Host, ...]:
        return (Host(name="127.0.0.1", port=self.port),)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SmtpPki:
    return create_pki(tmp_path_factory.mktemp("pki"))


def a_delivery(recipient: str) -> Delivery:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Delivery(
        id="d1",
        message_id="m1",
        recipient=recipient,
        domain=OUR_DOMAIN,
        state=DeliveryState.QUEUED,
        attempts=1,
        queued_at=at,
        next_attempt_at=at,
        expires_at=None,
        blob_ref="b1",
        sender=WARD,
        envelope_id="m1+1=",
        notify=frozenset({"SUCCESS", "FAILURE"}),
        original_recipient=f"rfc822;{recipient}",
        last_code=None,
        last_detail=None,
    )


async def hand_over(services: FakeServices, pki: SmtpPki, *raws: bytes) -> list[Outcome]:
    """Relay some letters, then one to nobody."""
    context = pki.client(pki.party(PEER_HOST))
    async with open_smtp_doors(services, only=frozenset({"mx"}), grace_seconds=1) as doors:
        relay = SmtpRelay(
            settings=RelaySettings(),
            trust=FakeTrust(domains={f"mta.{OUR_DOMAIN}": frozenset({OUR_DOMAIN})}),
            hosts=OneHost(port=doors.ports["mx"]),
            tls=lambda: context,
            host_name=PEER_HOST,
        )
        outcomes = [(await relay.relay([a_delivery(DOCTOR)], raw))[0] for raw in raws]
        outcomes += await relay.relay([a_delivery(f"nobody@{OUR_DOMAIN}")], raws[0])
        await relay.aclose()
    return outcomes


@pytest.mark.parametrize("loop_factory", LOOPS, ids=["asyncio", "uvloop"])
def test_what_leaves_one_operator_arrives_at_the_other(
    tmp_path: Path, pki: SmtpPki, loop_factory: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """Octets, envelope and wishes; small and large; and the reason when there is no mailbox."""
    services = FakeServices(settings=door_settings(tmp_path, pki))
    letters = [
        a_letter(lines=(b".", b"..", b"", b".x")),
        a_letter(lines=[b"QUJD" * 19] * 20_000),
        a_letter(lines=["é".encode() * 400] * 500),
    ]

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        outcomes = runner.run(hand_over(services, pki, *letters))

    accepted = services.acceptance.accepted
    assert [one.raw for one in accepted] == letters
    assert [type(one) for one in outcomes] == [Relayed, Relayed, Relayed, Refused]
    assert isinstance(outcomes[0], Relayed)
    assert outcomes[0].reports
    assert "m1 accepted" in outcomes[0].reply
    assert isinstance(outcomes[3], Refused)
    assert outcomes[3].status == "5.1.1"
    envelope = accepted[0].envelope
    assert (str(envelope.sender), envelope.envelope_id, envelope.returns) == (WARD, "m1+1=", "HDRS")
    assert envelope.recipients[0].notify == {Notify.SUCCESS, Notify.FAILURE}
    assert envelope.recipients[0].original_recipient == f"rfc822;{DOCTOR}"
