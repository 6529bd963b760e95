"""What this server refuses, and in which words.

Every error raised on purpose is an `MSSError`: a fact (its fields), a permanent `code`, and texts
that a stranger may read. The doors translate codes to protocol numbers in one table each
(`mss/smtp/replies.py`, `api/problems.py`); nothing below the doors knows such a number.

Errors that belong to one folder live in that folder; these are shared by several.
"""

from dataclasses import dataclass
from typing import ClassVar


class MSSError(Exception):
    """Root of what this server raises on purpose.

    Attributes:
        code: Permanent kebab-case name, part of the API, listed in docs/errors.md.
        retryable: True if the same request may succeed later.
        public_text: What a stranger may read: no address, host, path or cause.
        public_text_fr: The same sentence in French, for people.
        next_step: What the reader can do about it, in English; may be empty.
    """

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The server had an internal problem."
    public_text_fr: ClassVar[str] = "Le serveur a rencontré un problème interne."
    next_step: ClassVar[str] = "Try again later; tell the administrator if it lasts."

    def __str__(self) -> str:
        """Say the code and the facts, for the log."""
        facts = ", ".join(f"{key}={value!r}" for key, value in vars(self).items())
        return f"{self.code} ({facts})" if facts else self.code


@dataclass(eq=False)
class SettingsError(MSSError):
    """The settings cannot be used as they are."""

    code: ClassVar[str] = "settings-invalid"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The server's settings are not valid."
    public_text_fr: ClassVar[str] = "La configuration du serveur n'est pas valide."
    next_step: ClassVar[str] = "Run `mss config check`."

    reason: str


@dataclass(eq=False)
class StoreFullError(MSSError):
    """There is no room left where bodies or rows are kept."""

    code: ClassVar[str] = "store-full"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The server has no room left; keep the message and try again."
    public_text_fr: ClassVar[str] = (
        "Le serveur n'a plus de place ; conservez le message et réessayez."
    )
    next_step: ClassVar[str] = "Try again later; the administrator must free disk space."

    where: str


@dataclass(eq=False)
class StoreUnavailableError(MSSError):
    """The database or the blob store does not answer."""

    code: ClassVar[str] = "store-unavailable"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The server cannot reach its storage; try again later."
    public_text_fr: ClassVar[str] = "Le serveur ne joint pas son stockage ; réessayez plus tard."
    next_step: ClassVar[str] = "Try again later."

    reason: str


@dataclass(eq=False)
class MessageTooLargeError(MSSError):
    """The message is larger than this server accepts."""

    code: ClassVar[str] = "message-too-large"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The message is larger than this server accepts."
    public_text_fr: ClassVar[str] = "Le message dépasse la taille acceptée par ce serveur."
    next_step: ClassVar[str] = "Send fewer or smaller attachments."

    size_octets: int
    limit_octets: int


@dataclass(eq=False)
class TooManyRecipientsError(MSSError):
    """The envelope names more recipients than this server accepts at once."""

    code: ClassVar[str] = "too-many-recipients"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "There are too many recipients for one message."
    public_text_fr: ClassVar[str] = "Le message a trop de destinataires."
    next_step: ClassVar[str] = "Send the message in several parts."

    limit: int


@dataclass(eq=False)
class RecipientUnknownError(MSSError):
    """The address is in one of our domains but names no open mailbox."""

    code: ClassVar[str] = "recipient-unknown"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "There is no mailbox at this address."
    public_text_fr: ClassVar[str] = "Aucune boîte aux lettres n'existe à cette adresse."
    next_step: ClassVar[str] = "Check the address in the directory."

    address: str


@dataclass(eq=False)
class MailboxFullError(MSSError):
    """The mailbox has used up its quota; the sender keeps the message and may try again."""

    code: ClassVar[str] = "mailbox-full"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The recipient's mailbox is full; try again later."
    public_text_fr: ClassVar[str] = (
        "La boîte aux lettres du destinataire est pleine ; réessayez plus tard."
    )
    next_step: ClassVar[str] = "Try again later, or reach the recipient by another way."

    address: str


@dataclass(eq=False)
class DomainNotTrustedError(MSSError):
    """The recipient's domain is not in the trust list: mail to it never leaves."""

    code: ClassVar[str] = "domain-not-trusted"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = (
        "The recipient's domain does not belong to the MSSanté trust space."
    )
    public_text_fr: ClassVar[str] = (
        "Le domaine du destinataire n'appartient pas à l'espace de confiance MSSanté."
    )
    next_step: ClassVar[str] = "Use a secure health mail address of the recipient."

    domain: str


@dataclass(eq=False)
class SenderNotAllowedError(MSSError):
    """Whoever is connected may not write as this address."""

    code: ClassVar[str] = "sender-not-allowed"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "You may not send from this address."
    public_text_fr: ClassVar[str] = "Vous ne pouvez pas envoyer depuis cette adresse."
    next_step: ClassVar[str] = "Send from a mailbox that you hold."

    address: str


@dataclass(eq=False)
class PeerNotTrustedError(MSSError):
    """The peer's certificate is not one that the trust list allows for this domain."""

    code: ClassVar[str] = "peer-not-trusted"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = (
        "Your certificate is not listed for the sender's domain in the trust list."
    )
    public_text_fr: ClassVar[str] = (
        "Votre certificat n'est pas listé pour le domaine de l'expéditeur dans la liste blanche."
    )
    next_step: ClassVar[str] = "Check the operator's entry in the trust list."

    domain: str
    reason: str


@dataclass(eq=False)
class TrustListMissingError(MSSError):
    """No trust list is loaded, so nobody can be told from a stranger."""

    code: ClassVar[str] = "trust-list-missing"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The server has no trust list yet; try again later."
    public_text_fr: ClassVar[str] = (
        "Le serveur n'a pas encore de liste blanche ; réessayez plus tard."
    )
    next_step: ClassVar[str] = "Run `mss trust load`."


@dataclass(eq=False)
class NotFoundError(MSSError):
    """The thing does not exist, or must not be seen by whoever asks: the answer is the same."""

    code: ClassVar[str] = "not-found"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "There is no such thing here, or it is not yours to see."
    public_text_fr: ClassVar[str] = "Cet élément n'existe pas ici, ou ne vous est pas visible."
    next_step: ClassVar[str] = "Check the identifier and the mailbox that you act for."

    what: str


@dataclass(eq=False)
class NotAuthenticatedError(MSSError):
    """The credentials are missing, unknown, wrong or over; the answer never says which."""

    code: ClassVar[str] = "not-authenticated"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The credentials are missing or not valid."
    public_text_fr: ClassVar[str] = "Les identifiants sont absents ou non valides."
    next_step: ClassVar[str] = "Log in again, or ask the administrator for a new token."


@dataclass(eq=False)
class ConflictError(MSSError):
    """The request contradicts what is already there."""

    code: ClassVar[str] = "conflict"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The request contradicts what already exists."
    public_text_fr: ClassVar[str] = "La demande contredit ce qui existe déjà."
    next_step: ClassVar[str] = "Read the present state and decide again."

    what: str


@dataclass(eq=False)
class InvalidRequestError(MSSError):
    """A field of the request does not have the form that it must have."""

    code: ClassVar[str] = "invalid-request"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "A field of the request is not valid."
    public_text_fr: ClassVar[str] = "Un champ de la demande n'est pas valide."
    next_step: ClassVar[str] = "Correct the field that is named and send again."

    field: str
    reason: str


@dataclass(eq=False)
class MessageRefusedError(MSSError):
    """The message contradicts itself or the rules of mail; `code` of the cause says how.

    The parser's and the crypto island's own errors are foreign to the doors: the pipeline re-raises
    them as this one, with their permanent code kept as a fact.
    """

    code: ClassVar[str] = "message-refused"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The message is not well formed and cannot be accepted."
    public_text_fr: ClassVar[str] = "Le message est mal formé et ne peut pas être accepté."
    next_step: ClassVar[str] = "Correct the software that wrote the message."

    reason: str


@dataclass(eq=False)
class ProtectionImpossibleError(MSSError):
    """The message cannot be protected as the policy asks, so it is not accepted."""

    code: ClassVar[str] = "protection-impossible"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The message cannot be encrypted for this recipient."
    public_text_fr: ClassVar[str] = "Le message ne peut pas être chiffré pour ce destinataire."
    next_step: ClassVar[str] = "Ask the recipient's operator to publish a valid certificate."

    address: str
    reason: str
