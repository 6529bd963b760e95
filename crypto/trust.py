"""Does this certificate lead to an anchor, for this use, at this instant?

Four judgements, in order: a bounded search for a path (names, identifiers, real signatures), our
rules for the use (key usage, policies, key sizes), revocation (`crypto.revocation`), and the
algorithm of RFC 5280, 6.1, by pyhanko-certvalidator on that one path. All must agree. The search
is ours because hostile sets of look-alike authorities make an exhaustive builder run for ever.

A verdict that held is kept for a short while with the store, never longer than what it rests on:
a door asks the same question for each connection. A refusal is not kept.

Units
    Instants are aware UTC.
Errors
    `UntrustedError`, its subclasses `ExpiredError` and `RevokedError`, or `IndeterminateError` when
    revocation cannot be told and the profile requires it.
Sources
    RFC 5280; RFC 8550 (S/MIME certificates); certificates that IGC-Santé publishes.
"""

from collections.abc import Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from threading import Lock
from typing import Final

from asn1crypto import x509 as asn1_x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.x509.oid import ExtensionOID
from pyhanko_certvalidator import errors as path_errors
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    NO_REVOCATION,
    REQUIRE_REVINFO,
    CertRevTrustPolicy,
)
from pyhanko_certvalidator.validate import async_validate_path

from crypto.algorithms import MAX_RSA_BITS, MIN_RSA_BITS
from crypto.certificates import (
    ANY_EXTENDED_KEY_USAGE,
    CLIENT_AUTH,
    EMAIL_PROTECTION,
    SERVER_AUTH,
    SIGN_DOCUMENTS,
    Certificate,
    Name,
)
from crypto.errors import (
    CryptoError,
    ExpiredError,
    IndeterminateError,
    RevokedError,
    UntrustedError,
)
from crypto.revocation import (
    Good,
    RevocationList,
    Revoked,
    Unknown,
    judge,
    parse_revocation_list,
)

MAX_GIVEN_CERTIFICATES: Final = 32
MAX_PATH_LENGTH: Final = 8
MAX_SIGNATURE_CHECKS: Final = 64
MAX_PATHS: Final = 4
MAX_KEPT_VERDICTS: Final = 4096
VERDICT_KEPT_FOR: Final = timedelta(minutes=10)
SMALL_LIST_OCTETS: Final = 1024 * 1024

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
    """What to do when no list tells whether a certificate was revoked."""

    REQUIRE = "require"
    IF_KNOWN = "if-known"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The rules for one use.

    Attributes:
        usage: What the certificate is used for.
        revocation: Whether an unknown status is refused or reported.
        refused_policies: Arcs of policy identifiers that no certificate of the path may carry.
    """

    usage: Usage
    revocation: RevocationMode = RevocationMode.REQUIRE
    refused_policies: tuple[str, ...] = (IGC_SANTE_TEST_POLICIES,)


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
    """

    certificates: tuple[Certificate, ...]
    usage: Usage
    judged_at: datetime
    fresh_until: datetime
    findings: tuple[str, ...] = ()

    @property
    def leaf(self) -> Certificate:
        """The certificate that was asked about."""
        return self.certificates[0]

    @property
    def anchor(self) -> Certificate:
        """The anchor that it leads to."""
        return self.certificates[-1]


class TrustStore:
    """Whom we trust, with the intermediates and revocation lists at hand. Never changes.

    Args:
        anchors: Self-signed or not, trusted as they are.
        intermediates: Authorities known beforehand; not trusted by themselves.
        crls: Revocation lists, as octets or parsed.
    """

    def __init__(
        self,
        anchors: Iterable[Certificate],
        intermediates: Iterable[Certificate] = (),
        crls: Iterable[bytes | RevocationList] = (),
    ) -> None:
        self.anchors = tuple(dict.fromkeys(anchors))
        self.intermediates = tuple(dict.fromkeys(intermediates))
        self.crls = tuple(
            each if isinstance(each, RevocationList) else parse_revocation_list(each)
            for each in crls
        )
        self._verdicts: dict[tuple[str, Profile], ValidatedChain] = {}
        self._lock = Lock()

    def __repr__(self) -> str:
        return (
            f"TrustStore({len(self.anchors)} anchors, "
            f"{len(self.intermediates)} intermediates, {len(self.crls)} lists)"
        )

    def with_crls(self, crls: Iterable[bytes | RevocationList]) -> "TrustStore":
        """Return a store with these lists instead; verdicts start afresh."""
        return TrustStore(self.anchors, self.intermediates, crls)

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
) -> ValidatedChain:
    """Prove that *certificate* leads to an anchor of *store* for the use of *profile*.

    Synchronous, and free to call from a thread or from within a running event loop.

    Args:
        certificate: The leaf.
        intermediates: What came along with it, hostile until proven; the first 32 are looked at.
        store: Whom we trust.
        profile: The use and its rules.
        at: Instant to judge at; usually the time of receipt.

    Raises:
        UntrustedError: No path, or not for this use; `ExpiredError` and `RevokedError` say more.
        IndeterminateError: Revocation is required and cannot be told.
    """
    known = store.find_verdict(certificate, profile, at)
    if known is not None:
        return known
    _check_leaf(certificate, profile)
    refusal: CryptoError | None = None
    for path in _find_paths(certificate, intermediates, store):
        try:
            chain = _validate_path(path, store=store, profile=profile, at=at)
        except (UntrustedError, IndeterminateError) as error:
            refusal = refusal or error
        else:
            store.keep_verdict(chain, profile)
            return chain
    raise refusal or UntrustedError("no-path")


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


def _check_leaf(certificate: Certificate, profile: Profile) -> None:
    if certificate.is_authority:
        raise UntrustedError("authority-as-leaf")
    if not certificate.allows(*_key_usages(certificate, profile.usage)):
        raise UntrustedError("key-usage")
    for extension in certificate.parsed.extensions:
        if extension.critical and extension.oid not in _UNDERSTOOD_CRITICAL:
            raise UntrustedError("unknown-critical-extension")


def _key_usages(certificate: Certificate, usage: Usage) -> tuple[str, ...]:
    is_rsa = isinstance(certificate.public_key, rsa.RSAPublicKey)
    match usage:
        case Usage.MAIL_SIGNING | Usage.DOCUMENT_SIGNING:
            return ("digitalSignature", "nonRepudiation")
        case Usage.MAIL_ENCRYPTION:
            return ("keyEncipherment",) if is_rsa else ("keyAgreement",)
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


def _check_key(certificate: Certificate) -> None:
    match certificate.public_key:
        case rsa.RSAPublicKey() as key if MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            return
        case ec.EllipticCurvePublicKey() as key if key.key_size >= 256:
            return
        case ed25519.Ed25519PublicKey() | x25519.X25519PublicKey():
            return
        case _:
            raise UntrustedError("weak-key")


def _is_within(policy: str, arc: str) -> bool:
    return policy == arc or policy.startswith(arc + ".")


# --- Finding a path --------------------------------------------------------------------------


@dataclass(slots=True)
class _Search:
    """Authorities by name, and how many signatures may still be checked."""

    by_name: dict[Name, list[Certificate]]
    anchors: frozenset[Certificate]
    checks_left: int = MAX_SIGNATURE_CHECKS

    def issuers_of(self, certificate: Certificate) -> Iterator[Certificate]:
        wanted = certificate.authority_key_identifier
        for candidate in self.by_name.get(_comparable(certificate.issuer), ()):
            if wanted is None or wanted == candidate.key_identifier:
                yield candidate


def _find_paths(
    certificate: Certificate, intermediates: Sequence[Certificate], store: TrustStore
) -> Iterator[tuple[Certificate, ...]]:
    by_name: dict[Name, list[Certificate]] = {}
    given = intermediates[:MAX_GIVEN_CERTIFICATES]
    for each in dict.fromkeys((*store.anchors, *store.intermediates, *given)):
        if each.is_authority or each in store.anchors:
            by_name.setdefault(_comparable(each.subject), []).append(each)
    search = _Search(by_name, frozenset(store.anchors))
    for found, path in enumerate(_climb((certificate,), search)):
        yield path
        if found + 1 >= MAX_PATHS:
            return


def _climb(path: tuple[Certificate, ...], search: _Search) -> Iterator[tuple[Certificate, ...]]:
    for issuer in search.issuers_of(path[-1]):
        if search.checks_left == 0:
            return
        if issuer in path:
            continue
        search.checks_left -= 1
        if not _is_signed_by(path[-1], issuer):
            continue
        if issuer in search.anchors:
            yield (*path, issuer)
        elif len(path) + 1 < MAX_PATH_LENGTH:
            yield from _climb((*path, issuer), search)


@lru_cache(maxsize=4096)
def _comparable(name: Name) -> Name:
    """Fold case and spaces, as RFC 5280, 7.1 compares names."""
    return tuple((kind, " ".join(value.split()).casefold()) for kind, value in name)


def _is_signed_by(certificate: Certificate, issuer: Certificate) -> bool:
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


# --- Judging a path --------------------------------------------------------------------------


def _validate_path(
    path: tuple[Certificate, ...], *, store: TrustStore, profile: Profile, at: datetime
) -> ValidatedChain:
    for each in path[:-1]:
        _check_each(each, profile)
    _run_rfc5280(path, at=at)
    lapses = [at + VERDICT_KEPT_FOR, *(each.not_after_at for each in path)]
    findings: list[str] = []
    for certificate, issuer in pairwise(path):
        match judge(certificate, issuer=issuer, lists=store.crls, at=at):
            case Good(until=until):
                lapses.append(until)
            case Revoked(revoked_at=revoked_at, reason=reason):
                raise RevokedError(f"revoked-{reason.replace('_', '-')}", revoked_at=revoked_at)
            case Unknown(reason=reason) if profile.revocation is RevocationMode.REQUIRE:
                _run_rfc5280(path, at=at, lists=_small(store.crls), unknown=reason)
                lapses.append(at)  # what it rests on is not known to us: do not keep it
            case Unknown():
                findings.append("revocation-not-judged")
    return ValidatedChain(
        certificates=path,
        usage=profile.usage,
        judged_at=at,
        fresh_until=min(lapses),
        findings=tuple(dict.fromkeys(findings)),
    )


def _small(lists: Iterable[RevocationList]) -> list[bytes]:
    return [each.der for each in lists if len(each.der) <= SMALL_LIST_OCTETS]


def _run_rfc5280(
    path: tuple[Certificate, ...],
    *,
    at: datetime,
    lists: list[bytes] | None = None,
    unknown: str = "no-list",
) -> None:
    """Run the standard algorithm; with *lists*, revocation included and required.

    The second form serves lists that we do not read ourselves, such as indirect ones.
    """
    leaf, *authorities, anchor = (_asn1(each.der) for each in path)
    try:
        context = ValidationContext(
            trust_roots=[anchor],
            other_certs=authorities,
            crls=lists,
            moment=at,
            allow_fetching=False,
            revinfo_policy=CertRevTrustPolicy(NO_REVOCATION if lists is None else REQUIRE_REVINFO),
            time_tolerance=timedelta(0),
        )
        candidate = ValidationPath(CertTrustAnchor(anchor), list(reversed(authorities)), leaf)
        _drive(async_validate_path(context, candidate))
    except path_errors.RevokedError as error:
        raise RevokedError("revoked", revoked_at=error.revocation_dt) from error
    except path_errors.ExpiredError as error:
        raise ExpiredError("expired") from error
    except path_errors.NotYetValidError as error:
        raise ExpiredError("not-yet-valid") from error
    except path_errors.InsufficientRevinfoError as error:
        raise IndeterminateError(f"revocation-{unknown}") from error
    except path_errors.DisallowedAlgorithmError as error:
        raise UntrustedError("weak-algorithm") from error
    except (path_errors.ValidationError, path_errors.PathError) as error:
        raise UntrustedError("path-invalid") from error
    except (ValueError, TypeError, KeyError) as error:
        # The library decodes lazily, so octets that it does not like surface here.
        raise UntrustedError("path-unreadable") from error


@lru_cache(maxsize=256)
def _asn1(encoded: bytes) -> object:
    return asn1_x509.Certificate.load(encoded, strict=True)


def _drive(coroutine: Coroutine[object, None, object]) -> None:
    """Run to its end a coroutine that never waits: nothing is fetched, so nothing suspends it."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise IndeterminateError("path-validation-suspended")
