import pytest

from mss.errors import TooManyFailuresError
from mss.smtp.door import network_of
from mss.smtp.submission import FORGET_SECONDS, MAX_FAILURES, MAX_HOSTS, FailureCount


def failed(times: int, *, host: str = "192.0.2.1") -> FailureCount:
    count = FailureCount()
    for _ in range(times):
        count.add(host, now=0.0)
    return count


def test_a_host_may_fail_some_times() -> None:
    """A hospital stands behind one address, and people mistype."""
    failed(MAX_FAILURES - 1).check("192.0.2.1", now=0.0)


def test_a_host_that_failed_too_often_must_wait() -> None:
    """Guessing becomes slow."""
    with pytest.raises(TooManyFailuresError):
        failed(MAX_FAILURES).check("192.0.2.1", now=1.0)


def test_other_hosts_do_not_wait() -> None:
    """One guesser locks nobody else out."""
    failed(MAX_FAILURES).check("192.0.2.2", now=1.0)


def test_failures_are_forgotten() -> None:
    """Minutes later the host may try again."""
    failed(MAX_FAILURES).check("192.0.2.1", now=FORGET_SECONDS)


def test_an_ipv6_network_counts_as_one_host() -> None:
    """Its owner has 2^64 addresses to guess from."""
    count = failed(MAX_FAILURES, host="2001:db8::1")

    with pytest.raises(TooManyFailuresError):
        count.check("2001:db8::ffff", now=1.0)


def test_memory_is_bounded() -> None:
    """Failing from ever new addresses must not fill ours."""
    count = FailureCount()
    for number in range(MAX_HOSTS + 10):
        count.add(f"host{number}", now=0.0)

    assert len(count._hosts) == MAX_HOSTS


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local", "local"),
    ],
)
def test_what_one_host_can_hide_in(host: str, network: str) -> None:
    """Limits count networks where addresses are free."""
    assert network_of(host) == network
