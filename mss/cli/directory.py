"""`mss directory`: import, refresh, show, count, generate; certificates to encrypt for."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from crypto import trust as trust_rules
from crypto.certificates import parse_certificates
from directory import index_sql, synthetic
from directory.address import Domain, MailAddress
from directory.findings import Severity
from directory.search import SearchPage, SearchQuery
from directory.sources import find_sources, merge_sources
from directory.survey import Progress as ProgressTold
from directory.sync import ImportReport
from mss.cli.compose import open_desk
from mss.cli.directory_export import export, outbox
from mss.cli.directory_search import hit_facts, search
from mss.cli.root import Group, answer, root, run, settings_of, tell
from mss.clock import SystemClock
from mss.errors import NotFoundError, SettingsError
from mss.model.audit import AuditEvent, AuditName
from mss.settings import Settings
from mss.store import audit
from mss.store.engine import Engine, store_errors, sync_engine
from mss.worker.directory_fetch import FetchedFile, build_directory_fetcher

_NICE: Final = 10  # of a refresh: mail comes first


@root.group("directory", cls=Group)
def directory() -> None:
    """The practitioner directory."""


directory.add_command(search)
directory.add_command(export)
directory.add_command(outbox)


def _existing(
    _context: click.Context, _parameter: click.Parameter, places: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse a path where nothing is; an address is tried later."""
    for place in places:
        if "://" not in place and not Path(place).exists():
            raise click.BadParameter(f"{place!r} does not exist")
    return places


@directory.command("import")
@click.argument("places", nargs=-1, required=True, metavar="PATH|URL…", callback=_existing)
@click.option("--force", is_flag=True, help="Take it although it is older or much different.")
@click.option(
    "--rejects", type=click.Path(dir_okay=False, path_type=Path), help="Write left out lines here."
)
@click.pass_context
def import_(
    context: click.Context, places: tuple[str, ...], *, force: bool, rejects: Path | None
) -> None:
    """Replace the directory by the national files at PATH (files, archives, folders) or URL.

    Together they are the whole directory: who is in none of them vanishes.
    """
    settings = settings_of(context)
    report = import_files(settings, run(_fetch(settings, places)), force=force)
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


@directory.command("refresh")
@click.option("--force", is_flag=True, help="Take them although they are older or much different.")
@click.pass_context
def refresh(context: click.Context, *, force: bool) -> None:
    """Import the files at `directory.sources`, if one is new; the server does it by itself."""
    settings = settings_of(context)
    if not settings.directory.sources:
        raise SettingsError(reason="directory.sources names no address")
    os.nice(_NICE)
    fetcher = build_directory_fetcher(settings)

    async def fetch() -> list[FetchedFile]:
        return [await fetcher.fetch(url) for url in settings.directory.sources]

    fetched = run(fetch())
    paths = tuple(one.path for one in fetched)
    if not any(one.is_new for one in fetched) and not _is_missing(settings, paths):
        answer(context, {"new": False}, "The files in force are still those of the publisher.")
        return
    report = import_files(settings, paths, force=force, actor="system")
    number = report.generation.number
    answer(context, {"new": True, "generation": number}, f"In force: generation {number}.")


async def _fetch(settings: Settings, places: tuple[str, ...]) -> tuple[Path, ...]:
    """Fetch what is given by its address; the rest is here."""
    fetcher = build_directory_fetcher(settings)
    paths = []
    for place in places:
        if "://" in place:
            tell(f"Fetching {place} …")
            paths.append((await fetcher.fetch(place)).path)
        else:
            paths.append(Path(place))
    return tuple(paths)


def _is_missing(settings: Settings, paths: tuple[Path, ...]) -> bool:
    """Tell whether the files were fetched, but are not those in force: an import was refused."""
    engine = sync_engine(settings.database_url)
    try:
        with store_errors(), engine.connect() as connection:
            live = index_sql.find_live_generation(connection)
    finally:
        engine.dispose()
    have = {source.file_name for path in paths for source in find_sources(path)}
    return live is None or not have <= {source.file_name for source in live.sources}


def import_files(
    settings: Settings, paths: tuple[Path, ...], *, force: bool, actor: str = "administrator"
) -> ImportReport:
    """Import files with a progress bar on a terminal."""
    sources = merge_sources(source for path in paths for source in find_sources(path))
    engine = sync_engine(settings.database_url).execution_options(writes=True)
    try:
        with store_errors(), engine.connect() as connection, _progress() as progress:
            report = index_sql.import_snapshot(
                connection,
                sources,
                at=SystemClock().now(),
                force=force,
                keep=timedelta(seconds=settings.directory.snapshot_seconds),
                search_folder=settings.path(settings.directory.search_folder),
                progress=progress,
            )
        _note_import(engine, report, actor=actor, force=force)
        return report
    finally:
        engine.dispose()


def _note_import(engine: Engine, report: ImportReport, *, actor: str, force: bool) -> None:
    """Write into the journal which files are in force now."""
    clock, generation = SystemClock(), report.generation
    event = AuditEvent(
        name=AuditName.DIRECTORY_IMPORTED,
        actor=actor,
        facts=(
            ("generation", str(generation.number)),
            ("practitioners", str(generation.counts.practitioners)),
            ("mailboxes", str(generation.counts.mailboxes)),
            ("files", " ".join(source.file_name for source in generation.sources)),
            ("changed", str(generation.counts.changed)),
            ("vanished", str(generation.counts.vanished)),
            ("forced", str(force).lower()),
            ("overridden", " ".join(_overridden(report))),
        ),
    )
    with store_errors(), engine.begin() as connection:
        audit.append(connection, event, chain=clock.new_id(), at=clock.now())


def _overridden(report: ImportReport) -> list[str]:
    """Name the reasons that would have refused the files."""
    return [one.code for one in report.findings if one.severity is Severity.ERROR]


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
        "seconds": generation.duration.total_seconds() if generation else None,
        "counts": asdict(generation.counts) if generation else {},
        "practitioners": generation.counts.practitioners if generation else 0,
        "mailboxes": dict(found.mailboxes_by_kind),
        "declared_mailboxes": found.declared,
        "certificates": found.certificates,
        "sources": [asdict(source) for source in generation.sources] if generation else [],
        "findings": [asdict(finding) for finding in generation.findings] if generation else [],
    }
    answer(context, facts, *_stats_lines(found))


def _stats_lines(found: index_sql.DirectoryStats) -> Iterator[str]:
    generation = found.generation
    if generation is None:
        yield "There is no directory in force: `mss directory import` makes one."
    else:
        counts = generation.counts
        took = generation.duration.total_seconds()
        yield f"Generation {generation.number}, loaded {generation.loaded_at} in {took:.0f} s"
        yield f"  people         {counts.practitioners:>10}"
        yield f"  situations     {counts.roles:>10}"
        yield f"  structures     {counts.organizations:>10}"
        yield f"  mailboxes      {counts.mailboxes:>10} in {counts.domains} domains"
        yield f"  changed        {counts.changed:>10}, vanished {counts.vanished}"
        for source in generation.sources:
            yield f"  {source.file_name}: {source.rows} lines, {source.rejected} left out"
        yield from (f"  {finding.code}: {finding.text}" for finding in generation.findings)
    for kind, number in found.mailboxes_by_kind.items():
        yield f"Shown {kind:9} {number:>12}"
    yield f"Declared here {found.declared:>14}"
    yield f"Certificates {found.certificates:>15}"


@directory.command("generate")
@click.option("--practitioners", type=click.IntRange(0, 10_000_000), required=True)
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True)
@click.option("--seed", type=int, default=1, help="Another seed gives other people.")
@click.option("--national", is_flag=True, help="As dense as the national files, and FINESS.")
@click.pass_context
def generate(
    context: click.Context, *, practitioners: int, out: Path, seed: int, national: bool
) -> None:
    """Write files in the national formats, full of invented people."""
    stamp = f"{SystemClock().now():%Y%m%d%H%M}"
    made = synthetic.generate(
        out, practitioners=practitioners, seed=seed, stamp=stamp, is_national=national
    )
    files = [made.activities, made.skills, made.mailboxes]
    files += [made.finess] if made.finess else []
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
