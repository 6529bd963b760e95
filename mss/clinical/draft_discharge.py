"""Write the body of a discharge letter (LDL-SES) from what the hospital's software knows.

Shapes
    `discharge_sections` gives the sections of the national model; a section that nothing is said
    in is left out unless the model wants it.
Errors
    None: remarks go to the notes.
Sources
    Code de la santé publique, R. 1112-1-2; ANS, LDL-SES 2022.01.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mss.clinical.draft import DischargeDraft
from mss.clinical.draft_codes import read_code
from mss.clinical.draft_summary import allergies_section
from mss.clinical.draft_text import TextWriter
from mss.clinical.entries import Entry
from mss.clinical.narrative import Anchor, Paragraph, Section, Table
from mss.clinical.people import Code, Identifier

TYPE: Final = "11490-0"
TEMPLATE: Final = Identifier("1.2.250.1.213.1.1.1.29", "2022.01")
_CISIS: Final = "1.2.250.1.213.1.1.4.322"
_APPROVED: Final = Code("9571008", "2.16.840.1.113883.6.96", "approuvé")
_NONE: Final = "Aucun"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fact:
    """One line on the stay: its code, its number in the national model, words and value."""

    code: str
    label: str
    number: int
    words: str
    value: Code | str | bool


def discharge_sections(
    draft: DischargeDraft, *, write: TextWriter, where: str
) -> tuple[Section, ...]:
    """Write the sections of a discharge letter."""
    return tuple(_sections(draft, write, where))


def _sections(draft: DischargeDraft, write: TextWriter, where: str) -> Iterator[Section]:
    yield _status(write)
    reason = _required(write, draft.reason, f"{where}/reason")
    yield write.section("reason", [Paragraph(reason)])
    yield _stay(draft, write, where)
    if draft.stopped:
        blocks, entries = write.treatments(draft.stopped, f"{where}/stopped", name="stop")
        yield write.section("treatments-given", blocks, entries=entries)
    yield _treatments(draft, write, where)
    for name, field, blocks_ in (
        ("results", "results", draft.results),
        ("follow-up", "follow_up", draft.follow_up),
        ("devices", "devices", draft.devices),
    ):
        if blocks_:
            yield write.section(name, write.blocks(blocks_, f"{where}/{field}"))
    if draft.allergies is not None:
        yield allergies_section(draft.allergies, write=write, where=f"{where}/allergies")


def _status(write: TextWriter) -> Section:
    status = write.observation(
        Code("GEN-065", _CISIS, "Statut du document"), "statut", value=_APPROVED, number=16
    )
    return write.section(
        "status", [Table(rows=(("Statut du document", Anchor("Validé", "statut")),))],
        entries=(status,),
    )  # fmt: skip


def _stay(draft: DischargeDraft, write: TextWriter, where: str) -> Section:
    facts = tuple(_facts(draft, write, where))
    rows = tuple((fact.label, Anchor(fact.words, fact.code.lower())) for fact in facts)
    entries: list[Entry] = [
        write.observation(
            Code(fact.code, _CISIS, fact.label),
            fact.code.lower(),
            value=fact.value,
            number=fact.number,
        )
        for fact in facts
    ]
    return write.section("stay", [Table(rows=rows)], entries=entries)


def _facts(draft: DischargeDraft, write: TextWriter, where: str) -> Iterator[_Fact]:
    if draft.admission or draft.admission_text.strip():
        yield _way("ORG-070", "Modalité d'entrée", 6, draft, write, where)
    yield _way("ORG-074", "Modalité de sortie", 7, draft, write, where)
    summary = _required(write, draft.summary, f"{where}/summary")
    yield _said("MED-142", "Synthèse médicale", 9, summary)
    if draft.adverse_events.strip():
        label = "Evènements indésirables survenus pendant l'hospitalisation"
        yield _said("MED-143", label, 3, draft.adverse_events.strip())
    label = "Recherche de microorganismes multi-résistants ou émergents effectuée"
    yield _asked(
        "MED-309",
        label,
        8,
        answer=draft.looked_for_bacteria,
        write=write,
        where=f"{where}/looked_for_bacteria",
    )
    if draft.looked_for_bacteria:
        label = "Identification de micro-organismes multirésistants"
        yield _said("MED-144", label, 5, draft.bacteria.strip() or _NONE)
    label = "Transfusion de produits sanguins"
    yield _asked(
        "MED-145", label, 10, answer=draft.transfused, write=write, where=f"{where}/transfused"
    )
    if draft.transfused:
        events = draft.transfusion_events.strip() or _NONE
        yield _said("MED-146", "Accidents transfusionnels", 1, events)
    label = "Administration de dérivés du sang"
    yield _asked(
        "MED-147",
        label,
        2,
        answer=draft.blood_products,
        write=write,
        where=f"{where}/blood_products",
    )
    if draft.blood_products:
        label = "Evènements indésirables suite à l'administration de dérivés du sang"
        yield _said("MED-148", label, 4, draft.blood_product_events.strip() or _NONE)


def _way(
    code: str, label: str, number: int, draft: DischargeDraft, write: TextWriter, where: str
) -> _Fact:
    """Say how the patient came or left: by a code, else in words."""
    field = "admission" if code == "ORG-070" else "discharge"
    coded: Code | None = getattr(draft, field)
    words: str = getattr(draft, f"{field}_text").strip()
    read_code(coded, notes=write.notes, where=f"{where}/{field}")
    if coded is None and not words:
        write.notes.add("letter-text-missing", f"{where}/{field}")
    shown = words or (coded.display or coded.code if coded else "")
    return _Fact(code=code, label=label, number=number, words=shown, value=coded or shown)


def _said(code: str, label: str, number: int, words: str) -> _Fact:
    return _Fact(code=code, label=label, number=number, words=words, value=words)


def _asked(
    code: str,
    label: str,
    number: int,
    *,
    answer: bool | None,
    write: TextWriter,
    where: str,
) -> _Fact:
    if answer is None:
        write.notes.add("letter-text-missing", where)
    words = "Oui" if answer else "Non"
    return _Fact(code=code, label=label, number=number, words=words, value=bool(answer))


def _treatments(draft: DischargeDraft, write: TextWriter, where: str) -> Section:
    pointer = f"{where}/treatments"
    if draft.treatments is None:
        write.notes.add("letter-text-missing", pointer)
    if not draft.treatments:
        return write.section("treatments-at-discharge", [Paragraph("Aucun traitement.")])
    blocks, entries = write.treatments(draft.treatments, pointer, name="med")
    return write.section("treatments-at-discharge", blocks, entries=entries)


def _required(write: TextWriter, text: str, where: str) -> str:
    if not text.strip():
        write.notes.add("letter-text-missing", where)
    return text.strip()
