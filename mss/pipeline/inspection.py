"""Look at what a message carries: content policies, then the virus scanner.

Asked about readable octets: before a letter of ours is encrypted, after another operator's was
opened. What only the recipient can read cannot be looked at, and is marked so.

Errors
    `ContentRefusedError` to be told to the sender; `PutAsideError`, which never leaves the pipeline
    and puts the message aside; `ScannerUnavailableError` if the settings want a verdict.
"""

import logging
from dataclasses import dataclass

from mss.errors import ContentRefusedError, ScannerUnavailableError
from mss.model.content import SEVERITY, Action, Content, Objection
from mss.model.security import SecurityFinding
from mss.ports import ContentPolicy, Scanner
from mss.settings import AntivirusSettings

_log = logging.getLogger("mss.inspection")
_NOT_SCANNED = SecurityFinding(
    code="not-scanned",
    severity="warning",
    text="The message was not scanned for viruses.",
)


class PutAsideError(Exception):
    """A message is to be put aside until an administrator has looked.

    Attributes:
        cause: Kebab-case.
        detail: What the scanner calls it; empty for others.
    """

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(cause)
        self.cause = cause
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """Asks whoever has a say in what a message may carry.

    Attributes:
        scanner: `None` where nothing is scanned.
        policies: All are asked; the most severe answer counts, and marks add up.
    """

    scanner: Scanner | None
    policies: tuple[ContentPolicy, ...]
    settings: AntivirusSettings

    async def inspect(
        self, octets: bytes, content: Content, *, is_readable: bool
    ) -> tuple[SecurityFinding, ...]:
        """Let a message pass, with the warnings that its readers should see.

        Raises:
            ContentRefusedError: It is refused.
            PutAsideError: It is put aside.
            ScannerUnavailableError: There is no verdict now, and one is wanted.
        """
        objections = [one for one in (each.judge(content) for each in self.policies) if one]
        if objections:
            _enforce(max(objections, key=lambda one: SEVERITY.index(one.action)))
        marks = tuple(
            SecurityFinding(code=one.reason, severity="warning", text=one.text)
            for one in objections
        )
        return (*marks, *await self._scan(octets, is_readable=is_readable))

    async def _scan(self, octets: bytes, *, is_readable: bool) -> tuple[SecurityFinding, ...]:
        if self.scanner is None:
            return ()
        if not is_readable:
            return (_NOT_SCANNED,)
        if len(octets) > self.settings.max_octets:
            if self.settings.when_too_large == "refuse":
                raise ContentRefusedError(reason="too-large-to-scan")
            return (_NOT_SCANNED,)
        try:
            found = await self.scanner.scan(octets)
        except ScannerUnavailableError as error:
            _log.warning("the virus scanner gave no verdict: %s", error.reason)
            if self.settings.when_unavailable == "defer":
                raise
            return (_NOT_SCANNED,)
        if found is None:
            return ()
        if self.settings.found == "refuse":
            raise ContentRefusedError(reason="virus")
        raise PutAsideError("virus", found)


def _enforce(objection: Objection) -> None:
    if objection.action is Action.REFUSE:
        raise ContentRefusedError(reason=objection.reason)
    if objection.action is Action.QUARANTINE:
        raise PutAsideError(objection.reason)
