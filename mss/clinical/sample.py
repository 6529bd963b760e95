"""Write a complete discharge letter about nobody, for demonstrations and tests.

Everybody in it is invented: the patient's INS belongs to the test authority and has a right key,
the professionals' numbers begin with 99, which no real RPPS does, and the hospital does not exist.
The letter itself is one that a general practitioner would be glad to receive.

Shapes
    `Letter` is all that a mail needs: the CDA, the archive, the PDF copy and its name, the subject
    and the headers. The same arguments always give the same octets.
Errors
    None.
Sources
    Code de la santé publique, R. 1112-1-2 (what a discharge letter must say); structure after
    LDL-SES_2022.01. Not checked with the national schematrons, which are not distributed here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from mss.clinical import vocabulary
from mss.clinical.cda_write import build_cda
from mss.clinical.document import Act, CdaHeader, Encounter, Participant, StructuredBody
from mss.clinical.entries import Entry, Medication, Observation
from mss.clinical.letter import cover
from mss.clinical.mapping import uuid_oid
from mss.clinical.narrative import Anchor, ItemList, Paragraph, Section, Table
from mss.clinical.patient import INS, INSAuthority, Patient, Traits
from mss.clinical.pdf import build_pdf
from mss.clinical.people import (
    ORGANIZATION_OID,
    PERSON_OID,
    Actor,
    Address,
    Code,
    Identifier,
    Organization,
    PersonName,
    Telecom,
)
from mss.clinical.times import HL7Time
from mss.clinical.xdm import Application, build_archive

_CISIS = "1.2.250.1.213.1.1.4.322"
_SNOMED = "2.16.840.1.113883.6.96"
_ATC = "2.16.840.1.113883.6.73"
_PROFESSIONS = "1.2.250.1.213.1.1.4.5"
_SIMPLE_OBSERVATION = ("1.3.6.1.4.1.19376.1.5.3.1.4.13", "1.2.250.1.213.1.1.3.48")
_STAY = timedelta(days=6)

HOSPITAL = Organization(
    name="Centre hospitalier de Démonstration",
    id=Identifier(ORGANIZATION_OID, "1750000002"),
    telecoms=(Telecom(value="tel:0100000000", use="WP"),),
    address=Address(
        house_number="1", street="rue de l'Exemple", postal_code="75000", city="DEMONSTRATION"
    ),
    practice_setting=vocabulary.code("practice_settings", "ETABLISSEMENT"),
)

CARDIOLOGIST = Actor(
    id=Identifier(PERSON_OID, "899000000010"),
    name=PersonName(family="ESSAI", given="Claire", prefix="MME", suffix="DR"),
    specialty=Code(
        "G15_10/SM04", _PROFESSIONS, "Médecin - Cardiologie et maladies vasculaires (SM)"
    ),
    telecoms=(Telecom(value="tel:0100000001", use="WP"),),
    address=HOSPITAL.address,
)

GENERAL_PRACTITIONER = Actor(
    id=Identifier(PERSON_OID, "899000000028"),
    name=PersonName(family="MODELE", given="Karim", prefix="M", suffix="DR"),
    specialty=Code("G15_10/SM26", _PROFESSIONS, "Médecin - Qualifié en Médecine Générale (SM)"),
    telecoms=(Telecom(value="tel:0100000002", use="WP"),),
    address=Address(
        house_number="12", street="place des Tilleuls", postal_code="75000", city="DEMONSTRATION"
    ),
    organization=Organization(
        name="Cabinet médical des Tilleuls", id=Identifier(ORGANIZATION_OID, "499000000028001")
    ),
)

PATIENT = Patient(
    identifiers=(
        INS("254057511404292", INSAuthority.NIR_TEST).identifier,
        Identifier("1.2.250.1.213.1.1.9.1", "DEMO-000042"),
    ),
    traits=Traits(
        birth_name="PATIENT-FICTIF",
        first_given="CAMILLE",
        all_given="CAMILLE JEANNE",
        used_name="PATIENT-FICTIF",
        used_given="CAMILLE",
        birth_date=HL7Time("19540514"),
        sex="F",
        birth_place="75114",
    ),
    addresses=(
        Address(
            house_number="7", street="allée des Essais", postal_code="75000", city="DEMONSTRATION"
        ),
    ),
    telecoms=(Telecom(value="tel:0600000000", use="MC"),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A discharge letter, ready to be put into a mail."""

    cda: bytes
    archive: bytes
    pdf: bytes
    pdf_name: str
    subject: str
    headers: Mapping[str, str]


def discharge_letter(
    *,
    at: datetime,
    letter_id: UUID,
    author: Actor = CARDIOLOGIST,
    gp: Actor = GENERAL_PRACTITIONER,
    hospital: Organization = HOSPITAL,
    patient: Patient = PATIENT,
    application: Application | None = None,
) -> Letter:
    """Write the letter that a hospital sends to a general practitioner on the day of discharge.

    Args:
        at: When the letter is signed; every other date derives from it.
        letter_id: New for each letter; every other identifier derives from it.
        author: Who writes and signs; works at *hospital*.
        gp: Who receives it, as treating doctor.
        hospital: Where the stay was, and who keeps the document.
        patient: Whom it is about.
        application: The software named in the archive.
    """
    header = discharge_header(
        at=at, letter_id=letter_id, author=author, gp=gp, hospital=hospital, patient=patient
    )
    sections = _sections(at=at, letter_id=letter_id, patient=patient)
    cda = build_cda(header, StructuredBody(sections))
    around = cover([header])
    return Letter(
        cda=cda,
        archive=build_archive(
            [cda], set_uuid=uuid5(letter_id, "submission"), at=at, application=application
        ),
        pdf=build_pdf(header, sections),
        pdf_name=around.pdf_names[0],
        subject=around.subject,
        headers=around.headers,
    )


def discharge_header(
    *,
    at: datetime,
    letter_id: UUID,
    author: Actor,
    gp: Actor,
    hospital: Organization,
    patient: Patient,
) -> CdaHeader:
    """Write the header of the letter: who, about whom, to whom, when and where."""
    signed, admitted = HL7Time.of(at), HL7Time.of(at - _STAY)
    physician = Actor(
        id=author.id,
        name=author.name,
        specialty=author.specialty,
        telecoms=author.telecoms,
        address=author.address,
        organization=hospital,
        at=signed,
    )
    kind = vocabulary.document_types()["11490-0"].code
    set_id = uuid_oid(uuid5(letter_id, "set"))
    templates = (*vocabulary.FIXED_TEMPLATES, "1.2.250.1.213.1.1.1.29")
    return CdaHeader(
        id=Identifier(f"{set_id}.1"),
        set_id=Identifier(set_id),
        version=1,
        templates=tuple(
            Identifier(root, "2022.01" if root == templates[-1] else None) for root in templates
        ),
        code=kind,
        title="Lettre de liaison à la sortie de l'établissement de santé",
        effective_time=signed,
        confidentiality=vocabulary.code("confidentiality", "N"),
        language="fr-FR",
        patient=patient,
        authors=(physician,),
        custodian=Organization(
            name=hospital.name,
            id=hospital.id,
            telecoms=hospital.telecoms,
            address=hospital.address,
        ),
        recipients=(Actor(id=gp.id, name=gp.name, organization=gp.organization),),
        legal_authenticator=physician,
        participants=(Participant(type_code="INF", class_code="PROV", actor=_treating(gp)),),
        acts=(
            Act(
                code=Code(
                    "IMP",
                    "2.16.840.1.113883.5.4",
                    "Hospitalisation (établissement, y compris HAD)",
                ),
                start=admitted,
                stop=signed,
                performer=physician,
            ),
        ),
        encounter=Encounter(
            start=admitted,
            stop=signed,
            facility=vocabulary.code("facilities", "SA01"),
            facility_id=hospital.id,
            facility_name=hospital.name,
        ),
    )


def _treating(gp: Actor) -> Actor:
    return Actor(
        id=gp.id,
        name=gp.name,
        role=Code("PCP", "2.16.840.1.113883.5.88", "Médecin Traitant"),
        specialty=gp.specialty,
        telecoms=gp.telecoms,
        address=gp.address,
        organization=gp.organization,
    )


# The text of the letter


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line of the treatment at discharge."""

    name: str
    substance: str
    atc: str
    dosage: str
    remark: str
    period_hours: int = 24


_TREATMENT = (
    _Line(
        name="Furosémide 40 mg, comprimé",
        substance="Furosémide",
        atc="C03CA01",
        dosage="1 comprimé le matin",
        remark="Introduit. Poids de sortie : 68 kg.",
    ),
    _Line(
        name="Bisoprolol 2,5 mg, comprimé",
        substance="Bisoprolol",
        atc="C07AB07",
        dosage="1 comprimé le matin",
        remark="Introduit. À majorer si FC > 80/min au repos.",
    ),
    _Line(
        name="Ramipril 2,5 mg, comprimé",
        substance="Ramipril",
        atc="C09AA05",
        dosage="1 comprimé le soir",
        remark="Poursuivi. Palier suivant à la consultation.",
    ),
    _Line(
        name="Apixaban 5 mg, comprimé",
        substance="Apixaban",
        atc="B01AF02",
        dosage="1 comprimé matin et soir",
        remark="Introduit (fibrillation atriale). Au long cours.",
        period_hours=12,
    ),
)


def _sections(*, at: datetime, letter_id: UUID, patient: Patient) -> tuple[Section, ...]:
    write = _Writer(at=at, letter_id=letter_id)
    return (
        write.status(),
        write.reason(patient),
        write.stay(),
        write.stopped(),
        write.discharge(),
        write.results(),
        write.follow_up(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writer:
    """Writes the sections of the letter as of one day."""

    at: datetime
    letter_id: UUID

    def status(self) -> Section:
        """Say that the letter is final."""
        return self._section(
            "status",
            Table(rows=(("Statut du document", Anchor("Validé", "statut")),)),
            entries=(
                self._observe(
                    Code("GEN-065", _CISIS, "Statut du document"),
                    "statut",
                    value=Code("9571008", _SNOMED, "approuvé"),
                    template=("1.2.250.1.213.1.1.3.48.16", "1.2.250.1.213.1.1.3.48.16.1"),
                ),
            ),
        )

    def reason(self, patient: Patient) -> Section:
        """Say why the patient came."""
        return self._section(
            "reason",
            Paragraph(
                f"Patiente de {_age(patient, self.at)} ans adressée par son médecin traitant pour "
                "dyspnée d'aggravation progressive depuis dix jours, orthopnée et œdèmes des "
                "membres inférieurs, avec prise de 5 kg."
            ),
        )

    def stay(self) -> Section:
        """Say what was found and done."""
        admitted, today = _date(self.at - _STAY), _date(self.at)
        story = (
            "Insuffisance cardiaque aiguë globale révélant une fibrillation atriale. Facteur "
            "déclenchant probable : ibuprofène pris sans ordonnance pendant une semaine pour une "
            "gonalgie, chez une patiente hypertendue connue. Évolution favorable sous furosémide "
            "intraveineux puis oral : disparition des œdèmes, perte de 5,2 kg, sevrage de "
            "l'oxygène au troisième jour. Fréquence cardiaque contrôlée à 72/min sous bisoprolol. "
            "Anticoagulation par apixaban (CHA2DS2-VASc à 4, sans critère de réduction de dose)."
        )
        facts = (
            ("Entrée", Anchor(f"{admitted}, depuis le domicile", "entree")),
            ("Sortie", Anchor(f"{today}, retour au domicile", "sortie")),
            ("Synthèse médicale", Anchor(story, "synthese")),
            ("Événements indésirables", Anchor("Aucun", "evenements")),
            ("Recherche de bactéries multirésistantes", Anchor("Non", "recherche-bmr")),
            ("Transfusion de produits sanguins", Anchor("Non", "transfusion")),
            ("Administration de dérivés du sang", Anchor("Non", "derives")),
        )
        return self._section("stay", Table(rows=facts), entries=self._stay_entries(story))

    def _stay_entries(self, story: str) -> tuple[Entry, ...]:
        home = Code("160849004", _SNOMED, "retour au domicile")
        asked: tuple[tuple[str, str, str, Code | str | bool, str], ...] = (
            ("ORG-074", "Modalité de sortie", "sortie", home, "7"),
            ("MED-142", "Synthèse médicale", "synthese", story, "9"),
            (
                "MED-143",
                "Evènements indésirables survenus pendant l'hospitalisation",
                "evenements",
                "Aucun",
                "3",
            ),
            (
                "MED-309",
                "Recherche de microorganismes multi-résistants ou émergents effectuée",
                "recherche-bmr",
                False,
                "8",
            ),
            ("MED-145", "Transfusion de produits sanguins", "transfusion", False, "10"),
            ("MED-147", "Administration de dérivés du sang", "derives", False, "2"),
        )
        return tuple(
            self._observe(
                Code(code, _CISIS, label),
                anchor,
                value=value,
                template=(f"{_SIMPLE_OBSERVATION[1]}.{number}",),
            )
            for code, label, anchor, value, number in asked
        )

    def stopped(self) -> Section:
        """Say what must not be taken again."""
        return self._section(
            "treatments-given",
            ItemList(
                items=(
                    (
                        "Ibuprofène 400 mg : arrêté. Tous les AINS sont à proscrire (insuffisance "
                        "cardiaque et anticoagulant) ; paracétamol en cas de douleur."
                    ),
                    "Amlodipine 5 mg : arrêtée (œdèmes, pression artérielle à 118/70 mmHg).",
                )
            ),
        )

    def discharge(self) -> Section:
        """Say what is to be taken, as a table for people and entries for software."""
        start = HL7Time(_day(self.at))
        rows = tuple(
            (Anchor(line.name, f"med-{number}"), line.dosage, line.remark)
            for number, line in enumerate(_TREATMENT, start=1)
        )
        return self._section(
            "treatments-at-discharge",
            Table(head=("Médicament", "Posologie", "Commentaire"), rows=rows),
            entries=tuple(
                Medication(
                    id=self._id(f"med-{number}"),
                    name=line.name,
                    reference=f"med-{number}",
                    substance=Code(line.atc, _ATC, line.substance),
                    start=start,
                    period_hours=line.period_hours,
                )
                for number, line in enumerate(_TREATMENT, start=1)
            ),
        )

    def results(self) -> Section:
        """Say what was measured, at both ends of the stay."""
        return self._section(
            "results",
            Table(
                head=("Examen", "Entrée", "Sortie"),
                rows=(
                    ("NT-proBNP", "6 240 ng/L", "1 380 ng/L"),
                    ("Créatinine (DFG CKD-EPI)", "104 µmol/L (47)", "91 µmol/L (56)"),
                    ("Kaliémie", "4,6 mmol/L", "4,2 mmol/L"),
                    ("Hémoglobine", "12,8 g/dL", "12,6 g/dL"),
                ),
            ),
            Paragraph(
                "Échocardiographie : FEVG 45 %, oreillette gauche dilatée, pas de valvulopathie "
                "serrée, PAPS 42 mmHg. Radiographie : surcharge régressive, sans foyer."
            ),
            Paragraph(
                "En attente à la sortie : TSH (prélevée la veille), transmise dès réception."
            ),
        )

    def follow_up(self) -> Section:
        """Say who does what, and by when."""
        soon, later, month = (_date(self.at + timedelta(days=days)) for days in (7, 14, 30))
        return self._section(
            "follow-up",
            ItemList(
                is_ordered=True,
                items=(
                    (
                        f"Médecin traitant, avant le {soon} : poids, pression artérielle, "
                        "fréquence cardiaque, tolérance du traitement."
                    ),
                    f"Biologie avant le {soon} (ordonnance remise) : ionogramme, créatinine.",
                    (
                        f"Infirmière d'insuffisance cardiaque, à partir du {later} : visite "
                        "hebdomadaire pendant deux mois, éducation thérapeutique."
                    ),
                    f"Cardiologie, vers le {month} : titration, discussion d'une cardioversion.",
                ),
            ),
            Paragraph(
                "Signes d'alerte expliqués à la patiente : prise de 2 kg en trois jours, "
                "essoufflement inhabituel, œdèmes, saignement. Dans ce cas : appeler le cabinet le "
                "jour même, ou le 15."
            ),
        )

    def _section(
        self, name: str, *blocks: Paragraph | ItemList | Table, entries: tuple[Entry, ...] = ()
    ) -> Section:
        model = vocabulary.section(name)
        return Section(
            title=model.title,
            blocks=blocks,
            code=model.code,
            templates=model.templates,
            id=self._id(name),
            entries=entries,
        )

    def _observe(
        self, code: Code, anchor: str, *, value: Code | str | bool, template: tuple[str, ...]
    ) -> Observation:
        return Observation(
            id=self._id(code.code),
            templates=(*_SIMPLE_OBSERVATION, *template),
            code=code,
            reference=anchor,
            at=HL7Time(_day(self.at)),
            value=value,
        )

    def _id(self, name: str) -> str:
        return str(uuid5(self.letter_id, name)).upper()


def _age(patient: Patient, at: datetime) -> int:
    born = patient.traits.birth_date.local if patient.traits.birth_date else None
    if born is None:
        return 0
    had_birthday = (at.month, at.day) >= (born.month, born.day)
    return at.year - born.year - (0 if had_birthday else 1)


def _day(at: datetime) -> str:
    return f"{at:%Y%m%d}"


def _date(at: datetime) -> str:
    return f"{at:%d/%m/%Y}"
