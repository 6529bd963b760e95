from collections.abc import AsyncIterator

import pytest

from mss.accounts.errors import CredentialsRefusedError
from mss.accounts.oidc import LOOK_AGAIN_AFTER, IdentityProvider, KeyRing
from mss.accounts.provider_client import open_provider_client, require_safe
from mss.errors import IdentityProviderUnavailableError, SettingsError
from mss.settings import Settings
from tests.support.clock import FixedClock
from tests.support.oidc_server import (
    IDENTITY,
    OidcServer,
    an_ec_key,
    an_rsa_key,
    running_provider,
)

FAULTS = ["500", "404", "redirect", "huge", "garbage", "hang"]


@pytest.fixture
async def server() -> AsyncIterator[OidcServer]:
    async with running_provider() as running:
        yield running


@pytest.fixture
async def provider(
    server: OidcServer, clock: FixedClock, request: pytest.FixtureRequest
) -> AsyncIterator[IdentityProvider]:
    """An operator's view of that provider; a test may change its settings."""
    opened = open_provider(server, clock, **getattr(request, "param", {}))
    yield opened
    await opened.client.http.aclose()


def open_provider(server: OidcServer, clock: FixedClock, **changes: object) -> IdentityProvider:
    """Make it as the server does."""
    oidc = server.settings(**changes)
    client = open_provider_client(Settings(home="/nowhere", domains=("x.mssante.fr",), oidc=oidc))
    keys = KeyRing(client=client, clock=clock, settings=oidc)
    return IdentityProvider(client=client, clock=clock, settings=oidc, keys=keys)


def changed(**changes: object) -> pytest.MarkDecorator:
    """Ask for other settings."""
    return pytest.mark.parametrize("provider", [changes], indirect=True)


async def reason(provider: IdentityProvider, token: str) -> str:
    """Say why a token is refused."""
    with pytest.raises(CredentialsRefusedError) as refusal:
        await provider.verify(token, fingerprint=None)
    return refusal.value.reason


async def test_a_token_is_verified_with_the_discovered_keys(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """The discovery document has a name of its own, and keys are fetched once."""
    for _ in range(3):
        found = await provider.verify(server.token(at=clock.now()), fingerprint=None)
        assert found.identity == IDENTITY

    assert server.asked == ["/.well-known/wallet-openid-configuration", "/certs"]


async def test_an_address_in_the_settings_needs_no_discovery(
    server: OidcServer, clock: FixedClock
) -> None:
    """Each address is a setting of its own: hosts differ."""
    provider = open_provider(server, clock, jwks_uri=f"{server.issuer}/certs")

    await provider.verify(server.token(at=clock.now()), fingerprint=None)
    await provider.client.http.aclose()

    assert server.asked == ["/certs"]


async def test_a_new_key_is_looked_for(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """The provider rotates without telling anybody; old keys go when it no longer shows them."""
    old = server.keys[0]
    await provider.verify(server.token(at=clock.now()), fingerprint=None)
    server.keys = [an_ec_key("ec-2")]
    clock.advance(seconds=LOOK_AGAIN_AFTER.total_seconds())

    assert await provider.verify(server.token(at=clock.now()), fingerprint=None)
    assert await reason(provider, server.token(at=clock.now(), key=old)) == "token-signature"


async def test_unknown_keys_do_not_make_us_ask_all_day(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """Anybody can write a token that names a key of their own."""
    await provider.verify(server.token(at=clock.now()), fingerprint=None)
    asked = len(server.asked)
    forged = [server.token(at=clock.now(), key=an_ec_key(f"mine-{number}")) for number in range(5)]

    assert {await reason(provider, one) for one in forged} == {"token-signature"}
    assert len(server.asked) == asked


@pytest.mark.parametrize("name", ["../../etc/passwd", "ec-1' or 1=1", "https://evil.example/key"])
async def test_a_key_name_is_only_compared(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock, name: str
) -> None:
    """It is no path, no query and no address."""
    token = server.token(at=clock.now(), header={"kid": name})

    assert await reason(provider, token) == "token-signature"


async def test_a_token_without_key_name_means_the_only_key(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """With two keys it could be either, which is no name at all."""
    nameless = server.token(at=clock.now(), header={"kid": None})
    assert await provider.verify(nameless, fingerprint=None)

    server.keys.append(an_ec_key("ec-2"))
    clock.advance(seconds=LOOK_AGAIN_AFTER.total_seconds())
    await provider.keys.refresh()

    assert await reason(provider, nameless) == "token-signature"


async def test_an_algorithm_is_pinned_for_the_issuer(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """RS256 with a key that the provider publishes, where the settings say ES256."""
    server.keys.append(an_rsa_key())

    token = server.token(at=clock.now(), key=an_rsa_key())

    assert await reason(provider, token) == "token-algorithm"


async def test_a_token_of_somebody_else_costs_no_request(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """Strangers cannot make us ask anybody."""
    token = server.token(at=clock.now(), iss="https://evil.example")

    assert await reason(provider, token) == "token-issuer"
    assert server.asked == []


@pytest.mark.parametrize("fault", FAULTS)
@changed(timeout_seconds=0.2)
async def test_a_provider_in_trouble_is_no_refusal(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock, fault: str
) -> None:
    """The token may be good; the person is not to blame."""
    server.fault = fault

    with pytest.raises(IdentityProviderUnavailableError):
        await provider.verify(server.token(at=clock.now()), fingerprint=None)


async def test_keys_at_hand_survive_an_outage_for_a_while(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """People work on; but not for ever with keys that may have been withdrawn."""
    await provider.keys.refresh()
    server.fault = "503"
    clock.advance(hours=23)
    await provider.keys.refresh()

    assert await provider.verify(server.token(at=clock.now()), fingerprint=None)

    clock.advance(hours=2)
    with pytest.raises(IdentityProviderUnavailableError):
        await provider.verify(server.token(at=clock.now()), fingerprint=None)


async def test_a_discovery_of_another_issuer_is_not_believed(
    server: OidcServer, clock: FixedClock
) -> None:
    """It would lead to somebody else's keys."""
    provider = open_provider(server, clock, issuer="http://127.0.0.1:1/other")
    token = server.token(at=clock.now(), iss="http://127.0.0.1:1/other")

    with pytest.raises(IdentityProviderUnavailableError):
        await provider.verify(token, fingerprint=None)
    await provider.client.http.aclose()


async def test_keys_are_fetched_before_anybody_asks(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """The task in the background keeps the first login of the day quick."""
    async with provider.refreshing():
        await server.was_asked.wait()
        async with provider.keys._turn:  # held until the keys are there
            server.fault = "503"

        assert await provider.verify(server.token(at=clock.now()), fingerprint=None)


@changed(verification="introspection")
async def test_an_opaque_token_is_asked_about(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """It means something to the provider only."""
    token = server.opaque_token(at=clock.now())

    assert (await provider.verify(token, fingerprint=None)).identity == IDENTITY
    assert await reason(provider, "unknown") == "token-inactive"


@changed(verification="introspection", introspection_kept_seconds=10)
async def test_an_answer_is_remembered_for_a_moment(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """Software opens several connections at once; a session that ended is noticed soon."""
    token = server.opaque_token(at=clock.now())
    for _ in range(3):
        await provider.verify(token, fingerprint=None)
    assert server.asked.count("/introspect") == 1

    server.ended.add(token)
    clock.advance(seconds=10)

    assert await reason(provider, token) == "token-inactive"


@changed(verification="introspection")
async def test_tokens_are_not_kept(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """Only a digest is, in memory (ECO.1.2.5)."""
    token = server.opaque_token(at=clock.now())
    await provider.verify(token, fingerprint=None)

    assert provider._remembered
    assert token not in repr(provider._remembered)
    assert token not in repr(provider)


@changed(verification="both")
async def test_both_means_both(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """A session that was ended is noticed although the signature still holds."""
    token = server.token(at=clock.now())
    assert await provider.verify(token, fingerprint=None)

    other = server.token(at=clock.now(), jti="2")
    server.ended.add(other)

    assert await reason(provider, other) == "token-inactive"
    assert await reason(provider, server.opaque_token(at=clock.now())) == "token-malformed"


@changed(verification="introspection")
async def test_a_wrong_secret_of_ours_is_our_trouble(
    provider: IdentityProvider, server: OidcServer, clock: FixedClock
) -> None:
    """The person's token is not to blame."""
    server.secret = "another"

    with pytest.raises(IdentityProviderUnavailableError):
        await provider.verify(server.opaque_token(at=clock.now()), fingerprint=None)


@changed(verification="introspection")
@pytest.mark.parametrize("token", ["é", "a\r\nb", "x" * 20_000, "\0"])
async def test_what_cannot_be_a_token_is_not_asked_about(
    provider: IdentityProvider, server: OidcServer, token: str
) -> None:
    """It never reaches the provider."""
    assert await reason(provider, token) == "token-malformed"
    assert server.asked == []


@pytest.mark.parametrize(
    "uri",
    [
        "http://idp.example/certs",
        "http://127.0.0.1.evil.example/",
        "http://user@evil.example#127.0.0.1",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://",
        "https://[",
        "certs",
        "",
    ],
)
def test_the_provider_is_asked_over_https_only(uri: str) -> None:
    """In clear on the loopback interface at most."""
    with pytest.raises(SettingsError):
        require_safe(uri)


@pytest.mark.parametrize(
    "uri", ["https://idp.example/x", "http://127.0.0.1:8080/", "http://[::1]/"]
)
def test_addresses_that_may_be_asked(uri: str) -> None:
    """The real one, and a test's."""
    require_safe(uri)
