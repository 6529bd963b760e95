"""Read and write the archive that carries health documents in a mail: `IHE_XDM.ZIP`.

Shapes
    `Archive` has submission sets, documents and findings. A document is a file that metadata
    speak about, with its octets, its fingerprint and the entry; files that no metadata name are
    kept apart and never opened. Reading trusts containment and UUIDs, not order, case or names.
    Writing gives the strict layout: explicit folders, 8.3 names in capitals, one folder for each
    submission set, the same octets for the same values.
Errors
    `ArchiveError` and its kinds (`archive-…`) when reading, on any octets. When writing:
    `CdaSyntaxError`, `MetadataContentError`, `ArchiveContentError`.
Sources
    IHE ITI TF-2, 3.32 (XDM); ANS, volet Échange de documents de santé.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from mss.clinical import finding
from mss.clinical.cda_read import parse_cda
from mss.clinical.document import CdaDocument, CdaHeader
from mss.clinical.finding import Finding
from mss.clinical.mapping import describe, describe_set, entry_uuid, sha1
from mss.clinical.metadata import (
    Action,
    Author,
    DocumentEntry,
    Metadata,
    MetadataSyntaxError,
    SubmissionSet,
    build_metadata,
    parse_metadata,
)
from mss.clinical.people import Code
from mss.clinical.xdm_pages import Application, build_index, build_readme
from mss.clinical.zip_reader import (
    ArchiveEncryptedError,
    ArchiveError,
    ArchiveLimits,
    ArchiveSyntaxError,
    ArchiveTooLargeError,
    ArchiveUnsafeError,
    ZipFileEntry,
    read_zip,
)
from mss.clinical.zip_writer import build_zip
from mss.errors import MSSError

__all__ = [
    "FILE_NAME",
    "Application",
    "Archive",
    "ArchiveContentError",
    "ArchiveDocument",
    "ArchiveEncryptedError",
    "ArchiveError",
    "ArchiveLimits",
    "ArchiveMetadataError",
    "ArchiveSyntaxError",
    "ArchiveTooLargeError",
    "ArchiveUnsafeError",
    "OutgoingDocument",
    "OutgoingSet",
    "build_archive",
    "build_archive_of_sets",
    "read_archive",
]

FILE_NAME = "IHE_XDM.ZIP"
ROOT = "IHE_XDM/"
_METADATA_PATH = re.compile(r"IHE_XDM/([^/]+)/METADATA\.XML", re.IGNORECASE)
_ISO_NAME = re.compile(r"[A-Z0-9_]{1,8}(?:\.[A-Z0-9_]{1,3})?", re.ASCII)
_ZIP_MARK = b"PK\x03\x04"
_PAGES = ("INDEX.HTM", "README.TXT")
_STYLE_SHEET = "FEUILLE-DE-STYLE"
_BEFORE_XML = b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n"  # byte order marks and blanks
_MAX_DOCUMENTS = 9999
_MAX_SETS = 99
_MAX_CONFIDENTIALITIES = 4


@dataclass(eq=False)
class ArchiveMetadataError(ArchiveError):
    """The zip is sound but is no document archive: metadata are missing or unreadable."""

    code: ClassVar[str] = "archive-metadata"
    public_text: ClassVar[str] = "The document archive has no readable metadata."
    public_text_fr: ClassVar[str] = "L'archive de documents n'a pas de métadonnées lisibles."


@dataclass(eq=False)
class ArchiveContentError(MSSError):
    """These documents cannot go into one archive."""

    code: ClassVar[str] = "archive-content"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "These documents cannot be sent in one archive."
    public_text_fr: ClassVar[str] = "Ces documents ne peuvent pas être envoyés ensemble."
    next_step: ClassVar[str] = "Send documents of one patient, each once."

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveDocument:
    """One document of an archive, as its octets are and as the metadata say they should be."""

    path: str
    octets: bytes
    sha1: str
    entry: DocumentEntry
    submission_set: SubmissionSet
    findings: tuple[Finding, ...] = ()

    @property
    def file_name(self) -> str:
        """The name within its folder."""
        return self.path.rpartition("/")[2]

    @property
    def is_cda(self) -> bool:
        """True unless it is said to be, and is, something else: a style sheet, a picture, a PDF.

        Whatever claims to be XML, and whatever begins like it, is read as a document.
        """
        kind = self.entry.type_code.code if self.entry.type_code else ""
        if kind == _STYLE_SHEET:
            return False
        mime_type = self.entry.mime_type.lower()
        claims = not mime_type or mime_type == "application/octet-stream" or "xml" in mime_type
        return claims or self.octets[:256].lstrip(_BEFORE_XML).startswith(b"<")

    @property
    def size_octets(self) -> int:
        """The real size."""
        return len(self.octets)

    @property
    def has_declared_hash(self) -> bool:
        """True if the fingerprint in the metadata is that of the octets."""
        return self.entry.hash.upper() == self.sha1

    @property
    def has_declared_size(self) -> bool:
        """True if the size in the metadata is that of the octets."""
        return self.entry.size == len(self.octets)


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """What an archive holds, and what was odd about its form."""

    submission_sets: tuple[SubmissionSet, ...]
    documents: tuple[ArchiveDocument, ...]
    other_files: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingDocument:
    """A document to put into an archive; without an action, one that replaces says so itself.

    Attributes:
        hidden_from: Codes of visibility (`MASQUE_PS`, `INVISIBLE_PATIENT` …), up to three, which
            a document does not carry itself.
        references: Numbers of the request and the examination, as `mapping.references` finds
            them; a receiver may link by them.
        format_code: The format, if its model is one that our table does not know.
        document_class: The class, likewise.
    """

    octets: bytes
    action: Action | None = None
    hidden_from: tuple[Code, ...] = ()
    references: tuple[str, ...] = ()
    format_code: Code | None = None
    document_class: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingSet:
    """What is submitted together; each set lies in a folder of its own.

    Attributes:
        set_uuid: New for each submission; every other identifier derives from it.
        content_type: The activity that led to the submission, if the first document does not say.
        sender: Who sends them, if not the author of the first document.
    """

    documents: Sequence[bytes | OutgoingDocument]
    set_uuid: UUID
    content_type: Code | None = None
    sender: Author | None = None


def read_archive(octets: bytes, limits: ArchiveLimits | None = None) -> Archive:
    """Open an archive and match its documents with what the metadata say.

    Raises:
        ArchiveError: It is no safe zip, or has no readable metadata.
    """
    files = read_zip(octets, limits or ArchiveLimits())
    subsets, findings = _subsets(files)
    documents: list[ArchiveDocument] = []
    sets: list[SubmissionSet] = []
    unreadable: list[MetadataSyntaxError] = []
    for subset in subsets:
        try:
            metadata = parse_metadata(subset.octets)
        except MetadataSyntaxError as error:
            unreadable.append(error)
            findings.append(finding.of("metadata-unreadable", name=error.reason, where=subset.path))
            continue
        sets += (metadata.submission_set, *metadata.other_sets)
        found, remarks = _match(metadata, _siblings(files, subset.path))
        documents += found
        findings += [*metadata.findings, *remarks]
    if not sets:
        raise ArchiveMetadataError(unreadable[0].reason) from unreadable[0]
    named = {one.path for one in subsets} | {one.path for one in documents}
    others = tuple(one for one in files if one.path not in named)
    return Archive(
        submission_sets=tuple(sets),
        documents=tuple(documents),
        other_files=tuple(one.path for one in others),
        findings=(*_layout_findings(files), *findings, *_unlisted_findings(others)),
    )


def build_archive(
    documents: Sequence[bytes | OutgoingDocument],
    *,
    set_uuid: UUID,
    at: datetime,
    content_type: Code | None = None,
    application: Application | None = None,
    sender: Author | None = None,
) -> bytes:
    """Write an archive of documents about one patient, submitted together.

    Args:
        documents: The CDA files, in order; they become DOC0001.XML, DOC0002.XML and so on.
        set_uuid: New for each submission; every other identifier derives from it.
        at: Instant of submission, which is also the date of every file.
        content_type: The activity that led to the submission, if the first document does not say.
        application: The software to name in README.TXT.
        sender: Who sends them, if not the author of the first document.

    Raises:
        CdaSyntaxError: A document is not CDA.
        MetadataContentError: A document lacks what metadata must say.
        ArchiveContentError: No document, too many, two patients, or one document twice.
    """
    one = OutgoingSet(
        documents=documents, set_uuid=set_uuid, content_type=content_type, sender=sender
    )
    return build_archive_of_sets([one], at=at, application=application)


def build_archive_of_sets(
    sets: Sequence[OutgoingSet], *, at: datetime, application: Application | None = None
) -> bytes:
    """Write an archive of several submissions about one patient: SUBSET01, SUBSET02 and so on.

    Raises:
        CdaSyntaxError: A document is not CDA.
        MetadataContentError: A document lacks what metadata must say.
        ArchiveContentError: No document, too many, two patients, or one document twice.
    """
    if not 0 < len(sets) <= _MAX_SETS:
        raise ArchiveContentError("number-of-sets")
    described = [_described(one, at) for one in sets]
    entries = [entry for one in described for entry in one.metadata.entries]
    if len({entry.patient_id for entry in entries}) > 1:
        raise ArchiveContentError("several-patients")
    if len({entry.unique_id for entry in entries}) < len(entries):
        raise ArchiveContentError("document-twice")
    folders: dict[str, bytes] = {}
    listed: list[tuple[str, str]] = []
    for number, one in enumerate(described, start=1):
        folder = f"{ROOT}SUBSET{number:02d}/"
        folders[folder] = b""
        folders[folder + "METADATA.XML"] = build_metadata(one.metadata)
        for entry, octets in zip(one.metadata.entries, one.files, strict=True):
            folders[folder + entry.uri] = octets
            listed.append((folder + entry.uri, entry.title))
    header = described[0].header
    files = {
        "INDEX.HTM": build_index(header),
        "README.TXT": build_readme(header, listed, application or Application()),
        ROOT: b"",
    }
    return build_zip(files | folders, at)


# Reading


def _subsets(files: Sequence[ZipFileEntry]) -> tuple[list[ZipFileEntry], list[Finding]]:
    """Find the metadata of each submission set; wherever they lie, if not where they should."""
    found = [one for one in files if _METADATA_PATH.fullmatch(one.path)]
    if found:
        return found, []
    found = [one for one in files if one.path.upper().rpartition("/")[2] == "METADATA.XML"]
    if not found:
        raise ArchiveMetadataError("missing")
    return found, [finding.of("archive-folder", where=one.path) for one in found]


def _siblings(files: Sequence[ZipFileEntry], metadata_path: str) -> dict[str, ZipFileEntry]:
    """The other files of the same folder, by name in capitals and by full path."""
    folder = metadata_path.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    beside = [one for one in files if one.path.startswith(prefix) and one.path != metadata_path]
    return {one.path.upper(): one for one in beside} | {
        one.path[len(prefix) :].upper(): one for one in beside
    }


def _match(
    metadata: Metadata, siblings: dict[str, ZipFileEntry]
) -> tuple[list[ArchiveDocument], list[Finding]]:
    prints = {one.path: sha1(one.octets) for one in siblings.values()}
    by_hash = {prints[one.path]: one for one in siblings.values()}
    documents, findings = [], []
    for entry in metadata.entries:
        name = entry.uri.strip().replace("\\", "/").removeprefix("./").upper()
        by_name = siblings.get(name)
        file = by_name or by_hash.get(entry.hash.upper())
        if file is None:
            findings.append(_missing(entry))
            continue
        documents.append(
            ArchiveDocument(
                path=file.path,
                octets=file.octets,
                sha1=prints[file.path],
                entry=entry,
                submission_set=metadata.submission_set,
                findings=() if by_name else (_found_by_hash(file.path),),
            )
        )
    return documents, findings


def _missing(entry: DocumentEntry) -> Finding:
    return finding.of("document-missing", where=_printable(entry.uri))


def _found_by_hash(path: str) -> Finding:
    return finding.of("document-name", where=path)


def _layout_findings(files: Sequence[ZipFileEntry]) -> Iterator[Finding]:
    paths = {one.path.upper() for one in files}
    for name in _PAGES:
        if name not in paths:
            yield finding.of("archive-layout", name=name, where=name)
    for one in files:
        if not all(_ISO_NAME.fullmatch(part) for part in one.path.split("/")):
            yield finding.of("archive-name", where=one.path)


def _unlisted_findings(files: Sequence[ZipFileEntry]) -> Iterator[Finding]:
    for one in files:
        name = one.path.upper()
        if name in _PAGES:
            continue
        if one.octets.startswith(_ZIP_MARK):
            yield finding.of("archive-nested", where=one.path)
        elif name.endswith((".XSL", ".XSLT", ".CSS")):
            yield finding.of("style-sheet-ignored", where=one.path)
        else:
            yield finding.of("file-not-listed", where=one.path)


def _printable(text: str) -> str:
    return "".join(letter for letter in text[:64] if letter.isprintable())


# Writing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Described:
    """A submission set with its metadata derived and its files."""

    header: CdaHeader
    metadata: Metadata
    files: tuple[bytes, ...]


def _described(one: OutgoingSet, at: datetime) -> _Described:
    outgoing = [
        each if isinstance(each, OutgoingDocument) else OutgoingDocument(octets=each)
        for each in one.documents
    ]
    if not 0 < len(outgoing) <= _MAX_DOCUMENTS:
        raise ArchiveContentError("number-of-documents")
    read = [parse_cda(each.octets) for each in outgoing]
    entries = tuple(
        _entry(document, each, number, one.set_uuid)
        for number, (document, each) in enumerate(zip(read, outgoing, strict=True), start=1)
    )
    submission = describe_set(
        read[0].header, set_uuid=one.set_uuid, at=at, content_type=one.content_type
    )
    if one.sender is not None:
        submission = replace(submission, authors=(one.sender,))
    return _Described(
        header=read[0].header,
        metadata=Metadata(submission_set=submission, entries=entries),
        files=tuple(each.octets for each in outgoing),
    )


def _entry(
    document: CdaDocument, outgoing: OutgoingDocument, number: int, set_uuid: UUID
) -> DocumentEntry:
    made = describe(document, outgoing.octets, uri=f"DOC{number:04d}.XML", action=outgoing.action)
    confidentiality = (*made.confidentiality, *outgoing.hidden_from)
    codes = [one.code for one in confidentiality]
    if len(set(codes)) < len(codes) or len(codes) > _MAX_CONFIDENTIALITIES:
        raise ArchiveContentError("confidentiality")
    return replace(
        made,
        entry_uuid=entry_uuid(set_uuid, made.unique_id).urn,
        confidentiality=confidentiality,
        references=outgoing.references or made.references,
        format_code=outgoing.format_code or made.format_code,
        class_code=outgoing.document_class or made.class_code,
    )
