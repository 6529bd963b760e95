"""What every process of an operator keeps up to date, whichever parts it runs.

The trust list that another process put in force; anchors, issuing certificates and revocation
lists; the certificate and key that doors and relay show; the keys that sign and open letters, and
the certificates of post-quantum envelopes. Files are looked at every so often and at
once on request (SIGHUP). What is under way is not disturbed: contexts serve the connections that
begin while they are in force. A file that cannot be used changes nothing but the journal.

Errors
    None: a look that fails is logged, and the next one tries again.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from crypto.certificates import parse_certificates
from mss.errors import MSSError, SettingsError
from mss.model.audit import AuditName
from mss.settings import Settings
from mss.trust_space import TrustSpace
from mss.worker.revocation import RevocationNews

_log = logging.getLogger("mss.worker")

Marks = tuple[tuple[str, int, int, int], ...]
"""Name, inode, size and time of change of each file."""


class Renewable(Protocol):
    """Something made from certificate, key and anchors."""

    def reload(self) -> None:
        """Read the files again; raises `SettingsError` and keeps what was in force."""
        ...


class RenewableKeys(Renewable, Protocol):
    """The keys that letters are signed, opened and enveloped with."""

    def files(self) -> tuple[Path, ...]:
        """List the files that they are made from."""
        ...


@dataclass(slots=True, kw_only=True)
class Watch:
    """Looks after lists and files while a process lives.

    Attributes:
        renewables: What is made from certificate, key and anchors; all are renewed, or none.
        keys: What signs, opens and envelopes letters.
    """

    trust: TrustSpace
    news: RevocationNews
    settings: Settings
    renewables: Sequence[Renewable]
    keys: RenewableKeys
    _trust_marks: Marks = field(default=(), init=False)
    _tls_marks: Marks = field(default=(), init=False)
    _key_marks: Marks = field(default=(), init=False)
    _awake: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self._trust_marks = _marks_of(self._trust_files())
        self._tls_marks = _marks_of(self._tls_files())
        self._key_marks = _marks_of(self.keys.files())

    def wake(self) -> None:
        """Look at once, and read everything again even if no file seems to have changed."""
        self._trust_marks = self._tls_marks = self._key_marks = ()
        self._awake.set()

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self.settings.tls.watch_seconds):
                    await self._awake.wait()
            except TimeoutError:
                pass
            self._awake.clear()
            await self.look()

    async def look(self) -> None:
        """Take up what has changed."""
        for step in (
            self.trust.refresh,
            self._look_at_trust,
            self.news.follow,
            self._look_at_tls,
            self._look_at_keys,
        ):
            try:
                await step()
            except MSSError as error:
                _log.warning("the watch goes on: %s", error)
            except Exception:  # noqa: BLE001 -- a process must not lose its watch
                _log.exception("the watch goes on")

    async def _look_at_trust(self) -> None:
        marks = await asyncio.to_thread(_marks_of, self._trust_files())
        if marks == self._trust_marks:
            return
        self._trust_marks = marks
        await self.news.reload()

    async def _look_at_tls(self) -> None:
        marks = await asyncio.to_thread(_marks_of, self._tls_files())
        if marks == self._tls_marks:
            return
        self._tls_marks = marks
        file = self.settings.path(self.settings.tls.certificate)
        try:
            for one in self.renewables:
                await asyncio.to_thread(one.reload)
            leaf = parse_certificates(await asyncio.to_thread(file.read_bytes))[0]
        except SettingsError as error:
            await self.trust.note(AuditName.TLS_REFUSED, actor="system", reason=error.reason)
            raise
        await self.trust.note(
            AuditName.TLS_RELOADED,
            actor="system",
            subject=leaf.subject_text,
            fingerprint=leaf.fingerprint,
            until=leaf.not_after_at.isoformat(),
        )

    async def _look_at_keys(self) -> None:
        marks = await asyncio.to_thread(lambda: _marks_of(self.keys.files()))
        if marks == self._key_marks:
            return
        self._key_marks = marks
        try:
            await asyncio.to_thread(self.keys.reload)
        except SettingsError as error:
            await self.trust.note(AuditName.KEYS_REFUSED, actor="system", reason=error.reason)
            raise
        await self.trust.note(AuditName.KEYS_RELOADED, actor="system")

    def _trust_files(self) -> tuple[Path, ...]:
        trust = self.settings.trust
        folder = self.settings.path(trust.crls)
        return (
            self.settings.path(trust.anchors),
            self.settings.path(trust.intermediates),
            *sorted(folder.glob("*.crl")),
        )

    def _tls_files(self) -> tuple[Path, ...]:
        settings = self.settings
        names = (
            settings.tls.certificate,
            settings.tls.key,
            settings.trust.anchors,
            settings.trust.intermediates,
        )
        return tuple(map(settings.path, names))


@dataclass(frozen=True, slots=True)
class Renewal:
    """A `Renewable` from a function."""

    reload: Callable[[], None]


def _marks_of(files: Sequence[Path]) -> Marks:
    """Take down what changes when a file does; a file that is away is a change too."""
    marks = []
    for file in files:
        try:
            found = file.stat()
        except OSError:
            continue
        marks.append((str(file), found.st_ino, found.st_size, found.st_mtime_ns))
    return tuple(marks)
