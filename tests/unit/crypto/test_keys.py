import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from crypto.algorithms import KeyTransport, SignatureScheme
from crypto.errors import (
    DecryptionError,
    KeySyntaxError,
    KeyUnavailableError,
    UnsupportedAlgorithmError,
)
from crypto.issuing import CertificateProfile, Issued
from crypto.keys import (
    CombinedKeyHolder,
    SoftwareKeyHolder,
    find_password,
    generate_private_key,
    load_key_holder,
    load_pkcs12,
    parse_private_key,
    private_key_pem,
)
from tests.support.pki import HOSPITAL, ISSUED_AT, the_pki

PKI = the_pki()


def issued(key: str) -> Issued:
    return PKI.authority.issue(CertificateProfile.SIGNATURE, HOSPITAL, at=ISSUED_AT, key=key)


RSA = issued("rsa2048")


@pytest.mark.parametrize("kind", ["p256", "p384", "rsa2048", "ed25519", "x25519"])
@pytest.mark.parametrize("password", [None, b"secret"])
def test_a_key_is_read_back_as_it_was_written(kind: str, password: bytes | None) -> None:
    """With and without password."""
    key = generate_private_key(kind)

    again = parse_private_key(private_key_pem(key, password=password).encode(), password=password)

    assert again.public_key() == key.public_key()


def test_an_encrypted_key_does_not_show() -> None:
    """The password is used."""
    key = generate_private_key("p256")

    assert "ENCRYPTED" in private_key_pem(key, password=b"secret")


@pytest.mark.parametrize("password", [None, b"wrong", b""])
def test_a_wrong_password_is_refused(password: bytes | None) -> None:
    """With the declared error, whatever is wrong with it."""
    pem = private_key_pem(generate_private_key("p256"), password=b"secret").encode()

    with pytest.raises(KeySyntaxError):
        parse_private_key(pem, password=password)


@pytest.mark.parametrize(
    "octets", [b"", b"0", b"-----BEGIN PRIVATE KEY-----\nAAAA\n", bytes(70_000)]
)
def test_octets_that_are_no_key_are_refused(octets: bytes) -> None:
    """The declared error for any octets."""
    with pytest.raises(KeySyntaxError):
        parse_private_key(octets)


def test_a_small_rsa_key_is_refused() -> None:
    """1024 bits have been factored by the patient."""
    small = rsa.generate_private_key(65537, 1024)
    pem = small.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    with pytest.raises(KeySyntaxError, match="unsupported-key"):
        parse_private_key(pem)


def test_a_certificate_of_another_key_is_refused() -> None:
    """Letters would be signed with a key that nobody can check."""
    with pytest.raises(KeySyntaxError, match="no-certificate-for-key"):
        load_key_holder(
            PKI.practice_signature.private_key_pem.encode(),
            PKI.hospital_signature.chain_pem.encode(),
        )
    with pytest.raises(KeySyntaxError, match="certificate-of-another-key"):
        SoftwareKeyHolder(
            [(PKI.hospital_signature.certificate, PKI.practice_signature.private_key)]
        )


def test_the_chain_in_the_same_file_is_passed_over() -> None:
    """TLS files have the intermediates after the leaf."""
    keys = load_key_holder(
        PKI.hospital_signature.private_key_pem.encode(),
        PKI.hospital_signature.chain_pem.encode(),
    )

    assert keys.certificates == (PKI.hospital_signature.certificate,)


def test_a_damaged_rsa_key_is_noticed_even_when_storage_is_trusted() -> None:
    """The public half matches, and every signature would be wrong."""
    assert isinstance(RSA.private_key, rsa.RSAPrivateKey)
    numbers = RSA.private_key.private_numbers()
    damaged = rsa.RSAPrivateNumbers(
        p=numbers.p,
        q=numbers.q,
        d=numbers.d ^ 2,
        dmp1=numbers.dmp1 ^ 2,
        dmq1=numbers.dmq1,
        iqmp=numbers.iqmp,
        public_numbers=numbers.public_numbers,
    ).private_key(unsafe_skip_rsa_key_validation=True)
    pem = private_key_pem(damaged).encode()

    with pytest.raises(KeySyntaxError):
        load_key_holder(pem, RSA.certificate.pem.encode(), trusted=True)


def test_a_pkcs12_file_gives_key_and_chain() -> None:
    """The form in which authorities hand out software certificates."""
    leaf = PKI.hospital_signature
    octets = pkcs12.serialize_key_and_certificates(
        b"demo",
        leaf.private_key,  # type: ignore[arg-type]  # the union of ours has X25519, which it has not
        leaf.certificate.parsed,
        [each.parsed for each in leaf.chain],
        BestAvailableEncryption(b"secret"),
    )

    keys, chain = load_pkcs12(octets, password=b"secret")

    assert keys.certificates == (leaf.certificate,)
    assert chain == leaf.chain
    with pytest.raises(KeySyntaxError):
        load_pkcs12(octets, password=b"wrong")
    with pytest.raises(KeySyntaxError):
        load_pkcs12(b"rubbish", password=None)


def test_older_keys_come_after_the_ones_in_use() -> None:
    """Signing takes the first, reading takes any."""
    newer, older = PKI.hospital_signature.key_holder(), PKI.practice_signature.key_holder()

    both = newer.with_older(older)

    assert both.certificates == (*newer.certificates, *older.certificates)


def test_a_certificate_of_nobody_here_is_refused() -> None:
    """Each call is addressed by certificate."""
    keys = PKI.hospital_signature.key_holder()
    other = PKI.practice_signature.certificate

    with pytest.raises(KeyUnavailableError):
        keys.sign(other, b"", SignatureScheme.ECDSA_SHA256)
    with pytest.raises(KeyUnavailableError):
        keys.unwrap(other, b"", KeyTransport.OAEP_SHA256)
    with pytest.raises(KeyUnavailableError):
        keys.agree(other, b"")


def test_a_key_does_only_what_its_kind_can() -> None:
    """An elliptic curve neither pads nor unwraps."""
    keys = PKI.hospital_signature.key_holder()
    certificate = PKI.hospital_signature.certificate

    with pytest.raises(UnsupportedAlgorithmError):
        keys.sign(certificate, b"", SignatureScheme.PSS_SHA256)
    with pytest.raises(DecryptionError):
        keys.unwrap(certificate, bytes(256), KeyTransport.OAEP_SHA256)
    with pytest.raises(DecryptionError):
        RSA.key_holder().agree(RSA.certificate, bytes(65))


def test_keys_do_not_show_in_texts() -> None:
    """Neither the holder nor what was issued prints a key."""
    issued_now = PKI.hospital_signature

    assert "private" not in repr(issued_now).lower()
    assert "PRIVATE" not in repr(issued_now.key_holder())


def test_an_unknown_kind_of_key_is_refused() -> None:
    """No default to fall back upon."""
    with pytest.raises(UnsupportedAlgorithmError):
        generate_private_key("rsa1024")


@pytest.mark.parametrize("password", [b"one", b"two"])
def test_the_password_that_opens_a_key_is_found(password: bytes) -> None:
    """Keys stay readable while the password they are encrypted under changes."""
    pem = private_key_pem(generate_private_key("p256"), password=password).encode()

    assert find_password(pem, [b"one", b"two"]) == password


def test_a_key_in_clear_needs_no_password() -> None:
    """Other software left it so."""
    assert find_password(private_key_pem(generate_private_key("p256")).encode(), []) is None


def test_no_password_is_told_from_no_need_of_one() -> None:
    """An encrypted key that nothing opens is not taken for one in clear."""
    pem = private_key_pem(generate_private_key("p256"), password=b"secret").encode()

    with pytest.raises(KeySyntaxError, match="password-wrong-or-missing"):
        find_password(pem, [b"wrong"])


def test_combined_holders_use_each_key_where_it_is() -> None:
    """The ones in use first; a key that nobody holds is refused as by any holder."""
    first, second = issued("p256"), issued("p256")
    keys = CombinedKeyHolder([first.key_holder(), second.key_holder()])

    assert keys.certificates == (first.certificate, second.certificate)
    assert keys.sign(second.certificate, b"x", SignatureScheme.ECDSA_SHA256)
    with pytest.raises(DecryptionError):
        keys.unwrap(first.certificate, b"x", KeyTransport.PKCS1)
    with pytest.raises(DecryptionError):
        keys.agree(second.certificate, b"x")
    with pytest.raises(KeyUnavailableError):
        keys.sign(RSA.certificate, b"x", SignatureScheme.PSS_SHA256)
