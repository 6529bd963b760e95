"""The command tree `mss …`, and what is common to every command.

`--home` and `--json` may stand anywhere on the line. Standard output is for the answer, standard
error for everything else.

Exit status: 0 done; 1 the answer is no (refused, invalid, not found); 2 wrong usage; 3 the server's
own trouble.
"""

import asyncio
import os
import sys
from collections.abc import Coroutine
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson

from crypto.errors import CryptoError
from directory.errors import DirectoryError
from mss import __version__
from mss.errors import MSSError, SettingsError, StoreFullError, StoreUnavailableError
from mss.settings import Settings, load_settings

T = TypeVar("T")
OWN_TROUBLE = (SettingsError, StoreFullError, StoreUnavailableError)
_HOME = "mss.home"
_JSON = "mss.json"


def _remember(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Keep a global option, wherever it stood; a later one wins."""
    if value not in (None, False):
        context.meta[_HOME if parameter.name == "home" else _JSON] = value


def _global_options() -> list[click.Parameter]:
    return [
        click.Option(
            ["--home"],
            type=click.Path(file_okay=False, path_type=Path),
            expose_value=False,
            callback=_remember,
            help="Folder of one operator [default: $MSS_HOME, else ./var].",
        ),
        click.Option(
            ["--json"],
            is_flag=True,
            expose_value=False,
            callback=_remember,
            help="Answer in JSON on standard output.",
        ),
    ]


class Command(click.Command):
    """A command that also takes the global options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- passed through
        super().__init__(*args, **kwargs)
        self.params.extend(_global_options())


class Group(click.Group):
    """A group whose commands all take the global options."""

    command_class = Command
    group_class = type

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 -- passed through
        super().__init__(*args, **kwargs)
        self.params.extend(_global_options())


# Every command: its module registers itself on `root` when it is imported, and only then, since
# the server behind some of them takes a second to load.
COMMANDS = {
    "account": "People and software that log in.",
    "audit": "The journal, and whether it holds.",
    "config": "Settings: check, show.",
    "db": "The database: upgrade, check.",
    "demo": "Two operators and a letter between them.",
    "directory": "The practitioner directory.",
    "explain": "Say what the server would do, and why.",
    "hl7": "Hospital software that speaks HL7 v2.",
    "init": "Make a home: settings, keys, database.",
    "keys": "Keys and certificates.",
    "mailbox": "Mailboxes: open, close, delegate.",
    "quarantine": "Messages that were put aside.",
    "queue": "Deliveries to other operators.",
    "serve": "Run doors and workers.",
    "trust": "The trust list and the anchors.",
}


class Root(Group):
    """The top of the tree, which loads a command when it is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the module of a command, which registers it here."""
        if cmd_name in COMMANDS:
            import_module(f"mss.cli.{cmd_name}")
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without loading them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mss")
def root() -> None:
    """A server for secure health mail (MSSanté)."""


def home_of(context: click.Context) -> Path:
    """Tell which home the command is about."""
    given = context.meta.get(_HOME) or os.environ.get("MSS_HOME")
    return Path(given) if given else Path("var")


def settings_of(context: click.Context) -> Settings:
    """Read the settings of that home."""
    return load_settings(home_of(context))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's asynchronous part."""
    return asyncio.run(work)


def answer(context: click.Context, value: object, *lines: str) -> None:
    """Print the answer: *value* as JSON when that was asked for, otherwise *lines*."""
    if context.meta.get(_JSON):
        click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())
    else:
        for line in lines:
            click.echo(line)


def tell(text: str) -> None:
    """Say something to the person at the terminal, beside the answer."""
    click.echo(text, err=True)


def main() -> None:
    """Run the command line and end with its status."""
    try:
        status = root.main(standalone_mode=False)
    except click.exceptions.Abort:
        tell("Interrupted.")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OWN_TROUBLE as error:
        _refuse(error, error.next_step)
        sys.exit(3)
    except MSSError as error:
        _refuse(error, error.next_step)
        sys.exit(3 if error.code == "internal" else 1)
    except (CryptoError, DirectoryError) as error:
        _refuse(error, "")
        sys.exit(1)
    except OSError as error:
        tell(f"mss: {error.filename or 'the system'}: {error.strerror}")
        sys.exit(3)
    sys.exit(status if isinstance(status, int) else 0)


def _refuse(error: MSSError | CryptoError | DirectoryError, next_step: str) -> None:
    tell(f"mss: {error.public_text} [{error}]")
    if next_step:
        tell(f"     {next_step}")
