"""Keys change while letters flow: nothing is refused, and old letters still open."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from crypto.issuing import CertificateProfile, Issued, Subject
from crypto.keys import parse_private_key
from mss.errors import SettingsError
from mss.model.security import Verdict
from mss.pipeline.key_files import PKCS11_SUFFIX, READING, SIGNING, KeyFiles
from mss.pipeline.own_keys import KeysInForce
from mss.settings import KeySettings
from tests.support.factories import (
    GP,
    HOSPITAL,
    HOSPITAL_DOMAIN,
    PRACTICE_DOMAIN,
    PRACTICES,
    Pair,
    a_letter,
)
from tests.support.pki import ISSUED_AT, Pki

SUBJECT = Subject(
    common_name="nouveau", organization=PRACTICES.organization, structure_id="1690123450"
)


def install(home: Path, stem: str, issued: Issued, settings: KeySettings | None = None) -> None:
    """Install a pair as `mss keys rotate` does."""
    files = KeyFiles(home=home, settings=settings or KeySettings())
    key = parse_private_key(issued.private_key_pem.encode())
    files.save(stem, key, [issued.certificate, *issued.chain])


def a_reading_pair(pki: Pki) -> Issued:
    """Issue a pair that begins after the one in use."""
    later = ISSUED_AT + timedelta(minutes=1)
    return pki.authority.issue(CertificateProfile.CONFIDENTIALITY, SUBJECT, at=later)


def a_signing_pair(pki: Pki, name: str = "nouveau") -> Issued:
    """Issue a pair to sign with."""
    subject = Subject(
        common_name=name, organization="CENTRE HOSPITALIER DEMO", structure_id=HOSPITAL.structure_id
    )
    return pki.authority.issue(CertificateProfile.SIGNATURE, subject, at=ISSUED_AT)


async def test_keys_rotate_while_letters_flow(pair: Pair, homes: Path, pki: Pki) -> None:
    """Thirty letters at once, and both operators change their keys in between, several times."""
    ward = await pair.hospital.log_in("ward")

    async def rotate(number: int) -> None:
        signing = a_signing_pair(pki, f"rotation-{number}")
        install(homes / HOSPITAL_DOMAIN, SIGNING, signing)
        reading = a_reading_pair(pki)
        stem = f"{READING}/{reading.certificate.fingerprint[:16]}"
        install(homes / PRACTICE_DOMAIN, stem, reading)
        for one in (pair.hospital, pair.practices):
            await asyncio.to_thread(one.running.keys.reload)

    async def write(number: int) -> None:
        raw = a_letter(message_id=f"<{number}@his>", subject=f"Lettre {number}")
        await pair.hospital.submit(ward, raw)

    async with asyncio.TaskGroup() as group:
        for number in range(30):
            group.create_task(write(number))
            if number % 10 == 5:
                group.create_task(rotate(number))
    await pair.settle()

    found = await pair.practices.letters("anne", GP)
    assert {one.message.summary.subject for one in found} == {f"Lettre {n}" for n in range(30)}
    assert {one.message.security.verdict for one in found} == {Verdict.VALID}
    assert all(one.message.security.encrypted for one in found)


async def test_a_letter_for_the_former_key_opens_after_the_change(
    pair: Pair, homes: Path, pki: Pki
) -> None:
    """It may have waited in a queue for two days."""
    ward = await pair.hospital.log_in("ward")
    await pair.hospital.submit(ward, a_letter(subject="Avant"))
    reading = a_reading_pair(pki)
    install(homes / PRACTICE_DOMAIN, f"{READING}/{reading.certificate.fingerprint[:16]}", reading)
    keys = pair.practices.running.keys
    former = keys.current.reading.certificates[0]

    keys.reload()
    await pair.settle()

    assert keys.current.reading.certificates == (reading.certificate, former)
    (view,) = await pair.practices.letters("anne", GP)
    assert view.message.summary.subject == "Avant"


async def test_the_new_signing_key_signs_from_the_reload_on(
    pair: Pair, homes: Path, pki: Pki
) -> None:
    """With the chain that belongs to it."""
    ward = await pair.hospital.log_in("ward")
    signing = a_signing_pair(pki)
    install(homes / HOSPITAL_DOMAIN, SIGNING, signing)
    pair.hospital.running.keys.reload()

    await pair.hospital.submit(ward, a_letter())
    await pair.settle()

    (view,) = await pair.practices.letters("anne", GP)
    assert view.message.security.signer_fingerprint == signing.certificate.fingerprint
    assert view.message.security.verdict is Verdict.VALID


async def test_keys_that_do_not_fit_change_nothing(pair: Pair, homes: Path, pki: Pki) -> None:
    """The moment between two writes, or a slip of the administrator."""
    keys = pair.hospital.running.keys
    before = keys.current
    file = homes / HOSPITAL_DOMAIN / f"{SIGNING}.key"
    file.write_text(a_signing_pair(pki).private_key_pem)

    with pytest.raises(SettingsError):
        keys.reload()

    assert keys.current is before


async def test_installed_keys_are_not_in_clear(homes: Path, pki: Pki) -> None:
    """A backup without the sealing key opens nothing."""
    home = homes / PRACTICE_DOMAIN
    install(home, SIGNING, a_signing_pair(pki))

    octets = (home / f"{SIGNING}.key").read_bytes()

    assert octets.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert oct((home / f"{SIGNING}.key").stat().st_mode)[-3:] == "600"
    assert KeyFiles(home=home).whereabouts(SIGNING) == "sealed"


async def test_a_password_file_keeps_the_password_elsewhere(
    homes: Path, pki: Pki, tmp_path: Path
) -> None:
    """And what the home itself encrypted before still opens."""
    home = homes / PRACTICE_DOMAIN
    install(home, SIGNING, a_signing_pair(pki))
    (tmp_path / "password").write_text("ailleurs\n")
    settings = KeySettings(password_file=str(tmp_path / "password"))
    files = KeyFiles(home=home, settings=settings)
    assert files.load_signing().certificates

    install(home, SIGNING, a_signing_pair(pki), settings)

    assert files.load_signing().certificates
    with pytest.raises(SettingsError, match="password"):
        KeyFiles(home=home).load_signing()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (KeySettings(), "keys.module"),
        (KeySettings(module="/x.so", token="t"), "keys.pin_file"),
        (KeySettings(module="/x.so", token="t", pin_file="nowhere"), "nowhere"),
    ],
)
async def test_a_token_that_is_not_described_says_what_is_missing(
    homes: Path, settings: KeySettings, said: str
) -> None:
    """The name of the setting, not a stack of calls."""
    home = homes / PRACTICE_DOMAIN
    (home / f"{SIGNING}{PKCS11_SUFFIX}").write_text("a0")

    with pytest.raises(SettingsError, match=said):
        KeyFiles(home=home, settings=settings).load_signing()


@pytest.mark.parametrize("text", ["", "xyz", "a0" * 300, "\xff"])
async def test_a_token_identifier_is_hexadecimal(homes: Path, text: str) -> None:
    """Anything else is a slip in the file, and named as such."""
    home = homes / PRACTICE_DOMAIN
    (home / f"{SIGNING}{PKCS11_SUFFIX}").write_bytes(text.encode("latin-1"))

    with pytest.raises(SettingsError, match="hexadecimal"):
        KeyFiles(home=home).token_id(SIGNING)


async def test_post_quantum_certificates_are_part_of_what_is_watched(homes: Path) -> None:
    """A file that appears or changes there means other keys."""
    keys = KeysInForce(KeyFiles(home=homes / PRACTICE_DOMAIN))
    assert any(one.name == "signing.crt" for one in keys.files())

    keys._domains = ("ailleurs.mssante.fr",)

    assert keys.files()[-1].name == "ailleurs.mssante.fr.pem"
