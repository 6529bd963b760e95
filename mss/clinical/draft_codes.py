"""Read the codes of a letter: a code without its system means nothing to anyone.

Errors
    None: remarks go to the notes.
"""

from collections.abc import Iterable

from mss.clinical.draft_notes import Notes
from mss.clinical.people import Code, Identifier, is_oid


def read_code(code: Code | None, *, notes: Notes, where: str) -> Code | None:
    """Check a code: it has a value, and an OID for its system."""
    if code is None:
        return None
    if not code.code.strip():
        notes.add("letter-field-missing", f"{where}/code")
    elif code.code.split() != [code.code]:
        notes.add("letter-code-blank", f"{where}/code")
    if not is_oid(code.system):
        notes.add("letter-code-system", f"{where}/system")
    return code


def read_codes(codes: Iterable[Code], *, notes: Notes, where: str) -> tuple[Code, ...]:
    """Check several codes."""
    found = (
        read_code(one, notes=notes, where=f"{where}/{number}") for number, one in enumerate(codes)
    )
    return tuple(one for one in found if one)


def read_identifiers(
    identifiers: Iterable[Identifier], *, notes: Notes, where: str
) -> tuple[Identifier, ...]:
    """Check identifiers: each has an OID for its root."""
    found = tuple(identifiers)
    for number, one in enumerate(found):
        read_identifier(one, notes=notes, where=f"{where}/{number}")
    return found


def read_identifier(identifier: Identifier, *, notes: Notes, where: str) -> Identifier:
    """Check one identifier."""
    if not is_oid(identifier.root):
        notes.add("letter-oid", f"{where}/root")
    return identifier


def parse_identifier(text: str) -> Identifier | None:
    """Read `root` or `root^extension`."""
    root, _, extension = text.strip().partition("^")
    return Identifier(root, extension or None) if is_oid(root) else None
