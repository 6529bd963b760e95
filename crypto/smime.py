"""Sign, encrypt, decrypt and verify one MIME entity.

An *entity* is octets: header fields, an empty line, a body, with CRLF line ends. Results are
entities too, without MIME-Version, which belongs to the message around them. What is decrypted or
verified is handed back exactly as it was, to the octet.

Sign first, then encrypt. Without a signature inside, content from a cipher that does not
authenticate (`Decrypted.authenticated` is false) may have been changed by anybody.

Errors
    `NotSignedError` and `NotEncryptedError` when the entity does not claim to be so. Then the
    errors of `crypto.signed_data`, `crypto.enveloped_data`, `crypto.trust`, and `CmsSyntaxError`.
    `UntrustedError` and `IndeterminateError` carry the content and the signer's certificate
    when the octets did match, so that a letter can be kept with an honest verdict.
Sources
    RFC 8551 (S/MIME 4.0), RFC 1847 (multipart/signed); Poddebniak et al., Efail,
    2018; Müller et al., Johnny, you are fired! (spoofed signatures), USENIX Security 2019.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from crypto import cms, enveloped_data, layout, signed_data
from crypto.algorithms import (
    AUTH_ENVELOPED_DATA,
    ENVELOPED_DATA,
    MICALG,
    SIGNED_DATA,
    SignatureScheme,
    digest_of,
)
from crypto.canonical import canonical
from crypto.certificates import EMAIL_PROTECTION, Certificate, parse_certificate
from crypto.entity import Entity, read_entity, split_signed, wrap_base64
from crypto.enveloped_data import EnvelopeProfile, profile_for
from crypto.errors import (
    CertificateSyntaxError,
    CmsSyntaxError,
    DecryptionError,
    IndeterminateError,
    KeyUnavailableError,
    NotEncryptedError,
    NotSignedError,
    SignatureError,
    UntrustedError,
)
from crypto.ports import KeyHolder
from crypto.trust import Profile, TrustStore, ValidatedChain, validate

__all__ = [
    "Decrypted",
    "EnvelopeProfile",
    "Kind",
    "SignedBy",
    "classify",
    "decrypt",
    "decrypt_cms",
    "encrypt",
    "profile_for",
    "sign",
    "signing_certificate",
    "verify",
    "verify_cms",
]

_PKCS7_MIME: Final = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
_PKCS7_SIGNATURE: Final = frozenset(
    {"application/pkcs7-signature", "application/x-pkcs7-signature"}
)
_PEEK_OCTETS: Final = 256


class Kind(StrEnum):
    """What an entity claims to be."""

    ENCRYPTED = "encrypted"
    SIGNED = "signed"
    OTHER_CMS = "other-cms"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decrypted:
    """An entity that was encrypted for us.

    Attributes:
        entity: The entity inside, exactly as the sender made it.
        authenticated: The cipher proves that nobody changed it on the way.
        recipient: The certificate of ours that was named.
        findings: Kebab-case remarks, such as `content-not-authenticated` or `legacy-rsa-pkcs1`.
    """

    entity: bytes = field(repr=False)
    authenticated: bool
    content_algorithm: str
    key_algorithm: str
    recipient: Certificate
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBy:
    """Proof that an entity was signed by somebody we trust. Exists only if the signature held.

    Attributes:
        content: The entity that is signed, exactly.
        signer: The certificate of the first signer.
        chain: What convinced us of it.
        signed_at: When the signer says that it was; a claim.
        others: Further signers; all of them hold, else there is no proof.
        findings: Kebab-case remarks.
    """

    content: bytes = field(repr=False)
    signer: Certificate
    chain: ValidatedChain = field(repr=False)
    signed_at: datetime | None
    algorithm: SignatureScheme
    others: tuple[ValidatedChain, ...] = field(default=(), repr=False)
    findings: tuple[str, ...] = ()


def classify(entity: bytes) -> Kind:
    """Say what an entity claims to be, from its header and the first octets of its body.

    For CMS the content type inside decides; the `smime-type` parameter is spelt in many ways and
    only serves when the body is unreadable.
    """
    return _kind(read_entity(entity))


def _kind(header: Entity) -> Kind:
    if header.is_ambiguous:
        return Kind.PLAIN
    if header.media_type == "multipart/signed":
        protocol = header.parameters.get("protocol", "").lower()
        return Kind.SIGNED if protocol in _PKCS7_SIGNATURE else Kind.PLAIN
    if header.media_type not in _PKCS7_MIME:
        return Kind.PLAIN
    try:
        content_type = cms.read_content_type(header.decoded_body(first=_PEEK_OCTETS))
    except CmsSyntaxError:
        return _kind_by_parameter(header)
    if content_type in {ENVELOPED_DATA, AUTH_ENVELOPED_DATA}:
        return Kind.ENCRYPTED
    return Kind.SIGNED if content_type == SIGNED_DATA else Kind.OTHER_CMS


def _kind_by_parameter(header: Entity) -> Kind:
    smime_type = header.parameters.get("smime-type", "").lower()
    if "enveloped" in smime_type:
        return Kind.ENCRYPTED
    return Kind.SIGNED if smime_type == "signed-data" else Kind.OTHER_CMS


# --- Signing ---------------------------------------------------------------------------------


def sign(
    entity: bytes,
    *,
    keys: KeyHolder,
    at: datetime,
    chain: Sequence[Certificate] = (),
    certificate: Certificate | None = None,
) -> bytes:
    """Return a multipart/signed entity around *entity*.

    Args:
        entity: What to sign; bare CR or LF become CRLF first. No *binary* bodies.
        keys: Holds the key.
        at: The signing time to state, and the instant at which the certificate must be valid.
        chain: Intermediates to send along.
        certificate: Which one to sign with; by default the first that may.

    Raises:
        KeyUnavailableError: No certificate of *keys* may sign mail at *at*.
    """
    signer = certificate or signing_certificate(keys, at=at)
    content = canonical(entity)
    signature = signed_data.build(content, certificate=signer, keys=keys, at=at, chain=chain)
    micalg = MICALG[digest_of(signed_data.scheme_for(signer))]
    before, after = layout.clear_signed(signature, micalg=micalg)
    return b"".join((before, content, after))


def signing_certificate(keys: KeyHolder, *, at: datetime) -> Certificate:
    """Return the first certificate of *keys* that may sign mail at *at*."""
    for certificate in keys.certificates:
        usages = certificate.extended_key_usages
        if (
            certificate.is_valid_at(at)
            and certificate.allows("digitalSignature", "nonRepudiation")
            and (usages is None or EMAIL_PROTECTION in usages)
        ):
            return certificate
    raise KeyUnavailableError("no-signing-certificate")


# --- Encrypting ------------------------------------------------------------------------------


def encrypt(
    entity: bytes,
    *,
    recipients: Sequence[Certificate],
    profile: EnvelopeProfile | None = None,
) -> bytes:
    """Return an application/pkcs7-mime entity that only *recipients* can open.

    Args:
        entity: What to encrypt, signed beforehand.
        recipients: One certificate for each who may read; validated by the caller.
        profile: By default MODERN if all recipients announce it, else COMPATIBLE.

    Raises:
        KeyUnavailableError: No recipient, too many, or a certificate that is not for encryption.
        UnsupportedAlgorithmError: A recipient's key is of a kind or size that we do not use.
    """
    chosen = profile or profile_for(recipients)
    sealed = enveloped_data.build(entity, recipients=recipients, profile=chosen)
    header = layout.enveloped_header(is_authenticated=chosen is EnvelopeProfile.MODERN)
    return header + wrap_base64(sealed)


def decrypt(entity: bytes, *, keys: KeyHolder, only_authenticated: bool = False) -> Decrypted:
    """Return the entity inside an encrypted one.

    Args:
        entity: The encrypted entity; it must be the whole message or part that is judged.
        keys: Holds the keys.
        only_authenticated: Refuse ciphers that do not authenticate, for senders known to do better.

    Raises:
        NotEncryptedError: It does not claim to be encrypted.
        CmsSyntaxError: The structure is unreadable.
        NoMatchingKeyError: It was not encrypted for one of our certificates.
        DecryptionError: It cannot be decrypted; nobody may learn why.
    """
    header = read_entity(entity)
    if _kind(header) is not Kind.ENCRYPTED:
        raise NotEncryptedError
    return decrypt_cms(header.decoded_body(), keys=keys, only_authenticated=only_authenticated)


def decrypt_cms(octets: bytes, *, keys: KeyHolder, only_authenticated: bool = False) -> Decrypted:
    """Do as `decrypt` for a bare CMS object in DER or BER."""
    opened = enveloped_data.decrypt(cms.parse_enveloped(octets), keys=keys)
    if only_authenticated and not opened.is_authenticated:
        raise DecryptionError
    return Decrypted(
        entity=opened.content,
        authenticated=opened.is_authenticated,
        content_algorithm=opened.content_algorithm,
        key_algorithm=opened.key_algorithm,
        recipient=opened.recipient,
        findings=opened.findings,
    )


# --- Verifying -------------------------------------------------------------------------------


def verify(
    entity: bytes,
    *,
    store: TrustStore,
    profile: Profile,
    at: datetime,
    intermediates: Sequence[Certificate] = (),
    digest: Callable[[str], bytes] | None = None,
) -> SignedBy:
    """Prove who signed an entity, multipart/signed or opaque.

    The octets are checked as received and never re-encoded first (RFC 8551, 3.1.1).

    Args:
        entity: One entity, header included, CRLF line ends.
        store: Whom we trust.
        profile: The rules for the signer's certificate, usually `crypto.trust.MAIL_SIGNING`.
        at: Instant to judge at; usually the time of receipt.
        intermediates: Certificates at hand besides those in the message.
        digest: Gives the digest of the content by its name when the content was left out of
            *entity* because it is large; the proof then carries no content.

    Raises:
        NotSignedError: It does not claim to be signed.
        CmsSyntaxError: The structure is unreadable.
        SignatureError: It claims to be signed, but octets or form are wrong.
        UntrustedError: The octets match, but a signer does not chain to *store* for this use.
        IndeterminateError: The octets match, but a signer's status cannot be told; or its
            certificate is not at hand, in which case `content` is None.
    """
    header = read_entity(entity)
    if header.is_ambiguous and "sign" in header.media_type:
        raise SignatureError("header-ambiguous")
    if _kind(header) is not Kind.SIGNED:
        raise NotSignedError
    findings: tuple[str, ...] = ()
    content = None
    signature = header
    if header.media_type == "multipart/signed":
        parts = split_signed(header)
        content, signature = parts.content, parts.signature
        if signature.media_type not in _PKCS7_SIGNATURE or signature.is_ambiguous:
            raise SignatureError("signature-part")
        findings = ("preamble-ignored",) if parts.has_preamble else ()
    return _verify(
        signature.decoded_body(),
        content=content,
        store=store,
        profile=profile,
        at=at,
        intermediates=intermediates,
        findings=findings,
        digest=digest,
    )


def verify_cms(
    octets: bytes,
    *,
    content: bytes | None = None,
    store: TrustStore,
    profile: Profile,
    at: datetime,
    intermediates: Sequence[Certificate] = (),
    digest: Callable[[str], bytes] | None = None,
) -> SignedBy:
    """Do as `verify` for a bare CMS object, with its detached content if it has one."""
    return _verify(
        octets,
        content=content,
        store=store,
        profile=profile,
        at=at,
        intermediates=intermediates,
        findings=(),
        digest=digest,
    )


def _verify(
    octets: bytes,
    *,
    content: bytes | None,
    store: TrustStore,
    profile: Profile,
    at: datetime,
    intermediates: Sequence[Certificate],
    findings: tuple[str, ...],
    digest: Callable[[str], bytes] | None,
) -> SignedBy:
    signed = cms.parse_signed_data(octets)
    included, unreadable = _read_certificates(signed.certificates)
    candidates = (*included, *intermediates, *store.intermediates)
    matched = signed_data.content_of(signed, content=content)
    signers = signed_data.verify(
        signed, digest=digest or signed_data.digests(matched), candidates=candidates
    )
    chains: list[ValidatedChain] = []
    for signer in signers:
        try:
            chain = validate(
                signer.certificate,
                intermediates=(*included, *intermediates),
                store=store,
                profile=profile,
                at=at,
            )
        except (UntrustedError, IndeterminateError) as error:
            error.content, error.signer = matched, signer.certificate
            raise
        chains.append(chain)
    remarks: Iterable[str] = (
        *findings,
        *(("certificate-unreadable",) if unreadable else ()),
        *(finding for signer in signers for finding in signer.findings),
        *(finding for chain in chains for finding in chain.findings),
        *(("signing-time-in-future",) if _is_future(signers, at) else ()),
    )
    return SignedBy(
        content=matched,
        signer=signers[0].certificate,
        chain=chains[0],
        signed_at=signers[0].signed_at,
        algorithm=signers[0].algorithm,
        others=tuple(chains[1:]),
        findings=tuple(dict.fromkeys(remarks)),
    )


def _read_certificates(octets: Sequence[bytes]) -> tuple[list[Certificate], int]:
    """Read what came along; one that is unreadable is passed over, and counted."""
    found: list[Certificate] = []
    for each in octets:
        try:
            found.append(parse_certificate(each))
        except CertificateSyntaxError:
            continue
    return found, len(octets) - len(found)


def _is_future(signers: Sequence[signed_data.Signer], at: datetime) -> bool:
    return any(each.signed_at is not None and each.signed_at > at for each in signers)
