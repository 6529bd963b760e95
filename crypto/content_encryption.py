"""Encrypt and decrypt the content of a message, piece by piece, with a key that is given.

Nothing that a decryptor returns may be shown to anybody before its `finish` has returned: until
then neither tag nor padding has been checked.

Errors
    `UnsupportedAlgorithmError` for a cipher that is unknown, weak, or in the wrong structure, and
    `CmsSyntaxError` for wrong parameters: both before the key is looked at. `DecryptionError` from
    `finish`, without a reason; with the reason `tag-length` when anybody can see what is wrong.
Sources
    RFC 3565 (AES-CBC), RFC 5084 (AES-GCM), RFC 8103 and RFC 8439 (ChaCha20-Poly1305).
"""

from dataclasses import dataclass, field
from os import urandom
from typing import Final, Protocol, assert_never

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers import AEADEncryptionContext, Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES, ChaCha20
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.poly1305 import Poly1305

from crypto import algorithms, der
from crypto.algorithms import CipherMode, ContentCipher
from crypto.cms_parts import Algorithm
from crypto.errors import CmsSyntaxError, DecryptionError, UnsupportedAlgorithmError

BLOCK: Final = 16
NONCE_OCTETS: Final = 12
TAG_OCTETS: Final = 16
MIN_TAG_OCTETS: Final = 12  # RFC 5084, 3.2
DEFAULT_TAG_OCTETS: Final = 12
MIN_NONCE_OCTETS: Final = 8
MAX_NONCE_OCTETS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentAlgorithm:
    """A content cipher with the parameters of one message.

    Attributes:
        vector: The nonce, or the first vector of CBC.
        tag_octets: Size of the tag that goes with it; zero without authentication.
    """

    cipher: ContentCipher
    vector: bytes = field(repr=False)
    tag_octets: int

    @property
    def encoded(self) -> bytes:
        """The AlgorithmIdentifier, as we write it."""
        parameters = der.octet_string(self.vector)
        if self.cipher.mode is CipherMode.GCM:
            parameters = der.sequence(parameters, der.integer(self.tag_octets))
        return der.sequence(der.oid(self.cipher.oid), parameters)


def new_content_algorithm(oid: str) -> ContentAlgorithm:
    """Return AES in GCM or CBC with a fresh nonce or vector, for one message."""
    cipher = algorithms.CONTENT_CIPHERS[oid]
    if cipher.authenticated:
        return ContentAlgorithm(cipher=cipher, vector=urandom(NONCE_OCTETS), tag_octets=TAG_OCTETS)
    return ContentAlgorithm(cipher=cipher, vector=urandom(BLOCK), tag_octets=0)


def read_content_algorithm(algorithm: Algorithm, *, has_tag: bool) -> ContentAlgorithm:
    """Read the content cipher of a message.

    Args:
        algorithm: As it stands in the message.
        has_tag: The structure around is AuthEnvelopedData. A cipher goes with one structure only;
            re-labelling one as the other is an attack.
    """
    cipher = algorithms.CONTENT_CIPHERS.get(algorithm.oid)
    if cipher is None:
        reason = "weak-cipher" if algorithm.oid in algorithms.WEAK_CIPHERS else "unknown-cipher"
        raise UnsupportedAlgorithmError(algorithm.oid, reason=reason)
    if cipher.authenticated is not has_tag:
        raise UnsupportedAlgorithmError(algorithm.oid, reason="cipher-in-wrong-structure")
    try:
        parameters = der.parse(algorithm.parameters)
        match cipher.mode:
            case CipherMode.CBC:
                vector, tag_octets = _fixed(parameters, BLOCK), 0
            case CipherMode.POLY1305:
                vector, tag_octets = _fixed(parameters, NONCE_OCTETS), TAG_OCTETS
            case CipherMode.GCM:
                vector, tag_octets = _gcm(parameters)
            case _:
                assert_never(cipher.mode)
    except der.DerSyntaxError as error:
        raise CmsSyntaxError(f"{cipher.mode}-parameters") from error
    return ContentAlgorithm(cipher=cipher, vector=vector, tag_octets=tag_octets)


def _fixed(element: der.Element, size: int) -> bytes:
    vector = der.read_octets(element)
    if len(vector) != size:
        raise der.DerSyntaxError("vector-length")
    return vector


def _gcm(element: der.Element) -> tuple[bytes, int]:
    fields = der.Fields(element)
    nonce = der.read_octets(fields.take())
    given = fields.find(der.INTEGER)
    fields.finish()
    if not MIN_NONCE_OCTETS <= len(nonce) <= MAX_NONCE_OCTETS:
        raise der.DerSyntaxError("nonce-length")
    return nonce, DEFAULT_TAG_OCTETS if given is None else der.read_integer(given)


# --- Encrypting ------------------------------------------------------------------------------


class ContentEncryptor:
    """Encrypts the content of one message with AES, piece by piece."""

    __slots__ = ("_encryptor", "_padder")

    def __init__(self, algorithm: ContentAlgorithm, content_key: bytes) -> None:
        is_authenticated = algorithm.cipher.authenticated
        mode = modes.GCM(algorithm.vector) if is_authenticated else modes.CBC(algorithm.vector)
        self._encryptor = Cipher(AES(content_key), mode).encryptor()
        self._padder = None if is_authenticated else PKCS7(BLOCK * 8).padder()

    def update(self, piece: bytes | memoryview) -> bytes:
        """Return the ciphertext that is ready."""
        if self._padder is not None:
            piece = self._padder.update(piece)
        return self._encryptor.update(piece)

    def finish(self) -> bytes:
        """Return the rest of the ciphertext, and what follows it."""
        if self._padder is not None:
            return self._encryptor.update(self._padder.finalize()) + self._encryptor.finalize()
        rest = self._encryptor.finalize()
        assert isinstance(self._encryptor, AEADEncryptionContext)
        return rest + der.octet_string(self._encryptor.tag)


# --- Decrypting ------------------------------------------------------------------------------


class ContentDecryptor(Protocol):
    """Decrypts the content of one message, piece by piece."""

    def update(self, piece: bytes) -> bytes:
        """Return the plaintext that is ready, and not yet to be believed."""

    def finish(self) -> bytes:
        """Check the tag or the padding, and return the rest of the plaintext.

        Raises:
            DecryptionError: The key, the tag, the padding or the length is wrong.
        """


def open_decryptor(
    algorithm: ContentAlgorithm, content_key: bytes, *, tag: bytes | None, attributes: bytes
) -> ContentDecryptor:
    """Return what decrypts a message.

    Args:
        algorithm: Cipher and parameters.
        content_key: Of the size that the cipher wants.
        tag: The authentication tag; None without authentication.
        attributes: The DER form of the authenticated attributes, empty if there are none.

    Raises:
        DecryptionError: The tag is shorter or longer than the message says, or than is safe.
    """
    if tag is None:
        return _CbcDecryptor(algorithm, content_key)
    if len(tag) != algorithm.tag_octets or not MIN_TAG_OCTETS <= len(tag) <= TAG_OCTETS:
        raise DecryptionError(reason="tag-length")
    if algorithm.cipher.mode is CipherMode.POLY1305:
        return _Poly1305Decryptor(algorithm, content_key, tag, attributes)
    return _GcmDecryptor(algorithm, content_key, tag, attributes)


class _CbcDecryptor:
    __slots__ = ("_decryptor", "_unpadder")

    def __init__(self, algorithm: ContentAlgorithm, content_key: bytes) -> None:
        self._decryptor = Cipher(AES(content_key), modes.CBC(algorithm.vector)).decryptor()
        self._unpadder = PKCS7(BLOCK * 8).unpadder()

    def update(self, piece: bytes) -> bytes:
        return self._unpadder.update(self._decryptor.update(piece))

    def finish(self) -> bytes:
        try:
            rest = self._unpadder.update(self._decryptor.finalize())
            return rest + self._unpadder.finalize()
        except ValueError:
            raise DecryptionError from None


class _GcmDecryptor:
    __slots__ = ("_decryptor",)

    def __init__(
        self, algorithm: ContentAlgorithm, content_key: bytes, tag: bytes, attributes: bytes
    ) -> None:
        mode = modes.GCM(algorithm.vector, tag, min_tag_length=MIN_TAG_OCTETS)
        self._decryptor = Cipher(AES(content_key), mode).decryptor()
        self._decryptor.authenticate_additional_data(attributes)

    def update(self, piece: bytes) -> bytes:
        return self._decryptor.update(piece)

    def finish(self) -> bytes:
        try:
            return self._decryptor.finalize()
        except (InvalidTag, ValueError):
            raise DecryptionError from None


class _Poly1305Decryptor:
    """RFC 8439, 2.8, from its two primitives, since only the whole is offered in one go."""

    __slots__ = ("_attributes_octets", "_ciphertext_octets", "_mac", "_stream", "_tag")

    def __init__(
        self, algorithm: ContentAlgorithm, content_key: bytes, tag: bytes, attributes: bytes
    ) -> None:
        # The counter begins at zero: the first block makes the one-time key of the tag.
        cipher = ChaCha20(content_key, bytes(4) + algorithm.vector)
        self._stream = Cipher(cipher, mode=None).decryptor()
        self._mac = Poly1305(self._stream.update(bytes(64))[:32])
        self._mac.update(attributes + bytes(-len(attributes) % 16))
        self._tag = tag
        self._attributes_octets = len(attributes)
        self._ciphertext_octets = 0

    def update(self, piece: bytes) -> bytes:
        self._mac.update(piece)
        self._ciphertext_octets += len(piece)
        return self._stream.update(piece)

    def finish(self) -> bytes:
        self._mac.update(
            bytes(-self._ciphertext_octets % 16)
            + self._attributes_octets.to_bytes(8, "little")
            + self._ciphertext_octets.to_bytes(8, "little")
        )
        try:
            self._mac.verify(self._tag)
        except InvalidSignature:
            raise DecryptionError from None
        return b""
