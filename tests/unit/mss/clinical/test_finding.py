import ast
import re
from pathlib import Path

import pytest

import mss
from mss.clinical import finding
from mss.clinical.finding import CatalogueRow, Severity, catalogue
from tests.tools.findings_page import GROUPS, findings_page

SOURCES = [
    path
    for folder in ("clinical", "worker/deep_check")
    for path in Path(mss.__file__).parent.joinpath(folder).glob("*.py")
]
CODE = re.compile(r"[a-z]+(?:-[a-z]+)*")


def codes_in(path: Path) -> set[str]:
    """Every code that a module can give to `finding.of`: any text in it that is written as one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        one.value
        for one in ast.walk(tree)
        if isinstance(one, ast.Constant)
        and isinstance(one.value, str)
        and CODE.fullmatch(one.value)
    }


def named_outright(path: Path) -> set[str]:
    """The codes that a module names in the call itself."""
    calls = [
        one for one in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(one, ast.Call)
    ]
    return {
        str(call.args[0].value)
        for call in calls
        if ast.unparse(call.func) == "finding.of"
        and call.args
        and isinstance(call.args[0], ast.Constant)
    }


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_every_code_that_is_used_is_in_the_catalogue(path: Path) -> None:
    """A code outside it would be a crash at the worst moment."""
    assert named_outright(path) <= catalogue().keys()


def test_every_code_of_the_catalogue_is_used() -> None:
    """A row that nothing says is a promise that the code does not keep."""
    from mss.clinical.check_metadata import _FIELDS

    compared = {f"metadata-{field.name.replace('_', '-')}" for field in _FIELDS}
    used = compared.union(*map(codes_in, SOURCES))

    assert catalogue().keys() - used == set()


@pytest.mark.parametrize("row", catalogue().values(), ids=lambda row: row.code)
def test_a_row_says_what_is_the_matter_and_what_to_do(row: CatalogueRow) -> None:
    """In both languages, in sentences, with the same place for a word."""
    texts = (row.text, row.text_fr, row.next_step, row.next_step_fr)

    assert CODE.fullmatch(row.code)
    assert all(text.rstrip("».").strip() and text.endswith((".", "+.")) for text in texts)
    assert ("{name}" in row.text) == ("{name}" in row.text_fr)
    assert row.text != row.text_fr


def test_a_finding_is_its_row_with_the_word_filled_in() -> None:
    """A word with a brace in it is only a word."""
    made = finding.of("header-missing", severity=Severity.WARNING, name="{title}", where="A.XML")

    assert made.text == "The header has no {title}."
    assert (made.severity, made.where) == (Severity.WARNING, "A.XML")
    assert made.next_step == catalogue()["header-missing"].next_step


def test_the_page_has_every_code_in_a_part() -> None:
    """The page is generated; its parts are named by hand."""
    page = findings_page().decode("utf-8")

    assert re.findall(r"(?m)^### `(.*)`$", page) == list(catalogue())
    assert page.count("\n## ") == len(GROUPS)
