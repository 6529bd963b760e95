"""Write the professionals, devices and structures of a letter, completed from the directory.

What the request says wins over what the directory says, field by field.

Errors
    None: remarks go to the notes.
Sources
    ANS, CI-SIS, volet Structuration minimale; JDV_J01 (professions), JDV_J02 (kinds of facility),
    JDV_J04 (practice settings).
"""

from dataclasses import replace
from typing import Final

from directory.errors import IdentifierSyntaxError
from directory.identifiers import (
    ADELI,
    FINESS,
    RPPS,
    SIRET,
    NationalPersonId,
    NationalStructureId,
)
from mss.clinical import vocabulary
from mss.clinical.draft import OrganizationDraft, PersonDraft
from mss.clinical.draft_codes import read_code
from mss.clinical.draft_contacts import read_address, read_telecoms
from mss.clinical.draft_known import (
    SPECIALTY_OID,
    Known,
    Workplace,
    known_workplace,
    setting_of,
)
from mss.clinical.draft_notes import Notes
from mss.clinical.draft_times import read_instant
from mss.clinical.people import (
    ORGANIZATION_OID,
    PERSON_OID,
    Actor,
    Code,
    Device,
    Identifier,
    Organization,
    PersonName,
)

_NUMBER_KINDS: Final = {"rpps": RPPS, "adeli": ADELI}


def number_of(draft: PersonDraft) -> str:
    """Say the national number of a professional with its first digit; empty if none is given."""
    if draft.national_id.strip():
        return draft.national_id.strip()
    if draft.rpps.strip():
        return f"8{''.join(draft.rpps.split())}"
    return f"0{''.join(draft.adeli.split())}" if draft.adeli.strip() else ""


def structure_number_of(draft: OrganizationDraft) -> str:
    """Say the national number of a structure with its first digit; empty if none is given."""
    if draft.national_id.strip():
        return draft.national_id.strip()
    if draft.finess.strip():
        return f"1{''.join(draft.finess.split()).upper()}"
    return f"3{''.join(draft.siret.split())}" if draft.siret.strip() else ""


def read_person(draft: PersonDraft, *, known: Known, notes: Notes, where: str) -> Actor:
    """Write a professional or a device."""
    if draft.software.strip():
        return _device(draft, known=known, notes=notes, where=where)
    number = _person_number(draft, notes, where)
    found = known.find_person(number)
    base = known.actor(found) if found else Actor()
    name = _name(draft, base.name)
    if name is None and not (draft.family.strip() or draft.given.strip()):
        notes.add("letter-person-unknown", where)
    elif name is None:
        notes.add("letter-field-missing", f"{where}/family")
    workplace = read_workplace(draft, known=known, notes=notes, where=where)
    telecoms = read_telecoms(
        (("phone", draft.phone, "WP"), ("email", draft.email, "WP")), notes=notes, where=where
    )
    return replace(
        base,
        id=Identifier(PERSON_OID, number) if number else base.id,
        name=name,
        role=read_code(draft.function, notes=notes, where=f"{where}/function"),
        specialty=_specialty(draft, base, notes, where),
        telecoms=telecoms or base.telecoms,
        address=read_address(draft.address) or base.address,
        organization=workplace.organization if workplace else None,
        at=read_instant(draft.at, notes=notes, where=f"{where}/at"),
    )


def read_workplace(
    draft: PersonDraft, *, known: Known, notes: Notes, where: str
) -> Workplace | None:
    """Write where a professional works: as said, else as the directory knows."""
    if draft.organization is not None:
        return read_structure(
            draft.organization, known=known, notes=notes, where=f"{where}/organization"
        )
    found = known.find_person(number_of(draft))
    place = known.workplace_of(found) if found else None
    if place is None and known.structure is not None:
        return known_workplace(known.structure)
    return place


def read_structure(
    draft: OrganizationDraft, *, known: Known, notes: Notes, where: str
) -> Workplace:
    """Write a structure."""
    number = _structure_number(draft, notes, where)
    found = known.structures.get(number)
    base = known_workplace(found) if found else None
    place = base.organization if base else Organization()
    sector = _listed(draft.sector, "facilities", "JDV_J02", notes, f"{where}/sector")
    setting = _listed(
        draft.practice_setting, "practice_settings", "JDV_J04", notes, f"{where}/practice_setting"
    )
    telecoms = read_telecoms((("phone", draft.phone, "WP"),), notes=notes, where=where)
    name = draft.name.strip() or place.name
    if not name:
        notes.add("letter-field-missing", f"{where}/name")
    sector = sector or (base.sector if base else "")
    return Workplace(
        organization=replace(
            place,
            name=name,
            id=Identifier(ORGANIZATION_OID, number) if number else place.id,
            telecoms=telecoms or place.telecoms,
            address=read_address(draft.address) or place.address,
        ),
        sector=sector,
        setting=setting or setting_of(sector),
    )


def _device(draft: PersonDraft, *, known: Known, notes: Notes, where: str) -> Actor:
    number = notes.require(draft.national_id, f"{where}/national_id")
    workplace = read_workplace(draft, known=known, notes=notes, where=where)
    return Actor(
        id=Identifier(PERSON_OID, number),
        device=Device(
            software=draft.software.strip(),
            model=notes.require(draft.model, f"{where}/model"),
        ),
        role=read_code(draft.function, notes=notes, where=f"{where}/function"),
        organization=workplace.organization if workplace else None,
        at=read_instant(draft.at, notes=notes, where=f"{where}/at"),
    )


def _person_number(draft: PersonDraft, notes: Notes, where: str) -> str:
    for name, kind in _NUMBER_KINDS.items():
        text = "".join(getattr(draft, name).split())
        if text:
            try:
                kind.parse(text)
            except IdentifierSyntaxError:
                notes.add("letter-number-shape", f"{where}/{name}", name=kind.kind)
                return ""
    number = number_of(draft)
    if not number:
        return ""
    field = next(
        (one for one in ("national_id", "rpps", "adeli") if getattr(draft, one).strip()), ""
    )
    try:
        parsed = NationalPersonId.parse(number)
    except IdentifierSyntaxError:
        notes.add("letter-number-shape", f"{where}/{field}", name="PS_IdNat")
        return ""
    if not parsed.is_checked:
        notes.add("letter-number-key", f"{where}/{field}")
    return str(parsed)


def _structure_number(draft: OrganizationDraft, notes: Notes, where: str) -> str:
    number = structure_number_of(draft)
    if not number:
        notes.add("letter-structure-missing", where)
        return ""
    field = next(
        (one for one in ("national_id", "finess", "siret") if getattr(draft, one).strip()), ""
    )
    kind = {"finess": FINESS.kind, "siret": SIRET.kind}.get(field, "Struct_IdNat")
    try:
        parsed = NationalStructureId.parse(number)
    except IdentifierSyntaxError:
        notes.add("letter-number-shape", f"{where}/{field}", name=kind)
        return ""
    if not parsed.is_checked:
        notes.add("letter-number-key", f"{where}/{field}")
    return str(parsed)


def _name(draft: PersonDraft, base: PersonName | None) -> PersonName | None:
    family = draft.family.strip() or (base.family if base else "")
    if not family:
        return None
    base = base or PersonName(family="")
    return PersonName(
        family=family,
        given=draft.given.strip() or base.given,
        prefix=draft.title.strip() or base.prefix,
        suffix=draft.suffix.strip() or base.suffix,
    )


def _specialty(draft: PersonDraft, base: Actor, notes: Notes, where: str) -> Code | None:
    if draft.specialty is None:
        return base.specialty
    system = draft.specialty.system or SPECIALTY_OID
    found = vocabulary.find_specialty(draft.specialty.code, system)
    if found is None:
        notes.add("letter-code-unknown", f"{where}/specialty/code", name="JDV_J01")
    return found


def _listed(value: str, value_set: str, name: str, notes: Notes, where: str) -> str:
    text = value.strip()
    if text and text not in vocabulary.codes(value_set):
        notes.add("letter-code-unknown", where, name=name)
        return ""
    return text
