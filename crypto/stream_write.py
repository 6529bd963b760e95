"""Sign and encrypt an entity of any size, from a flow of octets to a flow of octets.

Two readings: the first measures and hashes, then every header is known; the second writes them and
passes the content through the cipher. Memory is a few pieces, whatever the size, and lengths are
definite, as readers of DER want. Attributes, recipients and MIME fields are made where
`crypto.smime` makes them.

Errors
    Those of `crypto.smime.sign` and `crypto.smime.encrypt`; `FlowChangedError` when the two
    readings differ in length.
Sources
    RFC 5652, 5 and 6; RFC 8551, 3.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from crypto import base64_lines, enveloped_data, layout, signed_data
from crypto.algorithms import MICALG, digest_of
from crypto.certificates import Certificate
from crypto.enveloped_data import EnvelopeProfile
from crypto.flow import Flow, canonical_flow, joined, measured, of_octets
from crypto.ports import KeyHolder
from crypto.recipient_info import RecipientPlan
from crypto.smime import signing_certificate


class SignedForm(StrEnum):
    """Where the content of a signed entity is.

    CLEAR (multipart/signed) can be read by software that knows no S/MIME. OPAQUE has it inside the
    cryptographic object, where no relay can change it.
    """

    CLEAR = "clear"
    OPAQUE = "opaque"


@dataclass(frozen=True, slots=True)
class Measured:
    """A flow with the number of octets that every reading of it must give."""

    flow: Flow
    octets: int

    def pieces(self) -> Iterator[bytes]:
        """Begin a reading; it fails at the end, or before, if it is another number."""
        return measured(self.flow.pieces(), self.octets)


def sign(
    content: Flow,
    *,
    keys: KeyHolder,
    at: datetime,
    chain: Sequence[Certificate] = (),
    certificate: Certificate | None = None,
    attributes: Sequence[bytes] = (),
    form: SignedForm = SignedForm.CLEAR,
) -> Measured:
    """Return a signed entity around *content*, which is read once now.

    Args:
        content: An entity; bare CR or LF become CRLF first. No *binary* bodies.
        keys: Holds the key.
        at: The signing time to state, and the instant at which the certificate must be valid.
        chain: Intermediates to send along.
        certificate: Which one to sign with; by default the first that may.
        attributes: Further signed attributes.
        form: Where the content is to be.
    """
    signer = certificate or signing_certificate(keys, at=at)
    whole = canonical_flow(content)
    digest = hashlib.new(signed_data.digest_name(signer))
    size = 0
    for piece in whole.pieces():
        digest.update(piece)
        size += len(piece)
    is_clear = form is SignedForm.CLEAR
    around = signed_data.build_around(
        digest.digest(),
        content_octets=None if is_clear else size,
        certificate=signer,
        keys=keys,
        at=at,
        chain=chain,
        more=attributes,
    )
    inside = Measured(whole, size)
    if not is_clear:
        return _in_base64(layout.OPAQUE_SIGNED, _between(around, inside))
    micalg = MICALG[digest_of(signed_data.scheme_for(signer))]
    return _between(layout.clear_signed(around.before + around.after, micalg=micalg), inside)


def encrypt(
    content: Measured,
    *,
    recipients: Sequence[Certificate | RecipientPlan],
    profile: EnvelopeProfile | None = None,
) -> Iterator[bytes]:
    """Return the pieces of an encrypted entity around *content*; they can be had once.

    A second reading would use the same key and nonce again, and be fatal if the content had
    changed in between.
    """
    sealing = enveloped_data.prepare(recipients, profile=profile)
    yield layout.enveloped_header(is_authenticated=sealing.is_authenticated)
    sealed = sealing.pieces(content.pieces(), plain_octets=content.octets)
    yield from base64_lines.encode_pieces(sealed)


def measure(content: Flow) -> Measured:
    """Read *content* once to know its size."""
    return Measured(content, sum(map(len, content.pieces())))


def _between(around: layout.Around, content: Measured) -> Measured:
    flow = joined((of_octets(around.before), Flow(content.pieces), of_octets(around.after)))
    return Measured(flow, len(around.before) + content.octets + len(around.after))


def _in_base64(header: bytes, content: Measured) -> Measured:
    flow = joined((of_octets(header), base64_lines.encode(Flow(content.pieces))))
    return Measured(flow, len(header) + base64_lines.encoded_octets(content.octets))
