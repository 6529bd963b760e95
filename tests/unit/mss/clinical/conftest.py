from datetime import datetime, timedelta, timezone
from uuid import UUID

import pytest

from mss.clinical.sample import Letter, discharge_letter

AT = datetime(2026, 3, 12, 14, 30, tzinfo=timezone(timedelta(hours=1)))
LETTER_ID = UUID("3f1c8a52-6c1d-4b6f-9b0e-0a4d9c1e7f55")


@pytest.fixture(scope="session")
def letter() -> Letter:
    """The sample discharge letter, written once."""
    return discharge_letter(at=AT, letter_id=LETTER_ID)
