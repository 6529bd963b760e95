"""The poll of the trust list, against a publisher on loopback over real HTTPS."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from crypto.issuing import Authority, CertificateProfile, Subject, create_authority
from mss.clock import SystemClock
from mss.errors import TrustListUnreachableError
from mss.settings import Settings
from mss.store import audit
from mss.trust_space import TrustListRefusedError
from mss.worker.list_fetch import build_fetcher
from mss.worker.list_poll import ListPoll
from tests.support.factories import (
    HOSPITAL,
    HOSPITAL_DOMAIN,
    PRACTICE_DOMAIN,
    PRACTICES,
    Pair,
    a_signed_trust_list,
)
from tests.support.http_server import (
    Answer,
    HttpServer,
    Request,
    Writer,
    dripping,
    endless,
    octets,
    open_http_server,
    silent,
    status,
)
from tests.support.pki import NOW, Pki

NEW = "nouveau.mssante.fr"


@pytest.fixture(scope="module")
def web() -> Authority:
    """The authority of the publisher's server, valid by the clock of the machine."""
    return create_authority("WEB", at=SystemClock().now() - timedelta(days=1), key="p256")


@asynccontextmanager
async def publishing(web: Authority, folder: Path, *answers: Answer) -> AsyncIterator[HttpServer]:
    """Serve the answers in turn, the last one for ever, over TLS."""
    subject = Subject(
        common_name="localhost", organization="WEB", structure_id="1", dns_names=("localhost",)
    )
    at = SystemClock().now() - timedelta(hours=1)
    issued = web.issue(CertificateProfile.SERVER, subject, at=at)
    (folder / "web.pem").write_text(issued.chain_pem + issued.private_key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "web.pem")
    left = list(answers)

    async def next_answer(request: Request, writer: Writer) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(request, writer)

    async with open_http_server(tls=context, list=next_answer) as publisher:
        yield publisher


def at(publisher: HttpServer) -> str:
    """The address of the list."""
    return f"https://localhost:{publisher.port}/list"


def polling(pair: Pair, web: Authority, url: str = "", **changes: object) -> ListPoll:
    """The poll of the hospital, which also believes the authority of the publisher's server."""
    hospital = pair.hospital
    settings: Settings = hospital.services.settings
    settings.path("trust/web.pem").write_text(web.anchors_pem)
    trust = settings.trust.model_copy(
        update={"list_url": url, "list_ca": "trust/web.pem", "list_fetch_seconds": 5, **changes}
    )
    changed = settings.model_copy(update={"trust": trust})
    hospital.services.trust.settings = trust
    return ListPoll(
        trust=hospital.services.trust,
        database=hospital.database,
        clock=hospital.clock,
        settings=trust,
        fetcher=build_fetcher(changed),
    )


def a_list(pki: Pki, *more: str) -> bytes:
    """A list of both operators, and of more domains of the hospital."""
    subjects = {HOSPITAL_DOMAIN: HOSPITAL.subject, PRACTICE_DOMAIN: PRACTICES.subject}
    subjects |= dict.fromkeys(more, HOSPITAL.subject)
    return a_signed_trust_list(pki.authority, subjects, at=NOW + timedelta(minutes=len(more)))


async def journal(pair: Pair) -> list[tuple[str, dict[str, str]]]:
    """Read what was noted about the list by the poll."""
    rows = await pair.hospital.database.read(lambda c: list(audit.iter_rows(c)))
    return [(r.name, r.facts) for r in rows if "trust-list" in r.name and r.actor == "system"]


async def test_a_new_list_is_put_in_force_and_told(
    pair: Pair, pki: Pki, web: Authority, tmp_path: Path
) -> None:
    """With what it changes, so that anybody can see later who was let in when."""
    async with publishing(web, tmp_path, octets(a_list(pki, NEW), etag='"1"')) as publisher:
        await polling(pair, web, at(publisher)).run()

    assert pair.hospital.services.trust.is_trusted_domain(NEW)
    ((name, facts),) = await journal(pair)
    assert (name, facts["added"], facts["added-domains"]) == ("trust-list-loaded", "1", NEW)
    assert (facts["removed"], facts["source"]) == ("0", at(publisher))


async def test_an_unchanged_list_costs_a_header_and_confirms_the_one_in_force(
    pair: Pair, pki: Pki, web: Authority, tmp_path: Path
) -> None:
    """Asked once an hour, by whichever process comes first."""
    async with publishing(web, tmp_path, octets(a_list(pki, NEW), etag='"1"')) as publisher:
        poll = polling(pair, web, at(publisher))
        await poll.run()
        await poll.run()
        assert len(publisher.requests) == 1

        pair.hospital.clock.advance(hours=1)
        await poll.run()

    assert [one.headers.get("if-none-match") for one in publisher.requests] == [None, '"1"']
    found = await poll.trust.status()
    assert found is not None
    assert found.age == timedelta(0)
    assert len(await journal(pair)) == 1


async def test_a_list_loaded_by_hand_is_not_taken_for_the_published_one(
    pair: Pair, pki: Pki, web: Authority, tmp_path: Path
) -> None:
    """Its validators belong to another list, so they are not used."""
    async with publishing(web, tmp_path, octets(a_list(pki, NEW), etag='"1"')) as publisher:
        poll = polling(pair, web, at(publisher))
        await poll.run()
        await poll.trust.load(a_list(pki, "a.fr", "b.fr"), source="by hand", is_forced=True)
        pair.hospital.clock.advance(hours=1)
        await poll.run()

    assert "if-none-match" not in publisher.requests[-1].headers


async def test_an_outage_is_told_once_and_tried_again_soon(
    pair: Pair, pki: Pki, web: Authority, tmp_path: Path
) -> None:
    """The last good list stays in force; the journal does not fill up."""
    good = octets(a_list(pki, NEW))
    async with publishing(web, tmp_path, status(503), status(503), good) as publisher:
        poll = polling(pair, web, at(publisher))
        for _ in range(3):
            await poll.run()
            pair.hospital.clock.advance(minutes=5)

    names = [(name, facts.get("reason")) for name, facts in await journal(pair)]
    assert names == [("trust-list-unreachable", "status-503"), ("trust-list-loaded", None)]


async def test_a_list_that_nobody_confirms_becomes_stale(
    pair: Pair, web: Authority, tmp_path: Path
) -> None:
    """It stays in force, and somebody is told; health and `mss trust show` say so too."""
    async with publishing(web, tmp_path, status(404)) as publisher:
        poll = polling(pair, web, at(publisher))
        pair.hospital.clock.advance(hours=25)
        await poll.run()
        await poll.run()

    assert pair.hospital.services.trust.is_trusted_domain(PRACTICE_DOMAIN)
    stale = [facts for name, facts in await journal(pair) if name == "trust-list-stale"]
    assert [one["hours"] for one in stale] == ["25"]
    assert "trust-list" in await pair.hospital.services.health.alerts()


async def nonsense(_: Request, writer: Writer) -> None:
    """Speak another protocol."""
    writer.write(b"220 mail ready\r\n")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(302, "Location: https://localhost/other.xml"), "redirect"),
        (status(304), "redirect"),
        (status(404), "status-404"),
        (status(200, "Content-Encoding: gzip"), "encoded"),
        (dripping(), "timeout"),
        (silent(), "timeout"),
        (endless(b"<" * 65536), "too-large"),
        (nonsense, "broken-off"),
    ],
)
async def test_a_publisher_that_misbehaves_changes_nothing(
    pair: Pair, web: Authority, tmp_path: Path, answer: Answer, reason: str
) -> None:
    """Bounded in time and octets, and never led elsewhere."""
    limits = {"list_fetch_seconds": 0.5, "list_octets": 1_000_000}
    async with publishing(web, tmp_path, answer) as publisher:
        with pytest.raises(TrustListUnreachableError) as refusal:
            await polling(pair, web, "", **limits).load_from(at(publisher))

    assert refusal.value.reason == reason
    assert pair.hospital.services.trust.is_trusted_domain(PRACTICE_DOMAIN)


async def test_a_server_of_another_authority_is_not_believed(
    pair: Pair, web: Authority, tmp_path: Path
) -> None:
    """Only our anchors and `trust.list_ca` count, never the authorities of the machine."""
    stranger = create_authority("WEB", at=SystemClock().now() - timedelta(days=1), key="p256")
    async with publishing(stranger, tmp_path, status(200)) as publisher:
        with pytest.raises(TrustListUnreachableError) as refusal:
            await polling(pair, web).load_from(at(publisher))

    assert refusal.value.reason == "untrusted-server"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://localhost/x", "not-https"),
        ("file:///etc/passwd", "not-https"),
        ("https://localhost:1/x", "unreachable"),
        ("https://[/", "unreachable"),
    ],
)
async def test_an_address_of_another_kind_is_refused(
    pair: Pair, web: Authority, url: str, reason: str
) -> None:
    """Verification is always on, so there is nothing to fetch in clear."""
    with pytest.raises(TrustListUnreachableError) as refusal:
        await polling(pair, web).load_from(url)

    assert refusal.value.reason == reason


async def test_a_list_that_does_not_hold_is_refused_with_its_digest(
    pair: Pair, pki: Pki, web: Authority, tmp_path: Path
) -> None:
    """A publisher's server can be broken into; its signer's key is elsewhere."""
    forged = a_list(pki, NEW).replace(b"nouveau", b"mauvais")
    async with publishing(web, tmp_path, octets(forged)) as publisher:
        poll = polling(pair, web, at(publisher))
        with pytest.raises(TrustListRefusedError):
            await poll.load_from(at(publisher), actor="system")

    ((name, facts),) = await journal(pair)
    assert name == "trust-list-refused"
    assert "signature-wrong" in facts["reason"]
    assert len(facts["sha256"]) == 64
