"""The rows: what is true about messages, mailboxes, deliveries and accounts.

Every function here is plain and synchronous: it takes a `Connection`, asks or changes something,
and returns values. `engine.Database` decides where it runs, so that the same statement serves
SQLite and PostgreSQL (docs/adr/0003).
"""
