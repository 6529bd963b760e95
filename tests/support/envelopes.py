"""Build enveloped data by hand, rightly or wrongly: what no honest software writes.

Every function makes something that opens when it is called without changes.
"""

from dataclasses import dataclass, field
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crypto import algorithms, der
from crypto.algorithms import KeyTransport
from crypto.certificates import Certificate
from crypto.keys import transport_padding

NONCE = bytes(range(12))
VECTOR = bytes(range(16))
CONTENT_KEY = bytes(range(32))
MATERIAL = bytes(range(100, 132))
AES256_WRAP = der.sequence(der.oid(algorithms.AES256_WRAP))
ATTRIBUTE = der.sequence(
    der.oid(algorithms.CONTENT_TYPE), der.encode(der.SET, der.oid(algorithms.DATA))
)
"""The attribute that RFC 5083, 2.1 asks for when there are any."""


def content_info(content_type: str, *members: bytes) -> bytes:
    """A ContentInfo around a SEQUENCE."""
    return der.sequence(der.oid(content_type), der.encode(der.context(0), der.sequence(*members)))


def gcm_algorithm(nonce: bytes = NONCE, *, tag_octets: int = 16) -> bytes:
    """AES-256-GCM with its parameters."""
    parameters = der.sequence(der.octet_string(nonce), der.integer(tag_octets))
    return der.sequence(der.oid(algorithms.AES256_GCM), parameters)


def cbc_algorithm(vector: bytes = VECTOR) -> bytes:
    """AES-256-CBC with its parameters."""
    return der.sequence(der.oid(algorithms.AES256_CBC), der.octet_string(vector))


def sealed_gcm(content: bytes, key: bytes = CONTENT_KEY, *, attributes: bytes = b"") -> bytes:
    """Ciphertext and tag of AES-256-GCM."""
    return AESGCM(key).encrypt(NONCE, content, attributes)


def sealed_cbc(content: bytes, key: bytes = CONTENT_KEY) -> bytes:
    """Ciphertext of AES-256-CBC."""
    padder = PKCS7(128).padder()
    encryptor = Cipher(AES(key), modes.CBC(VECTOR)).encryptor()
    padded = padder.update(content) + padder.finalize()
    return encryptor.update(padded) + encryptor.finalize()


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticated:
    """An AuthEnvelopedData; what is None is computed, what is given is taken as it is.

    Attributes:
        sent: The authenticated attributes as they stand in the message.
        signed: What the tag is made over; by default what is sent.
    """

    recipients: tuple[bytes, ...]
    content: bytes
    algorithm: bytes = field(default_factory=gcm_algorithm)
    content_type: str = algorithms.DATA
    sent: tuple[bytes, ...] = ()
    signed: tuple[bytes, ...] | None = None
    behind: tuple[bytes, ...] = ()
    tag: bytes | None = None
    is_tagged: bool = True
    key: bytes = CONTENT_KEY

    def octets(self) -> bytes:
        """The ContentInfo."""
        signed = self.sent if self.signed is None else self.signed
        sealed = sealed_gcm(
            self.content, self.key, attributes=der.set_of(signed) if signed else b""
        )
        tag = sealed[-16:] if self.tag is None else self.tag
        return content_info(
            algorithms.AUTH_ENVELOPED_DATA,
            der.integer(0),
            der.encode(der.SET, *self.recipients),
            inner(sealed[:-16], self.algorithm, self.content_type),
            der.encode(der.context(1), *self.sent) if self.sent else b"",
            der.octet_string(tag) if self.is_tagged else b"",
            der.encode(der.context(2), *self.behind) if self.behind else b"",
        )


def inner(ciphertext: bytes, algorithm: bytes, content_type: str = algorithms.DATA) -> bytes:
    """An EncryptedContentInfo."""
    return der.sequence(der.oid(content_type), algorithm, der.encode(0x80, ciphertext))


def unauthenticated(
    recipients: tuple[bytes, ...],
    content: bytes,
    *,
    algorithm: bytes | None = None,
    ciphertext: bytes | None = None,
    behind: tuple[bytes, ...] = (),
) -> bytes:
    """An EnvelopedData of AES-256-CBC."""
    return content_info(
        algorithms.ENVELOPED_DATA,
        der.integer(2),
        der.encode(der.SET, *recipients),
        inner(
            sealed_cbc(content) if ciphertext is None else ciphertext,
            cbc_algorithm() if algorithm is None else algorithm,
        ),
        der.encode(der.context(1), *behind) if behind else b"",
    )


def chacha(recipients: tuple[bytes, ...], content: bytes) -> bytes:
    """An AuthEnvelopedData of ChaCha20-Poly1305."""
    sealed = ChaCha20Poly1305(CONTENT_KEY).encrypt(NONCE, content, b"")
    algorithm = der.sequence(der.oid(algorithms.CHACHA20_POLY1305), der.octet_string(NONCE))
    return content_info(
        algorithms.AUTH_ENVELOPED_DATA,
        der.integer(0),
        der.encode(der.SET, *recipients),
        inner(sealed[:-16], algorithm),
        der.octet_string(sealed[-16:]),
    )


# --- Recipients ------------------------------------------------------------------------------


def by_serial(certificate: Certificate) -> bytes:
    """The issuer and the serial number."""
    return der.sequence(certificate.issuer_der, certificate.serial_der)


def by_key(certificate: Certificate) -> bytes:
    """The identifier of the key, for a key transport."""
    return der.encode(0x80, certificate.key_identifier)


def by_agreed_key(certificate: Certificate, *more: bytes) -> bytes:
    """The identifier of the key, for a key agreement."""
    return der.encode(der.context(0), der.octet_string(certificate.key_identifier), *more)


def oaep(
    digest: str | None = algorithms.SHA256,
    mask: str | None = algorithms.SHA256,
    *,
    label: bytes | None = None,
) -> bytes:
    """RSAES-OAEP with its parameters; None leaves a default out."""
    members = []
    if digest is not None:
        members.append(der.encode(der.context(0), der.sequence(der.oid(digest), der.null())))
    if mask is not None:
        generator = der.sequence(der.oid(algorithms.MGF1), der.sequence(der.oid(mask), der.null()))
        members.append(der.encode(der.context(1), generator))
    if label is not None:
        source = der.sequence(der.oid(algorithms.P_SPECIFIED), der.octet_string(label))
        members.append(der.encode(der.context(2), source))
    return der.sequence(der.oid(algorithms.RSA_OAEP), der.sequence(*members))


RSA_PKCS1 = der.sequence(der.oid(algorithms.RSA), der.null())


def transport(
    certificate: Certificate,
    *,
    scheme: KeyTransport = KeyTransport.OAEP_SHA256,
    algorithm: bytes | None = None,
    identifier: bytes | None = None,
    key: bytes = CONTENT_KEY,
    encrypted: bytes | None = None,
) -> bytes:
    """A KeyTransRecipientInfo."""
    if encrypted is None:
        assert isinstance(certificate.public_key, rsa.RSAPublicKey), "a certificate of RSA"
        encrypted = certificate.public_key.encrypt(key, transport_padding(scheme))
    return der.sequence(
        der.integer(0),
        by_serial(certificate) if identifier is None else identifier,
        oaep() if algorithm is None else algorithm,
        der.octet_string(encrypted),
    )


SharedInfo = Literal["right", "no-material", "wrong-bits", "null-wrap", "no-bits", "little-endian"]


def shared_info(kind: SharedInfo, *, wrap: bytes, material: bytes | None, bits: int = 256) -> bytes:
    """An ECC-CMS-SharedInfo, right or wrong in one way."""
    if kind == "null-wrap":
        wrap = der.sequence(der.oid(algorithms.AES256_WRAP), der.null())
    if kind == "wrong-bits":
        bits //= 8
    entity = b""
    if material is not None and kind != "no-material":
        entity = der.encode(der.context(0), der.octet_string(material))
    order: Literal["little", "big"] = "little" if kind == "little-endian" else "big"
    tail = der.encode(der.context(2), der.octet_string(bits.to_bytes(4, order)))
    return der.sequence(wrap, entity, b"" if kind == "no-bits" else tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A KeyAgreeRecipientInfo; what is None is computed, what is given is taken as it is.

    Attributes:
        stated_wrap: The wrap algorithm as it stands in the message; by default what was used.
        stated_material: The keying material as it stands in the message; empty for none.
    """

    certificate: Certificate
    scheme: str = algorithms.ECDH_SHA256_KDF
    info: SharedInfo = "right"
    wrap: bytes = AES256_WRAP
    stated_wrap: bytes | None = None
    material: bytes | None = MATERIAL
    stated_material: bytes | None = None
    point: bytes | None = None
    kind: bytes = der.sequence(der.oid(algorithms.EC_PUBLIC_KEY))
    originator: bytes | None = None
    identifier: bytes | None = None
    key: bytes = CONTENT_KEY
    encrypted: bytes | None = None
    point_format: PublicFormat = PublicFormat.UncompressedPoint

    def octets(self) -> bytes:
        """The RecipientInfo."""
        secret, point = self._agreed()
        derived = X963KDF(
            algorithms.KEY_AGREEMENTS[self.scheme].hash,
            32,
            shared_info(self.info, wrap=self.wrap, material=self.material),
        ).derive(secret)
        wrapped = aes_key_wrap(derived, self.key) if self.encrypted is None else self.encrypted
        public = self.kind + der.bit_string(point if self.point is None else self.point)
        originator = self.originator or der.encode(der.context(1), public)
        material = self.material if self.stated_material is None else self.stated_material
        member = der.sequence(
            self.identifier or by_serial(self.certificate), der.octet_string(wrapped)
        )
        return der.encode(
            der.context(1),
            der.integer(3),
            der.encode(der.context(0), originator),
            der.encode(der.context(1), der.octet_string(material)) if material else b"",
            der.sequence(der.oid(self.scheme), self.stated_wrap or self.wrap),
            der.sequence(member),
        )

    def _agreed(self) -> tuple[bytes, bytes]:
        match self.certificate.public_key:
            case ec.EllipticCurvePublicKey() as key:
                one_time = ec.generate_private_key(key.curve)
                public = one_time.public_key().public_bytes(Encoding.X962, self.point_format)
                return one_time.exchange(ec.ECDH(), key), public
            case x25519.X25519PublicKey() as key:
                other = x25519.X25519PrivateKey.generate()
                return other.exchange(key), other.public_key().public_bytes_raw()
            case _:
                raise AssertionError("a certificate for key agreement")
