"""What does a letter's header say about the documents that it carries, and is that so?

`X-MSS-CODECDA` and `X-MSS-INS` are read by operators and by the recipient's software. Where
software of ours left them out they are computed from the archive; where they are there, they stay
octet for octet, and a difference is a warning: connectors that set them without looking are in use.

Pure: octets in, values out; safe to run in a thread. An archive that cannot be read says nothing
here, it is judged where it is opened.

Sources
    Référentiel #2, ECO.2.4.1 and ECO.2.4.2.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from mss.clinical import letter
from mss.clinical.cda import CdaHeader, CdaSyntaxError, parse_cda
from mss.clinical.xdm import FILE_NAME, ArchiveError, read_archive
from mss.mime.errors import MessageSyntaxError
from mss.mime.headers import Field
from mss.mime.parse import ParsedMessage, Part, part_octets
from mss.model.security import SecurityFinding

ZIP_TYPES: Final = frozenset(
    {"application/zip", "application/x-zip-compressed", "application/x-zip"}
)
MAX_ARCHIVES: Final = 20
ZIP_MARK: Final = b"PK\x03\x04"
ZIP_IN_BASE64: Final = b"UEsDB"
MAX_VALUE: Final = 900  # octets: one line of a header


def read_documents(message: ParsedMessage) -> list[CdaHeader]:
    """Read the headers of every CDA document in the archives of a message."""
    return list(_documents(message))


def missing_fields(message: ParsedMessage, documents: Sequence[CdaHeader]) -> list[Field]:
    """Write those of the two fields that a message with documents lacks."""
    if not documents:
        return []
    computed = letter.build_headers(documents)
    return [
        (name.encode("ascii"), f" {value}".encode("ascii"))
        for name, value in computed.items()
        if value and name not in message.mss_fields and len(value) <= MAX_VALUE
    ]


def check_fields(
    message: ParsedMessage, documents: Sequence[CdaHeader]
) -> tuple[SecurityFinding, ...]:
    """Say where the header and the documents disagree."""
    if not documents:
        return ()
    found = letter.check_cover(documents, subject=message.subject, headers=message.mss_fields)
    return tuple(
        SecurityFinding(code=one.code, severity=one.severity.value, text=one.text) for one in found
    )


def carries_archive(message: ParsedMessage) -> bool:
    """Tell whether a part of a message may be an archive of documents."""
    return any(may_be_archive(message, part) for part in message.parts())


def _documents(message: ParsedMessage) -> Iterator[CdaHeader]:
    archives = [part for part in message.parts() if may_be_archive(message, part)]
    for part in archives[:MAX_ARCHIVES]:
        try:
            archive = read_archive(part_octets(message.raw, part))
        except (ArchiveError, MessageSyntaxError):
            continue
        for document in archive.documents:
            try:
                yield parse_cda(document.octets).header
            except CdaSyntaxError:
                continue


def may_be_archive(message: ParsedMessage, part: Part) -> bool:
    """Tell whether a part may be an archive: by its name, its type, or how its octets begin.

    Senders omit any of the three. Nothing is decoded here: this is asked of every message.
    """
    if part.is_multipart:
        return False
    if (part.filename or "").lower() == FILE_NAME.lower() or part.content_type in ZIP_TYPES:
        return True
    if part.content_type != "application/octet-stream":
        return False
    start, stop = part.body_span
    return message.raw[start : min(stop, start + 64)].lstrip().startswith((ZIP_MARK, ZIP_IN_BASE64))
