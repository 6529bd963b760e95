"""`mss explain document`: what an archive or a clinical document holds, and what is wrong."""

from dataclasses import asdict
from pathlib import Path

import click

from mss.cli.explain import explain
from mss.cli.root import answer
from mss.mailboxes.documents import DocumentSet, explain_file


@explain.command("document")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_context
def document(context: click.Context, path: Path) -> None:
    """Say what the IHE_XDM.ZIP or CDA file at PATH holds, and what is wrong with it."""
    found = explain_file(path.name, path.read_bytes())
    answer(context, _facts(found), *_lines(found))
    if any(one.severity == "error" for one in found.findings):
        context.exit(1)


def _facts(found: DocumentSet) -> dict[str, object]:
    documents = []
    for one in found.documents:
        facts = asdict(one)
        facts["size"] = facts.pop("size_octets")
        facts["authors"] = [author.name for author in one.authors]
        documents.append(facts)
    return {"documents": documents, "findings": [asdict(one) for one in found.findings]}


def _lines(found: DocumentSet) -> list[str]:
    lines = [
        f"{one.file}: {one.type_code} {one.type_label or ''}, {one.body}, {one.action}, "
        f"{one.size_octets} octets"
        for one in found.documents
    ]
    return lines + [
        f"  {one.severity}: {one.code} {one.where}: {one.text}" for one in found.findings
    ]
