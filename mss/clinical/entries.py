"""Coded statements inside a section: what software reads, beside what people read.

Shapes
    `Observation` is one question with its answer, `Medication` one line of treatment. Each points
    to the words that say the same thing by the id of an `Anchor` in the narrative.
Errors
    None.
Sources
    HL7 CDA R2; ANS, modèles de contenus (entries FR-Simple-Observation and FR-Traitement), after
    the published example LDL-SES_2022.01.
"""

from dataclasses import dataclass
from typing import ClassVar

from lxml import etree
from lxml.etree import _Element

from mss.clinical.people import Code
from mss.clinical.safe_xml import parse_xml
from mss.clinical.times import HL7Time

CDA = "urn:hl7-org:v3"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
_ACT_CODE = "2.16.840.1.113883.5.4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One coded question and its answer: a code, a text, or yes and no."""

    id: str
    templates: tuple[str, ...]
    code: Code
    reference: str
    at: HL7Time
    value: Code | str | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Medication:
    """One line of treatment, from a day, sometimes to a day, at a rhythm.

    Attributes:
        product: Code of the medicine itself (CIS).
        substance: Code of what it is made of (ATC).
    """

    TEMPLATES: ClassVar = (
        "1.2.250.1.213.1.1.3.42",
        "2.16.840.1.113883.10.20.1.24",
        "1.3.6.1.4.1.19376.1.5.3.1.4.7",
        "1.3.6.1.4.1.19376.1.5.3.1.4.7.1",
    )
    PRODUCT_TEMPLATES: ClassVar = (
        "1.2.250.1.213.1.1.3.43",
        "2.16.840.1.113883.10.20.1.53",
        "1.3.6.1.4.1.19376.1.5.3.1.4.7.2",
    )

    id: str
    name: str
    reference: str
    substance: Code | None = None
    product: Code | None = None
    start: HL7Time | None = None
    stop: HL7Time | None = None
    period_hours: int | None = 24
    dose: str = "1"
    dose_unit: str = "{tbl}"


@dataclass(frozen=True, slots=True)
class OpaqueEntry:
    """A statement that somebody else wrote: kept, and written again as it was.

    Attributes:
        xml: The `entry` element, canonical (exclusive C14N), so that equal entries are equal.
    """

    xml: bytes


Entry = Observation | Medication | OpaqueEntry


def write_entry(section: _Element, entry: Entry) -> None:
    """Append one `entry` element to a section."""
    match entry:
        case Observation():
            _write_observation(_add(section, "entry"), entry)
        case Medication():
            _write_medication(_add(section, "entry"), entry)
        case OpaqueEntry(xml):
            section.append(parse_xml(xml))


def _write_observation(parent: _Element, entry: Observation) -> None:
    made = _add(parent, "observation", classCode="OBS", moodCode="EVN")
    _open(made, entry.templates, entry.id)
    _code(_add(made, "code"), entry.code)
    _refer(made, entry.reference)
    _add(made, "statusCode", code="completed")
    _add(made, "effectiveTime", value=entry.at.text)
    value = _add(made, "value")
    match entry.value:
        case bool():
            value.set(f"{{{XSI}}}type", "BL")
            value.set("value", "true" if entry.value else "false")
        case str():
            value.set(f"{{{XSI}}}type", "ST")
            value.text = entry.value
        case Code():
            value.set(f"{{{XSI}}}type", "CD")
            _code(value, entry.value)


def _write_medication(parent: _Element, entry: Medication) -> None:
    made = _add(parent, "substanceAdministration", classCode="SBADM", moodCode="EVN")
    _open(made, entry.TEMPLATES, entry.id)
    _code(_add(made, "code"), Code("DRUG", _ACT_CODE, "Médicament"))
    _refer(made, entry.reference)
    _add(made, "statusCode", code="completed")
    span = _add(made, "effectiveTime")
    span.set(f"{{{XSI}}}type", "IVL_TS")
    for bound, time in (("low", entry.start), ("high", entry.stop)):
        if time:
            _add(span, bound, value=time.text)
        else:
            _add(span, bound, nullFlavor="UNK")
    if entry.period_hours:
        rhythm = _add(made, "effectiveTime", operator="A")
        rhythm.set(f"{{{XSI}}}type", "PIVL_TS")
        _add(rhythm, "period", value=str(entry.period_hours), unit="h")
    if entry.dose:
        dose = _add(made, "doseQuantity")
        for bound in ("low", "high"):
            _add(dose, bound, value=entry.dose, unit=entry.dose_unit)
    product = _add(_add(made, "consumable"), "manufacturedProduct")
    for template in entry.PRODUCT_TEMPLATES:
        _add(product, "templateId", root=template)
    material = _add(product, "manufacturedMaterial")
    code = _add(material, "code")
    if entry.product:
        _code(code, entry.product)
    _add(_add(code, "originalText"), "reference", value=f"#{entry.reference}")
    if entry.substance:
        _code(_add(code, "translation"), entry.substance)
    _add(material, "name").text = entry.name


def _open(made: _Element, templates: tuple[str, ...], identifier: str) -> None:
    for template in templates:
        _add(made, "templateId", root=template)
    _add(made, "id", root=identifier)


def _refer(made: _Element, reference: str) -> None:
    _add(_add(made, "text"), "reference", value=f"#{reference}")


def _code(element: _Element, code: Code) -> None:
    element.set("code", code.code)
    if code.display:
        element.set("displayName", code.display)
    element.set("codeSystem", code.system)


def _add(parent: _Element, name: str, **attributes: str) -> _Element:
    return etree.SubElement(parent, f"{{{CDA}}}{name}", attributes)
