"""What is kept of correspondents, and what may not change it."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import Connection

from mss.store.correspondents import Correspondent, find_correspondents, learn
from tests.support.pki import NOW

ANNE = Correspondent(
    address_key="anne@cabinets-demo.mssante.fr",
    signer_fingerprint="1" * 64,
    signer_subject="CN=a",
    capabilities=("2.16.840.1.101.3.4.1.46", "2.16.840.1.101.3.4.1.42"),
    signed_at=NOW,
    seen_at=NOW + timedelta(minutes=1),
)


def test_nothing_is_known_of_a_stranger(connection: Connection) -> None:
    """Then the settings and the certificate decide."""
    assert find_correspondents(connection, [ANNE.address_key]) == {}
    assert find_correspondents(connection, []) == {}


def test_what_was_learnt_is_found(connection: Connection) -> None:
    """Octet for octet what the letter stated, and for the mailbox that was asked for only."""
    learn(connection, ANNE)
    learn(connection, replace(ANNE, address_key="karim@cabinets-demo.mssante.fr"))

    assert find_correspondents(connection, [ANNE.address_key, "x@y.fr"]) == {ANNE.address_key: ANNE}


def test_a_later_letter_counts(connection: Connection) -> None:
    """Software is renewed, and so are certificates."""
    later = replace(
        ANNE, signed_at=NOW + timedelta(days=1), signer_fingerprint="2" * 64, capabilities=()
    )
    learn(connection, ANNE)
    learn(connection, later)

    assert find_correspondents(connection, [ANNE.address_key]) == {ANNE.address_key: later}


def test_an_earlier_letter_changes_nothing(connection: Connection) -> None:
    """A replayed letter must not take a correspondent back to weaker ciphers."""
    learn(connection, ANNE)
    learn(connection, replace(ANNE, signed_at=NOW - timedelta(days=1), capabilities=()))
    learn(connection, replace(ANNE, capabilities=()))

    assert find_correspondents(connection, [ANNE.address_key]) == {ANNE.address_key: ANNE}
