"""`mss trust`: the trust list (liste blanche) and the anchors."""

from pathlib import Path

import click

from crypto.certificates import parse_certificates
from directory.trust_list import TrustList
from mss.cli import home
from mss.cli.compose import open_desk
from mss.cli.root import Group, answer, root, run, settings_of
from mss.errors import DomainNotTrustedError, TrustListMissingError
from mss.trust_space import parse_domain


@root.group("trust", cls=Group)
def trust() -> None:
    """Whom this operator believes."""


@trust.command("load")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Take it although it is older or much shorter.")
@click.pass_context
def load(context: click.Context, path: Path, *, force: bool) -> None:
    """Judge the signed trust list at PATH and put it in force."""
    octets = path.read_bytes()

    async def work() -> TrustList:
        async with open_desk(settings_of(context)) as desk:
            return await desk.trust.load(octets, source=path.name, is_forced=force)

    fresh = run(work())
    facts = {
        "generated_at": fresh.generated_at,
        "entries": len(fresh.entries),
        "domains": len(fresh.domains),
        "findings": [{"code": one.code, "text": one.text} for one in fresh.findings],
    }
    answer(
        context,
        facts,
        f"In force: {len(fresh.entries)} entries, {len(fresh.domains)} domains, "
        f"generated {fresh.generated_at:%Y-%m-%d %H:%M} UTC.",
        *(f"  {one.code}: {one.text}" for one in fresh.findings),
    )


@trust.command("show")
@click.argument("domain")
@click.pass_context
def show(context: click.Context, domain: str) -> None:
    """Show which certificates may speak for DOMAIN; status 1 when none may."""

    async def work() -> TrustList:
        async with open_desk(settings_of(context)) as desk:
            await desk.trust.refresh()
            if desk.trust.trust_list is None:
                raise TrustListMissingError
            return desk.trust.trust_list

    name = str(parse_domain(domain))
    names = sorted(map(str, run(work()).names_of(name)))
    if not names:
        raise DomainNotTrustedError(domain=name)
    answer(context, {"domain": name, "certificates": names}, f"{name}:", *(f"  {n}" for n in names))


@trust.command("anchors")
@click.argument(
    "path", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--intermediates",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Issuing certificates to install with them.",
)
@click.pass_context
def anchors(context: click.Context, path: Path | None, intermediates: Path | None) -> None:
    """Show the roots that are believed, or replace them by those at PATH (PEM, DER, p7b)."""
    settings = settings_of(context)
    for source, target in (
        (path, settings.trust.anchors),
        (intermediates, settings.trust.intermediates),
    ):
        if source is not None:
            found = parse_certificates(source.read_bytes())
            home.write_private(settings.path(target), "".join(one.pem for one in found).encode())
    present = parse_certificates(settings.path(settings.trust.anchors).read_bytes())
    answer(
        context,
        [
            {
                "subject": one.subject_text,
                "fingerprint": one.fingerprint,
                "not_after": one.not_after_at,
            }
            for one in present
        ],
        *(f"{one.subject_text}, until {one.not_after_at:%Y-%m-%d}" for one in present),
    )
