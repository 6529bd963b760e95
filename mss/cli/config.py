"""`mss config`: check the settings, show them with secrets masked."""

import click

from mss.cli.root import Group, answer, root, settings_of
from mss.settings import unknown_variables


@root.group("config", cls=Group)
def config() -> None:
    """Settings of this operator."""


@config.command("check")
@click.pass_context
def check(context: click.Context) -> None:
    """Say whether the settings can be used; status 1 for a misspelt variable."""
    settings = settings_of(context)
    unknown = unknown_variables()
    lines = [f"{name}: no setting has this name" for name in unknown]
    answer(
        context,
        {"home": str(settings.home), "unknown_variables": unknown},
        *(lines or [f"The settings of {settings.home} can be used."]),
    )
    if unknown:
        context.exit(1)


@config.command("show")
@click.pass_context
def show(context: click.Context) -> None:
    """Show every setting in force, secrets masked."""
    values = settings_of(context).model_dump(mode="json")
    answer(context, values, *_lines(values, ""))


def _lines(values: dict[str, object], prefix: str) -> list[str]:
    lines: list[str] = []
    for key, value in values.items():
        if isinstance(value, dict):
            lines += _lines(value, f"{prefix}{key}.")
        else:
            lines.append(f"{prefix}{key} = {value!r}")
    return lines
