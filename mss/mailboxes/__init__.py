"""What the owner of a mailbox does: read, mark, write, follow, look somebody up."""
