"""Fetch a national directory file from its publisher, unless it is the one that we have.

A HEAD request tells the name of the file, which carries its stamp: if we have that file, nothing is
transferred. Otherwise one GET over HTTPS writes it to disk, bounded in octets and in time, with a
verified server; redirects are followed within HTTPS, since data.gouv.fr gives each file a lasting
address that leads to the one of the day.

Errors
    `DirectoryUnreachableError` for whatever the network or the server does.
Sources
    RFC 9110, 13 (conditional requests); RFC 6266 (names of files). The extraction service names
    its files `…_AAAAMMJJhhmm.zip`; its server is certified by the IGC-Santé.
"""

import asyncio
import hashlib
import json
import os
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import httpx

from mss.errors import DirectoryUnreachableError, SettingsError
from mss.settings import Settings

MAX_REDIRECTS: Final = 3
MAX_VALIDATOR: Final = 1024
_NAME: Final = re.compile(r'filename="?([^";/\\]{1,200})"?')
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_STATE: Final = "source.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownFile:
    """The file that was fetched last from an address, and by what the server recognises it."""

    name: str = ""
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchedFile:
    """A national file on disk.

    Attributes:
        is_new: False if it is the one that we had.
    """

    path: Path
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryFetcher:
    """Fetches files into a folder, a sub-folder for each address.

    Attributes:
        context: Gives the TLS context, made anew so that renewed anchors count.
        seconds: Longest duration of one transfer.
    """

    folder: Path
    context: Callable[[], ssl.SSLContext]
    max_octets: int
    seconds: float

    async def fetch(self, url: str) -> FetchedFile:
        """Fetch what is at an address, if it is not what we have.

        Raises:
            DirectoryUnreachableError: It cannot be had.
        """
        if not url.startswith("https://"):
            raise DirectoryUnreachableError(reason="not-https")
        place = self.folder / hashlib.sha256(url.encode()).hexdigest()[:16]
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            async with (
                asyncio.timeout(self.seconds),
                httpx.AsyncClient(
                    verify=self.context(),
                    trust_env=False,
                    follow_redirects=True,
                    max_redirects=MAX_REDIRECTS,
                    timeout=httpx.Timeout(60.0),
                    event_hooks={"request": [_only_https]},
                ) as client,
            ):
                return await self._fetch(client, url, place)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise DirectoryUnreachableError(reason="timeout") from error
        except httpx.ConnectError as error:
            is_certificate = "CERTIFICATE_VERIFY_FAILED" in str(error)
            reason = "untrusted-server" if is_certificate else "unreachable"
            raise DirectoryUnreachableError(reason=reason) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise DirectoryUnreachableError(reason="broken-off") from error

    async def _fetch(self, client: httpx.AsyncClient, url: str, place: Path) -> FetchedFile:
        known = _load(place)
        have = place / known.name if known.name else None
        if have is not None and not have.is_file():
            known, have = KnownFile(), None
        named = await self._ask_name(client, url)
        if have is not None and named == known.name and _has_stamp(named):
            return FetchedFile(path=have, is_new=False)
        headers = {"Accept-Encoding": "identity"}
        headers |= {"If-None-Match": known.etag} if known.etag else {}
        headers |= {"If-Modified-Since": known.last_modified} if known.last_modified else {}
        async with client.stream("GET", url, headers=headers) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED and have is not None:
                return FetchedFile(path=have, is_new=False)
            if response.status_code != httpx.codes.OK:
                raise DirectoryUnreachableError(reason=f"status-{response.status_code}")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise DirectoryUnreachableError(reason="encoded")
            name = _file_name(response) or named or "file"
            path = place / name
            await self._write(response, path)
            _save(
                place,
                KnownFile(
                    name=name,
                    etag=_validator(response, "ETag"),
                    last_modified=_validator(response, "Last-Modified"),
                ),
            )
        _keep_only(place, path)
        return FetchedFile(path=path, is_new=True)

    async def _ask_name(self, client: httpx.AsyncClient, url: str) -> str:
        """Ask for the name of the file; a server may not answer that, and need not."""
        with suppress(httpx.HTTPStatusError):
            response = await client.head(url)
            if response.status_code == httpx.codes.OK:
                return _file_name(response)
        return ""

    async def _write(self, response: httpx.Response, path: Path) -> None:
        """Write the body to disk, then give it its name."""
        part = path.with_name("part")
        size = 0
        with part.open("wb") as file:
            part.chmod(0o600)
            async for chunk in response.aiter_raw():
                size += len(chunk)
                if size > self.max_octets:
                    raise DirectoryUnreachableError(reason="too-large")
                await asyncio.to_thread(file.write, chunk)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)


def build_directory_fetcher(settings: Settings) -> DirectoryFetcher:
    """Build the fetcher of an operator."""
    return DirectoryFetcher(
        folder=settings.path(settings.directory.source_folder),
        context=lambda: _context(settings),
        max_octets=settings.directory.source_octets,
        seconds=settings.directory.source_seconds,
    )


def _context(settings: Settings) -> ssl.SSLContext:
    """Trust the roots of the machine, our anchors, and those that the settings name besides."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    names = [settings.trust.anchors, settings.directory.source_ca]
    files = [settings.path(name) for name in names if name]
    try:
        for file in files:
            if file.exists() or file == settings.path(settings.directory.source_ca):
                context.load_verify_locations(cadata=file.read_text(encoding="ascii"))
    except (OSError, ValueError, ssl.SSLError) as error:
        raise SettingsError(reason=f"directory.source_ca or trust.anchors: {error}") from error
    return context


async def _only_https(request: httpx.Request) -> None:
    """Refuse a redirect that leaves HTTPS."""
    if request.url.scheme != "https":
        raise httpx.UnsupportedProtocol("a redirect left HTTPS", request=request)


def _file_name(response: httpx.Response) -> str:
    """Return the name that the server gives, or the last step of the address; empty if odd."""
    found = _NAME.search(response.headers.get("Content-Disposition", ""))
    name = found[1] if found else response.url.path.rpartition("/")[2]
    return name if _PLAIN_NAME.fullmatch(name) and name not in (_STATE, "part") else ""


def _has_stamp(name: str) -> bool:
    return bool(re.search(r"[_-][0-9]{6,12}\.", name))


def _validator(response: httpx.Response, name: str) -> str:
    value = str(response.headers.get(name, ""))
    return value if len(value) <= MAX_VALIDATOR else ""


def _load(place: Path) -> KnownFile:
    try:
        facts = json.loads((place / _STATE).read_text("utf-8"))
        return KnownFile(**{name: str(value) for name, value in facts.items()})
    except (OSError, ValueError, TypeError, AttributeError):
        return KnownFile()


def _save(place: Path, known: KnownFile) -> None:
    part = place / f"{_STATE}.part"
    part.write_text(json.dumps(asdict(known)), "utf-8")
    part.replace(place / _STATE)


def _keep_only(place: Path, path: Path) -> None:
    """Remove the files of the days before."""
    for other in place.iterdir():
        if other not in (path, place / _STATE):
            other.unlink(missing_ok=True)
