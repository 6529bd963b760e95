from pathlib import Path

import pytest

from mss.clinical.people import Identifier
from mss.clinical.vocabulary import FIXED_TEMPLATES
from mss.worker.deep_check.mirror import make_mirror
from mss.worker.deep_check.rules import RuleSet, choose, find_rule_sets, find_skeleton
from tests.unit.mss.worker.deep_check.folders import LDL_SES, pattern, rule, schematron, write

FIXED = tuple(Identifier(one) for one in FIXED_TEMPLATES)
COMPILED = (
    '<xsl:stylesheet version="2.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform" '
    'xmlns:svrl="http://purl.oclc.org/dsdl/svrl"/>'
)
ABOUT_LETTERS = schematron(pattern(rule(f"cda:templateId/@root='{LDL_SES}'")))
FILES = {
    "profils/IHE.sch": schematron(pattern()),
    "profils/terminologies/Words.sch": schematron(pattern()),
    "abstract/part.sch": pattern(),
    "moteur/iso_svrl_for_xslt2.xsl": COMPILED,
    "CI-SIS_LDL-SES_2017.01.sch": ABOUT_LETTERS,
    "CI-SIS_LDL-SES_2022.01.sch": ABOUT_LETTERS,
    "CI-SIS_Autre_2022.01.sch": schematron(pattern()),
}


def found(tmp_path: Path, files: dict[str, str]) -> tuple[RuleSet, ...]:
    """The sets in a folder."""
    return find_rule_sets(make_mirror(write(tmp_path / "rules", files), tmp_path / "work"))


def test_sets_are_told_from_their_parts(tmp_path: Path) -> None:
    """Patterns, the skeleton and the terminologies are no sets of their own."""
    sets = found(tmp_path, FILES)

    assert {one.name: one.is_common for one in sets} == {
        "IHE": True,
        "CI-SIS_LDL-SES_2017.01": False,
        "CI-SIS_LDL-SES_2022.01": False,
        "CI-SIS_Autre_2022.01": False,
    }


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (Identifier(LDL_SES, "2022.01"), "CI-SIS_LDL-SES_2022.01"),
        (Identifier(LDL_SES, "2017.01"), "CI-SIS_LDL-SES_2017.01"),
        (Identifier(LDL_SES), "CI-SIS_LDL-SES_2022.01"),
        (Identifier("1.2.250.1.213.1.1.1.13", "2022.01"), None),
        (Identifier("1.2.250.1.213.1.1.1.299"), None),
    ],
)
def test_the_set_of_a_model_is_chosen_by_template_and_version(
    tmp_path: Path, template: Identifier, expected: str | None
) -> None:
    """Sets of several years lie side by side."""
    common, own = choose(found(tmp_path, FILES), (*FIXED, template), is_file=False)

    assert [one.name for one in common] == ["IHE"]
    assert (own.name if own else None) == expected


def test_a_document_that_is_one_file_has_no_set_of_its_own(tmp_path: Path) -> None:
    """Rules about sections would all fail on a PDF."""
    templates = (*FIXED, Identifier(LDL_SES, "2022.01"))

    assert choose(found(tmp_path, FILES), templates, is_file=True)[1] is None


def test_a_compiled_set_goes_before_its_source(tmp_path: Path) -> None:
    """It starts faster, and needs no skeleton."""
    sets = found(tmp_path, {"A.sch": ABOUT_LETTERS, "a.xsl": COMPILED, "other.xsl": "<a/>"})

    assert [(one.file.name, one.is_compiled) for one in sets] == [("a.xsl", True)]


def test_the_skeleton_is_found_wherever_it_lies(tmp_path: Path) -> None:
    """And only if it is complete."""
    steps = ("iso_dsdl_include.xsl", "ISO_abstract_expand.xsl", "iso_svrl_for_xslt2.xsl")
    complete = write(tmp_path / "a", {f"moteur/{name}": COMPILED for name in steps})
    partial = write(tmp_path / "b", {f"moteur/{name}": COMPILED for name in steps[:2]})

    steps_found = find_skeleton(make_mirror(complete, tmp_path / "wa"))
    assert steps_found is not None
    assert [one.name for one in steps_found] == list(steps)
    assert find_skeleton(make_mirror(partial, tmp_path / "wb")) is None
