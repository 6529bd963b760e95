"""Who keeps handing letters over while the operator dies and comes back?

Two clients of the operator (SMTP submission, REST with an Idempotency-Key) and a peer at its door
for other operators. Each does what its protocol asks: after no answer, the same octets again; after
a 4xx, later; after a 5xx, never. Some give up instead after no answer: theirs may be there or not.

What counts as *no answer* is precise: the letter was handed over entirely, and the connection ended
before the reply. A failure before that has handed nothing over.
"""

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

import httpx

from tests.crash.letters import ACCEPTED, LOST, REFUSED, Ledger, Letter
from tests.support.operators import ACCOUNT, HOSPITAL, PASSWORD, PRACTICES, Home
from tests.support.wire import Wire

PAUSE_SECONDS = 0.05
ANSWER_SECONDS = 30.0
LATER = "later"
LOCAL = (HOSPITAL.mailbox, HOSPITAL.other, HOSPITAL.red_list)
UNKNOWN_THERE = f"inconnu@{PRACTICES.domain}"
# Who a letter of a client may go to: here, there, both; also somebody whom the peer does not have.
ADDRESSEES = (
    (HOSPITAL.other,),
    (PRACTICES.mailbox,),
    (HOSPITAL.other, HOSPITAL.red_list),
    (PRACTICES.mailbox, HOSPITAL.other),
    (PRACTICES.mailbox, PRACTICES.red_list),
    (PRACTICES.mailbox, UNKNOWN_THERE),
)
INBOUND = ((HOSPITAL.mailbox,), (HOSPITAL.other, HOSPITAL.red_list))
NOT_HANDED_OVER = (OSError, EOFError, TimeoutError, httpx.TransportError, AssertionError)
HandOver = Callable[[Letter], Awaitable[str]]


class LostError(Exception):
    """The letter was handed over, and no answer came."""


@dataclass(slots=True, kw_only=True)
class Sender:
    """Writes letters and hands them over until it is told to stop.

    Attributes:
        door: What it is called in the ledger.
        is_stopping: True when it shall finish the letter at hand and end.
    """

    ledger: Ledger
    door: str
    author: str
    addressees: tuple[tuple[str, ...], ...]
    hand_over: HandOver
    is_stopping: bool = False

    async def run(self) -> None:
        """Keep sending, one letter at least."""
        while True:
            recipients = self.ledger.choose(*self.addressees)
            await self._send(self.ledger.write(self.door, self.author, recipients))
            if self.is_stopping:
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _send(self, letter: Letter) -> None:
        while True:
            try:
                answer = await self.hand_over(letter)
            except LostError:
                answer = LOST
            except NOT_HANDED_OVER:
                answer = LATER
            if answer != LATER:
                letter.answers.append(answer)
            if answer == ACCEPTED or answer.startswith(REFUSED):
                break
            if answer == LOST and not letter.insists:
                break
            await asyncio.sleep(PAUSE_SECONDS)
        letter.settle()


@dataclass(slots=True, kw_only=True)
class Doors:
    """How the three senders reach the operator; its ports change with each of its lives."""

    home: Home
    client_tls: ssl.SSLContext
    peer_tls: ssl.SSLContext
    ports: Mapping[str, int] = field(default_factory=dict)

    async def submit(self, letter: Letter) -> str:
        """Hand a letter over by SMTP submission."""
        async with await Wire.open(self.ports["submission"]) as wire:
            await wire.starttls(self.client_tls)
            login = b64encode(f"\0{ACCOUNT}\0{PASSWORD}".encode()).decode()
            if (await wire.ask(f"AUTH PLAIN {login}")).code != 235:
                return LATER
            return await _transact(wire, letter)

    async def relay(self, letter: Letter) -> str:
        """Hand a letter over as another operator does."""
        async with await Wire.open(self.ports["mx"]) as wire:
            await wire.starttls(self.peer_tls, name=PRACTICES.host_name)
            return await _transact(wire, letter)

    async def post(self, letter: Letter) -> str:
        """Hand a letter over by REST, with the same key each time."""
        body = {
            "Content-Type": "message/rfc822",
            "Idempotency-Key": uuid5(NAMESPACE_URL, letter.internet_message_id).hex,
        }
        async with httpx.AsyncClient(
            base_url=f"https://localhost:{self.ports['api']}",
            headers={"Authorization": f"Bearer {self.home.tokens[ACCOUNT]}"},
            verify=self.client_tls,
            timeout=ANSWER_SECONDS,
            trust_env=False,
        ) as http:
            try:
                response = await http.post(
                    f"/v1/mailboxes/{letter.sender}/messages", content=letter.raw, headers=body
                )
            except httpx.ConnectError:
                return LATER
            except httpx.TransportError as error:
                raise LostError from error
        if response.status_code == httpx.codes.ACCEPTED:
            return ACCEPTED
        if response.status_code >= 500 or response.status_code in {409, 429}:
            return LATER
        return f"{REFUSED} {response.status_code}"


async def _transact(wire: Wire, letter: Letter) -> str:
    """Say the envelope and the letter; the reply after the data decides."""
    for command in (
        f"MAIL FROM:<{letter.sender}>",
        *(f"RCPT TO:<{one}>" for one in letter.recipients),
        "DATA",
    ):
        reply = await wire.ask(command)
        if reply.code >= 500:
            return f"{REFUSED} {reply.code} {reply.status}"
        if reply.code >= 400:
            return LATER
    try:
        await wire.send(letter.raw + b".\r\n")
        reply = await wire.reply()
    except NOT_HANDED_OVER as error:
        raise LostError from error
    if reply.code == 250:
        return ACCEPTED
    return LATER if reply.code < 500 else f"{REFUSED} {reply.code} {reply.status}"


def the_senders(ledger: Ledger, doors: Doors) -> list[Sender]:
    """Two clients and a peer."""
    mine, theirs = HOSPITAL.mailbox, PRACTICES.mailbox
    return [
        Sender(
            ledger=ledger,
            door="submission",
            author=mine,
            addressees=ADDRESSEES,
            hand_over=doors.submit,
        ),
        Sender(ledger=ledger, door="api", author=mine, addressees=ADDRESSEES, hand_over=doors.post),
        Sender(ledger=ledger, door="mx", author=theirs, addressees=INBOUND, hand_over=doors.relay),
    ]
