"""Give each person, situation, structure and mailbox a number that every generation keeps."""

import hashlib
from typing import Final

from directory.identifiers import NationalPersonId
from directory.model import PracticeRole

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


def stable_number(*parts: str) -> int:
    """Return 63 bits of a digest of what names a thing, never 0.

    Among ten million situations, two share a number with a probability of one in 180,000.
    """
    digest = hashlib.blake2b("\x1f".join(parts).encode("utf-8", "replace"), digest_size=8).digest()
    return (int.from_bytes(digest) >> 1) or 1


def role_number(person: int, role: PracticeRole) -> int:
    """Return the number of a situation d'exercice: of everything that it says."""
    codes = (role.profession, role.category, role.mode, role.activity, role.function, role.section)
    place = role.organization.key if role.organization is not None else ""
    return stable_number("role", str(person), place, *(c.code if c else "" for c in codes))


def organization_number(key: str) -> int:
    """Return the number of a structure."""
    return stable_number("organization", key)


def mailbox_number(address_key: str, person: int | None, organization_key: str | None) -> int:
    """Return the number of a mailbox on its carrier: an address can hang on several."""
    return stable_number("mailbox", address_key, str(person or ""), organization_key or "")
