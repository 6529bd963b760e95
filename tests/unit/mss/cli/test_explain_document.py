"""`mss explain document`: what people and software are told about a file."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mss.cli.root import root
from tests.support.operators import the_letter
from tests.support.shown import a_cda, read_page, words_of

XSD = (
    '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:hl7-org:v3" '
    'elementFormDefault="qualified"><xs:element name="ClinicalDocument"><xs:complexType>'
    '<xs:sequence><xs:element name="only"/></xs:sequence></xs:complexType></xs:element>'
    "</xs:schema>"
)
CONTRACT = {
    *("file", "sha1", "size", "type_code", "class_code", "format_code", "unique_id", "set_id"),
    *("version", "action", "title", "creation_time", "patient", "authors", "confidentiality"),
    "body",
}


def explain(*arguments: str, given: bytes = b"") -> Result:
    """Run the command; *given* stands on standard input."""
    return CliRunner().invoke(root, ["explain", "document", *arguments], input=given)


@pytest.fixture
def archive(tmp_path: Path) -> str:
    """An archive without fault."""
    path = tmp_path / "IHE_XDM.ZIP"
    path.write_bytes(the_letter().archive)
    return str(path)


def test_software_is_told_every_field_of_the_contract(archive: str) -> None:
    """And the status is 0 as long as no finding is an error."""
    result = explain(archive, "--json")
    answer = json.loads(result.output)
    (document,) = answer["documents"]

    assert result.exit_code == 0
    assert document.keys() >= CONTRACT
    assert (document["type_code"], document["action"], document["body"]) == (
        "11490-0",
        "new",
        "structured",
    )
    assert document["patient"].keys() == {
        *("ins", "oid", "birth_name", "given_name", "birth_date", "sex")
    }
    assert [one for one in answer["findings"] if one["severity"] == "error"] == []


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"PK\x03\x04 no archive", "archive-syntax"),
        (b"<html/>", "document-not-cda"),
        (b"", "document-not-cda"),
        (b"\xff" * 5000, "document-not-cda"),
    ],
)
def test_a_file_that_is_no_document_has_status_1(octets: bytes, code: str) -> None:
    """From standard input as well."""
    result = explain("-", "--json", given=octets)
    answer = json.loads(result.output)

    assert (result.exit_code, answer["documents"]) == (1, [])
    assert [one["code"] for one in answer["findings"]] == [code]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", ["structured, new", "patient: PATIENT-FICTIF CAMILLE, born 19540514"]),
        ("fr", ["structuré, nouveau", "patient: PATIENT-FICTIF CAMILLE, naissance 19540514"]),
    ],
)
def test_people_are_told_in_their_language(archive: str, language: str, words: list[str]) -> None:
    """What it is, and whom it is about, at a glance."""
    result = explain(archive, "--language", language)

    assert result.exit_code == 0
    assert [one for one in words if one not in result.output] == []


def test_a_document_cannot_give_orders_to_the_terminal() -> None:
    """A title may hold what a terminal obeys, or what turns a line around."""
    result = explain("-", given=a_cda("<br/>", title="a\u009b2Jb\u202ec"))

    assert "title: a 2Jb c" in result.output


def test_the_page_is_written_where_it_is_wanted(archive: str, tmp_path: Path) -> None:
    """The same safe page as the server shows."""
    page = tmp_path / "letter.html"

    assert explain(archive, "--html", str(page)).exit_code == 0
    assert "PATIENT-FICTIF" in words_of(read_page(page.read_bytes()))


@pytest.mark.parametrize("given", [b"<html/>", b""])
def test_a_page_of_nothing_is_wrong_usage(tmp_path: Path, given: bytes) -> None:
    """And nothing is written."""
    page = tmp_path / "letter.html"

    assert explain("-", "--html", str(page), given=given).exit_code == 2
    assert not page.exists()


def test_a_number_that_is_not_there_is_wrong_usage(archive: str, tmp_path: Path) -> None:
    """Documents count from 1."""
    page = tmp_path / "letter.html"

    assert explain(archive, "--html", str(page), "--number", "2").exit_code == 2


@pytest.mark.slow
def test_the_deep_check_uses_the_schemas_that_are_named(archive: str, tmp_path: Path) -> None:
    """A schema that wants something else than a letter."""
    schema = tmp_path / "CDA_extended.xsd"
    schema.write_text(XSD)
    result = explain(archive, "--deep", "--schemas", str(schema), "--json")
    found = json.loads(result.output)["findings"]

    assert any(one["code"].startswith("schema") for one in found), found
    assert result.exit_code == 1
