"""Which HL7 codes does an error of this server become, and which SMTP code does a failure?

One table for what is answered at once, one for what became of a letter later. Both have a fallback:
what is not listed is an application error, and a failure without a number is 554.

Sources
    HL7 table 0357; ANS, tables SMTPERRORCODE and applicationErrorCondition; RFC 3463.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from mss.errors import MSSError
from mss.hl7.answers import Failure, Verdict
from mss.hl7.errors import Condition, HL7RefusedError, HL7SyntaxError, Objection

# Errors that do not speak of the recipient (PRT) and are no trouble of ours: sort, and where.
CONDITIONS: Final[Mapping[str, tuple[Condition, str]]] = MappingProxyType(
    {
        "hl7-syntax": (Condition.OTHER, ""),
        "archive-content": (Condition.APPLICATION, "OBX^1^5"),
        "cda-syntax": (Condition.DATA_TYPE, "OBX^1^5"),
        "content-refused": (Condition.APPLICATION, "OBX^1^5"),
        "domain-not-trusted": (Condition.APPLICATION, "PRT"),
        "message-too-large": (Condition.APPLICATION, "OBX^1^5"),
        "metadata-content": (Condition.APPLICATION, "OBX^1^5"),
        "protection-impossible": (Condition.APPLICATION, "PRT"),
        "recipient-unknown": (Condition.APPLICATION, "PRT"),
        "reply-address-not-trusted": (Condition.APPLICATION, "PRT"),
        "too-many-recipients": (Condition.CARDINALITY, "PRT"),
    }
)
_SYNTAX: Final[Mapping[str, tuple[Condition, str, str]]] = MappingProxyType(
    {
        "no-header": (Condition.SEQUENCE, "MSH", "A message begins with MSH"),
        "separators": (Condition.DATA_TYPE, "MSH^1^2", "The separators are not usable"),
        "charset": (Condition.TABLE, "MSH^1^18", "This character set is not read here"),
        "octets": (Condition.DATA_TYPE, "MSH^1^18", "The octets are not of the charset"),
        "segment": (Condition.OTHER, "", "A line is no segment"),
        "too-many-fields": (Condition.CARDINALITY, "", "The message has too many fields"),
        "too-many-segments": (Condition.CARDINALITY, "", "The message has too many segments"),
        "several-messages": (Condition.SEQUENCE, "MSH^2", "A frame carries one message"),
        "too-large": (Condition.OTHER, "", "The message is too large"),
    }
)

SMTP_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "101": "Le serveur n'arrive pas à se connecter.",
        "111": "Connexion refusée ou impossibilité d'ouvrir un flux SMTP.",
        "251": "Le compte du destinataire n'est pas sur le serveur actuel.",
        "252": "Le serveur ne peut pas vérifier l'utilisateur.",
        "420": "Problème de connexion de temporisation.",
        "421": "Le service est indisponible en raison d'un problème de connexion.",
        "422": "La boîte aux lettres du destinataire a dépassé sa limite de stockage.",
        "431": "Espace insuffisant sur le disque.",
        "432": "Mot de passe de transition nécessaire",
        "441": "Le serveur du destinataire ne répond pas",
        "442": "La connexion a été interrompue pendant la transmission",
        "450": "Action non effectuée : boîte-aux-lettres non disponible",
        "451": "Action arrêtée : erreur de traitement",
        "452": "Action non effectuée : manque de ressources système.",
        "500": "Erreur de syntaxe, commande non reconnue",
        "501": "Erreur de syntaxe dans des paramètres ou arguments de commande",
        "502": "Commande non implémentée",
        "503": "Mauvaise séquence de commandes",
        "504": "Paramètre de commande non implémenté",
        "510": "Mauvaise adresse courriel",
        "512": "Le serveur hôte du nom de domaine du destinataire est introuvable.",
        "513": "Le type d'adresse est incorrect.",
        "523": "La taille totale dépasse les limites du serveur destinataire.",
        "530": "L'authentification est requise.",
        "541": "L'adresse du destinataire a rejeté votre message.",
        "550": "Action non effectuée : boîte aux lettres non disponible",
        "551": "Le destinataire n'est pas hébergé par le serveur.",
        "552": "La boîte aux lettres du destinataire a dépassé ses limites.",
        "553": "Le nom de la boîte aux lettres n'est pas valide.",
        "554": "L'envoi a échoué.",
    }
)
_BY_CODE: Final = {
    "recipient-unknown": "550",
    "mailbox-closed": "550",
    "domain-not-trusted": "551",
    "domain-has-no-host": "512",
    "name-service-unavailable": "512",
    "host-not-public": "512",
    "host-unreachable": "101",
    "host-unavailable": "111",
    "peer-timeout": "441",
    "connection-lost": "442",
    "interrupted": "442",
    "message-too-large": "523",
}
_BY_STATUS: Final = {  # subject and detail of RFC 3463, without the class
    "1.1": "550",
    "1.2": "512",
    "1.3": "553",
    "1.6": "551",
    "2.1": "550",
    "2.2": "552",
    "2.3": "523",
    "3.1": "431",
    "3.4": "523",
    "4.1": "441",
    "4.2": "442",
    "4.4": "512",
    "7.1": "541",
}
_REPLY: Final = re.compile(r"\b([245][0-9]{2})[ -]")

APPLICATION_TABLE: Final = "applicationErrorCondition"
APPLICATION_LABELS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "900": "Version du document incorrecte lors d'une demande de remplacement/suppression",
        "901": "Auteur non autorisé à remplacer ou supprimer un document",
        "902": "Identifiant patient inconnu",
        "903": "INS non présent dans le document",
        "904": "L'INS transmis ne correspond pas exactement à celui stocké",
        "905": "L'INS transmis n'est pas complet",
        "906": "Autre erreur",
    }
)


def objections_to(error: MSSError) -> tuple[Verdict, tuple[Objection, ...]]:
    """Say an error in HL7: what comes by itself again when it is sent later is a rejection."""
    if isinstance(error, HL7RefusedError):
        return Verdict.ERROR, error.objections
    if isinstance(error, HL7SyntaxError):
        return Verdict.REJECTED, (syntax_objection(error.reason),)
    condition, where = CONDITIONS.get(error.code, (Condition.APPLICATION, ""))
    objection = Objection(condition=condition, where=where, code=error.code, text=error.public_text)
    return Verdict.REJECTED if error.retryable else Verdict.ERROR, (objection,)


def syntax_objection(reason: str) -> Objection:
    """Say in HL7 why octets are no message."""
    fallback = (Condition.OTHER, "", "This is not a readable HL7 v2 message")
    condition, where, text = _SYNTAX.get(reason, fallback)
    return Objection(condition=condition, where=where, code=f"hl7-{reason}", text=text)


def smtp_failure(*, code: str | None, detail: str | None, status: str | None) -> Failure:
    """Name why a letter did not arrive: the peer's own reply, or what fits best."""
    reply = _REPLY.search(detail or "")
    found = reply[1] if reply and reply[1] in SMTP_LABELS else ""
    found = found or _BY_CODE.get(code or "", "")
    found = found or _BY_STATUS.get((status or "").partition(".")[2], "554")
    return Failure(code=found, label=SMTP_LABELS[found], table="SMTPERRORCODE")


def application_failure(*, code: str, label: str) -> Failure:
    """Name why a reader's software did not take a document in."""
    known = code if code in APPLICATION_LABELS else (code if code.isdigit() else "906")
    return Failure(
        code=known,
        label=label or APPLICATION_LABELS.get(known, APPLICATION_LABELS["906"]),
        table=APPLICATION_TABLE,
    )
