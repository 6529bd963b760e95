"""Documents as pages: everything is shown, nothing can run, and no page is without end."""

import time

import pytest
from lxml import etree

from mss.clinical.cda import CdaSyntaxError
from mss.clinical.html import HtmlPage, content_policy, render_html
from mss.clinical.html_fence import sanitise
from mss.clinical.html_writer import MAX_TEXT_OCTETS
from tests.support.shown import PIXEL, a_cda, an_image, read_page, words_of
from tests.unit.mss.clinical.official import ARCHIVES, document

FOREIGN = 'xmlns:x="http://www.w3.org/1999/xhtml" xmlns:s="http://www.w3.org/2000/svg"'


def page_of(narrative: str, **more: str) -> HtmlPage:
    """Show a document with this narrative."""
    return render_html(a_cda(narrative, **more))


# Nothing can run


@pytest.mark.parametrize(
    "narrative",
    [
        '<x:script xmlns:x="http://www.w3.org/1999/xhtml">alert(1)</x:script>',
        "<script>alert(1)</script>",
        '<paragraph onclick="alert(1)" style="background:url(//evil)">a</paragraph>',
        '<content styleCode="&quot; onload=&quot;alert(1)">a</content>',
        '<content styleCode="xBold;background:url(http://evil/)">a</content>',
        (
            '<content ID="x&quot; onmouseover=&quot;alert(1)">a</content>'
            '<linkHtml href="#x&quot; onmouseover=&quot;alert(1)">b</linkHtml>'
        ),
        '<linkHtml href="javascript:alert(1)">a</linkHtml>',
        '<linkHtml href="&#1;java&#9;script:alert(1)">a</linkHtml>'.replace("&#1;", ""),
        '<linkHtml href="data:text/html,&lt;script>alert(1)&lt;/script>">a</linkHtml>',
        '<linkHtml href="https://evil.example/?steal">a</linkHtml>',
        '<linkHtml href="//evil.example">a</linkHtml>',
        '<table onmouseover="x" background="http://evil/a.png"><tr><td>a</td></tr></table>',
        '<table><tr><td colspan="1&quot; onclick=&quot;x" abbr="&lt;b>">a</td></tr></table>',
        (
            f"<paragraph {FOREIGN}><s:svg><s:image href='http://evil/x'/></s:svg>"
            "<x:iframe src='http://evil/'>a</x:iframe></paragraph>"
        ),
        "<paragraph>&lt;script>alert(1)&lt;/script>&lt;img src=x onerror=alert(1)></paragraph>",
        "<paragraph>&lt;/title>&lt;/style>&lt;/main>&lt;base href='//evil'></paragraph>",
        '<list listType="ordered&quot;>&lt;b>" styleCode="Arabic;url(x)"><item>a</item></list>',
        (
            '<renderMultiMedia referencedObject="none"><caption>&lt;script>a</caption>'
            "</renderMultiMedia>"
        ),
        (
            '<footnote ID="f"><paragraph>&lt;iframe></paragraph></footnote>'
            '<footnoteRef IDREF="f&quot;>"/>'
        ),
    ],
)
def test_whatever_a_narrative_tries_the_page_is_harmless(narrative: str) -> None:
    """Tags, attributes, addresses and styles are ours; theirs are words at most."""
    page = page_of(narrative)

    assert "Partie" in words_of(read_page(page.octets))


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        ("PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+", "image/svg+xml"),
        ("PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+", "image/png"),
        ("!!!not base64", "image/png"),
        ("", "image/png"),
        ("SUkqAAgAAAA=", "image/tiff"),
        # A picture of 65,535 x 65,535 points would be 16 GiB once unpacked.
        ("iVBORw0KGgoAAAANSUhEUgAA//8AAP//CAYAAAAfFcSJ", "image/png"),
    ],
    ids=["svg", "svg-as-png", "no-base64", "empty", "tiff", "huge"],
)
def test_an_image_that_browsers_should_not_open_is_named_instead(
    data: str, media_type: str
) -> None:
    """What an image is, its first octets say."""
    page = page_of(
        '<renderMultiMedia referencedObject="img"/>', entries=an_image(data, media_type=media_type)
    )
    root = read_page(page.octets)

    assert "image-not-shown" in page.notices
    assert root.xpath("count(//img)") == 0


def test_an_image_outside_of_the_document_is_never_fetched() -> None:
    """A remote image tells its owner who reads, and when."""
    entry = (
        '<entry><observationMedia ID="img"><value mediaType="image/png">'
        '<reference value="https://evil.example/track.png"/></value></observationMedia></entry>'
    )
    page = page_of('<renderMultiMedia referencedObject="img"/>', entries=entry)

    assert b"evil" not in page.octets
    assert "image-not-shown" in page.notices


def test_signs_that_turn_the_reading_order_around_are_taken_out_and_said() -> None:
    """`0,5 mg` must not be shown as `5,0 mg`."""
    page = page_of("<paragraph>dose \u202e5,0\u202c mg\u200b et\u0085 puis</paragraph>")

    assert "dose 5,0 mg et puis" in words_of(read_page(page.octets))
    assert "misleading-text" in page.notices


def test_the_title_is_words_only() -> None:
    """It stands in the head of the page, which the sanitiser does not see."""
    page = render_html(a_cda("<br/>", title="&lt;/title>&lt;script>alert(1)&lt;/script>"))

    assert b"<script" not in page.octets
    assert read_page(page.octets).xpath("string(/html/head/title)").endswith("alert(1)</script>")


def test_the_policy_lets_nothing_in_but_our_style_and_images_inside() -> None:
    """In the answer's header, and in the page for whoever saves it."""
    policy = content_policy()
    root = read_page(page_of("<br/>").octets)

    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert policy.endswith("; frame-ancestors 'none'; sandbox")
    assert "unsafe" not in policy
    (inside,) = root.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert policy.startswith(inside)


def test_a_style_sheet_that_comes_along_is_not_used() -> None:
    """A self-presenting document is shown like every other one, and says so."""
    inside = a_cda("<paragraph>Bonjour</paragraph>").decode()
    sheet = (
        '<?xml-stylesheet type="text/xsl" href="#"?><xsl:stylesheet version="1.0" '
        'xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/">'
        f"<script>alert(1)</script></xsl:template>{inside}</xsl:stylesheet>"
    )
    page = render_html(sheet.encode())

    assert page.notices == ("self-presenting",)
    assert "Bonjour" in words_of(read_page(page.octets))
    assert b"alert(1)" not in page.octets


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<html><script>alert(1)</script></html>",
        b"<!DOCTYPE x [<!ENTITY a SYSTEM 'file:///etc/passwd'>]>" + a_cda("&a;"),
        b"\xff\xfe<",
        a_cda("<content>" * 200 + "</content>" * 200),
    ],
    ids=["nothing", "html", "entity", "utf-16", "deep"],
)
def test_what_is_no_document_has_no_page(octets: bytes) -> None:
    """One error for all of them."""
    with pytest.raises(CdaSyntaxError):
        render_html(octets)


# Nothing is without end


@pytest.mark.slow
@pytest.mark.parametrize(
    "narrative",
    [
        "<table><tbody>" + "<tr><td>a</td><td>b</td></tr>" * 100_000 + "</tbody></table>",
        "<content ID='a'/>" + "<linkHtml href='#a'>b</linkHtml>" * 61_000,
        "<footnote ID='f'>n</footnote>" + "<footnoteRef IDREF='f'/>" * 31_000,
        "<paragraph>" + "mot " * 2_000_000 + "</paragraph>",
        '<renderMultiMedia referencedObject="img"/>' * 31_000,
        "<paragraph><content>" * 40 + "</content></paragraph>" * 40 + "<br/>" * 61_000,
        "<list><caption>c</caption>" + "<item><caption>c</caption>a</item>" * 31_000 + "</list>",
    ],
    ids=["rows", "links", "notes", "words", "images", "nested", "items"],
)
def test_an_endless_document_is_cut_and_says_so(narrative: str) -> None:
    """In bounded time and size, and with everything before the cut."""
    octets = a_cda(narrative, entries=an_image())
    begun = time.process_time()
    page = render_html(octets)
    spent = time.process_time() - begun

    assert spent < 8
    assert len(page.octets) < 3 * MAX_TEXT_OCTETS
    assert "page-cut" in page.notices
    assert "trop long" in words_of(read_page(page.octets))[:400]


def test_a_very_wide_table_keeps_every_word() -> None:
    """Beyond what any screen shows, the words of a row share its last cell."""
    cells = "".join(f"<td colspan='99999'>w{number}</td>" for number in range(5_000))
    root = read_page(page_of(f"<table><tr>{cells}</tr></table>").octets)

    assert root.xpath("count(//td)") == 1001
    assert set(root.xpath("//td/@colspan")) == {"100"}
    assert "w4999" in words_of(root)


# Everything is shown


def test_a_footnote_stands_below_and_its_mark_where_it_was() -> None:
    """And a second mark leads to the same note."""
    page = page_of(
        '<paragraph>Dose<footnote ID="f1">par voie orale</footnote> forte'
        '<footnoteRef IDREF="f1"/></paragraph>'
    )
    root = read_page(page.octets)

    assert "Dose[1] forte[1]" in words_of(root)
    assert "[1] par voie orale" in words_of(root)
    (link,) = root.xpath("//sup/a/@href")
    assert root.xpath(f"count(//*[@id='{link[1:]}'])") == 1


def test_a_link_inside_the_document_works_and_one_to_elsewhere_is_words() -> None:
    """A reader can see where it would have led."""
    page = page_of(
        '<paragraph><content ID="ref-1">ici</content></paragraph>'
        '<paragraph><linkHtml href="#ref-1">voir</linkHtml> '
        '<linkHtml href="https://example.org/a">ailleurs</linkHtml></paragraph>'
    )
    root = read_page(page.octets)

    assert root.xpath("//p/a/text()") == ["voir"]
    assert root.xpath("//*[@id='n1']/text()") == ["ici"]
    assert "ailleurs (https://example.org/a)" in words_of(root)


def test_a_table_keeps_its_title_heads_and_spans() -> None:
    """Who cannot see the table is told what each cell belongs to."""
    page = page_of(
        '<table><caption>Bilan</caption><thead><tr><th>Examen</th><th colspan="2">Valeur</th></tr>'
        '</thead><tbody><tr><th>TSH</th><td align="right">1,2</td><td>mUI/L</td></tr></tbody>'
        "</table>"
    )
    root = read_page(page.octets)

    assert root.xpath("//table/caption/text()") == ["Bilan"]
    assert root.xpath("//div[@role='region']/@aria-label") == ["Bilan"]
    assert root.xpath("//thead//th/@scope") == ["col", "col"]
    assert root.xpath("//tbody//th/@scope") == ["row"]
    assert root.xpath("//th/@colspan") == ["2"]
    assert root.xpath("//td[@class='a-right']/text()") == ["1,2"]


def test_blocks_inside_of_lines_stay_inside() -> None:
    """A browser ends a paragraph where a table begins; ours never holds one."""
    page = page_of(
        "<paragraph>avant<list listType='ordered' styleCode='LittleRoman'><item>un</item></list>"
        "après</paragraph>"
        "<content styleCode='Bold'>gras<table><tr><td>t</td></tr></table></content>"
    )
    root = read_page(page.octets)

    assert root.xpath("count(//p//table | //p//ol | //span//table)") == 0
    assert root.xpath("//div[@class='paragraph']/ol[@type='i']/li/text()") == ["un"]
    assert root.xpath("count(//div[@class='s-bold']//table)") == 1


def test_words_where_none_should_be_are_shown_too() -> None:
    """Dropping a word of a letter would be worse than any look."""
    page = page_of(
        "<table>w1<tbody>w2<tr>w3<td>a</td></tr></tbody><odd>w4</odd></table>"
        "<list>w5<item>b</item><odd>w6</odd></list><unknown>w7<deeper>w8</deeper></unknown>"
    )
    words = words_of(read_page(page.octets))

    assert [
        one for one in ("w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8") if one not in words
    ] == []


def test_an_image_of_the_document_is_in_the_page() -> None:
    """Found also through the region of it that a narrative points to."""
    region = an_image().replace("<entry>", '<entry><regionOfInterest ID="roi"><entryRelationship>')
    page = page_of(
        '<renderMultiMedia referencedObject="roi"><caption>Radio</caption></renderMultiMedia>',
        entries=region.replace("</entry>", "</entryRelationship></regionOfInterest></entry>"),
    )
    root = read_page(page.octets)

    assert root.xpath("//img/@src") == [f"data:image/png;base64,{PIXEL}"]
    assert root.xpath("//img/@alt") == ["Radio"]


def test_a_document_of_codes_only_says_so() -> None:
    """An empty page would look like an empty letter."""
    body = (
        "<structuredBody><component><section><title>Codes</title><entry/></section></component>"
        "</structuredBody>"
    )
    page = render_html(a_cda(body=body))

    assert "no-narrative" in page.notices
    assert "Données codées" in words_of(read_page(page.octets))


@pytest.mark.parametrize(
    ("attributes", "content", "words"),
    [
        ('mediaType="text/plain"', "Bonjour &lt;b>", "Bonjour <b>"),
        ('mediaType="text/plain" representation="B64"', "w4lwaXNvZGU=", "Épisode"),
        ('mediaType="text/plain" representation="B64"', "6Q==", "é"),
        ('mediaType="application/pdf" representation="B64"', "JVBERi0=", "fichier PDF"),
        ('mediaType="application/rtf" representation="B64"', "e1xydGY=", "ne s'affiche pas"),
        ('mediaType="image/jpeg" representation="B64"', PIXEL, ""),
    ],
    ids=["text", "base64", "latin", "pdf", "rtf", "picture"],
)
def test_a_body_that_is_one_file_is_shown_or_named(
    attributes: str, content: str, words: str
) -> None:
    """Text as text, an image as image, everything else beside the page."""
    page = render_html(a_cda(body=f"<nonXMLBody><text {attributes}>{content}</text></nonXMLBody>"))

    assert words in words_of(read_page(page.octets))


def test_a_document_without_body_says_so() -> None:
    """It is shown all the same: its header may be what matters."""
    page = render_html(a_cda(body="<other/>"))

    assert page.notices == ("no-body",)


def test_a_deletion_is_announced() -> None:
    """The sender takes back what the page shows."""
    page = render_html(a_cda("<br/>"), is_deletion=True)

    assert "suppression" in words_of(read_page(page.octets))


# The second fence


@pytest.mark.parametrize(
    ("markup", "left"),
    [
        ("<p>a<script>alert(1)</script></p>", "<p>aalert(1)</p>"),
        ('<a href="javascript:x">a</a>', "<a>a</a>"),
        ('<a href="//evil">a</a>', "<a>a</a>"),
        ('<a href="#n1">a</a>', '<a href="#n1">a</a>'),
        ('<a href="data:text/html,x">a</a>', "<a>a</a>"),
        ('<img src="data:image/svg+xml;base64,AAAA">', "<img>"),
        ('<img src="https://evil/a.png" onerror="x">', "<img>"),
        ('<p style="color:red" onclick="x" class="c">a</p>', '<p class="c">a</p>'),
        ("<!-- a --><iframe>b</iframe>", "b"),
    ],
)
def test_the_fence_lets_nothing_else_pass(markup: str, left: str) -> None:
    """Whatever the writing of pages may one day get wrong."""
    assert sanitise(markup) == left


# Published documents


@pytest.mark.parametrize("name", [*ARCHIVES, "PPS-PAERPA_2021.01"])
def test_published_documents_show_every_word(name: str) -> None:
    """Of the patient, and of every section."""
    octets = document(name)
    page = render_html(octets)
    shown = words_of(read_page(page.octets))
    texts = etree.fromstring(octets.lstrip(), etree.XMLParser(huge_tree=True)).iterfind(
        ".//{*}section/{*}text"
    )
    words = {word for text in texts for piece in text.itertext() for word in piece.split()}

    assert sorted(word for word in words if word not in shown) == []
    assert "Patient" in shown
    assert set(page.notices) <= {"self-presenting", "body-is-pdf"}


@pytest.mark.parametrize("name", ARCHIVES[:4])
def test_the_fence_finds_nothing_to_take_away(name: str) -> None:
    """What it would remove, a reader would miss."""
    main = render_html(document(name)).octets.decode().partition("<main>")[2]
    inside = main.rpartition("</main>")[0]

    assert sanitise(inside) == inside
