"""An examiner of the declared PKI, and what tests ask an explanation."""

from datetime import datetime

from crypto.keys import CombinedKeyHolder, PrivateKey
from crypto.ports import KeyHolder
from crypto.trust import MAIL_SIGNING, Profile, TrustStore
from mss.mailboxes.explanation import Examiner, Explanation
from mss.mailboxes.letter_file import read_mail
from tests.support.pki import NOW, the_pki

NOBODY = CombinedKeyHolder(())


def examiner(
    *,
    keys: KeyHolder | None = None,
    loose_keys: tuple[PrivateKey, ...] = (),
    store: TrustStore | None = None,
    profile: Profile = MAIL_SIGNING,
    at: datetime = NOW,
) -> Examiner:
    """By default the practice's desk, with its key and revocation lists."""
    pki = the_pki()
    return Examiner(
        keys=pki.practice_confidentiality.key_holder() if keys is None else keys,
        loose_keys=loose_keys,
        store=pki.store() if store is None else store,
        profile=profile,
        at=at,
    )


def explained(octets: bytes) -> Explanation:
    """What that desk says of a mail."""
    return examiner().explain(read_mail(octets))


def codes(found: Explanation) -> set[str]:
    """Codes and reasons of all findings."""
    return {each.code for each in found.findings} | {each.reason for each in found.findings}
