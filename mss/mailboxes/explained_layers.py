"""What is one layer of a letter, in words: also what could not be opened or believed.

What stands in the clear in a layer that failed (its algorithm, its recipients, who it says signed)
is a claim, and is what an administrator needs to find the missing key or certificate.

Errors
    None: what cannot be read is left out.
Sources
    RFC 5652.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from crypto import algorithms, cms, der
from crypto.certificates import Certificate
from crypto.cms_parts import IssuerAndSerial
from crypto.compressed_data import decompress
from crypto.entity import read_entity, split_signed
from crypto.errors import CryptoError, IndeterminateError, UntrustedError
from crypto.kinds import Kind
from crypto.layers import Layer

MAX_NAMED_RECIPIENTS: Final = 50
_COMMON_NAME: Final = "2.5.4.3"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedLayer:
    """One layer, outermost first.

    Attributes:
        kind: `signed`, `encrypted` or `compressed`.
        algorithm: As proven, else as the layer claims.
        key_algorithm: How the content key was managed; None if it was not recovered.
        signer: Subject of the first signer's certificate, RFC 4514.
        chain: Subjects from the signer to the anchor; empty if none was proven.
        signers: All of them.
        recipients: For whom it is encrypted, as the layer names them.
        opened_with: Subject of the certificate whose key opened it.
        holds: The layer is good by itself.
        error: Code of the reason why it is not.
    """

    kind: str
    algorithm: str | None = None
    key_algorithm: str | None = None
    signer: str | None = None
    chain: tuple[str, ...] = ()
    signers: tuple[str, ...] = ()
    signed_at: datetime | None = None
    recipients: tuple[str, ...] = ()
    opened_with: str | None = None
    holds: bool
    error: str | None = None


def explain_layer(layer: Layer, entity: bytes, *, is_tried: bool) -> ExplainedLayer:
    """Say what a layer is; *entity* is what it was found in."""
    error = None if layer.error is None else layer.error.code
    base = ExplainedLayer(
        kind=layer.kind.value, algorithm=layer.algorithm, holds=error is None, error=error
    )
    match layer.kind:
        case Kind.SIGNED:
            return _signed(layer, entity, base)
        case Kind.ENCRYPTED:
            return _encrypted(layer, entity, base, is_tried=is_tried)
        case _:
            return base


def octets_of(found: Sequence[Layer], entity: bytes) -> tuple[bytes, ...]:
    """Give the entity that each layer was found in, by following what each gave."""
    entities: list[bytes] = []
    for layer in found:
        entities.append(entity)
        entity = _inside(layer, entity)
    return tuple(entities)


def _inside(layer: Layer, entity: bytes) -> bytes:
    if layer.decrypted is not None:
        return layer.decrypted.entity
    if layer.proof is not None:
        return layer.proof.content
    if isinstance(layer.error, UntrustedError | IndeterminateError):
        return layer.error.content or b""
    if layer.kind is Kind.COMPRESSED and layer.error is None:
        with suppress(CryptoError):
            return decompress(read_entity(entity).decoded_body())
    return b""


def _signed(layer: Layer, entity: bytes, base: ExplainedLayer) -> ExplainedLayer:
    proof = layer.proof
    if proof is not None:
        return ExplainedLayer(
            kind=base.kind,
            algorithm=base.algorithm,
            signer=proof.signer.subject_text,
            chain=_subjects(proof.chain.certificates),
            signers=_subjects([each.certificate for each in proof.signers]),
            signed_at=proof.signed_at,
            holds=True,
        )
    claimed = _claimed_signers(entity)
    return ExplainedLayer(
        kind=base.kind,
        algorithm=_signature_algorithm(claimed),
        signer=None if layer.signer is None else layer.signer.subject_text,
        signers=() if layer.signer is None else (layer.signer.subject_text,),
        holds=False,
        error=base.error,
    )


def _subjects(certificates: Sequence[Certificate]) -> tuple[str, ...]:
    return tuple(each.subject_text for each in certificates)


def _claimed_signers(entity: bytes) -> tuple[cms.SignerInfo, ...]:
    try:
        header = read_entity(entity)
        if header.media_type == "multipart/signed":
            header = split_signed(header).signature
        return cms.parse_signed_data(header.decoded_body()).signers
    except CryptoError:
        return ()


def _signature_algorithm(signers: Sequence[cms.SignerInfo]) -> str | None:
    if not signers:
        return None
    oid, digest = signers[0].signature_algorithm.oid, signers[0].digest.oid
    name = algorithms.SIGNATURES.get(oid)
    if name is not None:
        return name.value
    if oid == algorithms.RSA and digest in algorithms.RSA_BY_DIGEST:
        return algorithms.RSA_BY_DIGEST[digest].value
    if oid == algorithms.RSA_PSS and digest in algorithms.PSS_BY_DIGEST:
        return algorithms.PSS_BY_DIGEST[digest].value
    return oid


def _encrypted(
    layer: Layer, entity: bytes, base: ExplainedLayer, *, is_tried: bool
) -> ExplainedLayer:
    enveloped = _enveloped(entity)
    algorithm = base.algorithm
    recipients: tuple[str, ...] = ()
    if enveloped is not None:
        named = enveloped.recipients[:MAX_NAMED_RECIPIENTS]
        recipients = tuple(dict.fromkeys(_recipient(each) for each in named))
        algorithm = algorithm or _cipher(enveloped.algorithm.oid)
    opened = layer.decrypted
    return ExplainedLayer(
        kind=base.kind,
        algorithm=algorithm,
        key_algorithm=None if opened is None else opened.key_algorithm,
        recipients=recipients,
        opened_with=None if opened is None or is_tried else opened.recipient.subject_text,
        holds=base.holds,
        error=base.error,
    )


def _enveloped(entity: bytes) -> cms.Enveloped | None:
    try:
        return cms.parse_enveloped(read_entity(entity).decoded_body())
    except CryptoError:
        return None


def _cipher(oid: str) -> str:
    known = algorithms.CONTENT_CIPHERS.get(oid)
    return oid if known is None else known.name


def _recipient(recipient: cms.Recipient) -> str:
    name = recipient.identifier
    if not isinstance(name, IssuerAndSerial):
        return f"key {name.value.hex()}"
    try:
        serial = f"{der.read_integer(der.parse(name.serial)):x}"
        issuer = _common_name(der.parse(name.issuer)) or "?"
    except CryptoError:
        return "unreadable name"
    return f"serial {serial} of {issuer}"


def _common_name(name: der.Element) -> str | None:
    """Find the last, most specific common name; whatever the characters, it is safe to print."""
    found: str | None = None
    for rdn in name.children():
        for pair in rdn.children():
            parts = pair.children()
            if len(parts) == 2 and der.read_oid(parts[0]) == _COMMON_NAME:
                found = parts[1].content.decode("utf-8", "replace")
    return None if found is None else "".join(c if c.isprintable() else "?" for c in found)
