"""Does the letter around the cryptography agree with what was proven?

The header, the author and the recipients of a mail, compared with what its signer signed. The
rules are those of the door (`mss.policy`); there is no directory here, so a certificate without an
address is not held against the author.

Errors
    None for content.
Sources
    RFC 9788; RFC 8550, 3; docs/adr/0016.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from crypto.certificates import Certificate
from crypto.layers import Judgement, Unwrapped
from crypto.recipient_list import ListedRecipient
from crypto.smime import SignerProof
from mss.mailboxes.explained_findings import ExplainedFinding, finding
from mss.mime import entity as entities
from mss.mime.addresses import NamedAddress, parse_addresses
from mss.mime.errors import MessageSyntaxError
from mss.mime.headers import unfold
from mss.mime.parse import parse_entity, parse_message
from mss.model.security import Binding
from mss.policy.binding import binding_of
from mss.policy.protection import Listing, listing_of, loose_parts, worst_listing


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The verdict on the whole, and why it is not that of the cryptography."""

    verdict: Judgement
    findings: tuple[ExplainedFinding, ...] = ()


_LISTINGS = {
    Listing.UNLISTED: "recipient-not-listed",
    Listing.UNNAMED: "recipient-not-named",
    Listing.UNKNOWN: "recipients-not-signed",
}


def findings_about_letter(
    found: Unwrapped, octets: bytes, content: bytes, *, is_mail: bool
) -> Told:
    """Compare a mail with what is inside it.

    Args:
        found: Its layers.
        octets: The mail as received.
        content: The innermost entity.
        is_mail: False for a bare object, which has no author and no header.
    """
    verdict = found.judgement
    if not found.layers:
        about = _about_plain(octets) if is_mail else ()
        is_unreadable = any(each.code == "message-syntax" for each in about)
        return Told(verdict=Judgement.INVALID if is_unreadable else verdict, findings=about)
    findings: list[ExplainedFinding] = []
    if is_mail:
        try:
            findings = _about_mail(found, octets, content)
        except MessageSyntaxError:
            findings = [finding("message-syntax")]
    codes = {each.code for each in findings}
    is_wrong = not codes.isdisjoint({"author-repeated", "message-syntax"})
    if is_wrong and verdict is not Judgement.NOT_SIGNED:
        verdict = Judgement.INVALID
    elif verdict is Judgement.VALID and any(each.severity == "error" for each in findings):
        verdict = Judgement.UNTRUSTED
    return Told(verdict=verdict, findings=tuple(findings))


def _about_plain(octets: bytes) -> tuple[ExplainedFinding, ...]:
    """Say what cryptography lies among the parts of a mail that is not itself protected."""
    try:
        kinds = [each.content_type for each in parse_entity(octets).walk()]
        parse_message(octets)
    except MessageSyntaxError:
        return (finding("message-syntax"),)
    return tuple(map(finding, loose_parts(kinds)))


def _about_mail(found: Unwrapped, octets: bytes, content: bytes) -> list[ExplainedFinding]:
    outside = _addresses(octets, b"from")
    if len(outside) > 1:
        return [finding("author-repeated")]
    restored = entities.restored_message(octets, content)
    findings = [_header_finding(one) for one in restored.findings]
    authors = _addresses(restored.raw, b"from")
    if len(authors) > 1:
        return [finding("author-repeated")]
    if not authors:
        findings.append(finding("author-missing"))
    if found.judgement is not Judgement.VALID:
        return findings
    proofs = [] if found.signature is None or found.signature.proof is None else [
        *found.signature.proof.signers
    ]  # fmt: skip
    if found.is_signed_outside_only and not restored.header_protected:
        findings.append(replace(finding("signed-outside-only"), severity="warning"))
    if authors:
        findings += _about_author(authors[0].address.key, proofs)
    return findings + _about_recipients(found, octets, proofs, restored.recipients)


def _addresses(octets: bytes, name: bytes) -> list[NamedAddress]:
    """List every address of every field of a name; a field that repeats counts each time."""
    fields, _ = entities.split_entity(octets)
    values = [unfold(value) for key, value in fields if key.lower() == name]
    return [one for value in values for one in parse_addresses(value)]


def _header_finding(one: entities.HeaderFinding) -> ExplainedFinding:
    told = finding(one.code.value, more=one.field)
    return replace(told, severity="error") if one.field == "From" else told


def _about_author(author: str, proofs: Sequence[SignerProof]) -> list[ExplainedFinding]:
    """Any of several signers may be the author."""
    if any(_ties(author, each.certificate) for each in proofs):
        return []
    if all(any("@" in name.strip("@") for name in each.certificate.mail_addresses)
           for each in proofs):  # fmt: skip
        return [finding("signer-not-bound")]
    return [finding("signer-without-address")]


def _ties(author: str, certificate: Certificate) -> bool:
    return binding_of(
        author_key=author,
        signer_addresses=certificate.mail_addresses,
        signer_domains=certificate.dns_names,
        signer_structure=None,
        mailbox_structures=frozenset(),
        operator_structures=frozenset(),
    ) in {Binding.ADDRESS, Binding.DOMAIN}


def _about_recipients(
    found: Unwrapped,
    octets: bytes,
    proofs: Sequence[SignerProof],
    named: frozenset[str] | None,
) -> list[ExplainedFinding]:
    """Compare whom the header outside names, and whose key opened it, with the signed list."""
    lists = [each.recipients for each in proofs if each.recipients is not None]
    to = {one.address.key for name in (b"to", b"cc") for one in _addresses(octets, name)}
    listed = {one.address.lower() for each in lists for one in each} if lists else None
    worst = worst_listing(listing_of(each, listed=listed, named=named) for each in to)
    if lists and _is_opened_by_another(found, [one for each in lists for one in each]):
        worst = Listing.UNLISTED
    code = _LISTINGS.get(worst)
    return [] if code is None else [finding(code)]


def _is_opened_by_another(found: Unwrapped, listed: Iterable[ListedRecipient]) -> bool:
    """True if the key that opened the layer around the signature is of nobody on the list."""
    names = [each.identifier for each in listed]
    openers = [each.decrypted.recipient for each in found.layers if each.decrypted is not None]
    return bool(openers) and not any(name.matches(opener) for name in names for opener in openers)
