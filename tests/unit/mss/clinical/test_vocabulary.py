import tomllib
from datetime import date
from importlib.resources import files

import pytest
from lxml import etree

from mss.clinical import vocabulary
from mss.clinical.people import Code, is_oid
from tests.unit.mss.clinical import official

TABLES = ["codes", "document_models", "document_types", "findings", "sections", "specialties"]


@pytest.mark.parametrize("name", TABLES)
def test_every_list_says_where_it_comes_from_and_when(name: str) -> None:
    """A list without a date cannot be kept up to date."""
    text = files("mss.clinical").joinpath("data", f"{name}.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)

    assert table["source"].startswith("ANS")
    assert isinstance(table["date"], date)
    assert text.startswith("#")


def test_types_and_labels_are_those_of_the_national_value_set() -> None:
    """Labels go into subjects and file names, letter for letter."""
    values = etree.fromstring(official.official("valuesets/JDV_J07_XdsTypeCode_CISIS.xml"))
    theirs = {
        Code(one.get("code", ""), one.get("codeSystem", ""), one.get("displayName", ""))
        for one in values.iter("{urn:ihe:iti:svs:2008}Concept")
    }

    assert {one.code for one in vocabulary.document_types().values()} == theirs
    assert len(theirs) == 114


@pytest.mark.parametrize(
    ("type_code", "class_code"),
    [
        ("11490-0", "10"),
        ("SYNTH", "11"),
        ("18748-4", "31"),
        ("PRESC-KINE", "42"),
        ("18776-5", "44"),
        ("ATTEST-RESID", "95"),
        ("10213-7", "10"),
        ("no such type", None),
    ],
)
def test_a_type_belongs_to_a_class(type_code: str, class_code: str | None) -> None:
    """By the national association, former types included."""
    found = vocabulary.find_class(type_code)

    assert (found.code if found else None) == class_code


def test_the_most_precise_model_wins() -> None:
    """Documents declare general templates first and their own last."""
    roots = (*vocabulary.FIXED_TEMPLATES, "1.3.6.1.4.1.19376.1.3.3", "1.2.250.1.213.1.1.1.55")

    model = vocabulary.find_model(roots)

    assert model
    assert model.name == "BIO-CR-BIO"
    assert model.formats[0].code == "urn:ihe:lab:xd-lab:2008"
    assert vocabulary.find_model(vocabulary.FIXED_TEMPLATES) is None


def test_models_name_types_that_exist() -> None:
    """A model for an unknown type would never be coherent with any document."""
    named = {code for model in vocabulary.document_models().values() for code in model.types}

    assert named <= set(vocabulary.document_types())
    assert all(is_oid(template) for template in vocabulary.document_models())
    assert all(model.formats for model in vocabulary.document_models().values())


@pytest.mark.parametrize(
    ("media_type", "body", "format_code"),
    [
        ("application/pdf", "pdf", "urn:ihe:iti:xds-sd:pdf:2008"),
        ("TEXT/PLAIN", "text", "urn:ihe:iti:xds-sd:text:2008"),
        ("image/jpeg", "jpeg", "urn:ihe:iti-fr:xds-sd:jpeg:2010"),
        ("text/rtf", "rtf", "urn:ihe:iti-fr:xds-sd:rtf:2010"),
        ("image/tiff", "tiff", "urn:ihe:iti-fr:xds-sd:tiff:2010"),
    ],
)
def test_a_file_document_takes_its_format_from_the_media_type(
    media_type: str, body: str, format_code: str
) -> None:
    """Five kinds of files are allowed."""
    found = vocabulary.find_unstructured_format(media_type)

    assert vocabulary.find_body_kind(media_type) == body
    assert found
    assert found.code == format_code


def test_a_label_is_found_for_any_document() -> None:
    """The official one first, then the one it brought along."""
    assert vocabulary.label(Code("18748-4", "", "CR d\u2019imagerie")) == "CR d'imagerie médicale"
    assert vocabulary.label(Code("0-0", "", "Autre chose")) == "Autre chose"
    assert vocabulary.label(Code("0-0")) == vocabulary.label(None) == "Document"


def value_set(name: str) -> set[tuple[str, str, str]]:
    """The codes of an official value set."""
    values = etree.fromstring(official.official(f"valuesets/{name}.xml"))
    return {
        (one.get("code", ""), one.get("codeSystem", ""), one.get("displayName", ""))
        for one in values.iter("{urn:ihe:iti:svs:2008}Concept")
    }


def short_lists(*names: str) -> set[tuple[str, str, str]]:
    """The codes of our short lists."""
    return {
        (one.code, one.system, one.display)
        for name in names
        for one in (vocabulary.code(name, code) for code in vocabulary.codes(name))
    }


@pytest.mark.parametrize(
    ("official_name", "ours"),
    [
        ("JDV_J02_XdsHealthcareFacilityTypeCode_CISIS", ("facilities", "general")),
        ("JDV_J04_XdsPracticeSettingCode_CISIS", ("practice_settings", "general")),
        ("JDV_J08_XdsConfidentialityCode_CISIS", ("confidentiality", "visibility")),
    ],
)
def test_a_short_list_is_the_official_value_set(official_name: str, ours: tuple[str, ...]) -> None:
    """Code, system and label of each."""
    assert short_lists(*ours) == value_set(official_name)


def test_every_speciality_is_known_with_its_label() -> None:
    """In all five of their code systems, and no other."""
    theirs = value_set("JDV_J01_XdsAuthorSpecialty_CISIS")

    found = {vocabulary.find_specialty(code, system) for code, system, _ in theirs}

    assert found == {Code(*one) for one in theirs}
    assert vocabulary.find_specialty("G15_10/SM26", "1.2.3") is None
    assert vocabulary.find_specialty("date", "source") is None


@pytest.mark.parametrize(
    ("format_code", "template", "media_type", "is_wrong"),
    [
        ("urn:asip:ci-sis:vsm:2012", "1.2.250.1.213.1.1.1.13", "", False),
        ("urn:asip:ci-sis:vsm:2012", "1.2.250.1.213.1.1.1.29", "", True),
        ("urn:ihe:pat:apsr:cancer:colon:2010", "1.3.6.1.4.1.19376.1.8.1.1.2.2", "", False),
        ("urn:ihe:pre:2010", "1.3.6.1.4.1.19376.1.8.1.1.2.2", "", True),
        ("urn:anything", "1.2.3", "", False),
        ("urn:ihe:iti:xds-sd:pdf:2008", "1.2.250.1.213.1.1.1.45", "application/pdf", False),
        ("urn:ihe:iti:xds-sd:text:2008", "1.2.250.1.213.1.1.1.45", "application/pdf", True),
        ("urn:anything", "1.2.250.1.213.1.1.1.45", "application/msword", False),
    ],
)
def test_a_format_is_wrong_only_against_a_table_that_knows_better(
    format_code: str, template: str, media_type: str, *, is_wrong: bool
) -> None:
    """By the model, by the prefix of a family of models, by the media type of a file."""
    assert (
        vocabulary.is_format_wrong(format_code, templates=(template,), media_type=media_type)
        is is_wrong
    )


@pytest.mark.parametrize("row", vocabulary.document_types().values(), ids=lambda one: one.code.code)
def test_every_type_has_a_label_and_at_most_one_class(row: vocabulary.DocumentType) -> None:
    """The classes that the national association leaves open stay open."""
    open_types = {"28617-9", "34120-6", "89233-1", "101881-1", "E1762"}

    assert row.code.display
    assert (row.document_class is None) == (row.code.code in open_types)
