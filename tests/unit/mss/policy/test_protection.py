"""The pure rules: how to encrypt, and what a place on a list is worth."""

import pytest

from crypto import algorithms
from crypto.recipient_info import EnvelopeProfile
from directory.address import MailAddress
from mss.policy.protection import (
    Listing,
    ProfileSource,
    choose_profile,
    listing_of,
    loose_parts,
    must_authenticate,
    worst_listing,
)

ANNE = MailAddress.parse("Anne@Cabinets.mssante.fr")
GCM, CBC = (algorithms.AES256_GCM,), (algorithms.AES256_CBC,)
MODERN, COMPATIBLE = EnvelopeProfile.MODERN, EnvelopeProfile.COMPATIBLE


@pytest.mark.parametrize(
    ("settings", "seen", "announced", "profile", "source"),
    [
        ({}, None, (), COMPATIBLE, ProfileSource.DEFAULT),
        ({}, (), (), COMPATIBLE, ProfileSource.DEFAULT),
        ({}, None, GCM, MODERN, ProfileSource.CERTIFICATE),
        ({}, (), GCM, MODERN, ProfileSource.CERTIFICATE),
        ({}, CBC, GCM, COMPATIBLE, ProfileSource.SIGNATURE),
        ({}, GCM, CBC, MODERN, ProfileSource.SIGNATURE),
        ({"cabinets.mssante.fr": "modern"}, CBC, CBC, MODERN, ProfileSource.SETTING),
        (
            {"cabinets.mssante.fr": "modern", "anne@cabinets.mssante.fr": "legacy"},
            GCM,
            GCM,
            EnvelopeProfile.LEGACY,
            ProfileSource.SETTING,
        ),
        ({"mssante.fr": "modern"}, None, CBC, COMPATIBLE, ProfileSource.CERTIFICATE),
    ],
)
def test_the_nearest_knowledge_decides(
    settings: dict[str, str],
    seen: tuple[str, ...] | None,
    announced: tuple[str, ...],
    profile: EnvelopeProfile,
    source: ProfileSource,
) -> None:
    """An administrator, then the recipient, then whoever issued the certificate."""
    choice = choose_profile(ANNE, settings=settings, seen=seen, announced=announced)

    assert (choice.profile, choice.source) == (profile, source)


@pytest.mark.parametrize(
    ("listed", "named", "wanted"),
    [
        (None, None, Listing.UNKNOWN),
        ({"a@b.fr"}, None, Listing.LISTED),
        (None, {"a@b.fr"}, Listing.LISTED),
        ({"x@y.fr"}, {"a@b.fr"}, Listing.LISTED),
        ({"x@y.fr"}, {"x@y.fr"}, Listing.UNLISTED),
        ({"x@y.fr"}, None, Listing.UNLISTED),
        (set(), None, Listing.UNLISTED),
        (None, {"x@y.fr"}, Listing.UNNAMED),
        (None, set(), Listing.UNNAMED),
    ],
)
def test_a_recipient_is_looked_for_in_both_places(
    listed: set[str] | None, named: set[str] | None, wanted: Listing
) -> None:
    """A list that names others is a statement; a header that names others may be a blind copy."""
    assert listing_of("a@b.fr", listed=listed, named=named) is wanted


@pytest.mark.parametrize(
    ("listings", "wanted"),
    [
        ([], Listing.UNKNOWN),
        ([Listing.LISTED], Listing.LISTED),
        ([Listing.LISTED, Listing.UNNAMED], Listing.UNNAMED),
        ([Listing.UNNAMED, Listing.UNLISTED, Listing.LISTED], Listing.UNLISTED),
    ],
)
def test_the_worst_place_counts(listings: list[Listing], wanted: Listing) -> None:
    """One verdict is kept for all recipients of a message here."""
    assert worst_listing(listings) is wanted


def test_a_domain_set_to_modern_must_authenticate() -> None:
    """And no other one."""
    settings = {"a.fr": "modern", "b.fr": "compatible"}

    assert must_authenticate(["B.fr", "A.fr"], settings)
    assert not must_authenticate(["b.fr", "c.fr"], settings)
    assert not must_authenticate([], settings)


@pytest.mark.parametrize(
    ("types", "wanted"),
    [
        (["text/plain", "application/pdf"], ()),
        (["text/plain", "application/x-pkcs7-signature"], ("signed-part-inside",)),
        (["application/pkcs7-mime"], ("encrypted-part-inside",)),
    ],
)
def test_cryptography_among_other_parts_is_named(types: list[str], wanted: tuple[str, ...]) -> None:
    """It is neither opened nor believed, and the reader should know."""
    assert loose_parts(types) == wanted
