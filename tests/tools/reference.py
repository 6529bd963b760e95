"""Write the references that are generated from the code: settings, errors, commands, OpenAPI.

`python -m tests.tools.reference` writes them; with `--check` it only says which are not up to date,
with status 1. Each page says in its first lines where it comes from.
"""

import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from api import description
from api.app import bare_app
from api.problems import DEFAULT_STATUS, STATUSES
from crypto.errors import CryptoError
from directory.errors import DirectoryError
from mss.cli.root import root
from mss.errors import MSSError
from mss.settings import OTHER_VARIABLES, Section, Settings
from mss.smtp.replies import FALLBACK, REPLIES
from tests.tools.findings_page import findings_page

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
ErrorType = type[MSSError] | type[CryptoError] | type[DirectoryError]
VARIABLES = {
    "MSS_HOME": "The home, when `--home` is not given.",
    "MSS_DEMO_EXIT": "`1`: the demonstration ends by itself, with status 0.",
    "MSS_DEMO_PORT_BASE": "First of the ports that the demonstration listens on.",
}

EVERYWHERE = {"--home", "--json", "--help"}

SETTINGS = """\
# Settings

Generated from `mss/settings.py` by `make docs`; change it there.

One TOML file, `mss.toml` in the home, read once at the start. A variable overrides the file:
`MSS_`, the section, two underscores, the key, as in `MSS_LISTEN__MX=0.0.0.0:25`. Sizes are in
octets, durations in seconds. `mss config check` finds misspelt names; `mss config show` prints what
is in force, secrets masked.

## At the top of the file
"""
ERRORS = f"""\
# Errors

Generated from the code by `make docs`.

A code is permanent: software may rely on it. The REST API puts it into `code` of an
`application/problem+json`; the SMTP doors put it in brackets at the end of a reply; commands print
it on standard error. A reason after the code, as in `signature-invalid: digest-differs`, is as
permanent.

*Worth trying again* means that the very same request may succeed later. An error that shows no
answer of a door never reaches that door; should one do so, the door answers
`{FALLBACK[0]} {FALLBACK[1]}` (SMTP) or `{DEFAULT_STATUS}` (HTTP): trouble of ours, and mail is not
lost."""
COMMANDS = """\
# Commands

Generated from `mss/cli` by `make docs`.

Every command takes `--home DIRECTORY` (the folder of one operator: `$MSS_HOME`, else `./var`),
`--json` (answer in JSON on standard output) and `--help`. Diagnostics go to standard error. Exit
status: 0 done; 1 the answer is no (refused, invalid, not found); 2 wrong usage; 3 the server's own
trouble."""


def main() -> None:
    """Write the pages, or check them."""
    stale = [file for file, build in PAGES.items() if not _is_current(file, build())]
    if "--check" in sys.argv[1:]:
        for file in stale:
            print(f"{file.relative_to(ROOT)} is not up to date: run `make docs`", file=sys.stderr)
        sys.exit(1 if stale else 0)
    for file in stale:
        file.write_bytes(PAGES[file]())
        print(f"{file.relative_to(ROOT)} written", file=sys.stderr)


def _is_current(file: Path, octets: bytes) -> bool:
    return file.exists() and file.read_bytes() == octets


def settings_page() -> bytes:
    """Describe every setting."""
    lines = [
        SETTINGS,
        *_settings_table("", Settings),
    ]
    for name, one in Settings.model_fields.items():
        if (section := _section_of(one)) is not None:
            lines += ["", f"## `[{name}]`", "", _first_line(section), ""]
            lines += _settings_table(f"{name}.", section)
    lines += ["", "## Variables that are no settings", "", "| Variable | Meaning |", "|---|---|"]
    lines += [f"| `{name}` | {VARIABLES[name]} |" for name in sorted(OTHER_VARIABLES)]
    return _page(lines)


def _section_of(one: FieldInfo) -> type[Section] | None:
    kind = one.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _settings_table(prefix: str, model: type[BaseModel]) -> list[str]:
    rows = [
        f"| `{prefix}{name}` | {_default(one)} | {_cell(one.description or '')} |"
        for name, one in model.model_fields.items()
        if _section_of(one) is None and name != "home"
    ]
    return ["| Key | Default | Meaning |", "|---|---|---|", *rows]


def _default(one: FieldInfo) -> str:
    value = "" if one.is_required() else one.get_default(call_default_factory=True)
    if one.is_required():
        return "(required)"
    if isinstance(value, SecretStr) or value in (None, "", {}):
        return "(empty)"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def errors_page() -> bytes:
    """Describe every error."""
    lines = [ERRORS]
    titles: dict[ErrorType, str] = {
        MSSError: "The server",
        CryptoError: "Certificates, signatures, encryption (`crypto`)",
        DirectoryError: "The directory (`directory`)",
    }
    for kind, title in titles.items():
        lines += ["", f"## {title}"]
        for error in sorted(errors_below(kind), key=lambda each: each.code):
            lines += ["", *_error(error)]
    return _page(lines)


def _error(error: ErrorType) -> list[str]:
    facts = []
    if reply := REPLIES.get(error.code):
        facts.append(f"SMTP `{reply[0]} {reply[1]}`")
    if status := STATUSES.get(error.code):
        facts.append(f"HTTP `{status}`")
    facts.append("worth trying again" if error.retryable else "not worth trying again as it is")
    lines = [f"### `{error.code}`", "", _first_line(error), "", "- " + ", ".join(facts)]
    for label, name in (("en", "public_text"), ("fr", "public_text_fr"), ("do", "next_step")):
        if text := getattr(error, name, ""):
            lines.append(f"- {label}: {text}")
    return lines


def errors_below(kind: ErrorType) -> Iterator[ErrorType]:
    """List a root of errors and every class below it, of our packages."""
    import_everything()
    yield kind
    for below in kind.__subclasses__():
        if below.__module__.split(".")[0] in {"mss", "api", "crypto", "directory"}:
            yield from errors_below(below)


def import_everything() -> None:
    """Import every module of the four packages, so that every class is known."""
    for package in ("crypto", "directory", "mss", "api"):
        paths = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(paths, f"{package}."):
            if "__main__" not in module.name and ".migrations" not in module.name:
                importlib.import_module(module.name)


def commands_page() -> bytes:
    """Describe every command."""
    lines = [COMMANDS]
    for path, command in sorted(walk_commands(root, "mss")):
        lines += ["", *_command(path, command)]
    return _page(lines)


def walk_commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """List every command that does something, with how it is called."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, "the group has just listed it"
        if isinstance(command, click.Group):
            yield from walk_commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _command(path: str, command: click.Command) -> list[str]:
    # The settings of the whole tree: click keeps the help option that it is first asked for.
    context = click.Context(command, info_name=path, **root.context_settings)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    lines = [f"## `{path}`", "", f"`{usage}`", ""]
    lines += [" ".join(paragraph.split()) for paragraph in paragraphs[:1]]
    options = [
        record
        for one in command.get_params(context)
        if isinstance(one, click.Option) and not EVERYWHERE.intersection(one.opts)
        if (record := one.get_help_record(context)) is not None
    ]
    if options:
        lines += ["", "| Option | Meaning |", "|---|---|"]
        lines += [f"| `{_cell(name)}` | {_cell(meaning)} |" for name, meaning in options]
    return lines


def openapi_document() -> bytes:
    """Build the description of the REST API."""
    return description.build_document(bare_app())


def _first_line(thing: type) -> str:
    """Take the first paragraph of a docstring."""
    return " ".join(inspect.cleandoc(thing.__doc__ or "").split("\n\n")[0].split())


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _page(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


PAGES: dict[Path, Callable[[], bytes]] = {
    DOCS / "settings.md": settings_page,
    DOCS / "errors.md": errors_page,
    DOCS / "cli.md": commands_page,
    DOCS / "document-findings.md": findings_page,
    description.FILE: openapi_document,
}


if __name__ == "__main__":
    main()
