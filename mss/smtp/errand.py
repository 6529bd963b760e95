"""One attempt to carry a letter to recipients of one domain: what is settled, what is still open.

Hosts and transactions come and go; each recipient gets exactly one outcome, the first final word or
the last excuse.

Sources
    RFC 5321, 4.2.1 (meaning of replies), 4.5.3.1.10 (too many recipients) and 6.1 (responsibility).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from mss.model.delivery import Deferred, Delivery, Outcome, Refused, Relayed
from mss.smtp.session import HostFault, PeerReply, RepliedError, ReplyLostError, Transfer

_NOBODY = Deferred(
    code="host-unreachable", detail="no host was tried", status="4.4.1", is_general=True
)


@dataclass(slots=True, kw_only=True)
class Errand:
    """A letter on its way to some recipients.

    Attributes:
        open: Recipients of whom nobody has said anything yet.
    """

    deliveries: Sequence[Delivery]
    raw: bytes = field(repr=False)
    open: list[Delivery] = field(init=False)
    _settled: dict[str, Outcome] = field(default_factory=dict, init=False)
    _excuse: Outcome = field(default=_NOBODY, init=False)

    def __post_init__(self) -> None:
        """Begin with every recipient open."""
        self.open = list(self.deliveries)

    @property
    def domain(self) -> str:
        """Where it goes."""
        return self.deliveries[0].domain

    def outcomes(self) -> list[Outcome]:
        """Give each recipient's outcome, in order."""
        return [self._settled.get(one.id, self._excuse) for one in self.deliveries]

    def settle_all(self, outcome: Outcome) -> None:
        """Give everybody who is still open this outcome."""
        for one in list(self.open):
            self._settle(one, outcome)

    def note_fault(self, fault: HostFault, *, host: str) -> None:
        """Remember why a host was no use; the next one may be."""
        self._excuse = Deferred(
            code=fault.code,
            detail=fault.detail,
            host=host,
            status="4.4.2",
            is_general=fault.is_general,
        )

    def note_transfer(
        self, offered: Sequence[Delivery], transfer: Transfer, *, host: str, reports: bool
    ) -> None:
        """Settle what a transaction has settled.

        Recipients that were too many for it stay open if others were taken: they go next.
        """
        has_room = any(one.is_positive for one in transfer.recipients)
        taken = []
        for one, reply in zip(offered, transfer.recipients, strict=True):
            if reply.is_positive:
                taken.append(one)
            elif not (has_room and reply.is_too_many):
                self._settle(one, refusal("RCPT", reply, host))
        outcome = _end(transfer.end, host=host, reports=reports)
        if isinstance(outcome, HostFault):
            self.note_fault(outcome, host=host)
            return
        for one in taken:
            self._settle(one, outcome)

    def _settle(self, one: Delivery, outcome: Outcome) -> None:
        self._settled[one.id] = outcome
        self.open.remove(one)


def _end(
    end: PeerReply | RepliedError | HostFault | ReplyLostError, *, host: str, reports: bool
) -> Outcome | HostFault:
    """Tell what the end of a transaction means for those who were not refused before."""
    match end:
        case PeerReply():
            return Relayed(reply=str(end), host=host, reports=reports)
        case RepliedError():
            return refusal(end.command, end.reply, host)
        case HostFault():
            return end
        case ReplyLostError():
            return Deferred(
                code="reply-lost",
                detail="the letter was sent, but no reply came",
                host=host,
                status="4.4.2",
            )
        case _:
            assert_never(end)


def refusal(command: str, reply: PeerReply, host: str) -> Outcome:
    """Tell what a negative reply to MAIL, RCPT, DATA or the message means for a delivery."""
    detail = f"{command}: {reply}"
    if reply.is_permanent:
        return Refused(code="peer-refused", detail=detail, host=host, status=reply.status)
    return Deferred(code="peer-deferred", detail=detail, host=host, status=reply.status)
