"""What nobody may read is nowhere: not in logs, journal, figures, nor in files at rest."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from mss.cli.compose import open_desk
from mss.store import tables
from tests.support.crashing import Fate, MortalOperator
from tests.support.operators import (
    HOSPITAL,
    PASSWORD,
    PRACTICES,
    AddressBook,
    Ground,
    Home,
    Software,
    accepted_id,
    compose,
    the_letter,
)

SUBJECT = "Canari-Sujet-7f3a"
TEXT = "Canari-Texte-91bc"
QUERY = "Canari-Requete-55de"
WRONG_TOKEN = "mss_Canari-Jeton-c0ffee-0123456789"
WRONG_PASSWORD = "Canari-Mot-de-passe-e4e4"
UNKNOWN = "canari-inconnu-2b2b"
ADMINISTRATION = {"admin": "127.0.0.1:0"}


@pytest.fixture
def homes(ground: Ground, tmp_path: Path) -> tuple[Home, Home]:
    """Both homes, with the administration pages open."""
    return (
        ground.copy(HOSPITAL, tmp_path, {"listen": ADMINISTRATION}),
        ground.copy(PRACTICES, tmp_path, {"listen": ADMINISTRATION}),
    )


def canaries(homes: tuple[Home, Home]) -> list[bytes]:
    """Texts that must not be found, and no other text contains by chance."""
    letter = the_letter()
    secrets = [SUBJECT, TEXT, QUERY, WRONG_TOKEN, WRONG_PASSWORD, UNKNOWN, PASSWORD]
    secrets += ["PATIENT-FICTIF", "254057511404292", "Lettre de liaison"]
    secrets += [token for home in homes for token in home.tokens.values()]
    encoded = [one.encode() for one in secrets]
    return [*encoded, letter.cda[200:260], letter.pdf[100:160], letter.archive[40:100]]


def files_of(home: Home) -> Iterator[tuple[str, bytes]]:
    """Every file at rest: database, write-ahead log, bodies, log, keys, settings."""
    for file in sorted(home.path.rglob("*")):
        if file.is_file():
            yield file.name, file.read_bytes()


def found_in(texts: Iterator[tuple[str, bytes]], secrets: list[bytes]) -> list[tuple[str, bytes]]:
    """Say which secret stands where."""
    return [(name, one) for name, octets in texts for one in secrets if one in octets]


@pytest.mark.slow
async def test_no_secret_is_left_anywhere(homes: tuple[Home, Home], tmp_path: Path) -> None:
    """A letter goes all the way, with every kind of failure around it; then everything is read."""
    hospital_home, practices_home = homes
    figures: list[tuple[str, bytes]] = []
    async with both_apart(homes, tmp_path) as (hospital, practices):
        async with (
            Software(hospital_home, hospital.ports) as writer,
            Software(practices_home, practices.ports) as reader,
        ):
            raw = compose(HOSPITAL.mailbox, PRACTICES.mailbox, subject=SUBJECT, text=TEXT)
            sent = accepted_id(await writer.submit(raw, PRACTICES.mailbox))
            (item,) = await reader.await_inbox()
            await reader.get(f"/v1/messages/{item['id']}/documents")
            await reader.get(f"/v1/directory/search?q={QUERY}")
            await writer.await_station(sent, "relayed")
            await fail_in_every_way(writer)
        for one in (hospital, practices):
            figures += await metrics(one)

    secrets = canaries(homes)
    for home in homes:
        assert found_in(files_of(home), secrets) == []
        assert found_in(iter([("journal", await journal(home))]), secrets) == []
    assert found_in(iter(figures), secrets) == []
    for home in homes:
        log = (home.path / "serve.log").read_bytes()
        for address in (HOSPITAL.mailbox, PRACTICES.mailbox):
            assert address.encode() not in log


@asynccontextmanager
async def both_apart(
    homes: tuple[Home, Home], folder: Path
) -> AsyncIterator[tuple[MortalOperator, MortalOperator]]:
    """Run both operators in processes of their own, with logs in their homes."""
    book = AddressBook()
    hospital, practices = (
        MortalOperator(home=home, book=book, fate=Fate(ledger=folder / "ledger")) for home in homes
    )
    for one in (practices, hospital):
        await asyncio.to_thread(one.start)
    yield hospital, practices
    assert [await asyncio.to_thread(one.stop) for one in (hospital, practices)] == [0, 0]


async def fail_in_every_way(writer: Software) -> None:
    """Wrong token, wrong password, unknown recipient, broken message, broken JSON."""
    path = f"/v1/mailboxes/{writer.mailbox}/messages"
    wrong = {"Authorization": f"Bearer {WRONG_TOKEN}"}
    assert (await writer.http.get(path, headers=wrong)).status_code == 401
    broken = await writer.http.post(
        path, content=f'{{"subject": "{SUBJECT}"', headers={"Content-Type": "application/json"}
    )
    assert broken.status_code == 400
    injected = {"to": [PRACTICES.mailbox], "subject": f"{SUBJECT}\r\nBcc: x@example.org"}
    assert (await writer.http.post(path, json=injected)).status_code == 422
    address = f"{UNKNOWN}@{HOSPITAL.domain}"
    unknown = {"to": [address], "subject": SUBJECT, "text": TEXT}
    assert (await writer.http.post(path, json=unknown)).status_code == 422
    async with writer.logged_in() as wire:
        assert (await wire.ask(f"MAIL FROM:<{writer.mailbox}>")).code == 250
        assert (await wire.ask(f"RCPT TO:<{address}>")).code == 550
        assert (await wire.ask(f"{SUBJECT} {WRONG_PASSWORD}")).code == 500


async def metrics(operator: MortalOperator) -> list[tuple[str, bytes]]:
    """Read what the administration listener tells."""
    async with httpx.AsyncClient(trust_env=False) as visitor:
        base = f"http://127.0.0.1:{operator.ports['admin']}"
        pages = [(path, await visitor.get(base + path)) for path in ("/metrics", "/health/ready")]
    return [(path, page.content) for path, page in pages]


async def journal(home: Home) -> bytes:
    """Read every line of the journal."""
    async with open_desk(home.settings()) as desk:
        rows = await desk.database.read(
            lambda c: c.execute(
                select(tables.audit.c.name, tables.audit.c.actor, tables.audit.c.facts)
            ).all()
        )
    assert len(rows) > 10
    return repr(rows).encode()


@pytest.mark.slow
async def test_a_canary_in_clear_is_found(homes: tuple[Home, Home]) -> None:
    """The search itself works: a letter that lies about in a home is noticed."""
    home = homes[0]
    await asyncio.to_thread(
        (home.path / "left-behind.eml").write_bytes, f"Subject: {SUBJECT}".encode()
    )

    assert found_in(files_of(home), canaries(homes)) == [("left-behind.eml", SUBJECT.encode())]
