"""Keep mail that is recorded today closed when the curves of today are broken.

A letter that is already encrypted for its reader goes into a second envelope, whose only keys are
those of ML-KEM, between two operators who agreed on it. Both layers are needed to read: whoever
breaks one of them, lattices or curves, reads nothing. Adding ML-KEM *beside* a classical recipient
would be no help, since either key would open the message, so `crypto.recipient_info` refuses it.

Both layers are ordinary S/MIME: to open a letter, decrypt twice with a key holder that has both
keys. `unwrap` does the outer half and insists on it.

Errors
    As `crypto.smime.encrypt` and `crypto.smime.decrypt`; `NotEncryptedError` when there is no inner
    envelope, or the outer one is not of ML-KEM.
Sources
    RFC 9629 and RFC 9936 (ML-KEM in CMS), FIPS 203 (ML-KEM), RFC 5083; ADR 0015.
"""

from collections.abc import Sequence

from crypto import cms, smime
from crypto.certificates import Certificate
from crypto.entity import read_entity
from crypto.errors import KeyUnavailableError, NotEncryptedError
from crypto.ports import KeyHolder
from crypto.recipient_info import EnvelopeProfile, is_post_quantum
from crypto.smime import Decrypted, Kind


def wrap(entity: bytes, *, recipients: Sequence[Certificate]) -> bytes:
    """Return an encrypted *entity* in an outer envelope for ML-KEM keys.

    Args:
        entity: Encrypted already; ML-KEM alone would be no hybrid.
        recipients: ML-KEM certificates of the receiving operator, validated by the caller.

    Raises:
        NotEncryptedError: *entity* is not encrypted.
        KeyUnavailableError: There is no recipient, or a certificate is not for ML-KEM.
    """
    if smime.classify(entity) is not Kind.ENCRYPTED:
        raise NotEncryptedError
    if not all(map(is_post_quantum, recipients)):
        raise KeyUnavailableError("not-post-quantum")
    return smime.encrypt(entity, recipients=recipients, profile=EnvelopeProfile.MODERN)


def is_wrapped(entity: bytes) -> bool:
    """Say whether *entity* is an envelope whose every recipient has ML-KEM.

    Raises:
        CmsSyntaxError: It claims to be encrypted, but its structure is unreadable.
    """
    header = read_entity(entity)
    if smime.classify(entity) is not Kind.ENCRYPTED:
        return False
    enveloped = cms.parse_enveloped(header.decoded_body())
    return bool(enveloped.recipients) and all(
        isinstance(each, cms.KemRecipient) for each in enveloped.recipients
    )


def unwrap(entity: bytes, *, keys: KeyHolder) -> Decrypted:
    """Take the outer envelope off; what is inside is encrypted still.

    Raises:
        NotEncryptedError: The envelope is not of ML-KEM, or it holds something in clear.
        NoMatchingKeyError: It was not made for one of our certificates.
        DecryptionError: It cannot be decrypted; nobody may learn why.
    """
    if not is_wrapped(entity):
        raise NotEncryptedError
    opened = smime.decrypt(entity, keys=keys, only_authenticated=True)
    if smime.classify(opened.entity) is not Kind.ENCRYPTED:
        raise NotEncryptedError
    return opened
