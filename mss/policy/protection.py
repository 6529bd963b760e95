"""How is a letter protected for a recipient, and what is a recipient's absence from a list worth?

Pure rules. How to encrypt is found out in this order: what the administrator wrote, what the
recipient's own verified signature stated, what its certificate states; and otherwise the form that
every software of today reads. Nothing that was not verified counts, and the form for old software
is never chosen by the server itself.

Sources
    RFC 8551, 2.7.1 (choosing a cipher); RFC 4262 (capabilities in certificates);
    docs/adr/0016 (profiles, lists of recipients).
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from crypto.capabilities import profile_of
from crypto.recipient_info import EnvelopeProfile
from directory.address import MailAddress


class ProfileSource(StrEnum):
    """What decided how to encrypt."""

    SETTING = "setting"
    SIGNATURE = "signature"
    CERTIFICATE = "certificate"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChoice:
    """How to encrypt for one recipient, and why so."""

    profile: EnvelopeProfile
    source: ProfileSource


def choose_profile(
    address: MailAddress,
    *,
    settings: Mapping[str, str],
    seen: Sequence[str] | None,
    announced: Sequence[str],
) -> ProfileChoice:
    """Choose how to encrypt for *address*.

    Args:
        address: The recipient.
        settings: Address or domain to a profile, in lower case; the address goes first.
        seen: Capabilities in the latest verified signature of this mailbox; None if none was seen.
        announced: Capabilities in the certificate to encrypt for.
    """
    wanted = settings.get(address.key) or settings.get(str(address.domain).lower())
    if wanted is not None:
        return ProfileChoice(profile=EnvelopeProfile(wanted), source=ProfileSource.SETTING)
    if seen:
        return ProfileChoice(profile=profile_of(seen), source=ProfileSource.SIGNATURE)
    if announced:
        return ProfileChoice(profile=profile_of(announced), source=ProfileSource.CERTIFICATE)
    return ProfileChoice(profile=EnvelopeProfile.COMPATIBLE, source=ProfileSource.DEFAULT)


def must_authenticate(domains: Iterable[str], settings: Mapping[str, str]) -> bool:
    """Say whether a peer speaks for a domain of which only authenticated content is accepted."""
    return any(settings.get(domain.lower()) == EnvelopeProfile.MODERN for domain in domains)


class Listing(StrEnum):
    """How a recipient stands in what the signer signed."""

    LISTED = "listed"
    UNLISTED = "unlisted"  # there is a list, and the recipient is not on it
    UNNAMED = "unnamed"  # no list; the protected header names others only
    UNKNOWN = "unknown"  # the signer said nothing about recipients


def listing_of(
    recipient: str, *, listed: Collection[str] | None, named: Collection[str] | None
) -> Listing:
    """Say how one recipient stands in a signed letter.

    Args:
        recipient: A normalised address of the envelope.
        listed: Addresses in the signed list, normalised; None if there is no list.
        named: Addresses in the protected To, Cc and Bcc; None if these are not protected.
    """
    if recipient in (listed or ()) or recipient in (named or ()):
        return Listing.LISTED
    if listed is not None:
        return Listing.UNLISTED
    return Listing.UNKNOWN if named is None else Listing.UNNAMED


_WORST = (Listing.UNLISTED, Listing.UNNAMED, Listing.UNKNOWN, Listing.LISTED)


def worst_listing(listings: Iterable[Listing]) -> Listing:
    """Give the listing that counts for a message with several recipients here."""
    found = set(listings)
    return next((each for each in _WORST if each in found), Listing.UNKNOWN)


_SIGNED = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
_CLOSED = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})


def loose_parts(content_types: Iterable[str]) -> tuple[str, ...]:
    """Name what cryptography lies among the parts of a letter that is not itself so protected.

    Such parts are neither opened nor believed: text could have been put around them.
    """
    found = set(content_types)
    remarks = (("signed-part-inside", _SIGNED), ("encrypted-part-inside", _CLOSED))
    return tuple(code for code, types in remarks if found & types)
