"""Build SignedData by hand, rightly or wrongly: what no honest software writes."""

from collections.abc import Callable, Sequence
from hashlib import sha256

from crypto import algorithms, der
from crypto.algorithms import SignatureScheme
from crypto.certificates import Certificate
from crypto.entity import wrap_base64
from crypto.issuing import Issued

Attributes = list[tuple[str, list[bytes]]]

ENTITY = b"Content-Type: text/plain; charset=utf-8\r\n\r\nLettre de sortie.\r\n"
OTHER = b"Content-Type: text/plain; charset=utf-8\r\n\r\nAutre lettre.\r\n"
ECDSA = der.sequence(der.oid(algorithms.ECDSA_SHA256))
SHA256 = der.sequence(der.oid(algorithms.SHA256))


def unchanged(attributes: Attributes) -> Attributes:
    """Leave the usual attributes as they are."""
    return attributes


def usual_attributes(content: bytes) -> Attributes:
    """The two attributes without which nothing verifies."""
    return [
        (algorithms.CONTENT_TYPE, [der.oid(algorithms.DATA)]),
        (algorithms.MESSAGE_DIGEST, [der.octet_string(sha256(content).digest())]),
    ]


def encoded(attributes: Attributes) -> list[bytes]:
    """Encode attributes, in the order given."""
    return [der.sequence(der.oid(oid), der.encode(der.SET, *values)) for oid, values in attributes]


def signer_info(
    content: bytes,
    signer: Issued,
    *,
    change: Callable[[Attributes], Attributes] = unchanged,
    named: Certificate | None = None,
    digest: bytes = SHA256,
    algorithm: bytes = ECDSA,
    with_attributes: bool = True,
    sort: bool = True,
    damage: bool = False,
) -> bytes:
    """One SignerInfo whose signature holds unless *damage* is set.

    It is over the attributes as DER has them, or in their own order if told not to *sort*.
    """
    members = encoded(change(usual_attributes(content))) if with_attributes else []
    ordered = der.set_of(members) if sort else der.encode(der.SET, *members)
    tbs = ordered if with_attributes else content
    signature = bytearray(
        signer.key_holder().sign(signer.certificate, tbs, SignatureScheme.ECDSA_SHA256)
    )
    if damage:
        signature[-1] ^= 1
    certificate = named or signer.certificate
    return der.sequence(
        der.integer(1),
        der.sequence(certificate.issuer_der, certificate.serial_der),
        digest,
        *([der.encode(der.context(0), *members)] if with_attributes else []),
        algorithm,
        der.octet_string(bytes(signature)),
    )


def signed_data(
    infos: Sequence[bytes],
    certificates: Sequence[Certificate],
    *,
    content: bytes | None = None,
    content_type: str = algorithms.DATA,
    beside: bytes = b"",
) -> bytes:
    """A ContentInfo with these SignerInfos; detached unless there is *content*."""
    inside = [] if content is None else [der.encode(der.context(0), der.octet_string(content))]
    return der.sequence(
        der.oid(algorithms.SIGNED_DATA),
        der.encode(
            der.context(0),
            der.sequence(
                der.integer(1),
                der.encode(der.SET, SHA256),
                der.sequence(der.oid(content_type), *inside),
                der.encode(der.context(0), *(each.der for each in certificates), beside),
                der.encode(der.SET, *infos),
            ),
        ),
    )


def multipart(
    content: bytes,
    cms: bytes,
    *,
    before: bytes = b"",
    between: bytes = b"",
    after: bytes = b"",
) -> bytes:
    """A multipart/signed entity, with whatever is wanted around its two parts."""
    return b"".join(
        (
            b'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n',
            b' micalg=sha-256; boundary="edge"\r\n\r\n',
            before,
            b"--edge\r\n",
            content,
            between,
            b"\r\n--edge\r\n",
            b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n",
            b"Content-Transfer-Encoding: base64\r\n\r\n",
            wrap_base64(cms),
            b"--edge--\r\n",
            after,
        )
    )


def opaque(cms: bytes) -> bytes:
    """An application/pkcs7-mime entity."""
    return (
        b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + wrap_base64(cms)
    )
