"""`mss trust`: the trust list (liste blanche) and the anchors."""

from pathlib import Path

import click

from crypto.certificates import parse_certificates
from directory.trust_list import MAX_OCTETS, TrustList
from mss.cli import home
from mss.cli.compose import open_desk
from mss.cli.root import Group, answer, root, run, settings_of
from mss.errors import DomainNotTrustedError, TrustListMissingError
from mss.model.trust import TrustListStatus
from mss.trust_space import TrustListRefusedError, parse_domain
from mss.worker.revocation import RevocationNews


@root.group("trust", cls=Group)
def trust() -> None:
    """Whom this operator believes."""


@trust.command("load")
@click.argument("source", metavar="PATH|URL")
@click.option("--force", is_flag=True, help="Take it although it is older or much shorter.")
@click.pass_context
def load(context: click.Context, source: str, *, force: bool) -> None:
    """Judge the signed trust list at PATH or URL (https) and put it in force.

    The server of a URL must show a certificate of our anchors, or of `trust.list_ca`.
    """
    octets = None if "://" in source else _read(source)

    async def work() -> TrustList | None:
        async with open_desk(settings_of(context)) as desk:
            # What the server has fetched about revoked certificates counts here too.
            await RevocationNews(trust=desk.trust, settings=desk.settings).follow()
            if octets is not None:
                name = Path(source).name
                return await desk.trust.load(octets, source=name, is_forced=force)
            loaded = await desk.poll.load_from(source, is_forced=force)
            return loaded or desk.trust.trust_list

    fresh = run(work())
    if fresh is None:
        raise TrustListMissingError
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
@click.argument("domain", required=False)
@click.pass_context
def show(context: click.Context, domain: str | None) -> None:
    """Show which certificates may speak for DOMAIN; status 1 when none may.

    Without DOMAIN: the list in force, and when it was last confirmed; status 1 when it is stale.
    """

    async def work() -> tuple[TrustList, TrustListStatus]:
        async with open_desk(settings_of(context)) as desk:
            await desk.trust.refresh()
            status = await desk.trust.status()
            if desk.trust.trust_list is None or status is None:
                raise TrustListMissingError
            return desk.trust.trust_list, status

    listed, status = run(work())
    if domain is None:
        _show_status(context, status)
        return
    name = str(parse_domain(domain))
    operators = listed.operators_of(name)
    if not operators:
        raise DomainNotTrustedError(domain=name)
    descriptions = sorted(
        {one.description for one in listed.entries if one.domain == name and one.description}
    )
    answer(
        context,
        {
            "domain": name,
            "certificates": [str(one.name) for one in operators],
            "operators": [
                {
                    "certificate": str(one.name),
                    "host": one.host,
                    "organization": one.name.organization,
                    "domains": len(one.domains),
                }
                for one in operators
            ],
            "descriptions": descriptions,
            "list": _status_facts(status),
        },
        f"{name}: {', '.join(descriptions)}",
        *(f"  {one.name}  (speaks for {len(one.domains)} domains)" for one in operators),
        f"  list of {status.generated_at:%Y-%m-%d %H:%M} UTC, "
        f"confirmed {status.confirmed_at:%Y-%m-%d %H:%M} UTC",
    )


def _show_status(context: click.Context, status: TrustListStatus) -> None:
    answer(
        context,
        _status_facts(status),
        f"{status.entries} entries, {status.domains} domains, SHA-256 {status.sha256}",
        f"generated {status.generated_at:%Y-%m-%d %H:%M} UTC, from {status.source}",
        f"confirmed {status.confirmed_at:%Y-%m-%d %H:%M} UTC"
        + (": STALE, its source has not confirmed it for too long" if status.is_stale else ""),
    )
    if status.is_stale:
        context.exit(1)


def _status_facts(status: TrustListStatus) -> dict[str, object]:
    return {
        "sha256": status.sha256,
        "generated_at": status.generated_at,
        "confirmed_at": status.confirmed_at,
        "source": status.source,
        "entries": status.entries,
        "domains": status.domains,
        "age_seconds": int(status.age.total_seconds()),
        "stale": status.is_stale,
    }


def _read(path: str) -> bytes:
    file = Path(path)
    if not file.is_file():
        raise click.BadParameter(
            f"{path!r} is neither a file nor an address", param_hint="PATH|URL"
        )
    if file.stat().st_size > MAX_OCTETS:
        raise TrustListRefusedError(reason="too-large")
    return file.read_bytes()


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
