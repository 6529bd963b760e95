"""What is fuzzed about health documents: the zip, the archive, its metadata, a document."""

import io
import zipfile
from datetime import UTC, datetime
from functools import cache
from uuid import UUID

from mss.clinical.check import check_archive, check_cda
from mss.clinical.sample import Letter, discharge_letter
from mss.clinical.svrl import parse_svrl
from mss.clinical.xdm import read_archive
from mss.clinical.zip_reader import ArchiveLimits, read_zip

AT = datetime(2026, 3, 12, 14, 30, tzinfo=UTC)


@cache
def letter() -> Letter:
    """The sample letter."""
    return discharge_letter(at=AT, letter_id=UUID(int=7))


def archives() -> tuple[bytes, ...]:
    """A good archive."""
    return (letter().archive,)


def documents() -> tuple[bytes, ...]:
    """A good document, alone and in the style sheet that shows it."""
    start = letter().cda.index(b"<ClinicalDocument")
    sheet = b'<x:stylesheet xmlns:x="http://www.w3.org/1999/XSL/Transform" version="1.0">'
    return letter().cda, sheet + letter().cda[start:] + b"</x:stylesheet>"


def metadata() -> tuple[bytes, ...]:
    """The metadata of a good archive."""
    with zipfile.ZipFile(io.BytesIO(letter().archive)) as opened:
        return (opened.read("IHE_XDM/SUBSET01/METADATA.XML"),)


def reports() -> tuple[bytes, ...]:
    """A report of broken rules."""
    remark = (
        b'<s:failed-assert location="/*:a[1]" role="error"><s:text>x</s:text></s:failed-assert>'
    )
    head = b'<s:schematron-output xmlns:s="http://purl.oclc.org/dsdl/svrl">'
    return (head + remark + b"</s:schematron-output>",)


def open_zip(octets: bytes) -> object:
    """Take the files out of a zip."""
    return read_zip(octets, ArchiveLimits())


def judge_archive(octets: bytes) -> object:
    """Read an archive and all of its documents."""
    return check_archive(read_archive(octets), at=AT)


def judge_document(octets: bytes) -> object:
    """Read and judge a document; this never raises."""
    return check_cda(octets, at=AT)


def read_report(octets: bytes) -> object:
    """Read what the rules said."""
    return parse_svrl(octets, rules="x")
