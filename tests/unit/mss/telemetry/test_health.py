from mss.errors import StoreUnavailableError
from mss.telemetry.health import Health


async def test_every_component_answers_for_itself() -> None:
    """One that is broken neither hides the others nor says more than it should."""

    async def good() -> str:
        return "ok"

    async def away() -> str:
        raise StoreUnavailableError(reason="password=hunter2")

    async def broken() -> str:
        raise ValueError("Mme CANARI")

    health = Health(checks={"good": good, "away": away, "broken": broken})

    assert health.is_live()
    assert await health.readiness() == {
        "good": "ok",
        "away": "store-unavailable",
        "broken": "ValueError",
    }
