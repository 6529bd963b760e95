"""Filters: what they mean, as octets and as text, and what is none."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto import der
from mss.ldap.filters import (
    MAX_DEPTH,
    MAX_TERMS,
    And,
    Equal,
    Filter,
    LdapSyntaxError,
    Not,
    Or,
    Present,
    Substrings,
    build_filter,
    escape,
    parse_filter,
    parse_filter_text,
)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("(cn=Babs Jensen)", Equal("cn", "Babs Jensen")),
        ("(!(cn=Tim Howes))", Not(Equal("cn", "Tim Howes"))),
        (
            "(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))",
            And(
                (
                    Equal("objectClass", "Person"),
                    Or((Equal("sn", "Jensen"), Substrings("cn", initial="Babs J"))),
                )
            ),
        ),
        (
            "(o=univ*of*mich*)",
            Substrings("o", initial="univ", middle=("of", "mich")),
        ),
        ("(seeAlso=)", Equal("seeAlso", "")),
        ("(mail=*)", Present("mail")),
        ("(sn~=lüdi)", Equal("sn", "lüdi", is_approximate=True)),
        (
            r"(o=Parens R Us \28for all your parenthetical needs\29)",
            Equal("o", "Parens R Us (for all your parenthetical needs)"),
        ),
        (r"(cn=*\2A*)", Substrings("cn", middle=("*",))),
        (r"(sn=Lu\c4\8di\c4\87)", Equal("sn", "Lučić")),
        ("(&)", And(())),
    ],
)
def test_text_means_what_the_rfc_says(text: str, meaning: object) -> None:
    """Examples of RFC 4515, 4, and of RFC 4526."""
    assert parse_filter_text(text) == meaning


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cn=x",
        "(cn=x",
        "(cn=x)(cn=y)",
        "(!(a=b)(c=d))",
        "(!)",
        "(a>=b)",
        "(a:=b)",
        "(=x)",
        r"(a=\zz)",
        r"(a=\ff)",
        "(a=\x00)",
        "(a=\ud800)",
        "(!" * (MAX_DEPTH + 1) + "(a=b)" + ")" * (MAX_DEPTH + 1),
        "(|" + "(a=b)" * MAX_TERMS + ")",
    ],
)
def test_other_text_is_refused(text: str) -> None:
    """An administrator's slip is found when the server starts, and not in a search."""
    with pytest.raises(LdapSyntaxError):
        parse_filter_text(text)


@pytest.mark.parametrize("hostile", ["*", "a*)(uid=*", "a)(|(cn=*", "\\2a", "é\x00"])
def test_an_escaped_value_stays_a_value(hostile: str) -> None:
    """An address must not turn into a question about everybody."""
    assert parse_filter_text(f"(mail={escape(hostile)})") == Equal("mail", hostile)


_NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9;-]{0,8}", fullmatch=True)
_VALUES = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=8)
_LEAVES: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Present, _NAMES),
    st.builds(Equal, _NAMES, _VALUES, is_approximate=st.booleans()),
    st.builds(
        Substrings,
        _NAMES,
        _VALUES.filter(bool),
        st.lists(_VALUES.filter(bool), max_size=2).map(tuple),
        _VALUES,
    ),
)
_FILTERS = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=8,
)


@settings(max_examples=60)
@given(_FILTERS)
def test_octets_say_the_same_as_the_filter(wanted: Filter) -> None:
    """What is built is read back."""
    assert parse_filter(der.parse(build_filter(wanted))) == wanted
