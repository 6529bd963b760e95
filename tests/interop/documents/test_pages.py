"""Pages of documents in a real browser, its scripts on: shown, silent, and dead.

The browser comes with a control: the same harness sees a script run and a request leave when a
page without our policy wants them.
"""

from pathlib import Path

import pytest
from PIL import Image

from mss.clinical.html import content_policy, render_html
from tests.interop.documents.browser import PAGE, Browser
from tests.support.operators import the_letter
from tests.support.shown import a_cda, an_image
from tests.unit.mss.clinical.official import document

pytestmark = [pytest.mark.interop, pytest.mark.slow]

HTML = {"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff"}
HEADERS = {**HTML, "Content-Security-Policy": content_policy(), "Referrer-Policy": "no-referrer"}
DESKTOP, PHONE = (1000, 1800), (390, 1800)
OFFICIAL = {
    "LDL-SES_2022.01": "Episode psychotique",
    "eP-MED-DM_2024.01_PosoStruct": "PARACETAMOL",
    "BIO-CR-BIO_2024.01_Microbiologie_V2": "remplace une version antérieure",
}
EVIL = (
    "<!DOCTYPE html><title>quiet</title><style>body{background:url(http://evil.example/css)}</style>"
    "<img src='http://evil.example/img' onerror=\"document.title='ran'\">"
    "<script>document.title='ran'</script><script src='http://evil.example/js'></script>"
    "<link rel=stylesheet href='http://evil.example/link'><iframe src='http://evil.example/'>"
    "</iframe><object data='http://evil.example/o'></object><svg onload=\"document.title='ran'\">"
    "</svg><meta http-equiv=refresh content='0;url=http://evil.example/meta'>"
)


def documents() -> dict[str, tuple[bytes, str]]:
    """Our own samples: a letter as we write it, and one that tries everything in a narrative."""
    return {
        "own-letter": (the_letter().cda, "PATIENT-FICTIF"),
        "own-hostile": (
            a_cda(
                "<paragraph>&lt;script>document.title='ran'&lt;/script>"
                "&lt;img src='http://evil.example/a.png'></paragraph>"
                '<linkHtml href="http://evil.example/">dehors</linkHtml>'
                '<renderMultiMedia referencedObject="img"/>'
                '<x:script xmlns:x="http://www.w3.org/1999/xhtml">document.title=1</x:script>',
                entries=an_image(),
            ),
            "dehors",
        ),
    }


def looked_at(browser: Browser, octets: bytes, words: str) -> None:
    """Look at the page of a document: what it shows is there, and nothing else happened."""
    visit = browser.visit(render_html(octets).octets, HEADERS)

    assert words in visit.dom
    assert "<title>ran" not in visit.dom
    assert "<script" not in visit.dom
    assert visit.requests == (PAGE,)
    assert visit.objections == ()


def is_drawn(picture: Path) -> bool:
    """Tell whether a picture shows a page: paper, ink, and shades of both."""
    with Image.open(picture) as opened:
        shades = opened.convert("L").resize((200, 360)).histogram()
    dark, light = sum(shades[:150]), sum(shades[220:])
    return dark > 300 and light > 30_000 and sum(map(bool, shades)) > 50


def test_the_harness_sees_a_script_run_and_requests_leave(browser: Browser) -> None:
    """Or else the silence of the other pages would prove nothing."""
    visit = browser.visit(EVIL.encode(), HTML)

    assert "<title>ran</title>" in visit.dom or "http://evil.example/meta" in visit.requests
    assert {"http://evil.example/js", "http://evil.example/link"} <= set(visit.requests)


def test_our_policy_alone_stops_what_would_get_past_the_fences(browser: Browser) -> None:
    """The same hostile page, served as ours are: no script, and no request."""
    visit = browser.visit(EVIL.replace("<meta", "<p").encode(), HEADERS)

    assert "<title>quiet</title>" in visit.dom
    assert visit.requests == (PAGE,)
    assert visit.objections


@pytest.mark.parametrize("name", ["own-letter", "own-hostile"])
def test_our_own_documents_are_shown_without_script_and_without_request(
    browser: Browser, pictures: Path, name: str
) -> None:
    """Also where the published examples are not at hand."""
    octets, words = documents()[name]
    looked_at(browser, octets, words)

    browser.photograph(
        render_html(octets).octets, HEADERS, size=DESKTOP, to=pictures / f"{name}.png"
    )
    assert (pictures / f"{name}.png").stat().st_size > 5_000


@pytest.mark.parametrize("name", OFFICIAL)
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_published_documents_are_shown_without_script_and_without_request(
    browser: Browser, pictures: Path, name: str, size: tuple[int, int]
) -> None:
    """On a screen and on a telephone; the pictures stay for people to look at."""
    octets = document(name)
    looked_at(browser, octets, OFFICIAL[name])

    picture = pictures / f"{name}-{size[0]}.png"
    browser.photograph(render_html(octets).octets, HEADERS, size=size, to=picture)
    assert is_drawn(picture)
