"""A real operator behind the real application, and clients of two accounts."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from mss.settings import LimitSettings
from tests.support.clock import FixedClock
from tests.support.factories import HOSPITAL, InProcessOperator, an_operator, make_homes
from tests.support.pki import Pki

LIMITS = LimitSettings(
    message_octets=4 * 1024 * 1024,
    upload_octets=8 * 1024 * 1024,
    account_upload_octets=12 * 1024 * 1024,
    mailbox_drafts=3,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """An operator, and its API as two accounts see it."""

    operator: InProcessOperator
    ward: httpx.AsyncClient
    lab: httpx.AsyncClient


@pytest.fixture(scope="session")
def made_homes(tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Path:
    """The homes of both operators, ready to run, on SQLite."""
    folder = tmp_path_factory.mktemp("homes")
    asyncio.run(make_homes(folder, pki.authority, urls={}))
    return folder


@pytest.fixture
async def serving(made_homes: Path, tmp_path: Path, clock: FixedClock) -> AsyncIterator[Serving]:
    """The hospital's API."""
    folder = Path(shutil.copytree(made_homes, tmp_path / "homes"))
    async with an_operator(folder, HOSPITAL, clock=clock, limits=LIMITS) as operator:
        transport = httpx.ASGITransport(app=create_app(operator.services))
        issue = operator.services.accounts.issue_token
        tokens = [await issue(name) for name in ("ward", "lab")]
        clients = [
            httpx.AsyncClient(
                transport=transport,
                base_url="https://api.test",
                headers={"Authorization": f"Bearer {token}"},
            )
            for token in tokens
        ]
        async with clients[0] as ward, clients[1] as lab:
            yield Serving(operator=operator, ward=ward, lab=lab)
