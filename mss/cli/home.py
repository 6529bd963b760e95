"""The home of one operator: which files it has, and how a new one is made.

Shapes
    mss.toml             settings
    mss.db, blobs/       rows and bodies, unless the settings name others
    keys/tls.*           what the doors show and the relay presents (SERV SSL)
    keys/signing.*       what outgoing mail is signed with (ORG SIGN)
    keys/reading/*       what incoming mail is opened with (ORG CONF); older pairs stay to read
    keys/pending/*       keys whose certificate was asked for
    keys/former/*        what was replaced and opens nothing; never loaded
    keys/sealing.json    what rows and bodies are sealed with at rest; lose it and all is lost
    trust/               anchors, issuing certificates, revocation lists
    Private files have mode 0600, folders 0700.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import orjson

from crypto.issuing import Authority, CertificateProfile, Issued, Subject, create_authority
from crypto.keys import parse_private_key
from crypto.ports import KeyHolder
from crypto.sealing import Sealer, new_key
from mss.errors import ConflictError
from mss.pipeline import key_files
from mss.pipeline.key_files import KeyFiles
from mss.settings import SETTINGS_FILE

KEYS = key_files.FOLDER
READING = key_files.READING
SEALING = key_files.SEALING
SIGNING = key_files.SIGNING
TLS = f"{KEYS}/tls"
PENDING = f"{KEYS}/pending"
FORMER = f"{KEYS}/former"
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
    seal_keys(home)


def seal_keys(home: Path) -> None:
    """Encrypt every key that lies in the home in clear."""
    files = KeyFiles(home=home)
    for file in sorted((home / KEYS).rglob("*.key")):
        octets = file.read_bytes()
        if b"ENCRYPTED" not in octets:
            stem = str(file.relative_to(home).with_suffix(""))
            files.save_key(stem, parse_private_key(octets, trusted=True))


def install_identity(
    home: Path, authority: Authority, *, identity: Identity, at: datetime
) -> Issued:
    """Issue and install everything that an operator shows, and whom it believes.

    Its keys lie in clear until `seal_keys`.

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


def write_private(file: Path, octets: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    key_files.write_private(file, octets)


def load_sealer(home: Path) -> Sealer:
    """Read the sealing keys."""
    return key_files.load_sealer(home)


def load_signing(home: Path) -> KeyHolder:
    """Read the key that outgoing mail is signed with."""
    return KeyFiles(home=home).load_signing()


def load_reading(home: Path) -> KeyHolder:
    """Read every key that incoming mail may be opened with."""
    return KeyFiles(home=home).load_reading()
