"""Write the directory to files that a FHIR client fetches: one export of an account at a time.

A job is a folder in the home, readable by the server alone: `job.json`, replaced as a whole, and a
compressed NDJSON file for each type. Any process can tell how a job stands and hand its files out;
the one that was asked writes it, page after page from one generation, in constant memory. A job
whose writer was silent for a while has failed. Nothing is kept longer than the settings say.

Errors
    `ExportBusyError`: this account's export is being written. `NotFoundError`: no such job or file.
Sources
    HL7 Bulk Data Access 2.0 (kick-off, status, manifest, cancellation).
"""

import asyncio
import gzip
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from directory.errors import DirectoryError
from directory.fhir.criteria import Criterion, FhirSearch, Interval, TimeMatch, Total
from directory.fhir.resources import build_resource
from directory.index_sql.fhir_search import FhirPage, Position, search
from mss.clock import Clock
from mss.errors import MSSError, NotFoundError, RateLimitedError
from mss.model.audit import AuditEvent, AuditName
from mss.model.principal import AccountPrincipal
from mss.store import audit
from mss.store.engine import Connection, Database

PAGE: Final = 1000
CHUNK_OCTETS: Final = 256 * 1024
SILENCE: Final = timedelta(minutes=5)
_JOB_ID: Final = re.compile(r"[0-9a-f]{32}")
_LEVEL: Final = 1  # of compression: the text repeats itself, and the processor is ours to spare


class ExportState(StrEnum):
    """How a job stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFile:
    """One file of an export."""

    type: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """An export, as its folder tells.

    Attributes:
        account_id: Who asked, and alone may look.
        request: The address that was asked, for the manifest.
        started_at: Also the instant that the content is of.
        written: Resources written so far.
    """

    id: str
    account_id: str
    request: str
    types: tuple[str, ...]
    since: datetime | None
    started_at: datetime
    noted_at: datetime
    state: ExportState = ExportState.RUNNING
    written: int = 0
    files: tuple[ExportFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportDesk:
    """Begins exports, writes them, and hands them out.

    Attributes:
        folder: Where they are kept.
        keep: For how long.
    """

    database: Database
    clock: Clock
    chain: str
    folder: Path
    keep: timedelta

    async def begin(
        self,
        principal: AccountPrincipal,
        *,
        types: Sequence[str],
        since: datetime | None,
        request: str,
    ) -> ExportJob:
        """Make a job; `write` does its work.

        Raises:
            RateLimitedError: An export of this account is being written.
        """
        await asyncio.to_thread(self.remove_old)
        now = self.clock.now()
        for job in await asyncio.to_thread(lambda: list(self._jobs())):
            if job.account_id == principal.account_id and self._state(job) is ExportState.RUNNING:
                raise RateLimitedError(what="exports", limit=1)
        job = ExportJob(
            id=self.clock.new_id(),
            account_id=principal.account_id,
            request=request,
            types=tuple(types),
            since=since,
            started_at=now,
            noted_at=now,
        )
        await asyncio.to_thread(self._make, job)
        return job

    async def write(self, job: ExportJob) -> None:
        """Write the files of a job; whatever happens, its folder tells how it ended."""
        try:
            job = await self._write_types(job)
            await self._note_end(job)
        except _CancelledError:
            return
        except (MSSError, DirectoryError, OSError):
            with suppress(OSError):
                await asyncio.to_thread(self._save, replace(job, state=ExportState.FAILED))

    async def find(self, job_id: str, *, principal: AccountPrincipal) -> ExportJob:
        """Tell how a job stands.

        Raises:
            NotFoundError: This account has no such job.
        """
        job = await asyncio.to_thread(self._load, job_id)
        if job is None or job.account_id != principal.account_id or self._is_old(job):
            raise NotFoundError(what="export")
        return replace(job, state=self._state(job))

    async def cancel(self, job_id: str, *, principal: AccountPrincipal) -> None:
        """Stop a job and remove its files.

        Raises:
            NotFoundError: This account has no such job.
        """
        job = await self.find(job_id, principal=principal)
        await asyncio.to_thread(shutil.rmtree, self.folder / job.id, ignore_errors=True)

    async def open_file(
        self, job_id: str, resource: str, *, principal: AccountPrincipal, compressed: bool
    ) -> AsyncIterator[bytes]:
        """Stream a file of a job that is done, compressed as it lies there or not.

        Raises:
            NotFoundError: There is no such file.
        """
        job = await self.find(job_id, principal=principal)
        if job.state is not ExportState.DONE or resource not in {one.type for one in job.files}:
            raise NotFoundError(what="export")
        path = self._path(job, resource)
        try:
            opened = await asyncio.to_thread(_open, path, compressed=compressed)
        except FileNotFoundError:
            raise NotFoundError(what="export") from None
        return _stream(opened)

    def expires_at(self, job: ExportJob) -> datetime:
        """Tell until when the files of a job can be fetched."""
        return job.started_at + self.keep

    async def forget(self) -> None:
        """Remove what was kept long enough, from time to time."""
        await asyncio.to_thread(self.remove_old)

    def remove_old(self) -> None:
        """Remove what was kept long enough."""
        for job in self._jobs():
            if self._is_old(job):
                shutil.rmtree(self.folder / job.id, ignore_errors=True)

    async def _write_types(self, job: ExportJob) -> ExportJob:
        position: Position | None = None
        for resource in job.types:
            query = FhirSearch(
                resource=resource, count=PAGE, total=Total.NONE, conditions=_since(resource, job)
            )
            path = self._path(job, resource)
            count = 0
            with await asyncio.to_thread(_create, path) as file:
                async for page in self._pages(query, position):
                    position = Position(generation=page.generation)
                    await asyncio.to_thread(_append, file, page)
                    count += len(page.matches)
                    job = replace(
                        job, written=job.written + len(page.matches), noted_at=self.clock.now()
                    )
                    await asyncio.to_thread(self._save, job)
            if count:
                job = replace(job, files=(*job.files, ExportFile(type=resource, count=count)))
            else:
                path.unlink(missing_ok=True)
        job = replace(job, state=ExportState.DONE, noted_at=self.clock.now())
        await asyncio.to_thread(self._save, job)
        return job

    async def _pages(self, query: FhirSearch, position: Position | None) -> AsyncIterator[FhirPage]:
        """Read one page after another, all from the same generation."""
        while True:
            at = position
            page = await self.database.survey(
                lambda c, at=at: search(c, query, position=at)  # type: ignore[misc]  # bound now
            )
            yield page
            if page.after is None:
                return
            position = Position(generation=page.generation, after=page.after)

    async def _note_end(self, job: ExportJob) -> None:
        event = AuditEvent(
            name=AuditName.DIRECTORY_EXPORTED,
            actor=f"account:{job.account_id}",
            facts=(("types", ",".join(job.types)), ("resources", str(job.written))),
        )
        now = self.clock.now()

        def change(connection: Connection) -> None:
            audit.append(connection, event, chain=self.chain, at=now)

        await self.database.write(change)

    # The folder

    def _make(self, job: ExportJob) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / job.id).mkdir(mode=0o700)
        self._save(job)

    def _save(self, job: ExportJob) -> None:
        """Replace the note of a job; a folder that is gone means that it was cancelled."""
        folder = self.folder / job.id
        fresh = folder / "job.new"
        try:
            with os.fdopen(
                os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb"
            ) as file:
                file.write(orjson.dumps(asdict(job)))
            fresh.replace(folder / "job.json")
        except FileNotFoundError:
            raise _CancelledError from None

    def _load(self, job_id: str) -> ExportJob | None:
        if not _JOB_ID.fullmatch(job_id):
            return None
        try:
            stored = orjson.loads((self.folder / job_id / "job.json").read_bytes())
        except (FileNotFoundError, orjson.JSONDecodeError):
            return None
        since = stored["since"]
        return ExportJob(
            **{
                **stored,
                "types": tuple(stored["types"]),
                "since": None if since is None else datetime.fromisoformat(since),
                "started_at": datetime.fromisoformat(stored["started_at"]),
                "noted_at": datetime.fromisoformat(stored["noted_at"]),
                "state": ExportState(stored["state"]),
                "files": tuple(ExportFile(**one) for one in stored["files"]),
            }
        )

    def _jobs(self) -> Iterator[ExportJob]:
        paths = sorted(self.folder.iterdir()) if self.folder.is_dir() else []
        found = (self._load(path.name) for path in paths)
        return (job for job in found if job is not None)

    def _path(self, job: ExportJob, resource: str) -> Path:
        return self.folder / job.id / f"{resource}.ndjson.gz"

    def _is_old(self, job: ExportJob) -> bool:
        return self.clock.now() >= self.expires_at(job)

    def _state(self, job: ExportJob) -> ExportState:
        is_silent = self.clock.now() - job.noted_at > SILENCE
        if job.state is ExportState.RUNNING and is_silent:
            return ExportState.FAILED
        return job.state


class _CancelledError(Exception):
    """The folder of the job is gone."""


def _since(resource: str, job: ExportJob) -> tuple[Criterion, ...]:
    if job.since is None:
        return ()
    match = TimeMatch(intervals=(Interval(start=job.since),))
    return (Criterion(resource=resource, parameter="_lastUpdated", match=match),)


def _create(path: Path) -> gzip.GzipFile:
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileNotFoundError:
        raise _CancelledError from None
    return gzip.GzipFile(path, mode="wb", compresslevel=_LEVEL)


def _append(file: gzip.GzipFile, page: FhirPage) -> None:
    """Write a page: building its resources is work for the thread as well."""
    file.write(
        b"".join(
            orjson.dumps(build_resource(record), option=orjson.OPT_APPEND_NEWLINE)
            for record in page.matches
        )
    )


def _open(path: Path, *, compressed: bool) -> BinaryIO | gzip.GzipFile:
    return path.open("rb") if compressed else gzip.GzipFile(path, mode="rb")


async def _stream(file: BinaryIO | gzip.GzipFile) -> AsyncIterator[bytes]:
    with file:
        while chunk := await asyncio.to_thread(file.read, CHUNK_OCTETS):
            yield chunk
