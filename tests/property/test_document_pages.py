"""Whatever stands in a narrative, its page shows every word and holds nothing that could act."""

from xml.sax.saxutils import escape, quoteattr

from hypothesis import given, settings
from hypothesis import strategies as st

from mss.clinical.html import render_html
from mss.clinical.html_fence import sanitise
from tests.support.shown import a_cda, an_image, read_page, words_of

TAGS = (
    *("paragraph", "content", "list", "item", "caption", "table", "thead", "tbody", "tfoot"),
    *("tr", "th", "td", "linkHtml", "footnote", "footnoteRef", "sub", "sup", "br", "odd"),
    *("renderMultiMedia", "script", "style", "title", "svg"),
)
# One word each, so that it is found whatever stands around it.
WORDS = st.integers(min_value=0, max_value=999).map(lambda number: f" w{number}x ")
NAMES = st.sampled_from(["a", "b", '"><script>', "img", "#a", "javascript:x", "https://e.example"])
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            *("ID", "href", "IDREF", "referencedObject", "styleCode", "listType", "colspan"),
            *("rowspan", "align", "onclick", "style", "src", "class", "revised"),
        ]
    ),
    st.one_of(NAMES, st.sampled_from(["Bold", "ordered", "3", "99999999999", "insert"])),
    max_size=3,
)


def _element(tag: str, attributes: dict[str, str], children: list[str]) -> str:
    written = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"<{tag}{written}>{''.join(children)}</{tag}>"


NARRATIVES = st.recursive(
    st.one_of(WORDS, st.text(max_size=6).map(lambda text: escape(_legal(text)))),
    lambda inner: st.builds(
        _element, st.sampled_from(TAGS), ATTRIBUTES, st.lists(inner, max_size=4)
    ),
    max_leaves=25,
)


def _legal(text: str) -> str:
    """Leave out what XML cannot hold."""
    return "".join(one for one in text if one.isprintable())


@settings(max_examples=60)
@given(st.lists(NARRATIVES, max_size=4))
def test_any_narrative_is_shown_whole_and_harmless(pieces: list[str]) -> None:
    """And the sanitiser finds nothing to take away."""
    narrative = "".join(pieces)
    page = render_html(a_cda(narrative, entries=an_image())).octets
    shown = words_of(read_page(page))
    main = page.decode().partition("<main>")[2].rpartition("</main>")[0]

    assert [one for one in _words(narrative) if one not in shown] == []
    assert sanitise(main) == main


def _words(narrative: str) -> set[str]:
    return {one for one in narrative.replace("<", " <").replace(">", "> ").split() if _is_word(one)}


def _is_word(text: str) -> bool:
    return text.startswith("w") and text.endswith("x") and text[1:-1].isdecimal()
