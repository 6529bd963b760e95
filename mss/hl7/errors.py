"""What this door refuses, and where in the request the trouble is.

An `Objection` is one thing that is wrong, said in the codes of HL7 (tables 0357 and the national
ones) and in words. The two errors are raised inside the door and always become an acknowledgement.
"""

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from mss.errors import MSSError


class Condition(Enum):
    """What sort of trouble it is: HL7 table 0357, as the national guides list it."""

    ACCEPTED = ("0", "Message accepted")
    SEQUENCE = ("100", "Segment sequence error")
    MISSING = ("101", "Required field missing")
    DATA_TYPE = ("102", "Data type error")
    TABLE = ("103", "Table value not found")
    CARDINALITY = ("198", "Non-conformant cardinality")
    OTHER = ("199", "Other HL7 Error")
    MESSAGE_TYPE = ("200", "Unsupported message type")
    EVENT = ("201", "Unsupported event code")
    PROCESSING = ("202", "Unsupported processing id")
    VERSION = ("203", "Unsupported version id")
    APPLICATION = ("207", "Application internal error")

    @property
    def code(self) -> str:
        """The code on the wire."""
        return self.value[0]

    @property
    def label(self) -> str:
        """The label on the wire."""
        return self.value[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objection:
    """One thing that is wrong with a request.

    Attributes:
        condition: Which sort.
        where: Segment, its number, field, as ERR-2 wants it: `OBX^1^11`; empty for the whole.
        code: Permanent kebab-case name, ERR-5.
        text: For the people at the other end; nothing about the patient.
    """

    condition: Condition
    where: str
    code: str
    text: str


@dataclass(eq=False)
class HL7SyntaxError(MSSError):
    """The octets are no HL7 v2 message."""

    code: ClassVar[str] = "hl7-syntax"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "This is not a readable HL7 v2 message."
    public_text_fr: ClassVar[str] = "Ce n'est pas un message HL7 v2 lisible."
    next_step: ClassVar[str] = "Correct the software that wrote the message."

    reason: str


@dataclass(eq=False)
class HL7RefusedError(MSSError):
    """The request cannot be carried out; each objection says why."""

    code: ClassVar[str] = "hl7-refused"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The HL7 request cannot be carried out as it is."
    public_text_fr: ClassVar[str] = "La demande HL7 ne peut pas être exécutée telle quelle."
    next_step: ClassVar[str] = "Correct what the ERR segments of the answer name."

    objections: tuple[Objection, ...]
