"""Is the process alive, and could it take a message right now?

Ready means: the database answers and has the schema of this version, the blob store has a place to
write, a trust list is in force. Not ready is no fault of a client: doors answer 4xx or 503 then.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from mss.errors import MSSError

Check = Callable[[], Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Asks each component; a check answers `ok` or a sentence.

    Attributes:
        checks: Without one of these no message can be taken.
        warnings: Mail still flows, but somebody should look.
    """

    checks: Mapping[str, Check]
    warnings: Mapping[str, Check] = field(default_factory=dict)

    def is_live(self) -> bool:
        """Tell that the event loop turns: whoever gets this answer has proof."""
        return True

    async def readiness(self) -> dict[str, str]:
        """Ask every component."""
        return {name: await _answer(check) for name, check in self.checks.items()}

    async def alerts(self) -> dict[str, str]:
        """Ask what an administrator should look at; names only what is not well."""
        found = {name: await _answer(check) for name, check in self.warnings.items()}
        return {name: state for name, state in found.items() if state != "ok"}


async def _answer(check: Check) -> str:
    try:
        return await check()
    except MSSError as error:
        return error.code
    except Exception as error:  # noqa: BLE001 -- a broken component must not break the answer
        return type(error).__name__
