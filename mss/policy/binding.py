"""How is a signer tied to the author's mailbox?

A person's certificate names mail addresses, and speaks for these alone. A certificate of IGC-Santé
for organisations carries no address: it names a structure. A valid signature then says "this
structure signed", and the tie to the mailbox comes from elsewhere: a domain in the certificate, the
directory, or the trust list (which structure operates the domain).

Sources
    RFC 8550, 3 (an address in the certificate must be the author's, if there is any).
"""

from mss.model.security import Binding


def binding_of(
    *,
    author_key: str,
    signer_addresses: tuple[str, ...],
    signer_domains: tuple[str, ...] = (),
    signer_structure: str | None,
    mailbox_structures: frozenset[str],
    operator_structures: frozenset[str],
) -> Binding:
    """Say which tie holds, the closest first.

    Args:
        author_key: The author's address, normalised.
        signer_addresses: Mail addresses in the signer's certificate; one without a local part
            stands for its whole domain.
        signer_domains: Domain names in the signer's certificate.
        signer_structure: National structure identifier in the certificate (`1` + FINESS…).
        mailbox_structures: Structures that the directory attaches the author's mailbox to.
        operator_structures: Structures whose certificates the trust list allows for the domain.
    """
    named = [name.lower().rpartition("@") for name in signer_addresses]
    if author_key in {f"{local}@{domain}" for local, _, domain in named}:
        return Binding.ADDRESS
    domains = {domain for local, _, domain in named if not local}
    if author_key.rpartition("@")[2] in domains | {name.lower() for name in signer_domains}:
        return Binding.DOMAIN
    if any(local for local, _, _ in named):
        return Binding.NONE  # issued for somebody else, if of the same structure
    if signer_structure is None:
        return Binding.NONE
    if signer_structure in mailbox_structures:
        return Binding.DIRECTORY
    return Binding.OPERATOR if signer_structure in operator_structures else Binding.NONE
