"""A person with a token of the identity provider, and a letter with a virus, over real sockets."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from mss.clock import SystemClock
from tests.support.clamd import EICAR, Clamd, running_clamd
from tests.support.oidc_server import OidcServer, an_ec_key, running_provider
from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    AddressBook,
    Home,
    Running,
    Software,
    note,
    operating,
    send,
)
from tests.support.wire import Wire, WireReply

INBOX_OF_OTHER = PRACTICES.red_list


@pytest.fixture
async def provider() -> AsyncIterator[OidcServer]:
    async with running_provider() as running:
        yield running


@pytest.fixture
async def clamd() -> AsyncIterator[Clamd]:
    async with running_clamd() as running:
        yield running


@pytest.fixture
async def practices(
    practices_home: Home, provider: OidcServer, clamd: Clamd
) -> AsyncIterator[Running]:
    """The practices' operator, which believes the provider and asks the scanner."""
    oidc = provider.settings().model_dump(
        include={"issuer", "discovery_uri", "algorithms", "client_id"}
    )
    sections = {"oidc": oidc, "antivirus": {"address": clamd.address}}
    async with operating(practices_home.configure(sections), book=AddressBook()) as running:
        yield running


def token(provider: OidcServer, **changes: Any) -> str:
    return provider.token(at=SystemClock().now(), **changes)


@asynccontextmanager
async def connected(practices: Running) -> AsyncIterator[Wire]:
    """Connect to the submission door, inside TLS."""
    tls = Software(practices.home, practices.ports).tls
    async with await Wire.open(practices.ports["submission"]) as wire:
        await wire.starttls(tls)
        yield wire


async def log_in(wire: Wire, text: str, *, mailbox: str = PRACTICES.mailbox) -> WireReply:
    """Show a token, the way mail software does."""
    payload = f"user={mailbox}\x01auth=Bearer {text}\x01\x01".encode()
    return await wire.ask(f"AUTH XOAUTH2 {base64.b64encode(payload).decode()}")


async def test_one_token_opens_both_doors(practices: Running, provider: OidcServer) -> None:
    """The doctor sends by SMTP and reads by REST, with the number that the provider vouches for."""
    text = token(provider)
    async with connected(practices) as wire:
        assert (await log_in(wire, text)).code == 235
        raw = note(PRACTICES.mailbox, PRACTICES.mailbox)
        assert (await send(wire, raw, PRACTICES.mailbox, sender=PRACTICES.mailbox)).code == 250
        other = await wire.ask(f"MAIL FROM:<{HOSPITAL.mailbox}>")
        assert (other.code, other.status) == (550, "5.7.1")
    home = replace(practices.home, tokens={"logiciel": text})
    async with Software(home, practices.ports) as software:
        listed = await software.get("/v1/mailboxes")
        assert PRACTICES.mailbox in [one["address"] for one in listed["items"]]
        assert len(await software.await_inbox()) == 1


async def test_keys_rotate_under_a_running_server(practices: Running, provider: OidcServer) -> None:
    """Nobody restarts anything."""
    async with connected(practices) as wire:
        assert (await log_in(wire, token(provider))).code == 235
    provider.keys = [an_ec_key("next"), *provider.keys]
    async with connected(practices) as wire:
        provider.keys = provider.keys[:2]
        assert (await log_in(wire, token(provider, key=provider.keys[1]))).code == 235


async def test_a_refused_token_is_explained_and_the_connection_lives(
    practices: Running, provider: OidcServer
) -> None:
    """The reason to its holder, 535 to everybody, and another try on the same connection."""
    over = int(SystemClock().now().timestamp()) - 3600
    async with connected(practices) as wire:
        challenge = await log_in(wire, token(provider, exp=over))
        reason = json.loads(base64.b64decode(challenge.text))["reason"]
        refusal = await wire.ask("")
        again = await log_in(wire, token(provider))

    assert (challenge.code, reason) == (334, "token-expired")
    assert (refusal.code, refusal.status, again.code) == (535, "5.7.8", 235)


@pytest.mark.parametrize(
    "changes",
    [
        {"SubjectNameID": "899000000010"},
        {"iss": "https://evil.example"},
        {"cnf": {"x5t#S256": "AAAA"}},
        {"header": {"alg": "ES256", "jwk": {}}},
    ],
    ids=["stranger", "issuer", "certificate", "own-key"],
)
async def test_rest_answers_every_bad_token_alike(
    practices: Running, provider: OidcServer, changes: dict[str, object]
) -> None:
    """401 with one and the same body."""
    home = replace(practices.home, tokens={"logiciel": token(provider, **changes)})
    async with Software(home, practices.ports) as software:
        response = await software.http.get("/v1/mailboxes")

    assert (response.status_code, response.json()["code"]) == (401, "not-authenticated")
    assert "reason" not in response.text


async def test_an_outage_of_the_provider_is_temporary(
    practices: Running, provider: OidcServer
) -> None:
    """454 for mail software, 503 for REST: nobody is asked to log in again."""
    text = token(provider)
    async with connected(practices) as wire:
        assert (await log_in(wire, text)).code == 235  # so the keys have been fetched
    provider.fault = "503"
    believed = practices.operator.services.accounts.provider
    assert believed is not None
    believed.keys._fetched_at = None  # as after a day without the provider
    async with connected(practices) as wire:
        reply = await log_in(wire, text)
    home = replace(practices.home, tokens={"logiciel": text})
    async with Software(home, practices.ports) as software:
        response = await software.http.get("/v1/mailboxes")

    assert (reply.code, reply.status) == (454, "4.7.0")
    assert (response.status_code, response.json()["retryable"]) == (503, True)


async def test_a_virus_is_taken_and_reaches_nobody(practices: Running, clamd: Clamd) -> None:
    """250, because we are responsible now; a report to the sender; nothing to the recipient."""
    async with Software(practices.home, practices.ports) as software:
        raw = note(PRACTICES.mailbox, INBOX_OF_OTHER, text=EICAR)
        assert (await software.submit(raw, INBOX_OF_OTHER)).code == 250
        posted = await software.post(note(PRACTICES.mailbox, INBOX_OF_OTHER, text=EICAR))
        (first, second) = await software.await_inbox(2)

        assert await software.listed(mailbox=INBOX_OF_OTHER) == []
        assert (posted.status_code, posted.json()["deliveries"][0]["state"]) == (202, "held")
        assert {first["report"], second["report"]} == {"delivery"}
    assert len(clamd.scanned) == 2
