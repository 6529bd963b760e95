"""What reading or writing mail refuses, and in which words.

Errors carry a short kebab-case reason and never a piece of the message: a subject or an address in
a reason would reach the log.
"""

from dataclasses import dataclass
from typing import ClassVar

from mss.errors import MSSError


@dataclass(eq=False)
class MessageSyntaxError(MSSError):
    """The octets are not one unambiguous message.

    Attributes:
        reason: Kebab-case name of the rule that is broken, such as `bare-newline`.
    """

    code: ClassVar[str] = "message-syntax"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The message is not well formed."
    public_text_fr: ClassVar[str] = "Le message est mal formé."
    next_step: ClassVar[str] = "Correct the software that wrote the message."

    reason: str


@dataclass(eq=False)
class MessageLimitError(MessageSyntaxError):
    """The message may be well formed, but is larger or deeper than this server reads.

    Attributes:
        reason: Name of the ceiling, as in `MimeLimits`, in kebab-case.
        ceiling: Its value.
    """

    code: ClassVar[str] = "message-limits"
    public_text: ClassVar[str] = "The message is larger or more deeply nested than accepted."
    public_text_fr: ClassVar[str] = (
        "Le message dépasse la taille ou l'imbrication acceptée par ce serveur."
    )
    next_step: ClassVar[str] = "Send fewer, smaller or simpler parts."

    ceiling: int


@dataclass(eq=False)
class HeaderValueError(MSSError):
    """A value cannot be written in a header field without changing what the field says.

    Attributes:
        field: Name of the header field.
        reason: Kebab-case name of the rule that is broken.
    """

    code: ClassVar[str] = "header-value"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "A value contains characters that mail cannot carry."
    public_text_fr: ClassVar[str] = (
        "Une valeur contient des caractères que le courriel ne peut pas porter."
    )
    next_step: ClassVar[str] = "Remove line breaks and control characters from the value."

    field: str
    reason: str
