"""`mss keys`: signing, reading and TLS keys, and the certificates that go with them.

A server that runs takes up what these commands install, within `tls.watch_seconds` or on SIGHUP.
"""

import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import click

from crypto.certificates import Certificate, parse_certificates
from crypto.enrolment import build_request
from crypto.errors import CryptoError, KeySyntaxError
from crypto.issuing import Subject
from crypto.keys import (
    PrivateKey,
    find_password,
    generate_private_key,
    load_key_holder,
    parse_pkcs12,
    parse_private_key,
)
from crypto.pkcs11 import Pkcs11KeyHolder
from mss.cli import home
from mss.cli.root import Group, answer, root, settings_of
from mss.clock import SystemClock
from mss.errors import ConflictError, InvalidRequestError
from mss.pipeline.key_files import PKCS11_SUFFIX, KeyFiles, parse_key_id
from mss.policy.endings import days_left
from mss.settings import Settings

PURPOSES = ("tls", "signing", "reading")
SIGNS = ("digitalSignature", "nonRepudiation")
DECRYPTS = ("keyEncipherment", "keyAgreement")
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A certificate with those above it, and its key: the key itself, or its name in the token."""

    leaf: Certificate
    chain: tuple[Certificate, ...]
    key: PrivateKey | None = None
    key_id: bytes = b""


@root.group("keys", cls=Group)
def keys() -> None:
    """Keys and certificates of this operator."""


@keys.command("create")
@click.argument("purpose", type=click.Choice(PURPOSES))
@click.option(
    "--kind",
    type=click.Choice(
        ["p256", "p384", "p521", "rsa3072", "rsa2048", "rsa4096", "mlkem768", "mlkem1024"]
    ),
    default="p256",
    show_default=True,
)
@click.option("--organization", required=True, help="O: the legal name.")
@click.option("--structure", required=True, help="OU: Struct_IdNat (1 + FINESS, 3 + SIRET).")
@click.option("--department", required=True, help="ST: `Paris (75)`.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the key and the request [default: `keys/pending` in the home].",
)
@click.pass_context
def create(
    context: click.Context,
    purpose: str,
    kind: str,
    organization: str,
    structure: str,
    department: str,
    out: Path | None,
) -> None:
    """Make a key and a certificate request to send to the authority."""
    if kind.startswith("mlkem"):
        raise InvalidRequestError(
            field="kind",
            reason="a key for ML-KEM cannot sign, so it cannot sign a request for its own "
            "certificate. Ask the authority to make key and certificate, and install its file "
            "with `mss keys load FILE --purpose reading`",
        )
    settings = settings_of(context)
    folder = (out or settings.home / home.PENDING).absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    files = _files(settings)
    key_file, request_file = folder / f"{purpose}.key", folder / f"{purpose}.csr"
    if key_file.exists():
        raise ConflictError(what=str(key_file))
    key = generate_private_key(kind)
    subject = Subject(
        common_name=settings.host_name,
        organization=organization,
        structure_id=structure,
        locality=department,
        dns_names=(settings.host_name,) if purpose == "tls" else (),
    )
    home.write_private(request_file, build_request(key, subject).encode())
    files.save_key(str(key_file.with_suffix("")), key)
    answer(
        context,
        {"key": str(key_file), "request": str(request_file)},
        f"Send {request_file} to the authority; then:",
        f"  mss keys rotate {purpose} --certificate FILE"
        + (f" --key {key_file}" if out is not None else ""),
    )


_certificate = click.option(
    "--certificate", type=FILE, help="Certificate and those above it (PEM, PKCS #7)."
)
_key = click.option("--key", type=FILE, help="Its private key (PEM, DER).")
_token_id = click.option(
    "--token-id", help="In place of the key: its identifier (CKA_ID, hex) in the hardware token."
)
_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the file's password from standard input."
)
_password_file = click.option("--password-file", type=FILE, help="Read the file's password there.")


@keys.command("load")
@click.argument("source")
@click.option("--purpose", type=click.Choice(PURPOSES), help="What the key is for.")
@_certificate
@_key
@_token_id
@_password_stdin
@_password_file
@click.pass_context
def load(
    context: click.Context,
    source: str,
    purpose: str | None,
    certificate: Path | None,
    key: Path | None,
    token_id: str | None,
    *,
    password_stdin: bool,
    password_file: Path | None,
) -> None:
    """Install a certificate and its key.

    SOURCE is a file with both (PKCS #12, or PEM), given with --purpose; or it is the purpose, and
    --certificate is given with --key or --token-id. What was in use before stays, to read.
    """
    settings = settings_of(context)
    file: Path | None = None
    if source in PURPOSES and purpose in (None, source):
        purpose = source
    else:
        file = Path(source)
    if purpose is None:
        raise click.UsageError("say what the key is for: --purpose tls, signing or reading")
    if file is not None and not file.is_file():
        raise click.UsageError(f"{file} is neither a file nor one of {', '.join(PURPOSES)}")
    password = _password(password_stdin=password_stdin, password_file=password_file)
    if file is not None:
        offered = _from_bundle(file, certificate, password)
    else:
        offered = _offered(settings, certificate, key, token_id, password)
    _install(context, settings, purpose, offered)


@keys.command("rotate")
@click.argument("purpose", type=click.Choice(PURPOSES))
@_certificate
@_key
@_token_id
@_password_stdin
@_password_file
@click.pass_context
def rotate(
    context: click.Context,
    purpose: str,
    certificate: Path | None,
    key: Path | None,
    token_id: str | None,
    *,
    password_stdin: bool,
    password_file: Path | None,
) -> None:
    """Put a new certificate in use, whose key `mss keys create` made unless one is named.

    It must be valid now, and another than the one in use. An old reading key stays, to read.
    """
    settings = settings_of(context)
    password = _password(password_stdin=password_stdin, password_file=password_file)
    if key is None and token_id is None:
        key = settings.home / home.PENDING / f"{purpose}.key"
        if not key.exists():
            raise InvalidRequestError(
                field="key", reason="there is no pending key: run `mss keys create`, or give --key"
            )
    offered = _offered(settings, certificate, key, token_id, password)
    now = SystemClock().now()
    if not offered.leaf.is_valid_at(now):
        raise InvalidRequestError(field="certificate", reason="it is not valid today")
    files = _files(settings)
    current = _current(settings, files, purpose)
    if current is not None and current.fingerprint == offered.leaf.fingerprint:
        raise ConflictError(what=f"{purpose} certificate")
    if purpose == "reading" and current is not None:
        _require_later(offered.leaf, current)
    _install(context, settings, purpose, offered)
    _forget_pending(settings, key)


@keys.command("list")
@click.pass_context
def list_all(context: click.Context) -> None:
    """List certificates and keys, where they live, and when they end."""
    settings = settings_of(context)
    now = SystemClock().now()
    found = [one.facts(now) for one in _installed(settings)]
    answer(context, found, *map(_line, found))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Installed:
    """One pair of the home."""

    purpose: str
    leaf: Certificate
    state: str
    where: str
    file: Path

    def facts(self, now: datetime) -> dict[str, object]:
        """Say what there is to know of it."""
        return _facts(self.purpose, self.leaf) | {
            "days_left": days_left(self.leaf.not_after_at, now),
            "state": self.state,
            "key": self.where,
            "file": str(self.file),
        }


def _line(facts: dict[str, object]) -> str:
    return (
        f"{facts['purpose']:8} {facts['state']:12} {facts['kind']:10} {facts['key']:9} "
        f"until {facts['not_after']:%Y-%m-%d} ({facts['days_left']} days)  {facts['subject']}"
    )


def _installed(settings: Settings) -> list[_Installed]:
    files = _files(settings)
    found = []
    tls = settings.path(settings.tls.certificate)
    if tls.exists():
        key = settings.path(settings.tls.key)
        where = "missing"
        if key.exists():
            where = "sealed" if b"ENCRYPTED" in key.read_bytes() else "in clear"
        leaf = parse_certificates(tls.read_bytes())[0]
        found.append(_Installed(purpose="tls", leaf=leaf, state="current", where=where, file=tls))
    if (settings.home / f"{home.SIGNING}.crt").exists():
        found.append(_pair(files, "signing", home.SIGNING, state="current"))
    seen: set[bool] = set()
    for stem in files.reading_stems():
        # A key for the post-quantum envelope is current beside the one for letters themselves.
        is_kem = files.certificates(stem)[0].key_name.startswith("mlkem")
        state = "reading-only" if is_kem in seen else "current"
        seen.add(is_kem)
        found.append(_pair(files, "reading", stem, state=state))
    return found


def _pair(files: KeyFiles, purpose: str, stem: str, *, state: str) -> _Installed:
    return _Installed(
        purpose=purpose,
        leaf=files.certificates(stem)[0],
        state=state,
        where=files.whereabouts(stem),
        file=files.home / f"{stem}.crt",
    )


def _current(settings: Settings, files: KeyFiles, purpose: str) -> Certificate | None:
    if purpose == "reading":
        stems = files.reading_stems()
        return files.certificates(stems[0])[0] if stems else None
    stem = home.SIGNING if purpose == "signing" else _tls_stem(settings)
    return files.certificates(stem)[0] if (settings.home / f"{stem}.crt").exists() else None


def _require_later(offered: Certificate, current: Certificate) -> None:
    if offered.not_before_at < current.not_before_at and not offered.key_name.startswith("mlkem"):
        raise InvalidRequestError(
            field="certificate", reason="it began before the one in use, which would stay current"
        )


def _from_bundle(file: Path, certificate: Path | None, password: bytes | None) -> Offered:
    octets = file.read_bytes()
    if b"-----BEGIN" in octets:
        return _software(octets, certificate.read_bytes() if certificate else octets, password)
    try:
        key, leaf, chain = parse_pkcs12(octets, password=password)
    except KeySyntaxError as error:
        raise InvalidRequestError(field="file", reason=_ADVICE.get(error.reason, "")) from error
    return Offered(leaf=leaf, chain=(leaf, *chain), key=key)


_ADVICE = {
    "malformed-or-wrong-password": "the password is wrong, or it is no PKCS #12 file; the password "
    "is given with --password-stdin or --password-file",
    "pkcs12-cipher-unsupported": "it was made with a cipher that is not supported; write it anew: "
    "`openssl pkcs12 -legacy -in OLD -nodes | openssl pkcs12 -export -out NEW`",
    "no-key-in-bundle": "there is no private key in it with its certificate",
    "unsupported-key": "its key is of a kind, or a size, that is not used",
    "too-large": "it is larger than such a file may be",
    "certificate-of-another-key": "its key is not the certificate's",
    "damaged-key": "its key is damaged",
}


def _offered(
    settings: Settings,
    certificate: Path | None,
    key: Path | None,
    token_id: str | None,
    password: bytes | None,
) -> Offered:
    if certificate is None or (key is None) == (token_id is None):
        raise click.UsageError("give --certificate, and either --key or --token-id")
    octets = certificate.read_bytes()
    if key is not None:
        key_octets = key.read_bytes()
        if password is None:
            password = _own_password(settings, key_octets)
        return _software(key_octets, octets, password)
    try:
        key_id = parse_key_id(token_id or "")
    except ValueError as error:
        raise InvalidRequestError(field="token-id", reason="not hexadecimal") from error
    chain = parse_certificates(octets)
    Pkcs11KeyHolder(_files(settings).token_source(), {key_id: chain[0]})  # proves that it is there
    return Offered(leaf=chain[0], chain=chain, key_id=key_id)


def _own_password(settings: Settings, octets: bytes) -> bytes | None:
    """Find the password of a key that this home encrypted; `None` for any other."""
    try:
        return find_password(octets, _files(settings).passwords())
    except CryptoError:
        return None


def _software(key_octets: bytes, certificates: bytes, password: bytes | None) -> Offered:
    private = parse_private_key(key_octets, password=password)
    found = parse_certificates(certificates)
    leaf = load_key_holder(key_octets, certificates, password=password).certificates[0]
    return Offered(leaf=leaf, chain=(leaf, *(one for one in found if one != leaf)), key=private)


def _install(context: click.Context, settings: Settings, purpose: str, offered: Offered) -> None:
    leaf = offered.leaf
    usages = DECRYPTS if purpose == "reading" else SIGNS
    if purpose != "tls" and not leaf.allows(*usages):
        raise InvalidRequestError(
            field="certificate", reason=f"its key usage is not for {purpose} ({', '.join(usages)})"
        )
    files = _files(settings)
    stem = {"tls": _tls_stem(settings), "signing": home.SIGNING}.get(
        purpose, f"{home.READING}/{leaf.fingerprint[:16]}"
    )
    if purpose == "signing":
        _keep_former(files, leaf)
    if offered.key is not None:
        files.save(stem, offered.key, offered.chain)
    elif purpose == "tls":
        raise InvalidRequestError(field="token-id", reason="TLS keys live in files only")
    else:
        files.save_token(stem, offered.key_id, offered.chain)
    answer(context, _facts(purpose, leaf), f"Installed {leaf.subject_text} for {purpose}.")


def _keep_former(files: KeyFiles, new: Certificate) -> None:
    """Put the signing pair in use aside: to read with, if letters may be encrypted for it."""
    if not (files.home / f"{home.SIGNING}.crt").exists():
        return
    former = files.certificates(home.SIGNING)[0]
    if former.fingerprint == new.fingerprint:
        return
    may_decrypt = former.key_usages is not None and former.allows(*DECRYPTS)
    folder = home.READING if may_decrypt else home.FORMER
    (files.home / folder).mkdir(mode=0o700, exist_ok=True)
    for suffix in (".key", PKCS11_SUFFIX, ".crt"):
        file = files.home / f"{home.SIGNING}{suffix}"
        if file.exists():
            target = files.home / folder / f"{former.fingerprint[:16]}{suffix}"
            home.write_private(target, file.read_bytes())


def _forget_pending(settings: Settings, key: Path | None) -> None:
    """Remove a pending key that is installed now, and its request."""
    if key is not None and key.parent == settings.home / home.PENDING:
        key.unlink(missing_ok=True)
        key.with_suffix(".csr").unlink(missing_ok=True)


def _tls_stem(settings: Settings) -> str:
    """Say where the pair of the doors lies; one under other names is other software's to renew."""
    certificate, key = Path(settings.tls.certificate), Path(settings.tls.key)
    if certificate.with_suffix("") != key.with_suffix("") or certificate.suffix != ".crt":
        return home.TLS
    return str(certificate.with_suffix(""))


def _password(*, password_stdin: bool, password_file: Path | None) -> bytes | None:
    if password_file is not None:
        return password_file.read_bytes().strip(b"\r\n") or None
    typed = sys.stdin.readline().rstrip("\r\n") if password_stdin else ""
    return typed.encode() or None


def _files(settings: Settings) -> KeyFiles:
    return KeyFiles(home=settings.home, settings=settings.keys)


def _facts(purpose: str, leaf: Certificate) -> dict[str, object]:
    return {
        "purpose": purpose,
        "subject": leaf.subject_text,
        "fingerprint": leaf.fingerprint,
        "kind": leaf.key_name,
        "not_after": leaf.not_after_at,
    }
