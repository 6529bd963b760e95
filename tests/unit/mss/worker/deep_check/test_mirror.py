from pathlib import Path

import pytest

from mss.worker.deep_check.mirror import Mirror, make_mirror
from tests.unit.mss.worker.deep_check.folders import pattern, schematron, write

MAIN = "rules/Main.sch"


def mirrored(tmp_path: Path, files: dict[str, str]) -> Mirror:
    """The mirror of a folder `rules`."""
    write(tmp_path / "admin", files)
    return make_mirror(tmp_path / "admin" / "rules", tmp_path / "work")


def test_a_file_is_found_under_a_name_of_another_case(tmp_path: Path) -> None:
    """The national files were written where letter case does not matter."""
    include = '<include href="Include/Part.SCH"/>'
    mirror = mirrored(tmp_path, {MAIN: schematron(include), "rules/include/part.sch": pattern()})

    assert (mirror.root / "Include" / "Part.SCH").read_text(encoding="utf-8") == pattern()
    assert mirror.missing == {}


def test_a_value_set_is_found_from_the_file_that_asks_and_from_the_compiled_rules(
    tmp_path: Path,
) -> None:
    """Included rules are compiled into the folder of the main file, and open paths from there."""
    mirror = mirrored(
        tmp_path,
        {
            MAIN: schematron('<include href="include/part.sch"/>'),
            "rules/include/part.sch": pattern(lets='<let name="v" value="doc(\'../VS/a.XML\')"/>'),
            "vs/A.xml": "<a/>",
        },
    )

    assert (mirror.root / "../VS/a.XML").resolve() == tmp_path / "admin/vs/A.xml"


def test_a_value_set_that_is_nowhere_is_remembered_and_does_not_stop_anything(
    tmp_path: Path,
) -> None:
    """One missing file made every run abort."""
    mirror = mirrored(tmp_path, {MAIN: schematron(pattern(lets="<let value=\"'voc/none.xml'\"/>"))})

    assert mirror.missing == {mirror.root / "Main.sch": {"none.xml"}}
    assert (mirror.root / "voc" / "none.xml").read_bytes() == b"<missing/>\n"


def test_the_folder_of_the_administrator_stays_as_it_is(tmp_path: Path) -> None:
    """It may be shared, and may not be ours to write."""
    files = {MAIN: schematron('<include href="INCLUDE/none.xml"/>'), "rules/include/a.sch": ""}

    mirrored(tmp_path, files)

    kept = [one for one in (tmp_path / "admin").rglob("*") if one.is_file()]
    assert sorted(kept) == sorted(tmp_path / "admin" / name for name in files)


@pytest.mark.parametrize(
    "reference", ["../" * 12 + "x.xml", "/etc/x.xml", "http://127.0.0.1/x.xml"]
)
def test_nothing_is_written_outside_the_workspace(tmp_path: Path, reference: str) -> None:
    """A reference may climb, but not out."""
    mirrored(tmp_path, {MAIN: schematron(pattern(lets=f'<let value="{reference}"/>'))})

    outside = [one for one in tmp_path.rglob("x.xml") if not one.is_relative_to(tmp_path / "work")]
    assert outside == []


def test_files_that_include_each_other_are_listed_once(tmp_path: Path) -> None:
    """A circle must not be walked for ever."""
    mirror = mirrored(
        tmp_path,
        {
            MAIN: schematron('<include href="a.sch"/>'),
            "rules/a.sch": pattern(lets='<include href="Main.sch"/>'),
        },
    )

    assert [one.name for one in mirror.needed_by(mirror.root / "Main.sch")] == ["Main.sch", "a.sch"]
