"""Is there a body, and are the files inside a document what they are called?

Files are known by their first octets, not by what the sender says. A PDF is looked at, never run:
it must begin and end as one, and is searched for what acts by itself.

Errors
    None.
Sources
    ANS, CI-SIS, volet Structuration minimale (kinds of bodies); ISO 32000-1, 7.5 (file structure).
"""

import re
from collections.abc import Iterator

from mss.clinical import finding
from mss.clinical.cda_read import embedded_files
from mss.clinical.document import BodyKind, CdaDocument, CdaSyntaxError, EmbeddedFile
from mss.clinical.finding import Finding

PDF = "application/pdf"
_MARKS = {
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/tiff": (b"II*\x00", b"MM\x00*"),
    "text/rtf": (b"{\\rtf",),
    "application/rtf": (b"{\\rtf",),
}
_ACTIVE_PDF = re.compile(rb"/(?:JavaScript|JS|Launch|RichMedia)[\s(<\[/]")
_ENCRYPTED_PDF = re.compile(rb"/Encrypt[\s<]")
_PDF_MARK, _PDF_END = b"%PDF-", b"%%EOF"
_PDF_EDGE = 1024  # octets at either end in which readers look for the marks


def check_body(cda: CdaDocument, octets: bytes, where: str) -> Iterator[Finding]:
    """Say what is wrong with the body and the files in it."""
    if cda.body is BodyKind.OTHER:
        yield finding.of("body-media-type", where=where)
    try:
        files = embedded_files(octets) if _may_hold_files(octets) else ()
    except CdaSyntaxError as error:
        yield finding.of("body-unreadable", name=error.reason, where=where)
        return
    is_file = cda.body not in {BodyKind.STRUCTURED, BodyKind.NONE}
    if cda.body is BodyKind.NONE or (is_file and not files):
        yield finding.of("body-missing", where=where)
    for file in files:
        yield from _file(file, where)


def _may_hold_files(octets: bytes) -> bool:
    """Spare a second reading to most structured documents; UTF-16 spells the words otherwise."""
    return b"observationMedia" in octets or b"nonXMLBody" in octets or b"\x00" in octets[:4]


def _file(file: EmbeddedFile, where: str) -> Iterator[Finding]:
    if file.media_type == PDF:
        yield from _pdf(file.octets, where)
    elif not _is_as_called(file):
        yield finding.of("file-mismatch", where=where)


def _is_as_called(file: EmbeddedFile) -> bool:
    if file.media_type == "text/plain":
        return b"\x00" not in file.octets[:_PDF_EDGE]
    marks = _MARKS.get(file.media_type)
    return marks is None or file.octets.startswith(marks)


def _pdf(octets: bytes, where: str) -> Iterator[Finding]:
    if not octets[:_PDF_EDGE].lstrip().startswith(_PDF_MARK):
        yield finding.of("pdf-unreadable", where=where)
        return
    if _PDF_END not in octets[-_PDF_EDGE:]:
        yield finding.of("pdf-truncated", where=where)
    if _ENCRYPTED_PDF.search(octets):
        yield finding.of("pdf-encrypted", where=where)
    if _ACTIVE_PDF.search(octets):
        yield finding.of("pdf-active", where=where)
