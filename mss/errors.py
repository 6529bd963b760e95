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
class TrustListUnreachableError(MSSError):
    """The trust list could not be fetched; the one in force stays.

    Attributes:
        reason: `timeout`, `too-large`, `redirect`, `status-404`, `untrusted-server`…
    """

    code: ClassVar[str] = "trust-list-unreachable"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The trust list cannot be fetched; the one in force stays."
    public_text_fr: ClassVar[str] = (
        "La liste blanche est inaccessible ; celle en vigueur reste en place."
    )
    next_step: ClassVar[str] = "Check `trust.list_url`, the network, and `trust.list_ca`."

    reason: str


@dataclass(eq=False)
class PeerExpiredError(PeerNotTrustedError):
    """The peer's certificate is no longer valid, or not yet."""

    code: ClassVar[str] = "peer-expired"
    public_text: ClassVar[str] = "Your certificate is not valid today."
    public_text_fr: ClassVar[str] = "Votre certificat n'est pas valide à ce jour."
    next_step: ClassVar[str] = "Renew the operator's certificate."


@dataclass(eq=False)
class PeerRevokedError(PeerNotTrustedError):
    """The authority has revoked the peer's certificate, or one above it."""

    code: ClassVar[str] = "peer-revoked"
    public_text: ClassVar[str] = "Your certificate has been revoked."
    public_text_fr: ClassVar[str] = "Votre certificat a été révoqué."
    next_step: ClassVar[str] = "Have another certificate issued."


@dataclass(eq=False)
class PeerRevocationUnknownError(PeerNotTrustedError):
    """Nobody can tell now whether the peer's certificate was revoked: our lists are missing."""

    code: ClassVar[str] = "peer-revocation-unknown"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "Whether your certificate was revoked cannot be told now."
    public_text_fr: ClassVar[str] = (
        "Impossible de savoir pour l'instant si votre certificat a été révoqué."
    )
    next_step: ClassVar[str] = "Try again later; the administrator must renew revocation lists."


@dataclass(eq=False)
class PeerForeignAuthorityError(PeerNotTrustedError):
    """The peer's certificate leads to none of our anchors."""

    code: ClassVar[str] = "peer-foreign-authority"
    public_text: ClassVar[str] = "Your certificate was not issued by an authority trusted here."
    public_text_fr: ClassVar[str] = (
        "Votre certificat n'a pas été émis par une autorité reconnue ici."
    )
    next_step: ClassVar[str] = "Use a certificate of IGC-Santé, and send its issuing authority."


@dataclass(eq=False)
class PeerWrongUseError(PeerNotTrustedError):
    """The peer's certificate was issued for another use than this side of a connection."""

    code: ClassVar[str] = "peer-wrong-use"
    public_text: ClassVar[str] = "Your certificate was issued for another use."
    public_text_fr: ClassVar[str] = "Votre certificat a été émis pour un autre usage."
    next_step: ClassVar[str] = "Use a server certificate (SERV SSL) that is for both sides."


@dataclass(eq=False)
class PeerNameDiffersError(PeerNotTrustedError):
    """The peer's name is listed nowhere, but differs in little from one listed for the domain.

    Attributes:
        reason: The parts that differ, such as `cn` or `l,st`.
    """

    code: ClassVar[str] = "peer-name-differs"
    public_text: ClassVar[str] = (
        "The name in your certificate differs from the one that the trust list has for the domain."
    )
    public_text_fr: ClassVar[str] = (
        "Le nom de votre certificat diffère de celui de la liste blanche pour ce domaine."
    )
    next_step: ClassVar[str] = "Have the operator's entry in the trust list mended."


@dataclass(eq=False)
class PeerNotListedError(PeerNotTrustedError):
    """The trust list does not let the peer's certificate speak for the domain."""

    code: ClassVar[str] = "peer-not-listed"


@dataclass(eq=False)
class TlsRequiredError(MSSError):
    """The peer wanted to send in clear."""

    code: ClassVar[str] = "tls-required"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "Issue STARTTLS first."
    public_text_fr: ClassVar[str] = "La connexion doit d'abord être chiffrée (STARTTLS)."
    next_step: ClassVar[str] = "Turn TLS on in the outgoing relay."

    host: str


@dataclass(eq=False)
class TlsVersionError(MSSError):
    """The other side speaks no version of TLS, or no suite, that is allowed here."""

    code: ClassVar[str] = "tls-too-old"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "TLS 1.2 or later with a modern suite is required."
    public_text_fr: ClassVar[str] = "TLS 1.2 ou plus récent, avec une suite moderne, est requis."
    next_step: ClassVar[str] = "Update the TLS library of the other side."

    reason: str


@dataclass(eq=False)
class TlsHandshakeError(MSSError):
    """The handshake ended for a reason that says nothing about who the other side is."""

    code: ClassVar[str] = "tls-failed"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The TLS handshake failed."
    public_text_fr: ClassVar[str] = "La négociation TLS a échoué."
    next_step: ClassVar[str] = "Try again; compare the TLS settings of both sides."

    reason: str


@dataclass(eq=False)
class TooManyUnknownError(MSSError):
    """An operator has asked for more unknown mailboxes than a mistake explains."""

    code: ClassVar[str] = "too-many-unknown-recipients"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "Too many unknown recipients; try again later."
    public_text_fr: ClassVar[str] = "Trop de destinataires inconnus ; réessayez plus tard."
    next_step: ClassVar[str] = "Check the addresses in the directory before sending."

    limit: int


@dataclass(eq=False)
class DirectoryUnreachableError(MSSError):
    """A file of the national directory could not be fetched; the directory in force stays.

    Attributes:
        reason: `timeout`, `too-large`, `not-https`, `status-404`, `untrusted-server`…
    """

    code: ClassVar[str] = "directory-unreachable"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The directory cannot be fetched; the one in force stays."
    public_text_fr: ClassVar[str] = (
        "L'annuaire national est inaccessible ; celui en vigueur reste en place."
    )
    next_step: ClassVar[str] = "Check `directory.sources`, the network, and `directory.source_ca`."

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
class NotAdministratorError(MSSError):
    """The account is known and may not administer this operator."""

    code: ClassVar[str] = "not-administrator"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "This account may not administer the server."
    public_text_fr: ClassVar[str] = "Ce compte ne peut pas administrer le serveur."
    next_step: ClassVar[str] = "Name the account in the setting administration.accounts."


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
class VersionDiffersError(MSSError):
    """The request was made for another version than the one that is there now."""

    code: ClassVar[str] = "version-differs"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "This was changed in the meantime."
    public_text_fr: ClassVar[str] = "Ceci a été modifié entre-temps."
    next_step: ClassVar[str] = "Read the present version, and decide again."


@dataclass(eq=False)
class ChecksumDiffersError(MSSError):
    """What arrived is not what its checksum says; nothing of it was kept."""

    code: ClassVar[str] = "checksum-differs"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "What arrived does not match its checksum."
    public_text_fr: ClassVar[str] = "Ce qui est arrivé ne correspond pas à sa somme de contrôle."
    next_step: ClassVar[str] = "Send the same octets again."


@dataclass(eq=False)
class UploadIncompleteError(MSSError):
    """A file that is to be sent has not arrived as a whole."""

    code: ClassVar[str] = "upload-incomplete"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "An attached file has not been uploaded completely."
    public_text_fr: ClassVar[str] = "Un fichier joint n'a pas été envoyé en entier."
    next_step: ClassVar[str] = "Finish the upload, then send."


@dataclass(eq=False)
class UploadsFullError(MSSError):
    """The uploads of this account take as much room as they may."""

    code: ClassVar[str] = "uploads-full"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "There is no room for further uploads of this account."
    public_text_fr: ClassVar[str] = "Il n'y a plus de place pour d'autres envois de ce compte."
    next_step: ClassVar[str] = "Send or delete earlier uploads."

    limit_octets: int


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


@dataclass(eq=False)
class EncryptedForClientError(MSSError):
    """The message is encrypted for a key that only the mailbox's own software has."""

    code: ClassVar[str] = "encrypted-for-client"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "Only the software that has this mailbox's key can open this."
    public_text_fr: ClassVar[str] = (
        "Seul le logiciel qui détient la clé de cette boîte peut ouvrir ce message."
    )
    next_step: ClassVar[str] = "Fetch the message itself (`/raw`) and decrypt it with that key."


@dataclass(eq=False)
class IdentityProviderUnavailableError(MSSError):
    """The identity provider does not answer, so nobody can tell whether a token is good."""

    code: ClassVar[str] = "identity-provider-unavailable"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The identity provider cannot be reached; your token may be good."
    public_text_fr: ClassVar[str] = (
        "Le fournisseur d'identité est injoignable ; votre jeton est peut-être valable."
    )
    next_step: ClassVar[str] = "Try again in a moment; do not log in again."

    reason: str


@dataclass(eq=False)
class TooManyFailuresError(MSSError):
    """This host, or this account, failed to log in too often; nothing is checked for a while."""

    code: ClassVar[str] = "too-many-failures"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "Too many failed logins."
    public_text_fr: ClassVar[str] = "Trop de tentatives de connexion ont échoué."
    next_step: ClassVar[str] = "Wait some minutes."


@dataclass(eq=False)
class RateLimitedError(MSSError):
    """Whoever is connected has sent as much as they may in an hour."""

    code: ClassVar[str] = "rate-limited"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "Too much was sent within an hour."
    public_text_fr: ClassVar[str] = "Trop de messages ont été envoyés en une heure."
    next_step: ClassVar[str] = "Try again later; the administrator can raise the limit."

    what: str
    limit: int


@dataclass(eq=False)
class ReplyAddressNotTrustedError(MSSError):
    """Answers to the message would leave the trust space."""

    code: ClassVar[str] = "reply-address-not-trusted"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "Replies would go to an address outside the MSSanté trust space."
    public_text_fr: ClassVar[str] = (
        "Les réponses partiraient hors de l'espace de confiance MSSanté."
    )
    next_step: ClassVar[str] = "Name a secure health mail address in Reply-To."

    domain: str


@dataclass(eq=False)
class PatientAddressError(MSSError):
    """The address in the patients' domain is not made from a patient's identifier."""

    code: ClassVar[str] = "patient-address-invalid"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "A patient's address is a valid INS, 15 characters with its key."
    public_text_fr: ClassVar[str] = (
        "L'adresse d'un patient est un matricule INS valide, 15 caractères avec la clé."
    )
    next_step: ClassVar[str] = "Take the address from the qualified identity of the patient."

    address: str
    reason: str


@dataclass(eq=False)
class PatientConversationError(MSSError):
    """A patient writes without being answered to: no letter may be answered, or none any more."""

    code: ClassVar[str] = "patient-conversation-closed"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = (
        "A patient answers a professional's letter as long as the exchange is open."
    )
    public_text_fr: ClassVar[str] = (
        "Un patient répond au courrier d'un professionnel tant que l'échange est ouvert."
    )
    next_step: ClassVar[str] = "Wait for a new letter, or reach the professional by another way."

    reason: str


@dataclass(eq=False)
class DocumentRefusedError(MSSError):
    """A health document has a fault for which this operator refuses messages.

    Attributes:
        reason: Code of the finding, one of those in the setting `documents.refuse`.
    """

    code: ClassVar[str] = "document-refused"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "A health document in the message has a fault not accepted here."
    public_text_fr: ClassVar[str] = (
        "Un document de santé du message a un défaut qui n'est pas accepté ici."
    )
    next_step: ClassVar[str] = "Correct the document (`mss explain document`) and send it again."

    reason: str


@dataclass(eq=False)
class ContentRefusedError(MSSError):
    """The message carries something that this operator does not take.

    Attributes:
        reason: `virus`, `attachment-type`, `too-large-to-scan`, or what a content policy says.
    """

    code: ClassVar[str] = "content-refused"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The message carries content that is not accepted here."
    public_text_fr: ClassVar[str] = "Le message porte un contenu qui n'est pas accepté ici."
    next_step: ClassVar[str] = "Send the message without that attachment."

    reason: str


@dataclass(eq=False)
class ScannerUnavailableError(MSSError):
    """The virus scanner gives no verdict, and the settings want one."""

    code: ClassVar[str] = "scanner-unavailable"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The message cannot be scanned now; try again later."
    public_text_fr: ClassVar[str] = "Le message ne peut être analysé pour l'instant ; réessayez."
    next_step: ClassVar[str] = "Try again later."

    reason: str
