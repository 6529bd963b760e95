"""Keys in a token: SoftHSM 2, alone and under a whole letter between two operators."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from crypto.algorithms import KeyTransport, SignatureScheme
from crypto.errors import (
    DecryptionError,
    KeySyntaxError,
    KeyUnavailableError,
    TokenUnavailableError,
    UnsupportedAlgorithmError,
)
from crypto.issuing import CertificateProfile, Issued
from crypto.keys import transport_padding
from crypto.pkcs11 import Pkcs11KeyHolder, TokenSource
from mss.errors import SettingsError
from mss.model.security import Verdict
from mss.pipeline.key_files import SIGNING, KeyFiles
from mss.pipeline.own_keys import KeysInForce
from mss.settings import KeySettings
from tests.support.factories import (
    BOTH,
    GP,
    HOSPITAL_DOMAIN,
    PRACTICE_DOMAIN,
    Pair,
    a_letter,
)
from tests.support.pki import HOSPITAL, ISSUED_AT, Pki

pytestmark = pytest.mark.interop

MODULES = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"),
)
LABEL, PIN = "essai", "1234"


@dataclass(frozen=True, slots=True)
class Token:
    """A token, and how keys are put into it."""

    source: TokenSource

    def put(self, private_key_pem: str, key_id: bytes) -> None:
        """Import a key with the abilities that its certificate's profile needs."""
        pkcs11 = import_module("pkcs11")
        attribute = pkcs11.Attribute
        key = load_pem_private_key(private_key_pem.encode(), None)
        der = key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
        if isinstance(key, rsa.RSAPrivateKey):
            values = pkcs11.util.rsa.decode_rsa_private_key(der)
            abilities = {attribute.SIGN: True, attribute.DECRYPT: True}
        else:
            values = pkcs11.util.ec.decode_ec_private_key(der)
            abilities = {attribute.SIGN: True, attribute.DERIVE: True}
        token = pkcs11.lib(self.source.module).get_token(token_label=self.source.label)
        try:
            session = token.open(rw=True, user_pin=self.source.pin)
        except pkcs11.UserAlreadyLoggedIn:
            session = token.open(rw=True)
        with session:
            session.create_object(
                values
                | abilities
                | {
                    attribute.TOKEN: True,
                    attribute.PRIVATE: True,
                    attribute.SENSITIVE: True,
                    attribute.EXTRACTABLE: False,
                    attribute.ID: key_id,
                }
            )

    def holder(self, pair: Issued, key_id: bytes) -> Pkcs11KeyHolder:
        """Put a key in, and take it up."""
        self.put(pair.private_key_pem, key_id)
        return Pkcs11KeyHolder(self.source, {key_id: pair.certificate})


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    """A token of this run, in a folder of its own."""
    module = next((one for one in MODULES if one.exists()), None)
    if module is None:
        pytest.fail("softhsm2 is not installed: tests/tools/peers.py does it")
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(configuration))
        command = ["softhsm2-util", "--init-token", "--free", "--label", LABEL]
        subprocess.run(
            [*command, "--pin", PIN, "--so-pin", "56789"], check=True, capture_output=True
        )
        yield Token(TokenSource(module=str(module), label=LABEL, pin=PIN))


def issued(pki: Pki, profile: CertificateProfile, key: str) -> Issued:
    """Issue a pair for the hospital."""
    return pki.authority.issue(profile, HOSPITAL, at=ISSUED_AT, key=key)


@pytest.mark.parametrize(
    ("kind", "scheme"),
    [
        ("rsa2048", SignatureScheme.PSS_SHA256),
        ("rsa2048", SignatureScheme.PSS_SHA512),
        ("rsa2048", SignatureScheme.RSA_SHA256),
        ("rsa2048", SignatureScheme.RSA_SHA384),
        ("p256", SignatureScheme.ECDSA_SHA256),
        ("p384", SignatureScheme.ECDSA_SHA384),
    ],
)
def test_the_token_signs(token: Token, pki: Pki, kind: str, scheme: SignatureScheme) -> None:
    """What it signs holds for the public key, in the form that CMS carries."""
    pair = issued(pki, CertificateProfile.SIGNATURE, kind)
    keys = token.holder(pair, scheme.value.encode())

    signature = keys.sign(pair.certificate, b"lettre", scheme)

    digest = getattr(hashes, scheme.name.rpartition("_")[2])()
    public = pair.certificate.public_key
    if isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(signature, b"lettre", ec.ECDSA(digest))
    else:
        assert isinstance(public, rsa.RSAPublicKey)
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
        form = pss if scheme.name.startswith("PSS") else padding.PKCS1v15()
        public.verify(signature, b"lettre", form, digest)


@pytest.mark.parametrize("curve", ["p256", "p384"])
def test_the_token_agrees_on_a_secret(token: Token, pki: Pki, curve: str) -> None:
    """The same as the key would in memory, from a point in either form."""
    pair = issued(pki, CertificateProfile.CONFIDENTIALITY, curve)
    keys = token.holder(pair, b"agree" + curve.encode())
    public = pair.certificate.public_key
    assert isinstance(public, ec.EllipticCurvePublicKey)
    peer = ec.generate_private_key(public.curve).public_key()

    for form in (PublicFormat.UncompressedPoint, PublicFormat.CompressedPoint):
        point = peer.public_bytes(Encoding.X962, form)
        assert keys.agree(pair.certificate, point) == pair.key_holder().agree(
            pair.certificate, point
        )


def test_a_point_off_the_curve_does_not_reach_the_token(token: Token, pki: Pki) -> None:
    """Answers to such points would give the key away bit by bit."""
    pair = issued(pki, CertificateProfile.CONFIDENTIALITY, "p256")
    keys = token.holder(pair, b"off")

    with pytest.raises(DecryptionError):
        keys.agree(pair.certificate, b"\x04" + bytes(64))


@pytest.fixture(scope="module")
def rsa_reader(token: Token) -> tuple[Issued, Pkcs11KeyHolder]:
    """An RSA key to read with."""
    from tests.support.pki import the_pki

    pair = issued(the_pki(), CertificateProfile.CONFIDENTIALITY, "rsa2048")
    return pair, token.holder(pair, b"reader")


@pytest.mark.parametrize("scheme", [KeyTransport.PKCS1, KeyTransport.OAEP_SHA1])
def test_the_token_unwraps(
    rsa_reader: tuple[Issued, Pkcs11KeyHolder], scheme: KeyTransport
) -> None:
    """SoftHSM knows OAEP with SHA-1 only."""
    pair, keys = rsa_reader
    public = pair.certificate.public_key
    assert isinstance(public, rsa.RSAPublicKey)
    wrapped = public.encrypt(b"k" * 32, transport_padding(scheme))

    assert keys.unwrap(pair.certificate, wrapped, scheme) == b"k" * 32


def test_what_the_token_cannot_do_is_said(rsa_reader: tuple[Issued, Pkcs11KeyHolder]) -> None:
    """An administrator must learn that it is the token, and not the letter."""
    pair, keys = rsa_reader
    public = pair.certificate.public_key
    assert isinstance(public, rsa.RSAPublicKey)
    wrapped = public.encrypt(b"k" * 32, transport_padding(KeyTransport.OAEP_SHA256))

    with pytest.raises(UnsupportedAlgorithmError):
        keys.unwrap(pair.certificate, wrapped, KeyTransport.OAEP_SHA256)


@pytest.mark.parametrize("octets", [b"\x01" * 256, b"", b"\xff" * 256, b"\x00" * 257])
def test_a_wrong_padding_is_no_oracle(
    rsa_reader: tuple[Issued, Pkcs11KeyHolder], octets: bytes
) -> None:
    """PKCS #1 v1.5: a substitute key, the same for the same octets each time."""
    pair, keys = rsa_reader

    once = keys.unwrap(pair.certificate, octets, KeyTransport.PKCS1)

    assert once == keys.unwrap(pair.certificate, octets, KeyTransport.PKCS1)
    assert len(once) == 32


def test_a_wrong_oaep_is_undecryptable(rsa_reader: tuple[Issued, Pkcs11KeyHolder]) -> None:
    """With the one error of all that cannot be decrypted."""
    pair, keys = rsa_reader

    with pytest.raises(DecryptionError):
        keys.unwrap(pair.certificate, b"\x01" * 256, KeyTransport.OAEP_SHA1)


def test_a_lost_session_is_opened_anew(token: Token, pki: Pki) -> None:
    """The module is restarted under a holder that goes on."""
    pair = issued(pki, CertificateProfile.SIGNATURE, "p256")
    keys = token.holder(pair, b"lost")

    import_module("pkcs11").lib(token.source.module).reinitialize()

    assert keys.sign(pair.certificate, b"x", SignatureScheme.ECDSA_SHA256)


def test_a_key_must_be_the_certificates(token: Token, pki: Pki) -> None:
    """A slip in the identifier is found when the key is taken up, not by every recipient."""
    pair, other = (issued(pki, CertificateProfile.SIGNATURE, "p256") for _ in range(2))
    token.put(pair.private_key_pem, b"slip")

    with pytest.raises(KeySyntaxError, match="another-key"):
        Pkcs11KeyHolder(token.source, {b"slip": other.certificate})
    with pytest.raises(KeySyntaxError, match="missing"):
        Pkcs11KeyHolder(token.source, {b"nobody": other.certificate})


def test_what_is_not_there_is_temporary(token: Token, pki: Pki) -> None:
    """A token that is pulled out comes back; a letter must not be refused for that."""
    pair = issued(pki, CertificateProfile.SIGNATURE, "p256")
    missing = TokenSource(module=token.source.module, label="ailleurs", pin=PIN)
    nothing = TokenSource(module="/nowhere.so", label=LABEL, pin=PIN)

    for source in (missing, nothing):
        with pytest.raises(TokenUnavailableError):
            Pkcs11KeyHolder(source, {b"x": pair.certificate})


def test_only_keys_that_are_held_are_used(token: Token, pki: Pki) -> None:
    """As with any other holder."""
    pair, other = (issued(pki, CertificateProfile.SIGNATURE, "p256") for _ in range(2))
    keys = token.holder(pair, b"held")

    with pytest.raises(KeyUnavailableError):
        keys.sign(other.certificate, b"x", SignatureScheme.ECDSA_SHA256)


async def test_a_letter_between_two_operators_whose_keys_are_in_a_token(
    token: Token, pair: Pair, homes: Path, pki: Pki
) -> None:
    """Signed by one key in the token, opened by another; the key files of both homes are gone."""
    settings = KeySettings(module=token.source.module, token=LABEL, pin=PIN)
    for number, cast in enumerate(BOTH):
        home = homes / cast.domain
        for stem in (SIGNING, *KeyFiles(home=home).reading_stems()):
            pem = (home / f"{stem}.key").read_text()
            key_id = bytes([number]) + stem.encode()
            token.put(pem, key_id)
            chain = KeyFiles(home=home).certificates(stem)
            KeyFiles(home=home).save_token(stem, key_id, chain)
            assert not (home / f"{stem}.key").exists()
    for operator, domain in ((pair.hospital, HOSPITAL_DOMAIN), (pair.practices, PRACTICE_DOMAIN)):
        keys = KeysInForce(KeyFiles(home=homes / domain, settings=settings))
        object.__setattr__(operator.services.acceptance.protection, "keys", keys)

    ward = await pair.hospital.log_in("ward")
    await pair.hospital.submit(ward, a_letter(subject="Par le jeton"))
    await pair.settle()

    (view,) = await pair.practices.letters("anne", GP)
    assert view.message.summary.subject == "Par le jeton"
    assert view.message.security.verdict is Verdict.VALID
    assert view.message.security.encrypted


def test_a_refused_pin_is_not_tried_again(token: Token, homes: Path, pki: Pki) -> None:
    """Three wrong ones would lock the token for everybody."""
    pkcs11 = import_module("pkcs11")
    pkcs11.lib(token.source.module).reinitialize()  # nobody is logged in
    pair = issued(pki, CertificateProfile.SIGNATURE, "p256")
    wrong = TokenSource(module=token.source.module, label=LABEL, pin="0000")

    for _ in range(5):
        with pytest.raises(KeySyntaxError, match="token-pin"):
            Pkcs11KeyHolder(wrong, {b"held": pair.certificate})

    flags = pkcs11.lib(token.source.module).get_token(token_label=LABEL).flags
    assert not flags & pkcs11.TokenFlag.USER_PIN_LOCKED
    with pytest.raises(SettingsError):
        KeyFiles(home=homes / HOSPITAL_DOMAIN).token_source()
