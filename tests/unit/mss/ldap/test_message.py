"""Messages of LDAP, octet by octet; whatever else comes is refused with one error."""

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mss.ldap.filters import Equal, LdapSyntaxError, Present
from mss.ldap.message import (
    START_TLS,
    BindRequest,
    Code,
    Entry,
    ExtendedRequest,
    Message,
    OtherRequest,
    Reference,
    Scope,
    SearchRequest,
    UnbindRequest,
    build_message,
    parse_message,
    search_done,
)

# Written by hand after RFC 4511, and as ldapsearch 2.5 sends them.
ANONYMOUS_BIND = bytes.fromhex("300c020101600702010304008000")
ROOT_SEARCH = bytes.fromhex(
    "3025020102632004000a01000a0100020100020100010100870b6f626a656374436c6173733000"
)
UNBIND = bytes.fromhex("30050201034200")
PAGED_SEARCH = bytes.fromhex(  # with a critical control
    "304d020102632004000a01000a0100020100020100010100870b6f626a656374436c6173733000"
    "a02630240416312e322e3834302e3131333535362e312e342e3331390101ff040730050201050400"
)


def test_a_bind_without_a_name_is_read() -> None:
    """What every mail program begins with."""
    message = parse_message(ANONYMOUS_BIND)

    assert message == Message(id=1, operation=BindRequest(version=3, name="", password=""))


def test_a_search_is_read() -> None:
    """The question for the root of the tree."""
    assert parse_message(ROOT_SEARCH).operation == SearchRequest(
        base="",
        scope=Scope.BASE,
        size_limit=0,
        time_limit=0,
        types_only=False,
        filter=Present("objectClass"),
    )


def test_a_control_that_must_not_be_ignored_is_noticed() -> None:
    """Its answer would mean something else than the client believes."""
    assert parse_message(PAGED_SEARCH).has_critical_control
    assert not parse_message(ROOT_SEARCH).has_critical_control


def test_goodbye_is_read() -> None:
    """It has no answer."""
    assert parse_message(UNBIND) == Message(id=3, operation=UnbindRequest())


@pytest.mark.parametrize(
    ("request_tag", "response_tag"),
    [(0x66, 0x67), (0x68, 0x69), (0x4A, 0x6B), (0x6C, 0x6D), (0x6E, 0x6F)],
)
def test_a_request_that_would_change_something_is_known_by_its_refusal(
    request_tag: int, response_tag: int
) -> None:
    """Modify, add, delete, rename, compare."""
    octets = bytes((0x30, 5, 2, 1, 9, request_tag, 0))

    assert parse_message(octets).operation == OtherRequest(response_tag)


@pytest.mark.parametrize(
    "operation",
    [
        BindRequest(version=3, name="cn=é", password="x"),
        SearchRequest(
            base="o=mss",
            scope=Scope.SUBTREE,
            size_limit=20,
            time_limit=9,
            types_only=True,
            filter=Equal("mail", "a@b.fr"),
            attributes=("cn", "userCertificate;binary"),
        ),
        ExtendedRequest(START_TLS),
        UnbindRequest(),
        Entry(dn="uid=1,o=mss", attributes=(("cn", (b"A", b"B")), ("mail", ()))),
        search_done(Code.SIZE_LIMIT_EXCEEDED, "trop"),
    ],
)
def test_what_is_written_is_read_back(operation: object) -> None:
    """Both sides of a conversation agree."""
    octets = build_message(2**31 - 1, operation)  # type: ignore[arg-type]  # of several kinds

    assert parse_message(octets) == Message(id=2**31 - 1, operation=operation)  # type: ignore[arg-type]  # as above


def test_a_referral_is_no_entry() -> None:
    """Nobody follows it, whatever it says."""
    assert parse_message(bytes.fromhex("30080201027303040178")).operation == Reference()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\x30\x00",
        b"\x30\x80\x02\x01\x01\x42\x00\x00\x00",
        ANONYMOUS_BIND + b"\x00",
        ANONYMOUS_BIND[:-1],
        bytes.fromhex("30050201ff4200"),  # a number below zero
        bytes.fromhex("300902050100000000" + "4200"),  # and one above the largest
        bytes.fromhex("30050201014300"),  # no such operation
        ROOT_SEARCH.replace(b"\x0a\x01\x00", b"\x0a\x01\x07", 1),  # no such scope
        ROOT_SEARCH.replace(b"objectClass", b"object lass"),
    ],
)
def test_octets_that_are_no_message_are_refused(octets: bytes) -> None:
    """With the one error of this parser."""
    with pytest.raises(LdapSyntaxError):
        parse_message(octets)


@settings(max_examples=150)
@example(ROOT_SEARCH)
@given(
    st.one_of(
        st.binary(max_size=64),
        st.tuples(
            st.sampled_from([ANONYMOUS_BIND, ROOT_SEARCH, PAGED_SEARCH]),
            st.integers(0, 78),
            st.binary(min_size=1, max_size=3),
        ).map(lambda cut: cut[0][: cut[1]] + cut[2] + cut[0][cut[1] + len(cut[2]) :]),
    )
)
def test_any_octets_are_read_or_refused(octets: bytes) -> None:
    """Strangers write them: there is one error, and nothing else comes out."""
    with suppress(LdapSyntaxError):
        assert isinstance(parse_message(octets), Message)
