"""Which reply a client gets: the only place that knows reply codes.

`REPLIES` translates the permanent code of an error; the constants are the answers of the protocol
itself. A text is what the error lets a stranger read, then what to do about it, then the code in
brackets, so that a person can look it up and a machine can match it.

Shapes
    A reply is ASCII on the wire, lines of 512 octets at most (RFC 5321, 4.5.3.1.5).
Sources
    RFC 5321, 4.2 (codes); RFC 3463 and the IANA registry of enhanced status codes; RFC 4954, 6.
"""

import re
import textwrap
import unicodedata
from dataclasses import dataclass
from typing import Final

from mss.errors import MSSError

MAX_TEXT: Final = 480
_NAME: Final = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of the server.

    Attributes:
        code: Three digits of RFC 5321.
        status: Enhanced status code; empty where RFC 2034 has none (greeting, EHLO, 334, 354).
        lines: Texts; a reply may have several lines.
    """

    code: int
    status: str = ""
    lines: tuple[str, ...]

    @property
    def is_positive(self) -> bool:
        """Tell whether the command was obeyed."""
        return self.code < 400

    def octets(self) -> bytes:
        """Lay the reply out for the wire."""
        prefix = f"{self.status} " if self.status else ""
        last = len(self.lines) - 1
        text = "".join(
            f"{self.code}{' ' if number == last else '-'}{prefix}{line}\r\n"
            for number, line in enumerate(self.lines)
        )
        return text.encode("ascii")


def _reply(code: int, status: str, text: str) -> Reply:
    return Reply(code=code, status=status, lines=(text,))


# Answers of the protocol itself.
SENDER_OK: Final = _reply(250, "2.1.0", "Sender accepted")
RECIPIENT_OK: Final = _reply(250, "2.1.5", "Recipient accepted")
RESET_OK: Final = _reply(250, "2.0.0", "Reset")
NOOP_OK: Final = _reply(250, "2.0.0", "Still here")
BYE: Final = _reply(221, "2.0.0", "Goodbye")
TLS_GO: Final = _reply(220, "2.0.0", "Ready to start TLS")
DATA_GO: Final = _reply(354, "", "End the message with <CRLF>.<CRLF>")
AUTHENTICATED: Final = _reply(235, "2.7.0", "Welcome")
VRFY_NOTHING: Final = _reply(252, "2.1.5", "Send the message; its recipients will be checked")
HELP: Final = _reply(214, "2.0.0", "RFC 5321 with the extensions that EHLO announces")

TIMED_OUT: Final = _reply(421, "4.4.2", "Too slow, closing the connection")
SHUTTING_DOWN: Final = _reply(421, "4.3.2", "The server is stopping, try again in a moment")
SESSION_OVER: Final = _reply(421, "4.7.0", "The session is over: connect and log in again")
TOO_MANY_CONNECTIONS: Final = _reply(421, "4.7.0", "Too many connections, try again later")
TOO_MANY_ERRORS: Final = _reply(421, "4.7.0", "Too many errors, closing the connection")
TOO_MANY_COMMANDS: Final = _reply(421, "4.7.0", "Too many commands, closing the connection")
LOCAL_TROUBLE: Final = _reply(451, "4.3.0", "The server had an internal problem, try again later")

LINE_TOO_LONG: Final = _reply(500, "5.5.2", "Command line too long")
LINE_MALFORMED: Final = _reply(500, "5.5.2", "A command is one line of ASCII that ends with CRLF")
UNKNOWN_COMMAND: Final = _reply(500, "5.5.1", "Command not recognised")
NOT_IMPLEMENTED: Final = _reply(502, "5.5.1", "Command not implemented")
NO_ARGUMENT: Final = _reply(501, "5.5.4", "This command has no argument")
NAME_NEEDED: Final = _reply(501, "5.5.4", "Say your host name: EHLO host.example.org")
MAIL_SYNTAX: Final = _reply(501, "5.5.4", "Syntax: MAIL FROM:<address> [parameters]")
RCPT_SYNTAX: Final = _reply(501, "5.5.4", "Syntax: RCPT TO:<address> [parameters]")
PARAMETER_SYNTAX: Final = _reply(501, "5.5.4", "A parameter is repeated or has a wrong value")
PARAMETER_UNKNOWN: Final = _reply(555, "5.5.4", "Parameter not recognised")
SENDER_SYNTAX: Final = _reply(553, "5.1.7", "The sender is not an address that has one meaning")
RECIPIENT_SYNTAX: Final = _reply(
    553, "5.1.3", "The recipient is not an address that has one meaning"
)
SAY_EHLO: Final = _reply(503, "5.5.1", "Say EHLO first")
MAIL_FIRST: Final = _reply(503, "5.5.1", "Say MAIL first")
RCPT_FIRST: Final = _reply(503, "5.5.1", "No recipient was accepted")
MAIL_ALREADY: Final = _reply(503, "5.5.1", "A sender was already given")
TLS_FIRST: Final = _reply(530, "5.7.0", "Issue STARTTLS first")
TLS_ALREADY: Final = _reply(503, "5.5.1", "TLS is already active")
DATA_NOT_LAST: Final = _reply(503, "5.5.1", "Wait for 354 before sending the message")
TLS_NOT_LAST: Final = _reply(503, "5.5.1", "Nothing may follow STARTTLS before the handshake")
AUTH_FIRST: Final = _reply(530, "5.7.0", "Authentication required")
AUTH_ALREADY: Final = _reply(503, "5.5.1", "Not possible now: already authenticated, or in a mail")
AUTH_UNKNOWN: Final = _reply(504, "5.5.4", "Authentication mechanism not offered")
AUTH_SYNTAX: Final = _reply(501, "5.5.2", "The authentication response is malformed")
AUTH_TOO_LONG: Final = _reply(500, "5.5.6", "The authentication response is too long")
AUTH_CANCELLED: Final = _reply(501, "5.7.0", "Authentication cancelled")

# Answers for errors, by their permanent code; or by the reason, for errors that wrap another.
REPLIES: Final[dict[str, tuple[int, str]]] = {
    "internal": (451, "4.3.0"),
    "settings-invalid": (451, "4.3.5"),
    "store-full": (452, "4.3.1"),
    "mailbox-full": (452, "4.2.2"),
    "store-unavailable": (451, "4.3.0"),
    "blob-missing": (451, "4.3.0"),
    "blob-damaged": (451, "4.3.0"),
    "letter-content": (554, "5.6.0"),
    "message-too-large": (552, "5.3.4"),
    "too-many-recipients": (452, "4.5.3"),
    "recipient-unknown": (550, "5.1.1"),
    "domain-not-trusted": (550, "5.7.1"),
    "sender-not-allowed": (550, "5.7.1"),
    "peer-not-trusted": (550, "5.7.1"),
    "peer-expired": (550, "5.7.5"),
    "peer-revoked": (550, "5.7.5"),
    "peer-revocation-unknown": (451, "4.7.5"),
    "peer-foreign-authority": (550, "5.7.5"),
    "peer-wrong-use": (550, "5.7.5"),
    "peer-name-differs": (550, "5.7.1"),
    "peer-not-listed": (550, "5.7.1"),
    "tls-required": (530, "5.7.0"),
    "tls-too-old": (550, "5.7.0"),
    "tls-failed": (454, "4.7.0"),
    "too-many-unknown-recipients": (451, "4.7.1"),
    "peer-certificate-missing": (550, "5.7.0"),
    "trust-list-missing": (451, "4.3.5"),
    "trust-list-refused": (451, "4.3.5"),
    "directory-unreachable": (451, "4.3.5"),
    "trust-list-unreachable": (451, "4.3.5"),
    "not-found": (550, "5.1.1"),
    "not-administrator": (550, "5.7.1"),
    "not-authenticated": (535, "5.7.8"),
    "too-many-failures": (454, "4.7.0"),
    "identity-provider-unavailable": (454, "4.7.0"),
    "rate-limited": (450, "4.7.1"),
    "reply-address-not-trusted": (550, "5.7.1"),
    "patient-address-invalid": (550, "5.1.3"),
    "patient-conversation-closed": (550, "5.7.1"),
    "content-refused": (550, "5.7.1"),
    "document-refused": (550, "5.6.0"),
    "scanner-unavailable": (451, "4.7.1"),
    "conflict": (554, "5.5.0"),
    "version-differs": (554, "5.5.0"),
    "checksum-differs": (554, "5.5.0"),
    "upload-incomplete": (554, "5.5.0"),
    "uploads-full": (452, "4.2.2"),
    "invalid-request": (554, "5.5.0"),
    "protection-impossible": (550, "5.7.5"),
    "encrypted-for-client": (554, "5.7.5"),
    # The message itself.
    "message-refused": (554, "5.6.0"),
    "mail-data": (554, "5.6.0"),
    "message-syntax": (554, "5.6.0"),
    "message-limits": (552, "5.3.4"),
    "header-value": (554, "5.6.0"),
    "bare-newline": (554, "5.6.0"),
    "nul-octet": (554, "5.6.0"),
    "line-too-long": (554, "5.6.0"),
    "mail-loop": (554, "5.4.6"),
    # Its protection.
    "undecryptable": (550, "5.7.5"),
    "no-matching-key": (550, "5.7.5"),
    "recipient-not-listed": (550, "5.7.1"),
    "key-unavailable": (451, "4.7.5"),
    "signature-invalid": (550, "5.7.7"),
    "not-signed": (550, "5.7.7"),
    "not-encrypted": (550, "5.7.5"),
    "cms-syntax": (554, "5.6.0"),
    "unsupported-algorithm": (550, "5.7.6"),
    "certificate-syntax": (550, "5.7.5"),
    "certificate-untrusted": (550, "5.7.5"),
    "certificate-expired": (550, "5.7.5"),
    "certificate-revoked": (550, "5.7.5"),
    "certificate-indeterminate": (451, "4.7.5"),
}
# Unknown trouble is ours and temporary: mail is not lost.
FALLBACK: Final = (451, "4.3.0")
# Errors that stand for another one, named by their reason.
_WRAPPERS: Final = frozenset({"message-refused", "message-syntax", "mail-data"})


def reply_for(error: MSSError) -> Reply:
    """Translate an error for whoever is on the line."""
    reason = getattr(error, "reason", "") if error.code in _WRAPPERS else ""
    code, status = REPLIES.get(reason) or REPLIES.get(error.code, FALLBACK)
    name = f"{error.code}: {reason}" if _NAME.fullmatch(reason) else error.code
    text = f"{error.public_text} {error.next_step}".strip()
    return Reply(code=code, status=status, lines=_lines(f"{text} ({name})"))


def greeting(host_name: str) -> Reply:
    """Build the first line of a connection."""
    return _reply(220, "", f"{host_name} ESMTP")


def capabilities(host_name: str, extensions: list[str]) -> Reply:
    """Build the answer to EHLO."""
    return Reply(code=250, lines=(host_name, *extensions))


def challenge(encoded: str) -> Reply:
    """Ask for the next authentication response (RFC 4954, 4)."""
    return _reply(334, "", encoded)


def accepted(message_id: str) -> Reply:
    """Say that responsibility was taken; the identifier is in the logs of both sides."""
    return _reply(250, "2.0.0", f"{message_id} accepted")


def _lines(text: str) -> tuple[str, ...]:
    """Reduce a text to ASCII lines that fit."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return tuple(textwrap.wrap(bare, MAX_TEXT))
