"""Which ways may lead from this certificate to an anchor?

A search with a bound: names must chain, identifiers of keys are a hint, and each step is a
signature that really holds. A message may bring look-alike authorities that sign each other in a
ring; an exhaustive builder then runs for hours. Ours checks so many signatures a message and gives
up. Names are compared as RFC 5280 compares them, and whatever comes out is still judged whole by
`crypto.trust`.

Errors
    None: a search that finds nothing yields nothing.
Sources
    RFC 5280, 6.1; RFC 4158 (building paths) for what we do not do.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from crypto.algorithms import MAX_RSA_BITS
from crypto.certificates import Certificate, ComparableName, comparable_name

MAX_GIVEN_CERTIFICATES: Final = 32
MAX_PATH_LENGTH: Final = 8
MAX_SIGNATURE_CHECKS: Final = 64
MAX_PATHS: Final = 4

Path = tuple[Certificate, ...]
"""Leaf first, anchor last."""


@dataclass(slots=True)
class Budget:
    """How many signatures of certificates may still be checked; one for a whole message."""

    checks_left: int = MAX_SIGNATURE_CHECKS

    def spend(self) -> bool:
        """Take one check, if any is left."""
        if self.checks_left <= 0:
            return False
        self.checks_left -= 1
        return True


@dataclass(frozen=True, slots=True)
class Authorities:
    """Certificates that may issue others, by name. Anchors need not say that they are."""

    by_name: Mapping[ComparableName, tuple[Certificate, ...]] = field(repr=False)
    anchors: frozenset[Certificate] = field(repr=False)

    @classmethod
    def of(
        cls, anchors: Iterable[Certificate], intermediates: Iterable[Certificate] = ()
    ) -> "Authorities":
        """Sort certificates by name, anchors first."""
        trusted = tuple(dict.fromkeys(anchors))
        others = (each for each in dict.fromkeys(intermediates) if each.is_authority)
        return cls(_by_name(chain(trusted, others)), frozenset(trusted))

    def named(self, name: ComparableName) -> tuple[Certificate, ...]:
        """List those of a name."""
        return self.by_name.get(name, ())


def find_paths(
    certificate: Certificate,
    *,
    given: Sequence[Certificate] = (),
    known: Authorities,
    budget: Budget | None = None,
) -> Iterator[Path]:
    """Yield ways from *certificate* to an anchor, at the most `MAX_PATHS`.

    Args:
        certificate: Where to start.
        given: What came along with it, hostile; the first `MAX_GIVEN_CERTIFICATES` are looked at.
        known: Anchors, and authorities known beforehand.
        budget: What is left of the signature checks for this message; a fresh one if None.
    """
    theirs = _by_name(each for each in given[:MAX_GIVEN_CERTIFICATES] if each.is_authority)
    search = _Search(known, theirs, Budget() if budget is None else budget)
    for found, path in enumerate(search.climb((certificate,)), start=1):
        yield path
        if found == MAX_PATHS:
            return


@dataclass(frozen=True, slots=True)
class _Search:
    known: Authorities
    given: Mapping[ComparableName, tuple[Certificate, ...]]
    budget: Budget

    def climb(self, path: Path) -> Iterator[Path]:
        """Go on from the last certificate of *path*."""
        if path[-1] in self.known.anchors:
            if len(path) > 1:
                yield path
            return
        if len(path) == MAX_PATH_LENGTH:
            return
        for issuer in self._issuers_of(path[-1]):
            if issuer in path:
                continue
            if not self.budget.spend():
                return
            if is_signed_by(path[-1], issuer):
                yield from self.climb((*path, issuer))

    def _issuers_of(self, certificate: Certificate) -> Iterator[Certificate]:
        """List candidates by name: first those whose key the certificate names, then the silent.

        Authorities without a key identifier of their own are tried by their computed one, so a
        hint that fits nothing excludes only those that say otherwise.
        """
        name = comparable_name(certificate.parsed.issuer)
        wanted = certificate.authority_key_identifier
        for candidate in (*self.known.named(name), *self.given.get(name, ())):
            if wanted is None or wanted == candidate.key_identifier:
                yield candidate


def _by_name(
    certificates: Iterable[Certificate],
) -> dict[ComparableName, tuple[Certificate, ...]]:
    found: dict[ComparableName, dict[Certificate, None]] = {}
    for each in certificates:
        found.setdefault(comparable_name(each.parsed.subject), {})[each] = None
    return {name: tuple(each) for name, each in found.items()}


@lru_cache(maxsize=4096)
def is_signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Say whether the key of *issuer* made the signature of *certificate*; the answer is kept."""
    parsed, key = certificate.parsed, issuer.public_key
    try:
        parameters = parsed.signature_algorithm_parameters
        signature, tbs = parsed.signature, parsed.tbs_certificate_bytes
        if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(parameters, ec.ECDSA):
            key.verify(signature, tbs, parameters)
        elif isinstance(key, ed25519.Ed25519PublicKey) and parameters is None:
            key.verify(signature, tbs)
        elif isinstance(key, rsa.RSAPublicKey) and isinstance(
            parameters, padding.PKCS1v15 | padding.PSS
        ):
            algorithm = parsed.signature_hash_algorithm
            if algorithm is None or key.key_size > MAX_RSA_BITS:
                return False
            key.verify(signature, tbs, parameters, algorithm)
        else:
            return False
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, TypeError):
        return False
    return True
