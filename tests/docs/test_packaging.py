"""What is shipped: names that nobody else claims, and nothing that ties it to one machine."""

import re
from importlib.metadata import distributions, packages_distributions, requires

import pytest

from tests.tools.reference import ROOT

OURS = ("mss", "crypto", "directory", "api")
BANNED = {"pycryptodome", "pycrypto", "mss", "python-mss"}
FOLDERS = ("mss", "crypto", "directory", "api", "tests", "docs", ".ci")
NAMES = ("Makefile", "pyproject.toml", "run.lock", "dev.lock", ".pre-commit-config.yaml")
TEXT = {".py", ".md", ".toml", ".lock", ".txt", ".json", ".mako", ""}
# Written so that this file does not find itself.
INDEX = re.compile(r"[p]ypi\.org|[p]ythonhosted|--(extra-)?index[-]url|/[s]imple/")


@pytest.mark.parametrize("package", OURS)
def test_nobody_else_claims_a_package_name_of_ours(package: str) -> None:
    """Two distributions with one package overwrite each other's files."""
    claimed = {name.lower() for name in packages_distributions().get(package, [])}

    assert claimed <= {"mss-server"}


def test_a_banned_distribution_is_not_installed() -> None:
    """Its folder collides with one of ours, at the latest on a disk that ignores case."""
    installed = {one.metadata["Name"].lower() for one in distributions()}

    assert not installed & BANNED


def test_no_dependency_asks_for_a_banned_distribution() -> None:
    """Nor would an upgrade bring it in by the back door, but as an extra that nobody asks for."""
    asked = {
        re.split(r"[\s<>=!~;\[(]", wanted, maxsplit=1)[0].lower()
        for one in distributions()
        for wanted in requires(one.metadata["Name"]) or []
        if "extra ==" not in wanted
    }

    assert not asked & BANNED


def test_no_index_is_named_anywhere() -> None:
    """Where packages come from is the machine's affair, and often a company's mirror."""
    files = [*(ROOT / name for name in NAMES), *ROOT.glob("*.md")]
    files += [
        file
        for folder in FOLDERS
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and file.suffix in TEXT and "__pycache__" not in file.parts
    ]
    naming = [file.name for file in files if INDEX.search(file.read_text("utf-8", "replace"))]

    assert naming == []


@pytest.mark.parametrize("package", OURS)
def test_a_package_of_ours_has_types(package: str) -> None:
    """PEP 561: whoever imports it gets the types that mypy checked here."""
    assert (ROOT / package / "py.typed").exists()
