import inspect
from typing import ClassVar, get_origin

import pytest

import crypto.errors
import mss.errors
import mss.mime.errors
import mss.smtp.errors
from mss.errors import MessageRefusedError, MSSError, PeerNotTrustedError
from mss.mime.errors import MessageLimitError, MessageSyntaxError
from mss.smtp import replies
from mss.smtp.replies import REPLIES, Reply, reply_for

SECRET = "zz-private-zz"


def errors_of(*modules: object) -> list[type[MSSError]]:
    found = {
        one
        for module in modules
        for _, one in inspect.getmembers(module, inspect.isclass)
        if issubclass(one, MSSError)
    }
    return sorted(found, key=lambda one: one.code)


OURS = errors_of(mss.errors, mss.mime.errors, mss.smtp.errors)
CONSTANTS = [one for _, one in inspect.getmembers(replies) if isinstance(one, Reply)]


def build(kind: type[MSSError]) -> MSSError:
    """Fill every fact with something that must not be told."""
    hints = {
        name: hint
        for parent in kind.__mro__
        for name, hint in inspect.get_annotations(parent).items()
    }
    facts = [name for name, hint in hints.items() if get_origin(hint) is not ClassVar]
    return kind(**dict.fromkeys(facts, SECRET))


@pytest.mark.parametrize("kind", OURS, ids=lambda one: one.code)
def test_every_error_has_a_reply_of_its_own(kind: type[MSSError]) -> None:
    """The fallback is for what nobody foresaw."""
    assert kind.code in REPLIES


@pytest.mark.parametrize(
    "kind",
    [
        crypto.errors.SignatureError,
        crypto.errors.DecryptionError,
        crypto.errors.NoMatchingKeyError,
        crypto.errors.CmsSyntaxError,
        crypto.errors.UnsupportedAlgorithmError,
        crypto.errors.CertificateSyntaxError,
        crypto.errors.UntrustedError,
        crypto.errors.ExpiredError,
        crypto.errors.RevokedError,
        crypto.errors.IndeterminateError,
        crypto.errors.KeyUnavailableError,
    ],
    ids=lambda one: one.code,
)
def test_the_protection_of_a_message_is_refused_by_its_own_code(
    kind: type[crypto.errors.CryptoError],
) -> None:
    """The pipeline wraps these; what may be retried is 4xx, what may not is 5xx."""
    reply = reply_for(MessageRefusedError(reason=kind.code))

    assert kind.code in REPLIES
    assert f"(message-refused: {kind.code})" in " ".join(reply.lines)
    is_temporary = kind.retryable or kind is crypto.errors.KeyUnavailableError
    assert (reply.code < 500) == is_temporary


# To be sent again at once in smaller portions (RFC 5321, 4.5.3.1.10); and a mistake of ours, which
# must not cost the sender a letter.
PERMANENT_BUT_4XX = {"too-many-recipients", "settings-invalid"}


@pytest.mark.parametrize("kind", OURS, ids=lambda one: one.code)
def test_what_may_be_tried_again_is_4xx(kind: type[MSSError]) -> None:
    """A wrong first digit loses mail, or keeps it in a queue for nothing."""
    code = REPLIES[kind.code][0]

    assert (code < 500) == (kind.retryable or kind.code in PERMANENT_BUT_4XX)


@pytest.mark.parametrize(("code", "status"), [*REPLIES.values(), replies.FALLBACK])
def test_the_two_codes_agree(code: int, status: str) -> None:
    """RFC 3463: the class is the first digit."""
    assert str(code)[0] == status[0]
    assert [part.isdecimal() for part in status.split(".")] == [True] * 3


@pytest.mark.parametrize("reply", CONSTANTS, ids=lambda one: f"{one.code} {one.lines[0]}")
def test_every_reply_is_well_formed(reply: Reply) -> None:
    """ASCII, lines of 512 octets at most, classes that agree."""
    octets = reply.octets()

    assert octets.endswith(b"\r\n")
    assert max(map(len, octets.split(b"\r\n"))) <= 510
    assert not reply.status or reply.status[0] == str(reply.code)[0]


@pytest.mark.parametrize("kind", OURS, ids=lambda one: one.code)
def test_no_fact_is_told_to_a_stranger(kind: type[MSSError]) -> None:
    """Only the public text, the next step and the code leave the house."""
    reply = reply_for(build(kind))
    told = " ".join(reply.lines)

    assert told.replace(f": {SECRET}", "").find(SECRET) < 0
    assert f"({kind.code}" in told
    assert all(len(line) <= 495 for line in reply.lines)
    reply.octets().decode("ascii")


def test_a_reason_is_shown_only_where_it_is_a_code() -> None:
    """A reason with anything else in it may quote the message."""
    shown = reply_for(MessageSyntaxError(reason="duplicate-from"))
    hidden = reply_for(MessageRefusedError(reason="Subject: M. X\r\n250 ok"))
    private = reply_for(PeerNotTrustedError(domain="x", reason="certificate-revoked"))

    assert "(message-syntax: duplicate-from)" in shown.lines[0]
    assert "Subject" not in hidden.octets().decode()
    assert hidden.octets().count(b"\r\n") == len(hidden.lines)
    assert "revoked" not in private.lines[0]


def test_limits_of_a_message_are_a_matter_of_size() -> None:
    """552 tells a client to send less, 554 to mend its software."""
    assert reply_for(MessageLimitError(reason="parts", ceiling=1)).code == 552


def test_an_unforeseen_error_is_ours_and_temporary() -> None:
    """Mail is not lost for a defect."""

    class NewError(MSSError):
        code = "never-heard-of"

    assert reply_for(NewError()).octets().startswith(b"451 4.3.0 ")


def test_letters_that_smtp_cannot_carry_are_replaced() -> None:
    """`MSSanté` becomes `MSSante`, not `MSSant?`."""
    reply = reply_for(mss.errors.DomainNotTrustedError(domain="x"))

    assert "MSSante trust space" in reply.lines[0]


def test_a_reply_of_several_lines_repeats_its_code() -> None:
    """RFC 5321, 4.2.1; the status code too (RFC 2034, 4)."""
    reply = Reply(code=550, status="5.1.1", lines=("one", "two"))

    assert reply.octets() == b"550-5.1.1 one\r\n550 5.1.1 two\r\n"
