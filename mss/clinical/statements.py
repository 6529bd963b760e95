"""Write the coded statements of a medical summary: diseases, operations, allergies, family.

Each points to the words of the narrative that say the same thing. That there is none of something
is a statement too, with a code of its own.

Shapes
    Functions return the `entry` element as an `OpaqueEntry`, ready to be put into a section.
Errors
    None.
Sources
    ANS, modèles de contenus (FR-Probleme, FR-Acte, FR-Allergie-ou-hypersensibilite,
    FR-Antecedents-familiaux), after the published example VSM_1.4_2022.01; HL7 IPS,
    absent-unknown-uv-ips.
"""

from dataclasses import dataclass
from typing import Final

from lxml import etree
from lxml.etree import _Element

from mss.clinical.cda_values_write import add, write_code, write_time
from mss.clinical.entries import XSI, OpaqueEntry
from mss.clinical.narrative import CDA
from mss.clinical.people import Code
from mss.clinical.times import HL7Time

_SNOMED: Final = "2.16.840.1.113883.6.96"
_ABSENT: Final = "2.16.840.1.113883.5.1150.1"
_DIAGNOSIS: Final = Code("282291009", _SNOMED, "interprétation diagnostique")
_DRUG_ALLERGY: Final = Code("416098002", _SNOMED, "allergie médicamenteuse")

NO_PROBLEMS: Final = Code("no-known-problems", _ABSENT, "Pas de problème connu")
NO_ALLERGIES: Final = Code("no-known-allergies", _ABSENT, "Pas d'allergie/hypersensibilité connue")

_CONCERN: Final = ("2.16.840.1.113883.10.20.1.27", "1.3.6.1.4.1.19376.1.5.3.1.4.5.1")
_PROBLEM_CONCERN: Final = (*_CONCERN, "1.3.6.1.4.1.19376.1.5.3.1.4.5.2", "1.2.250.1.213.1.1.3.39")
_ALLERGY_CONCERN: Final = (*_CONCERN, "1.3.6.1.4.1.19376.1.5.3.1.4.5.3", "1.2.250.1.213.1.1.3.40")
_PROBLEM: Final = (
    "2.16.840.1.113883.10.20.1.28",
    "1.3.6.1.4.1.19376.1.5.3.1.4.5",
    "1.2.250.1.213.1.1.3.37",
)
_ALLERGY: Final = (
    "2.16.840.1.113883.10.20.1.28",
    "2.16.840.1.113883.10.20.1.18",
    "1.3.6.1.4.1.19376.1.5.3.1.4.5",
    "1.3.6.1.4.1.19376.1.5.3.1.4.6",
    "1.2.250.1.213.1.1.3.41",
)
_PROCEDURE: Final = (
    "1.3.6.1.4.1.19376.1.5.3.1.4.19",
    "2.16.840.1.113883.10.20.1.29",
    "1.2.250.1.213.1.1.3.62",
)
_FAMILY: Final = (
    "2.16.840.1.113883.10.20.1.23",
    "1.3.6.1.4.1.19376.1.5.3.1.4.15",
    "1.2.250.1.213.1.1.3.59",
)
_RELATIVE: Final = ("1.3.6.1.4.1.19376.1.5.3.1.4.15.2", "1.2.250.1.213.1.1.3.60")
_FAMILY_PROBLEM: Final = (
    "2.16.840.1.113883.10.20.1.22",
    "1.3.6.1.4.1.19376.1.5.3.1.4.13",
    "1.3.6.1.4.1.19376.1.5.3.1.4.13.3",
    "1.2.250.1.213.1.1.3.51",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One thing that is said of the patient.

    Attributes:
        id: A UUID of its own.
        reference: Id of the words in the narrative.
        code: What it is; without one the words stand for it.
    """

    id: str
    reference: str
    code: Code | None = None
    start: HL7Time | None = None
    stop: HL7Time | None = None


def problem(said: Statement, *, is_active: bool) -> OpaqueEntry:
    """Write a disease, present or past."""
    entry = _entry()
    act = _concern(entry, said, _PROBLEM_CONCERN, is_active=is_active)
    observation = _observation(act, said, _PROBLEM, _DIAGNOSIS)
    _interval(observation, said)
    _value(observation, said)
    return _finish(entry)


def allergy(said: Statement, *, is_absence: bool = False) -> OpaqueEntry:
    """Write what the patient reacts to, or that nothing is known."""
    entry = _entry()
    act = _concern(entry, said, _ALLERGY_CONCERN, is_active=not is_absence)
    observation = _observation(act, said, _ALLERGY, _DRUG_ALLERGY)
    _interval(observation, said)
    _value(observation, said if is_absence else None, reference=said.reference)
    if not is_absence:
        _agent(observation, said)
    return _finish(entry)


def procedure(said: Statement) -> OpaqueEntry:
    """Write an operation that was done."""
    entry = _entry()
    made = add(entry, "procedure", classCode="PROC", moodCode="EVN")
    _open(made, said, _PROCEDURE)
    _coded(made, said)
    _refer(add(made, "text"), said.reference)
    add(made, "statusCode", code="completed")
    if said.start:
        write_time(made, "effectiveTime", said.start)
    else:
        add(made, "effectiveTime", nullFlavor="UNK")
    return _finish(entry)


def family_problem(said: Statement, *, relation: Code, relation_reference: str) -> OpaqueEntry:
    """Write a disease of somebody in the family."""
    entry = _entry()
    organizer = add(entry, "organizer", classCode="CLUSTER", moodCode="EVN")
    _templates(organizer, _FAMILY)
    add(organizer, "statusCode", code="completed")
    subject = add(organizer, "subject", typeCode="SBJ")
    _templates(subject, _RELATIVE)
    related = add(subject, "relatedSubject", classCode="PRS")
    code = write_code(related, "code", relation)
    _refer(add(code, "originalText"), relation_reference)
    component = add(organizer, "component", typeCode="COMP")
    observation = _observation_in(component, said, _FAMILY_PROBLEM, _DIAGNOSIS)
    add(observation, "effectiveTime", nullFlavor="UNK")
    _value(observation, said)
    return _finish(entry)


def _concern(
    entry: _Element, said: Statement, templates: tuple[str, ...], *, is_active: bool
) -> _Element:
    act = add(entry, "act", classCode="ACT", moodCode="EVN")
    _open(act, said, templates)
    add(act, "code", nullFlavor="NA")
    add(act, "statusCode", code="active" if is_active else "completed")
    _interval(act, said, is_closed=not is_active)
    return act


def _observation(
    act: _Element, said: Statement, templates: tuple[str, ...], question: Code
) -> _Element:
    link = add(act, "entryRelationship", typeCode="SUBJ", inversionInd="false")
    return _observation_in(link, said, templates, question)


def _observation_in(
    parent: _Element, said: Statement, templates: tuple[str, ...], question: Code
) -> _Element:
    made = add(parent, "observation", classCode="OBS", moodCode="EVN")
    _open(made, said, templates)
    write_code(made, "code", question)
    _refer(add(made, "text"), said.reference)
    add(made, "statusCode", code="completed")
    return made


def _interval(parent: _Element, said: Statement, *, is_closed: bool = False) -> None:
    made = add(parent, "effectiveTime")
    if said.start:
        write_time(made, "low", said.start)
    else:
        add(made, "low", nullFlavor="UNK")
    if said.stop:
        write_time(made, "high", said.stop)
    elif is_closed:
        add(made, "high", nullFlavor="UNK")


def _value(observation: _Element, said: Statement | None, *, reference: str = "") -> None:
    """Write the answer: a code with the words beside it, or the words alone."""
    made = add(observation, "value")
    made.set(f"{{{XSI}}}type", "CD")
    if said and said.code:
        made.set("code", said.code.code)
        made.set("displayName", said.code.display)
        made.set("codeSystem", said.code.system)
    _refer(add(made, "originalText"), said.reference if said else reference)


def _agent(observation: _Element, said: Statement) -> None:
    participant = add(observation, "participant", typeCode="CSM")
    role = add(participant, "participantRole", classCode="MANU")
    _coded(add(role, "playingEntity", classCode="MMAT"), said)


def _coded(parent: _Element, said: Statement) -> None:
    code = write_code(parent, "code", said.code or Code("", missing="UNK"))
    _refer(add(code, "originalText"), said.reference)


def _open(made: _Element, said: Statement, templates: tuple[str, ...]) -> None:
    _templates(made, templates)
    add(made, "id", root=said.id)


def _templates(made: _Element, templates: tuple[str, ...]) -> None:
    for template in templates:
        add(made, "templateId", root=template)


def _refer(made: _Element, reference: str) -> None:
    add(made, "reference", value=f"#{reference}")


def _entry() -> _Element:
    return etree.Element(f"{{{CDA}}}entry", nsmap={None: CDA, "xsi": XSI})


def _finish(entry: _Element) -> OpaqueEntry:
    return OpaqueEntry(etree.tostring(entry, method="c14n", exclusive=True))
