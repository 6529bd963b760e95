"""An HTTP server on loopback that answers as told, well or badly, and remembers questions."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

Writer = asyncio.StreamWriter
Answer = Callable[["Request", Writer], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class HttpServer:
    """Answers each path as `answers` says."""

    port: int = 0
    answers: dict[str, Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)

    @property
    def host(self) -> str:
        """What an allow-list would name."""
        return f"crl.test:{self.port}"

    def url(self, path: str) -> str:
        """The address of a path, by a name that only the tests' resolver knows."""
        return f"http://{self.host}{path}"

    async def handle(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        """Answer one request and close."""
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            request = await _read(reader)
            self.requests.append(request)
            await self.answers.get(request.path, status(404))(request, writer)
            await writer.drain()
        writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {
        name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method=method, path=path, headers=headers, body=body)


def _head(code: int, *lines: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {code} X", *lines, "Connection: close", "", "")).encode()


def octets(content: bytes, *, etag: str = "", kind: str = "application/pkix-crl") -> Answer:
    """Answer with *content*, or that it has not changed since."""

    async def answer(request: Request, writer: Writer) -> None:
        if etag and request.headers.get("if-none-match") == etag:
            writer.write(_head(304, f"ETag: {etag}"))
            return
        named = [f"ETag: {etag}"] if etag else []
        length = f"Content-Length: {len(content)}"
        writer.write(_head(200, length, f"Content-Type: {kind}", *named) + content)

    return answer


def status(code: int, *lines: str) -> Answer:
    """Answer with a status and nothing else."""

    async def answer(_: Request, writer: Writer) -> None:
        writer.write(_head(code, "Content-Length: 0", *lines))

    return answer


def truncated(content: bytes) -> Answer:
    """Promise more than is sent."""

    async def answer(_: Request, writer: Writer) -> None:
        writer.write(_head(200, f"Content-Length: {len(content) + 1}") + content)

    return answer


def endless(piece: bytes, *, announced: int | None = None) -> Answer:
    """Send for ever, as fast as it is read."""

    async def answer(_: Request, writer: Writer) -> None:
        writer.write(_head(200, *([f"Content-Length: {announced}"] if announced else [])))
        while True:
            writer.write(piece)
            await writer.drain()

    return answer


def dripping() -> Answer:
    """Begin an answer and never end it."""

    async def answer(_: Request, writer: Writer) -> None:
        writer.write(_head(200, "Content-Length: 1000") + b"\x30")
        await writer.drain()
        await asyncio.Event().wait()

    return answer


def silent() -> Answer:
    """Take the request and say nothing."""

    async def answer(_: Request, __: Writer) -> None:
        await asyncio.Event().wait()

    return answer


@asynccontextmanager
async def open_http_server(
    *, tls: ssl.SSLContext | None = None, **answers: Answer
) -> AsyncIterator[HttpServer]:
    """Run a server on a free port, in TLS if a context is given; `crl=...` answers `/crl`."""
    known = HttpServer(answers={f"/{name}": answer for name, answer in answers.items()})
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        with suppress(asyncio.CancelledError):
            await known.handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    known.port = server.sockets[0].getsockname()[1]
    try:
        yield known
    finally:
        server.close()
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)
