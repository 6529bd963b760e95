"""Handshakes in memory: no socket, both sides in one test."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from crypto import tls
from crypto.errors import CertificateSyntaxError, KeySyntaxError, UntrustedError
from crypto.issuing import CertificateProfile, Issued
from tests.support.pki import HOSPITAL, ISSUED_AT, the_pki, write_pem

PKI = the_pki()
ANCHORS = PKI.authority.anchors_pem
# OpenSSL would judge validity by the clock of the machine; these certificates have fixed dates.
NO_CHECK_TIME = ssl.VerifyFlags(0x200000)


def server(
    folder: Path, *, anchors: str | None = ANCHORS, require_client: bool = True
) -> ssl.SSLContext:
    certificate, key = write_pem(folder, PKI.hospital_server, "server")
    context = tls.server_context(
        certificate, key, client_anchors_pem=anchors, require_client=require_client
    )
    context.verify_flags |= NO_CHECK_TIME
    return context


def client(folder: Path, issued: Issued | None, *, anchors: str = ANCHORS) -> ssl.SSLContext:
    paths = (None, None) if issued is None else write_pem(folder, issued, "client")
    context = tls.client_context(*paths, anchors_pem=anchors)
    context.verify_flags |= NO_CHECK_TIME
    return context


def shake(door: ssl.SSLContext, caller: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Run a handshake to its end, or raise what broke it; return both sides."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    serving = door.wrap_bio(to_server, to_client, server_side=True)
    calling = caller.wrap_bio(to_client, to_server)
    steps: list[Callable[[], object]] = [calling.do_handshake, serving.do_handshake]
    for step in steps * 4:
        with suppress(ssl.SSLWantReadError):
            step()
    assert serving.version() is not None
    return serving, calling


def test_two_operators_see_each_others_certificate(tmp_path: Path) -> None:
    """Mutual authentication: what the caller then compares with the trust list."""
    serving, calling = shake(server(tmp_path), client(tmp_path, PKI.practice_server))

    assert tls.peer_certificate(serving) == PKI.practice_server.certificate
    assert tls.peer_certificate(calling) == PKI.hospital_server.certificate
    assert serving.version() == "TLSv1.3"


def test_a_caller_without_certificate_does_not_get_in(tmp_path: Path) -> None:
    """The door between operators asks for one."""
    with pytest.raises(ssl.SSLError):
        shake(server(tmp_path), client(tmp_path, None))


def test_a_caller_of_a_stranger_does_not_get_in(tmp_path: Path) -> None:
    """Same names in the certificate, another authority."""
    with pytest.raises(ssl.SSLError):
        shake(server(tmp_path), client(tmp_path, PKI.stranger_server))


def test_a_server_of_a_stranger_gets_no_caller(tmp_path: Path) -> None:
    """Mail never goes to a host whose authority is not ours."""
    foreign = PKI.stranger.anchors_pem

    with pytest.raises(ssl.SSLError):
        shake(server(tmp_path), client(tmp_path, PKI.practice_server, anchors=foreign))


def test_a_certificate_that_may_not_be_a_client_does_not_get_in(tmp_path: Path) -> None:
    """A signing certificate of the same authority is for letters."""
    with pytest.raises(ssl.SSLError):
        shake(server(tmp_path), client(tmp_path, PKI.practice_signature))


def faults(door: ssl.SSLContext, caller: ssl.SSLContext) -> tuple[str, str]:
    """Run a handshake that fails; tell why on the server's side and on the client's."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = {
        "client": caller.wrap_bio(to_client, to_server),
        "server": door.wrap_bio(to_server, to_client, server_side=True),
    }
    found: dict[str, str] = {}
    for name, side in list(sides.items()) * 4:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError as error:
            found.setdefault(name, tls.handshake_fault(error))
    return found.get("server", ""), found.get("client", "")


@pytest.mark.parametrize(
    ("issued", "fault"),
    [
        (PKI.stranger_server, "foreign-authority"),
        (PKI.practice_signature, "wrong-use"),
        (None, "protocol"),
    ],
)
def test_a_failed_handshake_tells_why(tmp_path: Path, issued: Issued | None, fault: str) -> None:
    """The journal needs more than a closed connection; the other side gets the alert."""
    caller = client(tmp_path, issued)
    caller.maximum_version = ssl.TLSVersion.TLSv1_2  # where the client waits for the verdict

    assert faults(server(tmp_path), caller) == (fault, "refused-by-peer")


def test_a_server_of_a_stranger_is_told_from_a_broken_one(tmp_path: Path) -> None:
    """The relay says so of the host that it did not deliver to."""
    caller = client(tmp_path, PKI.practice_server, anchors=PKI.stranger.anchors_pem)

    assert faults(server(tmp_path), caller)[1] == "foreign-authority"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
def test_an_old_version_is_told_on_both_sides(tmp_path: Path) -> None:
    """TLS 1.1 in either direction."""
    old = client(tmp_path, PKI.practice_server)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1

    assert faults(server(tmp_path), old) == ("version", "version")


def test_a_suite_that_is_not_allowed_is_told(tmp_path: Path) -> None:
    """CBC, for instance."""
    caller = client(tmp_path, PKI.practice_server)
    caller.maximum_version = ssl.TLSVersion.TLSv1_2
    caller.set_ciphers("ECDHE-ECDSA-AES128-SHA")

    assert faults(server(tmp_path), caller)[0] == "suite"


@pytest.mark.parametrize("ciphers", ["eNULL:@SECLEVEL=0", "DES-CBC3-SHA:@SECLEVEL=0"])
def test_a_list_of_weak_suites_is_refused(tmp_path: Path, ciphers: str) -> None:
    """The setting may narrow what is offered, not open it."""
    with pytest.raises((KeySyntaxError, ssl.SSLError)):
        tls.server_context(*write_pem(tmp_path, PKI.hospital_server, "server"), ciphers=ciphers)


def test_dates_can_be_left_to_the_caller(tmp_path: Path) -> None:
    """So that a peer of last year hears about it in words."""
    old = PKI.authority.issue(
        CertificateProfile.SERVER, HOSPITAL, at=ISSUED_AT, valid_for=timedelta(seconds=1)
    )
    certificate, key = write_pem(tmp_path, PKI.hospital_server, "server")
    door = tls.server_context(
        certificate, key, client_anchors_pem=ANCHORS, require_client=True, check_time=False
    )

    serving, _ = shake(door, client(tmp_path, old))

    assert tls.peer_certificate(serving) == old.certificate


def test_what_a_peer_sends_along_is_seen(tmp_path: Path) -> None:
    """Its issuing authority, on whichever side; a version of Python that hides it gives none."""
    serving, calling = shake(server(tmp_path), client(tmp_path, PKI.practice_server))

    assert set(PKI.practice_server.chain) <= set(tls.shown_intermediates(serving))
    assert set(PKI.hospital_server.chain) <= set(tls.shown_intermediates(calling))
    assert PKI.practice_server.certificate not in tls.shown_intermediates(serving)


class Hidden:
    """An endpoint of a Python that shows the leaf only."""

    def getpeercert(self, binary_form: bool, /) -> bytes | None:  # noqa: FBT001 -- as ssl has it
        return PKI.practice_server.certificate.der


class Shown(Hidden):
    """An endpoint of Python 3.13, with something unreadable among what it shows."""

    def get_unverified_chain(self) -> list[bytes]:
        chain = [one.der for one in PKI.practice_server.chain]
        return [PKI.practice_server.certificate.der, b"rubbish", *chain]


def test_both_ways_to_see_it_are_served() -> None:
    """The public one since Python 3.13; and none is no error."""
    assert tls.shown_intermediates(Shown()) == PKI.practice_server.chain
    assert tls.shown_intermediates(Hidden()) == ()


def test_a_door_for_users_asks_for_no_certificate(tmp_path: Path) -> None:
    """They log in; and then there is no peer certificate to speak of."""
    door = server(tmp_path, anchors=None, require_client=False)

    serving, _ = shake(door, client(tmp_path, None))

    with pytest.raises(UntrustedError, match="certificate-missing"):
        tls.peer_certificate(serving)


def test_a_door_that_asks_without_requiring_lets_in_with_none(tmp_path: Path) -> None:
    """Software may authenticate by certificate or otherwise at the same door."""
    door = server(tmp_path, require_client=False)

    serving, _ = shake(door, client(tmp_path, None))
    with_one, _ = shake(door, client(tmp_path, PKI.practice_server))

    assert serving.getpeercert(binary_form=True) is None
    assert tls.peer_certificate(with_one) == PKI.practice_server.certificate


def test_an_old_protocol_is_refused(tmp_path: Path) -> None:
    """TLS 1.1 has been deprecated since RFC 8996."""
    assert server(tmp_path).minimum_version == ssl.TLSVersion.TLSv1_2
    assert client(tmp_path, None).minimum_version == ssl.TLSVersion.TLSv1_2


def test_only_one_time_keys_and_authenticated_ciphers_are_offered(tmp_path: Path) -> None:
    """No static RSA, no CBC, no RC4."""
    names = {each["name"] for each in server(tmp_path).get_ciphers()}

    old = {name for name in names if not name.startswith(("TLS_", "ECDHE-"))}
    assert old == set()
    assert all("GCM" in name or "CHACHA20" in name or "CCM" in name for name in names)


def test_tls_12_still_works_between_two_that_have_no_more(tmp_path: Path) -> None:
    """The national texts allow it."""
    caller = client(tmp_path, PKI.practice_server)
    caller.maximum_version = ssl.TLSVersion.TLSv1_2

    serving, _ = shake(server(tmp_path), caller)

    assert serving.version() == "TLSv1.2"


def test_mutual_doors_give_no_session_tickets(tmp_path: Path) -> None:
    """A resumed session would not show the certificate that is judged at each connection."""
    door = server(tmp_path)

    assert door.num_tickets == 0
    assert door.options & ssl.OP_NO_TICKET


def test_host_names_are_not_compared_between_operators(tmp_path: Path) -> None:
    """The trust list binds names to domains; the certificate names a mail host."""
    assert client(tmp_path, None).check_hostname is False
    assert client(tmp_path, None).verify_mode is ssl.CERT_REQUIRED


def test_files_that_do_not_fit_are_refused_at_start(tmp_path: Path) -> None:
    """Not at the first connection."""
    certificate, _ = write_pem(tmp_path, PKI.hospital_server, "a")
    _, key = write_pem(tmp_path, PKI.practice_server, "b")

    with pytest.raises(KeySyntaxError):
        tls.server_context(certificate, key)
    with pytest.raises(CertificateSyntaxError):
        tls.client_context(None, None, anchors_pem="rubbish")
    with pytest.raises(KeySyntaxError, match="client-anchors-missing"):
        tls.server_context(*write_pem(tmp_path, PKI.hospital_server, "a"), require_client=True)
    with pytest.raises(OSError, match="No such file"):
        tls.server_context(tmp_path / "absent", key)
