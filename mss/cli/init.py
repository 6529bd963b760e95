"""`mss init`: make a home."""

from pathlib import Path

import click

from mss.cli import home
from mss.cli.root import answer, home_of, root
from mss.clock import SystemClock
from mss.errors import SettingsError
from mss.settings import load_settings
from mss.store import migrate
from mss.trust_space import parse_domain

TEMPLATE = """\
# Settings of one operator; every key is explained in docs/settings.md (`mss config show`).
domains = [{domains}]
hostname = "{hostname}"

[listen]
mx = "{host}:2525"           # other operators (25 in production)
submission = "{host}:2587"   # our users, STARTTLS (587)
submissions = "{host}:2465"  # our users, TLS from the start (465)
api = "{host}:2443"          # REST API (443)
admin = "127.0.0.1:2481"
"""


@root.command("init")
@click.option("--domain", "domains", multiple=True, required=True, help="A domain to host.")
@click.option("--hostname", default="", help="Name of this mail host [default: mta.DOMAIN].")
@click.option("--organization", default="Trial operator", help="Name in the certificates.")
@click.option("--structure", default="1750000002", help="Struct_IdNat: 1 + FINESS, 3 + SIRET.")
@click.pass_context
def init(
    context: click.Context,
    domains: tuple[str, ...],
    hostname: str,
    organization: str,
    structure: str,
) -> None:
    """Make a home: settings, keys, database."""
    folder = home_of(context).absolute()
    names = [str(parse_domain(one)) for one in domains]
    host_name = hostname or f"mta.{names[0]}"
    create(
        folder,
        settings_text=TEMPLATE.format(
            domains=", ".join(f'"{name}"' for name in names),
            hostname=host_name,
            host="127.0.0.1",
        ),
        identity=home.Identity(
            host_name=host_name, organization=organization, structure_id=structure
        ),
    )
    answer(
        context,
        {"home": str(folder), "domains": names, "hostname": host_name},
        f"Made {folder} for {', '.join(names)}.",
        "Its certificates come from an authority of its own, to try the server with. Replace them:",
        "  mss keys load tls --certificate FILE --key FILE   (then signing, and reading)",
        "  mss trust anchors FILE                            (roots of IGC-Santé)",
        "Then: mss trust load LIST, mss directory import FILES, mss mailbox open ADDRESS,",
        "and mss serve.",
    )


def create(folder: Path, *, settings_text: str, identity: home.Identity) -> None:
    """Make a home with certificates to try it, and its database."""
    home.create_home(folder, settings_text=settings_text)
    home.create_trial_authority(folder, identity=identity, at=SystemClock().now())
    settings = load_settings(folder)
    if not settings.domains:
        raise SettingsError(reason="no domain")
    migrate.upgrade(settings.database_url)
