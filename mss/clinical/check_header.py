"""Does the header of a document keep the national rules: elements, versions, types, dates?

Errors
    None.
Sources
    ANS, CI-SIS, volet Structuration minimale; ANS, value sets JDV_J01, J02, J04, J07.
"""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

from mss.clinical import finding, vocabulary
from mss.clinical.document import BodyKind, CdaDocument, CdaHeader
from mss.clinical.finding import Finding, Severity
from mss.clinical.people import Code, is_oid
from mss.clinical.times import HL7Time

CONFIDENTIALITY_SYSTEM = "2.16.840.1.113883.5.25"
CLOCK_TOLERANCE = timedelta(hours=24)
"""Clocks differ, and a date without a time zone may be a day ahead."""

_LANGUAGE = re.compile(r"[a-z]{2}-[A-Z]{2}", re.ASCII)
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)


def check_header(cda: CdaDocument, at: datetime | None, where: str) -> Iterator[Finding]:
    """Say what is wrong with a header, people aside."""
    yield from _elements(cda, where)
    yield from _versions(cda.header, where)
    yield from _vocabulary(cda, where)
    yield from _context(cda.header, where)
    yield from _dates(cda.header, at, where)


def _elements(cda: CdaDocument, where: str) -> Iterator[Finding]:
    header = cda.header
    vital = {
        "id": header.id,
        "code": header.code and header.code.code,
        "effectiveTime": header.effective_time,
    }
    usual = {
        "title": header.title,
        "confidentialityCode": header.confidentiality,
        "languageCode": header.language,
        "setId": header.set_id,
        "versionNumber": header.version is not None,
        "author": header.authors,
        "custodian": header.custodian,
        "legalAuthenticator": header.legal_authenticator,
        "documentationOf": header.acts,
        "componentOf": header.encounter,
    }
    for severity, elements in ((Severity.ERROR, vital), (Severity.WARNING, usual)):
        for name, value in elements.items():
            if not value:
                yield finding.of("header-missing", severity=severity, name=name, where=where)
    for name in cda.odd_forms:
        yield finding.of("header-form", name=name, where=where)
    if cda.patients != 1:
        yield finding.of("header-patient", where=where)
    if header.id and not header.id.extension and not _is_oid_or_uuid(header.id.root):
        yield finding.of("header-id", where=where)
    if header.language and not _LANGUAGE.fullmatch(header.language):
        yield finding.of("header-language", where=where)
    if header.confidentiality and not _is_confidentiality(header.confidentiality):
        yield finding.of("header-confidentiality", where=where)


def _is_oid_or_uuid(root: str) -> bool:
    return is_oid(root) or _UUID.fullmatch(root) is not None


def _is_confidentiality(code: Code) -> bool:
    known = vocabulary.codes("confidentiality")
    return code.code in known and code.system in {"", CONFIDENTIALITY_SYSTEM}


def _versions(header: CdaHeader, where: str) -> Iterator[Finding]:
    """Look at the chain of versions: each has its own id, a number, and names the one before."""
    if header.version is not None and header.version < 1:
        yield finding.of("version-number", where=where)
    if header.replaces and (header.version or 1) <= 1:
        yield finding.of("version-first", where=where)
    if header.id and header.id in header.replaces:
        yield finding.of("version-self", where=where)
    if any(one.type_code != "RPLC" for one in header.related):
        yield finding.of("version-relation", where=where)


def _vocabulary(cda: CdaDocument, where: str) -> Iterator[Finding]:
    header = cda.header
    roots = header.template_roots
    if not set(vocabulary.FIXED_TEMPLATES) <= set(roots):
        yield finding.of("template-missing", where=where)
    yield from _type(header, where)
    model = vocabulary.find_model(roots)
    if model is None and cda.body is BodyKind.STRUCTURED:
        yield finding.of("template-unknown", where=where)
    kind = header.code.code if header.code else ""
    if model and model.types and kind and kind not in model.types:
        yield finding.of("template-type", where=where)
    is_file = cda.body not in {BodyKind.STRUCTURED, BodyKind.NONE}
    if is_file != (vocabulary.UNSTRUCTURED_TEMPLATE in roots):
        yield finding.of("template-body", where=where)


def _type(header: CdaHeader, where: str) -> Iterator[Finding]:
    if not header.code or not header.code.code:
        return
    known = vocabulary.find_type(header.code.code)
    if known is None and vocabulary.find_class(header.code.code) is None:
        yield finding.of("type-unknown", where=where)
    if known and header.code.system and header.code.system != known.code.system:
        yield finding.of("type-system", where=where)


def _context(header: CdaHeader, where: str) -> Iterator[Finding]:
    """Look at the codes that say where care was given, against the national tables."""
    facility = header.encounter.facility if header.encounter else None
    if facility and facility.code and not vocabulary.is_facility(facility):
        yield finding.of("facility-unknown", where=where)
    act = header.main_act
    employer = act.performer.organization if act and act.performer else None
    setting = employer.practice_setting if employer else None
    if act and (setting is None or not setting.code):
        yield finding.of("practice-setting-missing", where=where)
    elif setting and not vocabulary.is_practice_setting(setting):
        yield finding.of("practice-setting-unknown", where=where)


# Dates


def _dates(header: CdaHeader, at: datetime | None, where: str) -> Iterator[Finding]:
    dates = dict(_every_date(header))
    for name, time in dates.items():
        if not time.is_valid:
            yield finding.of("date-unreadable", name=name, where=where)
        elif at is not None and _is_future(time, at):
            yield finding.of("date-future", name=name, where=where)
    for earlier, later in _ORDER:
        if _is_after(dates.get(earlier), dates.get(later)):
            yield finding.of("date-order", name=f"{earlier}, {later}", where=where)
    written = header.effective_time
    if written and written.is_valid and written.instant is None:
        yield finding.of("date-zone", where=where)


_ORDER = (
    ("birthTime", "effectiveTime"),
    ("birthTime", "serviceEvent/low"),
    ("serviceEvent/low", "serviceEvent/high"),
    ("serviceEvent/low", "legalAuthenticator/time"),
    ("encompassingEncounter/low", "encompassingEncounter/high"),
)
"""Which date may not be later than which; of a first trial at birth both may be the same day."""

_PLANNED = frozenset({"serviceEvent/high", "encompassingEncounter/high"})
"""Care may be planned to go on."""


def _every_date(header: CdaHeader) -> Iterator[tuple[str, HL7Time]]:
    act, stay = header.main_act, header.encounter
    signer = header.legal_authenticator
    for name, time in (
        ("birthTime", header.patient.traits.birth_date if header.patient else None),
        ("effectiveTime", header.effective_time),
        ("author/time", header.authors[0].at if header.authors else None),
        ("legalAuthenticator/time", signer.at if signer else None),
        ("serviceEvent/low", act.start if act else None),
        ("serviceEvent/high", act.stop if act else None),
        ("encompassingEncounter/low", stay.start if stay else None),
        ("encompassingEncounter/high", stay.stop if stay else None),
    ):
        if time is not None:
            yield name, time


def _is_future(time: HL7Time, at: datetime) -> bool:
    limit = HL7Time.of(at + CLOCK_TOLERANCE).xds
    return time.xds > limit[: len(time.xds)]


def _is_after(earlier: HL7Time | None, later: HL7Time | None) -> bool:
    """Compare two times at the lesser of their precisions, in UTC when both say it."""
    if earlier is None or later is None or not (earlier.is_valid and later.is_valid):
        return False
    size = min(len(earlier.xds), len(later.xds))
    return earlier.xds[:size] > later.xds[:size]
