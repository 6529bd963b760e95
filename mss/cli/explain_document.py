"""`mss explain document`: what an archive or a clinical document holds, and what is wrong with it.

Nothing of a home is needed, nothing is fetched and nothing is stored but the page that is asked
for. The file is judged as a received one is.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO, Final

import click

from mss.cli.explain import explain
from mss.cli.root import answer, home_of, settings_of
from mss.clinical.cda import CdaSyntaxError
from mss.clinical.finding import Finding, Severity
from mss.clinical.html import render_html
from mss.clinical.listing import (
    AuthorView,
    DocumentSet,
    DocumentView,
    PatientView,
    describe_file,
    is_deletion,
    read_file,
)
from mss.settings import SETTINGS_FILE, DocumentSettings
from mss.worker.deep_check.checker import DeepChecker

MAX_FILE_OCTETS: Final = 128 * 1024 * 1024
_LANGUAGES: Final = ("en", "fr")
_SEVERITIES: Final = {
    Severity.ERROR: "erreur",
    Severity.WARNING: "avertissement",
    Severity.INFO: "information",
}
_BODIES: Final = {
    "structured": "structuré",
    "none": "sans contenu",
    "other": "autre format",
    "text": "texte",
}
_ACTIONS: Final = {"new": "nouveau", "replace": "remplacement", "delete": "suppression"}
_NOTHING: Final = {"en": "Nothing to remark.", "fr": "Rien à signaler."}


@explain.command("document")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write a document as a safe page to this file.",
)
@click.option(
    "--number", type=click.IntRange(min=1), default=1, show_default=True, help="Which, for --html."
)
@click.option(
    "--deep", is_flag=True, help="Check against the schemas and schematrons of the settings, too."
)
@click.option(
    "--schemas",
    type=click.Path(exists=True, path_type=Path),
    help="In place of `documents.schemas`, for --deep.",
)
@click.option(
    "--schematrons",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="In place of `documents.schematrons`, for --deep.",
)
@click.option(
    "--language",
    type=click.Choice(_LANGUAGES),
    default="en",
    show_default=True,
    help="Of the text for people.",
)
@click.pass_context
def document(
    context: click.Context,
    file: BinaryIO,
    *,
    page: Path | None,
    number: int,
    deep: bool,
    schemas: Path | None,
    schematrons: Path | None,
    language: str,
) -> None:
    """Say what the IHE_XDM.ZIP or CDA document FILE holds, and what is wrong with it.

    FILE may be `-` for standard input. Exit status 1 if a finding is an error.
    """
    octets = file.read(MAX_FILE_OCTETS + 1)
    if len(octets) > MAX_FILE_OCTETS:
        raise click.UsageError(f"The file is larger than {MAX_FILE_OCTETS} octets.")
    name = Path(getattr(file, "name", "-")).name.replace("<stdin>", "-")
    settings, home = _rules(context, schemas, schematrons)
    with DeepChecker(settings, home=home) as checker:
        found = describe_file(name, octets, more=checker.check if deep else None)
    if page is not None:
        _write_page(page, name, octets, found, number=number)
    answer(context, _facts(found), *map(_clean, _lines(found, language)))
    if any(one.severity is Severity.ERROR for one in found.all_findings):
        context.exit(1)


def _write_page(page: Path, name: str, octets: bytes, found: DocumentSet, *, number: int) -> None:
    files = read_file(name, octets)
    if number > len(files):
        raise click.UsageError(f"There is no document number {number} to show.")
    try:
        made = render_html(files[number - 1], is_deletion=is_deletion(found.documents[number - 1]))
    except CdaSyntaxError as error:
        raise click.UsageError(error.public_text) from error
    page.write_bytes(made.octets)


def _facts(found: DocumentSet) -> dict[str, object]:
    documents = []
    for one in found.documents:
        facts = asdict(one)
        facts["size"] = facts.pop("size_octets")
        facts["authors"] = [author.name for author in one.authors]
        del facts["findings"]
        documents.append(facts)
    return {"documents": documents, "findings": [asdict(one) for one in found.all_findings]}


def _lines(found: DocumentSet, language: str) -> Iterator[str]:
    say = _french if language == "fr" else _english
    for one in found.documents:
        yield from say(one)
        yield from _remarks(one.findings, language)
    yield from _remarks(found.findings, language)
    if not found.all_findings:
        yield _NOTHING[language]


def _english(one: DocumentView) -> Iterator[str]:
    yield f"{one.file}: {_kind(one)}; {one.body}, {one.action}, {one.size_octets} octets"
    yield from _line("title", one.title)
    yield from _line("patient", _patient(one.patient, "born"))
    yield from _line("author", "; ".join(map(_author, one.authors)))
    yield from _line("created", one.creation_time)
    yield from _line("identifier", one.unique_id)
    yield from _line("version", _version(one, "of"))
    yield from _line("replaces", ", ".join(one.replaces))
    yield from _line("SHA-1", one.sha1)


def _french(one: DocumentView) -> Iterator[str]:
    body, action = _BODIES.get(one.body, one.body), _ACTIONS.get(one.action, one.action)
    yield f"{one.file} : {_kind(one)} ; {body}, {action}, {one.size_octets} octets"
    yield from _line("titre", one.title)
    yield from _line("patient", _patient(one.patient, "naissance"))
    yield from _line("auteur", " ; ".join(map(_author, one.authors)))
    yield from _line("créé", one.creation_time)
    yield from _line("identifiant", one.unique_id)
    yield from _line("version", _version(one, "de"))
    yield from _line("remplace", ", ".join(one.replaces))
    yield from _line("SHA-1", one.sha1)


def _line(name: str, value: str | None) -> Iterator[str]:
    if value:
        yield f"  {name}: {' '.join(value.split())}"


def _kind(one: DocumentView) -> str:
    codes = ", ".join(filter(None, (one.type_code, one.class_code, one.format_code)))
    return f"{one.type_label or 'document'} ({codes})" if codes else one.type_label or "document"


def _patient(patient: PatientView | None, born: str) -> str:
    if patient is None:
        return ""
    birth = f"{born} {patient.birth_date}" if patient.birth_date else ""
    ins = f"INS {patient.ins} ({patient.oid})" if patient.ins else ""
    name = " ".join(filter(None, (patient.birth_name, patient.given_name)))
    return ", ".join(filter(None, (name, birth, patient.sex, ins)))


def _author(author: AuthorView) -> str:
    return ", ".join(filter(None, (author.name, author.organization)))


def _version(one: DocumentView, of: str) -> str:
    return f"{one.version} {of} {one.set_id}" if one.version and one.set_id else one.version or ""


def _remarks(findings: Sequence[Finding], language: str) -> Iterator[str]:
    order = list(Severity)
    for one in sorted(findings, key=lambda each: order.index(each.severity)):
        where = f" [{one.where}]" if one.where else ""
        if language == "fr":
            yield f"  {_SEVERITIES[one.severity]} {one.code}{where} : {one.text_fr}"
        else:
            yield f"  {one.severity} {one.code}{where}: {one.text}"
        step = one.next_step_fr if language == "fr" else one.next_step
        if step:
            yield f"    → {step}"


def _rules(
    context: click.Context, schemas: Path | None, schematrons: Path | None
) -> tuple[DocumentSettings, Path]:
    """Tell what the deep check uses: what stands on the line, else the settings of the home."""
    home = home_of(context)
    settings = DocumentSettings()
    if (home / SETTINGS_FILE).exists():
        settings = settings_of(context).documents
    given = {
        "schemas": str(schemas.absolute()) if schemas else "",
        "schematrons": str(schematrons.absolute()) if schematrons else "",
    }
    chosen = {name: value for name, value in given.items() if value}
    return settings.model_copy(update=chosen or {}), home


def _clean(line: str) -> str:
    """Keep what a document says from giving orders to the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in line)
