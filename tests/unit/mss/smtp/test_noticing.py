from mss.smtp.noticing import (
    LINES_PER_DOOR,
    LINES_PER_NETWORK,
    MAX_KNOWN,
    RECOGNISED_FOR_SECONDS,
    WINDOW_SECONDS,
    Acquaintances,
    RefusalGate,
    UnknownMeter,
)


def test_a_network_gets_a_few_lines_and_the_next_says_how_many_were_left_out() -> None:
    """The journal is a durable write; anybody on the Internet can be refused."""
    gate = RefusalGate()

    first = [gate.admit("192.0.2.1", now=0) for _ in range(LINES_PER_NETWORK + 5)]

    assert first == [0] * LINES_PER_NETWORK + [None] * 5
    assert gate.admit("192.0.2.2", now=1) == 5
    assert gate.admit("192.0.2.1", now=WINDOW_SECONDS) == 0


def test_many_networks_together_are_bounded_too() -> None:
    """Addresses are cheap."""
    gate = RefusalGate()

    lines = [gate.admit(f"192.0.{n}.0", now=0) for n in range(LINES_PER_DOOR + 50)]

    assert sum(line is not None for line in lines) == LINES_PER_DOOR


def test_a_peer_is_noted_once_an_hour() -> None:
    """Not for each of its thousand connections."""
    known = Acquaintances()

    assert known.is_new("a", now=0)
    assert not known.is_new("a", now=RECOGNISED_FOR_SECONDS - 1)
    assert known.is_new("b", now=1)
    assert known.is_new("a", now=RECOGNISED_FOR_SECONDS)


def test_acquaintances_are_bounded() -> None:
    """The oldest is noted again rather than memory growing."""
    known = Acquaintances()
    for number in range(MAX_KNOWN + 1):
        known.is_new(str(number), now=0)

    assert known.is_new("0", now=1)
    assert not known.is_new(str(MAX_KNOWN), now=1)


def test_a_peer_that_asks_for_too_many_unknown_names_must_wait() -> None:
    """Trusted or not, it may not try out every name of a hospital; others are not held up."""
    meter = UnknownMeter(limit=3)
    for _ in range(3):
        assert not meter.is_over("peer", now=0)
        meter.count("peer", now=0)

    assert meter.is_over("peer", now=RECOGNISED_FOR_SECONDS - 1)
    assert not meter.is_over("other", now=0)
    assert not meter.is_over("peer", now=RECOGNISED_FOR_SECONDS)
