"""An application around fake services, and a client that is logged in as Anne."""

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI

from api.app import create_app
from tests.support.api_fakes import TOKEN, FakeServices, fake_services


@pytest.fixture
def services() -> FakeServices:
    return fake_services()


@pytest.fixture(scope="session")
def shared_app() -> FastAPI:
    """Build the routes once; they are the same for all tests."""
    return create_app(fake_services().as_services())


@pytest.fixture
def app(shared_app: FastAPI, services: FakeServices) -> FastAPI:
    shared_app.state.services = services
    return shared_app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with a_client(app, token=TOKEN) as client:
        yield client


@pytest.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with a_client(app) as client:
        yield client


def a_client(app: FastAPI, *, token: str | None = None) -> httpx.AsyncClient:
    """Connect to an application without a socket."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="https://api.test", headers=headers
    )
