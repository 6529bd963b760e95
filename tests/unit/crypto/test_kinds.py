"""What an entity claims to be, told from its outside."""

import pytest

from crypto.entity import read_entity
from crypto.kinds import Kind, classify, is_enveloped_without_tag, is_signature

WITHOUT_PROTOCOL = (
    b"Content-Type: multipart/signed; boundary=x\r\n\r\n--x\r\n\r\na\r\n--x\r\n"
    b"Content-Type: %s\r\n\r\nb\r\n--x--\r\n"
)
PKCS7 = b"Content-Type: application/pkcs7-mime; smime-type=%s\r\n\r\n%s"


@pytest.mark.parametrize(
    ("entity", "kind"),
    [
        (b"Content-Type: text/plain\r\n\r\nx", Kind.PLAIN),
        (b"", Kind.PLAIN),
        (b"\r\n", Kind.PLAIN),
        (b"Content-Type: multipart/signed; protocol=application/pgp-signature\r\n\r\n", Kind.PLAIN),
        (
            b'Content-Type: multipart/signed; protocol="application/x-pkcs7-signature"\r\n\r\n',
            Kind.SIGNED,
        ),
        (PKCS7 % (b"enveloped-data", b"rubbish"), Kind.ENCRYPTED),
        (PKCS7 % (b"authenticated-enveloped-data", b""), Kind.ENCRYPTED),
        (PKCS7 % (b"signed-data", b""), Kind.SIGNED),
        (PKCS7 % (b"compressed-data", b""), Kind.COMPRESSED),
        (PKCS7 % (b"certs-only", b""), Kind.OTHER_CMS),
        (
            PKCS7 % (b"signed-data", bytes.fromhex("3080060b2a864886f70d0109100109")),
            Kind.COMPRESSED,
        ),
        (PKCS7 % (b"x", bytes.fromhex("308006032a0304")), Kind.OTHER_CMS),
        (b"Content-Type: multipart/signed; boundary=x\r\n\r\n", Kind.PLAIN),
        (WITHOUT_PROTOCOL % b"application/pkcs7-signature", Kind.SIGNED),
        (WITHOUT_PROTOCOL % b"application/pgp-signature", Kind.PLAIN),
        (b"Content-Type: application/octet-stream; name=a.p7m\r\n\r\nrubbish", Kind.PLAIN),
        (
            b"Content-Type: application/octet-stream; name=a.P7M\r\n\r\n"
            + bytes.fromhex("308006092a864886f70d010703"),
            Kind.ENCRYPTED,
        ),
        (
            b"Content-Type: application/octet-stream; name=a.pdf\r\n\r\n"
            + bytes.fromhex("308006092a864886f70d010703"),
            Kind.PLAIN,
        ),
        (
            b"Content-Type: text/plain\r\nContent-Type: application/pkcs7-mime\r\n\r\n",
            Kind.PLAIN,
        ),
    ],
)
def test_an_entity_is_told_by_what_it_claims(entity: bytes, kind: Kind) -> None:
    """Whatever the octets, there is an answer; in doubt it is *plain*."""
    assert classify(entity) is kind


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (b"Content-Type: application/pkcs7-signature", True),
        (b"Content-Type: application/x-pkcs7-signature; name=x", True),
        (b"Content-Type: application/octet-stream; name=smime.p7s", True),
        (b"Content-Type: application/octet-stream; name=smime.p7m", False),
        (b"Content-Type: text/plain; name=smime.p7s", False),
        (b"Content-Type: application/pkcs7-signature\r\nContent-Type: text/plain", False),
    ],
)
def test_a_signature_part_is_told_by_type_or_name(header: bytes, wanted: object) -> None:
    """RFC 8551, 3.9: gateways turn what they do not know into octets with a name."""
    assert is_signature(read_entity(header + b"\r\n\r\n")) is wanted


@pytest.mark.parametrize(
    ("inside", "wanted"),
    [
        (bytes.fromhex("308006092a864886f70d010703"), True),
        (bytes.fromhex("3080060b2a864886f70d0109100117"), False),
        (b"rubbish", True),
    ],
)
def test_content_without_a_tag_is_told_before_it_is_opened(inside: bytes, wanted: object) -> None:
    """The answer to such content must not depend on whether it could be opened."""
    assert is_enveloped_without_tag(read_entity(PKCS7 % (b"x", inside))) is wanted
