"""Write the patient of a letter from what a practice knows, and say what is missing or wrong.

Errors
    None: remarks go to the notes.
Sources
    Référentiel INS; ANS, CI-SIS, volet Structuration minimale (what an INS must come with).
"""

import re
from datetime import datetime
from typing import Final

from directory.matricule import matricule_key
from mss.clinical.document import Informant
from mss.clinical.draft import PatientDraft, RelativeDraft
from mss.clinical.draft_contacts import read_address, read_telecoms
from mss.clinical.draft_notes import Notes
from mss.clinical.draft_times import check_past, read_moment
from mss.clinical.patient import (
    INS,
    Guardian,
    INSAuthority,
    Patient,
    Traits,
    contradicting_traits,
)
from mss.clinical.people import Actor, Identifier, PersonName, is_oid

SEXES: Final = ("M", "F", "UN")
_RELATIVES: Final = {"emergency": "ECON", "trusted": "NOK", "guardian": ""}
_BIRTH_PLACE: Final = re.compile(r"(?:\d{5}|2[AB]\d{3})", re.ASCII)


def read_patient(
    draft: PatientDraft, *, is_production: bool, at: datetime, notes: Notes, where: str = "/patient"
) -> Patient:
    """Write the patient: identifiers, traits, how to reach them, and who represents them."""
    ins = _ins(draft, is_production=is_production, notes=notes, where=where)
    locals_ = tuple(
        one
        for number, one in enumerate(draft.local_ids)
        if _is_local(one, notes, f"{where}/local_ids/{number}")
    )
    if not draft.ins.strip() and not draft.local_ids:
        notes.add("letter-patient-unidentified", where)
    traits = _traits(draft, at=at, has_ins=ins is not None, notes=notes, where=where)
    if ins is not None and contradicting_traits(ins, traits):
        notes.add("letter-ins-traits", f"{where}/ins")
    address = read_address(draft.address)
    return Patient(
        identifiers=(*((ins.identifier,) if ins else ()), *locals_),
        traits=traits,
        addresses=(address,) if address else (),
        telecoms=read_telecoms(
            (
                ("phone", draft.phone, "H"),
                ("mobile", draft.mobile, "MC"),
                ("email", draft.email, ""),
            ),
            notes=notes,
            where=where,
        ),
        guardians=tuple(
            _guardian(one, notes, f"{where}/relatives/{number}")
            for number, one in enumerate(draft.relatives)
            if one.kind == "guardian"
        ),
    )


def read_informants(
    relatives: tuple[RelativeDraft, ...], *, notes: Notes, where: str = "/patient/relatives"
) -> tuple[Informant, ...]:
    """Write who is to be called and whom the patient trusts."""
    found = []
    for number, one in enumerate(relatives):
        kind = _RELATIVES.get(one.kind)
        if kind is None:
            notes.add("letter-choice", f"{where}/{number}/kind", name=", ".join(_RELATIVES))
        elif kind:
            found.append(_informant(one, kind, notes, f"{where}/{number}"))
    return tuple(found)


def _ins(draft: PatientDraft, *, is_production: bool, notes: Notes, where: str) -> INS | None:
    text = "".join(draft.ins.split()).upper()
    if not text:
        return None
    authority = _authority(
        draft.ins_oid.strip(), is_production=is_production, notes=notes, where=f"{where}/ins_oid"
    )
    key = matricule_key(text[:13])
    if key is None or len(text) not in {13, 15} or (len(text) == 15 and not text[13:].isdigit()):
        notes.add("letter-ins-shape", f"{where}/ins")
        return None
    if authority is None:
        return None
    ins = INS(text if len(text) == 15 else f"{text}{key:02d}", authority)
    if not ins.has_valid_key:
        code = "letter-ins-key" if authority.is_production else "letter-ins-key-test"
        notes.add(code, f"{where}/ins")
    return ins


def _authority(oid: str, *, is_production: bool, notes: Notes, where: str) -> INSAuthority | None:
    if not oid:
        return INSAuthority.NIR if is_production else INSAuthority.NIR_TEST
    try:
        found = INSAuthority(oid)
    except ValueError:
        notes.add("letter-ins-authority", where, name=", ".join(INSAuthority))
        return None
    if found.is_production is not is_production:
        notes.add("letter-ins-world", where)
    return found


def _is_local(identifier: Identifier, notes: Notes, where: str) -> bool:
    if not is_oid(identifier.root):
        notes.add("letter-oid", f"{where}/root")
        return False
    return bool(notes.require(identifier.extension or "", f"{where}/extension"))


def _traits(
    draft: PatientDraft, *, at: datetime, has_ins: bool, notes: Notes, where: str
) -> Traits:
    given = draft.given_names.strip()
    first = draft.first_given.strip() or given.partition(" ")[0]
    sex = _choice(draft.sex, SEXES, notes, f"{where}/sex")
    place = draft.birth_place.strip().upper()
    if place and not _BIRTH_PLACE.fullmatch(place):
        notes.add("letter-birth-place", f"{where}/birth_place")
    born = read_moment(draft.birth_date, notes=notes, where=f"{where}/birth_date")
    check_past(born, at=at, notes=notes, where=f"{where}/birth_date")
    _require_traits(draft, first=first, has_ins=has_ins, notes=notes, where=where)
    return Traits(
        birth_name=draft.birth_name.strip(),
        first_given=first,
        all_given=given or first,
        used_name=draft.used_name.strip(),
        used_given=draft.used_given.strip(),
        birth_date=born,
        sex=sex,
        birth_place=place,
        birth_city=draft.birth_city.strip(),
    )


def _require_traits(
    draft: PatientDraft, *, first: str, has_ins: bool, notes: Notes, where: str
) -> None:
    """Remark the traits that are missing: a name always, all of them with an INS."""
    if not (draft.birth_name.strip() or draft.used_name.strip()) and not has_ins:
        notes.add("letter-field-missing", f"{where}/birth_name")
    if not has_ins:
        return
    there = {
        "birth_name": draft.birth_name,
        "given_names": first,
        "birth_date": draft.birth_date,
        "birth_place": draft.birth_place,
        "sex": draft.sex,
    }
    for name, text in there.items():
        if not text.strip():
            notes.add("letter-ins-trait-missing", f"{where}/{name}")


def _choice(text: str, allowed: tuple[str, ...], notes: Notes, where: str) -> str:
    value = text.strip().upper()
    if value and value not in allowed:
        notes.add("letter-sex", where, name=", ".join(allowed))
        return ""
    return value


def _guardian(draft: RelativeDraft, notes: Notes, where: str) -> Guardian:
    address = read_address(draft.address)
    return Guardian(
        name=_name(draft, notes, where),
        addresses=(address,) if address else (),
        telecoms=read_telecoms((("phone", draft.phone, "H"),), notes=notes, where=where),
    )


def _informant(draft: RelativeDraft, class_code: str, notes: Notes, where: str) -> Informant:
    return Informant(
        class_code=class_code,
        actor=Actor(
            name=_name(draft, notes, where),
            specialty=draft.relation,
            address=read_address(draft.address),
            telecoms=read_telecoms((("phone", draft.phone, "H"),), notes=notes, where=where),
        ),
    )


def _name(draft: RelativeDraft, notes: Notes, where: str) -> PersonName:
    return PersonName(
        family=notes.require(draft.family, f"{where}/family"),
        given=draft.given.strip(),
        prefix=draft.title.strip(),
    )
