"""Write a certificate request (CSR) to send to an authority with the public half of a key.

Sources
    RFC 2986 (PKCS #10); the subject has the shape of IGC-Santé's organisation certificates.
"""

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from crypto.errors import UnsupportedAlgorithmError
from crypto.issuing import Subject
from crypto.keys import PrivateKey


def build_request(key: PrivateKey, subject: Subject) -> str:
    """Write the request, PEM.

    Raises:
        UnsupportedAlgorithmError: A key of this kind cannot sign its own request.
    """
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise UnsupportedAlgorithmError(type(key).__name__)
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject.name())
    if subject.dns_names:
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in subject.dns_names])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode("ascii")
