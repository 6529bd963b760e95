"""May this mail between a professional and a patient pass?

A patient's address is made from the national identity number and nothing else. Only professionals
open an exchange: a patient answers a letter that may be answered, to the mailbox that it names
(`Reply-To`, otherwise its author). `X-MSS-MES: FIN` on a letter takes the answer to that letter
away; a letter whose subject is exactly `[FIN]` takes it away for every letter before.

Pure: settings and facts in, verdict out. Which letters there were is `mss/store/patient_letters`.

Errors
    None: objections are values.
Sources
    Référentiel #2, ECO.2.2.6 and ECO.2.2.8; CNAM, messagerie de Mon espace santé v1.3.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from directory.address import MailAddress
from directory.errors import DirectoryError
from directory.matricule import Matricule
from mss.errors import MSSError, PatientAddressError, PatientConversationError
from mss.settings import PatientSettings

CLOSING_FIELD = "X-MSS-MES"
CLOSING_VALUE = "FIN"
CLOSING_SUBJECT = "[FIN]"


class Closing(Enum):
    """What a letter to a patient says about answers."""

    NOTHING = "nothing"
    THIS_LETTER = "this-letter"
    EVERYTHING_BEFORE = "everything-before"


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRules:
    """The rules of the settings."""

    settings: PatientSettings

    def is_patient(self, address: MailAddress | None) -> bool:
        """Tell whether an address is a person's in the patients' domain, and no service's."""
        if address is None or str(address.domain) != self.settings.domain.lower():
            return False
        return address.local.lower() not in {one.lower() for one in self.settings.services}

    def address_objection(self, recipient: MailAddress) -> MSSError | None:
        """Say what is wrong with a recipient in the patients' domain; `None` for all others.

        Nothing is corrected or completed: a number with one wrong digit may be somebody else's.
        """
        if not self.is_patient(recipient):
            return None
        try:
            Matricule.parse_checked(recipient.local.upper())
        except DirectoryError as error:
            return PatientAddressError(address=str(recipient), reason=error.code)
        return None

    def needs_letter(self, *, author: MailAddress, is_report: bool, recipient: MailAddress) -> bool:
        """Tell whether this mail is only taken as answer to a letter.

        Receipts and refusals are about a letter by themselves. The settings name mailboxes that a
        patient may write to first (a pharmacy takes prescriptions).
        """
        if not self.settings.only_answers or not self.is_patient(author) or is_report:
            return False
        return recipient.key not in {one.lower() for one in self.settings.open_to}


def closing_of(*, subject: str, mss_fields: Mapping[str, str]) -> Closing:
    """Read what a letter to a patient says about answers."""
    if subject.strip() == CLOSING_SUBJECT:
        return Closing.EVERYTHING_BEFORE
    if mss_fields.get(CLOSING_FIELD, "").strip().upper() == CLOSING_VALUE:
        return Closing.THIS_LETTER
    return Closing.NOTHING


def answer_objection(
    *, answered: Sequence[bool], others: Sequence[bool]
) -> PatientConversationError | None:
    """Say why a patient may not write to this mailbox; `None` when they may.

    Args:
        answered: For each letter that the mail says it answers, whether it may be answered.
        others: The same for every letter of this mailbox to this patient.
    """
    if not others:
        return PatientConversationError(reason="no-letter")
    if answered and not any(answered):
        return PatientConversationError(reason="closed")
    return None if any(others) else PatientConversationError(reason="closed")
