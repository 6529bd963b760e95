"""How do those outside speak TLS with the operator? As its clients, and as a listed operator."""

import ssl

from tests.support.operators import Home


def client_context(peer: Home) -> ssl.SSLContext:
    """Trust the test authority, and show nothing."""
    return ssl.create_default_context(cafile=str(peer.anchors))


def peer_context(peer: Home) -> ssl.SSLContext:
    """Show a listed operator's certificate to the door for operators."""
    context = client_context(peer)
    context.load_cert_chain(peer.path / "keys/tls.crt", peer.path / "keys/tls.key")
    return context


def server_context(peer: Home) -> ssl.SSLContext:
    """Take mail as a listed operator, from who shows a certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(peer.anchors))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(peer.path / "keys/tls.crt", peer.path / "keys/tls.key")
    return context
