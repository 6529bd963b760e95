"""Where the post-quantum certificates of other operators come from."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from crypto.issuing import CertificateProfile, Issued
from mss.errors import SettingsError
from mss.pipeline.outer_envelope import FOLDER, OuterEnvelopes, load_outer_envelopes
from mss.settings import ProtectionSettings
from tests.support.pki import ISSUED_AT, PRACTICE, the_pki

DOMAIN = "cabinets-demo.mssante.fr"


def issued(key: str) -> Issued:
    return the_pki().authority.issue(
        CertificateProfile.CONFIDENTIALITY, PRACTICE, at=ISSUED_AT, key=key
    )


def write(home: Path, text: str) -> None:
    (home / FOLDER).mkdir(parents=True)
    (home / FOLDER / f"{DOMAIN}.pem").write_text(text, encoding="ascii")


def test_nothing_agreed_is_nothing_wrapped(tmp_path: Path) -> None:
    """The usual case: off."""
    assert load_outer_envelopes(tmp_path, ()) == OuterEnvelopes()
    assert OuterEnvelopes().certificates(DOMAIN) == ()


def test_the_certificates_of_a_domain_are_found_whatever_the_case(tmp_path: Path) -> None:
    """Two while its operator changes keys; the chain in the same file is passed over."""
    older, newer = issued("mlkem768"), issued("mlkem1024")
    write(tmp_path, newer.chain_pem + older.chain_pem)

    found = load_outer_envelopes(tmp_path, [DOMAIN])

    assert found.certificates(DOMAIN.upper()) == (newer.certificate, older.certificate)
    assert found.certificates("autre.mssante.fr") == ()


@pytest.mark.parametrize("text", ["", "no certificate", issued("p256").chain_pem])
def test_a_file_without_a_certificate_for_ml_kem_is_refused(tmp_path: Path, text: str) -> None:
    """Empty, unreadable, or of a curve."""
    write(tmp_path, text)

    with pytest.raises(SettingsError):
        load_outer_envelopes(tmp_path, [DOMAIN])


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """Agreed, and forgotten."""
    with pytest.raises(SettingsError):
        load_outer_envelopes(tmp_path, [DOMAIN])


@pytest.mark.parametrize("domain", ["../keys/signing", "a/b", "", "a b"])
def test_a_domain_is_a_name_and_not_a_path(domain: str) -> None:
    """It becomes a file name."""
    with pytest.raises(ValidationError):
        ProtectionSettings(post_quantum_domains=(domain,))


def test_domains_are_kept_in_lower_case() -> None:
    """As files are named and addresses compared."""
    assert ProtectionSettings(post_quantum_domains=("CH.Example",)).post_quantum_domains == (
        "ch.example",
    )
