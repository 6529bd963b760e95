"""Read a national identity number (matricule INS) and judge its key.

Thirteen characters (sex, year, month, department with Corsica's 2A and 2B, municipality, order),
then a key of two digits. It is the local part of a patient's address in Mon espace santé.

Errors
    `IdentifierSyntaxError` (shape) and, from `parse_checked`, `IdentifierCheckError`.
Sources
    Référentiel INS; INSEE rule of the key, Corsica included; référentiel #2, ECO.2.2.6.
"""

import re
from typing import Final

from directory.identifiers import Identifier

_BODY: Final = re.compile(r"[1-9]\d{4}(?:\d{2}|2[AB])\d{6}", re.ASCII)
_CORSICA: Final = {"2A": "19", "2B": "18"}


class Matricule(Identifier):
    """Number of a patient: 13 characters and a key."""

    __slots__ = ()
    kind = "INS"
    shape = re.compile(_BODY.pattern + r"\d{2}", re.ASCII)

    @property
    def is_checked(self) -> bool:
        """True if the key is the one computed from the rest."""
        return self[13:] == f"{matricule_key(self[:13]):02d}"


def matricule_key(body: str) -> int | None:
    """Compute the key of thirteen characters: 97 less the number modulo 97.

    Returns:
        A number from 1 to 97, or `None` if the text is not the body of a matricule.
    """
    if _BODY.fullmatch(body) is None:
        return None
    department = body[5:7]
    return 97 - int(body[:5] + _CORSICA.get(department, department) + body[7:]) % 97
