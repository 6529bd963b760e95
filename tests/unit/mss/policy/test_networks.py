import pytest

from mss.policy.networks import network_of


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("local", "local"),
    ],
)
def test_what_one_host_can_hide_in(host: str, network: str) -> None:
    """Limits count networks where addresses are free; an IPv4 host stays itself."""
    assert network_of(host) == network
