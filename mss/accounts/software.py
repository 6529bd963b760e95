"""Which software shows this client certificate?

An application mailbox (APP) is used by software that logs in with a certificate of its structure
(IGC-Santé, ORG AUTH_CLI) in mutual TLS. The certificate is renewed every three years, so an account
is tied to its subject, compared part by part, and not to its fingerprint. The common name is free
in these certificates: the whole subject counts.

Errors
    `CredentialsRefusedError` with the reason.
Sources
    RFC 4422, appendix A (EXTERNAL); ANS, offre ORG of IGC-Santé; docs/adr/0021.
"""

from datetime import datetime

from crypto import trust
from crypto.certificates import CLIENT_AUTH, SERVER_AUTH, Certificate
from crypto.errors import IndeterminateError, UntrustedError
from directory.distinguished_name import DistinguishedName
from directory.errors import DirectoryError
from mss.accounts.errors import CredentialsRefusedError
from mss.errors import InvalidRequestError
from mss.trust_space import TrustSpace


def certificate_key(name: DistinguishedName) -> str:
    """Write a subject in the one form that accounts are found by."""
    return str(DistinguishedName(rdns=name.key))


def parse_certificate_name(text: str) -> str:
    """Read the subject that an administrator typed, RFC 4514, leaf first.

    Raises:
        InvalidRequestError: It is not one.
    """
    try:
        return certificate_key(DistinguishedName.parse(text))
    except DirectoryError as error:
        raise InvalidRequestError(field="certificate", reason=str(error)) from error


def judge_software(certificate: Certificate, *, space: TrustSpace, at: datetime) -> str:
    """Prove that a certificate holds, and return what its account is found by.

    Raises:
        CredentialsRefusedError: It does not lead to our anchors, is over or revoked, or is not for
            software that connects.
    """
    usages = certificate.extended_key_usages or ()
    if CLIENT_AUTH not in usages or SERVER_AUTH in usages:
        raise CredentialsRefusedError(reason="certificate-usage")
    try:
        trust.validate(
            certificate,
            store=space.store,
            profile=space.profile(trust.Usage.TLS_CLIENT),
            at=at,
        )
        return certificate_key(DistinguishedName.from_rdns(certificate.subject))
    except (UntrustedError, IndeterminateError) as error:
        raise CredentialsRefusedError(reason=error.code) from error
    except DirectoryError as error:
        raise CredentialsRefusedError(reason="certificate-name") from error
