"""Bound and frame every request: small ASGI layers, none of which buffers a body.

From outside in: `Framing` (security fields), `Journal` (identifier, one log line, the answer when
all else fails), `BodyLimit` (413 as soon as it is known, whatever the route), `HeadAsGet`.

Shapes
    A log line names the *route* (`/v1/mailboxes/{address}`), never the path: a path holds an
    address, a query may hold a name, and neither belongs in a log. No token, no network address.
Sources
    RFC 9110, 9.3.2 (HEAD) and 15.5.14 (413); RFC 6797 (HSTS); CSP Level 3, sandbox; OWASP ASVS,
    V14.4 (security fields).
"""

import asyncio
import logging
import time
import traceback
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import problems
from api.errors import (
    AddressTooLongError,
    RequestTimeoutError,
    RequestTooLargeError,
    UnsupportedMediaTypeError,
)
from api.tus import is_about_uploads
from mss.clock import Clock
from mss.errors import MSSError

_log = logging.getLogger("api.access")

SECURITY_FIELDS: Final = {
    # What the API returns is data, some of it written by strangers: nothing of it may run.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Health data stays out of every cache, the browser's own included.
    "Cache-Control": "no-store",
}
TRANSPORT_FIELD: Final = "max-age=31536000"
MAX_QUERY_OCTETS: Final = 32 * 1024
# A log line names these only: a method is any text that a stranger likes.
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Framing:
    """Adds the security fields to every answer, where the route has not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its answer framed."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_secure = scope["scheme"] == "https"

        async def frame(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_FIELDS.items():
                    headers.setdefault(name, value)
                if is_secure:
                    headers.setdefault("Strict-Transport-Security", TRANSPORT_FIELD)
            await send(message)

        await self.app(scope, receive, frame)


class Journal:
    """Names each request, writes one line about it, and answers 500 when nothing else did."""

    def __init__(self, app: ASGIApp, *, clock: Clock) -> None:
        self.app = app
        self.clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, watched."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = dict(scope)  # what is written into it further in is not the server's to see
        method = scope["method"]
        request_id = self.clock.new_id()
        started = time.perf_counter()
        status = 0
        sent_octets = 0

        async def watch(message: Message) -> None:
            nonlocal status, sent_octets
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            else:
                sent_octets += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, watch)
        except Exception as error:  # noqa: BLE001 -- the last line of defence
            _log_unforeseen(request_id, error)
            if not status:
                await problems.respond(MSSError())(scope, receive, watch)
        finally:
            _log.info(
                "%s %s %s %s %d octets %.1f ms %s",
                method if method in METHODS else "?",
                _route_of(scope),
                status or "aborted",
                scope.get("state", {}).get("problem", "-"),
                sent_octets,
                (time.perf_counter() - started) * 1000,
                request_id,
            )


def _route_of(scope: Scope) -> str:
    """Name the route by its pattern; a request that met none has no name worth logging."""
    return getattr(scope.get("route"), "path", "-")


def _log_unforeseen(request_id: str, error: Exception) -> None:
    """Log where an unforeseen error came from, without its message: it may quote a subject."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    _log.error("%s unforeseen %s at %s", request_id, type(error).__name__, places)


class BodyLimit:
    """Stops reading a body at *limit_octets* or after *seconds*, and inflates none.

    A declared length is believed when it is too large, and counted anyway when it is not. Uploads,
    which are stored as they arrive and continued when time is over, may be *upload_octets* long.
    """

    def __init__(
        self, app: ASGIApp, *, limit_octets: int, seconds: float, upload_octets: int = 0
    ) -> None:
        self.app = app
        self.limit_octets = limit_octets
        self.upload_octets = upload_octets
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it before anything is read."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit_octets = self.limit_octets
        if is_about_uploads(scope["path"]):
            limit_octets = max(limit_octets, self.upload_octets)
        refusal = self._refusal(scope, limit_octets)
        if refusal is not None:
            scope.setdefault("state", {})["problem"] = refusal.code
            await problems.respond(refusal)(scope, receive, send)
            return
        read_octets = 0
        deadline = asyncio.get_running_loop().time() + self.seconds

        async def count() -> Message:
            nonlocal read_octets
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                raise RequestTimeoutError from None
            read_octets += len(message.get("body", b""))
            if read_octets > limit_octets:
                # Passes through whoever reads, up to the handler of problems.
                raise RequestTooLargeError(limit_octets=limit_octets)
            return message

        await self.app(scope, count, send)

    def _refusal(self, scope: Scope, limit_octets: int) -> MSSError | None:
        if len(scope["query_string"]) > MAX_QUERY_OCTETS:
            return AddressTooLongError(limit_octets=MAX_QUERY_OCTETS)
        headers = Headers(scope=scope)
        if headers.get("content-encoding", "identity").lower() != "identity":
            return UnsupportedMediaTypeError(accepted=())
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > limit_octets:
            return RequestTooLargeError(limit_octets=limit_octets)
        return None


class HeadAsGet:
    """Answers HEAD as GET, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, as GET if it is HEAD."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def behead(message: Message) -> None:
            await send(message if "body" not in message else {**message, "body": b""})

        scope["method"] = "GET"
        await self.app(scope, receive, behead)
