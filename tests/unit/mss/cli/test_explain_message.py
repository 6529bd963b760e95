"""`mss explain message` as a shell sees it: options, status, both forms of the answer."""

import base64
import hashlib
from pathlib import Path
from typing import Any

import pytest

from crypto import smime
from crypto.certificates import parse_certificates
from crypto.entity import read_entity, split_signed
from crypto.enveloped_data import EnvelopeProfile
from crypto.keys import generate_private_key, private_key_pem
from mss.mailboxes.letter_file import MAX_FILE_OCTETS
from tests.support.attacks import TEXT, Attack, attacks, letter
from tests.support.pki import NOW, the_pki
from tests.unit.crypto.test_attacks_signed import the_stage
from tests.unit.crypto.test_peers import ENTRIES, PEERS, needs_data
from tests.unit.mss.cli.test_commands import Result, Shell

PKI = the_pki()
STAGE = the_stage()
AT = NOW.isoformat()
SIGNED = smime.sign(TEXT, keys=STAGE.signer.key_holder(), at=NOW, chain=STAGE.signer.chain)
SIGNATURE = split_signed(read_entity(SIGNED)).signature.decoded_body()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell without a home."""
    monkeypatch.delenv("MSS_HOME", raising=False)
    return Shell(tmp_path / "nowhere", monkeypatch)


@pytest.fixture
def trust(tmp_path: Path) -> list[str]:
    """What to judge the declared PKI with, as words of a command line."""
    (tmp_path / "anchor.pem").write_text(PKI.authority.anchors_pem)
    words = ["--anchor", str(tmp_path / "anchor.pem"), "--at", AT]
    for number, one in enumerate(PKI.authority.crls(NOW)):
        (tmp_path / f"{number}.crl").write_bytes(one)
        words += ["--crl", str(tmp_path / f"{number}.crl")]
    return words


@pytest.fixture
def key(tmp_path: Path) -> list[str]:
    """The reader's key and certificate."""
    reader = PKI.practice_confidentiality
    (tmp_path / "k.pem").write_text(reader.private_key_pem)
    (tmp_path / "c.pem").write_text(reader.chain_pem)
    return ["--key", str(tmp_path / "k.pem"), "--cert", str(tmp_path / "c.pem")]


def explain(shell: Shell, tmp_path: Path, octets: bytes, *words: str) -> Result:
    (tmp_path / "m.eml").write_bytes(octets)
    return shell("--json", "explain", "message", str(tmp_path / "m.eml"), *words)


@pytest.mark.parametrize("attack", list(attacks(STAGE)), ids=lambda attack: attack.name)
def test_an_attack_ends_in_its_verdict(
    attack: Attack, shell: Shell, tmp_path: Path, trust: list[str], key: list[str]
) -> None:
    """Through the command, and the status goes with the verdict."""
    result = explain(shell, tmp_path, attack.octets, *trust, *key)

    assert result.json["verdict"] == attack.verdict
    assert result.status == (0 if attack.verdict in {"valid", "not-signed"} else 1)


def test_the_answer_has_the_members_that_were_promised(
    shell: Shell, tmp_path: Path, trust: list[str], key: list[str]
) -> None:
    """One object; layers outermost first; findings with code, severity and text."""
    sealed = smime.encrypt(SIGNED, recipients=[PKI.practice_confidentiality.certificate])

    found = explain(shell, tmp_path, letter(STAGE, sealed), *trust, *key).json

    outer, inner = found["layers"]
    assert (found["verdict"], found["encrypted"]) == ("valid", True)
    assert (outer["kind"], outer["algorithm"]) == ("encrypted", "aes-256-gcm")
    assert (inner["kind"], inner["algorithm"]) == ("signed", "ecdsa-sha256")
    assert inner["signer"] == STAGE.signer.certificate.subject_text
    assert inner["chain"][0] == inner["signer"]
    assert len(inner["chain"]) == 3
    assert all({"code", "severity", "text"} <= set(each) for each in found["findings"])
    assert len(found["content_sha256"]) == 64


def test_without_a_list_revocation_is_not_judged_and_that_is_said(
    shell: Shell, tmp_path: Path, trust: list[str]
) -> None:
    """As information: the verdict stands."""
    found = explain(shell, tmp_path, letter(STAGE, SIGNED), *trust[:4]).json

    told = {each["code"]: each["severity"] for each in found["findings"]}
    assert (found["verdict"], told["revocation-not-judged"]) == ("valid", "info")


def test_with_lists_nothing_is_said_of_them(shell: Shell, tmp_path: Path, trust: list[str]) -> None:
    """They were judged."""
    found = explain(shell, tmp_path, letter(STAGE, SIGNED), *trust).json

    assert "revocation-not-judged" not in {each["code"] for each in found["findings"]}


def _pem(octets: bytes, label: str) -> bytes:
    body = base64.encodebytes(octets)
    return f"-----BEGIN {label}-----\n".encode() + body + f"-----END {label}-----\n".encode()


@pytest.mark.parametrize(
    "octets",
    [SIGNATURE, _pem(SIGNATURE, "CMS"), _pem(SIGNATURE, "PKCS7"), base64.encodebytes(SIGNATURE)],
    ids=["der", "pem-cms", "pem-pkcs7", "base64"],
)
def test_a_bare_signature_is_judged_with_its_content(
    octets: bytes, shell: Shell, tmp_path: Path, trust: list[str]
) -> None:
    """In any armour."""
    (tmp_path / "content").write_bytes(TEXT)

    result = explain(
        shell, tmp_path, octets, "--raw", "--content", str(tmp_path / "content"), *trust
    )

    assert (result.status, result.json["verdict"]) == (0, "valid")


def test_content_that_was_saved_with_lf_is_judged_as_it_was_signed(
    shell: Shell, tmp_path: Path, trust: list[str]
) -> None:
    """And a finding says so."""
    (tmp_path / "content").write_bytes(TEXT.replace(b"\r\n", b"\n"))

    found = explain(
        shell, tmp_path, SIGNATURE, "--raw", "--content", str(tmp_path / "content"), *trust
    ).json

    assert found["verdict"] == "valid"
    assert "content-line-ends" in {each["code"] for each in found["findings"]}


@needs_data
@pytest.mark.parametrize(("change", "verdict"), [(b"", "valid"), (b"x", "invalid")])
def test_content_that_is_inside_as_well_must_be_the_same(
    shell: Shell, tmp_path: Path, change: bytes, verdict: str
) -> None:
    """Given twice and alike, nothing is ambiguous; two contents are a way to cheat."""
    (tmp_path / "content").write_bytes((PEERS / "message.mime").read_bytes() + change)
    keys = PEERS / "keys"

    result = shell(
        "--json", "explain", "message", "--raw", str(PEERS / "bc-SHA256withECDSA_p256_att.p7s"),
        "--content", str(tmp_path / "content"), "--at", "2026-11-24T00:00:00Z",
        "--anchor", str(keys / "root.crt"), "--cert", str(keys / "int.crt"),
    )  # fmt: skip

    assert result.json["verdict"] == verdict


def test_a_bare_object_is_recognised_without_being_told(
    shell: Shell, tmp_path: Path, trust: list[str]
) -> None:
    """Nobody remembers options at night."""
    found = explain(shell, tmp_path, SIGNATURE, *trust).json

    assert found["verdict"] == "invalid"
    assert {"bare-cms", "signature-invalid"} <= {each["code"] for each in found["findings"]}


@needs_data
@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["file"])
def test_what_peers_wrote_is_explained(entry: dict[str, Any], shell: Shell) -> None:
    """All of the manifest: by trial, and to the octet."""
    keys = PEERS / "keys"
    words = ["--anchor", str(keys / "root.crt"), "--cert", str(keys / "int.crt")]
    if entry["kind"] == "sig-detached":
        words += ["--content", str(PEERS / entry["content"])]
    if entry["kind"] == "enc":
        words += ["--key", str(keys / f"{entry['key']}.key")]

    result = shell(
        "--json", "explain", "message", "--raw", str(PEERS / entry["file"]), *words,
        "--at", "2026-11-24T00:00:00Z",
    )  # fmt: skip

    assert result.status == 0
    assert result.json["verdict"] == ("not-signed" if entry["kind"] == "enc" else "valid")
    assert result.json["content_sha256"] == _sha256(PEERS / entry["content"])


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "words",
    [
        ["--at", "yesterday"],
        ["--key", "CERT"],
        ["--anchor", "MAIL"],
        ["--crl", "MAIL"],
        ["--content", "MAIL"],
        ["--key", "absent.pem"],
    ],
    ids=str,
)
def test_wrong_usage_has_a_status_of_its_own(
    words: list[str], shell: Shell, tmp_path: Path
) -> None:
    """A wrong key file must not look like a wrong letter."""
    (tmp_path / "cert.pem").write_text(STAGE.signer.chain_pem)
    places = {"CERT": str(tmp_path / "cert.pem"), "MAIL": str(tmp_path / "m.eml")}

    result = explain(
        shell, tmp_path, letter(STAGE, TEXT), *(places.get(each, each) for each in words)
    )

    assert result.status == 2
    assert result.out == ""


@pytest.mark.parametrize("kind", ["p256", "rsa2048", "x25519", "mlkem768"])
def test_an_encrypted_key_of_every_kind_is_read(kind: str, shell: Shell, tmp_path: Path) -> None:
    """With its password in a file; without it, wrong usage."""
    pem = private_key_pem(generate_private_key(kind), password=b"secret")
    (tmp_path / "k.pem").write_text(pem)
    (tmp_path / "password").write_text("secret\n")
    words = ["--key", str(tmp_path / "k.pem")]

    with_it = explain(
        shell, tmp_path, letter(STAGE, TEXT), *words,
        "--key-password-file", str(tmp_path / "password"),
    )  # fmt: skip
    without = explain(shell, tmp_path, letter(STAGE, TEXT), *words)

    assert (with_it.status, without.status) == (0, 2)


def test_a_file_larger_than_any_message_is_not_read(shell: Shell, tmp_path: Path) -> None:
    """Sparse on disk, and refused before it is in memory."""
    with (tmp_path / "big").open("wb") as stream:
        stream.truncate(MAX_FILE_OCTETS + 1)

    result = shell("--json", "explain", "message", str(tmp_path / "big"))

    assert result.status == 1
    assert result.json["findings"][0]["code"] == "file-too-large"


def test_the_human_answer_begins_with_the_verdict(
    shell: Shell, tmp_path: Path, trust: list[str]
) -> None:
    """Then the layers, indented; then what to do."""
    (tmp_path / "m.eml").write_bytes(letter(STAGE, SIGNED.replace(b"1 mg", b"9 mg")))

    result = shell("explain", "message", str(tmp_path / "m.eml"), *trust)

    first, layer, *rest = result.out.splitlines()
    assert first.startswith("Invalid:")
    assert layer.startswith("  1 signed, ecdsa-sha256: does not hold")
    assert any("content-changed" in line for line in rest)
    assert any(line.startswith("    -> ") for line in rest)


def test_a_home_gives_its_own_keys_and_trust(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without any option."""
    shell = Shell(tmp_path / "home", monkeypatch)
    assert shell("init", "--domain", "ch-demo.mssante.fr").status == 0
    cert = next((tmp_path / "home" / "keys" / "reading").glob("*.crt"))

    sealed = smime.encrypt(
        TEXT,
        recipients=[parse_certificates(cert.read_bytes())[0]],
        profile=EnvelopeProfile.MODERN,
    )
    (tmp_path / "m.eml").write_bytes(letter(STAGE, sealed))

    result = shell("--json", "explain", "message", str(tmp_path / "m.eml"))

    assert (result.status, result.json["encrypted"]) == (0, True)
    assert [each["code"] for each in result.json["findings"]] == ["header-not-protected"]
