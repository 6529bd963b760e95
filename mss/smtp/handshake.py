"""The TLS handshake of a door, whose failure the other side gets to know.

asyncio drops the alert that OpenSSL has written when it refuses a handshake: the other side sees
its connection break, and nobody there learns that the certificate was the reason.

Sources
    RFC 8446, 6.2 (error alerts).
"""

import ssl
from asyncio import sslproto

from crypto import tls
from mss.errors import MSSError, TlsHandshakeError
from mss.policy.peer import handshake_objection


class DoorTlsProtocol(sslproto.SSLProtocol):
    """asyncio's TLS, which sends its last word before it hangs up.

    Attributes:
        max_size: What asyncio sets aside for each connection, and decrypts in one go.
    """

    max_size = 64 * 1024

    def _on_handshake_complete(self, handshake_exc: BaseException | None) -> None:
        if handshake_exc is not None:
            self._process_outgoing()  # type: ignore[attr-defined]  # absent from the stubs
        super()._on_handshake_complete(handshake_exc)


def objection_of(error: OSError) -> MSSError | None:
    """Say what a failed handshake means; `None` when the other side just went away."""
    if isinstance(error, ssl.SSLError):
        return handshake_objection(tls.handshake_fault(error))
    if isinstance(error, ConnectionAbortedError):  # what asyncio raises when the time is over
        return TlsHandshakeError(reason="timeout")
    return None
