"""Whatever is in a file: a verdict, its layers, and findings that help."""

import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import process_time

import pytest

from crypto import algorithms, der, smime
from crypto.entity import wrap_base64
from crypto.enveloped_data import EnvelopeProfile
from crypto.layers import Judgement
from crypto.trust import TrustStore
from mss.mailboxes.explained_findings import FINDINGS, finding
from mss.mailboxes.letter_file import pem_blocks, read_cms, read_mail
from mss.mime import entity as entities
from tests.support.attacks import LIE, TEXT, Attack, attacks, flipped, letter
from tests.support.explaining import NOBODY, codes, examiner, explained
from tests.support.pki import NOW, the_pki
from tests.unit.crypto import forging
from tests.unit.crypto.test_attacks_signed import the_stage
from tests.unit.crypto.test_compressed_data import compressed

STAGE = the_stage()
CORPUS = list(attacks(STAGE))
PKI = the_pki()
READER = PKI.practice_confidentiality.certificate
ARMOURED = b"-----BEGIN X-----\n!\n-----END X-----"
PATIENCE_SECONDS = 1.0

sign = partial(smime.sign, keys=STAGE.signer.key_holder(), at=NOW, chain=STAGE.signer.chain)
encrypt = partial(smime.encrypt, recipients=[READER])


@pytest.mark.parametrize("attack", CORPUS, ids=lambda attack: attack.name)
def test_an_attack_ends_in_its_verdict(attack: Attack) -> None:
    """The whole letter is judged, header and author included; soon, and with the reason."""
    begun = process_time()

    found = explained(attack.octets)

    assert process_time() - begun < PATIENCE_SECONDS
    assert found.verdict is attack.verdict
    assert not attack.reason or attack.reason in codes(found)


SAID = [each for each in CORPUS if each.finding and each.finding != "signer"]


@pytest.mark.parametrize("attack", SAID, ids=lambda attack: attack.name)
def test_an_attack_is_named(attack: Attack) -> None:
    """What a deposited letter would bear as a finding, the administrator reads too."""
    assert attack.finding in codes(explained(attack.octets))


@pytest.mark.parametrize("attack", CORPUS, ids=lambda attack: attack.name)
def test_what_is_bad_has_no_content_to_show(attack: Attack) -> None:
    """And what is refused says why."""
    found = explained(attack.octets)

    is_bad = found.verdict in {Judgement.INVALID, Judgement.UNDECRYPTABLE}
    assert (found.content_sha256 is None) is is_bad
    assert found.is_good or any(each.severity in {"error", "warning"} for each in found.findings)


WRAPPINGS: dict[str, tuple[Callable[[bytes], bytes], list[str], str]] = {
    "signed": (sign, ["signed"], "valid"),
    "triple": (lambda e: sign(encrypt(sign(e))), ["signed", "encrypted", "signed"], "valid"),
    "signed-in-gcm": (
        lambda e: encrypt(sign(e), profile=EnvelopeProfile.MODERN),
        ["encrypted", "signed"],
        "valid",
    ),
    "signed-in-cbc": (
        lambda e: encrypt(sign(e), profile=EnvelopeProfile.COMPATIBLE),
        ["encrypted", "signed"],
        "valid",
    ),
    "gcm": (
        lambda e: encrypt(e, profile=EnvelopeProfile.MODERN), ["encrypted"], "not-signed"),
    "cbc": (
        lambda e: encrypt(e, profile=EnvelopeProfile.COMPATIBLE), ["encrypted"], "not-signed"),
    "plain": (lambda e: e, [], "not-signed"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPINGS)
def test_our_own_letters_are_explained(name: str) -> None:
    """Every profile and order of layers that the server writes."""
    wrap, kinds, verdict = WRAPPINGS[name]

    found = explained(letter(STAGE, wrap(TEXT)))

    assert [each.kind for each in found.layers] == kinds
    assert found.verdict == verdict
    assert found.encrypted is ("encrypted" in kinds)
    assert all(each.algorithm for each in found.layers)
    assert all(each.signer and each.chain for each in found.layers if each.kind == "signed")
    assert not any(each.severity == "error" for each in found.findings)


def test_cbc_without_a_signature_carries_a_warning() -> None:
    """It was readable by chance; anybody could have changed it."""
    found = explained(letter(STAGE, encrypt(TEXT, profile=EnvelopeProfile.COMPATIBLE)))

    assert ("content-malleable", "warning") in {(e.code, e.severity) for e in found.findings}


def test_line_ends_of_a_text_file_are_mended_and_named() -> None:
    """Mail software saves with LF; the signature covers CRLF."""
    found = explained(letter(STAGE, sign(TEXT)).replace(b"\r\n", b"\n"))

    assert found.verdict is Judgement.VALID
    assert "line-ends-converted" in codes(found)


def test_line_ends_that_were_signed_as_they_are_stay() -> None:
    """A file of both kinds is tried as it was saved first."""
    content = b"Content-Type: text/plain\r\n\r\nune ligne\nune autre\r\n"
    info = STAGE.signer

    cms = forging.signed_data([forging.signer_info(content, info)], [info.certificate])
    entity = forging.multipart(content, cms)

    found = explained(letter(STAGE, entity))

    assert [each.kind for each in found.layers] == ["signed"]
    assert found.layers[0].holds


def test_a_signed_layer_of_lf_inside_is_taken_off_and_named() -> None:
    """OpenSSL's `-binary` encrypts a file as it is; a door would take it for text."""
    inner = sign(TEXT).replace(b"\r\n", b"\n")

    found = explained(letter(STAGE, encrypt(inner)))

    assert [each.kind for each in found.layers] == ["encrypted", "signed"]
    assert found.verdict is Judgement.VALID
    assert "line-ends-inside" in codes(found)


@pytest.mark.parametrize("before", [b"From anne@x Tue Nov  3 10:00:00 2026\n", b"\xef\xbb\xbf"])
def test_what_stands_before_a_saved_mail_is_left_out(before: bytes) -> None:
    """The line of an mbox, or a byte order mark."""
    found = explained(before + letter(STAGE, sign(TEXT)))

    assert found.verdict is Judgement.VALID


@pytest.mark.parametrize("name", [EnvelopeProfile.MODERN, EnvelopeProfile.COMPATIBLE,
                                  EnvelopeProfile.LEGACY])  # fmt: skip
def test_a_key_without_its_certificate_is_tried(name: EnvelopeProfile) -> None:
    """The administrator has the key file, and nothing else."""
    sealed = encrypt(sign(TEXT), profile=name)
    desk = examiner(keys=NOBODY, loose_keys=(PKI.practice_confidentiality.private_key,))

    found = desk.explain(read_mail(letter(STAGE, sealed)))

    assert found.verdict is Judgement.VALID
    assert "key-found-by-trial" in codes(found)
    assert found.layers[0].opened_with is None


def test_without_a_key_it_says_for_whom_it_is() -> None:
    """So that the right key can be fetched."""
    desk = examiner(keys=NOBODY, loose_keys=(PKI.hospital_confidentiality.private_key,))

    found = desk.explain(read_mail(letter(STAGE, encrypt(TEXT))))

    assert found.verdict is Judgement.UNDECRYPTABLE
    assert f"{READER.serial:x}" in found.layers[0].recipients[0]
    assert found.layers[0].algorithm is not None
    assert found.content_sha256 is None


def test_an_expired_certificate_is_untrusted_and_says_so() -> None:
    """The signature still holds; the instant decides."""
    at = STAGE.signer.certificate.not_after_at + timedelta(days=1)
    found = examiner(at=at).explain(read_mail(letter(STAGE, sign(TEXT))))

    assert found.verdict is Judgement.UNTRUSTED
    assert "certificate-expired" in codes(found)


def test_lists_that_lapsed_leave_it_open() -> None:
    """Not known to be bad: that is another verdict than bad."""
    found = examiner(at=NOW + timedelta(days=40)).explain(read_mail(letter(STAGE, sign(TEXT))))

    assert found.verdict is Judgement.INDETERMINATE
    assert "revocation-stale-list" in codes(found)


def test_a_certificate_of_another_address_does_not_speak_for_the_author() -> None:
    """A person signs for herself only."""
    person = PKI.person_signature
    signed = smime.sign(TEXT, keys=person.key_holder(), at=NOW, chain=person.chain)

    found = explained(letter(STAGE, signed))
    own = explained(letter(STAGE, signed, author=person.certificate.mail_addresses[0]))

    assert (found.verdict, own.verdict) == (Judgement.UNTRUSTED, Judgement.VALID)
    assert "signer-not-bound" in codes(found) - codes(own)


def test_a_letter_without_an_author_is_compared_with_nobody() -> None:
    """What `openssl cms -sign` writes has no From."""
    found = explained(b"MIME-Version: 1.0\r\n" + sign(TEXT))

    assert found.verdict is Judgement.VALID
    assert "author-missing" in codes(found)


def test_an_unknown_kind_of_cms_is_not_passed_over() -> None:
    """It claims to be cryptography: not understanding it is no reason to call it plain."""
    digested = der.sequence(der.oid("1.2.840.113549.1.7.5"), der.encode(der.context(0), b""))

    found = examiner().explain(read_cms(digested))

    assert found.verdict is Judgement.INVALID
    assert "cms-not-understood" in codes(found)


def test_compression_is_a_layer() -> None:
    """Signed inside compressed."""
    inner = compressed(zlib.compress(sign(TEXT)))
    entity = (
        b"Content-Type: application/pkcs7-mime; smime-type=compressed-data\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + wrap_base64(inner)
    )

    found = explained(letter(STAGE, entity))

    assert [(e.kind, e.algorithm) for e in found.layers] == [
        ("compressed", "zlib"),
        ("signed", "ecdsa-sha256"),
    ]
    assert found.verdict is Judgement.VALID


def test_a_signature_that_is_not_believed_still_has_its_algorithm() -> None:
    """What was used is a fact of the layer, whoever signed."""
    desk = replace(examiner(), store=TrustStore([]))

    layer = desk.explain(read_mail(letter(STAGE, sign(TEXT)))).layers[0]

    assert (layer.algorithm, layer.holds, layer.chain) == ("ecdsa-sha256", False, ())
    assert layer.signer == STAGE.signer.certificate.subject_text


def test_a_changed_subject_is_named_with_its_field() -> None:
    """Which field, and never what it says: that may be a patient's name."""
    honest = letter(STAGE, TEXT)
    signed = sign(entities.protected_entity(honest, cipher=False))
    sent = entities.outer_message(honest, signed, obscure_subject=False)

    found = explained(sent.replace(b"Subject: Lettre", b"Subject: Secret", 1))

    told = next(each for each in found.findings if each.code == "header-differs")
    assert "Subject" in told.text
    assert "Secret" not in told.text


@pytest.mark.parametrize("octets", [b"", b"\x00" * 100_000, b"\r\n" * 50_000, b"From \n", LIE[:5]])
def test_rubbish_has_an_explanation(octets: bytes) -> None:
    """No door would take it, and no script shall take it for a letter."""
    found = explained(octets)

    assert found.verdict is Judgement.INVALID
    assert [each.code for each in found.findings if each.severity == "error"] == ["message-syntax"]


@pytest.mark.parametrize("octets", [b"", b"\x30\x80" * 50_000, ARMOURED])
def test_rubbish_is_no_cms(octets: bytes) -> None:
    """A bare object that is none is invalid, whatever it is."""
    assert examiner().explain(read_cms(octets)).verdict is Judgement.INVALID


@pytest.mark.parametrize(
    "octets", [b"-----BEGIN A-----\n" * 40_000, b"-----BEGIN A-----\n-----END " * 40_000]
)
def test_armour_that_never_ends_is_passed_over_in_one_pass(octets: bytes) -> None:
    """Not once for each beginning."""
    begun = process_time()

    pem_blocks(octets)

    assert process_time() - begun < PATIENCE_SECONDS


def test_each_finding_of_the_table_can_be_told() -> None:
    """A severity that the contract knows, and a text."""
    assert {finding(code).severity for code in FINDINGS} == {"error", "warning", "info"}
    assert all(finding(code).text for code in FINDINGS)


def test_a_flipped_bit_is_undecryptable() -> None:
    """With a key at hand."""
    sealed = encrypt(sign(TEXT), profile=EnvelopeProfile.MODERN)

    found = explained(letter(STAGE, flipped(sealed, -1)))

    assert (found.verdict, found.encrypted) == (Judgement.UNDECRYPTABLE, True)
    assert algorithms.CONTENT_CIPHERS[algorithms.AES256_GCM].name == found.layers[0].algorithm


PAGE = (Path(__file__).parents[4] / "docs" / "explain-message.md").read_text("utf-8")


@pytest.mark.parametrize("code", sorted(FINDINGS))
def test_a_finding_is_on_the_page_for_administrators(code: str) -> None:
    """With the severity and the words that the command prints."""
    severity, text, _ = FINDINGS[code]

    assert f"| `{code}` | {severity} | {text.rstrip('.')} |" in PAGE
