"""Ask ClamAV's daemon whether octets hold a virus: the `Scanner` of `mss.ports`.

One connection for each message, since the daemon gives each its own thread and its own time limit.
The message goes in chunks, each after its length; the answer is one line.

Errors
    `ScannerUnavailableError` when there is no verdict, whatever the reason.
Sources
    clamd(8), INSTREAM: `zINSTREAM` and NUL, then chunks of a 4-octet length and as many
    octets, the last one of length 0; `stream: OK`, `stream: NAME FOUND` or `… ERROR`.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from mss.errors import ScannerUnavailableError, SettingsError
from mss.settings import AntivirusSettings

CHUNK_OCTETS: Final = 64 * 1024
MAX_ANSWER: Final = 4096
_FOUND: Final = re.compile(r"stream: (.+) FOUND")
_CLEAN: Final = "stream: OK"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClamdScanner:
    """A daemon at a TCP port or a UNIX socket."""

    settings: AntivirusSettings

    async def scan(self, octets: bytes) -> str | None:
        """Name the virus that was found; `None` for none.

        Raises:
            ScannerUnavailableError: There is no verdict.
        """
        try:
            async with (
                asyncio.timeout(self.settings.timeout_seconds),
                self._connection() as (
                    reader,
                    writer,
                ),
            ):
                answer = await _exchange(reader, writer, memoryview(octets))
        except (OSError, EOFError, ValueError) as error:  # a timeout is an OSError
            raise ScannerUnavailableError(reason=type(error).__name__) from error
        return _verdict(answer)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Streams]:
        reader, writer = await self._connect()
        try:
            yield reader, writer
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _connect(self) -> Streams:
        address = self.settings.address
        if address.startswith("unix:"):
            return await asyncio.open_unix_connection(
                address.removeprefix("unix:"), limit=MAX_ANSWER
            )
        host, _, port = address.rpartition(":")
        return await asyncio.open_connection(host.strip("[]"), int(port), limit=MAX_ANSWER)


def build_scanner(settings: AntivirusSettings) -> ClamdScanner | None:
    """Make the scanner of the settings; `None` if they name none.

    Raises:
        SettingsError: The address is not one.
    """
    address = settings.address
    if not address:
        return None
    host, _, port = address.rpartition(":")
    is_unix = address.startswith("unix:/")
    if not is_unix and not (host and port.isdecimal() and 0 < int(port) < 65536):
        raise SettingsError(reason="antivirus.address is neither host:port nor unix:/path")
    return ClamdScanner(settings=settings)


async def _exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, octets: memoryview
) -> str:
    """Send everything and read the answer; the daemon may answer before the end, and hang up."""
    answer = asyncio.get_running_loop().create_task(reader.readuntil(b"\0"))
    try:
        with suppress(ConnectionError):  # the answer that it left behind says why
            writer.write(b"zINSTREAM\0")
            for start in range(0, len(octets), CHUNK_OCTETS):
                if answer.done():
                    break
                chunk = octets[start : start + CHUNK_OCTETS]
                writer.write(len(chunk).to_bytes(4, "big"))
                writer.write(chunk)
                await writer.drain()
            writer.write(b"\0\0\0\0")
            await writer.drain()
        return (await answer).rstrip(b"\0").decode("utf-8", "replace").strip()
    except asyncio.LimitOverrunError as error:
        raise ValueError from error
    finally:
        answer.cancel()


def _verdict(answer: str) -> str | None:
    """Read the one line; anything but a clear answer is none."""
    if answer == _CLEAN:
        return None
    found = _FOUND.fullmatch(answer)
    if found is None:
        reason = "size-limit" if "size limit exceeded" in answer else "answer"
        raise ScannerUnavailableError(reason=reason)
    return "".join(one if one.isprintable() else "?" for one in found[1])[:200]
