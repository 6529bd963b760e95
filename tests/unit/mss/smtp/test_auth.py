import base64
import json
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.smtp import auth
from mss.smtp.auth import (
    MECHANISMS,
    BearerCredentials,
    Credentials,
    CredentialSyntaxError,
    ExternalCredentials,
    PasswordCredentials,
)


def exchange(mechanism: str, *responses: bytes) -> Credentials:
    """Answer each question in turn."""
    conversation = MECHANISMS[mechanism]()
    next(conversation)
    for response in responses:
        try:
            conversation.send(response)
        except StopIteration as end:
            return cast("Credentials", end.value)
    raise AssertionError("one more question")


def test_plain_reads_name_and_password() -> None:
    """RFC 4616; the password may hold anything but NUL."""
    found = exchange("PLAIN", "\0anne\0é\x01=".encode())

    assert found == PasswordCredentials(name="anne", password="é\x01=")


@pytest.mark.parametrize(
    "response", [b"", b"anne\0x", b"\0\0x", b"other\0anne\0x", b"\0a\0b\0c", b"\0\xff\0x"]
)
def test_what_plain_is_not(response: bytes) -> None:
    """Acting for somebody else is a right on a mailbox, not another name at login."""
    with pytest.raises(CredentialSyntaxError):
        exchange("PLAIN", response)


def test_login_asks_twice() -> None:
    """For old clients."""
    assert exchange("LOGIN", b"anne", b"secret") == PasswordCredentials(
        name="anne", password="secret"
    )


@pytest.mark.parametrize(
    ("mechanism", "response"),
    [
        ("XOAUTH2", b"user=a@b.fr\x01auth=Bearer t.o.k\x01\x01"),
        ("XOAUTH2", b"user=a@b.fr\x01auth=bearer t.o.k\x01\x01"),
        ("OAUTHBEARER", b"n,a=a@b.fr,\x01host=h\x01port=587\x01auth=Bearer t.o.k\x01\x01"),
        ("OAUTHBEARER", b"y,a=a@b.fr,\x01auth=Bearer t.o.k\x01\x01"),
    ],
)
def test_tokens_come_with_the_mailbox_to_open(mechanism: str, response: bytes) -> None:
    """Identity comes from the token; the address selects the mailbox."""
    found = exchange(mechanism, response)

    assert isinstance(found, BearerCredentials)
    assert (found.name, found.token) == ("a@b.fr", "t.o.k")


@pytest.mark.parametrize(
    ("mechanism", "response"),
    [
        ("XOAUTH2", b""),
        ("XOAUTH2", b"user=a@b.fr\x01auth=Bearer t"),
        ("XOAUTH2", b"auth=Bearer t\x01\x01"),
        ("XOAUTH2", b"user=a\x01auth=Basic t\x01\x01"),
        ("XOAUTH2", b"user=a\x01auth=Bearer \x01\x01"),
        ("OAUTHBEARER", b"p=tls,a=a@b.fr,\x01auth=Bearer t\x01\x01"),
        ("XOAUTH2", b"user=a\x01auth=Bearer t\x01auth=Bearer u\x01\x01"),
        ("OAUTHBEARER", b"n\x01auth=Bearer t\x01\x01"),
        ("OAUTHBEARER", b"n,\x01auth=Bearer t\x01\x01"),
        ("OAUTHBEARER", b"n,b=x,\x01auth=Bearer t\x01\x01"),
        ("OAUTHBEARER", b"n,a=x=2F,\x01auth=Bearer t\x01\x01"),
        ("OAUTHBEARER", b"n,a=,\x01auth=Bearer t\x01\x01"),
        ("EXTERNAL", b"a\0b"),
        ("EXTERNAL", b"\xff"),
    ],
)
def test_what_a_response_is_not(mechanism: str, response: bytes) -> None:
    """No channel binding is offered; of two tokens, somebody else would read the other."""
    with pytest.raises(CredentialSyntaxError):
        exchange(mechanism, response)


@pytest.mark.parametrize(
    ("header", "name"),
    [
        (b"n,,", ""),
        (b"n,a=x=2Cy,", "x,y"),
        (b"n,a=x=3Dy,", "x=y"),
        (b"n,a=x=3D2Cy,", "x=2Cy"),
    ],
)
def test_oauthbearer_may_leave_the_name_to_the_token(header: bytes, name: str) -> None:
    """RFC 7628, 3.1; commas and equals signs are written as codes, each read once."""
    found = exchange("OAUTHBEARER", header + b"\x01auth=Bearer t\x01\x01")

    assert found.name == name


@pytest.mark.parametrize("name", ["", "logiciel@ch-demo.mssante.fr"])
def test_external_brings_at_most_a_name(name: str) -> None:
    """The certificate of the connection is all the proof (RFC 4422, appendix A)."""
    assert exchange("EXTERNAL", name.encode()) == ExternalCredentials(name=name)


@pytest.mark.parametrize(
    ("mechanism", "status"), [("XOAUTH2", "401"), ("OAUTHBEARER", "invalid_token")]
)
def test_a_refusal_tells_software_the_reason(mechanism: str, status: str) -> None:
    """Three members that clients know, and one of ours."""
    header = b"user=a" if mechanism == "XOAUTH2" else b"n,,"
    found = exchange(mechanism, header + b"\x01auth=Bearer t\x01\x01")

    assert isinstance(found, BearerCredentials)
    assert json.loads(found.refusal("token-expired")) == {
        "status": status,
        "schemes": "bearer",
        "scope": "mail",
        "reason": "token-expired",
    }


@pytest.mark.parametrize("mechanism", MECHANISMS)
@given(response=st.binary(max_size=200))
def test_any_response_is_credentials_or_a_syntax_error(mechanism: str, response: bytes) -> None:
    """Strangers write these octets."""
    try:
        found = exchange(mechanism, response, response)
    except CredentialSyntaxError:
        return
    assert found.name or not isinstance(found, PasswordCredentials)


@given(st.binary(max_size=100))
def test_a_response_is_base64_or_a_syntax_error(line: bytes) -> None:
    """Strict: nothing is skipped."""
    try:
        decoded = auth.decode_response(line)
    except CredentialSyntaxError:
        return
    assert line == b"=" or base64.b64encode(decoded).rstrip(b"=")[:-1] == line.rstrip(b"=")[:-1]


def test_a_lone_equals_sign_is_an_empty_response() -> None:
    """RFC 4954, 4."""
    assert auth.decode_response(b"=") == b""


def test_no_secret_is_shown_in_a_traceback() -> None:
    """Credentials may be a local variable of a frame that is printed."""
    shown = repr(exchange("PLAIN", b"\0anne\0s3cret")) + repr(
        exchange("XOAUTH2", b"user=a\x01auth=Bearer t0ken\x01\x01")
    )

    assert "s3cret" not in shown
    assert "t0ken" not in shown
