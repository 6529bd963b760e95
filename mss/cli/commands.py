"""Every command, imported so that it registers itself on the tree."""

from mss.cli import (
    account,
    audit,
    config,
    db,
    demo,
    directory,
    explain,
    init,
    keys,
    mailbox,
    queue,
    serve,
    trust,
)

__all__ = [
    "account",
    "audit",
    "config",
    "db",
    "demo",
    "directory",
    "explain",
    "init",
    "keys",
    "mailbox",
    "queue",
    "serve",
    "trust",
]
