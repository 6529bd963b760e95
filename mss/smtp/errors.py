"""What only an SMTP conversation can refuse."""

from dataclasses import dataclass
from typing import ClassVar

from mss.errors import MSSError
from mss.smtp.replies import Reply


@dataclass(eq=False)
class PeerCertificateMissingError(MSSError):
    """Another operator connected without showing a client certificate."""

    code: ClassVar[str] = "peer-certificate-missing"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "This door serves operators that show their certificate."
    public_text_fr: ClassVar[str] = (
        "Cette entrée est réservée aux opérateurs qui présentent leur certificat."
    )
    next_step: ClassVar[str] = "Configure the client certificate of the outgoing relay."

    host: str


@dataclass(eq=False)
class MailDataError(MSSError):
    """What was sent after DATA is not a message that has one meaning for everybody.

    Attributes:
        reason: `bare-newline`, `nul-octet` or `line-too-long`.
    """

    code: ClassVar[str] = "mail-data"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The message has line ends, lines or octets that mail forbids."
    public_text_fr: ClassVar[str] = (
        "Le message a des fins de ligne, des lignes ou des octets interdits en messagerie."
    )
    next_step: ClassVar[str] = "Correct the software that wrote the message."

    reason: str


class ConversationError(Exception):
    """A command cannot be obeyed; carries the reply that says why.

    Never leaves `mss.smtp`: it is how a verb answers early.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply)
        self.reply = reply


class HangUpError(ConversationError):
    """As its parent, and the connection ends after the reply."""
