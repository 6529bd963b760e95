"""What certificates name is fetched, believed with reason, and kept when the network fails."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID
from sqlalchemy import func, select

from crypto import crl_index, trust
from crypto.certificates import Certificate, parse_certificate
from crypto.errors import IndeterminateError, RevokedError, UntrustedError
from crypto.evidence import evidence_of, judge_again
from crypto.issuing import CertificateProfile
from crypto.trust import Usage, ValidatedChain
from mss.settings import Settings, TrustSettings
from mss.store import audit, revocation
from mss.store.engine import Connection, open_database
from mss.store.tables import revocation_object
from mss.trust_space import TrustSpace, load_trust_store
from mss.worker.revocation import RevocationNews
from tests.support.clock import FixedClock
from tests.support.http_server import HttpServer, octets, open_http_server, status, truncated
from tests.support.ocsp import REVOKED, a_response
from tests.support.pki import HOSPITAL, ISSUED_AT, NOW, Pki, make_pki

HOUR = timedelta(hours=1)


class Operator:
    """One operator whose issuing authority publishes on a server of the test."""

    def __init__(
        self, news: RevocationNews, server: HttpServer, pki: Pki, clock: FixedClock
    ) -> None:
        self.news, self.server, self.pki, self.clock = news, server, pki, clock
        self.leaf = a_leaf(pki, server)

    @property
    def trust(self) -> TrustSpace:
        return self.news.trust

    def judge(self, leaf: Certificate | None = None) -> ValidatedChain:
        return trust.validate(
            leaf or self.leaf,
            store=self.trust.store,
            profile=trust.MAIL_SIGNING,
            at=self.clock.now(),
        )

    async def ask(self, leaf: Certificate | None = None) -> None:
        """Judge, which notes what is wanted, and let the job run."""
        with pytest.raises((IndeterminateError, UntrustedError)):
            self.judge(leaf)
        await self.news.turn()

    async def pass_time(self, **by: float) -> None:
        """Let time pass, then let the job run."""
        self.clock.advance(**by)
        await self.news.turn()

    def publish(self, number: int, *, at: datetime | None = None, etag: str = "") -> None:
        crl = self.pki.authority.crl(at or self.clock.now(), number=number)
        self.server.answers["/issuing.crl"] = octets(crl, etag=etag)

    async def journal(self) -> list[dict[str, str]]:
        rows = await self.trust.database.read(lambda c: list(audit.iter_rows(c)))
        found = [row.facts | {"name": row.name} for row in rows]
        return [one for one in found if one["name"].startswith("revocation-")]


def a_leaf(pki: Pki, server: HttpServer) -> Certificate:
    """A signing certificate that names the server for lists, deltas, answers and its issuer."""
    issuing, url = pki.authority.issuing, f"http://127.0.0.1:{server.port}"
    key = ec.generate_private_key(ec.SECP256R1())
    template = pki.hospital_signature.certificate.parsed
    builder = (
        x509.CertificateBuilder()
        .subject_name(HOSPITAL.name())
        .issuer_name(template.issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ISSUED_AT)
        .not_valid_after(ISSUED_AT + timedelta(days=900))
    )
    access = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(f"{url}/{path}"))
        for method, path in (
            (AuthorityInformationAccessOID.OCSP, "ocsp"),
            (AuthorityInformationAccessOID.CA_ISSUERS, "issuer"),
        )
    ]
    extensions: list[x509.ExtensionType] = [
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]),
        x509.CRLDistributionPoints(
            [_point("ldap://directory/cn=list"), _point(f"{url}/issuing.crl")]
        ),
        x509.FreshestCRL([_point(f"{url}/delta.crl")]),
        x509.AuthorityInformationAccess(access),
    ]
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    assert isinstance(issuing.private_key, ec.EllipticCurvePrivateKey)
    signed = builder.sign(issuing.private_key, hashes.SHA256()).public_bytes(Encoding.DER)
    return parse_certificate(signed)


def _point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)


@pytest.fixture
def pki() -> Pki:
    return make_pki()


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with open_http_server() as opened:
        yield opened


@pytest.fixture
async def operator(
    tmp_path: Path, sqlite_url: str, pki: Pki, clock: FixedClock, server: HttpServer
) -> AsyncIterator[Operator]:
    folder = tmp_path / "trust"
    (folder / "crls").mkdir(parents=True)
    (folder / "anchors.pem").write_text(pki.authority.anchors_pem)
    (folder / "intermediates.pem").write_text(pki.authority.issuing.certificate.pem)
    (folder / "crls" / "root.crl").write_bytes(
        pki.authority.root_crl(NOW, valid_for=timedelta(days=90))
    )
    settings = Settings(
        home=tmp_path,
        domains=("ch-demo.mssante.fr",),
        trust=TrustSettings(
            fetch_hosts=(f"127.0.0.1:{server.port}",), fetch_private=True, fetch_seconds=5
        ),
    )
    database = open_database(sqlite_url)
    space = TrustSpace(
        database=database,
        clock=clock,
        settings=settings.trust,
        store=load_trust_store(settings),
        chain="c1",
    )
    yield Operator(RevocationNews(trust=space, settings=settings), server, pki, clock)
    await database.aclose()


async def test_a_list_that_was_missing_is_fetched_and_judged_by(operator: Operator) -> None:
    """The first letter of a correspondent waits; the next attempt finds the list."""
    operator.publish(1)

    await operator.ask()

    assert operator.judge().findings == ()
    (event,) = [one for one in await operator.journal() if one["name"] == "revocation-renewed"]
    assert (event["kind"], event["number"]) == ("crl", "1")


async def test_nothing_is_fetched_while_judging(operator: Operator) -> None:
    """A verification never waits for a stranger's server."""
    with pytest.raises(IndeterminateError):
        operator.judge()

    assert operator.server.requests == []


async def test_a_revocation_is_taken_up_at_the_next_visit(operator: Operator) -> None:
    """And voids the verdict that was kept."""
    operator.publish(1)
    await operator.ask()
    operator.judge()
    operator.pki.authority.revoke(operator.leaf, at=NOW)
    operator.publish(2)

    await operator.pass_time(hours=1.1)

    with pytest.raises(RevokedError):
        operator.judge()


async def test_an_unchanged_list_is_not_sent_again(operator: Operator) -> None:
    """The list may be 12 MB, and the visit is hourly."""
    operator.publish(1, etag='"one"')
    await operator.ask()

    await operator.pass_time(hours=1.1)

    asked = [one for one in operator.server.requests if one.path == "/issuing.crl"]
    assert [one.headers.get("if-none-match") for one in asked] == [None, '"one"']
    assert operator.judge().findings == ()


async def test_the_last_good_list_serves_while_the_network_is_down(operator: Operator) -> None:
    """Until it expires, and not a minute longer."""
    operator.publish(1)
    await operator.ask()
    operator.server.answers.clear()

    await operator.pass_time(days=6.9)
    assert operator.judge().findings == ()
    await operator.pass_time(days=0.2)

    with pytest.raises(IndeterminateError) as refusal:
        operator.judge()
    assert refusal.value.reason == "revocation-stale-list"


def other_signer(operator: Operator) -> bytes:
    return operator.pki.stranger.crl(operator.clock.now(), number=9)


def older(operator: Operator) -> bytes:
    return operator.pki.authority.crl(operator.clock.now(), number=4)


def earlier(operator: Operator) -> bytes:
    return operator.pki.authority.crl(NOW - HOUR, number=9)


def stale(operator: Operator) -> bytes:
    return operator.pki.authority.crl(NOW - HOUR, number=9, valid_for=HOUR)


def of_tomorrow(operator: Operator) -> bytes:
    return operator.pki.authority.crl(operator.clock.now() + timedelta(days=1), number=9)


def a_page(operator: Operator) -> bytes:
    del operator
    return b"<html>Sign in to the wireless network</html>"


@pytest.mark.parametrize(
    ("replacement", "reason"),
    [
        (other_signer, "wrong-signature"),
        (older, "older"),
        (earlier, "older"),
        (stale, "stale"),
        (of_tomorrow, "from-the-future"),
        (a_page, "malformed"),
    ],
)
async def test_a_list_that_is_not_better_is_not_put_in_use(
    operator: Operator, replacement: Callable[[Operator], bytes], reason: str
) -> None:
    """Old lists hide new revocations: whoever stands between replays them."""
    operator.publish(5)
    await operator.ask()
    before = operator.judge().rests_on
    operator.clock.advance(hours=1.1)
    operator.server.answers["/issuing.crl"] = octets(replacement(operator))

    await operator.news.turn()

    assert operator.judge().rests_on == before
    refused = [one for one in await operator.journal() if one["name"] == "revocation-refused"]
    assert reason in {one["reason"] for one in refused if one["kind"] == "crl"}


@pytest.mark.parametrize(
    ("answer", "reason"), [(status(503), "status-503"), (truncated(b"x"), "unreachable")]
)
async def test_failures_are_told_once_and_tried_again_ever_later(
    operator: Operator, answer: object, reason: str
) -> None:
    """A server that is down for a day is one line in the journal, not a thousand."""
    operator.server.answers["/issuing.crl"] = answer  # type: ignore[assignment]
    await operator.ask()

    visits = []
    for _ in range(8):
        await operator.pass_time(minutes=1)
        visits.append(sum(one.path == "/issuing.crl" for one in operator.server.requests))

    assert visits == [2, 2, 3, 3, 3, 3, 4, 4]
    told = [one for one in await operator.journal() if one.get("kind") == "crl"]
    assert [one["reason"] for one in told] == [reason]


async def test_a_host_that_is_not_listed_is_never_visited(operator: Operator) -> None:
    """Whatever a certificate says; nothing is even kept about it."""
    operator.news.settings = operator.news.settings.model_copy(
        update={"trust": TrustSettings(fetch_hosts=("crl.example",))}
    )

    await operator.ask()

    assert operator.server.requests == []
    due = await operator.trust.database.write(
        lambda c: revocation.claim_due(c, at=NOW + HOUR, until=NOW + HOUR, limit=9)
    )
    assert due == []


async def test_loopback_is_refused_unless_the_settings_say_so(operator: Operator) -> None:
    """A listed name that leads into our own network is an attempt."""
    settings = operator.news.settings
    operator.news.settings = settings.model_copy(
        update={"trust": settings.trust.model_copy(update={"fetch_private": False})}
    )

    await operator.ask()

    assert operator.server.requests == []
    assert {one["reason"] for one in await operator.journal()} == {"private-address"}


async def test_an_answer_is_asked_for_when_there_is_no_list(operator: Operator) -> None:
    """The question names the certificate; the answer is for it alone."""
    issuing = operator.pki.authority.issuing
    operator.server.answers["/ocsp"] = octets(a_response(operator.leaf, issuing))

    await operator.ask()

    assert [each.kind for each in operator.judge().rests_on] == ["ocsp", "crl"]
    asked = [one for one in operator.server.requests if one.path == "/ocsp"]
    assert [one.method for one in asked] == ["POST"]


@pytest.mark.parametrize("wrong", ["another", "stranger", "old", "page"])
async def test_an_answer_that_does_not_convince_is_not_kept(operator: Operator, wrong: str) -> None:
    """Neither good nor revoked: still unknown."""
    pki = operator.pki
    issuing, leaf = pki.authority.issuing, operator.leaf
    answers: dict[str, Callable[[], bytes]] = {
        "another": lambda: a_response(pki.practice_signature.certificate, issuing),
        "stranger": lambda: a_response(
            leaf, pki.stranger.issuing, named_issuer=issuing.certificate
        ),
        "old": lambda: a_response(leaf, issuing, at=NOW - timedelta(days=1), lasts=HOUR),
        "page": lambda: b"<html>",
    }
    operator.server.answers["/ocsp"] = octets(answers[wrong]())

    await operator.ask()

    with pytest.raises(IndeterminateError):
        operator.judge()
    told = [one["reason"] for one in await operator.journal() if one.get("kind") == "ocsp"]
    assert told == [
        {
            "another": "not-about",
            "stranger": "wrong-signature",
            "old": "stale",
            "page": "malformed",
        }[wrong]
    ]


async def test_an_older_answer_does_not_replace_a_newer_one(operator: Operator) -> None:
    """Replaying yesterday's *good* must not hide today's *revoked*."""
    issuing, leaf = operator.pki.authority.issuing, operator.leaf
    operator.server.answers["/ocsp"] = octets(a_response(leaf, issuing, status=REVOKED))
    await operator.ask()
    operator.server.answers["/ocsp"] = octets(
        a_response(leaf, issuing, at=NOW - HOUR, lasts=timedelta(days=2))
    )

    await operator.pass_time(hours=1.1)

    with pytest.raises(RevokedError):
        operator.judge()


async def test_a_delta_list_is_fetched_beside_the_complete_one(operator: Operator) -> None:
    """IGC-Santé publishes both; this morning's revocation is on the delta only."""
    operator.publish(4)
    await operator.ask()
    assert operator.judge().findings == ()
    issuing = operator.pki.authority.issuing
    assert isinstance(issuing.private_key, ec.EllipticCurvePrivateKey)
    entry = x509.RevokedCertificateBuilder().serial_number(operator.leaf.serial)
    delta = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuing.certificate.parsed.subject)
        .last_update(NOW)
        .next_update(NOW + timedelta(days=1))
        .add_extension(x509.CRLNumber(5), critical=False)
        .add_extension(x509.DeltaCRLIndicator(4), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier(issuing.certificate.key_identifier, None, None),
            critical=False,
        )
        .add_revoked_certificate(entry.revocation_date(NOW).build())
        .sign(issuing.private_key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )
    operator.server.answers["/delta.crl"] = octets(delta)

    await operator.pass_time(hours=1.1)

    with pytest.raises(RevokedError):
        operator.judge()


async def test_a_delta_list_where_a_complete_one_belongs_is_refused(operator: Operator) -> None:
    """And the other way round: each has its own place."""
    operator.publish(4)
    operator.server.answers["/delta.crl"] = operator.server.answers["/issuing.crl"]

    await operator.ask()

    told = {one["kind"]: one["reason"] for one in await operator.journal() if "reason" in one}
    assert told["delta-crl"] == "wrong-kind"


async def test_a_missing_issuer_is_fetched_if_it_leads_to_an_anchor(operator: Operator) -> None:
    """A peer that sends its leaf alone; RFC 5280, 4.2.2.1."""
    pki, news = operator.pki, operator.news
    news.settings.path(news.settings.trust.intermediates).unlink()
    await news.reload()
    operator.publish(1)
    operator.server.answers["/issuer"] = octets(pki.authority.issuing.certificate.der)

    await operator.ask()
    await operator.ask()

    assert operator.judge().findings == ()


async def test_an_issuer_that_nobody_trusts_is_not_taken_up(operator: Operator) -> None:
    """It signed the leaf, and leads nowhere."""
    strangers = operator.pki.stranger.issuing.certificate
    leaf = operator.pki.stranger.issue(CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT)
    operator.server.answers["/issuer"] = octets(strangers.der)
    operator.news.settings.path(operator.news.settings.trust.intermediates).unlink()
    await operator.news.reload()

    await operator.ask()

    with pytest.raises(UntrustedError):
        operator.judge(leaf.certificate)
    told = [one["reason"] for one in await operator.journal() if one.get("kind") == "issuer"]
    assert told == ["not-the-issuer"]


async def test_another_process_takes_up_what_one_has_fetched(operator: Operator) -> None:
    """They share the database and nothing else; a door never fetches."""
    operator.publish(1)
    await operator.ask()
    other = RevocationNews(
        trust=TrustSpace(
            database=operator.trust.database,
            clock=operator.clock,
            settings=operator.trust.settings,
            store=load_trust_store(operator.news.settings),
            chain="c2",
        ),
        settings=operator.news.settings,
    )
    visits = len(operator.server.requests)

    await other.follow()

    found = trust.validate(
        operator.leaf, store=other.trust.store, profile=trust.MAIL_SIGNING, at=NOW
    )
    assert found.findings == ()
    assert len(operator.server.requests) == visits


async def test_a_turn_without_news_keeps_the_verdicts(operator: Operator) -> None:
    """Or the door would judge every peer anew each minute."""
    operator.publish(1)
    await operator.ask()
    chain = operator.judge()

    await operator.pass_time(minutes=1)
    await operator.news.reload()

    assert operator.judge() is chain


async def test_a_large_list_is_indexed_and_its_index_goes_with_it(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file for each list in use, and none for those of last year."""
    monkeypatch.setattr(crl_index, "INDEXED_FROM_OCTETS", 0)  # as if every list were large
    folder = operator.news.settings.path("trust/index")
    operator.publish(1)
    await operator.ask()
    before = set(folder.glob("*.crlx"))
    operator.publish(2)

    await operator.pass_time(hours=1.1)

    assert operator.judge().findings == ()
    after = set(folder.glob("*.crlx"))
    assert len(before) == len(after) == 2  # the root's list, and ours
    assert len(after & before) == 1


async def test_evidence_is_forgotten_when_its_time_is_over(operator: Operator) -> None:
    """Superseded lists stay as long as the settings say; what is in use stays anyway."""
    operator.publish(1)
    await operator.ask()
    operator.publish(2)
    await operator.pass_time(hours=1.1)

    await operator.news.forget()
    assert await kept(operator) == 2
    operator.news.settings = operator.news.settings.model_copy(
        update={"retention": operator.news.settings.retention.model_copy(update={"evidence": 60.0})}
    )
    operator.clock.advance(minutes=2)
    await operator.news.forget()

    assert await kept(operator) == 1


async def test_what_a_verdict_rests_on_is_kept_and_proves_it_again(operator: Operator) -> None:
    """The database alone is enough, after everything else has moved on."""
    operator.publish(1)
    await operator.ask()
    chain = operator.judge()
    await operator.trust.keep_evidence([chain, chain])
    stored = evidence_of(chain)

    def prove(connection: Connection) -> ValidatedChain:
        def find(sha256: str) -> bytes | None:
            found = revocation.find_object(connection, sha256)
            return found.octets if found else None

        return judge_again(stored, find=find)

    again = await operator.trust.database.read(prove)
    assert evidence_of(again) == stored


async def kept(operator: Operator) -> int:
    return await operator.trust.database.read(
        lambda c: c.execute(select(func.count()).select_from(revocation_object)).scalar_one()
    )


async def test_the_known_authorities_are_followed_without_being_asked(
    operator: Operator, server: HttpServer
) -> None:
    """Their lists are at hand before the first peer knocks."""
    own = operator.news.settings.path(operator.news.settings.tls.certificate)
    own.parent.mkdir(parents=True, exist_ok=True)
    own.write_text(operator.leaf.pem)
    operator.publish(1)

    await operator.news.reload()
    await operator.news.turn()

    assert "/issuing.crl" in {one.path for one in server.requests}
    assert Usage.MAIL_SIGNING is operator.judge().usage
