"""Which texts of a letter are longer than the metadata of an archive can hold?

A value there has 256 characters at most, and holds several texts of a person beside numbers and
OIDs; so each text has a limit of its own, well above what the national directories hold.

Errors
    None: remarks go to `Notes`.
Sources
    OASIS ebRIM 3.0 (LongName); ANS, volet Échange de documents de santé (sourcePatientInfo).
"""

from collections.abc import Iterator
from typing import Final

from mss.clinical.draft import LetterDraft, OrganizationDraft, PatientDraft, PersonDraft
from mss.clinical.draft_notes import Notes

_NAME: Final = 70
_GIVEN_NAMES: Final = 100
_ORGANIZATION: Final = 150
_LIMITS: Final = {
    PatientDraft: {
        "birth_name": _NAME,
        "given_names": _GIVEN_NAMES,
        "first_given": _NAME,
        "used_name": _NAME,
        "used_given": _NAME,
    },
    PersonDraft: {"family": _NAME, "given": _NAME, "software": _NAME, "model": _NAME},
    OrganizationDraft: {"name": _ORGANIZATION},
}


def check_lengths(draft: LetterDraft, notes: Notes) -> None:
    """Remark each text that is too long to be announced, and how long it may be."""
    for holder, where in _holders(draft):
        for name, limit in _LIMITS[type(holder)].items():
            if len(getattr(holder, name)) > limit:
                notes.add("letter-too-long", f"{where}/{name}", name=str(limit))


def _holders(
    draft: LetterDraft,
) -> Iterator[tuple[PatientDraft | PersonDraft | OrganizationDraft, str]]:
    if draft.patient is not None:
        yield draft.patient, "/patient"
    for number, document in enumerate(draft.documents):
        where = f"/documents/{number}"
        for author, person in enumerate(document.authors):
            yield from _person(person, f"{where}/authors/{author}")
        if document.legal_authenticator is not None:
            yield from _person(document.legal_authenticator, f"{where}/legal_authenticator")


def _person(
    person: PersonDraft, where: str
) -> Iterator[tuple[PersonDraft | OrganizationDraft, str]]:
    yield person, where
    if person.organization is not None:
        yield person.organization, f"{where}/organization"
