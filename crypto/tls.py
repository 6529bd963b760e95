"""TLS contexts, one function for each side, and who is on the other end.

Every connection between operators is authenticated on both sides. OpenSSL checks that the
other certificate leads to one of our anchors, and breaks the handshake if not. What it does not
check is asked afterwards, by the caller, on `peer_certificate`: revocation and usage
(`crypto.trust.validate`), and *who it is*. In MSSanté the identity of a peer is the distinguished
name of its certificate, which the trust list binds to mail domains; the common name is that of the
mail host, seldom the mail domain. So no host name is compared here, on purpose, and a caller that
does not compare the distinguished name has authenticated nobody.

Errors
    `KeySyntaxError` or `CertificateSyntaxError` for files that cannot be used, `OSError` for
    files that cannot be read, `UntrustedError` when a peer shows no certificate.
Sources
    RFC 8446; RFC 9325 (recommendations for TLS); RFC 3207, 6 (what STARTTLS does not protect).
"""

import ssl
from os import PathLike
from typing import Final, Literal, Protocol

from crypto.certificates import Certificate, parse_certificate, parse_certificates
from crypto.errors import KeySyntaxError, UntrustedError

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL"
"""TLS 1.2 suites: one-time keys and authenticated encryption only. TLS 1.3 has no others."""

_OPTIONS: Final = ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE

Path = str | PathLike[str]


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
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2,
    ciphers: str = CIPHERS,
) -> ssl.SSLContext:
    """Return the context of a door.

    Args:
        certificate_path: The server's certificate followed by its intermediates, PEM.
        key_path: Its private key, PEM.
        client_anchors_pem: Authorities of clients. None asks clients for no certificate.
        require_client: Break the handshake with a client that shows none.
        minimum: Lowest protocol version.
        ciphers: TLS 1.2 suites in OpenSSL's language.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, minimum=minimum, ciphers=ciphers)
    _load(context, certificate_path, key_path)
    if client_anchors_pem is not None:
        _trust(context, client_anchors_pem)
        context.verify_mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL
        # A resumed session would repeat a verdict of yesterday without showing a certificate.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
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
) -> ssl.SSLContext:
    """Return the context of an outgoing connection.

    Args:
        certificate_path: Our certificate and its intermediates, PEM; None to show none.
        key_path: Our private key, PEM.
        anchors_pem: Authorities of servers.
        minimum: Lowest protocol version.
        ciphers: TLS 1.2 suites in OpenSSL's language.
        check_host: Compare host names too: right for HTTPS, wrong between operators (see above).
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, minimum=minimum, ciphers=ciphers)
    context.check_hostname = check_host
    context.verify_mode = ssl.CERT_REQUIRED
    _trust(context, anchors_pem)
    if certificate_path is not None and key_path is not None:
        _load(context, certificate_path, key_path)
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


def _context(protocol: int, *, minimum: ssl.TLSVersion, ciphers: str) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = minimum
    context.set_ciphers(ciphers)
    context.options |= _OPTIONS
    return context


def _trust(context: ssl.SSLContext, anchors_pem: str) -> None:
    anchors = parse_certificates(anchors_pem.encode("utf-8"))  # so that a bad file has our error
    context.load_verify_locations(cadata="".join(each.pem for each in anchors))


def _load(context: ssl.SSLContext, certificate_path: Path, key_path: Path) -> None:
    try:
        # An empty password keeps OpenSSL from asking for one on the terminal.
        context.load_cert_chain(certificate_path, key_path, password="")
    except ssl.SSLError as error:
        raise KeySyntaxError("tls-certificate-or-key") from error
