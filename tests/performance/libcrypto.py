"""The system's own CMS, called in this process: what ours is measured against.

`ctypes` on `libcrypto.so.3`, for the benchmark only. The calls are those of `openssl cms`, with our
algorithms: AES-256-GCM, OAEP and PSS with SHA-256, X9.63 with SHA-256.

Sources
    CMS_sign(3), CMS_encrypt(3), CMS_decrypt(3), CMS_verify(3), SMIME_write_CMS(3) of OpenSSL 3.0.
"""

import ctypes
import ctypes.util
from collections.abc import Sequence
from ctypes import byref, c_char_p, c_long, c_void_p
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric import rsa

from crypto.certificates import Certificate
from crypto.issuing import Issued

DETACHED, BINARY, CRLF = 0x40, 0x80, 0x800
PARTIAL, REUSE_DIGEST, KEY_PARAM = 0x4000, 0x8000, 0x40000
_PADDING_OAEP, _PADDING_PSS = 4, 6
_BIO_CTRL_INFO = 3


class LibcryptoError(RuntimeError):
    """A call into the library failed."""


class Libcrypto:
    """The library, with results checked."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("crypto")
        if name is None or not name.endswith(".3"):
            raise LibcryptoError("libcrypto.so.3 is not here")
        self._library = ctypes.CDLL(name)

    def new(self, name: str, *args: object) -> c_void_p:
        """Call what returns a pointer, which must not be null."""
        function = self._library[name]
        function.restype = c_void_p
        value = function(*args)
        if not value:
            raise LibcryptoError(name)
        return c_void_p(value)

    def do(self, name: str, *args: object) -> None:
        """Call what returns one when it has worked."""
        if self._library[name](*args) != 1:
            raise LibcryptoError(name)

    def call(self, name: str, *args: object) -> None:
        """Call what cannot fail."""
        self._library[name](*args)

    def free(self, kind: str, *pointers: c_void_p) -> None:
        """Give memory back."""
        for each in pointers:
            self.call(f"{kind}_free", each)

    def reading(self, octets: bytes) -> c_void_p:
        """Open octets for reading; they must outlive the result."""
        return self.new("BIO_new_mem_buf", c_char_p(octets), len(octets))

    def writing(self) -> c_void_p:
        """Open memory for writing."""
        return self.new("BIO_new", self.new("BIO_s_mem"))

    def taken(self, bio: c_void_p) -> bytes:
        """Return what was written, and give its memory back."""
        data = c_void_p()
        control = self._library.BIO_ctrl
        control.restype = c_long
        size = control(bio, _BIO_CTRL_INFO, c_long(0), byref(data))
        octets = ctypes.string_at(data, size) if size else b""
        self.free("BIO", bio)
        return octets


class Cms:
    """Signs, encrypts, decrypts and verifies with libcrypto, from octets to octets."""

    def __init__(
        self, *, signer: Issued, reader: Issued, anchors: Sequence[Certificate], at: datetime
    ) -> None:
        self._lib = Libcrypto()
        self._signs_rsa = isinstance(signer.private_key, rsa.RSAPrivateKey)
        self._reads_rsa = isinstance(reader.private_key, rsa.RSAPrivateKey)
        self._signer, self._signer_key = self._certificate(signer.certificate), self._key(signer)
        self._reader, self._reader_key = self._certificate(reader.certificate), self._key(reader)
        self._chain = self._lib.new("OPENSSL_sk_new_null")
        for each in signer.chain:
            self._lib.call("OPENSSL_sk_push", self._chain, self._certificate(each))
        self._store = self._trusting(anchors, at)
        self._cipher = self._lib.new("EVP_get_cipherbyname", b"id-aes256-GCM")
        self._digest = self._lib.new("EVP_get_digestbyname", b"SHA256")

    def protect(self, entity: bytes, *, text: bool) -> bytes:
        """Sign, then encrypt; clear-signed and base64 when it is to be *text*, else opaque DER."""
        return self._encrypt(self._sign(entity, text=text), text=text)

    def open(self, letter: bytes, *, text: bool) -> bytes:
        """Decrypt, then verify."""
        return self._verify(self._decrypt(letter, text=text), text=text)

    def _sign(self, entity: bytes, *, text: bool) -> bytes:
        lib = self._lib
        flags = BINARY | PARTIAL | (DETACHED if text else 0)
        cms = lib.new("CMS_sign", None, None, self._chain, None, flags)
        added = flags | (KEY_PARAM if self._signs_rsa else 0)
        info = lib.new("CMS_add1_signer", cms, self._signer, self._signer_key, self._digest, added)
        if self._signs_rsa:
            context = lib.new("CMS_SignerInfo_get0_pkey_ctx", info)
            lib.do("EVP_PKEY_CTX_set_rsa_padding", context, _PADDING_PSS)
        source = lib.reading(entity)
        lib.do("CMS_final", cms, source, None, flags)
        lib.free("BIO", source)
        return self._written(cms, entity if text else None, flags, text=text)

    def _encrypt(self, content: bytes, *, text: bool) -> bytes:
        lib = self._lib
        flags = BINARY | PARTIAL
        cms = lib.new("CMS_encrypt", None, None, self._cipher, flags)
        info = lib.new("CMS_add1_recipient_cert", cms, self._reader, flags | KEY_PARAM)
        context = lib.new("CMS_RecipientInfo_get0_pkey_ctx", info)
        if self._reads_rsa:
            lib.do("EVP_PKEY_CTX_set_rsa_padding", context, _PADDING_OAEP)
            lib.do("EVP_PKEY_CTX_set_rsa_oaep_md", context, self._digest)
        else:
            lib.do("EVP_PKEY_CTX_set_ecdh_kdf_md", context, self._digest)
        source = lib.reading(content)
        lib.do("CMS_final", cms, source, None, flags)
        lib.free("BIO", source)
        return self._written(cms, None, BINARY, text=text)

    def _written(self, cms: c_void_p, content: bytes | None, flags: int, *, text: bool) -> bytes:
        lib = self._lib
        sink = lib.writing()
        if text:
            beside = None if content is None else lib.reading(content)
            lib.do("SMIME_write_CMS", sink, cms, beside, flags & ~PARTIAL | REUSE_DIGEST | CRLF)
            if beside is not None:
                lib.free("BIO", beside)
        else:
            lib.do("i2d_CMS_bio", sink, cms)
        lib.free("CMS_ContentInfo", cms)
        return lib.taken(sink)

    def _decrypt(self, letter: bytes, *, text: bool) -> bytes:
        lib = self._lib
        source, sink = lib.reading(letter), lib.writing()
        cms = (
            lib.new("SMIME_read_CMS", source, None)
            if text
            else lib.new("d2i_CMS_bio", source, None)
        )
        lib.do("CMS_decrypt", cms, self._reader_key, self._reader, None, sink, BINARY)
        lib.free("CMS_ContentInfo", cms)
        lib.free("BIO", source)
        return lib.taken(sink)

    def _verify(self, signed: bytes, *, text: bool) -> bytes:
        lib = self._lib
        source, sink = lib.reading(signed), lib.writing()
        content = c_void_p()
        cms = (
            lib.new("SMIME_read_CMS", source, byref(content))
            if text
            else lib.new("d2i_CMS_bio", source, None)
        )
        detached = content if text else None
        lib.do("CMS_verify", cms, None, self._store, detached, sink, BINARY)
        lib.free("CMS_ContentInfo", cms)
        lib.free("BIO", source, *([content] if text else []))
        return lib.taken(sink)

    def _certificate(self, certificate: Certificate) -> c_void_p:
        pem = certificate.pem.encode("ascii")
        return self._lib.new("PEM_read_bio_X509", self._lib.reading(pem), None, None, None)

    def _key(self, issued: Issued) -> c_void_p:
        pem = issued.private_key_pem.encode("ascii")
        return self._lib.new("PEM_read_bio_PrivateKey", self._lib.reading(pem), None, None, None)

    def _trusting(self, anchors: Sequence[Certificate], at: datetime) -> c_void_p:
        store = self._lib.new("X509_STORE_new")
        for each in anchors:
            self._lib.do("X509_STORE_add_cert", store, self._certificate(each))
        parameters = self._lib.new("X509_STORE_get0_param", store)
        self._lib.call("X509_VERIFY_PARAM_set_time", parameters, c_long(int(at.timestamp())))
        return store
