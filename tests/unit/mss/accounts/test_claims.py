import base64
import hashlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mss.accounts.claims import VouchedIdentity, check_claims
from mss.accounts.errors import CredentialsRefusedError
from mss.settings import OidcSettings
from tests.support.oidc_server import IDENTITY, OidcServer
from tests.support.pki import NOW

ISSUER = "https://idp.example/realms/sante"
SERVER = OidcServer(issuer=ISSUER)
RULES = OidcSettings(issuer=ISSUER)
DIGEST = hashlib.sha256(b"a certificate").digest()
FINGERPRINT = DIGEST.hex()


def check(
    claims: dict[str, Any], *, fingerprint: str | None = None, **changes: object
) -> VouchedIdentity:
    """Check claims by the usual rules, or changed ones."""
    rules = OidcSettings.model_validate({**RULES.model_dump(), **changes})
    return check_claims(claims, rules=rules, now=NOW, fingerprint=fingerprint)


def reason(claims: dict[str, Any], **how: Any) -> str:
    """Say why claims are refused."""
    with pytest.raises(CredentialsRefusedError) as refusal:
        check(claims, **how)
    return refusal.value.reason


def test_a_good_token_names_a_person() -> None:
    """`8` and the RPPS number."""
    found = check(SERVER.claims(at=NOW))

    assert (found.identity, found.identity.rpps) == (IDENTITY, IDENTITY[1:])
    assert found.client == "logiciel-metier"
    assert found.expires_at == NOW + timedelta(minutes=2)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"iss": "https://other.example"}, "token-issuer"),
        ({"iss": ISSUER + "/"}, "token-issuer"),
        ({"iss": None}, "token-issuer"),
        ({"iss": [ISSUER]}, "token-issuer"),
        ({"typ": "ID"}, "token-type"),
        ({"typ": "Refresh"}, "token-type"),
        ({"typ": 7}, "token-type"),
        ({"exp": None}, "token-endless"),
        ({"exp": "1"}, "token-times"),
        ({"exp": True}, "token-times"),
        ({"exp": 1e400}, "token-times"),
        ({"exp": 10**400}, "token-times"),
        ({"exp": -1}, "token-times"),
        ({"nbf": [1]}, "token-times"),
        ({"SubjectNameID": None}, "token-identity"),
        ({"SubjectNameID": 899000000028}, "token-identity"),
        ({"SubjectNameID": ""}, "token-identity"),
        ({"SubjectNameID": "8123"}, "token-identity"),
        ({"SubjectNameID": "899000000028\n"}, "token-identity"),
        ({"azp": ["a"]}, "token-client"),
        ({"azp": "a", "client_id": "b"}, "token-client"),
    ],
)
def test_what_is_refused(changes: dict[str, object], expected: str) -> None:
    """Each for its own reason, which the journal keeps."""
    assert reason(SERVER.claims(at=NOW, **changes)) == expected


def test_nothing_is_no_number() -> None:
    """A member that is there and null is not absent."""
    assert reason({**SERVER.claims(at=NOW), "exp": None}) == "token-times"


@pytest.mark.parametrize(
    ("name", "seconds", "expected"),
    [
        ("exp", -59, ""),
        ("exp", -60, "token-expired"),
        ("iat", 60, ""),
        ("iat", 61, "token-not-yet-valid"),
        ("nbf", 60, ""),
        ("nbf", 61, "token-not-yet-valid"),
    ],
)
def test_clocks_may_differ_by_a_minute(name: str, seconds: int, expected: str) -> None:
    """And by no more."""
    claims = SERVER.claims(at=NOW, **{name: int(NOW.timestamp()) + seconds})

    assert (reason(claims) if expected else "") == expected
    assert expected or check(claims)


def test_a_token_of_long_ago_is_good_while_it_lasts() -> None:
    """Only its end counts."""
    long_ago = int((NOW - timedelta(days=300)).timestamp())

    assert check(SERVER.claims(at=NOW, iat=long_ago))


@pytest.mark.parametrize(
    ("aud", "is_good"),
    [
        ("mss", True),
        (["account", "mss"], True),
        ("account", False),
        ([], False),
        (None, False),
        ({"mss": 1}, False),
        ([["mss"]], False),
    ],
)
def test_an_audience_is_checked_where_the_settings_name_one(aud: object, *, is_good: bool) -> None:
    """Tokens of Pro Santé Connect are issued to the software, so there is none by default."""
    claims = SERVER.claims(at=NOW, aud=aud)

    assert check(claims)
    assert (
        bool(check(claims, audiences=("mss",)))
        if is_good
        else reason(claims, audiences=("mss",)) == "token-audience"
    )


@pytest.mark.parametrize("name", ["azp", "client_id"])
def test_only_listed_software_where_the_settings_list_some(name: str) -> None:
    """By either name of the claim."""
    claims = SERVER.claims(at=NOW, **{"azp": None, name: "dossier"})

    assert check(claims, clients=("dossier", "autre")).client == "dossier"
    assert reason(claims, clients=("autre",)) == "token-client"
    assert reason(SERVER.claims(at=NOW, azp=None), clients=("autre",)) == "token-client"


SPELLINGS = {
    "of the RFC": base64.urlsafe_b64encode(DIGEST).rstrip(b"="),
    "padded": base64.urlsafe_b64encode(DIGEST),
    "plain alphabet": base64.b64encode(DIGEST),
    "of the national examples": base64.b64encode(FINGERPRINT.encode()),
    "the same without padding": base64.b64encode(FINGERPRINT.encode()).rstrip(b"="),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
def test_a_bound_token_is_good_with_its_certificate_only(spelling: bytes) -> None:
    """Whichever way the thumbprint is spelt."""
    claims = SERVER.claims(at=NOW, cnf={"x5t#S256": spelling.decode()})

    assert check(claims, fingerprint=FINGERPRINT)
    other = hashlib.sha256(b"another").hexdigest()
    assert reason(claims, fingerprint=other) == "token-certificate"
    assert reason(claims) == "token-certificate-missing"
    assert check(claims, certificate_binding="when-shown")
    assert (
        reason(claims, fingerprint=other, certificate_binding="when-shown") == "token-certificate"
    )


@pytest.mark.parametrize(
    "cnf", [{}, {"jkt": "x"}, {"x5t#S256": 7}, {"x5t": "x"}, [], "x", None, {"x5t#S256": ""}]
)
@pytest.mark.parametrize("binding", ["require", "when-shown"])
def test_a_binding_that_cannot_be_checked_is_refused(cnf: object, binding: str) -> None:
    """Software that binds its token to something means it."""
    claims = {**SERVER.claims(at=NOW), "cnf": cnf}

    assert reason(claims, fingerprint=FINGERPRINT, certificate_binding=binding).startswith("token-")


_SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
_JSON = (
    _SCALAR
    | st.lists(_SCALAR, max_size=2)
    | st.dictionaries(st.sampled_from(["x5t#S256", "jkt", ""]), _SCALAR, max_size=2)
)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    name=st.sampled_from(["iss", "typ", "exp", "nbf", "aud", "azp", "cnf", "SubjectNameID"]),
    value=_JSON,
)
def test_any_claim_is_good_or_refused(name: str, value: object) -> None:
    """A provider's JSON may hold anything; there is one error."""
    claims = {**SERVER.claims(at=NOW), name: value}
    try:
        found = check(claims, audiences=("x",) if name == "aud" else (), fingerprint=FINGERPRINT)
    except CredentialsRefusedError:
        return
    assert found.identity
