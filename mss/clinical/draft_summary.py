"""Write the body of a medical summary (VSM) from what a practice's software knows.

Errors
    None: remarks go to the notes.
Sources
    Arrangement of the sections after ANS, VSM 1.4 (2022.01); content: HAS, synthèse médicale.
"""

from collections.abc import Callable, Sequence
from typing import Final

from mss.clinical import statements
from mss.clinical.draft import BlockDraft, ProblemDraft, SummaryDraft
from mss.clinical.draft_text import TextWriter, period_text
from mss.clinical.entries import Entry
from mss.clinical.narrative import Anchor, Block, ItemList, Paragraph, Section, Table
from mss.clinical.people import Code, Identifier
from mss.clinical.statements import Statement

TYPE: Final = "SYNTH"
TEMPLATE: Final = Identifier("1.2.250.1.213.1.1.1.13", "201310")
_UNSAID: Final = "Non renseigné."
_RELATIVE: Final = Code("FAMMEMB", "2.16.840.1.113883.5.111", "Membre de la famille")


def summary_sections(draft: SummaryDraft, *, write: TextWriter, where: str) -> tuple[Section, ...]:
    """Write the sections of a medical summary."""
    return (
        write.section(
            "conclusions",
            sections=(_history(draft, write, where), _risks(draft, write, where)),
        ),
        write.section("watch-points", [_points(draft.watch_points)]),
        write.section("long-term", sections=(_treatments(draft, write, where),)),
    )


def allergies_section(drafts: Sequence[ProblemDraft], *, write: TextWriter, where: str) -> Section:
    """Write what the patient reacts to, or that nothing is known."""
    if not drafts:
        said = Statement(
            id=write.unique("no-allergy"), reference="no-allergy", code=statements.NO_ALLERGIES
        )
        return write.section(
            "allergies",
            [Paragraph(Anchor("Aucune allergie ni hypersensibilité connue.", "no-allergy"))],
            entries=[statements.allergy(said, is_absence=True)],
        )
    blocks, entries = _table(
        drafts, write, where, head="Agent responsable", name="allergie", make=statements.allergy
    )
    return write.section("allergies", blocks, entries=entries)


def _history(draft: SummaryDraft, write: TextWriter, where: str) -> Section:
    for field in ("problems", "history", "allergies"):
        if getattr(draft, field) is None:
            write.notes.add("letter-text-missing", f"{where}/{field}")
    return write.section(
        "history",
        sections=(
            _problems(draft.problems or (), write, f"{where}/problems", is_active=True),
            _problems(draft.history or (), write, f"{where}/history", is_active=False),
            _procedures(draft.procedures, write, f"{where}/procedures"),
            allergies_section(draft.allergies or (), write=write, where=f"{where}/allergies"),
        ),
    )


def _problems(
    drafts: Sequence[ProblemDraft], write: TextWriter, where: str, *, is_active: bool
) -> Section:
    name = "active-problems" if is_active else "past-problems"
    if not drafts:
        words = "Aucune pathologie en cours." if is_active else "Aucun antécédent médical connu."
        said = Statement(id=write.unique(name), reference=name, code=statements.NO_PROBLEMS)
        return write.section(
            name,
            [Paragraph(Anchor(words, name))],
            entries=[statements.problem(said, is_active=False)],
        )
    head = "Pathologie en cours" if is_active else "Antécédent médical"
    blocks, entries = _table(
        drafts,
        write,
        where,
        head=head,
        name=name,
        make=lambda said: statements.problem(said, is_active=is_active),
    )
    return write.section(name, blocks, entries=entries)


def _procedures(drafts: Sequence[ProblemDraft], write: TextWriter, where: str) -> Section:
    if not drafts:
        return write.section("procedures", [Paragraph("Aucun antécédent chirurgical connu.")])
    blocks, entries = _table(
        drafts, write, where, head="Acte", name="acte", make=statements.procedure
    )
    return write.section("procedures", blocks, entries=entries)


def _table(
    drafts: Sequence[ProblemDraft],
    write: TextWriter,
    where: str,
    *,
    head: str,
    name: str,
    make: Callable[[Statement], Entry],
) -> tuple[list[Block], list[Entry]]:
    """Write diseases, operations or allergies as a table, and as statements."""
    rows, entries = [], []
    for number, draft in enumerate(drafts):
        line = f"{name}-{number + 1}"
        said = write.statement(draft, line, f"{where}/{number}")
        rows.append((period_text(said), Anchor(draft.name.strip(), line), draft.comment))
        entries.append(make(said))
    return [Table(head=("Date", head, "Commentaire"), rows=tuple(rows))], entries


def _risks(draft: SummaryDraft, write: TextWriter, where: str) -> Section:
    return write.section(
        "risk-factors",
        sections=(
            write.section("lifestyle", _blocks(draft.lifestyle, write, f"{where}/lifestyle")),
            write.section(
                "occupational-risks", _blocks(draft.occupational, write, f"{where}/occupational")
            ),
            _family(draft.family, write, f"{where}/family"),
        ),
    )


def _family(drafts: Sequence[ProblemDraft], write: TextWriter, where: str) -> Section:
    if not drafts:
        return write.section("family-history", [Paragraph(_UNSAID)])
    rows, entries = [], []
    for number, draft in enumerate(drafts):
        line = f"famille-{number + 1}"
        said = write.statement(draft, line, f"{where}/{number}")
        relation = draft.relation or _RELATIVE
        who = Anchor(relation.display or relation.code, f"{line}-qui")
        rows.append((who, Anchor(draft.name.strip(), line), draft.comment))
        entries.append(
            statements.family_problem(said, relation=relation, relation_reference=who.id)
        )
    head = ("Lien de parenté", "Antécédent", "Commentaire")
    return write.section("family-history", [Table(head=head, rows=tuple(rows))], entries=entries)


def _points(points: Sequence[str]) -> Block:
    return ItemList(items=tuple(points)) if points else Paragraph("Aucun.")


def _treatments(draft: SummaryDraft, write: TextWriter, where: str) -> Section:
    pointer = f"{where}/treatments"
    if draft.treatments is None:
        write.notes.add("letter-text-missing", pointer)
    if not draft.treatments:
        return write.section("long-term-treatments", [Paragraph("Aucun traitement au long cours.")])
    blocks, entries = write.treatments(draft.treatments, pointer, name="med")
    return write.section("long-term-treatments", blocks, entries=entries)


def _blocks(drafts: Sequence[BlockDraft], write: TextWriter, where: str) -> tuple[Block, ...]:
    return write.blocks(drafts, where) or (Paragraph(_UNSAID),)
