import hashlib
import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from lxml import etree

from mss.clinical import vocabulary
from mss.clinical.cda import CdaSyntaxError, StructuredBody, build_cda, parse_cda, read_sections
from mss.clinical.metadata import Action
from mss.clinical.people import Identifier
from mss.clinical.sample import Letter
from mss.clinical.xdm import (
    ArchiveContentError,
    ArchiveError,
    ArchiveMetadataError,
    OutgoingDocument,
    build_archive,
    read_archive,
)
from tests.unit.mss.clinical import official

SET_ID = UUID("8d9a3a36-2e3f-45c5-8a3a-0d1f7a0d9b11")
AT = datetime(2026, 3, 12, 13, 30, tzinfo=UTC)
METADATA = "IHE_XDM/SUBSET01/METADATA.XML"
DOCUMENT = "IHE_XDM/SUBSET01/DOC0001.XML"


def repack(archive: bytes, changes: dict[str, bytes | None], rename: str = "") -> bytes:
    """Write an archive again with members changed, removed (`None`), added or renamed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(out, "w") as new:
        members = {one.filename: old.read(one) for one in old.infolist() if not one.is_dir()}
        members |= {path: octets for path, octets in changes.items() if octets is not None}
        for path, octets in members.items():
            if changes.get(path, b"") is not None:
                new.writestr(path.lower() if rename == "lower" else path, octets)
    return out.getvalue()


def codes(archive: bytes) -> set[str]:
    """The codes of what reading remarks upon."""
    read = read_archive(archive)
    found = [*read.findings, *(one for document in read.documents for one in document.findings)]
    return {one.code for one in found}


@pytest.mark.parametrize("name", official.ARCHIVES)
def test_an_official_archive_is_read_with_its_fingerprint_right(name: str) -> None:
    """All published archives have defects of form; none of them is a reason to refuse."""
    read = read_archive(official.archive(name))

    assert len(read.documents) == 1
    assert read.documents[0].has_declared_hash
    assert read.documents[0].has_declared_size
    assert read.documents[0].octets == official.document(name)
    assert {one.code for one in read.findings} <= {
        "metadata-leading-space",
        "metadata-order",
        "metadata-reference",
        "metadata-identifier-name",
        "metadata-object-id",
        "metadata-association",
    }


@pytest.mark.parametrize(
    ("name", "type_code", "class_code", "format_code", "unique_id", "sha1", "action"),
    [
        (
            "LDL-SES_2022.01",
            "11490-0",
            "10",
            "urn:asip:ci-sis:ldl-ses:2017",
            "1.2.250.1.213.1.1.1.29.2022.1.1",
            "8BF873EC400A1D84BEFBA94601193B3CFB574E7B",
            Action.NEW,
        ),
        (
            "VSM_1.4_2022.01",
            "SYNTH",
            "11",
            "urn:asip:ci-sis:vsm:2012",
            "1.2.250.1.213.1.1.1.13.2022.1.1",
            "B76D8D521EDE15FF4905B84CF864D8D4ECB56BE4",
            Action.REPLACE,
        ),
        (
            "IMG_CR_IMG_2024.01_CDA-R2-Niveau-1",
            "18748-4",
            "10",
            "urn:ihe:iti:xds-sd:pdf:2008",
            "1.2.250.1.213.1.1.1.45.2024.2.1",
            "BE2B7BBB7331DD41BD8C15CEF57ED2AAF1A94B7C",
            Action.REPLACE,
        ),
    ],
)
def test_the_metadata_of_an_official_archive_are_as_published(
    name: str,
    type_code: str,
    class_code: str,
    format_code: str,
    unique_id: str,
    sha1: str,
    action: Action,
) -> None:
    """Values written down by hand from the files, so that reading cannot agree with itself only."""
    entry = read_archive(official.archive(name)).documents[0].entry

    assert entry.type_code
    assert entry.type_code.code == type_code
    assert entry.class_code
    assert entry.class_code.code == class_code
    assert entry.format_code
    assert entry.format_code.code == format_code
    assert entry.unique_id == unique_id
    assert entry.hash == sha1
    assert entry.action is action
    assert entry.patient_id == "279035121518989^^^&1.2.250.1.213.1.4.10&ISO^NH"


@pytest.mark.parametrize("name", official.ARCHIVES)
def test_metadata_built_from_a_document_alone_are_the_official_ones(name: str) -> None:
    """The national derivation is right if it gives what the national tool gave."""
    theirs = read_archive(official.archive(name))
    ours = read_archive(build_archive([theirs.documents[0].octets], set_uuid=SET_ID, at=AT))
    known = {
        "IMG_CR_IMG_2024.01_CDA-R2-Niveau-1": {"class_code"},  # the table says 31, the example 10
        "VSM_1.4_2022.01": {"format_code"},  # same code, written with another code system
    }
    trimmed = {"legal_authenticator", "authors"}  # examples keep a blank after a given name

    left, right = theirs.documents[0].entry, ours.documents[0].entry
    differing = {
        name for name in left.__dataclass_fields__ if getattr(left, name) != getattr(right, name)
    }

    assert differing - {"entry_uuid"} - trimmed == known.get(name, set())
    assert left.legal_authenticator.replace(" ^", "^") == right.legal_authenticator
    assert ours.findings == ()


def test_what_is_built_is_read_back(letter: Letter) -> None:
    """Round trip: the document comes out as it went in, and nothing is remarked upon."""
    read = read_archive(build_archive([letter.cda], set_uuid=SET_ID, at=AT))

    assert read.findings == ()
    assert read.other_files == ("INDEX.HTM", "README.TXT")
    assert read.documents[0].octets == letter.cda
    assert read.documents[0].sha1 == hashlib.sha1(letter.cda).hexdigest().upper()
    assert read.documents[0].path == DOCUMENT
    assert read.submission_sets[0].entry_uuid == SET_ID.urn
    assert read.submission_sets[0].unique_id == f"2.25.{SET_ID.int}"
    assert read.submission_sets[0].submission_time == "20260312133000"
    assert read.submission_sets[0].source_id == "1.2.250.1.71.4.2.2.1750000002"


def test_the_same_values_give_the_same_octets(letter: Letter) -> None:
    """A retry must not look like another message."""
    first, second = (build_archive([letter.cda], set_uuid=SET_ID, at=AT) for _ in range(2))

    assert first == second


def test_the_layout_is_the_strict_one(letter: Letter) -> None:
    """Explicit folders, 8.3 names in capitals, no flag, no encryption."""
    with zipfile.ZipFile(io.BytesIO(letter.archive)) as made:
        entries = made.infolist()

    assert [one.filename for one in entries] == [
        "INDEX.HTM",
        "README.TXT",
        "IHE_XDM/",
        "IHE_XDM/SUBSET01/",
        METADATA,
        DOCUMENT,
    ]
    assert {one.flag_bits for one in entries} == {0}


def test_the_two_pages_for_people_keep_their_rules(letter: Letter) -> None:
    """README.TXT is 7-bit text with CRLF; INDEX.HTM is well-formed XHTML."""
    with zipfile.ZipFile(io.BytesIO(letter.archive)) as made:
        readme, index = made.read("README.TXT"), made.read("INDEX.HTM")

    assert readme.isascii()
    assert readme.count(b"\n") == readme.count(b"\r\n") > 10
    assert b"Centre hospitalier de Demonstration" in readme
    page = etree.fromstring(index, etree.XMLParser(load_dtd=False, resolve_entities=False))
    assert etree.QName(page).localname == "html"
    assert "Démonstration" in "".join(page.itertext())


def test_several_documents_lie_side_by_side(letter: Letter) -> None:
    """Each has its own name and entry, all belong to one set."""
    header = parse_cda(letter.cda).header
    other = replace(header, id=Identifier("1.2.3.4"), version=2)
    second = build_cda(other, StructuredBody(read_sections(letter.cda)))

    read = read_archive(build_archive([letter.cda, second], set_uuid=SET_ID, at=AT))

    assert [one.file_name for one in read.documents] == ["DOC0001.XML", "DOC0002.XML"]
    assert [one.entry.action for one in read.documents] == [Action.NEW, Action.REPLACE]
    assert len(read.submission_sets) == 1


def test_what_the_sender_decides_is_in_the_metadata(letter: Letter) -> None:
    """Deletion and visibility are not in the document, so they come with it."""
    hidden = vocabulary.code("visibility", "MASQUE_PS")
    outgoing = OutgoingDocument(octets=letter.cda, action=Action.DELETE, hidden_from=(hidden,))

    entry = read_archive(build_archive([outgoing], set_uuid=SET_ID, at=AT)).documents[0].entry

    assert entry.action is Action.DELETE
    assert [one.code for one in entry.confidentiality] == ["N", "MASQUE_PS"]


def test_two_patients_never_share_an_archive(letter: Letter) -> None:
    """One mail, one patient (ECO.2.1.1)."""
    header = parse_cda(letter.cda).header
    assert header.patient
    stranger = replace(header.patient, identifiers=(Identifier("1.2.250.1.213.1.4.10", "1" * 15),))
    other = replace(header, id=Identifier("1.2.3.4"), patient=stranger)
    second = build_cda(other, StructuredBody(read_sections(letter.cda)))

    with pytest.raises(ArchiveContentError) as caught:
        build_archive([letter.cda, second], set_uuid=SET_ID, at=AT)

    assert caught.value.reason == "several-patients"


@pytest.mark.parametrize(("count", "reason"), [(0, "number-of-documents"), (2, "document-twice")])
def test_none_or_twice_the_same_is_refused(letter: Letter, count: int, reason: str) -> None:
    """Both are mistakes of the caller that a receiver could not understand."""
    with pytest.raises(ArchiveContentError) as caught:
        build_archive([letter.cda] * count, set_uuid=SET_ID, at=AT)

    assert caught.value.reason == reason


def test_only_documents_go_into_an_archive() -> None:
    """A file that is no CDA has no metadata to derive."""
    with pytest.raises(CdaSyntaxError):
        build_archive([b"%PDF-1.4"], set_uuid=SET_ID, at=AT)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({DOCUMENT: None}, {"document-missing"}),
        ({"IHE_XDM/SUBSET01/FSTYLE.XSL": b"<x/>"}, {"style-sheet-ignored"}),
        ({"IHE_XDM/SUBSET01/MORE.ZIP": b"PK\x03\x04rest"}, {"archive-nested"}),
        ({"README.TXT": None}, {"archive-layout"}),
        ({"IHE_XDM/SUBSET01/long document name.xml": b"<x/>"}, {"archive-name", "file-not-listed"}),
    ],
)
def test_oddities_of_form_are_findings(
    letter: Letter, changes: dict[str, bytes | None], expected: set[str]
) -> None:
    """An archive that can be read is read; the remark goes with it."""
    assert codes(repack(letter.archive, changes)) == expected


def test_lower_case_names_are_read(letter: Letter) -> None:
    """Some senders write them; the metadata still name the document in capitals."""
    read = read_archive(repack(letter.archive, {}, rename="lower"))

    assert [one.path for one in read.documents] == [DOCUMENT.lower()]
    assert {one.code for one in read.findings} == {"archive-name"}


def test_a_document_under_another_name_is_found_by_its_fingerprint(letter: Letter) -> None:
    """The name is a hint, the fingerprint is the document."""
    archive = repack(letter.archive, {DOCUMENT: None, "IHE_XDM/SUBSET01/X.XML": letter.cda})

    assert codes(archive) == {"document-name"}
    assert read_archive(archive).documents[0].octets == letter.cda


def test_further_submission_sets_are_read_too(letter: Letter) -> None:
    """The profile allows several folders, each with its own metadata."""
    first = read_archive(letter.archive)
    with zipfile.ZipFile(io.BytesIO(letter.archive)) as made:
        metadata = made.read(METADATA)
    second = {"IHE_XDM/SUBSET02/METADATA.XML": metadata, "IHE_XDM/SUBSET02/DOC0001.XML": letter.cda}

    read = read_archive(repack(letter.archive, dict(second)))

    assert len(read.submission_sets) == 2
    assert [one.entry for one in read.documents] == [first.documents[0].entry] * 2
    assert [one.path for one in read.documents] == [DOCUMENT, "IHE_XDM/SUBSET02/DOC0001.XML"]


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (None, "missing"),
        (b"", "not-well-formed"),
        (b"<x/>", "no-submission-set"),
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "document-type"),
    ],
)
def test_an_archive_without_readable_metadata_is_refused(
    letter: Letter, metadata: bytes | None, reason: str
) -> None:
    """A zip that says nothing about its documents is no archive of documents."""
    with pytest.raises(ArchiveMetadataError) as caught:
        read_archive(repack(letter.archive, {METADATA: metadata}))

    assert caught.value.reason == reason


def test_every_kind_of_refusal_has_its_own_permanent_code() -> None:
    """The doors translate codes; two kinds under one code would be told the same."""
    kinds: list[type[ArchiveError]] = [ArchiveError, *ArchiveError.__subclasses__()]

    assert len({kind.code for kind in kinds}) == len(kinds)
    assert all(kind.code.startswith("archive-") for kind in kinds)
    assert not any(kind.retryable for kind in kinds)
