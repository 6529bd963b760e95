"""Which health documents does a message carry, and what is there to say about them?

A message carries documents in one or more archives (`IHE_XDM.ZIP`) and a readable PDF copy of each
beside them. Archives are recognised by name, type or content, since senders omit any of the three.
Whatever is wrong with an archive or a document is a finding: the message stays readable.

Pure: octets in, values out; safe to run in a thread.

Sources
    CI-SIS, volet Échange de documents de santé; référentiel #2, ECO.2.1.1 and ECO.2.1.5.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from mss.clinical import finding
from mss.clinical.check import Environment
from mss.clinical.document import CdaHeader
from mss.clinical.finding import Finding
from mss.clinical.listing import (
    PDF,
    CarriedDocument,
    DocumentSet,
    describe_all,
    open_archive,
)
from mss.mime.errors import MessageSyntaxError
from mss.mime.parse import ParsedMessage, part_octets
from mss.model.message import DocumentSummary
from mss.model.security import Security
from mss.pipeline.covers import MAX_ARCHIVES, may_be_archive

MAX_SUMMARISED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """What looking at a message brought: facts for its readers, and its documents if any."""

    security: Security
    documents: DocumentSet | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedDocuments:
    """The documents of one message where they lie."""

    documents: tuple[CarriedDocument, ...]
    findings: tuple[Finding, ...]

    @property
    def headers(self) -> list[CdaHeader]:
        """The headers of those that can be read."""
        return [one.cda.header for one in self.documents if one.cda is not None]

    def described(self) -> DocumentSet:
        """What a list shows."""
        return DocumentSet(documents=describe_all(self.documents), findings=self.findings)


def open_documents(
    message: ParsedMessage,
    *,
    at: datetime | None = None,
    environment: Environment | None = None,
) -> CarriedDocuments:
    """Open every archive of a message and judge what is inside.

    Args:
        message: The message, readable.
        at: If given, dates later than this instant are remarked upon.
        environment: If given, an INS of the other world is remarked upon.
    """
    archives = [part for part in message.parts() if may_be_archive(message, part)]
    findings: list[Finding] = []
    documents: list[CarriedDocument] = []
    for part in archives[:MAX_ARCHIVES]:
        where = f"part {part.path}"
        try:
            octets = part_octets(message.raw, part)
        except MessageSyntaxError:
            findings.append(_undecodable(where))
            continue
        opened = open_archive(octets, part=part.path, where=where, at=at, environment=environment)
        documents += opened.documents
        findings += opened.findings
    findings += [] if len(archives) <= MAX_ARCHIVES else [_too_many()]
    return CarriedDocuments(
        documents=tuple(_with_twins(documents, message)), findings=tuple(findings)
    )


def summarise_documents(found: DocumentSet | None) -> tuple[DocumentSummary, ...]:
    """Take out what a list of messages shows of their documents."""
    return tuple(
        DocumentSummary(type_code=one.type_code, type_label=one.type_label, action=one.action)
        for one in (found.documents[:MAX_SUMMARISED] if found else ())
    )


def _with_twins(
    documents: Sequence[CarriedDocument], message: ParsedMessage
) -> Iterator[CarriedDocument]:
    """Pair documents with the PDF copies beside the archives by order, if there is one for each."""
    twins = [part.path for part in message.parts() if part.content_type == PDF]
    if len(twins) != len(documents):
        yield from documents
        return
    for document, twin in zip(documents, twins, strict=True):
        yield replace(document, twin=twin)


def _undecodable(where: str) -> Finding:
    return finding.error(
        "archive-undecodable",
        "The archive of documents cannot be decoded.",
        "L'archive de documents ne peut pas être décodée.",
        where=where,
    )


def _too_many() -> Finding:
    return finding.warning(
        "archives-too-many",
        f"Only the first {MAX_ARCHIVES} archives of the message were opened.",
        f"Seules les {MAX_ARCHIVES} premières archives du message ont été ouvertes.",
    )
