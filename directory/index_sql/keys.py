"""Say by which numbers rows are known; see `directory/numbers.py`."""

from directory.numbers import (
    mailbox_number,
    organization_number,
    practitioner_number,
    role_number,
    stable_number,
)

__all__ = [
    "mailbox_number",
    "organization_number",
    "practitioner_number",
    "role_number",
    "stable_number",
]
