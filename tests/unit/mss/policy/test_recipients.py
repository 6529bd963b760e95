import itertools

import pytest

from mss.policy.recipients import Way, way_of


@pytest.mark.parametrize(
    ("ours", "mailbox", "trusted", "known", "relays", "wanted"),
    [
        (True, True, True, None, True, Way.LOCAL),
        (True, True, False, None, False, Way.LOCAL),
        (True, False, True, None, True, Way.NO_SUCH_MAILBOX),
        (False, False, True, True, True, Way.RELAY),
        (False, False, True, None, True, Way.RELAY),
        (False, False, True, False, True, Way.NO_SUCH_MAILBOX),
        (False, False, False, True, True, Way.NOT_TRUSTED),
        (False, False, True, True, False, Way.NOT_TRUSTED),
    ],
)
def test_each_recipient_has_one_way(
    *,
    ours: bool,
    mailbox: bool,
    trusted: bool,
    known: bool | None,
    relays: bool,
    wanted: Way,
) -> None:
    """Ours if the mailbox is open; elsewhere only in the trust space, and for our users."""
    way = way_of(
        is_our_domain=ours,
        has_open_mailbox=mailbox,
        is_trusted_domain=trusted,
        is_known_elsewhere=known,
        may_relay=relays,
    )

    assert way is wanted


EVERY_CASE = list(itertools.product([True, False], [True, False], [True, False, None]))


@pytest.mark.parametrize(("ours", "mailbox", "known"), EVERY_CASE)
@pytest.mark.parametrize(("trusted", "relays"), [(False, True), (True, False), (False, False)])
def test_nothing_leaves_the_trust_space_or_for_strangers(
    *, ours: bool, mailbox: bool, known: bool | None, trusted: bool, relays: bool
) -> None:
    """Whatever else is true: never to the open Internet, never for somebody else."""
    way = way_of(
        is_our_domain=ours,
        has_open_mailbox=mailbox,
        is_trusted_domain=trusted,
        is_known_elsewhere=known,
        may_relay=relays,
    )

    assert way is not Way.RELAY
