"""What can be wrong with a stored body when it is asked for."""

from dataclasses import dataclass
from typing import ClassVar

from mss.errors import MSSError


@dataclass(eq=False)
class BlobMissingError(MSSError):
    """Nothing is stored under the reference."""

    code: ClassVar[str] = "blob-missing"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The content of this message is no longer stored."
    public_text_fr: ClassVar[str] = "Le contenu de ce message n'est plus conservé."
    next_step: ClassVar[str] = "Ask the sender to send it again."

    ref: str


@dataclass(eq=False)
class BlobDamagedError(MSSError):
    """What is stored under the reference is not what was put there."""

    code: ClassVar[str] = "blob-damaged"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The stored content of this message is damaged."
    public_text_fr: ClassVar[str] = "Le contenu conservé de ce message est endommagé."
    next_step: ClassVar[str] = "Tell the administrator, who may restore it from a backup."

    ref: str
    reason: str
