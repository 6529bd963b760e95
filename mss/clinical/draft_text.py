"""Write the text of a letter: paragraphs, lists, tables, lines of treatment, lists of diseases.

Every line that has a code gets a coded statement beside it, for software; the words are for people
and are there in any case.

Errors
    None: remarks go to the notes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid5

from mss.clinical import vocabulary
from mss.clinical.draft import BlockDraft, FactDraft, ProblemDraft, SectionDraft, TreatmentDraft
from mss.clinical.draft_codes import read_code
from mss.clinical.draft_notes import Notes
from mss.clinical.draft_times import check_order, read_moment
from mss.clinical.entries import Entry, Medication, Observation
from mss.clinical.narrative import Anchor, Block, ItemList, Paragraph, Section, Table
from mss.clinical.people import Code
from mss.clinical.statements import Statement
from mss.clinical.times import HL7Time

SIMPLE_OBSERVATION: Final = ("1.3.6.1.4.1.19376.1.5.3.1.4.13", "1.2.250.1.213.1.1.3.48")
_NUMBER: Final = re.compile(r"\d{1,9}(?:[.,]\d{1,6})?", re.ASCII)
_MAX_DEPTH: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TextWriter:
    """Writes the pieces of one document.

    Attributes:
        identity: From which identifiers of sections and statements derive.
        written: The date of the document, for statements that have none of their own.
    """

    identity: UUID
    written: HL7Time
    notes: Notes

    def unique(self, name: str) -> str:
        """Make an identifier for a part of the document."""
        return str(uuid5(self.identity, name)).upper()

    def section(
        self,
        name: str,
        blocks: Sequence[Block] = (),
        *,
        entries: Sequence[Entry] = (),
        sections: Sequence[Section] = (),
    ) -> Section:
        """Write a section that the national lists know."""
        model = vocabulary.section(name)
        return Section(
            title=model.title,
            blocks=tuple(blocks),
            code=model.code,
            templates=model.templates,
            id=self.unique(f"section:{name}"),
            entries=tuple(entries),
            sections=tuple(sections),
        )

    def free_section(self, draft: SectionDraft, where: str, depth: int = 0) -> Section:
        """Write a section that the request describes."""
        self.notes.require(draft.title, f"{where}/title")
        if depth >= _MAX_DEPTH:
            self.notes.add("letter-block", f"{where}/sections")
            return Section(title=draft.title)
        facts = [
            self._fact(one, f"{where}/facts/{number}", f"{where}:fact{number}")
            for number, one in enumerate(draft.facts)
        ]
        blocks = self.blocks(draft.blocks, f"{where}/blocks")
        if facts:
            rows = tuple((one.code.display or one.code.code, _answer(one)) for one in facts)
            blocks = (*blocks, Table(rows=rows))
        return Section(
            title=draft.title.strip(),
            blocks=blocks,
            code=read_code(draft.code, notes=self.notes, where=f"{where}/code"),
            templates=draft.templates,
            id=self.unique(where),
            entries=tuple(facts),
            sections=tuple(
                self.free_section(one, f"{where}/sections/{number}", depth + 1)
                for number, one in enumerate(draft.sections)
            ),
        )

    def blocks(self, drafts: Sequence[BlockDraft], where: str) -> tuple[Block, ...]:
        """Write paragraphs, lists and tables."""
        found = (self._block(one, f"{where}/{number}") for number, one in enumerate(drafts))
        return tuple(one for one in found if one is not None)

    def treatments(
        self, drafts: Sequence[TreatmentDraft], where: str, *, name: str
    ) -> tuple[tuple[Block, ...], tuple[Entry, ...]]:
        """Write lines of treatment as a table, and as statements where they are coded."""
        rows, entries = [], []
        for number, draft in enumerate(drafts):
            line, pointer = f"{name}-{number + 1}", f"{where}/{number}"
            start, stop = self._period(draft.start, draft.stop, pointer)
            self.notes.require(draft.name, f"{pointer}/name")
            rows.append(
                (
                    Anchor(draft.name.strip(), line),
                    draft.dosage,
                    draft.route,
                    _day(start),
                    _day(stop),
                    draft.comment,
                )
            )
            entries.append(self._medication(draft, line, start, stop, pointer))
        head = ("Médicament", "Posologie", "Voie", "Début", "Fin", "Commentaire")
        return (Table(head=head, rows=tuple(rows)),), tuple(entries)

    def statement(self, draft: ProblemDraft, line: str, where: str) -> Statement:
        """Read a disease, an operation or an allergy."""
        start, stop = self._period(draft.start, draft.stop, where)
        self.notes.require(draft.name, f"{where}/name")
        if draft.code is None:
            self.notes.add("letter-coded-missing", f"{where}/code")
        return Statement(
            id=self.unique(line),
            reference=line,
            code=read_code(draft.code, notes=self.notes, where=f"{where}/code"),
            start=start,
            stop=stop,
        )

    def observation(
        self,
        code: Code,
        reference: str,
        *,
        value: Code | str | bool,
        number: int | None = None,
        at: HL7Time | None = None,
    ) -> Observation:
        """Write a coded question with its answer."""
        more = (f"{SIMPLE_OBSERVATION[1]}.{number}",) if number else ()
        return Observation(
            id=self.unique(f"{reference}:{code.code}"),
            templates=(*SIMPLE_OBSERVATION, *more),
            code=code,
            reference=reference,
            at=at or HL7Time(self.written.text[:8]),
            value=value,
        )

    def _block(self, draft: BlockDraft, where: str) -> Block | None:
        kinds = [bool(draft.text.strip()), bool(draft.items), bool(draft.rows)]
        if sum(kinds) != 1:
            self.notes.add("letter-block", where)
            return None
        if draft.items:
            return ItemList(items=draft.items, is_ordered=draft.is_ordered, caption=draft.caption)
        if draft.rows:
            return Table(rows=draft.rows, head=draft.head, caption=draft.caption)
        return Paragraph(draft.text)

    def _fact(self, draft: FactDraft, where: str, reference: str) -> Observation:
        answers: list[Code | str | bool] = []
        if draft.value is not None:
            read_code(draft.value, notes=self.notes, where=f"{where}/value")
            answers.append(draft.value)
        if draft.text.strip():
            answers.append(draft.text.strip())
        if draft.is_true is not None:
            answers.append(draft.is_true)
        if len(answers) != 1:
            self.notes.add("letter-fact", where)
        read_code(draft.code, notes=self.notes, where=f"{where}/code")
        at = read_moment(draft.at, notes=self.notes, where=f"{where}/at")
        anchor = f"f{uuid5(self.identity, reference).hex}"
        return self.observation(draft.code, anchor, value=answers[0] if answers else "", at=at)

    def _medication(
        self,
        draft: TreatmentDraft,
        line: str,
        start: HL7Time | None,
        stop: HL7Time | None,
        where: str,
    ) -> Medication:
        if draft.product is None and draft.substance is None:
            self.notes.add("letter-coded-missing", where)
        dose = draft.dose.strip().replace(",", ".")
        hours = draft.every_hours
        if (dose and not _NUMBER.fullmatch(dose)) or (hours is not None and hours <= 0):
            self.notes.add("letter-dose", where)
        return Medication(
            id=self.unique(line),
            name=draft.name.strip(),
            reference=line,
            product=read_code(draft.product, notes=self.notes, where=f"{where}/product"),
            substance=read_code(draft.substance, notes=self.notes, where=f"{where}/substance"),
            start=start,
            stop=stop,
            period_hours=hours,
            dose=dose,
            dose_unit=draft.unit.strip() or "1",
        )

    def _period(self, start: str, stop: str, where: str) -> tuple[HL7Time | None, HL7Time | None]:
        first = read_moment(start, notes=self.notes, where=f"{where}/start")
        last = read_moment(stop, notes=self.notes, where=f"{where}/stop")
        check_order(first, last, notes=self.notes, where=f"{where}/stop")
        return first, last


def period_text(said: Statement) -> str:
    """Write when something was, for people."""
    if said.start and said.stop:
        return f"{_day(said.start)} - {_day(said.stop)}"
    return _day(said.start or said.stop)


def _answer(fact: Observation) -> Anchor:
    value = fact.value
    if isinstance(value, Code):
        text = value.display or value.code
    elif isinstance(value, bool):
        text = "Oui" if value else "Non"
    else:
        text = value
    return Anchor(text, fact.reference)


def _day(time: HL7Time | None) -> str:
    if time is None:
        return ""
    return f"{time.text[6:8]}/{time.text[4:6]}/{time.text[:4]}"
