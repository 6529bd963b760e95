"""Does a request agree with itself, and with the documents that it carries?

A request says several times what is wanted: by its event, in ORC-1, in OBX-11, in TXA and inside
the document. Software that says two things is not obeyed: a deletion that was meant as a new
version cannot be taken back at the recipient's.

Pure: a request in, objections out.

Sources
    ANS, CI-SIS, Transmission d'un document CDA-R2 en HL7v2 2.1, use cases and profiles.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mss.clinical.document import CdaHeader
from mss.clinical.metadata import Action
from mss.clinical.patient import INSAuthority, Patient
from mss.hl7.errors import Condition, Objection
from mss.hl7.request import ACTIONS, Flag, Request, RequestedDocument

ORDERS: Final = {"NW": Action.NEW, "RO": Action.REPLACE, "CA": Action.DELETE}
STATUSES: Final = {"F": Action.NEW, "C": Action.REPLACE, "D": Action.DELETE}
_SILENT: Final = {"", "SC"}  # of ORC-1: what software of the guide's first version writes
_WITH_VISIT: Final = {"E", "I", "O", "R"}
_INS_OIDS: Final = {one.value for one in INSAuthority}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """What a request asks for, once it is clear; or what speaks against it."""

    action: Action
    objections: tuple[Objection, ...]


def check_agreement(request: Request, *, strict: bool = False) -> Agreement:
    """Compare everything that a request says.

    Args:
        request: The request.
        strict: True to ask for what the present guide makes obligatory and older software leaves
            out: ORC with one of its three codes, the metadata, who sends.
    """
    actions = [_action(request, one) for one in request.documents]
    objections = [found for one in request.documents for found in _document(request, one)]
    if len(set(actions)) > 1:
        objections.append(_disagree("OBX", "actions-differ", "The documents ask for two actions"))
    objections += _patient(request)
    objections += _visit(request)
    if strict:
        objections += _omissions(request)
    return Agreement(action=actions[0], objections=tuple(objections))


def _action(request: Request, document: RequestedDocument) -> Action:
    """Tell what is asked for: by the event, or else by the status of the document."""
    return ACTIONS.get(request.event) or STATUSES.get(document.status, Action.NEW)


def _document(request: Request, one: RequestedDocument) -> Iterator[Objection]:
    action, header = _action(request, one), one.cda.header
    if one.status not in STATUSES:
        yield Objection(
            condition=Condition.TABLE if one.status else Condition.MISSING,
            where=f"{one.where}^11",
            code="status-unknown",
            text="OBX-11 must be F, C or D",
        )
    elif STATUSES[one.status] is not action:
        yield _disagree(f"{one.where}^11", "status-differs", "OBX-11 and the event disagree")
    if one.order not in _SILENT:
        if one.order not in ORDERS:
            yield Objection(
                condition=Condition.TABLE,
                where="ORC^1^1",
                code="order-unknown",
                text="ORC-1 must be NW, RO or CA",
            )
        elif ORDERS[one.order] is not action:
            yield _disagree("ORC^1^1", "order-differs", "ORC-1 and the event or OBX-11 disagree")
    yield from _version(action, header, one.where)
    yield from _identifiers(action, one)
    code = header.code.code if header.code else ""
    for where, written in one.codes.items():
        if not written:
            yield Objection(
                condition=Condition.MISSING, where=where, code="type-missing", text="Type missing"
            )
        elif written != code:
            yield _disagree(where, "type-differs", "The type is not that of the document")


def _version(action: Action, header: CdaHeader, where: str) -> Iterator[Objection]:
    version = header.version or 1
    if action is Action.NEW and (version > 1 or header.replaces):
        yield _disagree(where, "document-replaces", "A new document replaces no other one")
    if action is Action.REPLACE and not header.replaces:
        yield _disagree(where, "document-replaces-none", "The document names none to replace")
    if action is Action.REPLACE and header.version == 1:
        yield _disagree(where, "document-version", "A new version has a number above 1")


def _identifiers(action: Action, one: RequestedDocument) -> Iterator[Objection]:
    """Compare TXA with the document; an ORU has no TXA."""
    header = one.cda.header
    if one.own_id and header.id is not None and one.own_id != header.id.xds:
        yield _disagree("TXA^1^12", "document-id-differs", "TXA-12 is not the document's own id")
    parents = {parent.xds for parent in header.replaces}
    has_note = any(where.startswith("TXA") for where in one.codes)
    if one.parent_id and parents and one.parent_id not in parents:
        yield _disagree("TXA^1^13", "parent-id-differs", "TXA-13 is not what the document replaces")
    elif one.parent_id and not parents and action is not Action.DELETE:
        yield _disagree("TXA^1^13", "parent-id-differs", "The document replaces none")
    elif has_note and action is Action.REPLACE and not one.parent_id:
        yield Objection(
            condition=Condition.MISSING,
            where="TXA^1^13",
            code="parent-id-missing",
            text="TXA-13 must name the document that is replaced",
        )


def _patient(request: Request) -> Iterator[Objection]:
    """Every number of PID-3 that a document can know must be the document's; one at least is."""
    given = set(request.patient_ids)
    ins = {one for one in given if one[1] in _INS_OIDS}
    for document in request.documents:
        known = {
            (one.extension or "", one.root)
            for one in (document.cda.header.patient or Patient()).identifiers
        }
        known_ins = {one for one in known if one[1] in _INS_OIDS}
        is_same = bool(ins & known_ins) if ins and known_ins else bool(given & known)
        if document.cda.patients > 1 or not is_same or (ins and known_ins and ins - known_ins):
            yield _disagree("PID^1^3", "patient-differs", "PID-3 and the document differ")


def _visit(request: Request) -> Iterator[Objection]:
    if request.patient_class in _WITH_VISIT and not request.visit:
        yield Objection(
            condition=Condition.MISSING,
            where="PV1^1^19",
            code="visit-missing",
            text="PV1-19 is required for this patient class",
        )


def _omissions(request: Request) -> Iterator[Objection]:
    for document in request.documents:
        if document.order in _SILENT:
            yield Objection(
                condition=Condition.MISSING, where="ORC^1^1", code="order-missing", text="No ORC-1"
            )
    if request.sender is None:
        yield Objection(
            condition=Condition.SEQUENCE, where="PRT", code="sender-missing", text="No PRT with SB"
        )
    for flag in Flag:
        if flag not in request.flags:
            yield Objection(
                condition=Condition.SEQUENCE,
                where="OBX",
                code="metadata-missing",
                text=f"No OBX {flag.value}",
            )


def _disagree(where: str, code: str, text: str) -> Objection:
    return Objection(condition=Condition.APPLICATION, where=where, code=code, text=text)
