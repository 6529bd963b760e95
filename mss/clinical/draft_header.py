"""Write the header of one document of a letter, with sensible defaults for all that is not said.

The author is who owns the mailbox, and works where the directory says; the author also answers
for the document and did what it reports, on its date; the patient was seen where the author works.

Errors
    None: remarks go to the notes.
Sources
    ANS, CI-SIS, volet Structuration minimale.
"""

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID, uuid5

from mss.clinical import vocabulary
from mss.clinical.document import (
    Act,
    CdaHeader,
    Encounter,
    Informant,
    Order,
    Participant,
    RelatedDocument,
)
from mss.clinical.draft import (
    ActDraft,
    DocumentDraft,
    DraftAction,
    EncounterDraft,
    OrderDraft,
    PersonDraft,
    PreviousDraft,
)
from mss.clinical.draft_codes import (
    parse_identifier,
    read_code,
    read_codes,
    read_identifier,
    read_identifiers,
)
from mss.clinical.draft_known import Known, Workplace, known_workplace
from mss.clinical.draft_notes import Notes
from mss.clinical.draft_people import read_person, read_structure, read_workplace
from mss.clinical.draft_times import check_order, check_past, in_france, read_instant, read_moment
from mss.clinical.mapping import uuid_oid
from mss.clinical.patient import Patient
from mss.clinical.people import Actor, ActorKind, Code, Identifier, Organization, PersonName, is_oid
from mss.clinical.times import HL7Time

_PCP: Final = Code("PCP", "2.16.840.1.113883.5.88", "Médecin traitant")
_OWN_DOCUMENT: Final = re.compile(r"(2\.25\.\d{1,39})\.(\d{1,9})", re.ASCII)
_LANGUAGE: Final = re.compile(r"[a-z]{2}-[A-Z]{2}", re.ASCII)
_MAX_VERSION: Final = 999_999_999


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Which document it is, and which one it takes the place of."""

    id: Identifier
    set_id: Identifier
    number: int
    replaces: Identifier | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderWriter:
    """Writes one header.

    Attributes:
        identity: From which new identifiers derive; different for each document.
        where: Pointer to the document in the request.
    """

    draft: DocumentDraft
    patient: Patient
    informants: tuple[Informant, ...]
    known: Known
    at: datetime
    identity: UUID
    notes: Notes
    where: str

    def write(self, templates: tuple[Identifier, ...]) -> CdaHeader:
        """Write the header of a document that follows these models."""
        draft, version = self.draft, self._version()
        written = read_instant(draft.at, notes=self.notes, where=f"{self.where}/at")
        written = written or in_france(self.at)
        check_past(written, at=self.at, notes=self.notes, where=f"{self.where}/at")
        authors = tuple(_dated(one, written) for one in self._authors())
        signer = self._signer(authors)
        workplace = self._workplace()
        acts = self._acts(written, signer, workplace)
        return CdaHeader(
            id=version.id,
            set_id=version.set_id,
            version=version.number,
            related=_related(version),
            templates=templates,
            code=self._type(),
            title=draft.title.strip() or vocabulary.label(self._type()),
            effective_time=written,
            confidentiality=self._confidentiality(),
            language=self._language(),
            patient=self.patient,
            authors=authors,
            data_enterer=self._optional(draft.data_enterer, "data_enterer", written),
            informants=self.informants,
            custodian=self._custodian(authors),
            recipients=self._recipients(),
            legal_authenticator=_dated(signer, written) if signer else None,
            authenticators=tuple(
                _dated(self._person(one, f"authenticators/{number}"), written)
                for number, one in enumerate(draft.authenticators)
            ),
            participants=self._participants(),
            orders=tuple(self._order(one, number) for number, one in enumerate(draft.orders)),
            acts=acts,
            encounter=self._encounter(acts[0], workplace),
        )

    # What it is

    def _type(self) -> Code | None:
        known = vocabulary.find_type(self.draft.type.strip())
        return known.code if known else None

    def _confidentiality(self) -> Code | None:
        allowed = vocabulary.codes("confidentiality")
        value = self.draft.confidentiality.strip()
        if value not in allowed:
            where = f"{self.where}/confidentiality"
            self.notes.add("letter-choice", where, name=", ".join(allowed))
            return None
        return vocabulary.code("confidentiality", value)

    def _language(self) -> str:
        if not _LANGUAGE.fullmatch(self.draft.language):
            self.notes.add("letter-language", f"{self.where}/language")
        return self.draft.language

    def _version(self) -> Version:
        draft, previous = self.draft, self.draft.previous
        given = self._given_id()
        if draft.action is DraftAction.NEW or previous is None:
            self._check_previous(previous)
            own = Identifier(uuid_oid(uuid5(self.identity, "set")))
            return Version(id=given or Identifier(f"{own.root}.1"), set_id=own, number=1)
        return self._next_version(previous, given)

    def _given_id(self) -> Identifier | None:
        text = self.draft.id.strip()
        if not text:
            return None
        if not is_oid(text):
            self.notes.add("letter-oid", f"{self.where}/id")
        return Identifier(text)

    def _check_previous(self, previous: PreviousDraft | None) -> None:
        is_new = self.draft.action is DraftAction.NEW
        if is_new and previous is not None:
            self.notes.add("letter-previous-unneeded", f"{self.where}/previous")
        elif not is_new and previous is None:
            self.notes.add("letter-previous-missing", f"{self.where}/previous")

    def _next_version(self, previous: PreviousDraft, given: Identifier | None) -> Version:
        """Find the place of a document among its versions.

        A replacement has the next number and another identifier; a deletion is the very version
        that is to be deleted, sent once more.
        """
        where = f"{self.where}/previous"
        before = parse_identifier(previous.id)
        if before is None:
            self.notes.add("letter-oid", f"{where}/id")
            before = Identifier("")
        own = _OWN_DOCUMENT.fullmatch(before.root)
        set_id = parse_identifier(previous.set_id) if previous.set_id.strip() else None
        if set_id is None and previous.set_id.strip():
            self.notes.add("letter-oid", f"{where}/set_id")
        set_id = set_id or (Identifier(own[1]) if own else None)
        number = previous.version or (int(own[2]) if own else None)
        if set_id is None or number is None or not 0 < number < _MAX_VERSION:
            self.notes.add("letter-previous-unknown", where)
            return Version(id=before, set_id=Identifier(""), number=1)
        if self.draft.action is DraftAction.DELETE:
            return Version(id=before, set_id=set_id, number=number)
        fresh = f"{own[1]}.{number + 1}" if own else uuid_oid(uuid5(self.identity, "version"))
        return Version(
            id=given or Identifier(fresh), set_id=set_id, number=number + 1, replaces=before
        )

    # Who

    def _person(self, draft: PersonDraft, field: str) -> Actor:
        where = f"{self.where}/{field}"
        return read_person(draft, known=self.known, notes=self.notes, where=where)

    def _optional(self, draft: PersonDraft | None, field: str, written: HL7Time) -> Actor | None:
        return _dated(self._person(draft, field), written) if draft else None

    def _authors(self) -> tuple[Actor, ...]:
        if not self.draft.authors:
            if self.known.owner is None:
                self.notes.add("letter-author-missing", f"{self.where}/authors")
                return ()
            return (self.known.actor(self.known.owner),)
        return tuple(
            self._patient_author() if one.is_patient else self._numbered(one, f"authors/{number}")
            for number, one in enumerate(self.draft.authors)
        )

    def _numbered(self, draft: PersonDraft, field: str) -> Actor:
        """Write somebody who answers for the document, and therefore has a number."""
        found = self._person(draft, field)
        if found.id is None:
            self.notes.add("letter-field-missing", f"{self.where}/{field}/rpps")
        return found

    def _patient_author(self) -> Actor:
        traits, ins = self.patient.traits, self.patient.ins
        number = ins.identifier if ins else self.patient.local_id
        return Actor(
            id=number,
            name=PersonName(
                family=traits.used_name or traits.birth_name,
                given=traits.used_given or traits.first_given,
            ),
        )

    def _signer(self, authors: tuple[Actor, ...]) -> Actor | None:
        if self.draft.legal_authenticator is not None:
            return self._numbered(self.draft.legal_authenticator, "legal_authenticator")
        if authors and authors[0].kind is ActorKind.PERSON:
            return replace(authors[0], role=None)
        if authors:
            self.notes.add("letter-signer-missing", f"{self.where}/legal_authenticator")
        return None

    def _custodian(self, authors: tuple[Actor, ...]) -> Organization | None:
        draft, where = self.draft.custodian, f"{self.where}/custodian"
        if draft is not None:
            return read_structure(
                draft, known=self.known, notes=self.notes, where=where
            ).organization
        places = [one.organization for one in authors if one.organization]
        if self.known.structure is not None:
            places.append(known_workplace(self.known.structure).organization)
        found = next((one for one in places if one.id), None)
        if found is None and authors:
            self.notes.add("letter-structure-missing", where)
        if found is None:
            return None
        # The schema gives whoever keeps a document one number, and neither setting nor parent.
        return replace(found, telecoms=found.telecoms[:1], practice_setting=None, part_of=None)

    def _recipients(self) -> tuple[Actor, ...]:
        if not self.draft.recipients:
            people = [self.known.actor(one) for one in self.known.recipients]
        else:
            people = [
                self._person(one, f"recipients/{number}")
                for number, one in enumerate(self.draft.recipients)
            ]
        return tuple(
            Actor(id=one.id, name=one.name, organization=one.organization) for one in people
        )

    def _participants(self) -> tuple[Participant, ...]:
        draft = self.draft.treating_physician
        if draft is None:
            return ()
        actor = replace(self._person(draft, "treating_physician"), role=_PCP)
        return (Participant(type_code="INF", class_code="PROV", actor=actor),)

    # What, when and where

    def _order(self, draft: OrderDraft, number: int) -> Order:
        where = f"{self.where}/orders/{number}"
        if draft.id is None:
            self.notes.add("letter-field-missing", f"{where}/id")
        ids = [draft.id] if draft.id else []
        numbers = [draft.accession] if draft.accession else []
        return Order(
            ids=tuple(read_identifier(one, notes=self.notes, where=f"{where}/id") for one in ids),
            accession_numbers=tuple(
                read_identifier(one, notes=self.notes, where=f"{where}/accession")
                for one in numbers
            ),
        )

    def _workplace(self) -> Workplace | None:
        """Find where the main act was done: by its performer, else by the author."""
        drafts = [one.performer for one in self.draft.acts[:1] if one.performer]
        drafts += [one for one in self.draft.authors if not one.is_patient]
        if self.draft.legal_authenticator:
            drafts.append(self.draft.legal_authenticator)
        if not drafts and self.known.owner:
            drafts = [PersonDraft(national_id=str(self.known.owner.national_id))]
        # Remarks on these people are made where they are written.
        found = (read_workplace(one, known=self.known, notes=Notes(), where="") for one in drafts)
        return next((one for one in found if one is not None), None)

    def _acts(
        self, written: HL7Time, signer: Actor | None, workplace: Workplace | None
    ) -> tuple[Act, ...]:
        drafts = self.draft.acts or (ActDraft(),)
        return tuple(
            self._act(one, number, written, _performing(signer, workplace) if not number else None)
            for number, one in enumerate(drafts)
        )

    def _act(self, draft: ActDraft, number: int, written: HL7Time, performer: Actor | None) -> Act:
        where = f"{self.where}/acts/{number}"
        start, stop = self._period(draft.start, draft.stop, where)
        if start is None and number == 0:
            encounter = self.draft.encounter
            start = read_moment(encounter.start, notes=Notes(), where="") if encounter else None
            start = start or written
        if draft.performer is not None:
            said = self._person(draft.performer, f"acts/{number}/performer")
            place = performer.organization if performer else None
            performer = replace(said, organization=place or said.organization)
        if number == 0 and performer is not None:
            self._require_setting(performer)
        return Act(
            code=read_code(draft.code, notes=self.notes, where=f"{where}/code"),
            translations=read_codes(
                draft.translations, notes=self.notes, where=f"{where}/translations"
            ),
            ids=read_identifiers(draft.ids, notes=self.notes, where=f"{where}/ids"),
            start=start,
            stop=stop,
            performer=performer,
        )

    def _require_setting(self, performer: Actor) -> None:
        place = performer.organization
        if place is None:
            self.notes.add("letter-structure-missing", f"{self._author_field()}/organization")
        elif place.practice_setting is None:
            where = f"{self._author_field()}/organization/practice_setting"
            self.notes.add("letter-field-missing", where)

    def _author_field(self) -> str:
        return f"{self.where}/authors/0"

    def _encounter(self, act: Act, workplace: Workplace | None) -> Encounter:
        draft = self.draft.encounter or EncounterDraft()
        where = f"{self.where}/encounter"
        start, stop = self._period(draft.start, draft.stop, where)
        place = workplace
        if draft.organization is not None:
            place = read_structure(
                draft.organization,
                known=self.known,
                notes=self.notes,
                where=f"{where}/organization",
            )
        structure = place.organization if place else Organization()
        return Encounter(
            ids=read_identifiers(draft.ids, notes=self.notes, where=f"{where}/ids"),
            code=read_code(draft.code, notes=self.notes, where=f"{where}/code"),
            start=start or act.start,
            stop=stop or act.stop,
            discharge=read_code(draft.discharge, notes=self.notes, where=f"{where}/discharge"),
            responsible=self._person(draft.responsible, "encounter/responsible")
            if draft.responsible
            else None,
            facility=self._facility(draft, place),
            facility_id=structure.id,
            facility_name=structure.name,
            facility_address=structure.address,
        )

    def _facility(self, draft: EncounterDraft, place: Workplace | None) -> Code | None:
        sector = draft.sector.strip() or (place.sector if place else "")
        where = f"{self.where}/encounter/sector"
        if not sector and place is None and not self.draft.authors and self.known.owner is None:
            return None  # that there is no author has been remarked; the rest follows from it
        if not sector:
            self.notes.add("letter-sector-missing", where)
            return None
        if place and place.is_assumed and not draft.sector.strip():
            self.notes.add("letter-sector-assumed", where)
        if sector not in vocabulary.codes("facilities"):
            self.notes.add("letter-code-unknown", where, name="JDV_J02")
            return None
        return vocabulary.code("facilities", sector)

    def _period(self, start: str, stop: str, where: str) -> tuple[HL7Time | None, HL7Time | None]:
        first = read_moment(start, notes=self.notes, where=f"{where}/start")
        last = read_moment(stop, notes=self.notes, where=f"{where}/stop")
        check_order(first, last, notes=self.notes, where=f"{where}/stop")
        return first, last


def _performing(signer: Actor | None, workplace: Workplace | None) -> Actor | None:
    """Let whoever answers for the document have done what it reports, where it was done."""
    if signer is None:
        return None
    place = workplace.organization if workplace else signer.organization
    setting = workplace.setting if workplace else ""
    if place is not None and setting:
        place = replace(place, practice_setting=vocabulary.code("practice_settings", setting))
    return replace(signer, role=None, at=None, organization=place)


def _dated(actor: Actor, written: HL7Time) -> Actor:
    return actor if actor.at else replace(actor, at=written)


def _related(version: Version) -> tuple[RelatedDocument, ...]:
    if version.replaces is None:
        return ()
    return (RelatedDocument(type_code="RPLC", ids=(version.replaces,)),)
