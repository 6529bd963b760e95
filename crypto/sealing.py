"""Encrypt octets that rest on a disk, and notice if anybody touched them.

Each object has its own key, derived from the master key of the version in its header, a random
salt, and the *context*: what the object is for (for instance its storage key). Moved to another
context it does not open. Content is cut in frames so that one day a part can be read without the
rest; frames are numbered and the last one is marked, so cutting, repeating or reordering shows.

Shapes
    `MSS1` | key version, 4 octets | salt, 32 octets | frames. A frame is up to 65536 octets,
    encrypted, then a 16-octet tag. The nonce is the frame number, 11 octets, then 1 if it is the
    last frame, else 0. Content that fills its frames exactly ends with a full frame; empty content
    is one empty frame.
Errors
    `SealError` for any octets that we did not seal under this context.
Sources
    Hoang, Reyhanitabar, Rogaway and Vizár, Online Authenticated-Encryption and its Nonce-Reuse
    Misuse-Resistance, 2015 (STREAM); RFC 5869 (HKDF).
"""

import io
from collections.abc import Mapping
from hmac import digest
from os import urandom
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crypto.errors import SealError

MAGIC: Final = b"MSS1"
KEY_OCTETS: Final = 32
SALT_OCTETS: Final = 32
HEADER_OCTETS: Final = len(MAGIC) + 4 + SALT_OCTETS
FRAME_OCTETS: Final = 64 * 1024
TAG_OCTETS: Final = 16
_SEALED_FRAME: Final = FRAME_OCTETS + TAG_OCTETS


class Sealer:
    """Seals with the current key and opens with any that it has.

    Args:
        keys: Master keys of 32 octets by version; old ones stay to open what they sealed.
        current: The version to seal with.

    Raises:
        SealError: A key has a wrong size, or there is none of the current version.
    """

    def __init__(self, keys: Mapping[int, bytes], current: int) -> None:
        if any(len(key) != KEY_OCTETS for key in keys.values()):
            raise SealError("key-size")
        if current not in keys or not all(0 <= version < 2**32 for version in keys):
            raise SealError("key-version")
        self._keys = dict(keys)
        self._current = current

    def __repr__(self) -> str:
        return f"Sealer(versions={sorted(self._keys)}, current={self._current})"

    @property
    def current(self) -> int:
        """The key version that new seals have."""
        return self._current

    def seal(self, plaintext: bytes | bytearray | memoryview, *, context: bytes) -> bytes:
        """Return *plaintext* encrypted for *context*."""
        header = MAGIC + self._current.to_bytes(4, "big") + urandom(SALT_OCTETS)
        cipher = self._cipher(header, context)
        count = max(1, -(-len(plaintext) // FRAME_OCTETS))
        given = memoryview(plaintext)
        # Into one growing buffer: a copy of the whole would hold up every other thread.
        sealed = io.BytesIO()
        sealed.write(header)
        for number in range(count):
            frame = given[number * FRAME_OCTETS : (number + 1) * FRAME_OCTETS]
            sealed.write(cipher.encrypt(_nonce(number, is_last=number == count - 1), frame, None))
        return sealed.getvalue()

    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """Return what was sealed for *context*.

        Raises:
            SealError: It was not sealed so, or not with a key that we have.
        """
        if len(sealed) < HEADER_OCTETS + TAG_OCTETS or not sealed.startswith(MAGIC):
            raise SealError("header")
        cipher = self._cipher(sealed[:HEADER_OCTETS], context)
        given = memoryview(sealed)[HEADER_OCTETS:]
        count = -(-len(given) // _SEALED_FRAME)
        opened = io.BytesIO()
        try:
            for number in range(count):
                frame = given[number * _SEALED_FRAME : (number + 1) * _SEALED_FRAME]
                nonce = _nonce(number, is_last=number == count - 1)
                opened.write(cipher.decrypt(nonce, frame, None))
        except (InvalidTag, ValueError):
            raise SealError("content") from None
        return opened.getvalue()

    def secrets(self, context: bytes) -> tuple[bytes, ...]:
        """Derive a secret for *context* from each master key, the current one first.

        They are for things that are sealed in a form of their own, such as files of private keys.
        """
        versions = sorted(self._keys, key=lambda version: (version != self._current, -version))
        info = b"mss secret 1\x00" + context
        return tuple(
            HKDF(SHA256(), KEY_OCTETS, salt=None, info=info).derive(self._keys[version])
            for version in versions
        )

    def _cipher(self, header: bytes, context: bytes) -> AESGCM:
        version = key_version(header)
        if version not in self._keys:
            raise SealError("key-version")
        salt = header[len(MAGIC) + 4 :]
        info = b"mss sealing 1\x00" + header[: len(MAGIC) + 4] + context
        return AESGCM(_derived(self._keys[version], salt=salt, info=info))


def _derived(master: bytes, *, salt: bytes, info: bytes) -> bytes:
    """Do HKDF (RFC 5869) for one block of output, as long as a key: two digests, no objects."""
    return digest(digest(salt, master, "sha256"), info + b"\x01", "sha256")


def new_key() -> bytes:
    """Return a random master key."""
    return urandom(KEY_OCTETS)


def key_version(sealed: bytes) -> int:
    """Return the version of the key with which *sealed* says that it was made.

    Raises:
        SealError: It is nothing that we sealed.
    """
    if len(sealed) < HEADER_OCTETS or not sealed.startswith(MAGIC):
        raise SealError("header")
    return int.from_bytes(sealed[len(MAGIC) : len(MAGIC) + 4], "big")


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")
