"""Which letters went to which patient, and may still be answered.

One row for each (letter, mailbox that may be answered, patient). Addresses of patients are their
identity numbers; they stand here as they do in the deliveries.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, tuple_, update

from mss.store.tables import patient_letter

Pairs = Collection[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientLetter:
    """A letter to a patient, as far as answers go."""

    internet_message_id: str
    may_be_answered: bool


def insert_letters(
    connection: Connection,
    pairs: Pairs,
    *,
    message_id: str,
    internet_message_id: str,
    may_be_answered: bool,
) -> None:
    """Remember a letter for each (mailbox, patient) of *pairs*, normalised addresses."""
    connection.execute(
        insert(patient_letter),
        [
            {
                "message_id": message_id,
                "mailbox_key": mailbox_key,
                "patient_key": patient_key,
                "internet_message_id": internet_message_id,
                "may_be_answered": may_be_answered,
            }
            for mailbox_key, patient_key in sorted(pairs)
        ],
    )


def close_letters(connection: Connection, pairs: Pairs) -> None:
    """Take the answer to every letter of these (mailbox, patient) away."""
    both = tuple_(patient_letter.c.mailbox_key, patient_letter.c.patient_key)
    connection.execute(
        update(patient_letter).where(both.in_(sorted(pairs))).values(may_be_answered=False)
    )


def find_letters(
    connection: Connection, *, mailbox_key: str, patient_key: str
) -> list[PatientLetter]:
    """List the letters of one mailbox to one patient."""
    rows = connection.execute(
        select(patient_letter.c.internet_message_id, patient_letter.c.may_be_answered).where(
            patient_letter.c.mailbox_key == mailbox_key,
            patient_letter.c.patient_key == patient_key,
        )
    )
    return [PatientLetter(internet_message_id=row[0], may_be_answered=bool(row[1])) for row in rows]
