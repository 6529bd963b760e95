"""Name the profiles, extensions, identifier systems and code systems of the French directory.

Sources
    ANS, Annuaire Santé FHIR guide 1.2.0 (profiles as-dp-*); fr-core 2.2.0; NOS code systems.
    The draft guide of the secure mail interface, for the systems that older clients write.
"""

from collections.abc import Mapping
from typing import Final

PROFILES: Final = "https://interop.esante.gouv.fr/ig/fhir/annuaire/StructureDefinition"
PROFILE: Final[Mapping[str, str]] = {
    "Organization": f"{PROFILES}/as-dp-organization",
    "Practitioner": f"{PROFILES}/as-dp-practitioner",
    "PractitionerRole": f"{PROFILES}/as-dp-practitionerrole",
}
SOURCE: Final = "https://annuaire.esante.gouv.fr"
SUBSETTED: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
}

MAILBOX_METADATA: Final = f"{PROFILES}/as-ext-mailbox-mss-metadata"
ORGANIZATION_TYPES: Final = f"{PROFILES}/as-ext-organization-types"
EMAIL_TYPE: Final = (
    "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-contact-point-email-type"
)
INSEE_CODE: Final = "https://hl7.fr/ig/fhir/core/StructureDefinition/fr-core-address-insee-code"
GEOLOCATION: Final = "http://hl7.org/fhir/StructureDefinition/geolocation"

IDENTIFIER_TYPE: Final = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-0203"
ORGANIZATION_TYPE: Final = "https://hl7.fr/ig/fhir/core/CodeSystem/fr-core-cs-v2-3307"

PERSON: Final = "urn:oid:1.2.250.1.71.4.2.1"
RPPS: Final = "https://rpps.esante.gouv.fr"
ADELI: Final = "https://adeli.esante.gouv.fr"
STRUCTURE: Final = "urn:oid:1.2.250.1.71.4.2.2"
FINESS: Final = "https://finess.esante.gouv.fr"
SIRENE: Final = "https://sirene.fr"
RPPS_RANK: Final = "https://rppsrang.esante.gouv.fr"

ALIASES: Final[Mapping[str, str]] = {
    "http://finess.sante.gouv.fr": FINESS,
    "https://finess.sante.gouv.fr": FINESS,
    "http://finess.esante.gouv.fr": FINESS,
    "http://sirene.fr": SIRENE,
    "http://rpps.fr": RPPS,
    "https://rpps.fr": RPPS,
    "http://rpps.esante.gouv.fr": RPPS,
    "http://rppsrang.esante.gouv.fr": RPPS_RANK,
    "http://interopsante.org/fhir/NamingSystem/rpps": RPPS,
    "http://interopsante.org/fhir/NamingSystem/finess": FINESS,
    "http://interopsante.org/fhir/NamingSystem/siren": SIRENE,
    "http://interopsante.org/fhir/NamingSystem/siret": SIRENE,
    "1.2.250.1.71.4.2.1": PERSON,
    "1.2.250.1.71.4.2.2": STRUCTURE,
}
"""Older spellings of identifier systems, accepted in searches and never written."""


def _nos(name: str) -> str:
    return f"https://mos.esante.gouv.fr/NOS/{name}/FHIR/{name.replace('_', '-')}"


MESSAGING: Final = _nos("TRE_R256-TypeMessagerie")
MAILBOX_KIND: Final = _nos("TRE_R257-TypeBAL")
COMMUNE: Final = _nos("TRE_R13-Commune")
CATEGORY: Final = _nos("TRE_R09-CategorieProfessionnelle")
SKILL_KIND: Final = _nos("TRE_R04-TypeSavoirFaire")
ACTIVITY: Final = _nos("TRE_R22-GenreActivite")
MODE: Final = _nos("TRE_R23-ModeExercice")
SECTOR: Final = _nos("TRE_R02-SecteurActivite")
FINESS_CATEGORY: Final = _nos("TRE_R66-CategorieEtablissement")
APE: Final = _nos("TRE_R75-InseeNAFrev2Niveau5")
LEGAL_STATUS: Final = _nos("TRE_R72-FinessStatutJuridique")
_PROFESSION: Final = _nos("TRE_G15-ProfessionSante")
_SOCIAL: Final = _nos("TRE_R94-ProfessionSocial")
_TITLE: Final = _nos("TRE_R95-UsagerTitre")
_TITLES: Final = frozenset({"71", "72", "73", "93", "97"})
_SOCIAL_CODES: Final = frozenset(str(number) for number in range(41, 50)) | {"51", "52", "53"}
FUNCTION: Final = _nos("TRE_R21-Fonction")
SKILL_SYSTEMS: Final[Mapping[str, str]] = {
    "S": _nos("TRE_R38-SpecialiteOrdinale"),
    "C": _nos("TRE_R39-Competence"),
    "CEX": _nos("TRE_R40-CompetenceExclusive"),
    "DNQ": _nos("TRE_R42-DESCnonQualifiant"),
    "CAPA": _nos("TRE_R43-CapaciteSavoirFaire"),
    "PAC": _nos("TRE_R44-QualificationPAC"),
    "FQ": _nos("TRE_R45-FonctionQualifiee"),
    "DEC": _nos("TRE_R97-DroitExerciceCompl"),
}


def profession_system(code: str) -> str:
    """Name the list that a profession's code belongs to."""
    if code in _TITLES:
        return _TITLE
    return _SOCIAL if code in _SOCIAL_CODES else _PROFESSION


def skill_system(kind: str) -> str:
    """Name the list that a savoir-faire of this kind belongs to."""
    return SKILL_SYSTEMS.get(kind, SKILL_SYSTEMS["S"])


def identifier_system(text: str) -> str:
    """Return the present spelling of an identifier system."""
    plain = text.rstrip("/")
    return ALIASES.get(plain, ALIASES.get(plain.casefold(), plain))


def structure_key(key: str) -> tuple[str, str]:
    """Name the system and type of what identifies a structure in this directory."""
    is_national = key[:1] in {"1", "2", "3"} and len(key) in {10, 15}
    return (STRUCTURE, "IDNST") if is_national else (RPPS_RANK, "RPPSRG")
