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

from crypto import cms, enveloped_data, layout, signed_data
from crypto.algorithms import MICALG, SignatureScheme, digest_of
from crypto.base64_lines import blocks, wrap_pieces
from crypto.canonical import canonical
from crypto.capabilities import find_capabilities
from crypto.certificates import EMAIL_PROTECTION, Certificate, parse_certificate
from crypto.entity import read_entity, split_signed
from crypto.enveloped_data import (
    EnvelopeProfile,
    RecipientPlan,
    content_profile,
    plan_recipients,
    profile_for,
)
from crypto.errors import (
    CertificateSyntaxError,
    DecryptionError,
    IndeterminateError,
    KeyUnavailableError,
    NotEncryptedError,
    NotSignedError,
    SignatureError,
    UntrustedError,
)
from crypto.kinds import Kind, classify, is_signature, kind_of
from crypto.ports import KeyHolder
from crypto.recipient_list import ListedRecipient, find_recipient_list
from crypto.trust import Profile, TrustStore, ValidatedChain, validate

__all__ = [
    "Decrypted",
    "EnvelopeProfile",
    "Kind",
    "RecipientPlan",
    "SignedBy",
    "SignerProof",
    "classify",
    "decrypt",
    "decrypt_cms",
    "encrypt",
    "is_encrypted_for",
    "profile_for",
    "sign",
    "signing_certificate",
    "verify",
    "verify_cms",
]


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
class SignerProof:
    """Proof that one signer signed, and what that signer stated beside the content.

    Attributes:
        signed_at: When the signer says that it was; a claim.
        capabilities: What the signer can read, as `crypto.capabilities`; None if nothing is said.
        recipients: For whom the signer wrote; None if nothing is said.
    """

    certificate: Certificate
    chain: ValidatedChain = field(repr=False)
    signed_at: datetime | None
    algorithm: SignatureScheme
    capabilities: tuple[str, ...] | None = field(default=None, repr=False)
    recipients: tuple[ListedRecipient, ...] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedBy:
    """Proof that an entity was signed by somebody we trust. Exists only if the signature held.

    Attributes:
        content: The entity that is signed, exactly.
        signer: The certificate of the first signer.
        chain: What convinced us of it.
        signed_at: When the signer says that it was; a claim.
        others: Further signers; all of them hold, else there is no proof.
        signers: Every signer, with what each stated. One cannot speak for another: anybody may
            add a signature of their own to a letter.
        findings: Kebab-case remarks.
    """

    content: bytes = field(repr=False)
    signer: Certificate
    chain: ValidatedChain = field(repr=False)
    signed_at: datetime | None
    algorithm: SignatureScheme
    others: tuple[ValidatedChain, ...] = field(default=(), repr=False)
    signers: tuple[SignerProof, ...] = field(default=(), repr=False)
    findings: tuple[str, ...] = ()


# --- Signing ---------------------------------------------------------------------------------


def sign(
    entity: bytes,
    *,
    keys: KeyHolder,
    at: datetime,
    chain: Sequence[Certificate] = (),
    certificate: Certificate | None = None,
    attributes: Sequence[bytes] = (),
) -> bytes:
    """Return a multipart/signed entity around *entity*.

    Args:
        entity: What to sign; bare CR or LF become CRLF first. No *binary* bodies.
        keys: Holds the key.
        at: The signing time to state, and the instant at which the certificate must be valid.
        chain: Intermediates to send along.
        certificate: Which one to sign with; by default the first that may.
        attributes: Further signed attributes, such as a `crypto.recipient_list`.

    Raises:
        KeyUnavailableError: No certificate of *keys* may sign mail at *at*.
    """
    signer = certificate or signing_certificate(keys, at=at)
    content = canonical(entity)
    signature = signed_data.build(
        content, certificate=signer, keys=keys, at=at, chain=chain, more=attributes
    )
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
    recipients: Sequence[Certificate | RecipientPlan],
    profile: EnvelopeProfile | None = None,
) -> bytes:
    """Return an application/pkcs7-mime entity that only *recipients* can open.

    The content cipher is the strongest that all can read; keys are managed for each apart.

    Args:
        entity: What to encrypt, signed beforehand.
        recipients: One certificate for each who may read, validated by the caller; a plan for
            those of whom more is known than their certificate says.
        profile: For plain certificates; by default what each announces.

    Raises:
        KeyUnavailableError: No recipient, too many, or a certificate that is not for encryption.
        UnsupportedAlgorithmError: A recipient's key is of a kind or size that we do not use.
    """
    plans = plan_recipients(recipients, profile=profile)
    sealing = enveloped_data.prepare(plans)
    sealed = sealing.pieces(blocks(entity), plain_octets=len(entity))
    header = layout.enveloped_header(
        is_authenticated=content_profile(plans) is EnvelopeProfile.MODERN
    )
    return wrap_pieces(sealed, header=header)


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
    if kind_of(header) is not Kind.ENCRYPTED:
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


def is_encrypted_for(entity: bytes, certificate: Certificate) -> bool:
    """Say whether an encrypted entity, signed outside or not, names *certificate* as a recipient.

    Raises:
        CmsSyntaxError: It claims to be encrypted, but its structure is unreadable.
        SignatureError: It claims to be signed, but has not that form.
    """
    header = read_entity(entity)
    if header.media_type == "multipart/signed":
        header = read_entity(split_signed(header).content)
    if kind_of(header) is not Kind.ENCRYPTED:
        return False
    named = cms.parse_enveloped(header.decoded_body()).recipients
    return any(each.identifier.matches(certificate) for each in named)


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
        IndeterminateError: The digest matches, but a signer's status cannot be told; or its
            certificate is not at hand, in which case `signer` is None.
    """
    header = read_entity(entity)
    if header.is_ambiguous and "sign" in header.media_type:
        raise SignatureError("header-ambiguous")
    if kind_of(header) is not Kind.SIGNED:
        raise NotSignedError
    findings: tuple[str, ...] = ()
    content = None
    signature = header
    if header.media_type == "multipart/signed":
        parts = split_signed(header)
        content, signature = parts.content, parts.signature
        if not is_signature(signature):
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
    try:
        signers = signed_data.verify(
            signed, digest=digest or signed_data.digests(matched), candidates=candidates
        )
        chains = _validate_all(
            [each.certificate for each in signers],
            intermediates=(*included, *intermediates),
            store=store,
            profile=profile,
            at=at,
        )
    except (UntrustedError, IndeterminateError) as error:
        error.content = matched
        raise
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
        signers=tuple(map(_proof, signers, chains)),
        findings=tuple(dict.fromkeys(remarks)),
    )


def _validate_all(
    certificates: Sequence[Certificate],
    *,
    intermediates: Sequence[Certificate],
    store: TrustStore,
    profile: Profile,
    at: datetime,
) -> list[ValidatedChain]:
    """Prove that every signer is trusted; one who is not counts before one who cannot be judged."""
    chains: list[ValidatedChain] = []
    unclear: IndeterminateError | None = None
    for certificate in certificates:
        try:
            chains.append(
                validate(
                    certificate, intermediates=intermediates, store=store, profile=profile, at=at
                )
            )
        except UntrustedError as error:
            error.signer = certificate
            raise
        except IndeterminateError as error:
            error.signer = certificate
            unclear = unclear or error
    if unclear is not None:
        raise unclear
    return chains


def _proof(signer: signed_data.Signer, chain: ValidatedChain) -> SignerProof:
    return SignerProof(
        certificate=signer.certificate,
        chain=chain,
        signed_at=signer.signed_at,
        algorithm=signer.algorithm,
        capabilities=find_capabilities(signer.attributes),
        recipients=find_recipient_list(signer.attributes),
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
