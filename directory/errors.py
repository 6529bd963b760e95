"""Say what went wrong in the directory, as facts.

Each class carries a permanent `code`, whether the same request may succeed later, and a text that a
stranger may read. The facts never hold a whole address or a name: they may end in a log.
"""

from dataclasses import dataclass, fields
from typing import ClassVar

from directory.findings import Finding


class DirectoryError(Exception):
    """Root of what the directory raises on purpose.

    Attributes:
        code: Permanent kebab-case name, part of the API.
        retryable: True if the same request may succeed later.
        public_text: What a stranger may read: no address, host, path or cause.
    """

    code: ClassVar[str] = "directory"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The directory cannot answer."

    def __str__(self) -> str:
        facts = getattr(self, "__dataclass_fields__", None)
        if not facts:
            return self.code
        shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self))  # type: ignore[arg-type]
        return f"{self.code}: {shown}"


@dataclass(eq=False)
class AddressSyntaxError(DirectoryError):
    """The text is not an address or a domain that can be read in exactly one way."""

    code: ClassVar[str] = "address-syntax"
    public_text: ClassVar[str] = "This is not a valid address."

    reason: str


@dataclass(eq=False)
class IdentifierSyntaxError(DirectoryError):
    """The text does not have the shape of the identifier."""

    code: ClassVar[str] = "identifier-syntax"
    public_text: ClassVar[str] = "This identifier does not have the expected shape."

    kind: str
    reason: str


@dataclass(eq=False)
class IdentifierCheckError(DirectoryError):
    """The shape is right but the check digit is not, so a digit was mistyped."""

    code: ClassVar[str] = "identifier-check"
    public_text: ClassVar[str] = "The check digit of this identifier is wrong: a digit is mistyped."

    kind: str


@dataclass(eq=False)
class DistinguishedNameSyntaxError(DirectoryError):
    """The text is not a distinguished name."""

    code: ClassVar[str] = "distinguished-name-syntax"
    public_text: ClassVar[str] = "This is not a valid distinguished name."

    reason: str


@dataclass(eq=False)
class TrustListSyntaxError(DirectoryError):
    """The octets are not a trust list (liste blanche) that can be relied on."""

    code: ClassVar[str] = "trust-list-syntax"
    public_text: ClassVar[str] = "This is not a valid trust list."

    reason: str


@dataclass(eq=False)
class ExtractionSyntaxError(DirectoryError):
    """The file is not one of the national extractions, or not one that can be read."""

    code: ClassVar[str] = "extraction-syntax"
    public_text: ClassVar[str] = "This is not a readable directory extraction."

    reason: str
    file_name: str


@dataclass(eq=False)
class SnapshotRefusedError(DirectoryError):
    """The files are readable but implausible: the directory in force stays in force."""

    code: ClassVar[str] = "snapshot-refused"
    public_text: ClassVar[str] = "The new directory is implausible; the one in force was kept."

    findings: tuple[Finding, ...]


@dataclass(eq=False)
class ImportRunningError(DirectoryError):
    """Another import of the directory is under way; there is one at a time."""

    code: ClassVar[str] = "directory-import-running"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The directory is being renewed; please try again later."


@dataclass(eq=False)
class SearchNotReadyError(DirectoryError):
    """The search index of this machine is being made; nobody waits for all of it."""

    code: ClassVar[str] = "directory-search-not-ready"
    retryable: ClassVar[bool] = True
    public_text: ClassVar[str] = "The directory is being prepared; please try again later."


@dataclass(eq=False)
class CursorSyntaxError(DirectoryError):
    """The page cursor was not made by us."""

    code: ClassVar[str] = "directory-cursor-syntax"
    public_text: ClassVar[str] = "This page reference is not valid."


@dataclass(eq=False)
class CursorExpiredError(DirectoryError):
    """The directory was replaced since the first page was read: start the search again."""

    code: ClassVar[str] = "directory-cursor-expired"
    public_text: ClassVar[str] = "The directory has changed since; please search again."
