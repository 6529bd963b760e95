"""Exchanges with patients: which letters went to them, and which mail of theirs is an answer.

The rules are in `mss/policy/patients.py`; this asks the database about the letters, and remembers
each in the transaction that accepts it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from directory.address import MailAddress
from mss.errors import MSSError
from mss.mime.parse import ParsedMessage
from mss.model.message import Origin
from mss.pipeline.submission import Submission
from mss.policy.patients import Closing, PatientRules, answer_objection, closing_of
from mss.store import patient_letters
from mss.store.engine import Connection, Database


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterToPatients:
    """What is to be remembered of a letter to patients; called in its transaction."""

    message: ParsedMessage
    patients: frozenset[str]
    internet_message_id: str

    def __call__(self, connection: Connection, message_id: str) -> None:
        """Remember who may be answered, or that nobody may any more."""
        author = self.message.author.address
        answerable = [one.address for one in self.message.reply_to] or [author]
        closing = closing_of(subject=self.message.subject, mss_fields=self.message.mss_fields)
        if closing is Closing.EVERYTHING_BEFORE:
            patient_letters.close_letters(connection, self._pairs([author, *answerable]))
        patient_letters.insert_letters(
            connection,
            self._pairs(answerable),
            message_id=message_id,
            internet_message_id=self.internet_message_id,
            may_be_answered=closing is Closing.NOTHING,
        )

    def _pairs(self, mailboxes: Sequence[MailAddress]) -> set[tuple[str, str]]:
        return {(mailbox.key, patient) for mailbox in mailboxes for patient in self.patients}


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientDesk:
    """Lets mail from and to patients pass, or says why not."""

    database: Database
    rules: PatientRules

    def recipient_objection(self, recipient: MailAddress) -> MSSError | None:
        """Say what is wrong with a patient's address; `None` for every other one."""
        return self.rules.address_objection(recipient)

    async def check_answer(self, submission: Submission, message: ParsedMessage) -> None:
        """Let pass what is no patient's mail, or an answer to a letter that may be answered.

        Raises:
            PatientConversationError: There is no such letter for one of the recipients.
        """
        author = message.author.address
        is_report = submission.envelope.sender is None or message.content_type == "multipart/report"
        for one in submission.envelope.recipients:
            recipient = one.address
            if self.rules.needs_letter(author=author, is_report=is_report, recipient=recipient):
                await self._check_letter(author, recipient, message)

    def letter_of(
        self, submission: Submission, message: ParsedMessage, internet_message_id: str
    ) -> LetterToPatients | None:
        """Make what remembers a letter of ours to patients; `None` if it is none."""
        patients = frozenset(
            one.address.key
            for one in submission.envelope.recipients
            if self.rules.is_patient(one.address)
        )
        if not patients or submission.origin is not Origin.SUBMISSION:
            return None
        return LetterToPatients(
            message=message, patients=patients, internet_message_id=internet_message_id
        )

    async def _check_letter(
        self, patient: MailAddress, mailbox: MailAddress, message: ParsedMessage
    ) -> None:
        letters = await self.database.read(
            lambda c: patient_letters.find_letters(
                c, mailbox_key=mailbox.key, patient_key=patient.key
            )
        )
        named = {*message.references, message.in_reply_to}
        objection = answer_objection(
            answered=[one.may_be_answered for one in letters if one.internet_message_id in named],
            others=[one.may_be_answered for one in letters],
        )
        if objection is not None:
            raise objection
