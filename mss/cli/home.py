"""The home of one operator: which files it has, and how a new one is made.

Shapes
    mss.toml             settings
    mss.db, blobs/       rows and bodies, unless the settings name others
    keys/tls.*           what the doors show and the relay presents (SERV SSL)
    keys/signing.*       what outgoing mail is signed with (ORG SIGN)
    keys/reading/*       what incoming mail is opened with (ORG CONF); older pairs stay to read
    keys/sealing.json    what rows and bodies are sealed with at rest; lose it and all is lost
    trust/               anchors, issuing certificates, revocation lists
    Private files have mode 0600, folders 0700.
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from crypto.certificates import Certificate, parse_certificates
from crypto.errors import CryptoError
from crypto.issuing import Authority, CertificateProfile, Issued, Subject, create_authority
from crypto.keys import SoftwareKeyHolder, load_key_holder
from crypto.sealing import Sealer, new_key
from mss.errors import ConflictError, SettingsError
from mss.settings import SETTINGS_FILE

KEYS = "keys"
READING = f"{KEYS}/reading"
SEALING = f"{KEYS}/sealing.json"
SIGNING = f"{KEYS}/signing"
TLS = f"{KEYS}/tls"
ANCHORS = "trust/anchors.pem"
INTERMEDIATES = "trust/intermediates.pem"
CRLS = "trust/crls"
CRL_VALID_FOR = timedelta(days=365)  # nobody renews the lists of an authority made for a trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an operator is called in its certificates."""

    host_name: str
    organization: str
    structure_id: str


def create_home(home: Path, *, settings_text: str) -> None:
    """Make the folders, the settings and a fresh sealing key.

    Raises:
        ConflictError: There is a home already.
    """
    if (home / SETTINGS_FILE).exists():
        raise ConflictError(what=str(home / SETTINGS_FILE))
    for folder in ("", KEYS, READING, "trust", CRLS):
        (home / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    write_private(home / SEALING, orjson.dumps({"current": 1, "keys": {"1": new_key().hex()}}))
    write_private(home / SETTINGS_FILE, settings_text.encode())


def create_trial_authority(home: Path, *, identity: Identity, at: datetime) -> None:
    """Give a new home certificates of an authority of its own, to try the server with.

    Nobody else believes them; `mss keys load` and `mss trust anchors` put real ones in their place.
    """
    authority = create_authority(f"TRIAL {identity.host_name}", at=at)
    install_identity(home, authority, identity=identity, at=at)


def install_identity(
    home: Path, authority: Authority, *, identity: Identity, at: datetime
) -> Issued:
    """Issue and install everything that an operator shows, and whom it believes.

    Returns:
        The confidentiality certificate, which others encrypt for.
    """
    subject = Subject(
        common_name=identity.host_name,
        organization=identity.organization,
        structure_id=identity.structure_id,
        dns_names=(identity.host_name, "localhost"),
    )
    install_pair(home, TLS, authority.issue(CertificateProfile.SERVER, subject, at=at))
    install_pair(home, SIGNING, authority.issue(CertificateProfile.SIGNATURE, subject, at=at))
    reading = authority.issue(CertificateProfile.CONFIDENTIALITY, subject, at=at)
    install_pair(home, f"{READING}/{reading.certificate.fingerprint[:16]}", reading)
    write_private(home / ANCHORS, authority.anchors_pem.encode())
    issuers = "".join(one.pem for one in authority.intermediates)
    write_private(home / INTERMEDIATES, issuers.encode())
    write_private(home / CRLS / "issuing.crl", authority.crl(at, valid_for=CRL_VALID_FOR))
    write_private(home / CRLS / "root.crl", authority.root_crl(at, valid_for=CRL_VALID_FOR))
    return reading


def install_pair(home: Path, stem: str, issued: Issued) -> None:
    """Write a certificate with its chain, and its key."""
    write_private(home / f"{stem}.crt", issued.chain_pem.encode())
    write_private(home / f"{stem}.key", issued.private_key_pem.encode())


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


def load_signing(home: Path) -> SoftwareKeyHolder:
    """Read the key that outgoing mail is signed with."""
    return _load_pair(home / f"{SIGNING}.crt")


def load_reading(home: Path) -> SoftwareKeyHolder:
    """Read every key that incoming mail may be opened with."""
    files = sorted((home / READING).glob("*.crt"))
    if not files:
        raise SettingsError(reason=f"{home / READING}: there is no certificate")
    holder = _load_pair(files[0])
    for file in files[1:]:
        holder = holder.with_older(_load_pair(file))
    return holder


def load_signing_chain(home: Path) -> tuple[Certificate, ...]:
    """Read the certificates above the signing one, to send along."""
    return parse_certificates((home / f"{SIGNING}.crt").read_bytes())[1:]


def write_private(file: Path, octets: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = file.with_name(f".{file.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(octets)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(file)


def _load_pair(certificate: Path) -> SoftwareKeyHolder:
    key = certificate.with_suffix(".key")
    try:
        octets = certificate.read_bytes()
        parse_certificates(octets)
        return load_key_holder(key.read_bytes(), octets, trusted=True)
    except (OSError, CryptoError) as error:
        raise SettingsError(reason=f"{certificate}: {error}") from error
