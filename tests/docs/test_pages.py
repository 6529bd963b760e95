"""What people wrote about the project agrees with the project."""

import re
import shlex
import tomllib
from pathlib import Path

import click
import pytest

from mss.cli.root import root
from tests.tools.reference import ROOT, walk_commands

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CODE = sorted(
    file
    for folder in ("mss", "crypto", "directory", "api", "tests")
    for file in (ROOT / folder).rglob("*.py")
)
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
COMMANDS = dict(walk_commands(root, "mss"))


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def relative(file: Path) -> str:
    return str(file.relative_to(ROOT))


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))


@pytest.mark.parametrize("file", PAGES, ids=relative)
def test_a_make_target_that_is_named_exists(file: Path) -> None:
    """Whoever copies a line gets what it promises."""
    fenced = re.findall(r"`make ([a-z-]+)|^make ([a-z-]+)", file.read_text("utf-8"), re.MULTILINE)

    assert {first or second for first, second in fenced} <= make_targets()


@pytest.mark.parametrize(
    "target", ["run", "test", "test-interop", "check", "bench", "clean"], ids=str
)
def test_a_promised_target_is_listed(target: str) -> None:
    """`make` alone lists it, with a sentence."""
    assert re.search(rf"^{target}:.* ## \S", text_of("Makefile"), re.MULTILINE)


@pytest.mark.parametrize("file", PAGES, ids=relative)
def test_a_link_leads_somewhere(file: Path) -> None:
    """Links within the tree; the web is not asked."""
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", file.read_text("utf-8"))
    local = [link for link in links if not link.startswith(("http:", "https:"))]

    assert [link for link in local if not (file.parent / link).exists()] == []


def shell_lines(text: str) -> list[str]:
    """Give the `mss …` lines of the console blocks, continuation lines joined."""
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("mss ")]


@pytest.mark.parametrize(
    "line", shell_lines(text_of("docs/operations.md")), ids=lambda line: line[:40]
)
def test_a_command_of_the_operations_page_is_one_of_ours(line: str) -> None:
    """The command exists and takes the options that the page gives it."""
    words = shlex.split(line, comments=True)
    path = next(name for name in (" ".join(words[:3]), " ".join(words[:2])) if name in COMMANDS)
    command = COMMANDS[path]
    known = {name for one in command.params if isinstance(one, click.Option) for name in one.opts}

    assert {word for word in words if word.startswith("--")} <= known


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=;~! ]", one, maxsplit=1)[0] for one in requirements}


def test_each_dependency_has_its_reason() -> None:
    """And no reason outlives its dependency."""
    wanted = names_of(PROJECT["project"]["dependencies"])
    for group in PROJECT["dependency-groups"].values():
        wanted |= names_of(group)
    rows = re.findall(r"^\| ([a-z0-9.-]+) \|", text_of("docs/dependencies.md"), re.MULTILINE)

    assert sorted(rows) == sorted(wanted)


@pytest.mark.parametrize("lock", ["run", "dev", "interop"])
def test_a_lock_file_pins_and_hashes_everything(lock: str) -> None:
    """Nothing else is accepted when they are installed."""
    lines = text_of(f"{lock}.lock").splitlines()
    pins = [line for line in lines if line and line[0] not in " #"]

    assert [line for line in pins if "==" not in line or not line.endswith("\\")] == []


def test_the_development_environment_runs_what_is_run() -> None:
    """Each version that is tested is the version that is installed."""
    pins = {lock: pins_of(lock) for lock in ("run", "dev", "interop")}

    assert pins["run"] <= pins["dev"] <= pins["interop"]


def pins_of(lock: str) -> set[str]:
    lines = text_of(f"{lock}.lock").splitlines()
    return {line.split()[0] for line in lines if line[:1].isalnum()}


@pytest.mark.parametrize("word", ["TrustList", "liste_rouge", "FINESS", "RPPS", "SIRET", "ins"])
def test_a_french_notion_of_the_code_is_in_the_glossary(word: str) -> None:
    """A reader without French finds out what it means."""
    assert f"`{word}`" in text_of("docs/glossary.md")


@pytest.mark.parametrize("file", CODE, ids=relative)
def test_a_cited_decision_exists(file: Path) -> None:
    """`docs/adr/0007` in a docstring leads to a page."""
    cited = set(re.findall(r"docs/adr/(\d{4})", file.read_text(encoding="utf-8")))
    written = {page.name[:4] for page in (ROOT / "docs" / "adr").glob("*.md")}

    assert cited <= written


@pytest.mark.parametrize("file", CODE, ids=relative)
def test_a_page_that_the_code_cites_is_in_the_tree(file: Path) -> None:
    """A source is public, or a page of ours; a note that only its author has is neither."""
    cited = set(re.findall(r"(?<![`/\w])(?:docs/)?[\w/-]+\.md\b", file.read_text(encoding="utf-8")))
    known = {page.name for page in PAGES}

    assert {one for one in cited if Path(one).name not in known} == set()


def test_the_decisions_are_numbered_without_gaps() -> None:
    """A number is never given twice."""
    numbers = [page.name[:4] for page in sorted((ROOT / "docs" / "adr").glob("*.md"))]

    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]


@pytest.mark.parametrize(
    "heading",
    ["Situation.", "Decision.", "Reasons.", "What we gave up.", "How we would know it was wrong."],
)
def test_a_decision_says_what_it_cost(heading: str) -> None:
    """Each page has its five parts."""
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))

    assert [one.name for one in pages if f"**{heading}**" not in one.read_text("utf-8")] == []
