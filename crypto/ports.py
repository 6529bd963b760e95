"""What this package needs from outside: somebody who holds private keys.

The interface is three calls wide so that a hardware module can stand behind it. Keys never leave
the holder; they are addressed by the certificate that goes with them.
"""

from typing import Protocol

from crypto.algorithms import KeyTransport, SignatureScheme
from crypto.certificates import Certificate


class KeyHolder(Protocol):
    """Holds private keys and uses them on request.

    A certificate that is not in `certificates` is refused with `KeyUnavailableError`.
    """

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """Certificates whose key is held: those in use first, then older ones."""

    def sign(self, certificate: Certificate, tbs: bytes, scheme: SignatureScheme) -> bytes:
        """Return the signature of *tbs* in the form that CMS carries (ECDSA in DER)."""

    def unwrap(self, certificate: Certificate, ciphertext: bytes, scheme: KeyTransport) -> bytes:
        """Return the content key inside *ciphertext*, or raise `DecryptionError`.

        For PKCS #1 v1.5 a wrong padding returns pseudo-random octets instead (implicit
        rejection), so that the caller cannot become an oracle.
        """

    def agree(self, certificate: Certificate, peer_public: bytes) -> bytes:
        """Return the shared secret with the peer, or raise `DecryptionError`.

        *peer_public* is what the peer contributed, raw as in CMS: a public point, an X25519 key,
        or a ciphertext of ML-KEM, which is then decapsulated. The certificate's key tells which.
        """
