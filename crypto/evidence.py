"""What did a verdict rest on, so that it can be proven again in ten years?

The evidence of a chain names, by their SHA-256, the certificates, lists and OCSP responses that
convinced us, with the instant. Whoever keeps those octets by that name can judge the same question
again for the same instant, with the anchor of then and no network.

Shapes
    `evidence_of` returns plain JSON values: strings, lists and objects.
Errors
    `RevocationSyntaxError` for evidence that is not understood, or whose octets are missing or
    are not what they were; what `crypto.trust.validate` raises if the verdict does not hold.
Sources
    RFC 5280, 6.1 (a path is judged for an instant); ETSI EN 319 102-1, 5.6 (past validation), for
    the idea.
"""

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from crypto.certificates import Certificate, parse_certificate
from crypto.errors import CertificateSyntaxError, RevocationSyntaxError
from crypto.trust import Profile, RevocationMode, TrustStore, Usage, ValidatedChain, validate

_VERSION: Final = 1
_OCSP: Final = "ocsp"
MAX_ITEMS: Final = 64

Find = Callable[[str], bytes | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceObject:
    """Octets to keep by their digest."""

    sha256: str
    kind: str
    octets: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    usage: Usage
    judged_at: datetime
    certificates: tuple[str, ...]
    witnesses: tuple[str, ...]
    statements: tuple[tuple[str, str], ...]
    is_revocation_judged: bool


def evidence_of(chain: ValidatedChain) -> dict[str, object]:
    """Return what the verdict rests on, to be stored with what was judged."""
    return {
        "version": _VERSION,
        "usage": chain.usage.value,
        "judged-at": chain.judged_at.isoformat(),
        "certificates": [each.fingerprint for each in chain.certificates],
        "witnesses": [each.fingerprint for each in chain.witnesses],
        "statements": [
            {
                "kind": each.kind,
                "sha256": each.sha256,
                "number": None if each.number is None else str(each.number),
                "this-update": each.this_update_at.isoformat(),
                "next-update": each.next_update_at.isoformat() if each.next_update_at else None,
            }
            for each in chain.rests_on
        ],
        "findings": list(chain.findings),
    }


def iter_objects(
    chain: ValidatedChain, *, but: Container[str] = frozenset()
) -> Iterator[EvidenceObject]:
    """Stream the octets that the evidence names, except those whose digests are in *but*."""
    for certificate in (*chain.certificates, *chain.witnesses):
        if certificate.fingerprint not in but:
            yield EvidenceObject(
                sha256=certificate.fingerprint, kind="certificate", octets=certificate.der
            )
    for each in chain.rests_on:
        if each.sha256 not in but:
            # Of a large list this is a copy, made only when it is asked for.
            yield EvidenceObject(sha256=each.sha256, kind=each.kind, octets=each.octets.der)


def judge_again(evidence: object, *, find: Find) -> ValidatedChain:
    """Judge once more what was judged then, at the instant of then.

    The anchor is the one of then: whether it is trusted today is another question.

    Args:
        evidence: What `evidence_of` returned.
        find: Returns octets by their SHA-256, None if they are not kept.
    """
    known = _read(evidence)
    leaf, *others = (_certificate(each, find) for each in known.certificates)
    witnesses = [_certificate(each, find) for each in known.witnesses]
    octets = [(kind, _octets(digest, find)) for kind, digest in known.statements]
    store = TrustStore(
        others[-1:],
        [*others[:-1], *witnesses],
        [each for kind, each in octets if kind != _OCSP],
        [each for kind, each in octets if kind == _OCSP],
    )
    profile = Profile(
        usage=known.usage,
        revocation=(
            RevocationMode.REQUIRE if known.is_revocation_judged else RevocationMode.IF_KNOWN
        ),
        refused_policies=(),  # a matter of the settings of then
    )
    return validate(leaf, store=store, profile=profile, at=known.judged_at)


def _read(evidence: object) -> _Evidence:
    try:
        if not isinstance(evidence, dict) or evidence["version"] != _VERSION:
            raise RevocationSyntaxError("evidence")
        known = _Evidence(
            usage=Usage(evidence["usage"]),
            judged_at=datetime.fromisoformat(evidence["judged-at"]),
            certificates=_texts(evidence["certificates"]),
            witnesses=_texts(evidence["witnesses"]),
            statements=tuple(
                (str(each["kind"]), str(each["sha256"])) for each in evidence["statements"]
            ),
            is_revocation_judged="revocation-not-judged" not in evidence["findings"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RevocationSyntaxError("evidence") from error
    count = len(known.certificates) + len(known.witnesses) + len(known.statements)
    if known.judged_at.tzinfo is None or len(known.certificates) < 2 or count > MAX_ITEMS:
        raise RevocationSyntaxError("evidence")
    return known


def _texts(found: object) -> tuple[str, ...]:
    if not isinstance(found, list):
        raise TypeError("evidence lists digests")
    return tuple(str(each) for each in found)


def _certificate(digest: str, find: Find) -> Certificate:
    try:
        return parse_certificate(_octets(digest, find))
    except CertificateSyntaxError as error:
        raise RevocationSyntaxError("evidence") from error


def _octets(digest: str, find: Find) -> bytes:
    octets = find(digest)
    if octets is None:
        raise RevocationSyntaxError("evidence-missing")
    if sha256(octets).hexdigest() != digest:
        raise RevocationSyntaxError("evidence-changed")
    return octets
