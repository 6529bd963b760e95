import pytest

from crypto.errors import (
    CryptoError,
    ExpiredError,
    IndeterminateError,
    RevokedError,
    UntrustedError,
)
from crypto.tls import HandshakeFault
from directory.distinguished_name import DistinguishedName
from mss.policy.peer import certificate_objection, handshake_objection, name_objection
from tests.support.pki import NOW

DOMAIN = "ch-demo.mssante.fr"
LISTED = DistinguishedName.parse("CN=mx.ch-demo.fr,OU=1750000001,O=CH DEMO,ST=Paris (75),C=FR")


@pytest.mark.parametrize(
    ("error", "code", "is_temporary"),
    [
        (ExpiredError("expired"), "peer-expired", False),
        (ExpiredError("not-yet-valid"), "peer-expired", False),
        (RevokedError("revoked-key-compromise", revoked_at=NOW), "peer-revoked", False),
        (IndeterminateError("revocation-no-list"), "peer-revocation-unknown", True),
        (UntrustedError("no-path"), "peer-foreign-authority", False),
        (UntrustedError("key-usage"), "peer-wrong-use", False),
        (UntrustedError("weak-key"), "peer-not-trusted", False),
    ],
)
def test_each_fault_of_a_certificate_has_its_own_code(
    error: CryptoError, code: str, *, is_temporary: bool
) -> None:
    """What cannot be told now is temporary: our lists are missing, so letters must not bounce."""
    objection = certificate_objection(error, domain=DOMAIN)

    assert (objection.code, objection.retryable) == (code, is_temporary)
    assert objection.domain == DOMAIN


@pytest.mark.parametrize("fault", HandshakeFault)
def test_each_fault_of_a_handshake_has_a_code(fault: HandshakeFault) -> None:
    """None is left to the fallback; the fault itself is the reason."""
    objection = handshake_objection(fault)

    assert objection.code.startswith(("peer-", "tls-"))
    assert getattr(objection, "reason", "") == fault.value


@pytest.mark.parametrize(
    "name",
    [
        "CN=MX.ch-demo.fr,OU=1750000001,O=CH  DEMO,ST=Paris(75),C=FR",
        'CN="mx.ch-demo.fr", OU=1750000001, O=CH DEMO, ST=Paris (75), C=fr',
    ],
)
def test_a_listed_name_may_speak_however_it_is_written(name: str) -> None:
    """Spelling is no identity."""
    objection = name_objection(
        DistinguishedName.parse(name), domain=DOMAIN, listed=[LISTED], is_listed_elsewhere=True
    )

    assert objection is None


@pytest.mark.parametrize(
    ("name", "is_elsewhere", "code", "reason"),
    [
        ("CN=new.ch-demo.fr,OU=1750000001,O=CH DEMO,ST=Paris (75),C=FR", False, "differs", "cn"),
        ("CN=mx.ch-demo.fr,OU=1750000009,O=CH DEMO,ST=Paris (75),C=FR", False, "differs", "ou"),
        ("CN=mx.ch-demo.fr,OU=1750000001,O=CH DEMO,L=Paris (75),C=FR", False, "differs", "l,st"),
        ("C=FR,ST=Paris (75),O=CH DEMO,OU=1750000001,CN=mx.ch-demo.fr", False, "differs", "order"),
        (
            "CN=mx.autre.fr,OU=1750000009,O=AUTRE,ST=Paris (75),C=FR",
            False,
            "listed",
            "name-unknown",
        ),
        (
            "CN=new.ch-demo.fr,OU=1750000001,O=CH DEMO,ST=Paris (75),C=FR",
            True,
            "listed",
            "listed-for-other-domains",
        ),
    ],
)
def test_a_name_that_is_not_listed_says_how_far_off_it_is(
    name: str, code: str, reason: str, *, is_elsewhere: bool
) -> None:
    """An entry to mend is told from a stranger, and from somebody else's good certificate."""
    objection = name_objection(
        DistinguishedName.parse(name),
        domain=DOMAIN,
        listed=[LISTED],
        is_listed_elsewhere=is_elsewhere,
    )

    assert objection is not None
    assert objection.code in {"peer-name-differs", "peer-not-listed"}
    assert (objection.code.endswith(code), objection.reason) == (True, reason)


def test_a_domain_that_nobody_listed_has_no_operator() -> None:
    """The reason says that it is the domain, not the certificate."""
    objection = name_objection(LISTED, domain="x.fr", listed=[], is_listed_elsewhere=False)

    assert objection is not None
    assert (objection.code, objection.reason) == ("peer-not-listed", "domain-unknown")
