"""How is a signer tied to the author's mailbox?

A certificate of IGC-Santé for organisations carries no mail address: it names a structure. So a
valid signature alone says "this structure signed", and the tie to the mailbox comes from elsewhere:
the certificate itself, the directory, or the trust list (which structure operates the domain).
"""

from mss.model.security import Binding


def binding_of(
    *,
    author_key: str,
    signer_addresses: tuple[str, ...],
    signer_structure: str | None,
    mailbox_structures: frozenset[str],
    operator_structures: frozenset[str],
) -> Binding:
    """Say which tie holds, the closest first.

    Args:
        author_key: The author's address, normalised.
        signer_addresses: Mail addresses in the signer's certificate.
        signer_structure: National structure identifier in the certificate (`1` + FINESS…).
        mailbox_structures: Structures that the directory attaches the author's mailbox to.
        operator_structures: Structures whose certificates the trust list allows for the domain.
    """
    if author_key in {address.lower() for address in signer_addresses}:
        return Binding.ADDRESS
    if signer_structure is None:
        return Binding.NONE
    if signer_structure in mailbox_structures:
        return Binding.DIRECTORY
    if signer_structure in operator_structures:
        return Binding.OPERATOR
    return Binding.NONE
