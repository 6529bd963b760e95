"""Was this certificate revoked, as far as these lists and responses tell?

Pure: what was fetched before, and an instant, in; a status out. Good, revoked and unknown are three
different answers; only fresh statements, signed by who may speak for the issuer and meant for this
certificate, make the first two. Complete and delta lists, direct and indirect, for all reasons or
for some, and OCSP responses are all heard: whoever says *revoked* wins, and *good* needs one that
says so for every reason.

Errors
    None: what does not help is passed over, and the answer is then `Unknown` with a reason.
Sources
    RFC 5280, 6.3 (lists); RFC 6960, 3.2 and 4.2.2 (responses).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from cryptography import x509

from crypto.certificates import Certificate, ComparableName, comparable_name, find_extension
from crypto.crl import RevocationList
from crypto.crl_entries import REMOVED, Entry
from crypto.ocsp import OcspResponse, ResponseStatus

_ALL_REASONS: Final = frozenset(x509.ReasonFlags) - {
    x509.ReasonFlags.unspecified,
    x509.ReasonFlags.remove_from_crl,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliance:
    """One statement that a verdict rests on.

    Attributes:
        kind: `crl`, `delta-crl` or `ocsp`.
        sha256: Digest of its octets.
        number: Number of the list, if it has one.
    """

    kind: str
    sha256: str
    number: int | None
    this_update_at: datetime
    next_update_at: datetime | None
    octets: RevocationList | OcspResponse = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Good:
    """Not revoked, and this may be relied upon until then."""

    until: datetime
    rests_on: tuple[Reliance, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """Revoked at that instant."""

    revoked_at: datetime
    reason: str
    rests_on: tuple[Reliance, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Nothing tells: `no-list`, `unusable-list`, `stale-list`, or `unknown-to-responder`."""

    reason: str


RevocationStatus = Good | Revoked | Unknown


class Signers(Protocol):
    """Finds who else may have signed a statement, and proves it."""

    def named(self, name: ComparableName) -> Iterable[Certificate]:
        """List authorities of that name; nothing is said about whether to believe them."""
        ...

    def is_proven(self, signer: Certificate) -> bool:
        """Say whether *signer* leads to the same anchor and is not revoked."""
        ...


class OnlyTheIssuer:
    """Believes nobody but the issuer of the certificate."""

    def named(self, name: ComparableName) -> Iterable[Certificate]:
        """List nobody."""
        del name
        return ()

    def is_proven(self, signer: Certificate) -> bool:
        """Believe nobody."""
        del signer
        return False


ONLY_THE_ISSUER: Final = OnlyTheIssuer()


def judge(
    certificate: Certificate,
    *,
    issuer: Certificate,
    lists: Iterable[RevocationList] = (),
    responses: Iterable[OcspResponse] = (),
    at: datetime,
    signers: Signers = ONLY_THE_ISSUER,
) -> RevocationStatus:
    """Say what *lists* and *responses* tell about *certificate*, which *issuer* signed."""
    by_lists = _Lists(certificate, issuer, at, signers).judge(lists)
    by_responses = _judge_by_responses(
        certificate, issuer=issuer, responses=responses, at=at, signers=signers
    )
    for status in (by_responses, by_lists):
        if isinstance(status, Revoked):
            return status
    for status in (by_responses, by_lists):
        if isinstance(status, Good):
            return status
    if isinstance(by_lists, Unknown) and by_lists.reason == "no-list" and by_responses is not None:
        return by_responses
    return by_lists


# --- Lists -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Point:
    """A distribution point of the certificate: where its issuer says that a list is."""

    names: frozenset[object]
    issuers: frozenset[ComparableName]
    reasons: frozenset[x509.ReasonFlags]


@dataclass(frozen=True, slots=True)
class _Lists:
    """Judges one certificate by lists, RFC 5280, 6.3.3."""

    certificate: Certificate
    issuer: Certificate
    at: datetime
    signers: Signers

    def judge(self, lists: Iterable[RevocationList]) -> RevocationStatus:
        points = tuple(_points(self.certificate))
        issuers = {comparable_name(self.certificate.parsed.issuer)}
        issuers.update(name for point in points for name in point.issuers)
        made = [each for each in lists if each.issuer in issuers and self._is_made_by_rights(each)]
        if not made:
            return Unknown(reason="no-list")
        about = [(each, self._reasons(each, points)) for each in made]
        usable = [(each, reasons) for each, reasons in about if reasons and each.is_understood]
        if not usable:
            return Unknown(reason="unusable-list")
        return self._conclude([(each, got) for each, got in usable if each.is_fresh_at(self.at)])

    def _conclude(
        self, fresh: Sequence[tuple[RevocationList, frozenset[x509.ReasonFlags]]]
    ) -> RevocationStatus:
        covered: set[x509.ReasonFlags] = set()
        rests_on: list[Reliance] = []
        lapses: list[datetime] = []
        for complete, reasons in _newest_of_each_scope(fresh):
            delta = _newest_delta(complete, [each for each, _ in fresh])
            relied = [_reliance(each) for each in (complete, delta) if each is not None]
            entry = self._find(complete, delta)
            if entry is not None:
                return Revoked(
                    revoked_at=entry.revoked_at, reason=entry.reason, rests_on=tuple(relied)
                )
            covered |= reasons
            rests_on += relied
            assert complete.next_update_at is not None, "it is fresh"
            lapses.append(complete.next_update_at)
        if covered >= _ALL_REASONS:
            return Good(until=min(lapses), rests_on=tuple(rests_on))
        return Unknown(reason="some-reasons" if covered else "stale-list")

    def _find(self, complete: RevocationList, delta: RevocationList | None) -> Entry | None:
        own = comparable_name(self.certificate.parsed.issuer)
        for each in (delta, complete):
            if each is None:
                continue
            entry = each.entries.find(self.certificate.serial, own, is_own=each.issuer == own)
            if entry is not None:
                return None if entry.reason == REMOVED else entry
        return None

    def _is_made_by_rights(self, candidate: RevocationList) -> bool:
        """Say whether somebody signed it who may speak under the name of its issuer."""
        name = comparable_name(self.issuer.parsed.subject)
        if candidate.issuer == name and _signs_lists(self.issuer, candidate):
            return True
        return any(
            _signs_lists(signer, candidate) and self.signers.is_proven(signer)
            for signer in self.signers.named(candidate.issuer)
            if signer != self.issuer
        )

    def _reasons(
        self, candidate: RevocationList, points: Sequence[_Point]
    ) -> frozenset[x509.ReasonFlags]:
        """Return the reasons for which a list speaks about the certificate."""
        reasons: frozenset[x509.ReasonFlags] = frozenset()
        if not self._is_of_kind(candidate.scope):
            return reasons
        own = frozenset({comparable_name(self.certificate.parsed.issuer)})
        names = _scope_names(candidate)
        for point in points:
            expected = point.issuers or own
            if candidate.issuer not in expected:
                continue
            if point.issuers and not candidate.is_indirect:
                continue
            if names is None or not names.isdisjoint(point.names):
                reasons |= point.reasons
        some = candidate.scope.only_some_reasons if candidate.scope else None
        return reasons if some is None else reasons & some

    def _is_of_kind(self, scope: x509.IssuingDistributionPoint | None) -> bool:
        if scope is None:
            return True
        if scope.only_contains_attribute_certs:
            return False
        if self.certificate.is_authority:
            return not scope.only_contains_user_certs
        return not scope.only_contains_ca_certs


def _signs_lists(signer: Certificate, candidate: RevocationList) -> bool:
    return signer.allows("cRLSign") and candidate.is_signed_by(signer)


def _points(certificate: Certificate) -> Iterator[_Point]:
    """List the distribution points, then the one that every certificate has: its issuer's name."""
    own = comparable_name(certificate.parsed.issuer)
    written = find_extension(certificate.parsed.extensions, x509.CRLDistributionPoints)
    for point in written or ():
        issuers = frozenset(
            comparable_name(each.value)
            for each in point.crl_issuer or ()
            if isinstance(each, x509.DirectoryName)
        )
        if point.crl_issuer and not issuers:
            continue  # an issuer of lists that has no name to find it by
        names = _names(point.full_name, point.relative_name, issuers or {own})
        yield _Point(names or issuers, issuers, point.reasons or _ALL_REASONS)
    yield _Point(frozenset({own}), frozenset(), _ALL_REASONS)


def _scope_names(candidate: RevocationList) -> frozenset[object] | None:
    """Return the names of the point that a list was issued for; None if for any."""
    scope = candidate.scope
    if scope is None or (scope.full_name is None and scope.relative_name is None):
        return None
    return _names(scope.full_name, scope.relative_name, {candidate.issuer})


def _names(
    full: Iterable[x509.GeneralName] | None,
    relative: x509.RelativeDistinguishedName | None,
    issuers: Iterable[ComparableName],
) -> frozenset[object]:
    if relative is not None:
        last = comparable_name(x509.Name([relative]))
        return frozenset((*name, *last) for name in issuers)
    return frozenset(
        comparable_name(each.value) if isinstance(each, x509.DirectoryName) else each
        for each in full or ()
    )


def _newest_of_each_scope(
    fresh: Sequence[tuple[RevocationList, frozenset[x509.ReasonFlags]]],
) -> list[tuple[RevocationList, frozenset[x509.ReasonFlags]]]:
    """Keep of each series of complete lists the newest: a certificate on hold may come back."""
    newest: dict[object, tuple[RevocationList, frozenset[x509.ReasonFlags]]] = {}
    for each, reasons in fresh:
        if each.base_number is not None:
            continue
        known = newest.get(_series(each))
        if known is None or _age_key(known[0]) < _age_key(each):
            newest[_series(each)] = (each, reasons)
    return list(newest.values())


def _newest_delta(
    complete: RevocationList, fresh: Iterable[RevocationList]
) -> RevocationList | None:
    """Return the newest delta list that builds upon *complete*."""
    deltas = [
        each
        for each in fresh
        if _series(each) == _series(complete)
        and each.base_number is not None
        and complete.number is not None
        and each.number is not None
        and each.base_number <= complete.number < each.number
    ]
    return max(deltas, key=_age_key, default=None)


def _series(each: RevocationList) -> object:
    """Return what is alike in all lists that replace each other."""
    return each.issuer, each.scope, each.authority_key_identifier


def _age_key(each: RevocationList) -> tuple[datetime, int]:
    return each.this_update_at, -1 if each.number is None else each.number


def _reliance(each: RevocationList) -> Reliance:
    return Reliance(
        kind="crl" if each.base_number is None else "delta-crl",
        sha256=each.fingerprint,
        number=each.number,
        this_update_at=each.this_update_at,
        next_update_at=each.next_update_at,
        octets=each,
    )


# --- Responses -------------------------------------------------------------------------------


def _judge_by_responses(
    certificate: Certificate,
    *,
    issuer: Certificate,
    responses: Iterable[OcspResponse],
    at: datetime,
    signers: Signers,
) -> RevocationStatus | None:
    """Say what the responses tell; None if none of them is about the certificate and usable."""
    found: list[RevocationStatus] = []
    for response in responses:
        single = response.find(certificate, issuer=issuer)
        if single is None or not single.is_fresh_at(at):
            continue
        responder = response.find_responder(issuer, at=at)
        if responder is None:
            continue
        if responder.needs_proof and not signers.is_proven(responder.certificate):
            continue
        relied = (
            Reliance(
                kind="ocsp",
                sha256=response.fingerprint,
                number=None,
                this_update_at=single.this_update_at,
                next_update_at=single.next_update_at,
                octets=response,
            ),
        )
        match single.status:
            case ResponseStatus.GOOD:
                found.append(Good(until=single.relied_upon_until, rests_on=relied))
            case ResponseStatus.REVOKED:
                assert single.revoked_at is not None, "a revoked status has its instant"
                found.append(
                    Revoked(revoked_at=single.revoked_at, reason=single.reason, rests_on=relied)
                )
            case ResponseStatus.UNKNOWN:
                found.append(Unknown(reason="unknown-to-responder"))
    for kind in (Revoked, Good, Unknown):
        of_kind = [each for each in found if isinstance(each, kind)]
        if of_kind:
            return of_kind[-1]
    return None
