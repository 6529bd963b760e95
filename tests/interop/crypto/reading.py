"""How does our own engine read what a peer wrote: in memory, and streaming?

Both must say the same of every letter, so they are asked together.
"""

import io
from dataclasses import dataclass

from crypto import layers, layout, smime_stream
from crypto.base64_lines import wrap_pieces
from crypto.keys import SoftwareKeyHolder
from crypto.layers import Layer, Unwrapped
from crypto.trust import MAIL_SIGNING
from tests.interop.crypto.identities import JUDGED_AT, Identities, Identity


@dataclass(frozen=True)
class Reading:
    """What we made of a letter.

    Attributes:
        said: The judgement, then each layer as words: algorithms, or the error; then its findings.
        content: The innermost entity, if it may be shown.
    """

    said: tuple[str, ...]
    content: bytes | None


def enveloped(octets: bytes) -> bytes:
    """Put a bare envelope into the entity that carries it."""
    return wrap_pieces([octets], header=layout.enveloped_header(is_authenticated=False))


def compressed(octets: bytes) -> bytes:
    """Put a bare CompressedData into the entity that carries it."""
    header = layout.OPAQUE_SIGNED.replace(b"signed-data", b"compressed-data")
    return wrap_pieces([octets], header=header)


def opaque(octets: bytes) -> bytes:
    """Put a bare SignedData with its content into the entity that carries it."""
    return wrap_pieces([octets], header=layout.OPAQUE_SIGNED)


def clear(octets: bytes, content: bytes) -> bytes:
    """Put a detached SignedData beside its content."""
    before, after = layout.clear_signed(octets, micalg="sha-256")
    return b"".join((before, content, after))


def read(entity: bytes, identities: Identities, *, reader: Identity | None = None) -> Reading:
    """Take off every layer, both ways; they must agree."""
    keys = SoftwareKeyHolder([]) if reader is None else reader.keys
    store, at = identities.store, JUDGED_AT
    unwrapped = layers.unwrap(entity, keys=keys, store=store, profile=MAIL_SIGNING, at=at)
    with smime_stream.open(
        io.BytesIO(entity),
        keys=keys,
        quarantine=io.BytesIO,
        trust=smime_stream.Trust(store=store, profile=MAIL_SIGNING, at=at),
    ) as opened:
        content = None if opened.content is None else opened.content.read()
        streamed = Reading(said=_said(opened.report), content=content)
    reading = Reading(said=_said(unwrapped), content=unwrapped.content)
    assert reading == streamed
    return reading


def _said(unwrapped: Unwrapped) -> tuple[str, ...]:
    words = [unwrapped.judgement.value]
    for layer in unwrapped.layers:
        words += [_layer(layer), *layer.findings]
    return tuple(words)


def _layer(layer: Layer) -> str:
    if layer.error is not None:
        return str(layer.error)
    if layer.decrypted is not None:
        return f"{layer.decrypted.key_algorithm}, {layer.decrypted.content_algorithm}"
    return str(layer.algorithm)
