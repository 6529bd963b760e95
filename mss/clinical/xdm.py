"""Read and write the archive that carries health documents in a mail: `IHE_XDM.ZIP`.

Shapes
    `Archive` has submission sets, documents and findings. A document is a file that metadata
    speak about, with its octets, its fingerprint and the entry; files that no metadata name are
    kept apart and never opened. Reading trusts containment and UUIDs, not order, case or names.
    Writing gives the strict layout: explicit folders, 8.3 names in capitals, one submission set,
    the same octets for the same values.
Errors
    `ArchiveError` and its kinds (`archive-…`) when reading, on any octets. When writing:
    `CdaSyntaxError`, `MetadataContentError`, `ArchiveContentError`.
Sources
    IHE ITI TF-2, 3.32 (XDM); ANS, volet Échange de documents de santé.
"""

import io
import re
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar
from uuid import UUID
from xml.sax.saxutils import escape

from mss.clinical import finding
from mss.clinical.cda_read import parse_cda
from mss.clinical.document import CdaDocument
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
    "build_archive",
    "read_archive",
]

FILE_NAME = "IHE_XDM.ZIP"
FOLDER = "IHE_XDM/SUBSET01/"
_METADATA_PATH = re.compile(r"IHE_XDM/([^/]+)/METADATA\.XML", re.IGNORECASE)
_ISO_NAME = re.compile(r"[A-Z0-9_]{1,8}(?:\.[A-Z0-9_]{1,3})?", re.ASCII)
_ZIP_MARK = b"PK\x03\x04"
_MAX_DOCUMENTS = 9999


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

    *hidden_from* holds codes of visibility (`MASQUE_PS`, `INVISIBLE_PATIENT` …), which a document
    does not carry itself.
    """

    octets: bytes
    action: Action | None = None
    hidden_from: tuple[Code, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The software named in README.TXT."""

    name: str = "mss"
    version: str = "0.1"
    vendor: str = "mss"


def read_archive(octets: bytes, limits: ArchiveLimits | None = None) -> Archive:
    """Open an archive and match its documents with what the metadata say.

    Raises:
        ArchiveError: It is no safe zip, or has no readable metadata.
    """
    files = read_zip(octets, limits or ArchiveLimits())
    subsets = [one for one in files if _METADATA_PATH.fullmatch(one.path)]
    if not subsets:
        raise ArchiveMetadataError("missing")
    documents: list[ArchiveDocument] = []
    sets: list[SubmissionSet] = []
    findings = list(_layout_findings(files))
    for subset in subsets:
        try:
            metadata = parse_metadata(subset.octets)
        except MetadataSyntaxError as error:
            raise ArchiveMetadataError(error.reason) from error
        sets.append(metadata.submission_set)
        found, remarks = _match(metadata, _siblings(files, subset.path))
        documents += found
        findings += [*metadata.findings, *remarks]
    named = {one.path for one in subsets} | {one.path for one in documents}
    others = tuple(one for one in files if one.path not in named)
    return Archive(
        submission_sets=tuple(sets),
        documents=tuple(documents),
        other_files=tuple(one.path for one in others),
        findings=(*findings, *_unlisted_findings(others)),
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
    """Write an archive of documents about one patient.

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
    outgoing = [
        one if isinstance(one, OutgoingDocument) else OutgoingDocument(octets=one)
        for one in documents
    ]
    read = [parse_cda(one.octets) for one in outgoing]
    if not 0 < len(read) <= _MAX_DOCUMENTS:
        raise ArchiveContentError("number-of-documents")
    entries = tuple(
        _entry(document, one, number, set_uuid)
        for number, (document, one) in enumerate(zip(read, outgoing, strict=True), start=1)
    )
    if len({entry.patient_id for entry in entries}) > 1:
        raise ArchiveContentError("several-patients")
    if len({entry.unique_id for entry in entries}) < len(entries):
        raise ArchiveContentError("document-twice")
    submission = describe_set(read[0].header, set_uuid=set_uuid, at=at, content_type=content_type)
    if sender is not None:
        submission = replace(submission, authors=(sender,))
    files = {
        "INDEX.HTM": _index(read[0]),
        "README.TXT": _readme(read[0], entries, application or Application()),
        "IHE_XDM/": b"",
        FOLDER: b"",
        FOLDER + "METADATA.XML": build_metadata(
            Metadata(submission_set=submission, entries=entries)
        ),
    }
    for entry, one in zip(entries, outgoing, strict=True):
        files[FOLDER + entry.uri] = one.octets
    return _zip(files, at)


# Reading


def _siblings(files: Sequence[ZipFileEntry], metadata_path: str) -> dict[str, ZipFileEntry]:
    """The other files of the same folder, by name in capitals."""
    folder = metadata_path.rpartition("/")[0]
    return {
        one.path[len(folder) + 1 :].upper(): one
        for one in files
        if one.path.startswith(f"{folder}/") and one.path != metadata_path
    }


def _match(
    metadata: Metadata, siblings: dict[str, ZipFileEntry]
) -> tuple[list[ArchiveDocument], list[Finding]]:
    by_hash = {sha1(one.octets): one for one in siblings.values()}
    documents, findings = [], []
    for entry in metadata.entries:
        by_name = siblings.get(entry.uri.strip().removeprefix("./").upper())
        file = by_name or by_hash.get(entry.hash.upper())
        if file is None:
            findings.append(_missing(entry))
            continue
        documents.append(
            ArchiveDocument(
                path=file.path,
                octets=file.octets,
                sha1=sha1(file.octets),
                entry=entry,
                submission_set=metadata.submission_set,
                findings=() if by_name else (_found_by_hash(file.path),),
            )
        )
    return documents, findings


def _missing(entry: DocumentEntry) -> Finding:
    return finding.error(
        "document-missing",
        "The metadata name a document that is not in the archive.",
        "Les métadonnées désignent un document absent de l'archive.",
        where=_printable(entry.uri),
    )


def _found_by_hash(path: str) -> Finding:
    return finding.warning(
        "document-name",
        "The metadata give another file name; the document was found by its fingerprint.",
        "Les métadonnées donnent un autre nom de fichier ; l'empreinte a permis de le retrouver.",
        where=path,
    )


def _layout_findings(files: Sequence[ZipFileEntry]) -> Iterator[Finding]:
    paths = {one.path.upper() for one in files}
    for name in ("INDEX.HTM", "README.TXT"):
        if name not in paths:
            yield finding.info(
                "archive-layout",
                f"{name} is missing.",
                f"{name} est absent.",
                where=name,
            )
    for one in files:
        if not all(_ISO_NAME.fullmatch(part) for part in one.path.split("/")):
            yield finding.warning(
                "archive-name",
                "A file name is not in the 8.3 form, in capitals, that archives use.",
                "Un nom de fichier n'a pas la forme 8.3, en capitales, des archives.",
                where=one.path,
            )


def _unlisted_findings(files: Sequence[ZipFileEntry]) -> Iterator[Finding]:
    for one in files:
        if one.path.upper() in {"INDEX.HTM", "README.TXT"}:
            continue
        if one.octets.startswith(_ZIP_MARK):
            yield finding.warning(
                "archive-nested",
                "The archive holds another archive, which was left closed.",
                "L'archive en contient une autre, qui n'a pas été ouverte.",
                where=one.path,
            )
        else:
            yield finding.info(
                "file-not-listed",
                "A file is not described by the metadata and was ignored.",
                "Un fichier n'est pas décrit par les métadonnées et a été ignoré.",
                where=one.path,
            )


def _printable(text: str) -> str:
    return "".join(letter for letter in text[:64] if letter.isprintable())


# Writing


def _entry(
    document: CdaDocument, outgoing: OutgoingDocument, number: int, set_uuid: UUID
) -> DocumentEntry:
    made = describe(document, outgoing.octets, uri=f"DOC{number:04d}.XML", action=outgoing.action)
    return replace(
        made,
        entry_uuid=entry_uuid(set_uuid, made.unique_id).urn,
        confidentiality=(*made.confidentiality, *outgoing.hidden_from),
    )


def _index(document: CdaDocument) -> bytes:
    name, number = _sender(document)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n'
        '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" '
        '"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd">\r\n'
        '<html xmlns="http://www.w3.org/1999/xhtml" xml:lang="fr" lang="fr">\r\n'
        "<head><title>Documents de sant&#233;</title></head>\r\n"
        "<body>\r\n"
        f"<p>&#201;metteur : {escape(name)} ({escape(number)})</p>\r\n"
        '<p><a href="README.TXT">README.TXT</a></p>\r\n'
        "</body>\r\n"
        "</html>\r\n"
    ).encode("ascii", "xmlcharrefreplace")


def _readme(
    document: CdaDocument, entries: Sequence[DocumentEntry], application: Application
) -> bytes:
    name, number = _sender(document)
    keeper = document.header.custodian
    lines = [
        "Emetteur",
        f"  Organisation : {name}",
        f"  Identifiant national : {number}",
        *(
            f"  Adresse : {line}"
            for line in (keeper.address.lines if keeper and keeper.address else ())
        ),
        *(f"  Contact : {one.value}" for one in (keeper.telecoms if keeper else ())),
        "Application",
        f"  {application.name} {application.version}, {application.vendor}",
        "Mode d'emploi",
        "  Cette archive contient des documents de sante et leurs metadonnees (profil IHE XDM).",
        "  Un logiciel de professionnel de sante sait la lire ; les memes documents accompagnent",
        "  le message au format PDF.",
        "Contenu",
        "  INDEX.HTM",
        "  README.TXT",
        "  IHE_XDM/SUBSET01/METADATA.XML",
        *(f"  IHE_XDM/SUBSET01/{entry.uri} : {entry.title}" for entry in entries),
    ]
    return "".join(f"{_ascii(line)}\r\n" for line in lines).encode("ascii")


def _sender(document: CdaDocument) -> tuple[str, str]:
    keeper = document.header.custodian
    number = (keeper.id.extension or keeper.id.root) if keeper and keeper.id else ""
    return (keeper.name if keeper else ""), number


def _ascii(text: str) -> str:
    """Write without accents: the rule for README.TXT is 7-bit text."""
    plain = unicodedata.normalize("NFKD", text.replace("\u2019", "'").replace("œ", "oe"))
    kept = plain.encode("ascii", "ignore").decode("ascii")
    return "".join(letter for letter in kept if letter.isprintable())


def _zip(files: dict[str, bytes], at: datetime) -> bytes:
    """Write a zip whose octets depend on nothing but the files and the instant."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for path, octets in files.items():
            line = zipfile.ZipInfo(path, _dos_time(at.astimezone(UTC)))
            line.create_system = 0  # MS-DOS: no owner, no mode
            line.external_attr = 0x10 if path.endswith("/") else 0x20
            line.compress_type = zipfile.ZIP_STORED if path.endswith("/") else zipfile.ZIP_DEFLATED
            made.writestr(line, octets)
    return out.getvalue()


def _dos_time(at: datetime) -> tuple[int, int, int, int, int, int]:
    """Zip dates begin in 1980 and end in 2107."""
    year = min(max(at.year, 1980), 2107)
    return year, at.month, at.day, at.hour, at.minute, at.second
