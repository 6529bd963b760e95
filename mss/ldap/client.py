"""Ask an LDAP server one question, over verified TLS, within bounds.

One connection for each question: questions are rare, since answers are kept. Nothing is sent before
TLS but the request for it; referrals are not followed.

Units
    Sizes in octets, durations in seconds.
Errors
    `LdapUnavailableError` with its reason, for whatever the network or the server does.
Sources
    RFC 4511 (LDAP), RFC 4513, 3 (StartTLS and the check of the server's name), RFC 4516 (URLs).
"""

import asyncio
import secrets
import ssl
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from mss.ldap.filters import Filter, LdapSyntaxError
from mss.ldap.framing import read_message
from mss.ldap.message import (
    START_TLS,
    BindRequest,
    Code,
    Entry,
    ExtendedRequest,
    Reference,
    Request,
    Response,
    Result,
    Scope,
    SearchRequest,
    UnbindRequest,
    build_message,
    parse_message,
)

MAX_ENTRIES: Final = 20
MAX_REFERENCES: Final = 20
_PORTS: Final = {"ldaps": 636, "ldap": 389}
_MAX_START: Final = 2**30


@dataclass(eq=False)
class LdapUnavailableError(Exception):
    """There is no answer; *reason* says why, in words for the log."""

    reason: str

    def __str__(self) -> str:
        """Say why."""
        return self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapServer:
    """Where to ask; without TLS from the start, TLS is begun before anything else is said."""

    host: str
    port: int
    starts_with_tls: bool

    @classmethod
    def parse(cls, url: str) -> "LdapServer":
        """Read `ldaps://host[:port]` or `ldap://host[:port]`.

        Raises:
            LdapSyntaxError: It is neither.
        """
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError:
            raise LdapSyntaxError("url") from None
        is_plain = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
        if parts.scheme not in _PORTS or not parts.hostname or not is_plain:
            raise LdapSyntaxError("url")
        return cls(host=parts.hostname, port=port, starts_with_tls=parts.scheme == "ldaps")


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who asks; nobody if the name is empty."""

    name: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to look for."""

    base: str
    filter: Filter
    attributes: tuple[str, ...]


async def search(
    server: LdapServer,
    question: Question,
    *,
    login: Login,
    context: ssl.SSLContext,
    seconds: float,
    max_octets: int,
) -> list[Entry]:
    """Search a server; of many entries the first ones.

    Raises:
        LdapUnavailableError: It does not answer, or not so.
    """
    try:
        async with asyncio.timeout(seconds):
            talk = await _Conversation.open(server, context, max_octets)
            try:
                return await talk.search(question, login)
            finally:
                talk.close()
    except TimeoutError:
        raise LdapUnavailableError("timeout") from None
    except ssl.SSLCertVerificationError:
        raise LdapUnavailableError("untrusted-server") from None
    except (LdapSyntaxError, EOFError):
        raise LdapUnavailableError("protocol") from None
    except (OSError, UnicodeError):
        raise LdapUnavailableError("unreachable") from None


class _Conversation:
    """A connection, and what may still be read from it."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, octets: int
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._left = octets
        # Not to be guessed: an answer that somebody put before TLS answers no question after it.
        self._number = secrets.randbelow(_MAX_START) + 1

    @classmethod
    async def open(
        cls, server: LdapServer, context: ssl.SSLContext, octets: int
    ) -> "_Conversation":
        if server.starts_with_tls:
            reader, writer = await asyncio.open_connection(
                server.host, server.port, ssl=context, server_hostname=server.host
            )
            return cls(reader, writer, octets)
        reader, writer = await asyncio.open_connection(server.host, server.port)
        talk = cls(reader, writer, octets)
        try:
            await talk._demand(ExtendedRequest(START_TLS), "starttls")
            await writer.start_tls(context, server_hostname=server.host)
        except BaseException:
            talk.close()
            raise
        talk._number = secrets.randbelow(_MAX_START) + 1
        return talk

    async def search(self, question: Question, login: Login) -> list[Entry]:
        """Say who asks, then ask."""
        if login.name:
            bind = BindRequest(version=3, name=login.name, password=login.password)
            await self._demand(bind, "login")
        request = SearchRequest(
            base=question.base,
            scope=Scope.SUBTREE,
            size_limit=MAX_ENTRIES,
            time_limit=0,
            types_only=False,
            filter=question.filter,
            attributes=question.attributes,
        )
        await self._say(request)
        found: list[Entry] = []
        references = 0
        while True:
            match await self._hear():
                case Entry() as entry if len(found) < MAX_ENTRIES:
                    found.append(entry)
                case Reference() if references < MAX_REFERENCES:
                    references += 1
                case Result(code=Code.SUCCESS | Code.SIZE_LIMIT_EXCEEDED):
                    return found
                case Result(code=Code.NO_SUCH_OBJECT | Code.REFERRAL):
                    return []
                case Result(code=code):
                    raise LdapUnavailableError(f"search-refused-{code}")
                case _:
                    raise LdapUnavailableError("too-many-entries")

    def close(self) -> None:
        """Say goodbye, and wait for nothing."""
        if not self._writer.is_closing():
            self._writer.write(build_message(1, UnbindRequest()))
            self._writer.close()

    async def _demand(self, request: Request, what: str) -> None:
        await self._say(request)
        answer = await self._hear()
        if not isinstance(answer, Result):
            raise LdapSyntaxError("unexpected-answer")
        if answer.code != Code.SUCCESS:
            raise LdapUnavailableError(f"{what}-refused-{answer.code}")

    async def _say(self, request: Request) -> None:
        self._number += 1
        self._writer.write(build_message(self._number, request))
        await self._writer.drain()

    async def _hear(self) -> Response:
        octets = await read_message(self._reader, max_octets=self._left)
        if octets is None:
            raise EOFError
        self._left -= len(octets)
        message = parse_message(octets)
        if message.id != self._number or not isinstance(
            message.operation, Result | Entry | Reference
        ):
            raise LdapSyntaxError("unexpected-answer")
        return message.operation
