"""Judge a file that is to become a document: what it is, whatever it is said to be.

Errors
    None: remarks go to the notes.
Sources
    ISO 32000-1, 7.5 (PDF); ISO 19005-1, 6.7.11 (PDF/A identification); RFC 2046 (text);
    ITU-T T.81 (JPEG); TIFF 6.0; RTF 1.9.1.
"""

import re
from typing import Final

from mss.clinical.draft import FileDraft
from mss.clinical.draft_notes import Notes

PDF: Final = "application/pdf"
_SIGNATURES: Final = (
    (b"%PDF-", PDF),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"{\\rtf", "text/rtf"),
)
_SAME: Final = {"application/rtf": "text/rtf", "image/jpg": "image/jpeg", "application/x-pdf": PDF}
_UNSAID: Final = frozenset({"", "application/octet-stream"})
_HEAD: Final = 1024
_PDFA: Final = re.compile(rb"pdfaid:part[=>\"'\s]{1,4}[1-4]")


def read_file(draft: FileDraft, *, notes: Notes, where: str) -> tuple[str, bytes] | None:
    """Tell the media type of a file, and give its octets."""
    if not draft.octets:
        notes.add("letter-file-empty", where)
        return None
    found = _detect(draft.octets)
    said = draft.content_type.partition(";")[0].strip().lower()
    said = _SAME.get(said, said)
    if found is None:
        notes.add("letter-file-kind", where)
        return None
    if said not in _UNSAID and said != found:
        notes.add("letter-file-differs", f"{where}/content_type")
        return None
    if found == PDF:
        _judge_pdf(draft.octets, notes, where)
    return found, draft.octets


def read_pdf(draft: FileDraft, *, notes: Notes, where: str) -> bytes | None:
    """Give the octets of a file that must be a PDF."""
    found = read_file(draft, notes=notes, where=where)
    if found is not None and found[0] != PDF:
        notes.add("letter-file-kind", where)
        return None
    return found[1] if found else None


def _detect(octets: bytes) -> str | None:
    for mark, media_type in _SIGNATURES:
        if octets.startswith(mark):
            return media_type
    if b"%PDF-" in octets[:_HEAD]:
        return PDF  # readers tolerate a few octets before the mark
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return "text/plain" if all(one.isprintable() or one in "\t\r\n\f" for one in text) else None


def _judge_pdf(octets: bytes, notes: Notes, where: str) -> None:
    if re.search(rb"/Encrypt[\s/<]*\d", octets[-4096:]):
        notes.add("letter-file-encrypted", where)
    if not _PDFA.search(octets):
        notes.add("letter-pdf-not-archivable", where)
