"""Write addresses and numbers of people and structures as documents do.

Errors
    None: remarks go to the notes.
Sources
    ANS, CI-SIS, volet Structuration minimale (prefixes of telecom).
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from mss.clinical.draft_notes import Notes
from mss.clinical.people import Address, Telecom

_PHONE: Final = re.compile(r"\+?[0-9]{2,20}", re.ASCII)
_MAIL: Final = re.compile(r"[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9.-]{1,190}", re.ASCII)
_SPACING: Final = re.compile(r"[ .\-()/\u00a0\u202f]")


def read_telecoms(
    given: Iterable[tuple[str, str, str]], *, notes: Notes, where: str
) -> tuple[Telecom, ...]:
    """Write numbers and mail addresses.

    Args:
        given: Name of the field, what it holds, and the use (`H`, `WP`, `MC`).
        notes: Where to remark what is no number.
        where: Pointer to what the fields belong to.
    """
    found = []
    for field, text, use in given:
        if not text.strip():
            continue
        value = _mail(text) if field == "email" else _phone(text)
        if value:
            found.append(Telecom(value=value, use=use))
        else:
            notes.add("letter-telecom", f"{where}/{field}")
    return tuple(found)


def read_address(address: Address | None) -> Address | None:
    """Take an address as it is; an empty one is none."""
    if address is None or not address.lines:
        return None
    return replace(address, missing="")


def _phone(text: str) -> str:
    digits = _SPACING.sub("", text.strip().removeprefix("tel:"))
    return f"tel:{digits}" if _PHONE.fullmatch(digits) else ""


def _mail(text: str) -> str:
    address = text.strip().removeprefix("mailto:")
    return f"mailto:{address}" if _MAIL.fullmatch(address) else ""
