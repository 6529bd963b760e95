from dataclasses import replace

import pytest
from lxml import etree

from mss.clinical.metadata import (
    Action,
    Metadata,
    MetadataContentError,
    MetadataSyntaxError,
    build_metadata,
    parse_metadata,
)
from mss.clinical.metadata_oversights import RIM
from mss.clinical.sample import Letter
from mss.clinical.xdm import read_archive
from tests.unit.mss.clinical import official

ORDER = ["Slot", "Name", "Description", "VersionInfo", "Classification", "ExternalIdentifier"]


@pytest.fixture
def metadata(letter: Letter) -> Metadata:
    """The metadata of the sample letter."""
    read = read_archive(letter.archive)
    return Metadata(
        submission_set=read.submission_sets[0], entries=tuple(one.entry for one in read.documents)
    )


def objects(octets: bytes) -> list[etree._Element]:
    """Every object whose children the schema puts in order."""
    names = ("RegistryPackage", "ExtrinsicObject", "Classification", "ExternalIdentifier")
    return list(etree.fromstring(octets).iter(*(f"{{{RIM}}}{name}" for name in names)))


def test_what_is_written_is_read_back(metadata: Metadata) -> None:
    """Writing and reading are inverse, and a strict writer leaves nothing to remark upon."""
    assert parse_metadata(build_metadata(metadata)) == metadata


def test_children_are_in_the_order_of_the_schema(metadata: Metadata) -> None:
    """The one schema error of the published archives; ours must validate."""
    ranks = [
        [
            ORDER.index(etree.QName(child).localname)
            for child in one
            if child.tag != f"{{{RIM}}}Value"
        ]
        for one in objects(build_metadata(metadata))
    ]

    assert len(ranks) > 15
    assert ranks == [sorted(one) for one in ranks]


def test_every_reference_names_the_object_it_is_in(metadata: Metadata) -> None:
    """Published archives get it wrong; registries that believe the attribute lose facts."""
    written = objects(build_metadata(metadata))
    nested = [(one.getparent(), one) for one in written if one.get("classifiedObject")]
    nested += [(one.getparent(), one) for one in written if one.get("registryObject")]

    assert len(nested) > 15
    assert all(
        parent is not None
        and (one.get("classifiedObject") or one.get("registryObject")) == parent.get("id")
        for parent, one in nested
    )


def test_identifiers_of_inner_objects_are_unique(metadata: Metadata) -> None:
    """They are derived, so a careless derivation would repeat itself."""
    found = [
        one.get("id") for one in etree.fromstring(build_metadata(metadata)).iter() if one.get("id")
    ]

    assert len(found) == len(set(found))
    assert all(one is not None and one.startswith("urn:uuid:") for one in found)


@pytest.mark.parametrize("action", Action)
def test_the_action_survives(metadata: Metadata, action: Action) -> None:
    """New documents carry no slot, replacements C, deletions D."""
    entries = (replace(metadata.entries[0], action=action),)

    octets = build_metadata(replace(metadata, entries=entries))

    assert parse_metadata(octets).entries[0].action is action
    assert (b"urn:action:extraMetadataSlot" in octets) == (action is not Action.NEW)


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"hash": ""}, "document-entry.hash"),
        ({"class_code": None}, "document-entry.class_code"),
        ({"authors": ()}, "document-entry.authors"),
        ({"entry_uuid": "no uuid"}, "well-formed-values"),
        ({"title": "a\x00b"}, "well-formed-values"),
    ],
)
def test_incomplete_metadata_are_not_written(
    metadata: Metadata, change: dict[str, object], missing: str
) -> None:
    """A receiver would have to refuse them, so the sender learns it first."""
    entry = replace(metadata.entries[0], **change)  # type: ignore[arg-type]

    with pytest.raises(MetadataContentError) as caught:
        build_metadata(replace(metadata, entries=(entry,)))

    assert caught.value.missing == (missing,)


def test_the_defects_of_published_archives_are_remarked_upon() -> None:
    """White space first, elements out of order, references to the wrong object."""
    octets = official.official("cda/LDL-SES_2022.01/METADATA.XML")

    read = parse_metadata(octets)

    assert [one.code for one in read.findings] == [
        "metadata-leading-space",
        "metadata-order",
        "metadata-reference",
        "metadata-identifier-name",
        "metadata-object-id",
        "metadata-association",
    ]
    assert read.submission_set.source_id == "1.2.250.1.71.4.2.2.1750803447"
    assert [one.code for one in read.entries[0].events] == ["IMP"]


def test_a_prefix_put_on_twice_is_understood(metadata: Metadata) -> None:
    """One older official file has it."""
    octets = build_metadata(metadata).replace(
        b'classificationScheme="urn:uuid:', b'classificationScheme="urn:uuid:urn:uuid:'
    )

    assert parse_metadata(octets).entries[0].type_code == metadata.entries[0].type_code


@pytest.mark.parametrize(
    ("octets", "reason"),
    [
        (b"", "not-well-formed"),
        (b"<a>", "not-well-formed"),
        (b"<a/>", "no-submission-set"),
        (b'<!DOCTYPE a SYSTEM "http://127.0.0.1/a.dtd"><a/>', "document-type"),
        (b"<a>" * 40 + b"</a>" * 40, "too-deep"),
        (b"<a>" + b"<b/>" * 210_000 + b"</a>", "too-many-elements"),
        (b"<a>" + b" " * 9_000_000 + b"</a>", "too-large"),
    ],
)
def test_what_is_no_metadata_has_one_error(octets: bytes, reason: str) -> None:
    """Whatever came in, the caller has one thing to catch."""
    with pytest.raises(MetadataSyntaxError) as caught:
        parse_metadata(octets)

    assert caught.value.reason == reason
