"""NIST's Public Key Interoperability Test Suite: each case, and what must come of it.

The cases are those of *PKITS*, version 1.0.1, sections 4.1 to 4.16, in the edition of 2011 that the
package `cryptography-vectors` carries. A case is named after its end certificate; its number in its
section is the one in the name. Where the document runs a case with several inputs, each is a
`Trial` of its own. `REFUSED_BY_US` names those that the document accepts and we do not, with the
reason; there is no entry for the opposite.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from crypto.certificates import Certificate, parse_certificate
from crypto.crl import RevocationList, parse_revocation_list
from crypto.errors import CertificateSyntaxError
from crypto.path_validation import ANY_POLICY, PolicyRules
from crypto.trust import TrustStore

AT = datetime(2022, 5, 1, tzinfo=UTC)
_POLICY = "2.16.840.1.101.3.2.1.48.{}"

SECTIONS = {
    "4.1": """ValidCertificatePathTest1 InvalidCASignatureTest2 InvalidEESignatureTest3
        ValidDSASignaturesTest4 ValidDSAParameterInheritanceTest5 InvalidDSASignatureTest6""",
    "4.2": """InvalidCAnotBeforeDateTest1 InvalidEEnotBeforeDateTest2
        Validpre2000UTCnotBeforeDateTest3 ValidGeneralizedTimenotBeforeDateTest4
        InvalidCAnotAfterDateTest5 InvalidEEnotAfterDateTest6
        Invalidpre2000UTCEEnotAfterDateTest7 ValidGeneralizedTimenotAfterDateTest8""",
    "4.3": """InvalidNameChainingTest1 InvalidNameChainingOrderTest2
        ValidNameChainingWhitespaceTest3 ValidNameChainingWhitespaceTest4
        ValidNameChainingCapitalizationTest5 ValidNameUIDsTest6
        ValidRFC3280MandatoryAttributeTypesTest7 ValidRFC3280OptionalAttributeTypesTest8
        ValidUTF8StringEncodedNamesTest9 ValidRolloverfromPrintableStringtoUTF8StringTest10
        ValidUTF8StringCaseInsensitiveMatchTest11""",
    "4.4": """InvalidMissingCRLTest1 InvalidRevokedCATest2 InvalidRevokedEETest3
        InvalidBadCRLSignatureTest4 InvalidBadCRLIssuerNameTest5 InvalidWrongCRLTest6
        ValidTwoCRLsTest7 InvalidUnknownCRLEntryExtensionTest8 InvalidUnknownCRLExtensionTest9
        InvalidUnknownCRLExtensionTest10 InvalidOldCRLnextUpdateTest11
        Invalidpre2000CRLnextUpdateTest12 ValidGeneralizedTimeCRLnextUpdateTest13
        ValidNegativeSerialNumberTest14 InvalidNegativeSerialNumberTest15
        ValidLongSerialNumberTest16 ValidLongSerialNumberTest17 InvalidLongSerialNumberTest18
        ValidSeparateCertificateandCRLKeysTest19 InvalidSeparateCertificateandCRLKeysTest20
        InvalidSeparateCertificateandCRLKeysTest21""",
    "4.5": """ValidBasicSelfIssuedOldWithNewTest1 InvalidBasicSelfIssuedOldWithNewTest2
        ValidBasicSelfIssuedNewWithOldTest3 ValidBasicSelfIssuedNewWithOldTest4
        InvalidBasicSelfIssuedNewWithOldTest5 ValidBasicSelfIssuedCRLSigningKeyTest6
        InvalidBasicSelfIssuedCRLSigningKeyTest7 InvalidBasicSelfIssuedCRLSigningKeyTest8""",
    "4.6": """InvalidMissingbasicConstraintsTest1 InvalidcAFalseTest2 InvalidcAFalseTest3
        ValidbasicConstraintsNotCriticalTest4 InvalidpathLenConstraintTest5
        InvalidpathLenConstraintTest6 ValidpathLenConstraintTest7 ValidpathLenConstraintTest8
        InvalidpathLenConstraintTest9 InvalidpathLenConstraintTest10
        InvalidpathLenConstraintTest11 InvalidpathLenConstraintTest12
        ValidpathLenConstraintTest13 ValidpathLenConstraintTest14
        ValidSelfIssuedpathLenConstraintTest15 InvalidSelfIssuedpathLenConstraintTest16
        ValidSelfIssuedpathLenConstraintTest17""",
    "4.7": """InvalidkeyUsageCriticalkeyCertSignFalseTest1
        InvalidkeyUsageNotCriticalkeyCertSignFalseTest2 ValidkeyUsageNotCriticalTest3
        InvalidkeyUsageCriticalcRLSignFalseTest4 InvalidkeyUsageNotCriticalcRLSignFalseTest5""",
    "4.9": """ValidrequireExplicitPolicyTest1 ValidrequireExplicitPolicyTest2
        InvalidrequireExplicitPolicyTest3 ValidrequireExplicitPolicyTest4
        InvalidrequireExplicitPolicyTest5 ValidSelfIssuedrequireExplicitPolicyTest6
        InvalidSelfIssuedrequireExplicitPolicyTest7 InvalidSelfIssuedrequireExplicitPolicyTest8""",
    "4.10": """InvalidPolicyMappingTest2 InvalidPolicyMappingTest4 InvalidMappingFromanyPolicyTest7
        InvalidMappingToanyPolicyTest8 ValidPolicyMappingTest9 InvalidPolicyMappingTest10
        ValidPolicyMappingTest11 ValidPolicyMappingTest13 ValidPolicyMappingTest14""",
    "4.11": """InvalidinhibitPolicyMappingTest1 ValidinhibitPolicyMappingTest2
        InvalidinhibitPolicyMappingTest3 ValidinhibitPolicyMappingTest4
        InvalidinhibitPolicyMappingTest5 InvalidinhibitPolicyMappingTest6
        ValidSelfIssuedinhibitPolicyMappingTest7 InvalidSelfIssuedinhibitPolicyMappingTest8
        InvalidSelfIssuedinhibitPolicyMappingTest9 InvalidSelfIssuedinhibitPolicyMappingTest10
        InvalidSelfIssuedinhibitPolicyMappingTest11""",
    "4.12": """InvalidinhibitAnyPolicyTest1 ValidinhibitAnyPolicyTest2
        InvalidinhibitAnyPolicyTest4 InvalidinhibitAnyPolicyTest5 InvalidinhibitAnyPolicyTest6
        ValidSelfIssuedinhibitAnyPolicyTest7 InvalidSelfIssuedinhibitAnyPolicyTest8
        ValidSelfIssuedinhibitAnyPolicyTest9 InvalidSelfIssuedinhibitAnyPolicyTest10""",
    "4.13": """ValidDNnameConstraintsTest1 InvalidDNnameConstraintsTest2
        InvalidDNnameConstraintsTest3 ValidDNnameConstraintsTest4 ValidDNnameConstraintsTest5
        ValidDNnameConstraintsTest6 InvalidDNnameConstraintsTest7 InvalidDNnameConstraintsTest8
        InvalidDNnameConstraintsTest9 InvalidDNnameConstraintsTest10
        ValidDNnameConstraintsTest11 InvalidDNnameConstraintsTest12
        InvalidDNnameConstraintsTest13 ValidDNnameConstraintsTest14
        InvalidDNnameConstraintsTest15 InvalidDNnameConstraintsTest16
        InvalidDNnameConstraintsTest17 ValidDNnameConstraintsTest18
        ValidDNnameConstraintsTest19 InvalidDNnameConstraintsTest20
        ValidRFC822nameConstraintsTest21 InvalidRFC822nameConstraintsTest22
        ValidRFC822nameConstraintsTest23 InvalidRFC822nameConstraintsTest24
        ValidRFC822nameConstraintsTest25 InvalidRFC822nameConstraintsTest26
        ValidDNandRFC822nameConstraintsTest27 InvalidDNandRFC822nameConstraintsTest28
        InvalidDNandRFC822nameConstraintsTest29 ValidDNSnameConstraintsTest30
        InvalidDNSnameConstraintsTest31 ValidDNSnameConstraintsTest32
        InvalidDNSnameConstraintsTest33 ValidURInameConstraintsTest34
        InvalidURInameConstraintsTest35 ValidURInameConstraintsTest36
        InvalidURInameConstraintsTest37 InvalidDNSnameConstraintsTest38""",
    "4.14": """ValiddistributionPointTest1 InvaliddistributionPointTest2
        InvaliddistributionPointTest3 ValiddistributionPointTest4 ValiddistributionPointTest5
        InvaliddistributionPointTest6 ValiddistributionPointTest7 InvaliddistributionPointTest8
        InvaliddistributionPointTest9 ValidNoissuingDistributionPointTest10
        InvalidonlyContainsUserCertsTest11 InvalidonlyContainsCACertsTest12
        ValidonlyContainsCACertsTest13 InvalidonlyContainsAttributeCertsTest14
        InvalidonlySomeReasonsTest15 InvalidonlySomeReasonsTest16 InvalidonlySomeReasonsTest17
        ValidonlySomeReasonsTest18 ValidonlySomeReasonsTest19 InvalidonlySomeReasonsTest20
        InvalidonlySomeReasonsTest21 ValidIDPwithindirectCRLTest22
        InvalidIDPwithindirectCRLTest23 ValidIDPwithindirectCRLTest24
        ValidIDPwithindirectCRLTest25 InvalidIDPwithindirectCRLTest26 InvalidcRLIssuerTest27
        ValidcRLIssuerTest28 ValidcRLIssuerTest29 ValidcRLIssuerTest30 InvalidcRLIssuerTest31
        InvalidcRLIssuerTest32 ValidcRLIssuerTest33 InvalidcRLIssuerTest34
        InvalidcRLIssuerTest35""",
    "4.15": """InvaliddeltaCRLIndicatorNoBaseTest1 ValiddeltaCRLTest2 InvaliddeltaCRLTest3
        InvaliddeltaCRLTest4 ValiddeltaCRLTest5 InvaliddeltaCRLTest6 ValiddeltaCRLTest7
        ValiddeltaCRLTest8 InvaliddeltaCRLTest9 InvaliddeltaCRLTest10""",
    "4.16": """ValidUnknownNotCriticalCertificateExtensionTest1
        InvalidUnknownCriticalCertificateExtensionTest2""",
}
"""Cases that the document runs once, with the usual inputs; the name says what must come of it."""

REFUSED_BY_US = {
    "ValidDSASignaturesTest4": "DSA is refused: no health authority uses it",
    "ValidDSAParameterInheritanceTest5": "DSA is refused: no health authority uses it",
    "ValidpathLenConstraintTest8": "the end certificate is an authority's, which signs no mail",
    "ValidpathLenConstraintTest14": "the end certificate is an authority's, which signs no mail",
    "ValidonlyContainsCACertsTest13": "the end certificate is an authority's, which signs no mail",
    "OverlappingPoliciesTest6": "the end certificate is an authority's, which signs no mail",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One case with one set of inputs.

    Attributes:
        name: The case, as the end certificate is named, without `EE`.
        must_accept: What the document says.
        refused_by_us: Why we refuse although the document accepts.
    """

    section: str
    name: str
    must_accept: bool
    policies: PolicyRules = ANY_POLICY

    @property
    def refused_by_us(self) -> str | None:
        """Why we refuse what the document accepts, if we do."""
        return REFUSED_BY_US.get(self.name) if self.must_accept else None

    def __str__(self) -> str:
        rules = self.policies
        accepted = "".join(sorted(each.rsplit(".", 1)[1] for each in rules.accepted or ()))
        flags = "".join(
            letter
            for letter, is_set in (
                ("e", rules.is_explicit),
                ("m", rules.inhibits_mapping),
                ("a", rules.inhibits_any),
            )
            if is_set
        )
        return "-".join(each for each in (self.section, self.name, accepted, flags) if each)


def _p(
    *numbers: int, explicit: bool = False, mapping: bool = False, any_: bool = False
) -> PolicyRules:
    return PolicyRules(
        accepted=frozenset(_POLICY.format(number) for number in numbers) or None,
        is_explicit=explicit,
        inhibits_mapping=mapping,
        inhibits_any=any_,
    )


_USUAL = _p()
_WITH_INPUTS: dict[tuple[str, str], tuple[tuple[PolicyRules, bool], ...]] = {
    ("4.8", "ValidCertificatePathTest1"): (
        (_p(explicit=True), True),
        (_p(1, explicit=True), True),
        (_p(2, explicit=True), False),
        (_p(1, 2, explicit=True), True),
    ),
    ("4.8", "AllCertificatesNoPoliciesTest2"): ((_USUAL, True), (_p(explicit=True), False)),
    ("4.8", "DifferentPoliciesTest3"): (
        (_USUAL, True),
        (_p(explicit=True), False),
        (_p(1, 2, explicit=True), False),
    ),
    ("4.8", "DifferentPoliciesTest4"): ((_USUAL, False),),
    ("4.8", "DifferentPoliciesTest5"): ((_USUAL, False),),
    ("4.8", "OverlappingPoliciesTest6"): ((_USUAL, True), (_p(1), True), (_p(2), False)),
    ("4.8", "DifferentPoliciesTest7"): ((_USUAL, False),),
    ("4.8", "DifferentPoliciesTest8"): ((_USUAL, False),),
    ("4.8", "DifferentPoliciesTest9"): ((_USUAL, False),),
    ("4.8", "AllCertificatesSamePoliciesTest10"): ((_USUAL, True), (_p(1), True), (_p(2), True)),
    ("4.8", "AllCertificatesanyPolicyTest11"): ((_USUAL, True), (_p(1), True)),
    ("4.8", "DifferentPoliciesTest12"): ((_USUAL, False),),
    ("4.8", "AllCertificatesSamePoliciesTest13"): ((_p(1), True), (_p(2), True), (_p(3), True)),
    ("4.8", "AnyPolicyTest14"): ((_p(1), True), (_p(2), False)),
    ("4.8", "UserNoticeQualifierTest15"): ((_USUAL, True),),
    ("4.8", "UserNoticeQualifierTest16"): ((_USUAL, True),),
    ("4.8", "UserNoticeQualifierTest17"): ((_USUAL, True),),
    ("4.8", "UserNoticeQualifierTest18"): ((_p(1), True), (_p(2), True)),
    ("4.8", "UserNoticeQualifierTest19"): ((_USUAL, True),),
    ("4.8", "CPSPointerQualifierTest20"): ((_USUAL, True), (_p(1, explicit=True), True)),
    ("4.10", "ValidPolicyMappingTest1"): (
        (_p(1), True),
        (_p(2), False),
        (_p(1, mapping=True), False),
    ),
    ("4.10", "InvalidPolicyMappingTest2"): ((_USUAL, False), (_p(mapping=True), False)),
    ("4.10", "ValidPolicyMappingTest3"): ((_p(1), False), (_p(2), True)),
    ("4.10", "ValidPolicyMappingTest5"): ((_p(1), True), (_p(6), False)),
    ("4.10", "ValidPolicyMappingTest6"): ((_p(1), True), (_p(6), False)),
    ("4.10", "ValidPolicyMappingTest12"): ((_p(1), True), (_p(2), True)),
    ("4.12", "inhibitAnyPolicyTest3"): ((_USUAL, True), (_p(any_=True), False)),
}


def iter_trials() -> Iterator[Trial]:
    """List every trial."""
    for section, names in SECTIONS.items():
        for name in names.split():
            yield Trial(section=section, name=name, must_accept=name.startswith("Valid"))
    for (section, name), trials in _WITH_INPUTS.items():
        for policies, must_accept in trials:
            yield Trial(section=section, name=name, must_accept=must_accept, policies=policies)


def data_folder() -> Path | None:
    """Find the suite, if the package that carries it is installed."""
    try:
        import cryptography_vectors
    except ImportError:
        return None
    return Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"


@dataclass(frozen=True, slots=True)
class Suite:
    """The suite, read: one trust store holds all its authorities and lists."""

    leaves: dict[str, Certificate | None]  # None: a certificate that we refuse to read
    store: TrustStore


@cache
def load_suite(folder: Path) -> Suite:
    """Read all certificates and lists."""
    certificates = {
        file.stem: _certificate(file.read_bytes()) for file in (folder / "certs").glob("*.crt")
    }
    anchor = certificates.pop("TrustAnchorRootCertificate")
    assert anchor is not None
    leaves = {name: each for name, each in certificates.items() if name.endswith("EE")}
    others = [each for name, each in certificates.items() if name not in leaves and each]
    lists: list[RevocationList] = [
        parse_revocation_list(file.read_bytes()) for file in (folder / "crls").glob("*.crl")
    ]
    return Suite(
        {re.sub("EE$", "", name): each for name, each in leaves.items()},
        TrustStore([anchor], others, lists),
    )


def _certificate(octets: bytes) -> Certificate | None:
    try:
        return parse_certificate(octets)
    except CertificateSyntaxError:
        return None
