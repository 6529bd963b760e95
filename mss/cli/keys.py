"""`mss keys`: signing, reading and TLS keys, and the certificates that go with them."""

import sys
from pathlib import Path

import click

from crypto.certificates import Certificate, parse_certificates
from crypto.enrolment import build_request
from crypto.issuing import Subject
from crypto.keys import (
    generate_private_key,
    load_key_holder,
    parse_private_key,
    private_key_pem,
)
from mss.cli import home
from mss.cli.root import Group, answer, root, settings_of
from mss.settings import Settings

PURPOSES = click.Choice(["tls", "signing", "reading"])


@root.group("keys", cls=Group)
def keys() -> None:
    """Keys and certificates of this operator."""


@keys.command("create")
@click.argument("purpose", type=PURPOSES)
@click.option("--kind", type=click.Choice(["p256", "p384", "rsa3072", "rsa2048"]), default="p256")
@click.option("--organization", required=True, help="O: the legal name.")
@click.option("--structure", required=True, help="OU: Struct_IdNat (1 + FINESS, 3 + SIRET).")
@click.option("--department", required=True, help="ST: `Paris (75)`.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder for the key and the request.",
)
@click.pass_context
def create(
    context: click.Context,
    purpose: str,
    kind: str,
    organization: str,
    structure: str,
    department: str,
    out: Path,
) -> None:
    """Make a key and a certificate request to send to the authority."""
    settings = settings_of(context)
    out.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = generate_private_key(kind)
    subject = Subject(
        common_name=settings.host_name,
        organization=organization,
        structure_id=structure,
        locality=department,
        dns_names=(settings.host_name,) if purpose == "tls" else (),
    )
    request = build_request(key, subject)
    home.write_private(out / f"{purpose}.key", private_key_pem(key).encode())
    home.write_private(out / f"{purpose}.csr", request.encode())
    answer(
        context,
        {"key": str(out / f"{purpose}.key"), "request": str(out / f"{purpose}.csr")},
        f"Send {out / f'{purpose}.csr'} to the authority; then:",
        f"  mss keys load {purpose} --certificate FILE --key {out / f'{purpose}.key'}",
    )


@keys.command("load")
@click.argument("purpose", type=PURPOSES)
@click.option(
    "--certificate",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Certificate and those above it (PEM).",
)
@click.option(
    "--key",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its private key (PEM, DER).",
)
@click.option("--password-stdin", is_flag=True, help="Read the key's password from standard input.")
@click.pass_context
def load(
    context: click.Context, purpose: str, certificate: Path, key: Path, *, password_stdin: bool
) -> None:
    """Install a certificate and its key; restart the server to use them."""
    settings = settings_of(context)
    typed = sys.stdin.readline().rstrip("\r\n") if password_stdin else ""
    private = parse_private_key(key.read_bytes(), password=typed.encode() or None)
    octets = certificate.read_bytes()
    key_pem = private_key_pem(private).encode()
    leaf = load_key_holder(key_pem, octets).certificates[0]
    chain = [leaf, *(one for one in parse_certificates(octets) if one != leaf)]
    stem = _stem(purpose, leaf)
    home.write_private(settings.home / f"{stem}.crt", "".join(c.pem for c in chain).encode())
    home.write_private(settings.home / f"{stem}.key", key_pem)
    answer(context, _facts(purpose, leaf), f"Installed {leaf.subject_text} for {purpose}.")


@keys.command("list")
@click.pass_context
def list_all(context: click.Context) -> None:
    """List the certificates in use and when they end."""
    settings = settings_of(context)
    found = [_facts(purpose, leaf) for purpose, leaf in _installed(settings)]
    answer(
        context,
        found,
        *(
            f"{one['purpose']:8} until {one['not_after']:%Y-%m-%d}  {one['subject']}"
            for one in found
        ),
    )


def _stem(purpose: str, leaf: Certificate) -> str:
    stems = {"tls": home.TLS, "signing": home.SIGNING}
    return stems.get(purpose, f"{home.READING}/{leaf.fingerprint[:16]}")


def _installed(settings: Settings) -> list[tuple[str, Certificate]]:
    files = [("tls", settings.home / f"{home.TLS}.crt")]
    files.append(("signing", settings.home / f"{home.SIGNING}.crt"))
    files += [("reading", one) for one in sorted((settings.home / home.READING).glob("*.crt"))]
    return [
        (purpose, parse_certificates(file.read_bytes())[0])
        for purpose, file in files
        if file.exists()
    ]


def _facts(purpose: str, leaf: Certificate) -> dict[str, object]:
    return {
        "purpose": purpose,
        "subject": leaf.subject_text,
        "fingerprint": leaf.fingerprint,
        "kind": leaf.key_name,
        "not_after": leaf.not_after_at,
    }
