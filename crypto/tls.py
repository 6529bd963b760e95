"""TLS contexts, one function for each side, and who is on the other end.

Every connection between operators is authenticated on both sides. OpenSSL checks that the
other certificate leads to one of our anchors, and breaks the handshake if not; `handshake_fault`
tells why. What it does not check is asked afterwards, by the caller, on `peer_certificate`:
revocation and usage (`crypto.trust.validate`), the dates where a context leaves them to the caller
(so that an expired peer gets a reply instead of silence), and *who it is*. In MSSanté the identity
of a peer is the distinguished name of its certificate, which the trust list binds to mail domains;
the common name is that of the mail host, seldom the mail domain. So no host name is compared here,
on purpose, and a caller that does not compare the distinguished name has authenticated nobody.

Errors
    `KeySyntaxError` or `CertificateSyntaxError` for files that cannot be used, `OSError` for
    files that cannot be read, `UntrustedError` when a peer shows no certificate.
Sources
    RFC 8446; RFC 9325 (recommendations for TLS); RFC 3207, 6 (what STARTTLS does not protect).
"""

import ssl
from collections.abc import Iterator
from enum import StrEnum
from os import PathLike
from typing import Final, Literal, Protocol

from crypto.certificates import Certificate, parse_certificate, parse_certificates
from crypto.errors import CertificateSyntaxError, KeySyntaxError, UntrustedError

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
"""TLS 1.2 suites: one-time keys and authenticated encryption only. TLS 1.3 has no others."""

MIN_STRENGTH_BITS: Final = 128
MAX_SHOWN_CERTIFICATES: Final = 8

_NO_CHECK_TIME: Final = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME, for which the standard library has no name."""

_OPTIONS: Final = ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE

Path = str | PathLike[str]


class HandshakeFault(StrEnum):
    """Why a handshake failed."""

    FOREIGN_AUTHORITY = "foreign-authority"
    EXPIRED = "expired"
    REVOKED = "revoked"
    WRONG_USE = "wrong-use"
    CERTIFICATE_INVALID = "certificate-invalid"
    VERSION = "version"
    SUITE = "suite"
    REFUSED_BY_PEER = "refused-by-peer"
    PROTOCOL = "protocol"


# Numbers of x509_vfy.h in OpenSSL, which are part of its interface.
_VERIFY_FAULTS: Final = {
    2: HandshakeFault.FOREIGN_AUTHORITY,  # the issuer is not at hand
    7: HandshakeFault.FOREIGN_AUTHORITY,  # the issuer of that name did not sign it
    9: HandshakeFault.EXPIRED,  # not yet valid
    10: HandshakeFault.EXPIRED,
    18: HandshakeFault.FOREIGN_AUTHORITY,  # signed by itself
    19: HandshakeFault.FOREIGN_AUTHORITY,  # another root
    20: HandshakeFault.FOREIGN_AUTHORITY,
    21: HandshakeFault.FOREIGN_AUTHORITY,
    23: HandshakeFault.REVOKED,
    26: HandshakeFault.WRONG_USE,
    27: HandshakeFault.FOREIGN_AUTHORITY,
}
_PROTOCOL_FAULTS: Final = {
    "UNSUPPORTED_PROTOCOL": HandshakeFault.VERSION,
    "VERSION_TOO_LOW": HandshakeFault.VERSION,
    "WRONG_SSL_VERSION": HandshakeFault.VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": HandshakeFault.VERSION,
    "UNKNOWN_PROTOCOL": HandshakeFault.VERSION,
    "NO_PROTOCOLS_AVAILABLE": HandshakeFault.VERSION,
    "NO_SHARED_CIPHER": HandshakeFault.SUITE,
    "INSUFFICIENT_SECURITY": HandshakeFault.SUITE,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": HandshakeFault.SUITE,
}


class TlsEndpoint(Protocol):
    """What `ssl.SSLObject` and `ssl.SSLSocket` have in common for us."""

    def getpeercert(self, binary_form: Literal[True], /) -> bytes | None:
        """Return the certificate of the other side in DER, or None."""


def server_context(
    certificate_path: Path,
    key_path: Path,
    *,
    client_anchors_pem: str | None = None,
    require_client: bool = False,
    check_time: bool = True,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    ciphers: str = CIPHERS,
    password: bytes | None = None,
) -> ssl.SSLContext:
    """Return the context of a door.

    Args:
        certificate_path: The server's certificate followed by its intermediates, PEM.
        key_path: Its private key, PEM.
        client_anchors_pem: Authorities of clients. None asks clients for no certificate.
        require_client: Break the handshake with a client that shows none.
        check_time: False leaves the dates of clients' certificates to the caller, who must judge
            them (`crypto.trust.validate` does).
        minimum: Lowest protocol version.
        ciphers: TLS 1.2 suites in OpenSSL's language.
        password: Opens the key, if it is encrypted.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, minimum=minimum, ciphers=ciphers)
    _load(context, certificate_path, key_path, password)
    if client_anchors_pem is not None:
        _trust(context, client_anchors_pem)
        context.verify_mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL
        # A resumed session would repeat a verdict of yesterday without showing a certificate.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
        if not check_time:
            context.verify_flags |= _NO_CHECK_TIME
    elif require_client:
        raise KeySyntaxError("client-anchors-missing")
    return context


def client_context(
    certificate_path: Path | None,
    key_path: Path | None,
    *,
    anchors_pem: str,
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    ciphers: str = CIPHERS,
    check_host: bool = False,
    check_time: bool = True,
    password: bytes | None = None,
) -> ssl.SSLContext:
    """Return the context of an outgoing connection.

    Args:
        certificate_path: Our certificate and its intermediates, PEM; None to show none.
        key_path: Our private key, PEM.
        anchors_pem: Authorities of servers.
        minimum: Lowest protocol version.
        ciphers: TLS 1.2 suites in OpenSSL's language.
        check_host: Compare host names too: right for HTTPS, wrong between operators (see above).
        check_time: False leaves the dates of the server's certificate to the caller, as above.
        password: Opens our key, if it is encrypted.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, minimum=minimum, ciphers=ciphers)
    context.check_hostname = check_host
    context.verify_mode = ssl.CERT_REQUIRED
    _trust(context, anchors_pem)
    if not check_time:
        context.verify_flags |= _NO_CHECK_TIME
    if certificate_path is not None and key_path is not None:
        _load(context, certificate_path, key_path, password)
    return context


def peer_certificate(endpoint: TlsEndpoint) -> Certificate:
    """Return the certificate of the other side of an established connection.

    Raises:
        UntrustedError: The other side showed none.
        CertificateSyntaxError: OpenSSL read it, and we do not.
    """
    octets = endpoint.getpeercert(True)
    if octets is None:
        raise UntrustedError("certificate-missing")
    return parse_certificate(octets)


def shown_intermediates(endpoint: TlsEndpoint) -> tuple[Certificate, ...]:
    """List the other certificates that the other side sent along; hostile until proven.

    The standard library shows them since Python 3.13 only; before that they are had from the object
    beneath, where there is one. None is no error: then the intermediates of the home must do.
    """
    leaf = endpoint.getpeercert(True)
    shown = [one for one in _shown(endpoint) if one != leaf]
    return tuple(_readable(shown[:MAX_SHOWN_CERTIFICATES]))


def handshake_fault(error: BaseException) -> HandshakeFault:
    """Tell why a handshake failed, from what it raised on our side."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _VERIFY_FAULTS.get(error.verify_code, HandshakeFault.CERTIFICATE_INVALID)
    reason = error.reason or "" if isinstance(error, ssl.SSLError) else ""
    if reason in _PROTOCOL_FAULTS:
        return _PROTOCOL_FAULTS[reason]
    return HandshakeFault.REFUSED_BY_PEER if "_ALERT_" in reason else HandshakeFault.PROTOCOL


def _shown(endpoint: object) -> list[bytes]:
    ask = getattr(endpoint, "get_unverified_chain", None)
    if ask is not None:
        return list(ask())
    ask = getattr(getattr(endpoint, "_sslobj", None), "get_unverified_chain", None)
    if ask is None:
        return []
    pems = (str(each.public_bytes()) for each in ask() or ())
    return [ssl.PEM_cert_to_DER_cert(each) for each in pems]


def _readable(shown: list[bytes]) -> Iterator[Certificate]:
    for octets in shown:
        try:
            yield parse_certificate(octets)
        except CertificateSyntaxError:
            continue  # it is of no help then, and the leaf is judged all the same


def _context(protocol: int, *, minimum: ssl.TLSVersion, ciphers: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = minimum
    context.set_ciphers(ciphers)
    if any(each["strength_bits"] < MIN_STRENGTH_BITS for each in context.get_ciphers()):
        raise KeySyntaxError("tls-ciphers-weak")
    context.options |= _OPTIONS
    return context


def _trust(context: ssl.SSLContext, anchors_pem: str) -> None:
    anchors = parse_certificates(anchors_pem.encode("utf-8"))  # so that a bad file has our error
    context.load_verify_locations(cadata="".join(each.pem for each in anchors))


def _load(
    context: ssl.SSLContext, certificate_path: Path, key_path: Path, password: bytes | None
) -> None:
    try:
        # An empty password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(certificate_path, key_path, password=password or "")
    except ssl.SSLError as error:
        raise KeySyntaxError("tls-certificate-or-key") from error
