"""Write docs/document-findings.md from the catalogue of findings."""

from mss.clinical.finding import CatalogueRow, catalogue

HEAD = """\
# Findings about documents

Generated from `mss/clinical/data/findings.toml` by `make docs`; change it there.

Every remark on an archive, a document or the mail around them has a code from this page. A code
is permanent: software may rely on it. The severity is the usual one; where a row says *error*,
a finding may also be a lesser one, as the note says. An **error** means: do not rely on this
document as it is. A **warning**: usable, but the sender should correct it. An **info** is only
worth knowing. No finding stops a message, unless `documents.refuse` names its code.

`{name}` stands for a technical word, such as an element or a field. No finding holds a value
from the document.

Where the severity depends: `header-missing` is an error for `id`, `code` and `effectiveTime`,
else a warning. `ins-key` and `ins-shape` are errors only for an INS of the production
authorities on a server of production (`1.2.250.1.213.1.4.8` and `.9`), else warnings.
`action-missing` and `action-target` are only worth knowing where setId and versionNumber tell
the same. `schematron-failed` is as grave as the rule says, else a warning."""

GROUPS = {
    "archive-empty": "The archive: layout and files",
    "metadata-unreadable": "The metadata: their own form",
    "metadata-unique-id": "The metadata against the document",
    "action-missing": "Versions and actions",
    "document-not-cda": "The header of the document",
    "ins-absent": "Identity of the patient",
    "type-unknown": "Type, model, class and body",
    "person-id": "People and structures",
    "date-unreadable": "Dates",
    "subject-prefix": "The mail around the documents",
    "schema-invalid": "The deep check",
}
"""The first code of each part of the page."""


def findings_page() -> bytes:
    """Describe every finding."""
    lines = [HEAD]
    for row in catalogue().values():
        if row.code in GROUPS:
            lines += ["", f"## {GROUPS[row.code]}"]
        lines += ["", *_finding(row)]
    return ("\n".join(lines) + "\n").encode("utf-8")


def _finding(row: CatalogueRow) -> list[str]:
    return [
        f"### `{row.code}`",
        "",
        f"- {row.severity}",
        f"- en: {row.text} {row.next_step}",
        f"- fr: {row.text_fr} {row.next_step_fr}",
    ]
