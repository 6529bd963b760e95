"""Who is who: addresses, people, structures, mailboxes, and which operator speaks for which domain.

An island: it imports the standard library, lxml and SQLAlchemy, and nothing of ours.

Start with `address` and `distinguished_name` (the two things everybody compares), then `model`
(people and mailboxes), `trust_list` (the liste blanche), `extraction` and `sync` (how the national
files come in) and `index_sql` (where they are kept and asked).
"""
