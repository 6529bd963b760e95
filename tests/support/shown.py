"""Documents whose narrative a test writes, and a reader of pages that knows what may be in one."""

import re
from typing import Final

from lxml import html
from lxml.html import HtmlElement

from mss.clinical.html_fence import TAGS

ALLOWED_TAGS: Final = TAGS | {"html", "head", "meta", "title", "style", "body", "main"}
ALLOWED_ATTRIBUTES: Final = frozenset(
    (
        *("class", "id", "aria-label", "role", "tabindex", "lang", "href", "src", "alt", "type"),
        *("colspan", "rowspan", "scope", "charset", "name", "content", "http-equiv"),
    )
)
LINK: Final = re.compile(r"#[ns]\d+")
PICTURE: Final = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=]+")
PIXEL: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)


def a_cda(
    narrative: str = "", *, title: str = "Compte rendu", body: str = "", entries: str = ""
) -> bytes:
    """Write a document with one section around *narrative*, or with another *body*."""
    body = body or (
        "<structuredBody><component><section><title>Partie</title>"
        f"<text>{narrative}</text>{entries}</section></component></structuredBody>"
    )
    return (
        '<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/'
        'XMLSchema-instance"><id root="1.2.3"/><code code="34112-3" '
        'codeSystem="2.16.840.1.113883.6.1"/>'
        f"<title>{title}</title><component>{body}</component></ClinicalDocument>"
    ).encode()


def an_image(data: str = PIXEL, *, name: str = "img", media_type: str = "image/png") -> str:
    """Write an entry with an image inside."""
    return (
        f'<entry><observationMedia classCode="OBS" moodCode="EVN" ID="{name}"><value '
        f'mediaType="{media_type}" representation="B64">{data}</value></observationMedia></entry>'
    )


def read_page(page: bytes) -> HtmlElement:
    """Read a page as browsers do, and make sure that it can do no harm."""
    root = html.document_fromstring(page.decode())
    assert faults_of(root) == []
    return root


def faults_of(root: HtmlElement) -> list[str]:
    """Name everything in a page that has no business there."""
    return [
        " ".join((str(element.tag), name, value[:60]))
        for element in root.iter()
        for name, value in [("", ""), *element.items()]
        if not _is_allowed(str(element.tag), name, value)
    ]


def _is_allowed(tag: str, name: str, value: str) -> bool:
    if tag not in ALLOWED_TAGS or (name and name not in ALLOWED_ATTRIBUTES):
        return False
    if name == "href":
        return tag == "a" and LINK.fullmatch(value) is not None
    if name == "src":
        return tag == "img" and PICTURE.fullmatch(value) is not None
    return True


def words_of(root: HtmlElement) -> str:
    """What a person reads of a page, blanks folded."""
    return " ".join(root.xpath("string(//main)").split())
