"""One outgoing conversation with the host of another operator.

Mutual TLS or nothing: a host that does not offer STARTTLS, refuses it, or speaks before the
handshake is left without having seen a letter. Whatever the other side does, a bounded time later
there is a reply, a `HostFault`, or a `ReplyLostError`.

Shapes
    One transaction carries a message to several recipients; its `Transfer` holds what the host said
    of each, and how it ended for those that were not refused.
Errors
    `HostFault`: nothing was said about the message, another host may be tried.
    `RepliedError`: the host answered no to a command.
    `ReplyLostError`: the whole message was sent, and what became of it is unknown.
Sources
    RFC 5321; RFC 3207; RFC 2920 (pipelining); RFC 3461 (DSN); CVE-2016-0772 (STARTTLS stripped).
"""

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Self

from crypto import tls
from crypto.certificates import Certificate
from crypto.errors import CryptoError
from mss.model.delivery import Delivery
from mss.policy.peer import handshake_objection
from mss.settings import RelaySettings
from mss.smtp.commands import encode_xtext
from mss.smtp.data import END, iter_wire
from mss.smtp.hosts import Host

MAX_REPLY_LINE: Final = 4096
MAX_REPLY_LINES: Final = 100
MAX_DETAIL: Final = 200
MAX_ADDRESSES: Final = 4
ADDRESS_SECONDS: Final = 10.0
GOODBYE_SECONDS: Final = 2.0

_REPLY_LINE: Final = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?")
_STATUS: Final = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerReply:
    """What the other side answered.

    Attributes:
        lines: Texts in printable ASCII, codes taken off.
    """

    code: int
    lines: tuple[str, ...]

    @property
    def is_positive(self) -> bool:
        """Tell whether it is a yes."""
        return 200 <= self.code < 300

    @property
    def is_permanent(self) -> bool:
        """Tell whether it is a no for ever."""
        return self.code >= 500

    @property
    def is_too_many(self) -> bool:
        """Tell whether a recipient was refused for being one more than the host takes at once.

        Hosts of RFC 821 said so with 552, which is as temporary (RFC 5321, 4.5.3.1.10).
        """
        return (self.code == 452 and self.status in {"4.5.3", "4.0.0"}) or (
            self.code == 552 and self.status in {"5.5.3", "5.0.0"}
        )

    @property
    def status(self) -> str:
        """The enhanced status code, or the general one of its class."""
        found = _STATUS.match(self.lines[0])
        return found[1] if found else f"{self.code // 100}.0.0"

    def __str__(self) -> str:
        """Shorten it for a person."""
        return f"{self.code} {' '.join(self.lines)}"[:MAX_DETAIL]


class HostFault(Exception):  # noqa: N818 -- the host's, not ours
    """The host, or the way to it, failed; it has not taken responsibility.

    Attributes:
        is_general: True if no other letter would have got further; False once a transaction was
            under way, because the letter itself may be what the host cannot bear.
    """

    def __init__(self, code: str, detail: str = "", *, is_general: bool = True) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail[:MAX_DETAIL]
        self.is_general = is_general


class RepliedError(Exception):
    """The host answered no."""

    def __init__(self, command: str, reply: PeerReply) -> None:
        super().__init__(command, reply)
        self.command = command
        self.reply = reply


class ReplyLostError(Exception):
    """The message was sent to its end, but no reply came: it may have been accepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What came of one transaction.

    Attributes:
        recipients: The reply to each RCPT, in order.
        end: What came after them, for the recipients that were not refused.
    """

    recipients: tuple[PeerReply, ...]
    end: PeerReply | RepliedError | HostFault | ReplyLostError


class _Reader(asyncio.StreamReader):
    """A stream that can say whether the other side spoke without being asked."""

    @property
    def has_unread(self) -> bool:
        return bool(self._buffer)  # type: ignore[attr-defined]


async def connect(host: Host) -> socket.socket:
    """Connect to the first address of a host that answers, IPv6 and IPv4 as the system orders them.

    Raises:
        HostFault: Its addresses are not ones that a foreign name server may send us to.
        OSError: None answers.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host.name, host.port, type=socket.SOCK_STREAM)
    usable = [one for one in found if not host.is_public or is_global(one[4][0])]
    if not usable:
        raise HostFault("host-not-public", "the name leads to a private address")
    fault: OSError = ConnectionRefusedError()
    for family, kind, protocol, _, address in usable[:MAX_ADDRESSES]:
        plain = socket.socket(family, kind, protocol)
        plain.setblocking(False)
        try:
            async with asyncio.timeout(ADDRESS_SECONDS):
                await loop.sock_connect(plain, address)
        except OSError as error:
            plain.close()
            fault = error
        except BaseException:
            plain.close()
            raise
        else:
            return plain
    raise fault


def is_global(address: str | int) -> bool:
    """Tell whether an address belongs to the Internet, and not to a network of somebody's own."""
    try:
        parsed = ipaddress.ip_address(str(address).partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_global and not parsed.is_multicast


@dataclass(eq=False, kw_only=True)
class OutgoingSession:
    """An established, mutually authenticated session.

    Attributes:
        extensions: Keyword, upper case, to its parameter, as the host announced inside TLS.
        certificate: What the host showed; who that is, is for the caller to judge.
        is_usable: False once the state of the session is unknown.
        has_sent: True from the end of the message until the reply to it.
    """

    host: Host
    settings: RelaySettings
    reader: _Reader
    writer: asyncio.StreamWriter
    deadline: float
    extensions: dict[str, str] = field(default_factory=dict)
    is_usable: bool = True
    is_fresh: bool = True
    has_sent: bool = False

    @classmethod
    async def open(
        cls,
        host: Host,
        *,
        context: ssl.SSLContext,
        settings: RelaySettings,
        host_name: str,
        deadline: float,
    ) -> Self:
        """Connect, switch to TLS and greet.

        Args:
            host: Where to.
            context: Shows our certificate and accepts those that lead to our anchors.
            settings: Longest waits.
            host_name: Ours, for EHLO.
            deadline: When to give up altogether, on the event loop's clock.

        Raises:
            HostFault: It did not come to a session.
        """
        loop = asyncio.get_running_loop()
        reader = _Reader(limit=MAX_REPLY_LINE, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + settings.connect_seconds)):
                connected = await connect(host)
                transport, _ = await loop.create_connection(lambda: protocol, sock=connected)
        except (OSError, UnicodeError) as error:
            raise HostFault("host-unreachable", type(error).__name__) from error
        session = cls(
            host=host,
            settings=settings,
            reader=reader,
            writer=asyncio.StreamWriter(transport, protocol, reader, loop),
            deadline=deadline,
        )
        try:
            await session._begin(context, host_name)
        except BaseException:
            session.abort()
            raise
        return session

    @property
    def certificate(self) -> Certificate:
        """The certificate that the host showed.

        Raises:
            HostFault: It cannot be read.
        """
        try:
            return tls.peer_certificate(self.writer.get_extra_info("ssl_object"))
        except CryptoError as error:
            raise HostFault("tls-failed", error.code) from error

    @property
    def intermediates(self) -> tuple[Certificate, ...]:
        """The other certificates that the host sent along; hostile until proven."""
        return tls.shown_intermediates(self.writer.get_extra_info("ssl_object"))

    async def hand_over(self, deliveries: Sequence[Delivery], raw: bytes) -> Transfer:
        """Send one message to recipients of one sender, in one transaction.

        Raises:
            HostFault: The session broke before the host had answered for the recipients.
            RepliedError: The host refused the sender, for now or for ever.
            MailDataError: The message must not be sent like this; the session is aborted.
        """
        try:
            recipients = await self._announce(deliveries, raw)
            end = await self._finish(recipients, raw)
        except RepliedError:
            raise
        except HostFault as error:
            self.abort()
            raise HostFault(
                error.code, error.detail, is_general=error.code == "host-unavailable"
            ) from error
        except BaseException:
            self.abort()
            raise
        return Transfer(recipients=tuple(recipients), end=end)

    async def ask_about(self, recipient: str) -> PeerReply:
        """Ask whether the host would take mail for a recipient, and send none.

        Raises:
            HostFault: The session broke; it is aborted.
            RepliedError: The host refused the sender, not the recipient.
        """
        self.has_sent = False
        try:
            commands = ["RSET"] if not self.is_fresh else []
            self.is_fresh = False
            for command in (*commands, "MAIL FROM:<>"):
                self._want(command[:4], await self._ask(command))
            return await self._ask(f"RCPT TO:<{recipient}>")
        except RepliedError:
            raise
        except BaseException:
            self.abort()
            raise

    @property
    def is_alive(self) -> bool:
        """Tell whether it is worth trying to use this session again."""
        return (
            self.is_usable
            # Whatever came unasked would be taken for the reply to the next command.
            and not self.reader.has_unread
            and not self.reader.at_eof()
            and not self.writer.transport.is_closing()
        )

    def leave(self) -> None:
        """Say goodbye and close, without waiting for an answer."""
        if self.is_alive:
            self.is_usable = False
            self.writer.write(b"QUIT\r\n")
            self.writer.close()
            asyncio.get_running_loop().call_later(GOODBYE_SECONDS, self.abort)
        else:
            self.abort()

    async def quit(self) -> None:
        """Say goodbye and wait a little until the connection is gone."""
        self.leave()
        with suppress(OSError, HostFault):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self.writer.wait_closed()

    def abort(self) -> None:
        """Let go of the connection at once."""
        self.is_usable = False
        self.writer.transport.abort()

    async def _begin(self, context: ssl.SSLContext, host_name: str) -> None:
        """Go from the greeting to an EHLO inside TLS."""
        try:
            self._want("greeting", await self._reply())
            self._learn(self._want("EHLO", await self._ask(f"EHLO {host_name}")))
            if "STARTTLS" not in self.extensions:
                raise HostFault("starttls-missing", "the host does not offer STARTTLS")
            self._want("STARTTLS", await self._ask("STARTTLS"))
            await self._switch_to_tls(context)
            self._learn(self._want("EHLO", await self._ask(f"EHLO {host_name}")))
        except RepliedError as error:
            code = "starttls-refused" if error.command == "STARTTLS" else "host-unavailable"
            raise HostFault(code, f"{error.command}: {error.reply}") from error

    async def _switch_to_tls(self, context: ssl.SSLContext) -> None:
        self._refuse_injection()
        try:
            async with self._within(self.settings.connect_seconds):
                await self.writer.start_tls(context, server_hostname=self.host.name)
        except ssl.SSLCertVerificationError as error:
            objection = handshake_objection(tls.handshake_fault(error))
            raise HostFault(objection.code, error.verify_message) from error
        # What was sent in clear during the handshake must not be taken for a reply inside TLS.
        self._refuse_injection()

    def _refuse_injection(self) -> None:
        if self.reader.has_unread:
            raise HostFault("starttls-injection", "the host spoke in clear after STARTTLS")

    def _learn(self, reply: PeerReply) -> None:
        """Remember what EHLO announced; what was said before TLS is forgotten (RFC 3207, 4.2)."""
        words = (line.upper().partition(" ") for line in reply.lines[1:])
        self.extensions = {keyword: parameter for keyword, _, parameter in words}

    async def _announce(self, deliveries: Sequence[Delivery], raw: bytes) -> list[PeerReply]:
        """Name the sender and the recipients; give the reply to each of these."""
        self.has_sent = False
        commands = ["RSET"] if not self.is_fresh else []
        self.is_fresh = False
        commands.append(self._mail(deliveries[0], raw))
        preface = len(commands)
        commands += [self._rcpt(one) for one in deliveries]
        replies = await self._ask_all(commands)
        for command, reply in zip(commands[:preface], replies, strict=False):
            self._want(command[:4], reply)
        for reply in replies[preface:]:
            if reply.code == 421:
                self._want("RCPT", reply)
        return replies[preface:]

    async def _finish(
        self, recipients: Sequence[PeerReply], raw: bytes
    ) -> PeerReply | RepliedError | HostFault | ReplyLostError:
        """Send the message if anybody is to have it; tell what came of it."""
        if not any(one.is_positive for one in recipients):
            return recipients[0]
        try:
            await self._ask_to_send()
            await self._upload(raw)
            return self._want("message", await self._reply(self.settings.data_seconds))
        except RepliedError as error:
            return error
        except HostFault as error:
            self.abort()
            if self.has_sent:
                return ReplyLostError(error.code)
            error.is_general = error.code == "host-unavailable"
            return error

    async def _ask_to_send(self) -> None:
        ready = await self._ask("DATA")
        if ready.code != 354:
            self._want("DATA", ready)
            raise HostFault("peer-protocol", "DATA was answered neither 354 nor no")

    def _mail(self, delivery: Delivery, raw: bytes) -> str:
        command = f"MAIL FROM:<{delivery.sender or ''}>"
        if "SIZE" in self.extensions:
            command += f" SIZE={len(raw)}"
        if "8BITMIME" in self.extensions and not raw.isascii():
            command += " BODY=8BITMIME"
        if "DSN" in self.extensions:
            # Unless its sender asks, a report needs no copy of the letter: less health data on the
            # way back.
            command += f" RET={delivery.returns or 'HDRS'}"
            if delivery.envelope_id:
                command += f" ENVID={encode_xtext(delivery.envelope_id)}"
        return command

    def _rcpt(self, delivery: Delivery) -> str:
        command = f"RCPT TO:<{delivery.recipient}>"
        if "DSN" in self.extensions:
            if delivery.notify:
                command += f" NOTIFY={','.join(sorted(delivery.notify))}"
            if delivery.original_recipient:
                kind, _, address = delivery.original_recipient.partition(";")
                command += f" ORCPT={kind};{encode_xtext(address)}"
        return command

    async def _upload(self, raw: bytes) -> None:
        """Send the message, unless the host says something before its end."""
        async with self._within(self.settings.data_seconds):
            for chunk in iter_wire(raw):
                if self.reader.has_unread:
                    reply = await self._reply()
                    self.is_usable = False
                    self._want("message", reply)
                    raise HostFault("peer-protocol", "a reply before the end of the message")
                self.writer.write(chunk)
                # Once the last chunk is written, only the reply tells what became of it.
                self.has_sent = chunk == END[2:]
                await self.writer.drain()

    async def _ask(self, command: str) -> PeerReply:
        return (await self._ask_all([command]))[0]

    async def _ask_all(self, commands: list[str]) -> list[PeerReply]:
        """Send commands, in one go if the host takes that, and read replies until one is 421."""
        groups = [commands] if "PIPELINING" in self.extensions else [[one] for one in commands]
        replies: list[PeerReply] = []
        for group in groups:
            async with self._within(self.settings.command_seconds):
                self.writer.write("".join(f"{one}\r\n" for one in group).encode("ascii"))
                await self.writer.drain()
            for _ in group:
                replies.append(await self._reply())
                if replies[-1].code == 421:  # the last word; the host hangs up behind it
                    return replies
        return replies

    async def _reply(self, seconds: float | None = None) -> PeerReply:
        """Read one reply, however many lines it has, within reason."""
        lines: list[str] = []
        async with self._within(seconds or self.settings.command_seconds):
            while True:
                line = (await self.reader.readuntil(b"\n")).rstrip(b"\r\n")
                found = _REPLY_LINE.fullmatch(line)
                if found is None or len(lines) >= MAX_REPLY_LINES:
                    raise HostFault("peer-protocol", "not a reply")
                text = (found[3] or b"").decode("ascii", "replace")
                lines.append("".join(one if " " <= one <= "~" else "?" for one in text))
                if found[2] != b"-":
                    return PeerReply(code=int(found[1]), lines=tuple(lines))

    @asynccontextmanager
    async def _within(self, seconds: float) -> AsyncIterator[None]:
        """Turn whatever may go wrong with a connection into a `HostFault`."""
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout_at(min(self.deadline, now + seconds)):
                yield
        except ssl.SSLCertVerificationError:
            raise
        except ssl.SSLError as error:
            # With TLS 1.3 a server that dislikes our certificate says so after the handshake.
            objection = handshake_objection(tls.handshake_fault(error))
            raise HostFault(objection.code, error.reason or "") from error
        except TimeoutError as error:
            raise HostFault("peer-timeout", "no answer in time") from error
        except asyncio.LimitOverrunError as error:
            raise HostFault("peer-protocol", "a reply line is too long") from error
        except (OSError, EOFError) as error:
            raise HostFault("connection-lost", type(error).__name__) from error

    def _want(self, command: str, reply: PeerReply) -> PeerReply:
        """Give a positive reply back, refuse others."""
        if reply.is_positive:
            return reply
        if reply.code == 421:
            self.is_usable = False
        # Neither says anything about the letter: the host is leaving, or our session went stale.
        if command == "RSET" or (reply.code == 421 and not self.has_sent):
            raise HostFault("host-unavailable", f"{command}: {reply}")
        raise RepliedError(command, reply)
