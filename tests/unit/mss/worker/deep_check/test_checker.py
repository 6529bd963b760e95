from collections.abc import Iterator
from pathlib import Path

import pytest

from mss.clinical.finding import Finding, Severity
from mss.clinical.sample import Letter
from mss.settings import DocumentSettings
from mss.worker.deep_check import DeepChecker, deep_check
from tests.unit.mss.clinical import official
from tests.unit.mss.clinical.conftest import letter
from tests.unit.mss.worker.deep_check.folders import pattern, rule, schematron, write

__all__ = ["letter"]

SCHEMA = """\
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:hl7-org:v3">
 <xs:include schemaLocation="PARTS.xsd"/>
 <xs:element name="ClinicalDocument" type="xs:string"/>
</xs:schema>
"""
PARTS = '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="urn:hl7-org:v3"/>'
# What a slow set does: no engine can guess the answer, and none is ready in seconds.
SLOW = "count(for $a in 1 to 99999, $b in 1 to 99999 return 1[matches(concat($a,$b),'x+y')]) = 1"
LARGE = "count(distinct-values(for $i in 1 to 99999999 return concat('abcdefghijklmnop', $i))) = 1"


def rules(tmp_path: Path, *tests: str, lets: str = "") -> str:
    """A folder with one set for all documents."""
    text = schematron(pattern(*tests, lets=lets))
    files = {"sch/profils/Common.sch": text, "jdv/Types.xml": '<t><c code="11490-0"/></t>'}
    return str(write(tmp_path, files) / "sch")


def codes(findings: list[Finding]) -> list[str]:
    """What was said, leaving out that no set is for the model."""
    return [one.code for one in findings if one.code != "schematron-missing"]


@pytest.mark.slow
def test_rules_with_the_functions_of_their_language_are_applied(
    tmp_path: Path, letter: Letter
) -> None:
    """XPath 2 functions, a value set by a relative path in the wrong case, roles and quotations."""
    folder = rules(
        tmp_path,
        rule("matches(cda:title, '^[A-Z]')", "never said"),
        rule("cda:code/@code = doc($types)//c/@code", "never said either"),
        rule("false()", 'The title <value-of select="cda:title"/> is wrong.'),
        lets='<let name="types" value="\'../../JDV/types.xml\'"/>',
    )

    found = deep_check(letter.cda, DocumentSettings(schematrons=folder), where="DOC0001.XML")

    assert codes(found) == ["schematron-failed"]
    assert "The title … is wrong." in found[-1].text
    assert found[-1].where.startswith("DOC0001.XML: /ClinicalDocument")


@pytest.mark.slow
def test_one_bad_set_does_not_silence_the_others(tmp_path: Path, letter: Letter) -> None:
    """A syntax error and a missing value set are findings, and the rest is checked."""
    folder = rules(tmp_path, rule("false()"), lets='<let value="doc(\'none.xml\')" name="n"/>')
    write(Path(folder), {"profils/Broken.sch": schematron(pattern(rule("((")))})

    found = deep_check(letter.cda, DocumentSettings(schematrons=folder))

    assert sorted(codes(found)) == [
        "schematron-failed",
        "schematron-unusable",
        "value-set-missing",
    ]


@pytest.fixture
def hasty(tmp_path: Path) -> Iterator[DeepChecker]:
    """A checker with little time and memory, whose rules are replaced by the tests."""
    settings = DocumentSettings(
        schematrons=rules(tmp_path, rule("cda:title != 'slow'")),
        deep_check_seconds=4,
        deep_check_memory_octets=256 * 1024**2,
    )
    with DeepChecker(settings) as checker:
        yield checker


@pytest.mark.slow
@pytest.mark.parametrize(
    ("test", "reason"), [(SLOW, "(time)"), (LARGE, "(memory)")], ids=["time", "memory"]
)
def test_a_check_that_goes_too_far_is_ended_and_the_next_one_starts_anew(
    hasty: DeepChecker, tmp_path: Path, letter: Letter, test: str, reason: str
) -> None:
    """Whoever sends a document must not be able to stop the machine."""
    rules(tmp_path, rule(test))
    first = hasty.check(letter.cda)
    rules(tmp_path, rule("false()"))
    second = hasty.check(letter.cda)

    assert codes(first) == ["deep-check-unfinished"]
    assert reason in first[0].text
    assert codes(second) == ["schematron-failed"]


@pytest.mark.slow
def test_the_official_schema_accepts_what_we_write(letter: Letter) -> None:
    """And says no more about a broken order than names of elements."""
    settings = DocumentSettings(schemas=str(official.official_path("xsd/CDA_extended.xsd")))
    broken = letter.cda.replace(b"<title>", b'<setId root="SECRET"/><title>')

    with DeepChecker(settings) as checker:
        assert checker.check(letter.cda) == []
        found = checker.check(broken)

    assert found[0].code == "schema-invalid"
    assert found[0].severity is Severity.ERROR
    assert "Element 'setId'" in found[0].text
    assert "SECRET" not in "".join(f"{one.text}{one.where}" for one in found)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"CDA_extended.xsd": SCHEMA, "parts.xsd": PARTS}, "schema-invalid"),
        ({"CDA_extended.xsd": "<not-a-schema"}, "schema-unusable"),
        ({"other.xsd": SCHEMA}, "schema-unusable"),
    ],
    ids=["included", "broken", "absent"],
)
def test_a_folder_of_schemas_is_used_or_said_to_be_unusable(
    tmp_path: Path, letter: Letter, files: dict[str, str], expected: str
) -> None:
    """Includes are found whatever their letter case; trouble is the administrator's to read."""
    settings = DocumentSettings(schemas=str(write(tmp_path, files)))

    assert {one.code for one in deep_check(letter.cda, settings)} == {expected}


@pytest.mark.parametrize(
    ("octets", "settings", "expected"),
    [
        (b"<a/>", {}, "deep-check-unavailable"),
        (b"<!DOCTYPE a><a/>", {"schemas": "/nowhere"}, "document-not-cda"),
    ],
)
def test_what_cannot_be_checked_is_said(
    octets: bytes, settings: dict[str, str], expected: str
) -> None:
    """Nothing set up, or nothing to read."""
    found = deep_check(octets, DocumentSettings(**settings))

    assert [one.code for one in found] == [expected]
