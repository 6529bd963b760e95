"""Encrypt content for recipients, and open what was encrypted for us.

One content key and nonce per message, one RecipientInfo per certificate. Plaintext leaves only
after the tag was checked. Whatever fails once a private key is involved, the answer is the same
`DecryptionError`, after the same work, so that nobody learns from asking.

Errors
    `NoMatchingKeyError` when none of our certificates is named; `DecryptionError` for the rest;
    `UnsupportedAlgorithmError` for algorithms that are refused before any key is used.
Sources
    RFC 5652, 6; RFC 5083 and RFC 5084 (AES-GCM); RFC 5753 (EC); RFC 8418 (X25519, HKDF);
    RFC 3560 (OAEP); RFC 3218 (wrong PKCS #1 padding);
    CVE-2017-17689 (Efail: changed CBC content).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from os import urandom
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.ciphers import (
    AEADDecryptionContext,
    AEADEncryptionContext,
    Cipher,
    modes,
)
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crypto import algorithms, cms, der
from crypto.algorithms import ContentCipher, KeyAgreement, KeyTransport
from crypto.certificates import Certificate
from crypto.errors import (
    CmsSyntaxError,
    DecryptionError,
    KeyUnavailableError,
    NoMatchingKeyError,
    UnsupportedAlgorithmError,
)
from crypto.keys import transport_padding
from crypto.ports import KeyHolder

BLOCK: Final = 16
NONCE_OCTETS: Final = 12
TAG_OCTETS: Final = 16
MIN_TAG_OCTETS: Final = 12  # RFC 5084, 3.2
DEFAULT_TAG_OCTETS: Final = 12
KEYING_MATERIAL_OCTETS: Final = 32  # some readers (pkijs) need it to be there


class EnvelopeProfile(StrEnum):
    """How to encrypt.

    MODERN is authenticated by itself. COMPATIBLE is not: sign first, always. LEGACY is COMPATIBLE
    with the old RSA padding, for recipients that can read nothing else.
    """

    MODERN = "modern"
    COMPATIBLE = "compatible"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Content that was encrypted for us.

    Attributes:
        is_authenticated: The cipher itself proves that nobody changed the content.
        recipient: The certificate of ours that was named.
        findings: Kebab-case remarks.
    """

    content: bytes
    is_authenticated: bool
    content_algorithm: str
    key_algorithm: str
    recipient: Certificate
    findings: tuple[str, ...]


def profile_for(recipients: Sequence[Certificate]) -> EnvelopeProfile:
    """Return MODERN if every certificate announces that it can be read, else COMPATIBLE."""
    reads = (algorithms.AES256_GCM in each.smime_capabilities for each in recipients)
    return EnvelopeProfile.MODERN if all(reads) else EnvelopeProfile.COMPATIBLE


# --- Encrypting ------------------------------------------------------------------------------


def build(content: bytes, *, recipients: Sequence[Certificate], profile: EnvelopeProfile) -> bytes:
    """Return a ContentInfo with the encrypted *content*, in DER.

    Raises:
        KeyUnavailableError: There is no recipient, too many, or a certificate not for encryption.
        UnsupportedAlgorithmError: A recipient's key is of a kind or size that we do not use.
    """
    sealing = prepare(recipients, profile=profile)
    encryptor = sealing.encryptor()
    head = sealing.head(sealing.ciphertext_octets(len(content)))
    return b"".join((head, encryptor.update(content), encryptor.finish()))


def prepare(recipients: Sequence[Certificate], *, profile: EnvelopeProfile) -> "Sealing":
    """Make a content key and wrap it for every recipient; raises as `build`."""
    unique = tuple(dict.fromkeys(recipients))
    if not 1 <= len(unique) <= cms.MAX_RECIPIENTS:
        raise KeyUnavailableError("recipient-count")
    content_key = urandom(32)
    infos = [_recipient_info(each, content_key, profile) for each in unique]
    if profile is EnvelopeProfile.MODERN:
        vector = urandom(NONCE_OCTETS)
        parameters = der.sequence(der.octet_string(vector), der.integer(TAG_OCTETS))
        algorithm, version = der.sequence(der.oid(algorithms.AES256_GCM), parameters), 0
    else:
        vector = urandom(BLOCK)
        algorithm = der.sequence(der.oid(algorithms.AES256_CBC), der.octet_string(vector))
        # RFC 5652, 6.1: version 2 as soon as one recipient is not a version 0 key transport.
        version = 0 if all(info[0] == der.SEQUENCE for info in infos) else 2
    return Sealing(
        is_authenticated=profile is EnvelopeProfile.MODERN,
        before=der.integer(version) + der.set_of(infos),
        algorithm=algorithm,
        content_key=content_key,
        vector=vector,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """What is settled before the first octet of a message is encrypted.

    For one message, once: the nonce is in it.

    Attributes:
        before: The version and the recipients.
        vector: The nonce of GCM, or the first vector of CBC.
    """

    is_authenticated: bool
    before: bytes = field(repr=False)
    algorithm: bytes = field(repr=False)
    content_key: bytes = field(repr=False)
    vector: bytes = field(repr=False)

    @property
    def tag_octets(self) -> int:
        """How much follows the ciphertext."""
        return len(der.octet_string(bytes(TAG_OCTETS))) if self.is_authenticated else 0

    def ciphertext_octets(self, plain_octets: int) -> int:
        """Return how long the ciphertext of so much plaintext is, the tag aside."""
        return plain_octets if self.is_authenticated else plain_octets // BLOCK * BLOCK + BLOCK

    def head(self, ciphertext_octets: int) -> bytes:
        """Return all that stands before the ciphertext: lengths are definite, so known first."""
        kind = (
            algorithms.AUTH_ENVELOPED_DATA if self.is_authenticated else algorithms.ENVELOPED_DATA
        )
        head = der.oid(algorithms.DATA) + self.algorithm + der.header(0x80, ciphertext_octets)
        head = self.before + der.header(der.SEQUENCE, len(head) + ciphertext_octets) + head
        rest = ciphertext_octets + self.tag_octets
        head = der.header(der.SEQUENCE, len(head) + rest) + head
        head = der.oid(kind) + der.header(der.context(0), len(head) + rest) + head
        return der.header(der.SEQUENCE, len(head) + rest) + head

    def encryptor(self) -> "ContentEncryptor":
        """Return what makes the ciphertext, piece by piece."""
        return ContentEncryptor(self)


class ContentEncryptor:
    """Encrypts the content of one message, piece by piece."""

    __slots__ = ("_encryptor", "_padder")

    def __init__(self, sealing: Sealing) -> None:
        mode = modes.GCM(sealing.vector) if sealing.is_authenticated else modes.CBC(sealing.vector)
        self._encryptor = Cipher(AES(sealing.content_key), mode).encryptor()
        self._padder = None if sealing.is_authenticated else PKCS7(BLOCK * 8).padder()

    def update(self, piece: bytes) -> bytes:
        """Return the ciphertext that is ready."""
        if self._padder is not None:
            piece = self._padder.update(piece)
        return self._encryptor.update(piece)

    def finish(self) -> bytes:
        """Return the rest of the ciphertext, and what follows it."""
        if self._padder is not None:
            return self._encryptor.update(self._padder.finalize()) + self._encryptor.finalize()
        rest = self._encryptor.finalize()
        assert isinstance(self._encryptor, AEADEncryptionContext)
        return rest + der.octet_string(self._encryptor.tag)


def _recipient_info(
    certificate: Certificate, content_key: bytes, profile: EnvelopeProfile
) -> bytes:
    match certificate.public_key:
        case rsa.RSAPublicKey() as key:
            if not algorithms.MIN_RSA_BITS <= key.key_size <= algorithms.MAX_RSA_BITS:
                raise UnsupportedAlgorithmError(certificate.key_name)
            _check_usage(certificate, "keyEncipherment")
            return _key_trans(certificate, key, content_key, profile)
        case ec.EllipticCurvePublicKey() as key if key.curve.name in _CURVE_SCHEMES:
            _check_usage(certificate, "keyAgreement")
            return _key_agree_ec(certificate, key, content_key)
        case x25519.X25519PublicKey() as key:
            _check_usage(certificate, "keyAgreement")
            return _key_agree_x25519(certificate, key, content_key)
        case _:
            raise UnsupportedAlgorithmError(certificate.key_name)


def _check_usage(certificate: Certificate, usage: str) -> None:
    if not certificate.allows(usage):
        raise KeyUnavailableError("recipient-key-usage")


def _key_trans(
    certificate: Certificate, key: rsa.RSAPublicKey, content_key: bytes, profile: EnvelopeProfile
) -> bytes:
    if profile is EnvelopeProfile.LEGACY:
        scheme, algorithm = KeyTransport.PKCS1, der.sequence(der.oid(algorithms.RSA), der.null())
    else:
        scheme, algorithm = KeyTransport.OAEP_SHA256, _OAEP_SHA256
    return der.sequence(
        der.integer(0),
        der.sequence(certificate.issuer_der, certificate.serial_der),
        algorithm,
        der.octet_string(key.encrypt(content_key, transport_padding(scheme))),
    )


def _oaep_sha256() -> bytes:
    digest = der.sequence(der.oid(algorithms.SHA256), der.null())
    mask = der.sequence(der.oid(algorithms.MGF1), digest)
    parameters = der.sequence(der.encode(der.context(0), digest), der.encode(der.context(1), mask))
    return der.sequence(der.oid(algorithms.RSA_OAEP), parameters)


_OAEP_SHA256: Final = _oaep_sha256()
_CURVE_SCHEMES: Final = {
    "secp256r1": algorithms.ECDH_SHA256_KDF,
    "secp384r1": algorithms.ECDH_SHA384_KDF,
}


def _key_agree_ec(
    certificate: Certificate, key: ec.EllipticCurvePublicKey, content_key: bytes
) -> bytes:
    one_time = ec.generate_private_key(key.curve)
    point = one_time.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return _key_agree(
        certificate,
        scheme=_CURVE_SCHEMES[key.curve.name],
        # RFC 5753, 3.1.1: the curve is that of the recipient, so parameters may be absent.
        originator=der.sequence(der.oid(algorithms.EC_PUBLIC_KEY)) + der.bit_string(point),
        secret=one_time.exchange(ec.ECDH(), key),
        content_key=content_key,
    )


def _key_agree_x25519(
    certificate: Certificate, key: x25519.X25519PublicKey, content_key: bytes
) -> bytes:
    one_time = x25519.X25519PrivateKey.generate()
    public = one_time.public_key().public_bytes_raw()
    try:
        secret = one_time.exchange(key)
    except ValueError as error:  # a point of small order gives everybody the same secret
        raise UnsupportedAlgorithmError("x25519-small-order") from error
    return _key_agree(
        certificate,
        scheme=algorithms.ECDH_HKDF_SHA256,
        originator=der.sequence(der.oid(algorithms.X25519)) + der.bit_string(public),
        secret=secret,
        content_key=content_key,
    )


def _key_agree(
    certificate: Certificate, *, scheme: str, originator: bytes, secret: bytes, content_key: bytes
) -> bytes:
    material = urandom(KEYING_MATERIAL_OCTETS)
    wrap = der.sequence(der.oid(algorithms.AES256_WRAP))
    agreement = algorithms.KEY_AGREEMENTS[scheme]
    wrapping_key = _wrapping_key(agreement, secret, wrap=wrap, size=32, material=material)
    recipient = der.sequence(
        der.sequence(certificate.issuer_der, certificate.serial_der),
        der.octet_string(aes_key_wrap(wrapping_key, content_key)),
    )
    return der.encode(
        der.context(1),
        der.integer(3),
        der.encode(der.context(0), der.encode(der.context(1), originator)),
        der.encode(der.context(1), der.octet_string(material)),
        der.sequence(der.oid(scheme), wrap),
        der.sequence(recipient),
    )


def _wrapping_key(
    agreement: KeyAgreement, secret: bytes, *, wrap: bytes, size: int, material: bytes | None
) -> bytes:
    """Derive the key-encryption key from the shared secret and the ECC-CMS-SharedInfo."""
    entity = [] if material is None else [der.encode(der.context(0), der.octet_string(material))]
    bits = der.encode(der.context(2), der.octet_string((size * 8).to_bytes(4, "big")))
    shared_info = der.sequence(wrap, *entity, bits)
    if agreement.hkdf:  # RFC 8418, 2.2: the keying material is the salt as well
        return HKDF(agreement.hash, size, salt=material, info=shared_info).derive(secret)
    return X963KDF(agreement.hash, size, shared_info).derive(secret)


# --- Decrypting ------------------------------------------------------------------------------


def decrypt(enveloped: cms.Enveloped, *, keys: KeyHolder) -> Opened:
    """Open *enveloped* with the first of our certificates that it names."""
    unlocked = unlock(enveloped, keys=keys)
    decryptor = unlocked.decryptor()
    content = decryptor.update(enveloped.ciphertext)
    rest = decryptor.finish()  # checks the tag; until here nobody has seen the plaintext
    return unlocked.opened(content + rest if rest else content)


def unlock(enveloped: cms.Enveloped, *, keys: KeyHolder) -> "Unlocked":
    """Recover the content key, or something that looks like one; its ciphertext is not used."""
    cipher = _content_cipher(enveloped)
    recipient, certificate = _find_recipient(enveloped.recipients, keys.certificates)
    unwrapped = _unwrap(recipient, certificate, keys, cipher.key_octets)
    return Unlocked(
        enveloped=enveloped, cipher=cipher, certificate=certificate, unwrapped=unwrapped
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocked:
    """A message whose content key is at hand, before its content is decrypted."""

    enveloped: cms.Enveloped
    cipher: ContentCipher
    certificate: Certificate
    unwrapped: "_Unwrapped" = field(repr=False)

    def decryptor(self) -> "ContentDecryptor":
        """Return what makes the plaintext, piece by piece."""
        return ContentDecryptor(self.enveloped, self.cipher, self.unwrapped)

    def opened(self, content: bytes) -> Opened:
        """Say what was opened, once all of it was decrypted."""
        findings = list(self.unwrapped.findings)
        if not self.cipher.authenticated:
            findings.append("content-not-authenticated")
        tag = self.enveloped.tag
        if tag is not None and len(tag) < TAG_OCTETS:
            findings.append("short-tag")
        return Opened(
            content=content,
            is_authenticated=self.cipher.authenticated,
            content_algorithm=self.cipher.name,
            key_algorithm=self.unwrapped.algorithm,
            recipient=self.certificate,
            findings=tuple(findings),
        )


def _content_cipher(enveloped: cms.Enveloped) -> ContentCipher:
    """Return the cipher if it goes with the structure; re-labelling one as the other is refused."""
    cipher = algorithms.CONTENT_CIPHERS.get(enveloped.algorithm.oid)
    if cipher is None or cipher.authenticated != (enveloped.tag is not None):
        raise UnsupportedAlgorithmError(enveloped.algorithm.oid)
    if enveloped.content_type != algorithms.DATA:
        raise CmsSyntaxError("inner-content-type")
    return cipher


def _find_recipient(
    recipients: Sequence[cms.Recipient], certificates: Sequence[Certificate]
) -> tuple[cms.Recipient, Certificate]:
    for recipient in recipients:
        for certificate in certificates:
            if recipient.identifier.matches(certificate):
                return recipient, certificate
    raise NoMatchingKeyError


@dataclass(frozen=True, slots=True, kw_only=True)
class _Unwrapped:
    content_key: bytes
    algorithm: str
    has_failed: bool
    findings: tuple[str, ...] = ()


def _unwrap(
    recipient: cms.Recipient, certificate: Certificate, keys: KeyHolder, size: int
) -> _Unwrapped:
    match recipient:
        case cms.KeyTransRecipient():
            return _unwrap_transport(recipient, certificate, keys, size)
        case cms.KeyAgreeRecipient():
            return _unwrap_agreement(recipient, certificate, keys, size)


def _unwrap_transport(
    recipient: cms.KeyTransRecipient, certificate: Certificate, keys: KeyHolder, size: int
) -> _Unwrapped:
    scheme = _transport(recipient.algorithm)
    substitute = urandom(size)
    findings = _LEGACY_FINDINGS.get(scheme, ())
    try:
        content_key = keys.unwrap(certificate, recipient.encrypted_key, scheme)
    except DecryptionError:
        # Go on with a key that opens nothing: the time taken must not tell why it failed.
        return _Unwrapped(content_key=substitute, algorithm=scheme, has_failed=True)
    if len(content_key) != size:
        # After PKCS #1 v1.5 a wrong length looks like any other wrong key (RFC 3218, 2.3.2):
        # whether garbage comes out or an error is then left to chance, exactly as for one.
        is_failure = scheme is not KeyTransport.PKCS1
        return _Unwrapped(content_key=substitute, algorithm=scheme, has_failed=is_failure)
    return _Unwrapped(
        content_key=content_key, algorithm=scheme, has_failed=False, findings=findings
    )


_LEGACY_FINDINGS: Final = {
    KeyTransport.PKCS1: ("legacy-rsa-pkcs1",),
    KeyTransport.OAEP_SHA1: ("legacy-oaep-sha1",),
}
_OAEP_BY_DIGEST: Final = {
    algorithms.SHA256: KeyTransport.OAEP_SHA256,
    algorithms.SHA384: KeyTransport.OAEP_SHA384,
    algorithms.SHA512: KeyTransport.OAEP_SHA512,
    algorithms.SHA1: KeyTransport.OAEP_SHA1,
}


def _transport(algorithm: cms.Algorithm) -> KeyTransport:
    if algorithm.oid == algorithms.RSA:
        return KeyTransport.PKCS1
    if algorithm.oid != algorithms.RSA_OAEP:
        raise UnsupportedAlgorithmError(algorithm.oid)
    try:
        digest, mask = _read_oaep(algorithm.parameters)
    except (der.DerSyntaxError, IndexError) as error:
        raise CmsSyntaxError("oaep-parameters") from error
    if digest != mask or digest not in _OAEP_BY_DIGEST:
        raise UnsupportedAlgorithmError(algorithm.oid)
    return _OAEP_BY_DIGEST[digest]


def _read_oaep(parameters: bytes) -> tuple[str, str]:
    """Return the hash and the hash of the mask; both default to SHA-1. Labels are refused."""
    if not parameters:
        return algorithms.SHA1, algorithms.SHA1
    fields = der.Fields(der.parse(parameters))
    digest = mask = algorithms.SHA1
    given = fields.find(der.context(0))
    if given is not None:
        digest = cms.read_algorithm(given.children()[0]).oid
    given = fields.find(der.context(1))
    if given is not None:
        generator = cms.read_algorithm(given.children()[0])
        if generator.oid != algorithms.MGF1:
            raise UnsupportedAlgorithmError(generator.oid)
        mask = cms.parse_algorithm(generator.parameters).oid
    label = fields.find(der.context(2))
    if label is not None and cms.read_algorithm(label.children()[0]).parameters != b"\x04\x00":
        raise UnsupportedAlgorithmError(algorithms.P_SPECIFIED)
    fields.finish()
    return digest, mask


def _unwrap_agreement(
    recipient: cms.KeyAgreeRecipient, certificate: Certificate, keys: KeyHolder, size: int
) -> _Unwrapped:
    agreement = algorithms.KEY_AGREEMENTS.get(recipient.algorithm.oid)
    if agreement is None:
        raise UnsupportedAlgorithmError(recipient.algorithm.oid)
    wrap = cms.parse_algorithm(recipient.algorithm.parameters)
    wrap_size = algorithms.KEY_WRAPS.get(wrap.oid)
    if wrap_size is None:
        raise UnsupportedAlgorithmError(wrap.oid)
    try:
        secret = keys.agree(certificate, recipient.originator)
        wrapping_key = _wrapping_key(
            agreement,
            secret,
            wrap=wrap.raw,  # as received: whether NULL is there changes the key
            size=wrap_size,
            material=recipient.user_keying_material,
        )
        content_key = aes_key_unwrap(wrapping_key, recipient.encrypted_key)
    except (DecryptionError, InvalidUnwrap, ValueError):
        return _Unwrapped(content_key=urandom(size), algorithm=agreement.name, has_failed=True)
    if len(content_key) != size:
        return _Unwrapped(content_key=urandom(size), algorithm=agreement.name, has_failed=True)
    return _Unwrapped(
        content_key=content_key,
        algorithm=agreement.name,
        has_failed=False,
        findings=("legacy-sha1kdf",) if agreement.legacy else (),
    )


class ContentDecryptor:
    """Decrypts the content of one message, piece by piece.

    Nothing that `update` returns may be shown to anybody before `finish` has returned.
    """

    __slots__ = ("_decryptor", "_has_failed", "_unpadder")

    def __init__(
        self, enveloped: cms.Enveloped, cipher: ContentCipher, unwrapped: _Unwrapped
    ) -> None:
        self._has_failed = unwrapped.has_failed
        self._unpadder = None if cipher.authenticated else PKCS7(BLOCK * 8).unpadder()
        mode = _gcm(enveloped) if cipher.authenticated else _cbc(enveloped)
        self._decryptor = Cipher(AES(unwrapped.content_key), mode).decryptor()
        if isinstance(self._decryptor, AEADDecryptionContext):
            self._decryptor.authenticate_additional_data(enveloped.authenticated_attributes)

    def update(self, piece: bytes) -> bytes:
        """Return the plaintext that is ready."""
        plain = self._decryptor.update(piece)
        return plain if self._unpadder is None else self._unpadder.update(plain)

    def finish(self) -> bytes:
        """Check the tag or the padding, and return the rest of the plaintext.

        Raises:
            DecryptionError: The key, the tag, the padding or the length is wrong.
        """
        try:
            rest = self._decryptor.finalize()
            if self._unpadder is not None:
                rest = self._unpadder.update(rest) + self._unpadder.finalize()
        except (InvalidTag, ValueError):
            raise DecryptionError from None
        if self._has_failed:
            raise DecryptionError
        return rest


def _cbc(enveloped: cms.Enveloped) -> modes.CBC:
    vector = der.read_octets(_parameters(enveloped.algorithm))
    if len(vector) != BLOCK:
        raise CmsSyntaxError("cbc-parameters")
    return modes.CBC(vector)


def _gcm(enveloped: cms.Enveloped) -> modes.GCM:
    nonce, tag_octets = _read_gcm(enveloped.algorithm)
    tag = enveloped.tag
    assert tag is not None  # `_content_cipher` has seen to it
    if len(tag) != tag_octets or not MIN_TAG_OCTETS <= tag_octets <= TAG_OCTETS:
        raise DecryptionError
    return modes.GCM(nonce, tag, min_tag_length=MIN_TAG_OCTETS)


def _read_gcm(algorithm: cms.Algorithm) -> tuple[bytes, int]:
    try:
        fields = der.Fields(_parameters(algorithm))
        nonce = der.read_octets(fields.take())
        given = fields.find(der.INTEGER)
        fields.finish()
        tag_octets = DEFAULT_TAG_OCTETS if given is None else der.read_integer(given)
    except der.DerSyntaxError as error:
        raise CmsSyntaxError("gcm-parameters") from error
    if not 8 <= len(nonce) <= 64:
        raise CmsSyntaxError("gcm-parameters")
    return nonce, tag_octets


def _parameters(algorithm: cms.Algorithm) -> der.Element:
    try:
        return der.parse(algorithm.parameters)
    except der.DerSyntaxError as error:
        raise CmsSyntaxError("algorithm-parameters") from error
