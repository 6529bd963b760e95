"""`mss demo`: two operators, a directory, and one discharge letter that travels between them.

The story is told step by step; each step is verified by the program before it is printed. Nothing
is simulated: two server processes, real certificates issued on the spot, real sockets on this
machine, and software on both sides that uses only the public doors.
"""

import os
import shutil
import signal
import smtplib
import sys
import time
from pathlib import Path
from shlex import quote

import click
import httpx

from mss.cli.demo.operators import Operators, prepare
from mss.cli.demo.stage import Stage, StepFailedError
from mss.cli.demo.story import tell_story
from mss.cli.root import home_of, root

MARKER = ".mss-demo"
DEFAULT_PORT_BASE = 21000


@root.command("demo")
@click.option("--exit", "exits", is_flag=True, help="End with status 0 once the story is told.")
@click.pass_context
def demo(context: click.Context, *, exits: bool) -> None:
    """Carry a discharge letter from a hospital's software to a GP's, and stay up."""
    exits = exits or os.environ.get("MSS_DEMO_EXIT") == "1"
    # A polite end, so that the servers are ended too and not left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = home_of(context).absolute() / "demo"
    _make_room(folder)
    stage = Stage()
    operators: Operators | None = None
    try:
        operators = prepare(folder, stage, port_base=_port_base())
        tell_story(operators, stage)
        _show(operators, stage)
        if not exits:
            _stay()
    except StepFailedError as error:
        stage.fail(str(error))
        sys.exit(3)
    except (OSError, smtplib.SMTPException, httpx.HTTPError) as error:
        stage.fail(f"a server did not answer as it must: {type(error).__name__}: {error}")
        sys.exit(3)
    finally:
        if operators is not None:
            operators.stop()


def _make_room(folder: Path) -> None:
    """Remove what an earlier demonstration left, and nothing else."""
    if folder.exists() and not (folder / MARKER).exists():
        raise click.UsageError(f"{folder} exists and was not made by this command")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    (folder / MARKER).touch()


def _port_base() -> int:
    text = os.environ.get("MSS_DEMO_PORT_BASE", str(DEFAULT_PORT_BASE))
    if not text.isdecimal() or not 1024 <= int(text) <= 65500:
        raise click.UsageError("MSS_DEMO_PORT_BASE must be a port number from 1024 to 65500")
    return int(text)


def _show(operators: Operators, stage: Stage) -> None:
    """Print what a newcomer needs to go on by hand."""
    gp, hospital = operators.practices, operators.hospital
    stage.blank()
    stage.line(f"All {stage.steps} steps verified in {stage.seconds:.0f} s. Both operators are up:")
    for one in (hospital, gp):
        stage.line(f"  {one.domain}")
        stage.line(f"    REST API  https://localhost:{one.ports['api']}   (pages at /docs)")
        stage.line(
            f"    SMTP      localhost:{one.ports['submission']} STARTTLS, "
            f"user {one.account}, password {one.password}"
        )
        stage.line(f"    mailbox   {one.mailbox}")
        stage.line(f"    token     {one.token}")
        stage.line(f"    home      {one.home}")
    stage.blank()
    stage.line("Read the GP's mailbox:")
    stage.line(f"  curl --cacert {quote(str(operators.anchors))} \\")
    stage.line(f"       -H 'Authorization: Bearer {gp.token}' \\")
    stage.line(f"       https://localhost:{gp.ports['api']}/v1/mailboxes/{gp.mailbox}/messages")
    stage.blank()


def _stay() -> None:
    """Stay up until the person has seen enough."""
    click.echo("Press Ctrl-C to stop.")
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        click.echo("\nStopping both operators.")
