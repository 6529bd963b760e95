"""Health, for supervisors without a token."""

import httpx
import pytest

from tests.support.api_fakes import FakeServices


async def test_a_ready_server_says_so(stranger: httpx.AsyncClient) -> None:
    """Component by component."""
    answer = await stranger.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "components": {"database": "ok", "queue": "ok"},
        "warnings": {},
    }


async def test_a_server_with_an_old_trust_list_is_ready_and_says_so(
    stranger: httpx.AsyncClient, services: FakeServices
) -> None:
    """Mail must go on; somebody must look."""
    services.health.warnings["trust-list"] = "not confirmed for 30 hours"
    answer = await stranger.get("/health/ready")

    assert answer.status_code == 200
    assert answer.json()["warnings"] == {"trust-list": "not confirmed for 30 hours"}


async def test_a_server_that_is_not_ready_names_what_is_missing(
    stranger: httpx.AsyncClient, services: FakeServices
) -> None:
    """503, so that a load balancer turns to another one."""
    services.health.components["trust"] = "no trust list is loaded"
    answer = await stranger.get("/health/ready")

    assert answer.status_code == 503
    assert answer.json()["status"] == "not-ready"
    assert answer.json()["components"]["trust"] == "no trust list is loaded"


@pytest.mark.parametrize(("alive", "status"), [(True, 200), (False, 503)])
async def test_liveness_is_what_the_server_says_of_itself(
    stranger: httpx.AsyncClient, services: FakeServices, *, alive: bool, status: int
) -> None:
    """A supervisor restarts what is not alive."""
    services.health.alive = alive

    assert (await stranger.get("/health/live")).status_code == status
