"""Private keys that never leave a hardware module: a `KeyHolder` over PKCS #11.

A certificate is tied to its key by the key's identifier (CKA_ID). What is large is hashed here;
only a digest, a wrapped key or a public point goes to the token. Each key shows once, when it is
taken up, that it is the one of its certificate.

The binding initialises libraries without thread support, as PKCS #11 then demands one call at a
time: one lock for each library holds every caller to it, and one session serves them. A session
that was lost (a token pulled out, a module restarted) is opened anew, once for each call. A PIN
that was refused is never tried again: three wrong ones would lock the token.

Errors
    `KeySyntaxError` when a key cannot be taken up; `TokenUnavailableError` when the token does not
    work now; `DecryptionError` when a content key cannot be recovered;
    `UnsupportedAlgorithmError` for what the token cannot do, so that somebody learns it.
Sources
    PKCS #11 2.40, 2.1 (RSA), 2.3 (elliptic curves); RFC 8017, 9.2 (DigestInfo);
    RFC 3218 (PKCS #1 v1.5 and oracles). SoftHSM 2.6 does OAEP with SHA-1 only.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from os import urandom
from threading import Lock
from types import ModuleType
from typing import Final, Protocol, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from crypto.algorithms import KeyTransport, SignatureScheme, digest_of, hash_of
from crypto.certificates import Certificate
from crypto.errors import (
    DecryptionError,
    KeySyntaxError,
    KeyUnavailableError,
    TokenUnavailableError,
    UnsupportedAlgorithmError,
)

MAX_KEY_ID_DIGITS: Final = 512

_PREFIXES: Final = {
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}
"""What stands before a digest under PKCS #1 v1.5 (DigestInfo)."""

_OAEP: Final = {
    KeyTransport.OAEP_SHA1: ("SHA_1", "SHA1"),
    KeyTransport.OAEP_SHA256: ("SHA256", "SHA256"),
    KeyTransport.OAEP_SHA384: ("SHA384", "SHA384"),
    KeyTransport.OAEP_SHA512: ("SHA512", "SHA512"),
    KeyTransport.OAEP_SHA256_MGF1_SHA1: ("SHA256", "SHA1"),
}
_BAD_CIPHERTEXT: Final = (
    "EncryptedDataInvalid",
    "EncryptedDataLenRange",
    "DataInvalid",
    "DataLenRange",
    "FunctionFailed",
    "GeneralError",
)
"""How modules say that a padding is wrong; some do not find the right word."""

_CANNOT: Final = (
    "MechanismInvalid",
    "MechanismParamInvalid",
    "ArgumentsBad",  # SoftHSM's word for a digest that its OAEP does not have
    "FunctionNotSupported",
)
_REJECTED_KEY_OCTETS: Final = 32
_PROBE: Final = b"is this key the certificate's?"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSource:
    """Where a token is, and with what it opens.

    Attributes:
        module: Path of the library of its maker.
        label: Name of the token.
    """

    module: str
    label: str
    pin: str = field(repr=False)


class _Key(Protocol):
    """What we use of a private key in a token."""

    def __getitem__(self, attribute: object) -> object: ...

    def sign(self, data: bytes, *, mechanism: object, mechanism_param: object = None) -> bytes: ...

    def decrypt(
        self, data: bytes, *, mechanism: object, mechanism_param: object = None
    ) -> bytes: ...

    def derive_key(
        self,
        key_type: object,
        key_length: int,
        *,
        mechanism: object,
        mechanism_param: object,
        template: Mapping[object, object],
    ) -> "_Secret": ...


class _Secret(Protocol):
    """A key that was agreed on."""

    def __getitem__(self, attribute: object) -> bytes: ...

    def destroy(self) -> None: ...


class _Token:
    """One token of a process, its session and the keys that were found in it."""

    def __init__(self, source: TokenSource, lock: Lock) -> None:
        self.pkcs11 = _binding()
        self._source = source
        self._lock = lock
        self._session: _Session | None = None
        self._keys: dict[bytes, _Key] = {}
        self._is_refused = False

    def run(self, key_id: bytes, work: Callable[[_Key], T]) -> T:
        """Do something with a key; once more with a new session if the old one was lost."""
        with self._lock:
            try:
                return work(self._find(key_id))
            except self.pkcs11.PKCS11Error as error:
                if not self._is_lost(error):
                    raise
            self._forget()
            try:
                return work(self._find(key_id))
            except self.pkcs11.PKCS11Error as error:
                if not self._is_lost(error):
                    raise
                self._forget()
                raise TokenUnavailableError(type(error).__name__) from error

    def _find(self, key_id: bytes) -> _Key:
        if key_id in self._keys:
            return self._keys[key_id]
        is_fresh = self._session is None
        found = self._search(self._session or self._open(), key_id)
        if not found and not is_fresh:
            # A session that lives on without its login sees no private key, and says nothing.
            self._forget()
            found = self._search(self._open(), key_id)
        if len(found) != 1:
            raise KeySyntaxError("token-key-ambiguous" if found else "token-key-missing")
        self._keys[key_id] = found[0]
        return found[0]

    def _search(self, session: "_Session", key_id: bytes) -> list[_Key]:
        wanted = {
            self.pkcs11.Attribute.CLASS: self.pkcs11.ObjectClass.PRIVATE_KEY,
            self.pkcs11.Attribute.ID: key_id,
        }
        return list(session.get_objects(wanted))

    def _open(self) -> "_Session":
        if self._is_refused:
            raise KeySyntaxError("token-pin")
        library = _library(self.pkcs11, self._source.module)
        try:
            token = library.get_token(token_label=self._source.label)
            try:
                self._session = token.open(user_pin=self._source.pin)
            except self.pkcs11.UserAlreadyLoggedIn:  # another session of this process lives on
                self._session = token.open()
        except (self.pkcs11.NoSuchToken, self.pkcs11.TokenNotPresent) as error:
            raise TokenUnavailableError("token-missing") from error
        except (
            self.pkcs11.PinIncorrect,
            self.pkcs11.PinInvalid,
            self.pkcs11.PinLenRange,
            self.pkcs11.PinLocked,
            self.pkcs11.PinExpired,
        ) as error:
            self._is_refused = True
            raise KeySyntaxError("token-pin") from error
        return self._session

    def _forget(self) -> None:
        session, self._session = self._session, None
        self._keys.clear()
        with suppress(Exception):  # whatever is wrong with it, it is of no use any more
            if session is not None:
                session.close()

    def _is_lost(self, error: Exception) -> bool:
        names = (
            "SessionHandleInvalid",
            "SessionClosed",
            "SessionCount",
            "DeviceError",
            "DeviceMemory",
            "DeviceRemoved",
            "TokenNotPresent",
            "TokenNotRecognised",
            "SlotIDInvalid",
            "UserNotLoggedIn",
            "KeyHandleInvalid",
            "ObjectHandleInvalid",
            "OperationActive",
            "OperationNotInitialized",
            "HostMemory",
        )
        return isinstance(error, tuple(getattr(self.pkcs11, name) for name in names))


class Pkcs11KeyHolder:
    """A `KeyHolder` whose keys live in a token.

    Args:
        source: The token.
        keys: Identifier of each key in the token, and its certificate; those in use first.

    Raises:
        KeySyntaxError: The PIN is refused, a key is missing, or is not the certificate's.
        TokenUnavailableError: The token or its library is not there.
        UnsupportedAlgorithmError: A key is neither RSA nor on a curve.
    """

    def __init__(self, source: TokenSource, keys: Mapping[bytes, Certificate]) -> None:
        self._token = _token(source)
        self._ids = {certificate.fingerprint: key_id for key_id, certificate in keys.items()}
        self._certificates = tuple(keys.values())
        self._secret = urandom(32)  # for the substitutes of wrongly padded keys
        for certificate in self._certificates:
            self._check(certificate)

    def __repr__(self) -> str:
        return f"Pkcs11KeyHolder({[each.fingerprint[:16] for each in self._certificates]})"

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """Certificates whose key is held, the ones in use first."""
        return self._certificates

    def sign(self, certificate: Certificate, tbs: bytes, scheme: SignatureScheme) -> bytes:
        """Return the signature of *tbs* with the key of *certificate*."""
        algorithm = hash_of(digest_of(scheme))
        digest = _digest(algorithm, tbs)
        mechanisms = self._token.pkcs11.Mechanism
        is_rsa = isinstance(certificate.public_key, rsa.RSAPublicKey)
        parameter: object = None
        if isinstance(certificate.public_key, ec.EllipticCurvePublicKey) and scheme.name.startswith(
            "ECDSA"
        ):
            raw = self._sign(certificate, digest, mechanisms.ECDSA, None)
            half = len(raw) // 2
            return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
        if is_rsa and scheme.name.startswith("PSS"):
            name = algorithm.name.upper()
            mask = getattr(self._token.pkcs11.MGF, name)
            parameter = (getattr(mechanisms, name), mask, algorithm.digest_size)
            return self._sign(certificate, digest, mechanisms.RSA_PKCS_PSS, parameter)
        if is_rsa and scheme.name.startswith("RSA"):
            data = _PREFIXES[algorithm.name] + digest
            return self._sign(certificate, data, mechanisms.RSA_PKCS, None)
        raise UnsupportedAlgorithmError(scheme.value)

    def unwrap(self, certificate: Certificate, ciphertext: bytes, scheme: KeyTransport) -> bytes:
        """Return the content key inside *ciphertext*.

        A wrong PKCS #1 v1.5 padding gives the same substitute for the same octets each time, as
        implicit rejection wants; how long the token itself takes is not in our hands.
        """
        if not isinstance(certificate.public_key, rsa.RSAPublicKey):
            raise DecryptionError
        mechanisms, parameter = self._token.pkcs11.Mechanism, None
        mechanism = mechanisms.RSA_PKCS
        substitute = hmac.digest(self._secret, ciphertext, "sha256")[:_REJECTED_KEY_OCTETS]
        if scheme is not KeyTransport.PKCS1:
            digest, mask = _OAEP[scheme]
            mechanism = mechanisms.RSA_PKCS_OAEP
            mask_function = getattr(self._token.pkcs11.MGF, mask)
            parameter = (getattr(mechanisms, digest), mask_function, None)
        try:
            return self._run(
                certificate,
                "decrypt",
                scheme.value,
                lambda key: key.decrypt(ciphertext, mechanism=mechanism, mechanism_param=parameter),
            )
        except self._bad_ciphertext():
            if scheme is KeyTransport.PKCS1:
                return substitute
            raise DecryptionError from None

    def agree(self, certificate: Certificate, peer_public: bytes) -> bytes:
        """Return the shared secret with the peer's raw public point."""
        ours = certificate.public_key
        if not isinstance(ours, ec.EllipticCurvePublicKey):
            raise DecryptionError
        try:  # a point that is not on the curve must not reach the token
            peer = ec.EllipticCurvePublicKey.from_encoded_point(ours.curve, peer_public)
        except ValueError:
            raise DecryptionError from None
        form = Encoding.X962, PublicFormat.UncompressedPoint  # modules need not expand points
        point = peer.public_bytes(*form)
        try:
            return self._run(
                certificate,
                "derive_key",
                "ecdh",
                lambda key: self._derive(key, point, (ours.key_size + 7) // 8),
            )
        except self._bad_ciphertext():
            raise DecryptionError from None

    def _derive(self, key: _Key, point: bytes, size_octets: int) -> bytes:
        pkcs11 = self._token.pkcs11
        secret = key.derive_key(
            pkcs11.KeyType.GENERIC_SECRET,
            size_octets * 8,
            mechanism=pkcs11.Mechanism.ECDH1_DERIVE,
            mechanism_param=(pkcs11.KDF.NULL, None, point),
            template={
                pkcs11.Attribute.SENSITIVE: False,
                pkcs11.Attribute.EXTRACTABLE: True,
                pkcs11.Attribute.TOKEN: False,
            },
        )
        try:
            return bytes(secret[pkcs11.Attribute.VALUE])
        finally:
            with suppress(pkcs11.PKCS11Error):
                secret.destroy()

    def _sign(
        self, certificate: Certificate, data: bytes, mechanism: object, parameter: object
    ) -> bytes:
        return self._run(
            certificate,
            "sign",
            str(getattr(mechanism, "name", mechanism)),
            lambda key: key.sign(data, mechanism=mechanism, mechanism_param=parameter),
        )

    def _run(
        self, certificate: Certificate, ability: str, what: str, work: Callable[[_Key], T]
    ) -> T:
        """Do something with the key of a certificate, and give errors our names."""

        def able(key: _Key) -> T:
            if not hasattr(key, ability):  # the binding gives a key what its attributes allow
                raise KeyUnavailableError("not-for-this-use")
            return work(key)

        key_id = self._ids.get(certificate.fingerprint)
        if key_id is None:
            raise KeyUnavailableError("not-held")
        pkcs11 = self._token.pkcs11
        try:
            return self._token.run(key_id, able)
        except _named(pkcs11, _CANNOT) as error:
            raise UnsupportedAlgorithmError(what) from error
        except self._bad_ciphertext():
            raise
        except pkcs11.PKCS11Error as error:
            raise TokenUnavailableError(type(error).__name__) from error

    def _bad_ciphertext(self) -> tuple[type[Exception], ...]:
        return _named(self._token.pkcs11, _BAD_CIPHERTEXT)

    def _check(self, certificate: Certificate) -> None:
        """Let a key show that it belongs to the certificate, by what it may do."""
        key_id = self._ids[certificate.fingerprint]
        names = self._token.pkcs11.Attribute
        may_sign, may_derive = self._token.run(
            key_id, lambda key: (bool(key[names.SIGN]), bool(key[names.DERIVE]))
        )
        try:
            match certificate.public_key:
                case rsa.RSAPublicKey() as public if may_sign:
                    signature = self.sign(certificate, _PROBE, SignatureScheme.RSA_SHA256)
                    public.verify(signature, _PROBE, padding.PKCS1v15(), hashes.SHA256())
                    is_ours = True
                case rsa.RSAPublicKey() as public:
                    wrapped = public.encrypt(_PROBE, padding.PKCS1v15())
                    is_ours = self.unwrap(certificate, wrapped, KeyTransport.PKCS1) == _PROBE
                case ec.EllipticCurvePublicKey() as public if may_derive:
                    probe = ec.generate_private_key(public.curve)
                    form = Encoding.X962, PublicFormat.UncompressedPoint
                    shared = self.agree(certificate, probe.public_key().public_bytes(*form))
                    is_ours = shared == probe.exchange(ec.ECDH(), public)
                case ec.EllipticCurvePublicKey() as public:
                    signature = self.sign(certificate, _PROBE, SignatureScheme.ECDSA_SHA256)
                    public.verify(signature, _PROBE, ec.ECDSA(hashes.SHA256()))
                    is_ours = True
                case _:
                    raise UnsupportedAlgorithmError(certificate.key_name)
        except (InvalidSignature, DecryptionError):
            is_ours = False
        except self._bad_ciphertext():
            is_ours = False
        if not is_ours:
            raise KeySyntaxError("certificate-of-another-key")


_registry_lock: Final = Lock()
_library_locks: Final[dict[str, Lock]] = {}
_tokens: Final[dict[TokenSource, _Token]] = {}


def _token(source: TokenSource) -> _Token:
    """Share a token among the holders of a process: a login counts for all of them."""
    with _registry_lock:
        if source not in _tokens:
            lock = _library_locks.setdefault(source.module, Lock())
            _tokens[source] = _Token(source, lock)
        return _tokens[source]


def _binding() -> ModuleType:
    try:
        return import_module("pkcs11")
    except ImportError as error:
        raise TokenUnavailableError("python-pkcs11-not-installed") from error


def _library(pkcs11: ModuleType, module: str) -> "_Library":
    try:
        library: _Library = pkcs11.lib(module)
    except (pkcs11.PKCS11Error, OSError, RuntimeError) as error:
        raise TokenUnavailableError("module-unusable") from error
    return library


class _Library(Protocol):
    """What we use of a maker's library."""

    def get_token(self, *, token_label: str) -> "_OpenableToken": ...


class _OpenableToken(Protocol):
    """A token that is there."""

    def open(self, *, user_pin: str | None = None) -> "_Session": ...


class _Session(Protocol):
    """What we use of a session."""

    def get_objects(self, attributes: Mapping[object, object]) -> Iterable[_Key]: ...

    def close(self) -> None: ...


def _named(pkcs11: ModuleType, names: tuple[str, ...]) -> tuple[type[Exception], ...]:
    return tuple(getattr(pkcs11, name) for name in names)


def _digest(algorithm: hashes.HashAlgorithm, octets: bytes) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(octets)
    return digest.finalize()
