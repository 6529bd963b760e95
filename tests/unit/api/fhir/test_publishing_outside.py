"""Mailboxes told to a national FHIR directory, which our own facade plays here."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from directory.address import MailAddress
from directory.identifiers import NationalPersonId
from directory.index_sql.declared import DeclaredMailbox, declare_mailbox
from directory.index_sql.publications import list_outbox, retry_publications
from directory.model import MailboxKind
from mss.store.engine import Database, open_database
from mss.worker.fhir_publication import FhirExporter
from mss.worker.publication import DELAYS, Publishing
from tests.support.clock import FixedClock
from tests.support.database import SqliteFactory
from tests.unit.api.fhir.conftest import (
    ANNE_ID,
    BASE,
    HOSPITAL_ID,
    KEY,
    NOW,
    OURS,
    DirectoryServices,
    connected,
)
from tests.unit.directory.conftest import HOSPITAL

WARD = DeclaredMailbox(
    address=MailAddress.parse(f"nouveau.service@{OURS}"),
    kind=MailboxKind.ORG,
    organization_key=HOSPITAL.key,
    description="Accueil",
    changed_at=NOW,
)
PERSON = DeclaredMailbox(
    address=MailAddress.parse(f"anne.nouvelle@{OURS}"),
    kind=MailboxKind.PER,
    holder=NationalPersonId(f"8{ANNE_ID}"),
    changed_at=NOW,
)


class Outside:
    """The national directory, with its doors open or closed."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app
        self.answer: httpx.Response | None = None
        self.loses_answers = False
        self.calls: list[str] = []

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """Connect as our operator does, unless the test has the server answer otherwise."""
        async with connected(self.app, KEY) as inner:

            async def handle(request: httpx.Request) -> httpx.Response:
                self.calls.append(request.method)
                if self.answer is not None:
                    return self.answer
                response = await inner.send(request)
                await response.aread()
                if self.loses_answers and request.method == "PATCH":
                    raise httpx.ReadError("gone", request=request)
                return httpx.Response(response.status_code, content=response.content)

            async with httpx.AsyncClient(
                base_url=f"{BASE}/",
                headers=inner.headers,
                transport=httpx.MockTransport(handle),
            ) as client:
                yield client

    async def telecom(self, path: str) -> list[dict[str, object]]:
        """Read the mailboxes of a carrier, as our operator sees them."""
        async with connected(self.app, KEY) as client:
            found = (await client.get(path)).json().get("telecom", [])
        return [one for one in found if one["system"] == "email"]


@pytest.fixture
def outside(app: FastAPI, own: DirectoryServices) -> Outside:
    del own  # makes the facade stand on a database of its own
    return Outside(app)


@pytest.fixture
async def here(tmp_path: Path, sqlite_factory: SqliteFactory) -> AsyncIterator[Database]:
    """Our own operator, which has imported nothing."""
    folder = tmp_path / "here"
    folder.mkdir()
    sqlite_factory.create(folder)
    database = open_database(f"sqlite+aiosqlite:///{folder / 'mss.db'}")
    yield database
    await database.aclose()


@pytest.fixture
def publishing(here: Database, outside: Outside) -> Publishing:
    exporter = FhirExporter(client=outside.client, seconds=5)
    return Publishing(database=here, exporter=exporter, clock=FixedClock(at=NOW))


async def declare(here: Database, mailbox: DeclaredMailbox) -> None:
    await here.write(lambda c: declare_mailbox(c, mailbox))


async def outbox(here: Database) -> list[tuple[str, str]]:
    entries = await here.read(list_outbox)
    return [(one.state, one.reason) for one in entries]


def addresses(points: list[dict[str, object]]) -> set[object]:
    return {one["value"] for one in points}


@pytest.mark.parametrize(
    ("mailbox", "path"),
    [(WARD, f"/fhir/Organization/{HOSPITAL_ID}"), (PERSON, f"/fhir/Practitioner/{ANNE_ID}")],
)
async def test_an_opened_mailbox_is_told(
    here: Database,
    outside: Outside,
    publishing: Publishing,
    mailbox: DeclaredMailbox,
    path: str,
) -> None:
    """On its structure, or on the person who holds it."""
    await declare(here, mailbox)

    await publishing.run()

    assert str(mailbox.address) in addresses(await outside.telecom(path))
    assert await outbox(here) == []


async def test_what_was_told_is_not_told_again(
    here: Database, outside: Outside, publishing: Publishing
) -> None:
    """A quiet outbox makes no call."""
    await declare(here, WARD)
    await publishing.run()
    outside.calls.clear()

    await publishing.run()

    assert outside.calls == []


async def test_a_change_is_told(here: Database, outside: Outside, publishing: Publishing) -> None:
    """With what the kind of the mailbox may say."""
    await declare(here, WARD)
    await publishing.run()

    await declare(
        here, replace(WARD, description="Urgences", changed_at=NOW + timedelta(seconds=1))
    )
    await publishing.run()

    points = await outside.telecom(f"/fhir/Organization/{HOSPITAL_ID}")
    assert any("Urgences" in str(one) for one in points)
    assert len(addresses(points)) == len(points)


async def test_a_closed_mailbox_is_taken_out(
    here: Database, outside: Outside, publishing: Publishing
) -> None:
    """Nobody writes to it any more."""
    await declare(here, WARD)
    await publishing.run()

    closed = replace(WARD, is_closed=True, changed_at=NOW + timedelta(seconds=1))
    await declare(here, closed)
    await publishing.run()

    points = await outside.telecom(f"/fhir/Organization/{HOSPITAL_ID}")
    assert str(WARD.address) not in addresses(points)
    assert await outbox(here) == []


async def test_the_liste_rouge_is_told_as_such(
    here: Database, outside: Outside, publishing: Publishing
) -> None:
    """The national directory holds the mailbox, and shows it to nobody else."""
    await declare(here, replace(WARD, liste_rouge=True))
    await publishing.run()

    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(outside.app), base_url="https://directory.test"
    ) as stranger:
        answer = await stranger.get(
            f"/fhir/Organization/{HOSPITAL_ID}", headers={"ESANTE-API-KEY": "mss_none"}
        )
    assert str(WARD.address) not in answer.text
    assert str(WARD.address) in addresses(
        await outside.telecom(f"/fhir/Organization/{HOSPITAL_ID}")
    )


async def test_an_answer_that_was_lost_does_no_harm(
    here: Database, outside: Outside, publishing: Publishing
) -> None:
    """The mailbox is in; the next turn sees that, and inserts no second one."""
    await declare(here, WARD)
    outside.loses_answers = True
    await publishing.run()
    assert await outbox(here) == [("waiting", "broken-off")]

    outside.loses_answers = False
    outside.calls.clear()
    publishing.clock.advance(seconds=DELAYS[0].total_seconds())  # type: ignore[attr-defined]  # a fixed one
    await publishing.run()

    assert outside.calls == ["GET"]
    assert await outbox(here) == []


@pytest.mark.parametrize(
    ("answer", "reason", "seconds"),
    [
        (httpx.Response(503), "status-503", 60),
        (httpx.Response(429, headers={"Retry-After": "900"}), "status-429", 900),
        (httpx.Response(401), "status-401", 60),
        (httpx.Response(200, content=b"[]"), "answer-unreadable", 60),
        (httpx.Response(200, content=b"x" * 5_000_000), "answer-too-large", 60),
    ],
    ids=["down", "too many", "key", "nonsense", "flood"],
)
async def test_trouble_is_waited_for(
    here: Database,
    outside: Outside,
    publishing: Publishing,
    answer: httpx.Response,
    reason: str,
    seconds: float,
) -> None:
    """As long as the server says, and nothing is given up."""
    outside.answer = answer
    await declare(here, WARD)

    await publishing.run()

    (entry,) = await here.read(list_outbox)
    assert (entry.state, entry.reason) == ("waiting", reason)
    assert entry.next_at == NOW + timedelta(seconds=seconds)


async def test_a_server_in_trouble_is_left_in_peace(
    here: Database, outside: Outside, publishing: Publishing
) -> None:
    """One call tells; the other mailboxes wait without one."""
    outside.answer = httpx.Response(503)
    await declare(here, WARD)
    await declare(here, PERSON)

    await publishing.run()

    assert outside.calls == ["GET"]
    assert sorted(state for state, _ in await outbox(here)) == ["new", "waiting"]


async def test_a_refusal_is_shown_and_not_repeated(
    here: Database, outside: Outside, publishing: Publishing
) -> None:
    """Until somebody says so: the address is in a domain of somebody else."""
    foreign = replace(WARD, address=MailAddress.parse("intrus@ailleurs-demo.mssante.fr"))
    await declare(here, foreign)
    await publishing.run()
    ((state, reason),) = await outbox(here)
    assert state == "refused"
    assert reason.startswith("status-4")
    assert "intrus" not in reason
    outside.calls.clear()

    await publishing.run()
    assert outside.calls == []

    await here.write(lambda c: retry_publications(c, at=NOW))
    await publishing.run()
    assert outside.calls == ["GET", "PATCH"]


async def test_a_holder_who_is_unknown_is_waited_for(
    here: Database, publishing: Publishing
) -> None:
    """The national register may learn of them; other mailboxes do not wait for that."""
    await declare(here, replace(PERSON, holder=NationalPersonId("899000009996")))
    await declare(here, replace(WARD, changed_at=NOW + timedelta(seconds=1)))

    await publishing.run()

    assert await outbox(here) == [("waiting", "carrier-unknown")]


async def test_a_mailbox_of_nobody_cannot_be_told(here: Database, publishing: Publishing) -> None:
    """There is nothing nationally that it could hang on."""
    await declare(here, replace(WARD, organization_key=""))

    await publishing.run()

    assert await outbox(here) == [("refused", "no-carrier")]
