"""Versions of one discharge letter, and mails that carry them."""

import re
from datetime import UTC, datetime
from uuid import UUID

from mss.clinical.metadata import Action
from mss.clinical.xdm import OutgoingDocument, build_archive
from tests.support.operators import compose, the_letter

_SET = UUID("7d0d2f1c-3c55-4a52-9a44-3a1f4c1b6a10")
_AT = datetime(2026, 3, 12, 14, 30, tzinfo=UTC)


def unique_id(version: int) -> str:
    """The identifier that a version bears."""
    return f"{set_id()}.{version}"


def set_id() -> str:
    """What all versions have in common."""
    found = re.search(rb'<setId root="([\d.]+)"', the_letter().cda)
    assert found
    return found[1].decode()


def a_version(version: int, *, replaces: int | None = None, matricule: str | None = None) -> bytes:
    """Write a version; of another patient, if one is given."""
    cda = the_letter().cda
    cda = cda.replace(
        f'<id root="{unique_id(1)}"'.encode(), f'<id root="{unique_id(version)}"'.encode()
    )
    cda = cda.replace(b'<versionNumber value="1"', f'<versionNumber value="{version}"'.encode())
    if replaces is not None:
        parent = (
            '<relatedDocument typeCode="RPLC"><parentDocument>'
            f'<id root="{unique_id(replaces)}"/></parentDocument></relatedDocument><componentOf'
        )
        cda = cda.replace(b"<componentOf", parent.encode(), 1)
    if matricule is not None:
        cda = cda.replace(b"254057511404292", matricule.encode())
    return cda


def a_mail(author: str, to: str, *documents: bytes, action: Action | None = None) -> bytes:
    """Write a mail with documents in an archive."""
    archive = build_archive(
        [OutgoingDocument(octets=one, action=action) for one in documents],
        set_uuid=_SET,
        at=_AT,
    )
    return compose(author, to, archive=archive, with_pdf=False)
