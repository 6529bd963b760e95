"""Does this certificate lead to an anchor, for this use, at this instant?

Four judgements, in order: a bounded search for a path (`crypto.path_finder`), our rules for the use
(key usage, policies, key sizes), the algorithm of RFC 5280, 6.1 on that one path
(`crypto.path_validation`), and revocation (`crypto.revocation`). All must agree.

A verdict that held is kept for a short while with the store, never longer than what it rests on:
a door asks the same question for each connection. A refusal is not kept. A store with new lists or
answers starts without the verdicts that they may change.

Nothing is fetched here. What would have helped is noted in the store's `wanted`, for a job that
fetches (`crypto.fetch`) at another time.

Units
    Instants are aware UTC.
Errors
    `UntrustedError`, its subclasses `ExpiredError` and `RevokedError`, or `IndeterminateError` when
    revocation cannot be told and the profile requires it.
Sources
    RFC 5280; RFC 8550 (S/MIME certificates); certificates that IGC-Santé publishes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from threading import Lock
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mlkem, rsa, x25519
from cryptography.x509.oid import ExtensionOID

from crypto.algorithms import MAX_RSA_BITS, MIN_RSA_BITS
from crypto.certificates import (
    ANY_EXTENDED_KEY_USAGE,
    CLIENT_AUTH,
    EMAIL_PROTECTION,
    SERVER_AUTH,
    SIGN_DOCUMENTS,
    Certificate,
    ComparableName,
    comparable_name,
)
from crypto.crl import RevocationList, parse_revocation_list
from crypto.errors import (
    CryptoError,
    IndeterminateError,
    RevokedError,
    UntrustedError,
)
from crypto.ocsp import OcspResponse, parse_ocsp_response
from crypto.path_finder import MAX_GIVEN_CERTIFICATES, Authorities, Budget, Path, find_paths
from crypto.path_validation import ANY_POLICY, PolicyRules, check_path
from crypto.revocation import Good, Reliance, RevocationStatus, Revoked, Unknown, judge
from crypto.wanted import Wanted, answers_about, issuer_of, lists_about

MAX_KEPT_VERDICTS: Final = 4096
VERDICT_KEPT_FOR: Final = timedelta(minutes=10)

IGC_SANTE_TEST_POLICIES: Final = "1.2.250.1.213.1.7.2"
"""Arc of the policies of the TEST authorities of IGC-Santé; production is 1.2.250.1.213.1.7.1."""


class Usage(StrEnum):
    """What the certificate is used for."""

    TLS_SERVER = "tls-server"
    TLS_CLIENT = "tls-client"
    MAIL_SIGNING = "mail-signing"
    MAIL_ENCRYPTION = "mail-encryption"
    DOCUMENT_SIGNING = "document-signing"


class RevocationMode(StrEnum):
    """What to do when nothing tells whether a certificate was revoked."""

    REQUIRE = "require"
    IF_KNOWN = "if-known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The rules for one use.

    Attributes:
        usage: What the certificate is used for.
        revocation: Whether an unknown status is refused or reported.
        refused_policies: Arcs of policy identifiers that no certificate of the path may carry.
        policies: What RFC 5280 asks of policies; nothing by default.
    """

    usage: Usage
    revocation: RevocationMode = RevocationMode.REQUIRE
    refused_policies: tuple[str, ...] = (IGC_SANTE_TEST_POLICIES,)
    policies: PolicyRules = ANY_POLICY


TLS_SERVER: Final = Profile(usage=Usage.TLS_SERVER)
TLS_CLIENT: Final = Profile(usage=Usage.TLS_CLIENT)
MAIL_SIGNING: Final = Profile(usage=Usage.MAIL_SIGNING)
MAIL_ENCRYPTION: Final = Profile(usage=Usage.MAIL_ENCRYPTION)
DOCUMENT_SIGNING: Final = Profile(usage=Usage.DOCUMENT_SIGNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedChain:
    """Proof that a certificate leads to an anchor. Exists only if it does.

    Attributes:
        certificates: Leaf first, anchor last.
        judged_at: The instant that was judged.
        fresh_until: First instant at which something it rests on lapses.
        findings: Kebab-case remarks, `revocation-not-judged` if a status was unknown.
        rests_on: Lists and responses that said *not revoked*; see `crypto.evidence`.
        witnesses: Authorities beside the path that signed one of them, and those above.
    """

    certificates: tuple[Certificate, ...]
    usage: Usage
    judged_at: datetime
    fresh_until: datetime
    findings: tuple[str, ...] = ()
    rests_on: tuple[Reliance, ...] = ()
    witnesses: tuple[Certificate, ...] = ()

    @property
    def leaf(self) -> Certificate:
        """The certificate that was asked about."""
        return self.certificates[0]

    @property
    def anchor(self) -> Certificate:
        """The anchor that it leads to."""
        return self.certificates[-1]


class TrustStore:
    """Whom we trust, with the intermediates and revocation statements at hand. Never changes.

    Args:
        anchors: Self-signed or not, trusted as they are.
        intermediates: Authorities known beforehand; not trusted by themselves.
        crls: Revocation lists, as octets or parsed.
        responses: OCSP responses, as octets or parsed.
    """

    def __init__(
        self,
        anchors: Iterable[Certificate],
        intermediates: Iterable[Certificate] = (),
        crls: Iterable[bytes | RevocationList] = (),
        responses: Iterable[bytes | OcspResponse] = (),
    ) -> None:
        self.anchors = tuple(dict.fromkeys(anchors))
        self.intermediates = tuple(dict.fromkeys(intermediates))
        self.crls = tuple(
            each if isinstance(each, RevocationList) else parse_revocation_list(each)
            for each in crls
        )
        self.responses = tuple(
            each if isinstance(each, OcspResponse) else parse_ocsp_response(each)
            for each in responses
        )
        self.authorities = Authorities.of(self.anchors, self.intermediates)
        self.wanted = Wanted()
        self._responses_by_serial: dict[int, list[OcspResponse]] = {}
        for response in self.responses:
            for single in response.singles:
                self._responses_by_serial.setdefault(single.serial, []).append(response)
        self._verdicts: dict[tuple[str, Profile], ValidatedChain] = {}
        self._lock = Lock()

    def __repr__(self) -> str:
        return (
            f"TrustStore({len(self.anchors)} anchors, {len(self.intermediates)} intermediates, "
            f"{len(self.crls)} lists, {len(self.responses)} responses)"
        )

    def with_crls(self, crls: Iterable[bytes | RevocationList]) -> "TrustStore":
        """Return a store with these lists instead; verdicts start afresh."""
        return self.succeeded_by(TrustStore(self.anchors, self.intermediates, crls, self.responses))

    def with_responses(self, responses: Iterable[bytes | OcspResponse]) -> "TrustStore":
        """Return a store with these OCSP responses instead."""
        return self.succeeded_by(TrustStore(self.anchors, self.intermediates, self.crls, responses))

    def succeeded_by(self, newer: "TrustStore") -> "TrustStore":
        """Return *newer*, with the verdicts of this store that it cannot change.

        New answers about some certificates leave the verdicts about others as they are; anything
        else that is new leaves none.
        """
        newer.wanted = self.wanted
        alike = (
            self.anchors == newer.anchors
            and self.intermediates == newer.intermediates
            and set(self.crls) == set(newer.crls)
        )
        if alike:
            changed = set(self.responses) ^ set(newer.responses)
            serials = {single.serial for each in changed for single in each.singles}
            with self._lock:
                kept = list(self._verdicts.items())
            newer._verdicts = {  # noqa: SLF001 -- another of our own
                key: chain
                for key, chain in kept
                if serials.isdisjoint(each.serial for each in chain.certificates)
            }
        return newer

    def responses_about(self, certificate: Certificate) -> Sequence[OcspResponse]:
        """List the responses that may be about a certificate."""
        return self._responses_by_serial.get(certificate.serial, ())

    def find_verdict(
        self, certificate: Certificate, profile: Profile, at: datetime
    ) -> ValidatedChain | None:
        """Return what was established a moment ago, if it still holds at *at*."""
        known = self._verdicts.get((certificate.fingerprint, profile))
        if known is not None and known.judged_at <= at < known.fresh_until:
            return known
        return None

    def keep_verdict(self, chain: ValidatedChain, profile: Profile) -> None:
        """Keep a proof that rests on something lasting; the oldest make room."""
        if chain.fresh_until <= chain.judged_at:
            return
        with self._lock:
            while len(self._verdicts) >= MAX_KEPT_VERDICTS:
                del self._verdicts[next(iter(self._verdicts))]
            self._verdicts[chain.leaf.fingerprint, profile] = chain


def validate(
    certificate: Certificate,
    *,
    intermediates: Sequence[Certificate] = (),
    store: TrustStore,
    profile: Profile,
    at: datetime,
    budget: Budget | None = None,
) -> ValidatedChain:
    """Prove that *certificate* leads to an anchor of *store* for the use of *profile*.

    Synchronous, and free to call from a thread or from within a running event loop.

    Args:
        certificate: The leaf.
        intermediates: What came along with it, hostile until proven; the first 32 are looked at.
        store: Whom we trust.
        profile: The use and its rules.
        at: Instant to judge at; usually the time of receipt.
        budget: What is left of the signature checks of a message with several signers.

    Raises:
        UntrustedError: No path, or not for this use; `ExpiredError` and `RevokedError` say more.
        IndeterminateError: Revocation is required and cannot be told.
    """
    known = store.find_verdict(certificate, profile, at)
    if known is not None:
        return known
    _check_leaf(certificate, profile)
    budget = Budget() if budget is None else budget
    refusal: CryptoError | None = None
    for path in find_paths(
        certificate, given=intermediates, known=store.authorities, budget=budget
    ):
        judgement = _Judgement(
            store=store,
            profile=profile,
            at=at,
            anchor=path[-1],
            given=tuple(intermediates[:MAX_GIVEN_CERTIFICATES]),
            budget=budget,
        )
        try:
            chain = judgement.validate(path)
        except (UntrustedError, IndeterminateError) as error:
            refusal = _weightier(refusal, error)
        else:
            store.keep_verdict(chain, profile)
            return chain
    if refusal is not None:
        raise refusal
    for source in issuer_of(certificate):
        store.wanted.note(source)
    raise UntrustedError("no-path")


def _weightier(known: CryptoError | None, new: CryptoError) -> CryptoError:
    """Choose which of two refusals to tell: revoked, else what may change, else the first."""
    for kind in (RevokedError, IndeterminateError):
        if isinstance(known, kind):
            return known
        if isinstance(new, kind):
            return new
    return known or new


# --- Our rules -------------------------------------------------------------------------------

_EXTENDED: Final = {
    Usage.TLS_SERVER: (SERVER_AUTH,),
    Usage.TLS_CLIENT: (CLIENT_AUTH,),
    Usage.MAIL_SIGNING: (EMAIL_PROTECTION,),
    Usage.MAIL_ENCRYPTION: (EMAIL_PROTECTION,),
    Usage.DOCUMENT_SIGNING: (SIGN_DOCUMENTS, EMAIL_PROTECTION),
}
_UNDERSTOOD_CRITICAL: Final = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
    }
)


_ML_KEM: Final = mlkem.MLKEM768PublicKey | mlkem.MLKEM1024PublicKey


def _check_leaf(certificate: Certificate, profile: Profile) -> None:
    if certificate.is_authority:
        raise UntrustedError("authority-as-leaf")
    if not certificate.allows(*_key_usages(certificate, profile.usage)):
        raise UntrustedError("key-usage")
    for extension in certificate.parsed.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD_CRITICAL:
            raise UntrustedError("unknown-critical-extension")


def _key_usages(certificate: Certificate, usage: Usage) -> tuple[str, ...]:
    is_wrapping = isinstance(certificate.public_key, rsa.RSAPublicKey | _ML_KEM)
    match usage:
        case Usage.MAIL_SIGNING | Usage.DOCUMENT_SIGNING:
            return ("digitalSignature", "nonRepudiation")
        case Usage.MAIL_ENCRYPTION:
            return ("keyEncipherment",) if is_wrapping else ("keyAgreement",)
        case Usage.TLS_SERVER:
            return ("digitalSignature", "keyEncipherment", "keyAgreement")
        case Usage.TLS_CLIENT:
            return ("digitalSignature",)


def _check_each(certificate: Certificate, profile: Profile) -> None:
    """Apply the rules that hold for every certificate of a path but the anchor."""
    _check_key(certificate)
    usages = certificate.extended_key_usages
    wanted = (*_EXTENDED[profile.usage], ANY_EXTENDED_KEY_USAGE)
    # In an authority the extension bounds what it may issue for, by common consent.
    if usages is not None and set(usages).isdisjoint(wanted):
        raise UntrustedError("extended-key-usage")
    for policy in certificate.policies:
        if any(_is_within(policy, arc) for arc in profile.refused_policies):
            raise UntrustedError("policy-refused")


def _check_anchor(anchor: Certificate, profile: Profile) -> None:
    """Honour what an anchor says about itself: it may be trusted for some uses only."""
    usages = anchor.extended_key_usages
    wanted = (*_EXTENDED[profile.usage], ANY_EXTENDED_KEY_USAGE)
    if usages is not None and set(usages).isdisjoint(wanted):
        raise UntrustedError("extended-key-usage")
    if not anchor.allows("keyCertSign"):
        raise UntrustedError("key-usage")


def _check_key(certificate: Certificate) -> None:
    match certificate.public_key:
        case rsa.RSAPublicKey() as key if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            return
        case ec.EllipticCurvePublicKey() as key if key.key_size >= 256:
            return
        case ed25519.Ed25519PublicKey() | x25519.X25519PublicKey():
            return
        case mlkem.MLKEM768PublicKey() | mlkem.MLKEM1024PublicKey():
            return
        case _:
            raise UntrustedError("weak-key")


def _is_within(policy: str, arc: str) -> bool:
    return policy == arc or policy.startswith(arc + ".")


# --- Judging a path --------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Judgement:
    """One question: the paths to one anchor, at one instant, under one profile.

    It is also what revocation asks about those who sign lists and answers (`revocation.Signers`):
    they must lead to the same anchor, and not be revoked either.
    """

    store: TrustStore
    profile: Profile
    at: datetime
    anchor: Certificate
    given: Path
    budget: Budget
    _proven: dict[Certificate, bool] = field(default_factory=dict)
    _under_way: set[Certificate] = field(default_factory=set)
    _also_rests_on: list[Reliance] = field(default_factory=list)
    _witnesses: dict[Certificate, None] = field(default_factory=dict)

    def validate(self, path: Path) -> ValidatedChain:
        """Prove one path."""
        _check_anchor(self.anchor, self.profile)
        for each in path[:-1]:
            _check_each(each, self.profile)
        check_path(path, at=self.at, policies=self.profile.policies)
        lapses = [self.at + VERDICT_KEPT_FOR, *(each.not_after_at for each in path)]
        findings: list[str] = []
        rests_on: list[Reliance] = []
        for certificate, issuer in pairwise(path):
            match self._judge(certificate, issuer):
                case Good(until=until, rests_on=found):
                    lapses.append(until)
                    rests_on += found
                case Revoked(revoked_at=revoked_at, reason=reason):
                    raise RevokedError(f"revoked-{reason.replace('_', '-')}", revoked_at=revoked_at)
                case Unknown(reason=reason) if self._is_required:
                    raise IndeterminateError(f"revocation-{reason}")
                case Unknown():
                    findings.append("revocation-not-judged")
        return ValidatedChain(
            certificates=path,
            usage=self.profile.usage,
            judged_at=self.at,
            fresh_until=min(lapses),
            findings=tuple(dict.fromkeys(findings)),
            rests_on=tuple(dict.fromkeys((*rests_on, *self._also_rests_on))),
            witnesses=tuple(each for each in self._witnesses if each not in path),
        )

    @property
    def _is_required(self) -> bool:
        return self.profile.revocation is RevocationMode.REQUIRE

    def _judge(self, certificate: Certificate, issuer: Certificate) -> RevocationStatus:
        status = judge(
            certificate,
            issuer=issuer,
            lists=self.store.crls,
            responses=self.store.responses_about(certificate),
            at=self.at,
            signers=self,
        )
        for source in lists_about(certificate, issuer):
            self.store.wanted.note(source)
        if isinstance(status, Unknown):
            for source in answers_about(certificate, issuer):
                self.store.wanted.note(source)
        return status

    def named(self, name: ComparableName) -> Iterator[Certificate]:
        """List who has a name, authority or not: lists may be signed by somebody who is none."""
        for each in (*self.store.anchors, *self.store.intermediates, *self.given):
            if comparable_name(each.parsed.subject) == name:
                yield each

    def is_proven(self, signer: Certificate) -> bool:
        """Say whether *signer* leads to the same anchor, unrevoked, whatever its use.

        Who signs lists may be judged by lists of its own: while it is being judged it is taken at
        its word, and revoked if its own list says so. What was found under that assumption is not
        kept.
        """
        if signer == self.anchor or signer in self._under_way:
            return True
        if signer in self._proven:
            return self._proven[signer]
        self._under_way.add(signer)
        paths = find_paths(
            signer, given=self.given, known=self.store.authorities, budget=self.budget
        )
        is_proven = any(path[-1] == self.anchor and self._holds(path) for path in paths)
        self._under_way.discard(signer)
        if not self._under_way:
            self._proven[signer] = is_proven
        return is_proven

    def _holds(self, path: Path) -> bool:
        try:
            for each in path[:-1]:
                _check_key(each)
            check_path(path, at=self.at)
        except (UntrustedError, IndeterminateError):
            return False
        statuses = [self._judge(certificate, issuer) for certificate, issuer in pairwise(path)]
        if any(isinstance(each, Revoked) for each in statuses):
            return False
        good = [each for each in statuses if isinstance(each, Good)]
        if self._is_required and len(good) < len(statuses):
            return False
        self._witnesses.update(dict.fromkeys(path[:-1]))
        self._also_rests_on += (relied for each in good for relied in each.rests_on)
        return True
