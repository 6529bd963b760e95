import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from mss.errors import PeerRevokedError, SettingsError
from mss.store import audit, trust_lists
from mss.worker.revocation import RevocationNews
from mss.worker.watch import Watch
from tests.support.factories import HOSPITAL_DOMAIN, PRACTICES, Pair, a_signed_trust_list
from tests.support.pki import NOW, Pki


@dataclass
class Shown:
    """Something that shows a certificate, or cannot use the new one."""

    error: Exception | None = None
    reloads: int = 0

    def reload(self) -> None:
        self.reloads += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def watch(pair: Pair, shown: Shown) -> Watch:
    services = pair.hospital.services
    return Watch(
        trust=services.trust,
        news=RevocationNews(trust=services.trust, settings=services.settings),
        settings=services.settings,
        renewables=[shown],
        keys=pair.hospital.running.keys,
    )


async def test_a_list_loaded_by_another_process_is_taken_up(
    pair: Pair, pki: Pki, watch: Watch
) -> None:
    """`mss trust load` reaches the running server."""
    trust = pair.hospital.services.trust
    domain = "nouveau.mssante.fr"
    listed = a_signed_trust_list(pki.authority, {domain: PRACTICES.subject}, at=NOW)
    kept = trust_lists.KeptTrustList(
        sha256="f" * 64, generated_at=NOW, loaded_at=NOW, source="x", entries=1, xml=listed
    )
    await pair.hospital.database.write(lambda c: trust_lists.put_in_force(c, kept))
    assert not trust.is_trusted_domain(domain)

    await watch.look()

    assert trust.is_trusted_domain(domain)
    assert not trust.is_trusted_domain(HOSPITAL_DOMAIN)


async def test_renewed_revocation_lists_are_taken_up(
    pair: Pair, homes: Path, pki: Pki, watch: Watch
) -> None:
    """A certificate that was revoked an hour ago is refused without a restart."""
    trust, server = pair.hospital.services.trust, pki.hospital_server

    def judge() -> None:
        trust.judge_server(
            server.certificate,
            intermediates=server.chain,
            domain=HOSPITAL_DOMAIN,
            host="mail.ch-demo.mssante.fr",
        )

    judge()
    issuer = pki.authority.issuing.with_revoked(server.certificate, at=NOW)
    renewed = homes / HOSPITAL_DOMAIN / "trust" / "crls" / "renewed.crl"
    renewed.write_bytes(issuer.crl(NOW, number=2))
    judge()

    await watch.look()

    with pytest.raises(PeerRevokedError):
        judge()


async def names(pair: Pair) -> list[str]:
    """Name what stands in the journal about certificates."""
    found = await pair.hospital.database.read(lambda c: [one.name for one in audit.iter_rows(c)])
    return [name for name in found if name.startswith("tls-")]


async def test_a_certificate_that_was_renewed_is_shown_from_then_on(
    pair: Pair, homes: Path, watch: Watch, shown: Shown
) -> None:
    """Without a restart, once for each change, and with a line in the journal."""
    await watch.look()
    assert shown.reloads == 0

    touch(homes / HOSPITAL_DOMAIN / "keys" / "tls.crt")
    await watch.look()
    await watch.look()

    assert shown.reloads == 1
    assert await names(pair) == ["tls-reloaded"]


async def test_a_certificate_that_cannot_be_used_is_told_once(
    pair: Pair, homes: Path, watch: Watch, shown: Shown
) -> None:
    """What was in force stays; whoever replaced the file finds out from the journal."""
    shown.error = SettingsError(reason="keys/tls.crt: does not fit its key")
    touch(homes / HOSPITAL_DOMAIN / "keys" / "tls.crt")

    await watch.look()
    await watch.look()

    assert shown.reloads == 1
    assert await names(pair) == ["tls-refused"]


async def test_on_request_everything_is_read_again(watch: Watch, shown: Shown) -> None:
    """An administrator who sends SIGHUP need not know how changes are noticed."""
    watch.wake()

    await watch.look()

    assert shown.reloads == 1


async def test_one_thing_that_fails_does_not_keep_the_others_from_being_looked_at(
    homes: Path, watch: Watch, shown: Shown
) -> None:
    """Broken anchors must not hide a renewed certificate."""
    (homes / HOSPITAL_DOMAIN / "trust" / "anchors.pem").write_bytes(b"damaged")

    await watch.look()

    assert shown.reloads == 1
    assert watch.trust.store.anchors


def touch(file: Path) -> None:
    """Give a file another time of change, as whoever writes it anew does."""
    found = file.stat()
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns + 1_000_000))
