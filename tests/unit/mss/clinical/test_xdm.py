import hashlib
import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from lxml import etree

from mss.clinical import vocabulary
from mss.clinical.cda import (
    CdaSyntaxError,
    FileBody,
    StructuredBody,
    build_cda,
    parse_cda,
    read_sections,
)
from mss.clinical.metadata import Action
from mss.clinical.people import Identifier
from mss.clinical.sample import Letter
from mss.clinical.xdm import (
    ArchiveContentError,
    ArchiveError,
    ArchiveMetadataError,
    OutgoingDocument,
    OutgoingSet,
    build_archive,
    build_archive_of_sets,
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


def second_letter(letter: Letter) -> bytes:
    """Another document about the same patient."""
    header = replace(parse_cda(letter.cda).header, id=Identifier("1.2.3.4"))
    return build_cda(header, StructuredBody(read_sections(letter.cda)))


def test_several_submissions_lie_in_folders_of_their_own(letter: Letter) -> None:
    """Each with its own identifiers, and the pages list all of them."""
    sets = [
        OutgoingSet(documents=[letter.cda], set_uuid=SET_ID),
        OutgoingSet(documents=[second_letter(letter)], set_uuid=UUID(int=SET_ID.int + 1)),
    ]
    archive = build_archive_of_sets(sets, at=AT)

    read = read_archive(archive)
    with zipfile.ZipFile(io.BytesIO(archive)) as made:
        readme = made.read("README.TXT")
    assert read.findings == ()
    assert [one.path for one in read.documents] == [DOCUMENT, "IHE_XDM/SUBSET02/DOC0001.XML"]
    assert len({one.unique_id for one in read.submission_sets}) == 2
    assert len({one.entry.entry_uuid for one in read.documents}) == 2
    assert b"IHE_XDM/SUBSET02/METADATA.XML\r\n" in readme
    assert build_archive_of_sets(sets, at=AT) == archive


def test_a_document_in_two_submissions_is_refused(letter: Letter) -> None:
    """It would be filed twice."""
    sets = [OutgoingSet(documents=[letter.cda], set_uuid=UUID(int=number)) for number in (1, 2)]
    with pytest.raises(ArchiveContentError) as caught:
        build_archive_of_sets(sets, at=AT)

    assert caught.value.reason == "document-twice"


def test_one_unreadable_submission_does_not_hide_the_other(letter: Letter) -> None:
    """Half a letter is better than none, if it says so."""
    read = read_archive(repack(letter.archive, {"IHE_XDM/SUBSET02/METADATA.XML": b"<"}))

    assert [one.code for one in read.findings] == ["metadata-unreadable"]
    assert len(read.documents) == 1


def changed(letter: Letter, *changes: tuple[bytes, bytes]) -> bytes:
    """The sample archive with other metadata."""
    with zipfile.ZipFile(io.BytesIO(letter.archive)) as made:
        metadata = made.read(METADATA)
    for old, new in changes:
        assert old in metadata
        metadata = metadata.replace(old, new)
    return repack(letter.archive, {METADATA: metadata})


@pytest.mark.parametrize(
    "uri",
    [b"./DOC0001.XML", b"doc0001.xml", b"IHE_XDM/SUBSET01/DOC0001.XML", b".\\DOC0001.XML"],
)
def test_the_name_of_a_document_may_be_written_in_other_ways(letter: Letter, uri: bytes) -> None:
    """Senders disagree on what a name is relative to."""
    archive = changed(letter, (b">DOC0001.XML<", b">" + uri + b"<"))

    assert codes(archive) == set()
    assert read_archive(archive).documents[0].octets == letter.cda


def test_metadata_that_lie_elsewhere_are_found(letter: Letter) -> None:
    """A folder zipped with its name, or without the one that should be there."""
    with zipfile.ZipFile(io.BytesIO(letter.archive)) as made:
        metadata = made.read(METADATA)
    moved = {"METADATA.XML": metadata, "DOC0001.XML": letter.cda}
    read = read_archive(repack(letter.archive, {METADATA: None, DOCUMENT: None, **moved}))

    assert [one.code for one in read.findings] == ["archive-folder"]
    assert read.documents[0].octets == letter.cda


def test_a_folder_object_is_tolerated(letter: Letter) -> None:
    """Folders are a thing of registries; a mail has no use for them."""
    folder = (
        b'<rim:RegistryPackage id="urn:uuid:11111111-1111-1111-1111-111111111111">'
        b'<rim:Classification id="x" classificationNode="urn:uuid:d9d542f3-6cc4-48b6-8870-'
        b'ea235fbc94c2" classifiedObject="urn:uuid:11111111-1111-1111-1111-111111111111"/>'
        b"</rim:RegistryPackage><rim:Association "
    )
    read = read_archive(changed(letter, (b"<rim:Association ", folder)))

    assert read.findings == ()
    assert len(read.submission_sets) == 1


def test_two_submissions_in_one_file_are_read_and_remarked_upon(letter: Letter) -> None:
    """The patients of both are compared."""
    other = (
        b'<rim:RegistryPackage id="urn:uuid:11111111-1111-1111-1111-111111111111">'
        b'<rim:ExternalIdentifier id="urn:uuid:11111111-1111-1111-1111-111111111112" '
        b'registryObject="urn:uuid:11111111-1111-1111-1111-111111111111" identificationScheme='
        b'"urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8" value="1.2.3"><rim:Name>'
        b'<rim:LocalizedString value="XDSSubmissionSet.uniqueId"/></rim:Name>'
        b"</rim:ExternalIdentifier></rim:RegistryPackage><rim:Association "
    )
    read = read_archive(changed(letter, (b"<rim:Association ", other)))

    assert [one.code for one in read.findings] == ["metadata-sets"]
    assert [one.unique_id for one in read.submission_sets][1] == "1.2.3"


@pytest.mark.parametrize(
    ("slot", "action", "expected"),
    [
        (b"C", Action.REPLACE, set()),
        (b" d ", Action.DELETE, set()),
        (b"X", Action.NEW, {"metadata-action"}),
    ],
)
def test_the_action_is_read_as_it_is_meant(
    letter: Letter, slot: bytes, action: Action, expected: set[str]
) -> None:
    """What nobody knows is a new document, with a remark."""
    added = (
        b'<rim:Slot name="urn:action:extraMetadataSlot"><rim:ValueList><rim:Value>' + slot +
        b'</rim:Value></rim:ValueList></rim:Slot><rim:Slot name="hash">'
    )  # fmt: skip
    archive = changed(letter, (b'<rim:Slot name="hash">', added))

    assert codes(archive) == expected
    assert read_archive(archive).documents[0].entry.action is action


def test_a_listed_style_sheet_is_carried_and_never_taken_for_a_document(letter: Letter) -> None:
    """One type exists for listing the sheet of a document."""
    sheet = b'<xsl:stylesheet xmlns:xsl="http://www.w3.org/1999/XSL/Transform" version="1.0"/>'
    archive = read_archive(letter.archive)
    entry = replace(archive.documents[0].entry, type_code=vocabulary.document_types()[
        "FEUILLE-DE-STYLE"].code)  # fmt: skip
    listed = replace(archive.documents[0], octets=sheet, entry=entry)

    assert archive.documents[0].is_cda
    assert not listed.is_cda


@pytest.mark.parametrize(
    ("mime_type", "octets", "is_cda"),
    [
        ("text/xml", b"%PDF-1.4", True),
        ("application/octet-stream", b"anything", True),
        ("application/pdf", b"%PDF-1.4", False),
        ("application/pdf", b"\xef\xbb\xbf <ClinicalDocument/>", True),
        ("application/dicom", b"\0" * 132, False),
        ("image/jpeg", b"\xff\xd8\xff", False),
    ],
)
def test_what_claims_to_be_xml_or_looks_like_it_is_read_as_a_document(
    letter: Letter, mime_type: str, octets: bytes, *, is_cda: bool
) -> None:
    """Neither the name of a type nor the first octets alone can be trusted."""
    document = read_archive(letter.archive).documents[0]
    entry = replace(document.entry, mime_type=mime_type)

    assert replace(document, octets=octets, entry=entry).is_cda is is_cda


def test_four_confidentialities_are_the_most(letter: Letter) -> None:
    """Three masking codes exist, and each is said once."""
    codes = [vocabulary.code("visibility", one) for one in vocabulary.codes("visibility")]
    full = OutgoingDocument(octets=letter.cda, hidden_from=tuple(codes))
    twice = OutgoingDocument(octets=letter.cda, hidden_from=(codes[0], codes[0]))

    made = read_archive(build_archive([full], set_uuid=SET_ID, at=AT))
    assert len(made.documents[0].entry.confidentiality) == 4
    with pytest.raises(ArchiveContentError):
        build_archive([twice], set_uuid=SET_ID, at=AT)


def test_references_of_the_request_are_written_when_they_are_given(letter: Letter) -> None:
    """Official archives have none, so they are the sender's choice."""
    reference = "984375862^^^&1.2.250.1.748.12345678.12&ISO^urn:ihe:iti:xds:2013:order"
    outgoing = OutgoingDocument(octets=letter.cda, references=(reference,))

    made = read_archive(build_archive([outgoing], set_uuid=SET_ID, at=AT))

    assert made.documents[0].entry.references == (reference,)


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


def test_a_document_that_packs_like_a_bomb_can_be_opened_again(letter: Letter) -> None:
    """A scan of white pages is no attack; receivers would take it for one if it were deflated."""
    scan = FileBody("image/tiff", b"II*\x00" + bytes(3 * 1024 * 1024))
    header = parse_cda(letter.cda).header
    templates = (*header.templates[:2], Identifier(vocabulary.UNSTRUCTURED_TEMPLATE))
    document = build_cda(replace(header, templates=templates), scan)

    read = read_archive(build_archive([document], set_uuid=SET_ID, at=AT))

    assert read.documents[0].octets == document
