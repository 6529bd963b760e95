"""The same request at the same moment, over sockets, on both engines: one message."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from sqlalchemy import func, select

from api.app import create_app
from mss.services import Services
from mss.store import tables
from tests.support.clock import FixedClock
from tests.support.factories import GP, HOSPITAL, LAB, WARD, an_operator, make_homes
from tests.support.pki import Pki
from tests.support.uploading import uploaded

pytestmark = pytest.mark.slow

MESSAGES = f"/v1/mailboxes/{WARD}/messages"
KEY = {"Idempotency-Key": "visit-17"}
TIMES = 100


@asynccontextmanager
async def listening(services: Services) -> AsyncIterator[str]:
    """Run the API on a port of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            create_app(services), ws="none", lifespan="off", log_config=None, access_log=False
        )
        server = uvicorn.Server(config)
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve(sockets=[listener]))
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            server.should_exit = True


@pytest.mark.usefixtures("database")
async def test_a_hundred_same_requests_are_one_message(
    database_url: str, tmp_path: Path, pki: Pki, clock: FixedClock
) -> None:
    """Through two processes' worth of services on one database, so that no lock of one helps.

    All get the answer of the first: its message, its instant, its recipients.
    """
    url = database_url.replace("sqlite:///", "sqlite+aiosqlite:///")
    await make_homes(tmp_path, pki.authority, urls={HOSPITAL.domain: url})
    async with (
        an_operator(tmp_path, HOSPITAL, clock=clock) as one,
        an_operator(tmp_path, HOSPITAL, clock=clock, blobs=one.blobs) as two,
        listening(one.services) as here,
        listening(two.services) as there,
    ):
        token = await one.services.accounts.issue_token("ward")
        limits = httpx.Limits(max_connections=TIMES)
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(headers=headers, limits=limits, timeout=120) as client:
            client.base_url = httpx.URL(here)
            upload = await uploaded(client, b"hello", filename="a.txt")
            draft = {"to": [LAB, GP], "text": "x", "attachments": [{"upload": upload}]}
            answers = await asyncio.gather(
                *(
                    client.post((here, there)[n % 2] + MESSAGES, json=draft, headers=KEY)
                    for n in range(TIMES)
                )
            )
            other = await client.post(MESSAGES, json=draft | {"text": "y"}, headers=KEY)
        messages = await one.database.read(
            lambda c: c.execute(select(func.count()).select_from(tables.message)).scalar_one()
        )

    assert {one.status_code for one in answers} == {202}
    shown = [one.json() for one in answers]
    assert [one.pop("is_repeat") for one in shown].count(False) == 1
    assert all(one == shown[0] for one in shown)
    assert messages == 1
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
