"""Keep the directory in SQL and answer from it, on SQLite and on PostgreSQL alike.

Every function takes a `sqlalchemy.Connection` first and is synchronous; with an async engine it is
called through `AsyncConnection.run_sync`. Reading functions run inside whatever transaction the
connection is in. `import_snapshot` commits as it goes, so that it never holds the only writer of
SQLite for more than one batch: give it a connection of its own, not one inside `begin()`.

`metadata` holds the tables, all named `directory_…`; the server's migrations own them, and
`create_tables` makes them for whoever uses this package alone. Searching needs a folder beside
them, on each machine that searches, for the index of each generation (`SearchDesk`).
"""

from directory.index_sql.certificate_questions import (
    FoundCertificate,
    forget_answers,
    keep_answer,
    list_unanswered,
)
from directory.index_sql.certificates import (
    Publication,
    find_certificates,
    publish_certificate,
    purge_certificates,
    withdraw_certificate,
)
from directory.index_sql.declared import (
    DeclaredMailbox,
    declare_mailbox,
    find_declared,
    list_declared,
    withdraw_mailbox,
)
from directory.index_sql.finding import (
    DirectoryStats,
    find_live_generation,
    find_mailbox,
    find_organization,
    find_practitioner,
    has_mailbox,
    is_domain_known,
    list_generations,
    list_mailboxes_of,
    stats,
)
from directory.index_sql.indexing import build_search_index
from directory.index_sql.lines import find_line, find_sheet
from directory.index_sql.loading import SqlGenerationStore, forget_gone, import_snapshot
from directory.index_sql.searching import SearchDesk
from directory.index_sql.tables import create_tables, metadata

__all__ = [
    "DeclaredMailbox",
    "DirectoryStats",
    "FoundCertificate",
    "Publication",
    "SearchDesk",
    "SqlGenerationStore",
    "build_search_index",
    "create_tables",
    "declare_mailbox",
    "find_certificates",
    "find_declared",
    "find_line",
    "find_live_generation",
    "find_mailbox",
    "find_organization",
    "find_practitioner",
    "find_sheet",
    "forget_answers",
    "forget_gone",
    "has_mailbox",
    "import_snapshot",
    "is_domain_known",
    "keep_answer",
    "list_declared",
    "list_generations",
    "list_mailboxes_of",
    "list_unanswered",
    "metadata",
    "publish_certificate",
    "purge_certificates",
    "stats",
    "withdraw_certificate",
    "withdraw_mailbox",
]
