"""`mss explain`: find out why, one question at a time.

Each question is a module of its own, `mss/cli/explain_<question>.py`, which registers itself on
`explain` when it is called for: what stands behind some of them takes a second to load.
"""

from importlib import import_module

import click

from mss.cli.root import Group, root

QUESTIONS = {
    "document": "What an IHE_XDM.ZIP or CDA file holds, and what is wrong with it.",
    "message": "What protects a mail layer by layer, what holds and what does not.",
    "route": "Where mail for an address would go, and why.",
}


class Explain(Group):
    """The group, which loads a question when it is asked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every question."""
        del ctx
        return list(QUESTIONS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the module of a question, which registers it here."""
        if cmd_name in QUESTIONS:
            import_module(f"mss.cli.explain_{cmd_name}")
        return super().get_command(ctx, cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the questions without loading what answers them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(QUESTIONS.items()))


@root.group("explain", cls=Explain)
def explain() -> None:
    """Say what the server would do, and why."""
