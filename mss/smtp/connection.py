"""One SMTP conversation with a client, from greeting to goodbye.

aiosmtpd carries the connection: transport, stream, switch to TLS with its clean slate, session and
envelope. The conversation is ours, because it must be stricter than a general library may be:
replies are typed, every wait has an absolute deadline, MAIL and RCPT are read by one strict
grammar, and the message is read in whole chunks (docs/adr/0009).

Errors
    Whatever happens, the client gets one reply to each command or loses the connection; an error
    that nobody foresaw is logged and answered 451, so that no mail is lost.
Sources
    RFC 5321; RFC 3207 (STARTTLS); RFC 4954 (AUTH); RFC 2920 (pipelining); RFC 1870 (SIZE).
"""

import asyncio
import logging
import math
import ssl
from collections.abc import Awaitable, Callable
from contextlib import closing
from typing import Final, cast

from aiosmtpd.smtp import SMTP, Envelope, Session

from crypto.tls import TlsEndpoint
from mss.blobs.spool import SpooledOctets
from mss.errors import (
    MessageTooLargeError,
    MSSError,
    NotAuthenticatedError,
    TlsRequiredError,
    TooManyRecipientsError,
)
from mss.model.envelope import Envelope as MailEnvelope
from mss.model.envelope import Recipient
from mss.model.principal import AccountPrincipal, Principal
from mss.pipeline.submission import RefusedRoute, Route, Submission
from mss.smtp import auth, replies
from mss.smtp.commands import MailCommand, parse_mail, parse_rcpt
from mss.smtp.data import DataReader
from mss.smtp.door import Door, Visitor
from mss.smtp.errors import ConversationError, HangUpError
from mss.smtp.handshake import DoorTlsProtocol, objection_of
from mss.smtp.mx import subject_of
from mss.smtp.replies import Reply, reply_for
from mss.smtp.submission import refusal_reason

_log = logging.getLogger(__name__)
# aiosmtpd's own lines only repeat ours, for every connection.
logging.getLogger("mail.log").setLevel(logging.WARNING)

STREAM_OCTETS: Final = 64 * 1024
CHUNK_OCTETS: Final = 256 * 1024
# 512 of RFC 5321, 4.5.3.1.4, and room for the parameters of SIZE, BODY and DSN.
MAX_COMMAND: Final = 2048
MAX_HELD: Final = 4096  # octets of replies
LINGER_SECONDS: Final = 5.0
MAX_ERRORS: Final = 20
MAX_LOGIN_FAILURES: Final = 3
BEFORE_TLS: Final = frozenset({"EHLO", "HELO", "NOOP", "QUIT", "RSET", "STARTTLS"})
# aiosmtpd looks at every attribute of what it is to call back, which is nothing here. It must not
# look at a dataclass with slots: before Python 3.11.3 that raises (python/cpython#102069).
NO_HOOKS: Final = object()


class _GoneError(Exception):
    """The client is no longer there."""


class _Client(Session):
    """What is known of the client; begins anew after STARTTLS (RFC 3207, 4.2)."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.tls: ssl.SSLObject | None = None
        self.account: AccountPrincipal | None = None


class _Transaction(Envelope):
    """The mail under way: from MAIL to the end of DATA."""

    def __init__(self) -> None:
        super().__init__()
        self.principal: Principal | None = None
        self.command: MailCommand | None = None
        self.recipients: dict[str, Recipient] = {}
        self.routes: list[Route] = []


class Connection(SMTP):
    """One client at a door."""

    line_length_limit = STREAM_OCTETS  # aiosmtpd hands this to its stream reader

    def __init__(self, door: Door) -> None:
        super().__init__(
            NO_HOOKS,
            data_size_limit=door.limits.message_octets,
            hostname=door.host_name,
            timeout=door.limits.command_seconds,
            loop=asyncio.get_running_loop(),
        )
        self._door = door
        self._host = ""
        self._client = _Client(self.loop)
        self._transaction = _Transaction()
        self._is_admitted = False
        self._is_idle = False
        self._is_leaving = False
        self._errors = 0
        self._commands = 0
        self._login_failures = 0
        self._stranger_timer: asyncio.TimerHandle | None = None
        self._expires_at = self._timer_at = math.inf  # on the clock of the event loop
        self._held = b""  # replies that travel with the next one
        self._verbs: dict[str, Callable[[str], Awaitable[Reply]]] = {
            "AUTH": self._auth,
            "BDAT": self._bdat,
            "DATA": self._data,
            "EHLO": self._ehlo,
            "EXPN": self._unimplemented,
            "HELO": self._helo,
            "HELP": self._help,
            "MAIL": self._mail,
            "NOOP": self._noop,
            "QUIT": self._quit,
            "RCPT": self._rcpt,
            "RSET": self._rset,
            "STARTTLS": self._starttls,
            "VRFY": self._vrfy,
        }

    # The connection: what asyncio and the door call.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the client, or begin anew inside TLS."""
        if not self._is_admitted:
            stream = cast("asyncio.Transport", transport)  # what servers of streams hand over
            if not self._admit(stream):
                return
            if self._door.is_wrapped:
                self._begin_tls(stream).add_done_callback(self._after_wrapping)
                return
        super().connection_made(transport)
        self._client.tls = transport.get_extra_info("ssl_object")

    def connection_lost(self, error: Exception | None) -> None:
        """End the stream; a commit under way is completed, only its reply is lost.

        aiosmtpd would cancel the conversation here, and with it the storing of a message.
        """
        self._door.release(self)
        self._is_no_stranger()
        if self.session is None:
            return
        self._end_timer()
        if self._original_transport is not None:
            self._original_transport.close()
        asyncio.StreamReaderProtocol.connection_lost(self, error)
        self.transport = None

    def eof_received(self) -> bool | None:
        """Let the conversation see the end of the stream by itself."""
        if self.session is not None:
            self._reader.feed_eof()
        return False

    def dismiss(self) -> None:
        """Leave now if nothing is under way, else when it is done."""
        if self.session is None:
            self.abort()
        elif self._is_idle:
            self._hang_up(replies.SHUTTING_DOWN)

    def abort(self) -> None:
        """Leave at once."""
        for transport in (self.transport, self._original_transport):
            if transport is not None:
                cast("asyncio.Transport", transport).abort()

    def _admit(self, transport: asyncio.Transport) -> bool:
        peer = transport.get_extra_info("peername")
        self._host = str(peer[0]) if isinstance(peer, tuple) else "local"
        refusal = self._door.admit(self, self._host)
        if refusal is None:
            self._is_admitted = True
            self._stranger_timer = self.loop.call_later(
                self._door.limits.stranger_seconds, self._timeout_cb
            )
            return True
        _log.warning("%s: %s not admitted: %s", self._door.name, self._host, refusal.lines[0])
        if not self._door.is_wrapped:
            transport.write(refusal.octets())
        transport.close()
        return False

    def _begin_tls(self, transport: asyncio.Transport) -> "asyncio.Future[None]":
        """Put TLS between the transport and this protocol; the future ends with the handshake."""
        waiter = self.loop.create_future()
        self._tls_protocol = DoorTlsProtocol(
            self.loop,
            self,
            self._door.tls(),
            waiter,
            server_side=True,
            # The stubs say int; the event loop takes any number.
            ssl_handshake_timeout=cast("int", self._door.limits.handshake_seconds),
            ssl_shutdown_timeout=LINGER_SECONDS,
        )
        self._original_transport = transport
        transport.set_protocol(self._tls_protocol)
        if self.session is not None:
            self.transport = self._tls_protocol._app_transport  # noqa: SLF001 -- as aiosmtpd does
        self._tls_protocol.connection_made(transport)
        return waiter

    def _after_wrapping(self, waiter: "asyncio.Future[None]") -> None:
        """Clean up after a handshake that failed before there was a conversation."""
        error = waiter.exception()
        if error is not None or self.session is None:
            _log.info("%s: %s: no TLS: %r", self._door.name, self._host, error)
            self._door.release(self)

    def _create_session(self) -> Session:
        self._client = _Client(self.loop)
        return self._client

    def _create_envelope(self) -> Envelope:
        self._transaction = _Transaction()
        return self._transaction

    def _forget_mail(self) -> None:
        self.envelope = self._create_envelope()

    # Time.

    def _reset_timeout(self, duration: float | None = None) -> None:
        """Give the client time from now on.

        A timer that rings too early costs less than one that is set anew for each command.
        """
        self._expires_at = self.loop.time() + (duration or self._timeout_duration)
        if self._timeout_handle is None or self._expires_at < self._timer_at:
            self._set_timer()

    def _set_timer(self) -> None:
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()
        self._timer_at = self._expires_at
        self._timeout_handle = self.loop.call_at(self._timer_at, self._ring)

    def _ring(self) -> None:
        self._timeout_handle = None
        if self._expires_at <= self.loop.time():
            self._timeout_cb()
        elif self._expires_at < math.inf:
            self._set_timer()

    def _timeout_cb(self) -> None:
        """Hang up on a client that used up its time."""
        _log.info("%s: %s timed out", self._door.name, self._host)
        if self.session is None:
            self.abort()
        else:
            self._hang_up(replies.TIMED_OUT)

    def _stop_timer(self) -> None:
        """Let time pass: what is awaited now is ours."""
        self._expires_at = math.inf

    def _end_timer(self) -> None:
        if self._timeout_handle is not None:
            self._timeout_handle.cancel()

    def _is_no_stranger(self) -> None:
        """Lift the deadline of those that nobody knows: small commands could stretch a stay."""
        if self._stranger_timer is not None:
            self._stranger_timer.cancel()

    def _hang_up(self, reply: Reply) -> None:
        """Say why and close, from outside the conversation; do not wait for a slow reader."""
        self._is_leaving = True
        if self.transport is None or self._writer.is_closing():
            return
        self._writer.write(self._held + reply.octets())
        self._writer.close()
        self.loop.call_later(LINGER_SECONDS, self.abort)

    # The conversation.

    async def _handle_client(self) -> None:
        """Hold the whole conversation; aiosmtpd starts this once per connection."""
        try:
            await self._converse()
        except _GoneError:
            _log.info("%s: %s went away", self._door.name, self._host)
        except Exception:  # noqa: BLE001 -- asyncio would say nothing
            _log.exception("%s: conversation broken off", self._door.name)
        finally:
            self._end_timer()
            self._door.release(self)
            self._writer.close()
            if self._original_transport is not None and self._client.tls is None:
                self._original_transport.close()  # the handshake failed

    async def _converse(self) -> None:
        await self._send(replies.greeting(self._door.host_name))
        while not self._is_leaving:
            reply = await self._answer()
            if self._may_hold(reply):
                self._held += reply.octets()
                continue
            await self._send(reply)
            if reply is replies.TLS_GO:
                await self._switch_to_tls()
            elif reply is replies.BYE or reply.code == 421:
                return
            if self._door.is_stopping:
                await self._send(replies.SHUTTING_DOWN)
                return

    async def _answer(self) -> Reply:
        """Read one command and obey it."""
        verb = ""
        try:
            verb, argument = await self._read_command()
            reply = await self._obey(verb, argument)
        except ConversationError as error:
            self._is_leaving |= isinstance(error, HangUpError)
            reply = error.reply
        except MSSError as error:
            reason = getattr(error, "reason", "")
            _log.info("%s: %s: %s: %s %s", self._door.name, self._host, verb, error.code, reason)
            reply = reply_for(error)
        except _GoneError:
            raise
        except Exception:  # noqa: BLE001 -- a defect of ours must not lose mail: 451, try again
            _log.exception("%s: %s failed", self._door.name, verb)
            reply = replies.LOCAL_TROUBLE
        return self._bounded(verb, reply)

    def _bounded(self, verb: str, reply: Reply) -> Reply:
        """Lose patience with a client that never gets anywhere."""
        self._commands += 1
        # An unknown recipient is the sender's mistake, not the client's.
        if not reply.is_positive and verb != "RCPT":
            self._errors += 1
        if verb == "DATA" and reply.is_positive:
            self._commands = self._errors = 0
        if self._errors > MAX_ERRORS:
            return replies.TOO_MANY_ERRORS
        if self._commands > 100 + 2 * self._door.limits.recipients:
            return replies.TOO_MANY_COMMANDS
        return reply

    async def _read_command(self) -> tuple[str, str]:
        line = await self._read_line()
        if len(line) > MAX_COMMAND and line[:5].upper() != b"AUTH ":
            raise ConversationError(replies.LINE_TOO_LONG)
        try:
            text = line.decode("ascii")
        except UnicodeDecodeError:
            raise ConversationError(replies.LINE_MALFORMED) from None
        if not text.isprintable():
            raise ConversationError(replies.LINE_MALFORMED)
        verb, _, argument = text.partition(" ")
        return verb.upper(), argument.rstrip(" ")

    async def _obey(self, verb: str, argument: str) -> Reply:
        method = self._verbs.get(verb)
        if method is None:
            return replies.UNKNOWN_COMMAND
        if self._client.tls is None and verb not in BEFORE_TLS:
            if verb == "MAIL":
                error = TlsRequiredError(host=self._host)
                await self._door.note_refusal(error, subject="", host=self._host)
            return replies.TLS_FIRST
        return await method(argument)

    async def _read_line(self) -> bytes:
        """Read one line, without its CRLF, within the deadline of a command."""
        self._reset_timeout(self._door.limits.command_seconds)
        self._is_idle = True
        try:
            line = await self._reader.readuntil(b"\n")
        except (asyncio.IncompleteReadError, OSError) as error:
            raise _GoneError from error
        except asyncio.LimitOverrunError:
            raise HangUpError(replies.LINE_TOO_LONG) from None
        finally:
            self._is_idle = False
        # A bare line end means that the two sides do not agree on what a line is.
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise HangUpError(replies.LINE_MALFORMED)
        return line[:-2]

    async def _send(self, reply: Reply) -> None:
        self._reset_timeout(self._door.limits.command_seconds)
        # A TLS transport that was closed from both sides fails in its own way when written to.
        if self._writer.is_closing():
            raise _GoneError
        try:
            self._writer.write(self._held + reply.octets())
            self._held = b""
            await self._writer.drain()
        except OSError as error:
            raise _GoneError from error

    def _may_hold(self, reply: Reply) -> bool:
        """Tell whether a reply can travel with the next: a command is there already (RFC 2920)."""
        return (
            reply.code == 250
            and not self._is_leaving
            and not self._door.is_stopping
            and len(self._held) < MAX_HELD
            and b"\n" in self._reader._buffer  # type: ignore[attr-defined]  # noqa: SLF001
        )

    async def _switch_to_tls(self) -> None:
        """Do the handshake that STARTTLS asked for; the client starts from nothing after it."""
        assert self.transport is not None
        waiter = self._begin_tls(cast("asyncio.Transport", self.transport))
        try:
            await waiter
        except OSError as error:
            # The client's certificate may be why, so this is worth a line in the log.
            _log.warning("%s: %s: no TLS: %r", self._door.name, self._host, error)
            objection = objection_of(error)
            if objection is not None:
                await self._door.note_refusal(objection, subject="", host=self._host)
            raise _GoneError from error
        if self._client.tls is None:
            raise _GoneError

    # Verbs. Each returns the one reply to its command, or raises it.

    async def _ehlo(self, argument: str) -> Reply:
        self._greet(argument, is_extended=True)
        extensions = [
            f"SIZE {self._door.limits.message_octets}",
            "8BITMIME",
            "PIPELINING",
            "ENHANCEDSTATUSCODES",
            "DSN",
        ]
        if self._client.tls is None:
            extensions.append("STARTTLS")
        elif offered := self._door.rules.mechanisms(self._endpoint):
            extensions.append("AUTH " + " ".join(offered))
        return replies.capabilities(self._door.host_name, extensions)

    async def _helo(self, argument: str) -> Reply:
        self._greet(argument, is_extended=False)
        return replies.capabilities(self._door.host_name, [])

    def _greet(self, argument: str, *, is_extended: bool) -> None:
        if not argument or " " in argument or len(argument) > 255:
            raise ConversationError(replies.NAME_NEEDED)
        self._client.host_name = argument
        self._client.extended_smtp = is_extended
        self._forget_mail()

    async def _noop(self, argument: str) -> Reply:  # noqa: ARG002 -- RFC 5321, 4.1.1.9: ignored
        return replies.NOOP_OK

    async def _help(self, argument: str) -> Reply:  # noqa: ARG002 -- one text for all commands
        return replies.HELP

    async def _unimplemented(self, argument: str) -> Reply:  # noqa: ARG002
        return replies.NOT_IMPLEMENTED

    async def _bdat(self, argument: str) -> Reply:  # noqa: ARG002 -- not announced (RFC 3030)
        """Refuse, and hang up: what follows is a chunk of a message, never a command."""
        raise HangUpError(replies.NOT_IMPLEMENTED)

    async def _vrfy(self, argument: str) -> Reply:  # noqa: ARG002 -- the same for every address
        return replies.VRFY_NOTHING

    async def _rset(self, argument: str) -> Reply:
        _refuse_argument(argument)
        self._forget_mail()
        return replies.RESET_OK

    async def _quit(self, argument: str) -> Reply:
        _refuse_argument(argument)
        return replies.BYE

    async def _starttls(self, argument: str) -> Reply:
        _refuse_argument(argument)
        if self._client.tls is not None:
            return replies.TLS_ALREADY
        # Whatever waits here was sent in clear by whoever sits on the line, to be obeyed inside
        # TLS (CVE-2011-0411). aiosmtpd also empties the buffer after the handshake.
        if self._has_unread:
            raise HangUpError(replies.TLS_NOT_LAST)
        return replies.TLS_GO

    async def _auth(self, argument: str) -> Reply:
        self._need_greeting()
        mechanism, has_initial, initial = argument.partition(" ")
        offered = self._door.rules.mechanisms(self._endpoint)
        if not offered:
            return replies.NOT_IMPLEMENTED
        if self._client.account is not None or self._transaction.command is not None:
            return replies.AUTH_ALREADY
        if mechanism.upper() not in offered:
            return replies.AUTH_UNKNOWN
        exchange = auth.MECHANISMS[mechanism.upper()]()
        try:
            credentials = await self._exchange(exchange, initial.encode() if has_initial else None)
        except auth.CredentialSyntaxError:
            return replies.AUTH_SYNTAX
        try:
            account = await self._door.rules.authenticate(
                credentials, host=self._host, endpoint=self._endpoint
            )
        except NotAuthenticatedError as error:
            return await self._refuse_login(credentials, error)
        self._client.account = account
        self._login_failures = 0
        self._is_no_stranger()
        return replies.AUTHENTICATED

    async def _exchange(self, exchange: auth.Exchange, initial: bytes | None) -> auth.Credentials:
        """Ask what the mechanism wants to know until it knows enough."""
        question = next(exchange)
        while True:
            response = await self._ask(question) if initial is None else initial
            initial = None
            try:
                question = exchange.send(auth.decode_response(response))
            except StopIteration as end:
                return cast("auth.Credentials", end.value)  # what `Exchange` declares

    async def _ask(self, question: bytes) -> bytes:
        await self._send(replies.challenge(auth.encode_challenge(question)))
        line = await self._read_line()
        if len(line) > auth.MAX_RESPONSE:
            raise ConversationError(replies.AUTH_TOO_LONG)
        if line == b"*":
            raise ConversationError(replies.AUTH_CANCELLED)
        return line

    async def _refuse_login(
        self, credentials: auth.Credentials, error: NotAuthenticatedError
    ) -> Reply:
        reason = getattr(error, "reason", "")
        _log.info("%s: %s: login refused %s", self._door.name, self._host, reason)
        self._login_failures += 1
        if isinstance(credentials, auth.BearerCredentials):
            await self._ask(credentials.refusal(refusal_reason(error)))
        if self._login_failures >= MAX_LOGIN_FAILURES:
            raise HangUpError(reply_for(error))
        return reply_for(error)

    async def _mail(self, argument: str) -> Reply:
        self._need_greeting()
        if self._transaction.command is not None:
            return replies.MAIL_ALREADY
        command = parse_mail(argument)
        limit = self._door.limits.message_octets
        if command.size_octets is not None and command.size_octets > limit:
            raise MessageTooLargeError(size_octets=command.size_octets, limit_octets=limit)
        self._transaction.principal = await self._identified(command)
        self._transaction.command = command
        return replies.SENDER_OK

    async def _identified(self, command: MailCommand) -> Principal:
        """Recognise whoever is connected and let them write as the sender that they name.

        An operator that is turned away is an event for the journal, not only for the log.
        """
        assert self._client.tls is not None
        tls = cast("TlsEndpoint", self._client.tls)  # ssl declares overloads instead
        visitor = Visitor(
            host=self._host,
            tls=tls,
            account=self._client.account,
            sender_domain=str(command.sender.domain) if command.sender else None,
        )
        try:
            principal = self._door.rules.identify(visitor)
            await self._door.acceptance.check_sender(principal, command.sender)
        except MSSError as error:
            await self._door.note_refusal(error, subject=subject_of(tls), host=self._host)
            raise
        self._is_no_stranger()
        await self._door.note_recognised(principal)
        return principal

    async def _rcpt(self, argument: str) -> Reply:
        transaction = self._transaction
        if transaction.command is None or transaction.principal is None:
            return replies.MAIL_FIRST
        recipient = parse_rcpt(argument)
        if recipient.address.key in transaction.recipients:
            return replies.RECIPIENT_OK
        if len(transaction.recipients) >= self._door.limits.recipients:
            raise TooManyRecipientsError(limit=self._door.limits.recipients)
        route = await self._door.route(transaction.principal, recipient.address)
        if isinstance(route, RefusedRoute):
            raise route.error
        transaction.recipients[recipient.address.key] = recipient
        transaction.routes.append(route)
        return replies.RECIPIENT_OK

    async def _data(self, argument: str) -> Reply:
        _refuse_argument(argument)
        transaction = self._transaction
        if transaction.command is None:
            return replies.MAIL_FIRST
        if not transaction.recipients:
            return replies.RCPT_FIRST
        if self._has_unread:
            # Were DATA refused, these octets would be commands: no client may leave that open.
            raise HangUpError(replies.DATA_NOT_LAST)
        await self._send(replies.DATA_GO)
        with closing(self._door.spool.open()) as spooled:
            try:
                await self._read_message(spooled)
                return await self._hand_over(transaction, spooled)
            finally:
                self._forget_mail()

    async def _read_message(self, spooled: SpooledOctets) -> None:
        """Read to the end of the message within its deadline, and give what came after it back."""
        self._reset_timeout(self._door.limits.data_seconds)
        message = DataReader(self._door.limits.message_octets, spooled)
        while not message.is_complete and not message.is_hopeless:
            try:
                chunk = await self._reader.read(CHUNK_OCTETS)
            except OSError as error:
                raise _GoneError from error
            if not chunk:
                raise _GoneError
            if spooled.is_on_disk:
                # A disk may be slow; the others must not wait for it.
                await asyncio.to_thread(message.feed, chunk)
            else:
                message.feed(chunk)
        self._reader._buffer[:0] = message.rest  # type: ignore[attr-defined]  # noqa: SLF001
        try:
            message.outcome()
        except MSSError as error:
            if message.is_hopeless:
                raise HangUpError(reply_for(error)) from error
            raise

    async def _hand_over(self, transaction: _Transaction, spooled: SpooledOctets) -> Reply:
        """Hand over a message that is complete; a large one when there is room for it."""
        self._stop_timer()
        if not spooled.is_on_disk:
            return await self._accept(transaction, spooled.read())
        async with self._door.scale.weigh(spooled.size_octets):
            raw = await asyncio.to_thread(spooled.read)
            return await self._accept(transaction, raw)

    async def _accept(self, transaction: _Transaction, raw: bytes) -> Reply:
        """Let somebody take responsibility; that takes as long as durability takes."""
        command, principal = transaction.command, transaction.principal
        assert command is not None
        assert principal is not None
        accepted = await self._door.acceptance.accept(
            Submission(
                envelope=MailEnvelope(
                    sender=command.sender,
                    recipients=tuple(transaction.recipients.values()),
                    envelope_id=command.envelope_id,
                    returns=command.returns,
                ),
                raw=raw,
                principal=principal,
                origin=self._door.rules.origin,
                routes=tuple(transaction.routes),
                received_with="ESMTPS" if self._client.account is None else "ESMTPSA",
            )
        )
        _log.info("%s: %s: accepted %s", self._door.name, self._host, accepted.message_id)
        return replies.accepted(accepted.message_id)

    @property
    def _has_unread(self) -> bool:
        """Tell whether the client sent more than was asked for."""
        return bool(self._reader._buffer)  # type: ignore[attr-defined]  # noqa: SLF001

    @property
    def _endpoint(self) -> TlsEndpoint:
        assert self._client.tls is not None, "asked inside TLS only"
        return cast("TlsEndpoint", self._client.tls)  # ssl declares overloads instead

    def _need_greeting(self) -> None:
        if self._client.host_name is None:
            raise ConversationError(replies.SAY_EHLO)


def _refuse_argument(argument: str) -> None:
    if argument:
        raise ConversationError(replies.NO_ARGUMENT)
