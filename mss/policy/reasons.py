"""What may keep a letter from its recipient, told to the person who wrote it.

The codes are those of timelines and reports; a code that is not here is told in general words. The
status is used when the peer gave none of its own.

Sources
    RFC 3463 and its registry (enhanced status codes: 4.4 the way there, 4.7 security).
"""

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A cause in words.

    Attributes:
        status: Subject and detail of the enhanced status code, without its class: `4.1`.
    """

    status: str
    text_fr: str
    text: str


_UNREACHABLE = Reason(
    status="4.1",
    text_fr="Le serveur du destinataire est injoignable.",
    text="The recipient's server cannot be reached.",
)
_BROKEN = Reason(
    status="4.2",
    text_fr="La connexion avec le serveur du destinataire a été interrompue.",
    text="The connection with the recipient's server broke.",
)
_NO_TLS = Reason(
    status="7.4",
    text_fr="Le serveur du destinataire n'a pas accepté de chiffrer la connexion ; rien ne lui "
    "a été confié.",
    text="The recipient's server did not encrypt the connection; nothing was given to it.",
)
_NOT_RECOGNISED = Reason(
    status="7.5",
    text_fr="Le serveur joint n'est pas celui d'un opérateur habilité pour ce domaine ; rien ne "
    "lui a été confié.",
    text="The server that was reached is not one that may speak for this domain; nothing was "
    "given to it.",
)
_TOO_LARGE = Reason(
    status="3.4",
    text_fr="Le message dépasse la taille que le destinataire accepte.",
    text="The message is larger than what the recipient takes.",
)
_MALFORMED = Reason(
    status="6.0",
    text_fr="Le message a une forme que la messagerie interdit.",
    text="The message has a form that mail forbids.",
)
GENERAL: Final = Reason(
    status="0.0",
    text_fr="Le message n'a pas pu être transmis.",
    text="The message could not be handed over.",
)

REASONS: Final = MappingProxyType(
    {
        "peer-refused": Reason(
            status="0.0",
            text_fr="Le serveur du destinataire a refusé le message.",
            text="The recipient's server refused the message.",
        ),
        "peer-deferred": Reason(
            status="0.0",
            text_fr="Le serveur du destinataire n'a pas pu prendre le message.",
            text="The recipient's server could not take the message.",
        ),
        "recipient-unknown": Reason(
            status="1.1",
            text_fr="Cette boîte aux lettres n'existe pas.",
            text="There is no such mailbox.",
        ),
        "mailbox-closed": Reason(
            status="2.1",
            text_fr="Cette boîte aux lettres est fermée.",
            text="This mailbox is closed.",
        ),
        "dropped": Reason(
            status="7.0",
            text_fr="Un administrateur de votre opérateur a abandonné l'envoi.",
            text="An administrator of your operator gave up the delivery.",
        ),
        "domain-not-trusted": Reason(
            status="7.1",
            text_fr="Le domaine du destinataire n'appartient plus à l'espace de confiance MSSanté.",
            text="The recipient's domain does not belong to the MSSanté trust space any more.",
        ),
        "trust-list-missing": Reason(
            status="3.5",
            text_fr="Votre opérateur n'a pas de liste blanche en vigueur.",
            text="Your operator has no trust list in force.",
        ),
        "domain-has-no-host": Reason(
            status="1.2",
            text_fr="Le domaine du destinataire ne reçoit pas de courrier.",
            text="The recipient's domain takes no mail.",
        ),
        "name-service-unavailable": Reason(
            status="4.3",
            text_fr="Le serveur du destinataire n'a pas pu être trouvé.",
            text="The recipient's server could not be found.",
        ),
        "host-not-public": Reason(
            status="4.4",
            text_fr="Le domaine du destinataire désigne un serveur qui n'est pas sur Internet.",
            text="The recipient's domain names a server that is not on the Internet.",
        ),
        "host-unreachable": _UNREACHABLE,
        "host-unavailable": _UNREACHABLE,
        "peer-timeout": _BROKEN,
        "connection-lost": _BROKEN,
        "interrupted": _BROKEN,
        "peer-protocol": Reason(
            status="5.0",
            text_fr="Le serveur du destinataire a répondu de façon incompréhensible.",
            text="The recipient's server gave answers that mean nothing.",
        ),
        "reply-lost": Reason(
            status="4.2",
            text_fr="La réponse du serveur du destinataire s'est perdue ; il a peut-être reçu le "
            "message.",
            text="The answer of the recipient's server was lost; it may have the message.",
        ),
        "starttls-missing": _NO_TLS,
        "starttls-refused": _NO_TLS,
        "starttls-injection": _NO_TLS,
        "tls-failed": _NO_TLS,
        "certificate-untrusted": _NOT_RECOGNISED,
        "peer-not-trusted": _NOT_RECOGNISED,
        "message-too-large": _TOO_LARGE,
        "eight-bit-unsupported": Reason(
            status="6.3",
            text_fr="Le serveur du destinataire ne transmet pas les caractères accentués.",
            text="The recipient's server does not carry accented characters.",
        ),
        "bare-newline": _MALFORMED,
        "nul-octet": _MALFORMED,
        "line-too-long": _MALFORMED,
    }
)


def reason_for(code: str | None) -> Reason:
    """Find the words for a code; certificates fail in many ways that a writer need not tell."""
    if code is None:
        return GENERAL
    found = REASONS.get(code)
    if found is None and code.startswith(("certificate-", "peer-")):
        return _NOT_RECOGNISED
    return found or GENERAL
