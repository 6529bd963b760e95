"""Does this one path hold by the algorithm of RFC 5280, revocation aside?

The algorithm is pyhanko-certvalidator's, on a path that was found beforehand: it never builds one,
fetches nothing and judges no revocation here (`crypto.revocation` does). What it tolerates and we
do not is refused first: constraints that the anchor states about itself are honoured, its validity
included, and products of name constraints and names that would take long are not computed.

Errors
    `UntrustedError`, its subclass `ExpiredError`, or `IndeterminateError` if the library suspends.
Sources
    RFC 5280, 6.1; RFC 5937 (constraints of anchors).
"""

from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from pyhanko_certvalidator import errors as path_errors
from pyhanko_certvalidator.authority import CertTrustAnchor, TrustQualifiers
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.name_trees import (
    default_excluded_subtrees,
    default_permitted_subtrees,
    process_general_subtrees,
)
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import (
    NO_REVOCATION,
    CertRevTrustPolicy,
    PKIXValidationParams,
)
from pyhanko_certvalidator.validate import async_validate_path

from crypto.certificates import Certificate, find_extension
from crypto.errors import ExpiredError, IndeterminateError, UntrustedError
from crypto.path_finder import Path

MAX_NAME_COMPARISONS: Final = 4096
_ANY_POLICY: Final = "any_policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRules:
    """The inputs of RFC 5280, 6.1.1 about certificate policies; the default asks for none.

    Attributes:
        accepted: Dotted identifiers; None for any.
    """

    accepted: frozenset[str] | None = None
    is_explicit: bool = False
    inhibits_mapping: bool = False
    inhibits_any: bool = False


ANY_POLICY: Final = PolicyRules()


def check_path(path: Path, *, at: datetime, policies: PolicyRules = ANY_POLICY) -> None:
    """Let pass a path that holds at *at*.

    Raises:
        UntrustedError: It does not; `ExpiredError` if the reason is a date.
        IndeterminateError: The algorithm could not be run to its end.
    """
    _check_anchor_dates(path[-1], at)
    _check_work(path)
    leaf, *authorities, anchor = (_asn1(each.der) for each in path)
    try:
        context = ValidationContext(
            trust_roots=[anchor],
            other_certs=authorities,
            moment=at,
            allow_fetching=False,
            revinfo_policy=CertRevTrustPolicy(NO_REVOCATION),
            time_tolerance=timedelta(0),
        )
        root = CertTrustAnchor(anchor, quals=_qualifiers(anchor))
        candidate = ValidationPath(root, list(reversed(authorities)), leaf)
        _drive(async_validate_path(context, candidate, _parameters(anchor, policies)))
    except path_errors.ExpiredError as error:
        raise ExpiredError("expired") from error
    except path_errors.NotYetValidError as error:
        raise ExpiredError("not-yet-valid") from error
    except path_errors.DisallowedAlgorithmError as error:
        raise UntrustedError("weak-algorithm") from error
    except (path_errors.ValidationError, path_errors.PathError) as error:
        raise UntrustedError("path-invalid") from error
    except (ValueError, TypeError, KeyError) as error:
        # The library decodes lazily, so octets that it does not like surface here.
        raise UntrustedError("path-unreadable") from error


def _check_anchor_dates(anchor: Certificate, at: datetime) -> None:
    if at < anchor.not_before_at:
        raise ExpiredError("not-yet-valid")
    if at > anchor.not_after_at:
        raise ExpiredError("expired")


def _check_work(path: Path) -> None:
    """Refuse what would take long: every name of the path is held against every constraint."""
    constraints = sum(_count_constraints(each) for each in path[1:])
    if constraints == 0:
        return
    names = sum(_count_names(each) for each in path[:-1])
    if constraints * names > MAX_NAME_COMPARISONS:
        raise UntrustedError("too-many-name-constraints")


def _count_constraints(certificate: Certificate) -> int:
    found = find_extension(certificate.parsed.extensions, x509.NameConstraints)
    if found is None:
        return 0
    return len(found.permitted_subtrees or ()) + len(found.excluded_subtrees or ())


def _count_names(certificate: Certificate) -> int:
    found = find_extension(certificate.parsed.extensions, x509.SubjectAlternativeName)
    return 1 + len(list(found or ()))


def _parameters(anchor: asn1_x509.Certificate, policies: PolicyRules) -> PKIXValidationParams:
    """Join what is asked of policies with the names that the anchor may vouch for."""
    constraints = anchor.name_constraints_value
    permitted = constraints["permitted_subtrees"] if constraints is not None else None
    excluded = constraints["excluded_subtrees"] if constraints is not None else None
    return PKIXValidationParams(
        user_initial_policy_set=(
            frozenset({_ANY_POLICY}) if policies.accepted is None else policies.accepted
        ),
        initial_explicit_policy=policies.is_explicit,
        initial_policy_mapping_inhibit=policies.inhibits_mapping,
        initial_any_policy_inhibit=policies.inhibits_any,
        # Kinds of names that the anchor does not speak of stay as the library would have them.
        initial_permitted_subtrees={
            **default_permitted_subtrees(),
            **(process_general_subtrees(permitted) if permitted else {}),
        },
        initial_excluded_subtrees={
            **default_excluded_subtrees(),
            **(process_general_subtrees(excluded) if excluded else {}),
        },
    )


def _qualifiers(anchor: asn1_x509.Certificate) -> TrustQualifiers:
    longest = anchor.max_path_length
    return TrustQualifiers(max_path_length=longest, max_aa_path_length=longest)  # both or none


@lru_cache(maxsize=256)
def _asn1(encoded: bytes) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(encoded, strict=True)


def _drive(coroutine: Coroutine[object, None, object]) -> None:
    """Run to its end a coroutine that never waits: nothing is fetched, so nothing suspends it."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise IndeterminateError("path-validation-suspended")
