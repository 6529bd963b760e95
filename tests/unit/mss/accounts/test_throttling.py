import pytest

from mss.accounts import throttling
from mss.accounts.throttling import LoginThrottle
from mss.errors import TooManyFailuresError

FAILURES = 5
SECONDS = 300.0
HOST = "192.0.2.1"
ELSEWHERE = "198.51.100.7"


def failed(times: int, *, host: str = HOST, name: str = "anne") -> LoginThrottle:
    """Let the same login fail some times."""
    throttle = LoginThrottle(failures=FAILURES, seconds=SECONDS)
    for _ in range(times):
        throttle.failed(host, name=name, now=0.0)
    return throttle


def test_some_failures_are_forgiven() -> None:
    """A hospital stands behind one address, and people mistype."""
    failed(FAILURES - 1).check(HOST, name="anne", now=0.0)


@pytest.mark.parametrize("name", ["anne", "somebody"])
def test_a_host_that_failed_too_often_must_wait(name: str) -> None:
    """Whatever name it tries next."""
    with pytest.raises(TooManyFailuresError):
        failed(FAILURES).check(HOST, name=name, now=1.0)


@pytest.mark.parametrize("name", ["anne", "ANNE"])
def test_a_name_that_is_guessed_at_must_wait_everywhere(name: str) -> None:
    """A guesser with many addresses gains nothing; nor with capitals."""
    with pytest.raises(TooManyFailuresError):
        failed(FAILURES).check(ELSEWHERE, name=name, now=1.0)


def test_other_names_and_hosts_do_not_wait() -> None:
    """One guesser locks nobody else out."""
    failed(FAILURES).check(ELSEWHERE, name="luc", now=1.0)


def test_the_owner_of_a_name_is_not_locked_out_at_home() -> None:
    """Otherwise anybody could keep anybody from working."""
    throttle = LoginThrottle(failures=FAILURES, seconds=SECONDS)
    throttle.succeeded(ELSEWHERE, name="anne")
    for _ in range(FAILURES):
        throttle.failed(HOST, name="anne", now=0.0)

    throttle.check(ELSEWHERE, name="Anne", now=1.0)


def test_failures_are_forgotten() -> None:
    """Minutes later both may try again."""
    failed(FAILURES).check(HOST, name="anne", now=SECONDS)


def test_an_ipv6_network_counts_as_one_host() -> None:
    """Its owner has 2^64 addresses to guess from."""
    throttle = failed(FAILURES, host="2001:db8::1")

    with pytest.raises(TooManyFailuresError):
        throttle.check("2001:db8::ffff", name="luc", now=1.0)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failing as ever new names from ever new addresses must not fill ours."""
    monkeypatch.setattr(throttling, "MAX_REMEMBERED", 10)  # ten thousand would take a while
    throttle = LoginThrottle()
    for number in range(100):
        throttle.failed(f"host{number}", name=f"name{number}" * 1000, now=0.0)
        throttle.succeeded(f"host{number}", name=f"name{number}")

    assert len(throttle._counts) == len(throttle._at_home) == 10
