"""NIST PKITS: its 224 signed e-mails, through the explanation.

Each mail is judged with the trust anchor and every revocation list of the suite, at one instant and
under the usual inputs of the document (any policy). What the document tells to refuse is never
valid; what it tells to accept and is refused here is named with its reason.
"""

from functools import cache
from pathlib import Path

import pytest

from crypto.layers import Judgement
from crypto.path_validation import ANY_POLICY
from crypto.trust import Profile, TrustStore, Usage
from mss.mailboxes.explanation import Examiner, Explanation
from mss.mailboxes.letter_file import read_mail
from tests.support.explaining import codes
from tests.support.pkits import AT, data_folder, iter_trials, load_suite

FOLDER = data_folder()
MAILS = sorted((FOLDER / "smime").glob("*.eml")) if FOLDER else []
PROFILE = Profile(usage=Usage.MAIL_SIGNING, policies=ANY_POLICY)

RENAMED = {
    "AllCertificatesAnyPolicyTest11": "AllCertificatesanyPolicyTest11",
    "AllCertificatesSamePolicyTest1": "ValidCertificatePathTest1",
    "InvalidNameChainingEETest1": "InvalidNameChainingTest1",
    "InvalidRequireExplicitPolicyTest3": "InvalidrequireExplicitPolicyTest3",
    "InvalidRequireExplicitPolicyTest5": "InvalidrequireExplicitPolicyTest5",
    "InvalidSelfIssuedDNnameConstraintsTest20": "InvalidDNnameConstraintsTest20",
    "InvalidonlyContainsCACertsCRLTest12": "InvalidonlyContainsCACertsTest12",
    "InvalidonlyContainsUserCertsCRLTest11": "InvalidonlyContainsUserCertsTest11",
    "MissingCRLTest1": "InvalidMissingCRLTest1",
    "ValidNameChainingUIDsTest6": "ValidNameUIDsTest6",
    "ValidRequireExplicitPolicyTest1": "ValidrequireExplicitPolicyTest1",
    "ValidRequireExplicitPolicyTest2": "ValidrequireExplicitPolicyTest2",
    "ValidRequireExplicitPolicyTest4": "ValidrequireExplicitPolicyTest4",
    "ValidSelfIssuedDNnameConstraintsTest19": "ValidDNnameConstraintsTest19",
    "ValidSignaturesTest1": "ValidCertificatePathTest1",
    "ValidonlyContainsCACertsCRLTest13": "ValidonlyContainsCACertsTest13",
}
"""Mails that are not named as the end certificate of their case is."""
DSA = "digest-refused"  # their signatures are of DSA with SHA-1
AUTHORITY = "authority-as-leaf"  # the signer is an authority, which signs no mail
REFUSED_BY_US = {
    "OverlappingPoliciesTest6": AUTHORITY,
    "ValidDSAParameterInheritanceTest5": DSA,
    "ValidDSASignaturesTest4": DSA,
    "ValidonlyContainsCACertsCRLTest13": AUTHORITY,
    "ValidpathLenConstraintTest8": AUTHORITY,
    "ValidpathLenConstraintTest14": AUTHORITY,
}
"""Mails that the document accepts and we do not, with the reason that is told."""


@cache
def suite_store() -> TrustStore:
    """The anchor and the lists alone: authorities come with the mail, as in the wild."""
    assert FOLDER is not None
    store = load_suite(FOLDER).store
    return TrustStore(store.anchors, (), store.crls)


@cache
def accepted() -> dict[str, bool]:
    """What the document says: for any policy where it says so, else for the policies it names."""
    usual: dict[str, bool] = {}
    named: dict[str, bool] = {}
    for each in iter_trials():
        table = usual if each.policies == ANY_POLICY else named
        table[each.name] = table.get(each.name, False) or each.must_accept
    return named | usual


def name_of(mail: Path) -> str:
    return mail.stem.removeprefix("Signed")


@cache
def explained(mail: Path) -> Explanation:
    examiner = Examiner(store=suite_store(), profile=PROFILE, at=AT)
    return examiner.explain(read_mail(mail.read_bytes()))


needs_data = pytest.mark.skipif(not MAILS, reason="cryptography-vectors is not installed")


@needs_data
def test_all_mails_are_tried() -> None:
    """A suite that shrinks must not pass unseen."""
    assert len(MAILS) == 224


@needs_data
@pytest.mark.parametrize("mail", MAILS, ids=name_of)
def test_a_mail_of_the_suite_ends_as_the_document_says(mail: Path) -> None:
    """No wrong acceptance; a wrong rejection is one of those explained, with that reason."""
    name = name_of(mail)
    must_accept = accepted()[RENAMED.get(name, name)]
    reason = REFUSED_BY_US.get(name)

    found = explained(mail)

    is_valid = found.verdict is Judgement.VALID
    assert is_valid is (must_accept and reason is None)
    assert reason is None or reason in codes(found)


@needs_data
def test_every_wrong_rejection_is_one_that_the_document_accepts() -> None:
    """The table of reasons excuses nothing that must be refused anyway."""
    assert all(accepted()[RENAMED.get(name, name)] for name in REFUSED_BY_US)
