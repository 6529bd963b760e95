"""Write the header of a document as HTML: what it is, whom it is about, who answers for it.

Errors
    `PageFullError`, to whoever assembles the page.
Sources
    ANS, CI-SIS, volet Structuration minimale; référentiel INS (what an identity shows).
"""

from collections.abc import Iterable
from typing import Final

from mss.clinical import vocabulary
from mss.clinical.document import Act, CdaHeader, Encounter
from mss.clinical.html_dates import say_interval, say_matricule, say_time
from mss.clinical.html_writer import HtmlWriter
from mss.clinical.patient import Guardian, INSAuthority, Patient, missing_traits
from mss.clinical.people import Actor, Address, Identifier, Organization, Telecom

_SEXES: Final = {"M": "masculin", "F": "féminin", "UN": "indéterminé", "U": "inconnu"}
_SECRECY: Final = {"R": "Restreint", "V": "Très restreint"}
_TRAITS: Final = {
    "birth-name": "nom de naissance",
    "first-given-name": "premier prénom",
    "given-names": "prénoms de naissance",
    "birth-date": "date de naissance",
    "birth-place": "lieu de naissance",
    "sex": "sexe",
}
_NOT_REAL: Final = {INSAuthority.NIR_TEST: "INS de test", INSAuthority.NIR_DEMO: "INS fictive"}
_INFORMANTS: Final = {
    "ECON": "À prévenir en cas d'urgence",
    "NOK": "Personne de confiance",
    "CAREGIVER": "Aidant",
}
_MAX_PEOPLE: Final = 50
MAX_WRITERS: Final = 5
CONTEXT_TITLE: Final = "Intervenants et contexte"
CONTEXT_ANCHOR: Final = "s0"

Line = tuple[str, str]


def write_header(out: HtmlWriter, header: CdaHeader, *, is_deletion: bool = False) -> None:
    """Write what stands before the body: what this is, who wrote it, whom it is about."""
    with out.element("header"):
        label = vocabulary.label(header.code)
        title = header.title or label
        if label.casefold() != title.casefold():
            out.line("p", label, class_="kind")
        out.line("h1", title)
        out.line("p", " · ".join(filter(None, _marks(header))), class_="marks")
        for author in header.authors[:MAX_WRITERS]:
            out.line("p", _writer(author), class_="writer")
        if is_deletion:
            out.line("p", "L'expéditeur demande la suppression de ce document.", class_="alert")
        if header.confidentiality and header.confidentiality.code in _SECRECY:
            secrecy = _SECRECY[header.confidentiality.code]
            out.line("p", f"Confidentialité : {secrecy}", class_="alert")
    _write_patient(out, header.patient)


def write_context(out: HtmlWriter, header: CdaHeader) -> None:
    """Write what stands after the body: everybody and everything else that the header names."""
    with out.element("section", class_="card", id=CONTEXT_ANCHOR):
        out.line("h2", CONTEXT_TITLE)
        _write_lines(out, _people(header))
        _write_lines(out, _care(header))


def _marks(header: CdaHeader) -> Iterable[str]:
    yield say_time(header.effective_time)
    if header.version:
        yield f"version {header.version}"
    if header.replaces:
        yield "remplace une version antérieure"


def _write_patient(out: HtmlWriter, patient: Patient | None) -> None:
    with out.element("section", class_="card patient", aria_label="Patient"):
        out.line("h2", "Patient")
        if patient is None:
            out.line("p", "Le document ne désigne aucun patient.", class_="alert")
            return
        out.line("p", _full_name(patient), class_="name")
        _write_identity(out, patient)
        _write_lines(out, _traits(patient))


def _full_name(patient: Patient) -> str:
    traits = patient.traits
    family = traits.used_name or traits.birth_name
    given = traits.used_given or traits.first_given or traits.all_given
    return " ".join(filter(None, (family.upper(), given))) or "Nom inconnu"


def _write_identity(out: HtmlWriter, patient: Patient) -> None:
    ins = patient.ins
    with out.element("p", class_="identity"):
        if ins is None:
            out.line("span", "Sans INS : identité non qualifiée", class_="badge warn")
            return
        out.line("span", f"INS {say_matricule(ins.matricule)}", class_="ins")
        out.text(" ")
        missing = missing_traits(patient)
        if missing:
            lacking = ", ".join(_TRAITS[one] for one in missing)
            out.line("span", f"identité incomplète : {lacking}", class_="badge warn")
        else:
            out.line("span", "identité qualifiée", class_="badge good")
        if not ins.has_valid_key:
            out.text(" ")
            out.line("span", "clé de l'INS incorrecte", class_="badge warn")
        if ins.authority in _NOT_REAL:
            out.text(" ")
            out.line("span", _NOT_REAL[ins.authority], class_="badge")


def _traits(patient: Patient) -> Iterable[Line]:
    traits = patient.traits
    yield "Nom de naissance", traits.birth_name
    yield "Prénoms de naissance", traits.all_given or traits.first_given
    if traits.used_name or traits.used_given:
        yield "Nom et prénom utilisés", f"{traits.used_name} {traits.used_given}".strip()
    born = say_time(traits.birth_date)
    code = f"code INSEE {traits.birth_place}" if traits.birth_place else ""
    yield "Naissance", ", ".join(filter(None, (born, traits.birth_city, code)))
    yield "Sexe", _SEXES.get(traits.sex, traits.sex)
    yield from (("Adresse", _address(one)) for one in patient.addresses)
    yield "Contact", _telecoms(patient.telecoms)
    yield "Identifiant local", _number(patient.local_id)
    for guardian in patient.guardians[:_MAX_PEOPLE]:
        yield "Représentant", _guardian(guardian)


def _guardian(one: Guardian) -> str:
    name = one.name.full if one.name else ""
    kind = one.code.display if one.code else ""
    structure = one.organization.name if one.organization else ""
    return ", ".join(filter(None, (name, kind, structure, _telecoms(one.telecoms))))


def _people(header: CdaHeader) -> Iterable[Line]:
    for author in header.authors[:_MAX_PEOPLE]:
        at = f", le {say_time(author.at)}" if author.at else ""
        yield "Auteur", _actor(author) + at
    signer = header.legal_authenticator
    if signer is not None:
        at = f", le {say_time(signer.at)}" if signer.at else ""
        yield "Responsable", _actor(signer) + at
    for other in header.authenticators[:_MAX_PEOPLE]:
        yield "Validé par", _actor(other)
    if header.data_enterer is not None:
        yield "Saisi par", _actor(header.data_enterer)
    for informant in header.informants[:_MAX_PEOPLE]:
        yield _INFORMANTS.get(informant.class_code, "Informateur"), _actor(informant.actor)
    yield "Conservé par", _organization(header.custodian)
    for recipient in header.recipients[:_MAX_PEOPLE]:
        yield "Destinataire prévu", _actor(recipient)
    for participant in header.participants[:_MAX_PEOPLE]:
        yield _role(participant.actor) or "Intervenant", _actor(participant.actor)


def _care(header: CdaHeader) -> Iterable[Line]:
    acts = header.acts[:_MAX_PEOPLE]
    for act in acts[:1]:
        yield "Acte", _act(act)
    yield "Autres actes", " ; ".join(filter(None, map(_act, acts[1:])))
    performers = (_actor(act.performer) for act in acts if act.performer is not None)
    for performer in dict.fromkeys(performers):
        yield "Exécutant", performer
    if header.encounter is not None:
        yield "Prise en charge", _encounter(header.encounter)
    for order in header.orders[:_MAX_PEOPLE]:
        numbers = (*order.ids, *order.accession_numbers)
        yield "Demande", ", ".join(filter(None, map(_number, numbers)))
    for consent in header.consents[:_MAX_PEOPLE]:
        yield "Consentement", consent.code.display or consent.code.code if consent.code else ""


def _act(act: Act) -> str:
    name = act.code.display or act.code.code if act.code else ""
    return ", ".join(filter(None, (name, say_interval(act.start, act.stop))))


def _encounter(one: Encounter) -> str:
    kind = one.code.display if one.code else ""
    place = one.facility_name or (one.facility.display if one.facility else "")
    return ", ".join(filter(None, (kind, say_interval(one.start, one.stop), place)))


def _actor(actor: Actor) -> str:
    """Name somebody: name, speciality, structure, how to reach them."""
    who = actor.name.full if actor.name else ""
    if actor.device is not None:
        who = " ".join(filter(None, (actor.device.software, actor.device.model)))
    specialty = actor.specialty.display if actor.specialty else ""
    structure = actor.organization.name if actor.organization else ""
    return ", ".join(filter(None, (who, specialty, structure, _telecoms(actor.telecoms))))


def _writer(actor: Actor) -> str:
    """Name an author in one line."""
    who = actor.name.full if actor.name else actor.device.software if actor.device else ""
    structure = actor.organization.name if actor.organization else ""
    return ", ".join(filter(None, (who, structure)))


def _role(actor: Actor) -> str:
    return actor.role.display if actor.role else ""


def _organization(organization: Organization | None) -> str:
    if organization is None:
        return ""
    parts = (organization.name, _address(organization.address), _telecoms(organization.telecoms))
    return ", ".join(filter(None, parts))


def _address(address: Address | None) -> str:
    return ", ".join(address.lines) if address else ""


def _telecoms(telecoms: Iterable[Telecom]) -> str:
    """Write telephone numbers and addresses as text; the prefix of a URL is for software."""
    shown = (one.value.partition(":")[2] or one.value for one in telecoms)
    return ", ".join(dict.fromkeys(one.strip() for one in shown if one.strip()))


def _number(identifier: Identifier | None) -> str:
    return identifier.extension or "" if identifier else ""


def _write_lines(out: HtmlWriter, lines: Iterable[Line]) -> None:
    shown = [(name, text) for name, text in lines if text]
    if not shown:
        return
    with out.element("dl"):
        for name, text in shown:
            with out.element("div"):
                out.line("dt", name)
                out.line("dd", text)
