"""`mss keys` and mailboxes with keys of their own, as an administrator uses them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import (
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from crypto.issuing import Authority, CertificateProfile, Issued, create_authority
from mss.cli import home as homes
from mss.clock import SystemClock
from tests.support.pki import HOSPITAL
from tests.unit.mss.cli.test_commands import Shell

pytestmark = pytest.mark.slow

SUBJECT_WORDS = ("--organization", "CH", "--structure", "1750000002", "--department", "Paris (75)")
PASSWORD = "mot-de-passe"


@pytest.fixture
def mss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A home that was just made."""
    shell = Shell(tmp_path / "home", monkeypatch)
    made = shell(
        "init",
        "--domain",
        "ch-demo.mssante.fr",
        "--organization",
        "CH",
        "--structure",
        "1750000002",
    )
    assert made.status == 0, made.err
    return shell


@pytest.fixture(scope="module")
def authority() -> Authority:
    """An authority of today: commands use the clock of the machine."""
    return create_authority("OURS", at=SystemClock().now() - timedelta(days=1), key="p256")


Issue = Callable[..., Issued]


@pytest.fixture
def issue(authority: Authority) -> Issue:
    """Issue a pair that is valid now."""

    def make(profile: CertificateProfile, key: str = "p256", minutes: int = 0) -> Issued:
        at = SystemClock().now() + timedelta(minutes=minutes)
        return authority.issue(profile, HOSPITAL, at=at, key=key)

    return make


def write(folder: Path, pair: Issued) -> tuple[str, str]:
    """Write certificate and key, as an authority sends them."""
    certificate, key = folder / "c.pem", folder / "k.pem"
    certificate.write_text(pair.chain_pem, encoding="ascii")
    key.write_text(pair.private_key_pem, encoding="ascii")
    return str(certificate), str(key)


def a_bundle(pair: Issued, *, legacy: bool = False, password: str = PASSWORD) -> bytes:
    """Write a PKCS #12 file."""
    scheme = (
        pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC
        if legacy
        else pkcs12.PBES.PBESv2SHA256AndAES256CBC
    )
    mac = hashes.SHA1() if legacy else hashes.SHA256()
    encryption = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(2048)
        .key_cert_algorithm(scheme)
        .hmac_hash(mac)
        .build(password.encode())
    )
    key = load_pem_private_key(pair.private_key_pem.encode(), None)
    chain = [one.parsed for one in pair.chain]
    return pkcs12.serialize_key_and_certificates(
        b"mss",
        key,  # type: ignore[arg-type]  # of the kinds that are issued
        pair.certificate.parsed,
        chain,
        encryption,
    )


def listed(mss: Shell, purpose: str) -> list[dict[str, Any]]:
    """List the keys of one purpose."""
    return [one for one in mss("keys", "list", "--json").json if one["purpose"] == purpose]


def test_the_keys_of_a_new_home_are_sealed(mss: Shell) -> None:
    """No key of it lies on the disk in clear."""
    found = mss("keys", "list", "--json").json

    assert [one["purpose"] for one in found] == ["tls", "signing", "reading"]
    assert {one["key"] for one in found} == {"sealed"}
    assert {one["state"] for one in found} == {"current"}
    assert all(one["days_left"] > 60 for one in found)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pkcs12_file_is_loaded(mss: Shell, tmp_path: Path, issue: Issue, *, legacy: bool) -> None:
    """Of today's form and of the one that older authorities still write."""
    pair = issue(CertificateProfile.SIGNATURE)
    file = tmp_path / "k.p12"
    file.write_bytes(a_bundle(pair, legacy=legacy))

    loaded = mss(
        "keys", "load", str(file), "--purpose", "signing", "--password-stdin", typed=PASSWORD + "\n"
    )

    assert loaded.status == 0, loaded.err
    (signing,) = listed(mss, "signing")
    assert signing["fingerprint"] == pair.certificate.fingerprint
    assert signing["key"] == "sealed"
    chain = (mss.home / f"{homes.SIGNING}.crt").read_text()
    assert chain.count("BEGIN CERTIFICATE") == 1 + len(pair.chain)


def test_a_wrong_password_is_named(mss: Shell, tmp_path: Path, issue: Issue) -> None:
    """With the options that give the right one; nothing is changed."""
    file, secret = tmp_path / "k.p12", tmp_path / "secret"
    file.write_bytes(a_bundle(issue(CertificateProfile.SIGNATURE)))
    secret.write_text("faux\n")
    before = listed(mss, "signing")

    refused = mss("keys", "load", str(file), "--purpose", "signing", "--password-file", str(secret))

    assert refused.status == 1
    assert "--password-file" in refused.err
    assert listed(mss, "signing") == before


def test_a_pem_file_with_both_is_loaded(mss: Shell, tmp_path: Path, issue: Issue) -> None:
    """As many tools write them."""
    pair = issue(CertificateProfile.SERVER)
    file = tmp_path / "both.pem"
    file.write_text(pair.private_key_pem + pair.chain_pem)

    assert mss("keys", "load", str(file), "--purpose", "tls").status == 0

    (tls,) = listed(mss, "tls")
    assert tls["fingerprint"] == pair.certificate.fingerprint


def test_a_certificate_for_another_use_is_refused(mss: Shell, tmp_path: Path, issue: Issue) -> None:
    """Letters signed with it would be refused everywhere, one by one."""
    certificate, key = write(tmp_path, issue(CertificateProfile.CONFIDENTIALITY))

    refused = mss("keys", "load", "signing", "--certificate", certificate, "--key", key)

    assert refused.status == 1
    assert "digitalSignature" in refused.err


def test_a_key_is_requested_and_rotated_in(
    mss: Shell, tmp_path: Path, authority: Authority
) -> None:
    """The whole way: key and request, certificate, rotation; the old reading key stays to read."""
    mss_create = mss("keys", "create", "reading", *SUBJECT_WORDS, "--json")
    assert mss_create.status == 0, mss_create.err
    request = x509.load_pem_x509_csr(Path(mss_create.json["request"]).read_bytes())
    assert b"ENCRYPTED" in Path(mss_create.json["key"]).read_bytes()
    pair = authority.issue(CertificateProfile.CONFIDENTIALITY, HOSPITAL, at=SystemClock().now())
    certificate = tmp_path / "c.pem"
    certificate.write_text(pair.chain_pem)

    # The authority of this test makes its own keys: its certificate is another key's.
    refused = mss("keys", "rotate", "reading", "--certificate", str(certificate))
    assert (refused.status, "key-syntax" in refused.err) == (1, True)
    assert request.public_key() != pair.certificate.public_key


def test_a_rotated_reading_key_is_current_and_the_old_one_reads(
    mss: Shell, tmp_path: Path, issue: Issue
) -> None:
    """Old mail still opens; what is published is the new certificate."""
    (old,) = listed(mss, "reading")
    pair = issue(CertificateProfile.CONFIDENTIALITY)
    certificate, key = write(tmp_path, pair)

    rotated = mss("keys", "rotate", "reading", "--certificate", certificate, "--key", key)

    assert rotated.status == 0, rotated.err
    states = {one["fingerprint"]: one["state"] for one in listed(mss, "reading")}
    assert states == {pair.certificate.fingerprint: "current", old["fingerprint"]: "reading-only"}
    again = mss("keys", "rotate", "reading", "--certificate", certificate, "--key", key)
    assert again.status == 1


def test_a_replaced_signing_key_is_put_aside(mss: Shell, tmp_path: Path, issue: Issue) -> None:
    """It can sign nothing any more, and it is not thrown away unasked."""
    (old,) = listed(mss, "signing")
    certificate, key = write(tmp_path, issue(CertificateProfile.SIGNATURE))

    rotated = mss("keys", "rotate", "signing", "--certificate", certificate, "--key", key)

    assert rotated.status == 0, rotated.err
    aside = [one.name for one in (mss.home / homes.FORMER).iterdir()]
    assert sorted(aside) == [f"{old['fingerprint'][:16]}.{one}" for one in ("crt", "key")]


def test_a_certificate_of_tomorrow_is_not_rotated_in(
    mss: Shell, tmp_path: Path, issue: Issue
) -> None:
    """Until then every letter would be refused."""
    certificate, key = write(tmp_path, issue(CertificateProfile.SIGNATURE, minutes=60))

    refused = mss("keys", "rotate", "signing", "--certificate", certificate, "--key", key)

    assert refused.status == 1
    assert "not valid today" in refused.err


def test_rotation_without_a_pending_key_says_what_to_do(
    mss: Shell, tmp_path: Path, issue: Issue
) -> None:
    """The next command, by name."""
    certificate, _ = write(tmp_path, issue(CertificateProfile.SIGNATURE))

    refused = mss("keys", "rotate", "signing", "--certificate", certificate)

    assert refused.status == 1
    assert "mss keys create" in refused.err


@pytest.mark.parametrize("kind", ["mlkem768", "mlkem1024"])
def test_a_key_that_cannot_sign_requests_nothing(mss: Shell, kind: str) -> None:
    """The administrator learns why, and what else to do."""
    refused = mss("keys", "create", "reading", "--kind", kind, *SUBJECT_WORDS)

    assert refused.status == 1
    assert "cannot sign" in refused.err
    assert "mss keys load" in refused.err


def test_a_pending_key_is_not_overwritten(mss: Shell) -> None:
    """Its certificate may be on its way."""
    assert mss("keys", "create", "signing", *SUBJECT_WORDS).status == 0

    assert mss("keys", "create", "signing", *SUBJECT_WORDS).status == 1


@pytest.mark.parametrize(
    "words",
    [
        ("keys", "load", "nowhere.p12"),
        ("keys", "load", "nowhere.p12", "--purpose", "tls"),
        ("keys", "load", "signing"),
        ("keys", "rotate", "signing", "--certificate", "nowhere.pem"),
        ("mailbox", "open", "a@ch-demo.mssante.fr", "--kind", "ORG", "--key-held-by", "client"),
    ],
)
def test_words_that_are_missing_are_wrong_usage(mss: Shell, words: tuple[str, ...]) -> None:
    """Status 2, before anything is touched."""
    assert mss(*words).status == 2


@pytest.mark.parametrize("token_id", ["xyz", ""])
def test_an_identifier_in_the_token_is_hexadecimal(
    mss: Shell, tmp_path: Path, issue: Issue, token_id: str
) -> None:
    """Before the token is asked."""
    certificate, _ = write(tmp_path, issue(CertificateProfile.SIGNATURE))

    refused = mss("keys", "load", "signing", "--certificate", certificate, "--token-id", token_id)

    assert refused.status == 1
    assert "hexadecimal" in refused.err


def test_a_mailbox_whose_client_holds_the_key(mss: Shell, tmp_path: Path, issue: Issue) -> None:
    """It is opened with a certificate, and gets another one when its client changes keys."""
    address = "recherche@ch-demo.mssante.fr"
    first, second = (
        issue(CertificateProfile.CONFIDENTIALITY),
        issue(CertificateProfile.CONFIDENTIALITY),
    )
    certificate, _ = write(tmp_path, first)
    opened = mss(
        "mailbox", "open", address, "--kind", "ORG", "--certificate", certificate,
        "--key-held-by", "client", "--json",
    )  # fmt: skip
    assert opened.json["client_certificate"] == first.certificate.pem

    (tmp_path / "new.pem").write_text(second.certificate.pem)
    changed = mss("mailbox", "certificate", address, str(tmp_path / "new.pem"), "--json")

    assert changed.json["client_certificate"] == second.certificate.pem
