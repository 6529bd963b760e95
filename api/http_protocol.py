"""Bound what a stranger can make the HTTP server hold before any application is asked.

uvicorn's fast parser keeps the head of a request until it is complete, however long that is and
however long it takes. This protocol gives a head so many octets and so many seconds.

Sources
    RFC 6585, 5 (431); RFC 9112, 3 (limits on the request line are the server's to set).
"""

import asyncio
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_OCTETS: Final = 64 * 1024
_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Content-Length: 0\r\n"
    b"Connection: close\r\n"
    b"\r\n"
)


class BoundedProtocol(HttpToolsProtocol):
    """One connection, whose heads are bounded in size and in time; give it to `uvicorn.Config`."""

    head_seconds: ClassVar[float] = 30

    _is_in_head = True
    _head_octets = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes as long as the head is not complete."""
        super().data_received(data)
        if not self._is_in_head:
            return
        self._head_octets += len(data)
        if self._head_octets > MAX_HEAD_OCTETS and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of this head."""
        super().on_message_begin()
        self._is_in_head, self._head_octets = True, 0
        self._start_timer()

    def on_headers_complete(self) -> None:
        """Stop waiting."""
        self._is_in_head = False
        self._stop_timer()
        super().on_headers_complete()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
