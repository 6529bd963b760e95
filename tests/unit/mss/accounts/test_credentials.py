from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest
from sqlalchemy import Connection, update

from crypto.certificates import Certificate
from crypto.issuing import Authority, CertificateProfile, Subject
from crypto.trust import TrustStore
from directory.model import MailboxKind
from mss.accounts.credentials import Accounts
from mss.accounts.errors import CredentialsRefusedError
from mss.accounts.oidc import IdentityProvider, KeyRing
from mss.accounts.provider_client import ProviderClient
from mss.errors import ConflictError, InvalidRequestError, NotAuthenticatedError, NotFoundError
from mss.model.mailbox import Mailbox
from mss.model.principal import Right
from mss.settings import TrustSettings
from mss.store import audit, mailboxes, tables
from mss.store.engine import Database
from mss.trust_space import TrustSpace
from tests.support.clock import FixedClock
from tests.support.oidc_server import IDENTITY, OidcServer, running_provider
from tests.support.pki import ISSUED_AT, NOW, Pki, make_pki
from tests.support.rows import a_mailbox

HOST = "192.0.2.7"
SOFTWARE_NAME = "CN=Logiciel,O=CH DEMO,C=FR"


@pytest.fixture
def accounts(database: Database, clock: FixedClock) -> Accounts:
    return Accounts(database=database, clock=clock, chain="c1")


async def journal(accounts: Accounts) -> list[audit.AuditRow]:
    return await accounts.database.read(lambda c: list(audit.iter_rows(c)))


@pytest.mark.slow
async def test_the_right_password_opens(accounts: Accounts) -> None:
    """The principal carries the rights of this moment."""
    account = await accounts.add("anne", password="correct horse")
    await accounts.database.write(
        lambda c: mailboxes.grant(
            c,
            mailbox_id=a_mailbox(c, "anne@x.mssante.fr"),
            account_id=account.id,
            rights=frozenset({Right.READ}),
        )
    )

    principal = await accounts.authenticate_password("anne", "correct horse", host=HOST)

    assert principal.account_id == account.id
    assert principal.means == "password"
    assert principal.has_right("anne@x.mssante.fr", Right.READ)
    assert not principal.has_right("anne@x.mssante.fr", Right.SEND)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("anne", "wrong"),
        ("anne", ""),
        ("Anne", "correct horse"),
        ("nobody", "correct horse"),
        ("tokens-only", ""),
        ("tokens-only", "none"),
        ("anne", "x" * 100_000),
        ("anne", "\udcff"),
        ("anne\x00", "correct horse"),
        ("\udcff", "correct horse"),
    ],
)
async def test_every_refusal_is_the_same(accounts: Accounts, name: str, password: str) -> None:
    """A stranger does not learn which names exist; the journal keeps from where it came."""
    await accounts.add("anne", password="correct horse")
    await accounts.add("tokens-only", password=None)

    with pytest.raises(NotAuthenticatedError) as refusal:
        await accounts.authenticate_password(name, password, host=HOST)

    *_, row = await journal(accounts)
    assert str(refusal.value) == "not-authenticated"
    assert (row.name, row.actor, row.facts) == ("login-refused", "unknown", {"host": HOST})


@pytest.mark.slow
async def test_a_closed_account_is_refused_both_ways(accounts: Accounts) -> None:
    """Who has left has left."""
    await accounts.add("anne", password="correct horse")
    token = await accounts.issue_token("anne")
    await accounts.database.write(lambda c: c.execute(update(tables.account).values(closed_at=NOW)))

    with pytest.raises(NotAuthenticatedError):
        await accounts.authenticate_password("anne", "correct horse", host=HOST)
    with pytest.raises(NotAuthenticatedError):
        await accounts.authenticate_token(token, host=HOST)
    with pytest.raises(NotFoundError):
        await accounts.issue_token("anne")


async def test_a_token_opens_until_it_is_over(accounts: Accounts, clock: FixedClock) -> None:
    """Short-lived ones limit what a leak is worth."""
    await accounts.add("his", password=None)
    token = await accounts.issue_token("his", valid_for=timedelta(days=1))

    assert (await accounts.authenticate_token(token, host=HOST)).means == "token"

    clock.advance(days=1)
    with pytest.raises(NotAuthenticatedError):
        await accounts.authenticate_token(token, host=HOST)


@pytest.mark.parametrize("token", ["", "mss_", "mss_" + "x" * 43, "\udcff", "é" * 1000], ids=ascii)
async def test_any_other_token_is_refused(accounts: Accounts, token: str) -> None:
    """Whatever characters a stranger sends."""
    await accounts.add("his", password=None)
    await accounts.issue_token("his")

    with pytest.raises(NotAuthenticatedError):
        await accounts.authenticate_token(token, host=HOST)


async def test_secrets_are_not_kept(accounts: Accounts) -> None:
    """A copy of the database opens no mailbox, and the journal tells nothing."""
    await accounts.add("his", password=None)
    token = await accounts.issue_token("his")

    rows = await accounts.database.read(
        lambda c: [
            *c.execute(tables.account_token.select()),
            *c.execute(tables.audit.select()),
        ]
    )

    assert token not in repr(rows)
    assert token.removeprefix("mss_") not in repr(rows)


async def test_a_name_is_given_once(accounts: Accounts) -> None:
    """The second one is told so."""
    await accounts.add("his", password=None)

    with pytest.raises(ConflictError):
        await accounts.add("his", password=None)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\x00b", "a" * 255], ids=ascii)
async def test_what_is_no_name_is_refused(accounts: Accounts, name: str) -> None:
    """It would be unreadable in a list and unusable in a login."""
    with pytest.raises(InvalidRequestError):
        await accounts.add(name, password=None)


def a_personal_mailbox(connection: Connection, *, closed_at: datetime | None = None) -> None:
    """Insert the mailbox of the person of these tests."""
    box = Mailbox(
        id="karim",
        address="karim@x.mssante.fr",
        kind=MailboxKind.PER,
        display_name="",
        rpps=IDENTITY[1:],
        finess=None,
        opened_at=NOW,
        closed_at=closed_at,
        quota_octets=1000,
        used_octets=0,
    )
    mailboxes.insert_mailbox(connection, box, address_key=box.address)


@pytest.fixture
async def provider() -> AsyncIterator[OidcServer]:
    """The identity provider of these tests."""
    async with running_provider() as running:
        yield running


@pytest.fixture
async def believing(accounts: Accounts, provider: OidcServer) -> AsyncIterator[Accounts]:
    """Accounts that believe it."""
    client = ProviderClient(settings=provider.settings(), http=httpx.AsyncClient(trust_env=False))
    oidc = IdentityProvider(
        client=client,
        clock=accounts.clock,
        settings=client.settings,
        keys=KeyRing(client=client, clock=accounts.clock, settings=client.settings),
    )
    yield replace(accounts, provider=oidc)
    await client.http.aclose()


async def test_a_person_opens_the_personal_mailbox_of_their_number(
    believing: Accounts, provider: OidcServer
) -> None:
    """Their account is made when they first come, and is the same one the next time."""
    await believing.database.write(a_personal_mailbox)
    await believing.database.write(lambda c: a_mailbox(c, "anne@x.mssante.fr"))
    token = provider.token(at=NOW)

    first = await believing.authenticate_token(token, host=HOST)
    again = await believing.authenticate_token(token, host=HOST)

    assert first.rights == {"karim@x.mssante.fr": frozenset(Right)}
    assert (first.means, first.account_id) == ("identity-provider", again.account_id)
    assert first.until == NOW + believing.session
    assert [row.name for row in await journal(believing)][-1:] == ["account-added"]
    assert token not in str(await journal(believing))


async def test_delegations_to_a_person_count_as_well(
    believing: Accounts, provider: OidcServer
) -> None:
    """Shared mailboxes are delegated to the account of an identity."""
    account = await believing.add("dr-modele", password=None, identity=IDENTITY)
    await believing.database.write(
        lambda c: mailboxes.grant(
            c,
            mailbox_id=a_mailbox(c, "service@x.mssante.fr"),
            account_id=account.id,
            rights=frozenset({Right.READ}),
        )
    )

    principal = await believing.authenticate_token(provider.token(at=NOW), host=HOST)

    assert (principal.name, principal.account_id) == ("dr-modele", account.id)
    assert principal.rights == {"service@x.mssante.fr": frozenset({Right.READ})}


async def test_a_person_without_a_mailbox_here_is_refused(
    believing: Accounts, provider: OidcServer
) -> None:
    """A quick no, whose reason is told to the holder of the token and written down."""
    await believing.database.write(lambda c: a_personal_mailbox(c, closed_at=NOW))

    with pytest.raises(CredentialsRefusedError) as refusal:
        await believing.authenticate_token(provider.token(at=NOW), host=HOST)

    *_, row = await journal(believing)
    assert (refusal.value.reason, refusal.value.is_genuine) == ("no-mailbox", True)
    assert row.facts == {"host": HOST, "reason": "no-mailbox", "identity": IDENTITY}
    assert await believing.list_accounts() == []


async def test_tokens_of_ours_need_no_provider(believing: Accounts, provider: OidcServer) -> None:
    """Both kinds are taken side by side."""
    await believing.add("anne", password=None)
    token = await believing.issue_token("anne")
    provider.fault = "503"

    assert (await believing.authenticate_token(token, host=HOST)).name == "anne"


async def test_a_connection_lasts_as_long_as_the_settings_say(
    believing: Accounts, provider: OidcServer, clock: FixedClock
) -> None:
    """Much longer than its token, and not for ever."""
    await believing.database.write(a_personal_mailbox)
    principal = await believing.authenticate_token(provider.token(at=NOW), host=HOST)
    clock.advance(hours=3.9)
    assert not believing.is_over(principal)

    clock.advance(hours=0.1)

    assert believing.is_over(principal)


@pytest.mark.parametrize(
    "taken",
    [{"identity": IDENTITY}, {"certificate_name": "CN=logiciel, O=CH  DEMO,C=FR"}],
    ids=["identity", "certificate"],
)
async def test_a_person_and_a_certificate_have_one_account(
    accounts: Accounts, taken: dict[str, str]
) -> None:
    """Otherwise a login would open one of two, by chance; spelling makes no difference."""
    await accounts.add("first", password=None, identity=IDENTITY, certificate_name=SOFTWARE_NAME)

    with pytest.raises(ConflictError):
        await accounts.add("second", password=None, **taken)


@pytest.mark.parametrize(
    "wrong", [{"identity": "899000000029"}, {"identity": "x"}, {"certificate_name": "logiciel"}]
)
async def test_what_names_nobody_is_refused(accounts: Accounts, wrong: dict[str, str]) -> None:
    """A mistyped number would be somebody else."""
    with pytest.raises(InvalidRequestError):
        await accounts.add("anne", password=None, **wrong)


def a_space(accounts: Accounts, store: TrustStore) -> TrustSpace:
    """A trust space that judges certificates by *store*."""
    return TrustSpace(
        database=accounts.database,
        clock=accounts.clock,
        settings=TrustSettings(allow_test_policies=True),
        store=store,
        chain="c1",
    )


def a_software_certificate(
    pki: Pki, *, profile: CertificateProfile = CertificateProfile.CLIENT, by: str = "authority"
) -> Certificate:
    """Issue a certificate of the offer ORG AUTH_CLI, or another."""
    subject = Subject(common_name="logiciel", organization="CH DEMO", structure_id="1750000001")
    authority: Authority = getattr(pki, by)
    return authority.issue(profile, subject, at=ISSUED_AT).certificate


async def test_software_is_known_by_the_subject_of_its_certificate(
    accounts: Accounts, pki: Pki
) -> None:
    """The certificate is renewed every few years; the subject stays."""
    certificate = a_software_certificate(pki)
    knowing = replace(accounts, space=a_space(accounts, pki.store()))
    added = await knowing.add(
        "logiciel", password=None, certificate_name=certificate.subject_text.upper()
    )

    found = await knowing.authenticate_certificate(certificate, host=HOST)

    assert (found.account_id, found.means) == (added.id, "certificate")


@pytest.mark.parametrize(
    ("profile", "by", "reason"),
    [
        (CertificateProfile.SERVER, "authority", "certificate-usage"),
        (CertificateProfile.SIGNATURE, "authority", "certificate-usage"),
        (CertificateProfile.CLIENT, "stranger", "certificate-untrusted"),
    ],
)
async def test_another_kind_of_certificate_is_no_software(
    accounts: Accounts, pki: Pki, profile: CertificateProfile, by: str, reason: str
) -> None:
    """A mail host is no application, and a look-alike authority vouches for nobody."""
    certificate = a_software_certificate(pki, profile=profile, by=by)
    knowing = replace(accounts, space=a_space(accounts, pki.store()))
    await knowing.add("logiciel", password=None, certificate_name=certificate.subject_text)

    with pytest.raises(CredentialsRefusedError) as refusal:
        await knowing.authenticate_certificate(certificate, host=HOST)

    assert refusal.value.reason == reason


async def test_a_revoked_certificate_opens_nothing(accounts: Accounts) -> None:
    """Whoever stole the software's key loses it with the next revocation list."""
    pki = make_pki()
    certificate = a_software_certificate(pki)
    pki.authority.revoke(certificate, at=ISSUED_AT)
    knowing = replace(accounts, space=a_space(accounts, pki.store()))
    await knowing.add("logiciel", password=None, certificate_name=certificate.subject_text)

    with pytest.raises(CredentialsRefusedError) as refusal:
        await knowing.authenticate_certificate(certificate, host=HOST)

    assert refusal.value.reason == "certificate-revoked"


async def test_a_certificate_without_an_account_opens_nothing(accounts: Accounts, pki: Pki) -> None:
    """It holds, and nobody has given it a mailbox; a closed account is none."""
    certificate = a_software_certificate(pki)
    knowing = replace(accounts, space=a_space(accounts, pki.store()))

    with pytest.raises(CredentialsRefusedError) as refusal:
        await knowing.authenticate_certificate(certificate, host=HOST)

    assert refusal.value.reason == "no-account"
