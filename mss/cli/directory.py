"""`mss directory`: import, show, count, generate; certificates to encrypt for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from crypto import trust as trust_rules
from crypto.certificates import parse_certificates
from directory import index_sql, synthetic
from directory.address import Domain, MailAddress
from directory.extraction import find_sources
from directory.search import SearchPage, SearchQuery
from directory.sync import ImportReport
from directory.sync import Progress as ProgressTold
from mss.cli.compose import open_desk
from mss.cli.directory_search import hit_facts, search
from mss.cli.root import Group, answer, root, run, settings_of, tell
from mss.clock import SystemClock
from mss.errors import NotFoundError
from mss.model.audit import AuditEvent, AuditName
from mss.settings import Settings
from mss.store import audit
from mss.store.engine import Engine, store_errors, sync_engine


@root.group("directory", cls=Group)
def directory() -> None:
    """The practitioner directory."""


directory.add_command(search)


@directory.command("import")
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path), metavar="PATH…"
)
@click.option("--force", is_flag=True, help="Take it although it is older or much smaller.")
@click.option(
    "--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Write left out lines here."
)
@click.pass_context
def import_(
    context: click.Context, paths: tuple[Path, ...], *, force: bool, rejects: Path | None
) -> None:
    """Replace the directory by the national files at PATH (files, archives, folders)."""
    report = import_files(settings_of(context), paths, force=force)
    if rejects is not None:
        rejects.write_text("".join(f"{line}\n" for line in _rejected(report)), encoding="utf-8")
    counts = report.generation.counts
    left_out = sum(len(found) for found in report.rejects.values())
    answer(
        context,
        {
            "generation": report.generation.number,
            "practitioners": counts.practitioners,
            "mailboxes": counts.mailboxes,
            "seconds": report.generation.duration.total_seconds(),
            "rejected_lines": left_out,
            "findings": [{"code": one.code, "text": one.text} for one in report.findings],
        },
        f"In force: generation {report.generation.number}, {counts.practitioners} people, "
        f"{counts.mailboxes} mailboxes, {left_out} lines left out.",
        *(f"  {one.code}: {one.text}" for one in report.findings),
    )


def import_files(settings: Settings, paths: tuple[Path, ...], *, force: bool) -> ImportReport:
    """Import files with a progress bar on a terminal."""
    sources = [source for path in paths for source in find_sources(path)]
    engine = sync_engine(settings.database_url).execution_options(writes=True)
    try:
        with store_errors(), engine.connect() as connection, _progress() as progress:
            report = index_sql.import_snapshot(
                connection, sources, at=SystemClock().now(), force=force, progress=progress
            )
        _note_import(engine, report, force=force)
        return report
    finally:
        engine.dispose()


def _note_import(engine: Engine, report: ImportReport, *, force: bool) -> None:
    """Write into the journal which files are in force now."""
    clock, generation = SystemClock(), report.generation
    event = AuditEvent(
        name=AuditName.DIRECTORY_IMPORTED,
        actor="administrator",
        facts=(
            ("generation", str(generation.number)),
            ("practitioners", str(generation.counts.practitioners)),
            ("mailboxes", str(generation.counts.mailboxes)),
            ("files", " ".join(source.file_name for source in generation.sources)),
            ("forced", str(force).lower()),
        ),
    )
    with store_errors(), engine.begin() as connection:
        audit.append(connection, event, chain=clock.new_id(), at=clock.now())


@directory.command("show")
@click.argument("identifier", metavar="ID")
@click.pass_context
def show(context: click.Context, identifier: str) -> None:
    """Show the person or mailbox that ID (RPPS, address) names."""

    async def work() -> SearchPage:
        async with open_desk(settings_of(context)) as desk:
            return await desk.directory.search(SearchQuery(text=identifier, limit=1))

    page = run(work())
    if not page.hits:
        raise NotFoundError(what="directory entry")
    hit = page.hits[0]
    facts = hit_facts(hit)
    answer(context, facts, *(f"{key:14} {value}" for key, value in facts.items() if value))


@directory.command("stats")
@click.pass_context
def stats(context: click.Context) -> None:
    """Count what is in force, and say where it came from."""

    async def work() -> index_sql.DirectoryStats:
        async with open_desk(settings_of(context)) as desk:
            return await desk.database.survey(index_sql.stats)

    found = run(work())
    generation = found.generation
    facts: dict[str, object] = {
        "generation": generation.number if generation else None,
        "loaded_at": generation.loaded_at if generation else None,
        "practitioners": generation.counts.practitioners if generation else 0,
        "mailboxes": dict(found.mailboxes_by_kind),
        "certificates": found.certificates,
        "sources": [source.file_name for source in generation.sources] if generation else [],
    }
    answer(context, facts, *(f"{key:14} {value}" for key, value in facts.items()))


@directory.command("generate")
@click.option("--practitioners", type=click.IntRange(0, 10_000_000), required=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--seed", type=int, default=1, help="Another seed gives other people.")
@click.pass_context
def generate(context: click.Context, practitioners: int, out: Path, seed: int) -> None:
    """Write files in the national formats, full of invented people."""
    stamp = f"{SystemClock().now():%Y%m%d%H%M}"
    made = synthetic.generate(out, practitioners=practitioners, seed=seed, stamp=stamp)
    files = [made.activities, made.skills, made.mailboxes]
    answer(
        context,
        {
            "files": [str(one) for one in files],
            "practitioners": made.practitioner_count,
            "mailboxes": made.mailbox_count,
        },
        *map(str, files),
    )


@directory.command("publish-certificate")
@click.argument("subject", metavar="ADDRESS|@DOMAIN")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_context
def publish_certificate(context: click.Context, subject: str, path: Path) -> None:
    """Keep the certificate at PATH to encrypt with, for a mailbox or a whole domain.

    It must lead to an anchor and be fit to encrypt mail now; it is judged again at each use.
    """
    whom = Domain(subject[1:]) if subject.startswith("@") else MailAddress.parse(subject)
    certificate = parse_certificates(path.read_bytes())[0]

    async def work() -> index_sql.Publication:
        async with open_desk(settings_of(context)) as desk:
            trust_rules.validate(
                certificate,
                store=desk.trust.store,
                profile=desk.trust.profile(trust_rules.Usage.MAIL_ENCRYPTION),
                at=desk.clock.now(),
            )
            return await desk.database.write(
                lambda c: index_sql.publish_certificate(
                    c,
                    subject=whom,
                    der=certificate.der,
                    fingerprint=certificate.fingerprint,
                    not_after_at=certificate.not_after_at,
                    published_at=desk.clock.now(),
                )
            )

    done = run(work())
    answer(
        context,
        {"subject": subject, "fingerprint": certificate.fingerprint, "beside": done.beside},
        f"{subject}: {certificate.subject_text}",
        *(f"  beside an older one: {one}" for one in done.beside),
    )


@contextmanager
def _progress() -> Iterator[ProgressTold]:
    """Show a bar per file on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description:45.45}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks = {}

        def tell_progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield tell_progress


def _rejected(report: ImportReport) -> Iterator[str]:
    for name, found in report.rejects.items():
        for one in found:
            yield f"{name}:{one.line}: {one.reason}"
