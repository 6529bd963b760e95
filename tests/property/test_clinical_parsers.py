"""Whatever comes in by mail, a reader of documents gives a value or its one declared error."""

import io
import zipfile
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.matricule import matricule_key
from mss.clinical.cda import (
    CdaHeader,
    CdaSyntaxError,
    StructuredBody,
    build_cda,
    embedded_files,
    parse_cda,
    read_sections,
)
from mss.clinical.check import check_archive, check_cda
from mss.clinical.letter import cover
from mss.clinical.metadata import Metadata, MetadataSyntaxError, build_metadata, parse_metadata
from mss.clinical.narrative import Anchor, ItemList, Paragraph, Section, Table
from mss.clinical.patient import INS, INSAuthority
from mss.clinical.people import parse_cx, same_field
from mss.clinical.sample import Letter, discharge_letter
from mss.clinical.times import HL7Time
from mss.clinical.xdm import ArchiveError, read_archive

FEW = settings(max_examples=40, deadline=None)
TAGS = ("id", "code", "title", "recordTarget", "patientRole", "author", "assignedAuthor", "text",
        "component", "structuredBody", "section", "table", "tr", "td", "list", "item", "br",
        "nonXMLBody", "effectiveTime", "low", "name", "given", "content", "patient")  # fmt: skip


@pytest.fixture(scope="module")
def letter() -> Letter:
    """The sample letter, to be damaged."""
    return discharge_letter(at=datetime(2026, 3, 12, tzinfo=UTC), letter_id=UUID(int=9))


@st.composite
def elements(draw: st.DrawFn, depth: int = 3) -> str:
    """A piece of a document with the right words in the wrong places."""
    tag = draw(st.sampled_from(TAGS))
    names = st.sampled_from(("root", "code", "value", "extension", "mediaType", "representation"))
    values = st.sampled_from(("", "x", "B64", "application/pdf", "2026", "1.2.3", "20261399", "²"))
    marks = draw(st.dictionaries(names, values, max_size=2))
    inner = draw(st.lists(elements(depth=depth - 1), max_size=2)) if depth else []
    text = draw(st.sampled_from(("", "text", "&lt;b&gt;", "é")))
    head = " ".join([tag, *(f'{name}="{value}"' for name, value in marks.items())])
    return f"<{head}>{text}{''.join(inner)}</{tag}>"


def damaged(octets: bytes, at: int, new: bytes, cut: int) -> bytes:
    """The octets with some replaced, or the end cut off."""
    place = at % len(octets)
    changed = octets[:place] + new + octets[place + len(new) :]
    return changed[: len(changed) - cut % len(changed)] if cut % 7 == 0 else changed


@FEW
@given(octets=st.binary(max_size=2048))
def test_any_octets_are_an_archive_or_an_archive_error(octets: bytes) -> None:
    """The door must have one thing to catch."""
    with suppress(ArchiveError):
        check_archive(read_archive(octets))


@FEW
@given(at=st.integers(0), new=st.binary(min_size=1, max_size=4), cut=st.integers(1))
def test_a_damaged_archive_is_an_archive_or_an_archive_error(
    letter: Letter, at: int, new: bytes, cut: int
) -> None:
    """Most of the format is reached only from an archive that was once right."""
    with suppress(ArchiveError):
        check_archive(read_archive(damaged(letter.archive, at, new, cut)))


@FEW
@given(at=st.integers(0), new=st.binary(min_size=1, max_size=12), cut=st.integers(1))
def test_an_archive_of_damaged_members_is_read_or_refused(
    letter: Letter, at: int, new: bytes, cut: int
) -> None:
    """The zip is sound, what is in it is not."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(letter.archive)) as old, zipfile.ZipFile(out, "w") as made:
        for path in ("IHE_XDM/SUBSET01/METADATA.XML", "IHE_XDM/SUBSET01/DOC0001.XML"):
            made.writestr(path, damaged(old.read(path), at, new, cut))

    with suppress(ArchiveError):
        check_archive(read_archive(out.getvalue()))


@FEW
@given(octets=st.binary(max_size=1024))
def test_any_octets_are_a_document_or_a_cda_syntax_error(octets: bytes) -> None:
    """The same for a document and for the metadata."""
    with suppress(CdaSyntaxError):
        parse_cda(octets)
    with suppress(MetadataSyntaxError):
        parse_metadata(octets)
    assert check_cda(octets)


@pytest.mark.slow
@FEW
@given(inside=st.lists(elements(), max_size=3))
def test_any_document_can_be_read_checked_and_covered(inside: list[str]) -> None:
    """Well formed, but with anything anywhere: content never raises."""
    octets = (
        f'<ClinicalDocument xmlns="urn:hl7-org:v3">{"".join(inside)}</ClinicalDocument>'.encode()
    )

    header = parse_cda(octets).header
    check_cda(octets)
    read_sections(octets)
    with suppress(CdaSyntaxError):
        embedded_files(octets)
    assert cover([header]).subject.isprintable()


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)
LINES = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)
TEXTS = st.lists(LINES, min_size=1, max_size=2).map("\n".join)
INLINES = TEXTS | st.builds(Anchor, TEXTS, st.from_regex(r"[a-z][a-z0-9]{0,5}", fullmatch=True))
BLOCKS = (
    st.builds(Paragraph, INLINES)
    | st.builds(
        ItemList,
        items=st.lists(INLINES, min_size=1, max_size=3).map(tuple),
        is_ordered=st.booleans(),
        caption=LINES | st.just(""),
    )
    | st.builds(
        Table,
        rows=st.lists(st.lists(INLINES, min_size=1, max_size=3).map(tuple), min_size=1,
                      max_size=3).map(tuple),
        head=st.lists(LINES, max_size=3).map(tuple),
        caption=LINES | st.just(""),
    )
)  # fmt: skip


@pytest.mark.slow
@FEW
@given(blocks=st.lists(BLOCKS, max_size=4), title=LINES)
def test_any_narrative_survives_writing_and_reading(
    letter: Letter, blocks: list[Paragraph | ItemList | Table], title: str
) -> None:
    """Words, order and anchors are what a reader relies on."""
    header: CdaHeader = parse_cda(letter.cda).header
    sections = (Section(title=title, blocks=tuple(blocks)),)

    assert read_sections(build_cda(header, StructuredBody(sections))) == sections


@pytest.mark.slow
@FEW
@given(title=LINES, uri=LINES, info=st.lists(LINES, min_size=1, max_size=4))
def test_any_metadata_survive_writing_and_reading(
    letter: Letter, title: str, uri: str, info: list[str]
) -> None:
    """Whatever letters the values hold."""
    archive = read_archive(letter.archive)
    entry = replace(
        archive.documents[0].entry, title=title, uri=uri, source_patient_info=tuple(info)
    )
    metadata = Metadata(submission_set=archive.submission_sets[0], entries=(entry,))

    assert parse_metadata(build_metadata(metadata)) == metadata


@given(text=st.text(max_size=40))
def test_any_text_can_be_looked_at_as_a_field(text: str) -> None:
    """Small readers never raise."""
    time = HL7Time(text)
    assert time.is_valid or time.instant is None
    assert isinstance(time.xds, str)
    assert parse_cx(text) is None or "&" in text
    assert same_field(text, text)
    assert not INS(text, INSAuthority.NIR).has_valid_key or len(text) == 15


@given(st.integers(min_value=10**12, max_value=10**13 - 1))
def test_the_key_catches_any_single_wrong_digit(number: int) -> None:
    """97 is prime and above every digit: no substitution keeps the key."""
    body = str(number)
    key = matricule_key(body)
    assert key is not None
    changed = body[:-1] + str((int(body[-1]) + 1) % 10)

    assert 1 <= key <= 97
    assert matricule_key(changed) != key
