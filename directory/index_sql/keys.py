"""Give each person a number that is the same in every generation."""

import hashlib
from typing import Final

from directory.identifiers import NationalPersonId

_NOT_RPPS: Final = 1 << 62


def practitioner_number(national_id: NationalPersonId) -> int:
    """Return the number of a person: the RPPS itself, else 62 bits of a digest with a mark.

    With a million people outside the RPPS, two of them would share a number with a probability of
    one in ten million; the RPPS takes all professions in, so there are ever fewer.
    """
    rpps = national_id.rpps
    if rpps is not None:
        return int(rpps)
    digest = hashlib.blake2b(national_id.encode(), digest_size=8).digest()
    return _NOT_RPPS | int.from_bytes(digest) >> 2
