"""Where do the private keys of this operator live, and what opens them?

A key lies beside its certificate: as PKCS #8 encrypted under a password of the home (or of a file
that the settings name), or in clear as other software left it; or it lies in a hardware token, and
beside the certificate is only its name there.

Shapes
    keys/signing.crt        the certificate, then those above it (PEM)
    keys/signing.key        its key (PEM)
    keys/signing.pkcs11     in its place: the identifier (CKA_ID) of the key in the token, hex
    keys/reading/*          pairs that open incoming mail; the one that began last is current
    The password is derived from the sealing key of the home: whoever has one has the other, and a
    backup of the keys without `keys/sealing.json` is of no use to anybody.
Errors
    `SettingsError` for files that are missing, or cannot be used.
Sources
    RFC 5958 (PKCS #8), PKCS #11 2.40; docs/adr/0006 and 0022.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

from crypto.certificates import Certificate, parse_certificates
from crypto.errors import CryptoError
from crypto.keys import (
    CombinedKeyHolder,
    PrivateKey,
    find_password,
    load_key_holder,
    private_key_pem,
)
from crypto.pkcs11 import MAX_KEY_ID_DIGITS, Pkcs11KeyHolder, TokenSource
from crypto.ports import KeyHolder
from crypto.sealing import Sealer
from mss.errors import SettingsError
from mss.settings import KeySettings

FOLDER: Final = "keys"
READING: Final = f"{FOLDER}/reading"
SEALING: Final = f"{FOLDER}/sealing.json"
SIGNING: Final = f"{FOLDER}/signing"
PKCS11_SUFFIX: Final = ".pkcs11"
KEY_SUFFIX: Final = ".key"
_CONTEXT: Final = b"key files"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFiles:
    """The keys of one home, as files."""

    home: Path
    settings: KeySettings = field(default_factory=KeySettings)

    def passwords(self) -> tuple[bytes, ...]:
        """List what may open a key file; new ones are encrypted under the first."""
        derived = [one.hex().encode() for one in load_sealer(self.home).secrets(_CONTEXT)]
        if not self.settings.password_file:
            return tuple(derived)
        return (self._secret(self.settings.password_file), *derived)

    def password_of(self, file: Path) -> bytes | None:
        """Find the password of one key file; `None` if it needs none."""
        try:
            octets = file.read_bytes()
            # A key in clear must not need the sealing key, which other software does not have.
            return find_password(octets, self.passwords()) if b"ENCRYPTED" in octets else None
        except (OSError, CryptoError) as error:
            raise SettingsError(reason=f"{file}: {error}") from error

    def save(self, stem: str, key: PrivateKey, certificates: Sequence[Certificate]) -> None:
        """Install a key and its certificate with those above it; the key is encrypted.

        The key comes first: a server that looks in between sees the old certificate with a key
        that is not its own, keeps what it had, and looks again.
        """
        self.save_key(stem, key)
        (self.home / f"{stem}{PKCS11_SUFFIX}").unlink(missing_ok=True)
        self._save_certificates(stem, certificates)

    def save_key(self, stem: str, key: PrivateKey) -> None:
        """Write a key, encrypted."""
        pem = private_key_pem(key, password=self.passwords()[0])
        write_private(self.home / f"{stem}{KEY_SUFFIX}", pem.encode())

    def save_token(self, stem: str, key_id: bytes, certificates: Sequence[Certificate]) -> None:
        """Install a certificate whose key lies in the token."""
        write_private(self.home / f"{stem}{PKCS11_SUFFIX}", key_id.hex().encode())
        (self.home / f"{stem}{KEY_SUFFIX}").unlink(missing_ok=True)
        self._save_certificates(stem, certificates)

    def load_pair(self, stem: str) -> KeyHolder:
        """Read one certificate, and open its key or find it in the token."""
        certificate = self.home / f"{stem}.crt"
        key = certificate.with_suffix(KEY_SUFFIX)
        try:
            octets = certificate.read_bytes()
            leaf = parse_certificates(octets)[0]
            if certificate.with_suffix(PKCS11_SUFFIX).exists():
                return Pkcs11KeyHolder(self.token_source(), {self.token_id(stem): leaf})
            password = self.password_of(key)
            return load_key_holder(key.read_bytes(), octets, password=password, trusted=True)
        except (OSError, CryptoError) as error:
            raise SettingsError(reason=f"{certificate}: {error}") from error

    def load_signing(self) -> KeyHolder:
        """Read the key that outgoing mail is signed with."""
        return self.load_pair(SIGNING)

    def load_signing_chain(self) -> tuple[Certificate, ...]:
        """Read the certificates above the signing one, to send along."""
        return self.certificates(SIGNING)[1:]

    def load_reading(self) -> KeyHolder:
        """Read every key that incoming mail may be opened with, the current one first."""
        stems = self.reading_stems()
        if not stems:
            raise SettingsError(reason=f"{self.home / READING}: there is no certificate")
        return CombinedKeyHolder([self.load_pair(stem) for stem in stems])

    def reading_stems(self) -> list[str]:
        """List the pairs that open mail, the last begun first; of equals the newer file."""
        files = {f"{READING}/{one.stem}": one for one in (self.home / READING).glob("*.crt")}
        begins = {
            stem: (self.certificates(stem)[0].not_before_at, one.stat().st_mtime_ns, stem)
            for stem, one in files.items()
        }
        return sorted(files, key=begins.__getitem__, reverse=True)

    def certificates(self, stem: str) -> tuple[Certificate, ...]:
        """Read a certificate and those above it."""
        file = self.home / f"{stem}.crt"
        try:
            return parse_certificates(file.read_bytes())
        except (OSError, CryptoError) as error:
            raise SettingsError(reason=f"{file}: {error}") from error

    def whereabouts(self, stem: str) -> str:
        """Say where a key lives: `sealed`, `in clear`, `token` or `missing`."""
        if (self.home / f"{stem}{PKCS11_SUFFIX}").exists():
            return "token"
        file = self.home / f"{stem}{KEY_SUFFIX}"
        if not file.exists():
            return "missing"
        return "sealed" if b"ENCRYPTED" in file.read_bytes() else "in clear"

    def files(self) -> tuple[Path, ...]:
        """List the files whose change means other keys."""
        found = [*(self.home / FOLDER).glob("signing.*"), *(self.home / READING).iterdir()]
        return tuple(sorted(one for one in found if not one.name.startswith(".")))

    def token_source(self) -> TokenSource:
        """Say where the token is, and with what it opens."""
        settings = self.settings
        if not (settings.module and settings.token):
            raise SettingsError(reason="keys.module and keys.token must name the hardware token")
        if settings.pin is not None:
            pin = settings.pin.get_secret_value()
        elif settings.pin_file:
            pin = self._secret(settings.pin_file).decode("utf-8", "replace")
        else:
            raise SettingsError(reason="keys.pin_file or MSS_KEYS__PIN must give the token's PIN")
        return TokenSource(module=settings.module, label=settings.token, pin=pin)

    def token_id(self, stem: str) -> bytes:
        """Read the identifier that a key has in the token."""
        file = self.home / f"{stem}{PKCS11_SUFFIX}"
        try:
            text = file.read_text(encoding="ascii").strip()
            return parse_key_id(text)
        except (OSError, ValueError) as error:
            raise SettingsError(reason=f"{file}: no identifier in hexadecimal") from error

    def _save_certificates(self, stem: str, certificates: Sequence[Certificate]) -> None:
        octets = "".join(one.pem for one in certificates).encode()
        write_private(self.home / f"{stem}.crt", octets)

    def _secret(self, name: str) -> bytes:
        file = self.home / name
        try:
            octets = file.read_bytes().strip(b"\r\n")
        except OSError as error:
            raise SettingsError(reason=f"{file}: {error}") from error
        if not octets:
            raise SettingsError(reason=f"{file}: there is nothing in it")
        return octets


def parse_key_id(text: str) -> bytes:
    """Read the identifier of a key in a token; `ValueError` for anything else."""
    if not 0 < len(text) <= MAX_KEY_ID_DIGITS:
        raise ValueError("length")
    return bytes.fromhex(text)


def load_sealer(home: Path) -> Sealer:
    """Read the sealing keys.

    Raises:
        SettingsError: The file is missing or is not what it should be.
    """
    file = home / SEALING
    try:
        values = orjson.loads(file.read_bytes())
        keys = {int(version): bytes.fromhex(key) for version, key in values["keys"].items()}
        return Sealer(keys, int(values["current"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, CryptoError) as error:
        raise SettingsError(reason=f"{file}: {type(error).__name__}") from error


def write_private(file: Path, octets: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = file.with_name(f".{file.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(octets)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)
