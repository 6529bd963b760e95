"""Logging in at the submission doors over real sockets: certificates, tokens, outages, ends."""

import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from crypto.issuing import CertificateProfile, Subject, create_authority
from mss.accounts.errors import CredentialsRefusedError
from mss.errors import IdentityProviderUnavailableError
from mss.smtp.server import SmtpDoors, open_smtp_doors
from tests.support.smtp_fakes import (
    DOCTOR,
    SOFTWARE,
    TOKEN,
    FakeServices,
    Party,
    SmtpPki,
    create_pki,
    door_settings,
    yesterday,
)
from tests.support.wire import Wire


def sasl(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


XOAUTH2 = sasl(f"user={DOCTOR}\x01auth=Bearer {TOKEN}\x01\x01")
OAUTHBEARER = sasl(f"n,,\x01auth=Bearer {TOKEN}\x01\x01")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> SmtpPki:
    return create_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def services(tmp_path: Path, pki: SmtpPki) -> FakeServices:
    return FakeServices(settings=door_settings(tmp_path, pki, failed_logins=2))


@pytest.fixture
async def doors(services: FakeServices) -> AsyncIterator[SmtpDoors]:
    async with open_smtp_doors(services, grace_seconds=1) as opened:
        yield opened


@pytest.fixture
async def guest(doors: SmtpDoors, pki: SmtpPki) -> AsyncIterator[Wire]:
    """Software inside TLS that showed no certificate."""
    async with await Wire.open(doors.ports["submission"]) as wire:
        await wire.starttls(pki.client())
        yield wire


@pytest.fixture
async def software(doors: SmtpDoors, pki: SmtpPki) -> AsyncIterator[Wire]:
    """Software inside TLS that showed its certificate."""
    async with await Wire.open(doors.ports["submission"]) as wire:
        await wire.starttls(pki.client(a_client(pki, SOFTWARE)))
        yield wire


def a_client(pki: SmtpPki, name: str) -> Party:
    """Issue a certificate of the offer ORG AUTH_CLI."""
    issued = pki.authority.issue(
        CertificateProfile.CLIENT,
        Subject(common_name=name, organization="TEST", structure_id="1990000001"),
        at=yesterday(),
        valid_for=timedelta(days=30),
    )
    certificate, key = pki.folder / f"{name}.crt", pki.folder / f"{name}.key"
    certificate.write_text(issued.chain_pem)
    key.write_text(issued.private_key_pem)
    return Party(certificate=certificate, key=key)


async def mechanisms(wire: Wire) -> list[str]:
    """Ask what is offered."""
    reply = await wire.ask("EHLO software.example.org")
    (line,) = [one for one in reply.lines if one.startswith("AUTH ")]
    return line.split()[1:]


async def test_external_is_offered_to_who_showed_a_certificate(software: Wire) -> None:
    """First, since software takes the first one that it can do."""
    assert (await mechanisms(software))[0] == "EXTERNAL"


async def test_external_is_not_offered_without_a_certificate(guest: Wire) -> None:
    """There would be nothing to prove anything by."""
    assert "EXTERNAL" not in await mechanisms(guest)
    assert (await guest.ask("AUTH EXTERNAL =")).code == 504


@pytest.mark.parametrize(
    "steps", [["AUTH EXTERNAL ="], [f"AUTH EXTERNAL {sasl(DOCTOR)}"], ["AUTH EXTERNAL", ""]]
)
async def test_software_logs_in_with_its_certificate(software: Wire, steps: list[str]) -> None:
    """With or without naming the mailbox, in one step or two."""
    replies = [await software.ask(step) for step in steps]

    assert replies[-1].code == 235
    assert (await software.ask(f"MAIL FROM:<{DOCTOR}>")).code == 250


async def test_a_certificate_opens_no_other_mailbox(software: Wire) -> None:
    """Naming one that the software does not hold is a refusal, not a choice."""
    reply = await software.ask(f"AUTH EXTERNAL {sasl('other@ch-demo.mssante.fr')}")

    assert (reply.code, reply.status) == (535, "5.7.8")


async def test_an_unknown_certificate_is_refused(doors: SmtpDoors, pki: SmtpPki) -> None:
    """It holds, and nobody has given it an account."""
    async with await Wire.open(doors.ports["submission"]) as wire:
        await wire.starttls(pki.client(a_client(pki, "inconnu.essai")))

        assert (await wire.ask("AUTH EXTERNAL =")).code == 535


async def test_a_certificate_of_a_foreign_authority_ends_the_handshake(
    doors: SmtpDoors, pki: SmtpPki, tmp_path: Path
) -> None:
    """No certificate at all would have been fine; a false one is not."""
    foreign = SmtpPki(folder=tmp_path, authority=create_authority("OTHER", at=yesterday()))
    party = a_client(foreign, SOFTWARE)
    context = pki.client(party)
    async with await Wire.open(doors.ports["submission"]) as wire:
        with pytest.raises((OSError, AssertionError, EOFError)):
            await wire.starttls(context)


@pytest.mark.parametrize("command", [f"AUTH XOAUTH2 {XOAUTH2}", f"AUTH OAUTHBEARER {OAUTHBEARER}"])
async def test_an_outage_of_the_provider_is_temporary(
    guest: Wire, services: FakeServices, command: str
) -> None:
    """The client tries again, instead of asking the person to log in; nobody is suspected."""
    services.accounts.error = IdentityProviderUnavailableError(reason="ConnectError")
    replies = [await guest.ask(command) for _ in range(4)]
    services.accounts.error = None

    assert {(one.code, one.status) for one in replies} == {(454, "4.7.0")}
    assert (await guest.ask(command)).code == 235


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (CredentialsRefusedError(reason="token-expired", is_genuine=True), "token-expired"),
        (CredentialsRefusedError(reason="no-mailbox", is_genuine=True), "no-mailbox"),
        (CredentialsRefusedError(reason="token-signature"), "token-invalid"),
    ],
)
async def test_only_the_holder_of_a_genuine_token_learns_the_reason(
    guest: Wire, services: FakeServices, error: CredentialsRefusedError, shown: str
) -> None:
    """It is in the challenge; the reply itself is the same for everybody."""
    services.accounts.error = error

    challenge = await guest.ask(f"AUTH XOAUTH2 {XOAUTH2}")
    refusal = await guest.ask("")

    assert json.loads(base64.b64decode(challenge.text)) == {
        "status": "401",
        "schemes": "bearer",
        "scope": "mail",
        "reason": shown,
    }
    assert refusal.code == 535
    assert refusal.text.endswith("(not-authenticated)")


async def test_a_token_that_is_over_is_nobodys_guess(
    doors: SmtpDoors, pki: SmtpPki, services: FakeServices
) -> None:
    """They last two minutes: a hospital's software shows stale ones all day."""
    services.accounts.error = CredentialsRefusedError(reason="token-expired", is_genuine=True)
    async with await Wire.open(doors.ports["submission"]) as wire:
        await wire.starttls(pki.client())
        for _ in range(3):
            await wire.ask(f"AUTH XOAUTH2 {XOAUTH2}")
            await wire.ask("")
    services.accounts.error = None
    async with await Wire.open(doors.ports["submission"]) as wire:
        await wire.starttls(pki.client())

        assert (await wire.ask(f"AUTH XOAUTH2 {XOAUTH2}")).code == 235


async def test_cancelling_after_a_refusal_is_still_a_failure(
    guest: Wire, services: FakeServices
) -> None:
    """Otherwise `*` would make guessing free."""
    services.accounts.error = CredentialsRefusedError(reason="token-signature")
    for _ in range(2):
        await guest.ask(f"AUTH XOAUTH2 {XOAUTH2}")
        assert (await guest.ask("*")).code == 501

    assert (await guest.ask(f"AUTH XOAUTH2 {XOAUTH2}")).code == 454


async def test_a_connection_does_not_outlive_its_login(guest: Wire, services: FakeServices) -> None:
    """A token opens it for some hours; then the person proves again who they are."""
    assert (await guest.ask(f"AUTH XOAUTH2 {XOAUTH2}")).code == 235
    services.accounts.has_ended = True

    reply = await guest.ask(f"MAIL FROM:<{DOCTOR}>")

    assert (reply.code, reply.status) == (421, "4.7.0")
    assert await guest.is_closed()


async def test_nothing_is_asked_for_where_the_settings_say_so(tmp_path: Path, pki: SmtpPki) -> None:
    """Some software stumbles over the request for a certificate."""
    settings = door_settings(tmp_path, pki)
    quiet = settings.model_copy(
        update={"tls": settings.tls.model_copy(update={"ask_software": False})}
    )
    async with (
        open_smtp_doors(FakeServices(settings=quiet), grace_seconds=1) as doors,
        await Wire.open(doors.ports["submission"]) as wire,
    ):
        await wire.starttls(pki.client(a_client(pki, SOFTWARE)))

        assert "EXTERNAL" not in await mechanisms(wire)
