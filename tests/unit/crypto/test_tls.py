"""Handshakes in memory: no socket, both sides in one test."""

import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from crypto import tls
from crypto.errors import CertificateSyntaxError, KeySyntaxError, UntrustedError
from crypto.issuing import Issued
from tests.support.pki import the_pki, write_pem

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
