"""Say what is wrong with a FHIR request, as facts that its sender may read.

Each error carries the code of the national server's OperationOutcome (`issue`, of the FHIR value
set issue-type) and the element or parameter to blame; never a value of the directory.
"""

from dataclasses import dataclass
from typing import ClassVar

from directory.errors import DirectoryError


class FhirError(DirectoryError):
    """Root of what the FHIR part refuses.

    Attributes:
        issue: Code of the FHIR value set issue-type.
        public_text_fr: `public_text`, in French.
    """

    issue: ClassVar[str] = "processing"
    public_text_fr: ClassVar[str] = "L'annuaire ne peut pas répondre."


@dataclass(eq=False)
class UnknownParameterError(FhirError):
    """A search names a parameter, or a modifier of one, that does not exist here."""

    code: ClassVar[str] = "fhir-parameter-unknown"
    issue: ClassVar[str] = "not-supported"
    public_text: ClassVar[str] = "This search parameter or modifier does not exist here."
    public_text_fr: ClassVar[str] = "Ce paramètre ou modificateur de recherche n'existe pas ici."

    parameter: str


@dataclass(eq=False)
class ParameterValueError(FhirError):
    """The value of a search parameter cannot be read."""

    code: ClassVar[str] = "fhir-parameter-value"
    issue: ClassVar[str] = "value"
    public_text: ClassVar[str] = "The value of this search parameter cannot be read."
    public_text_fr: ClassVar[str] = "La valeur de ce paramètre de recherche est illisible."

    parameter: str
    reason: str


@dataclass(eq=False)
class SnapshotGoneError(FhirError):
    """A page of a search is asked for whose state of the directory was erased."""

    code: ClassVar[str] = "fhir-snapshot-gone"
    issue: ClassVar[str] = "expired"
    public_text: ClassVar[str] = "The state of the directory that this link reads is gone."
    public_text_fr: ClassVar[str] = "L'état de l'annuaire que ce lien désigne n'existe plus."


@dataclass(eq=False)
class PatchSyntaxError(FhirError):
    """The body is not a FHIR PATCH that can be read."""

    code: ClassVar[str] = "fhir-patch-syntax"
    issue: ClassVar[str] = "invalid"
    public_text: ClassVar[str] = "The body is not a FHIR patch that this server reads."
    public_text_fr: ClassVar[str] = "Le corps n'est pas un patch FHIR que ce serveur sait lire."

    operation: int | None
    reason: str


@dataclass(eq=False)
class PatchRefusedError(FhirError):
    """The patch can be read, and asks for what no mailbox may become; nothing was changed."""

    code: ClassVar[str] = "fhir-patch-refused"
    issue: ClassVar[str] = "business-rule"
    public_text: ClassVar[str] = "A rule of the directory forbids this change."
    public_text_fr: ClassVar[str] = "Une règle de l'annuaire interdit cette modification."

    operation: int
    reason: str


@dataclass(eq=False)
class MailboxForeignError(FhirError):
    """The patch touches a mailbox that the caller may not publish; nothing was changed."""

    code: ClassVar[str] = "fhir-mailbox-foreign"
    issue: ClassVar[str] = "forbidden"
    public_text: ClassVar[str] = "The caller may not publish this mailbox."
    public_text_fr: ClassVar[str] = "L'appelant ne peut pas publier cette boîte aux lettres."

    operation: int


@dataclass(eq=False)
class MailboxAbsentError(FhirError):
    """The patch names a mailbox that the resource does not have; nothing was changed."""

    code: ClassVar[str] = "fhir-mailbox-absent"
    issue: ClassVar[str] = "not-found"
    public_text: ClassVar[str] = "The resource has no such mailbox."
    public_text_fr: ClassVar[str] = "La ressource n'a pas cette boîte aux lettres."

    operation: int


@dataclass(eq=False)
class MailboxDuplicateError(FhirError):
    """The patch inserts an address that a mailbox already has; nothing was changed."""

    code: ClassVar[str] = "fhir-mailbox-duplicate"
    issue: ClassVar[str] = "duplicate"
    public_text: ClassVar[str] = "A mailbox with this address is already published."
    public_text_fr: ClassVar[str] = "Une boîte aux lettres avec cette adresse est déjà publiée."

    operation: int


@dataclass(eq=False)
class ResourceAbsentError(FhirError):
    """No resource has this identifier."""

    code: ClassVar[str] = "fhir-resource-absent"
    issue: ClassVar[str] = "not-found"
    public_text: ClassVar[str] = "There is no such resource."
    public_text_fr: ClassVar[str] = "Cette ressource n'existe pas."


@dataclass(eq=False)
class SeveralMatchesError(FhirError):
    """A conditional request names more than one resource; nothing was changed."""

    code: ClassVar[str] = "fhir-several-matches"
    issue: ClassVar[str] = "conflict"
    public_text: ClassVar[str] = "Several resources match; name exactly one."
    public_text_fr: ClassVar[str] = "Plusieurs ressources correspondent ; désignez-en une seule."


@dataclass(eq=False)
class VersionConflictError(FhirError):
    """The resource is not the version any more that the client wants to change."""

    code: ClassVar[str] = "fhir-version-conflict"
    issue: ClassVar[str] = "conflict"
    public_text: ClassVar[str] = "The resource has changed since it was read."
    public_text_fr: ClassVar[str] = "La ressource a changé depuis sa lecture."
