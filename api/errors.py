"""What only this door refuses: the form of an HTTP request, before any use case is called.

They are `MSSError`s so that one table (`api/problems.py`) answers for all of them.
"""

from dataclasses import dataclass, field
from typing import ClassVar

from mss.errors import MSSError


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One field of a request, and what is wrong with it; never the value itself."""

    field: str
    reason: str


@dataclass(eq=False)
class InvalidFieldsError(MSSError):
    """Fields of the request do not have the form that the schema asks for."""

    code: ClassVar[str] = "invalid-request"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "A field of the request is not valid."
    public_text_fr: ClassVar[str] = "Un champ de la demande n'est pas valide."
    next_step: ClassVar[str] = "Correct the fields that are named and send again."

    errors: tuple[FieldError, ...] = field(default=())


@dataclass(eq=False)
class MalformedJSONError(MSSError):
    """The octets of the body are not JSON in UTF-8."""

    code: ClassVar[str] = "malformed-json"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The body of the request is not valid JSON in UTF-8."
    public_text_fr: ClassVar[str] = "Le corps de la demande n'est pas du JSON valide en UTF-8."
    next_step: ClassVar[str] = "Correct the software that wrote the request."


@dataclass(eq=False)
class JSONTooComplexError(MSSError):
    """The JSON is nested deeper, or has more elements, than any request of this interface."""

    code: ClassVar[str] = "json-too-complex"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The JSON of the request is too deep or has too many elements."
    public_text_fr: ClassVar[str] = (
        "Le JSON de la demande est trop imbriqué ou comporte trop d'éléments."
    )
    next_step: ClassVar[str] = "Send the shape that the documentation shows."


@dataclass(eq=False)
class MalformedFormError(MSSError):
    """The body says `multipart/form-data` and is not (RFC 7578)."""

    code: ClassVar[str] = "malformed-form"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The body of the request is not valid multipart/form-data."
    public_text_fr: ClassVar[str] = "Le corps de la demande n'est pas un formulaire valide."
    next_step: ClassVar[str] = "Send one JSON part named `draft`, and one part for each file."

    reason: str


@dataclass(eq=False)
class RequestTooLargeError(MSSError):
    """The body is larger than this request may be; it was not read to its end."""

    code: ClassVar[str] = "request-too-large"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The request is larger than this server accepts."
    public_text_fr: ClassVar[str] = "La demande dépasse la taille acceptée par ce serveur."
    next_step: ClassVar[str] = "Send fewer or smaller attachments."

    limit_octets: int


@dataclass(eq=False)
class UnsupportedMediaTypeError(MSSError):
    """The body is of a kind, or compressed in a way, that this resource does not read."""

    code: ClassVar[str] = "unsupported-media-type"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The body of the request is of a kind that is not read here."
    public_text_fr: ClassVar[str] = "Le corps de la demande est d'un type qui n'est pas lu ici."
    next_step: ClassVar[str] = "Send one of the media types of the `Accept` field, not compressed."

    accepted: tuple[str, ...]


@dataclass(eq=False)
class NotAcceptableError(MSSError):
    """The client accepts none of the forms that exist."""

    code: ClassVar[str] = "not-acceptable"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "This does not exist in a form that the request accepts."
    public_text_fr: ClassVar[str] = "Ceci n'existe sous aucune forme acceptée par la demande."
    next_step: ClassVar[str] = "Widen the Accept field, or name the form in the address."


@dataclass(eq=False)
class MethodNotAllowedError(MSSError):
    """The resource exists, but not for this method."""

    code: ClassVar[str] = "method-not-allowed"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "This resource does not answer to this method."
    public_text_fr: ClassVar[str] = "Cette ressource ne répond pas à cette méthode."
    next_step: ClassVar[str] = "Use one of the methods of the Allow field."

    allowed: tuple[str, ...]


@dataclass(eq=False)
class BadRequestError(MSSError):
    """The request cannot be read at all."""

    code: ClassVar[str] = "bad-request"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The request cannot be read."
    public_text_fr: ClassVar[str] = "La demande est illisible."
    next_step: ClassVar[str] = "Correct the software that wrote the request."


@dataclass(eq=False)
class CursorExpiredError(MSSError):
    """The cursor was good, and what it points into is gone."""

    code: ClassVar[str] = "cursor-expired"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The list has changed since this page reference was given."
    public_text_fr: ClassVar[str] = "La liste a changé depuis que cette référence a été donnée."
    next_step: ClassVar[str] = "Begin again at the first page."


@dataclass(eq=False)
class AddressTooLongError(MSSError):
    """The query of the request's address is longer than any that this interface reads."""

    code: ClassVar[str] = "address-too-long"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The address of the request is too long."
    public_text_fr: ClassVar[str] = "L'adresse de la demande est trop longue."
    next_step: ClassVar[str] = "Send fewer or shorter parameters."

    limit_octets: int


@dataclass(eq=False)
class RequestTimeoutError(MSSError):
    """The body did not arrive in the time that a transfer may take."""

    code: ClassVar[str] = "request-timeout"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The request did not arrive in time."
    public_text_fr: ClassVar[str] = "La demande n'est pas arrivée à temps."
    next_step: ClassVar[str] = "Send it again over a better connection."


@dataclass(eq=False)
class TusVersionError(MSSError):
    """A request about an upload does not name the version of the protocol that is spoken here."""

    code: ClassVar[str] = "tus-version"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "Uploads are read as tus 1.0.0 only."
    public_text_fr: ClassVar[str] = "Les envois de fichiers suivent tus 1.0.0 uniquement."
    next_step: ClassVar[str] = "Send the field Tus-Resumable: 1.0.0."
