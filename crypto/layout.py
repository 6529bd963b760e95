"""The MIME header fields and boundaries that stand around what S/MIME makes.

One place, so that a letter made in memory and one that streams have the same form. Entities here
have no MIME-Version, which belongs to the message around them.

Sources
    RFC 8551, 3.2 (application/pkcs7-mime) and 3.5.3 (multipart/signed); RFC 1847, 2.1.
"""

import secrets
from typing import Final, NamedTuple

from crypto.base64_lines import wrap_base64

OPAQUE_SIGNED: Final = (
    b'Content-Type: application/pkcs7-mime; smime-type=signed-data; name="smime.p7m"\r\n'
    b"Content-Transfer-Encoding: base64\r\n"
    b'Content-Disposition: attachment; filename="smime.p7m"\r\n\r\n'
)
"""The header of an opaque SignedData; base64 follows."""


class Around(NamedTuple):
    """What stands before the content and what stands after it."""

    before: bytes
    after: bytes


def clear_signed(signature: bytes, *, micalg: str) -> Around:
    """Return a multipart/signed without its content, which must be canonical and is not touched.

    Args:
        signature: The detached SignedData.
        micalg: Name of the digest (RFC 8551, 3.5.3.2).
    """
    boundary = f"=_signed_{secrets.token_hex(16)}"
    before = (
        'Content-Type: multipart/signed; protocol="application/pkcs7-signature";\r\n'
        f' micalg={micalg}; boundary="{boundary}"\r\n'
        f"\r\n--{boundary}\r\n"
    )
    between = (
        f"\r\n--{boundary}\r\n"
        'Content-Type: application/pkcs7-signature; name="smime.p7s"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="smime.p7s"\r\n\r\n'
    )
    after = (between.encode("ascii"), wrap_base64(signature), f"--{boundary}--\r\n".encode("ascii"))
    return Around(before=before.encode("ascii"), after=b"".join(after))


def enveloped_header(*, is_authenticated: bool) -> bytes:
    """Return the header of an encrypted entity; base64 follows."""
    smime_type = "authEnveloped-data" if is_authenticated else "enveloped-data"
    return (
        f'Content-Type: application/pkcs7-mime; smime-type={smime_type}; name="smime.p7m"\r\n'
        "Content-Transfer-Encoding: base64\r\n"
        'Content-Disposition: attachment; filename="smime.p7m"\r\n\r\n'
    ).encode("ascii")
