"""Show any clinical document as one safe page: header, narrative, images that are inside.

The page is our own rendering. A style sheet that comes with a document is never run, nothing is
fetched, no script is in the page and none could run: the markup passes a sanitiser as its last
step, and the policy that goes with the page (`POLICY`, also in the page itself) allows images of
the page and our one style sheet. What could not be shown is said in the page.

Shapes
    `HtmlPage` is UTF-8 octets, with codes of what the reader of the page is told.
Errors
    `CdaSyntaxError`, on any octets. Time and size of a page are bounded.
Sources
    HL7 CDA R2, 1.2.3 (rendering: header and narrative); CSP 3, sandbox; docs/adr/0027.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Final

from lxml.etree import _Element

from mss.clinical.cda_read import open_cda
from mss.clinical.document import BodyKind, CdaDocument
from mss.clinical.html_fence import sanitise
from mss.clinical.html_header import CONTEXT_ANCHOR, CONTEXT_TITLE, write_context, write_header
from mss.clinical.html_media import find_picture, picture_of
from mss.clinical.html_narrative import Attachment, NarrativeWriter, targets
from mss.clinical.html_writer import HtmlWriter, PageFullError
from mss.clinical.narrative import CDA
from mss.clinical.people import Identifier

MAX_IMAGES_OCTETS: Final = 16 * 1024 * 1024  # as written in the page
MAX_CONTENTS: Final = 200
MAX_TITLE: Final = 200
CONTENTS_FROM: Final = 4  # sections, below which a page needs no table of contents
MAX_SECTION_DEPTH: Final = 12

_NS: Final = {"h": CDA}
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2}")
_AROUND_MEDIA: Final = frozenset(
    f"{{{CDA}}}{name}" for name in ("entryRelationship", "regionOfInterest")
)
_NOTICES: Final = {
    "page-cut": "Ce document est trop long pour être affiché en entier. Ouvrez le fichier "
    "d'origine pour lire la suite.",
    "image-not-shown": "Une image au moins n'a pas pu être affichée.",
    "misleading-text": "Des caractères invisibles qui changent le sens de lecture ont été retirés.",
    "no-narrative": "Ce document ne contient que des données codées, sans texte à lire.",
    "part-without-narrative": "Une partie au moins ne contient que des données codées, sans texte.",
    "body-is-pdf": "Le contenu de ce document est un fichier PDF, à ouvrir à côté de cette page.",
    "body-not-shown": "Le contenu de ce document est un fichier qui ne s'affiche pas ici.",
    "no-body": "Ce document n'a pas de contenu.",
    "several-patients": "Ce document désigne plusieurs patients : vérifiez l'identité.",
    "self-presenting": "La présentation fournie par l'expéditeur n'est pas utilisée.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HtmlPage:
    """A page to show, and what it tells its reader about itself."""

    octets: bytes
    notices: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class _Page:
    """What is gathered while a page is written."""

    out: HtmlWriter
    narrative: NarrativeWriter
    titles: list[tuple[str, str]] = field(default_factory=list)
    notices: dict[str, None] = field(default_factory=dict)
    sections: int = 0
    narratives: int = 0

    def notice(self, code: str) -> None:
        self.notices.setdefault(code)


def render_html(octets: bytes, *, is_deletion: bool = False) -> HtmlPage:
    """Show a document.

    Args:
        octets: The document.
        is_deletion: The archive around it asks for its deletion.

    Raises:
        CdaSyntaxError: The octets are not a CDA document.
    """
    root, document = open_cda(octets)
    texts = list(root.iterfind(".//h:section/h:text", _NS))
    out = HtmlWriter()
    narrative = NarrativeWriter(
        out=out,
        anchors=targets(texts),
        attachments=_attachments(root),
        images_left=MAX_IMAGES_OCTETS,
    )
    page = _Page(out=out, narrative=narrative)
    head = HtmlWriter()
    try:
        write_header(head, document.header, is_deletion=is_deletion)
        _write_body(page, root, document)
        write_context(out, document.header)
    except PageFullError:
        page.notice("page-cut")
    head.close_all()
    out.close_all()
    _note_oddities(page, head, document)
    return HtmlPage(octets=_assemble(page, head, document), notices=tuple(page.notices))


def content_policy() -> str:
    """Give the content security policy to send with a page."""
    return f"{_page_policy()}; frame-ancestors 'none'; sandbox"


def _page_policy() -> str:
    digest = base64.b64encode(sha256(_style().encode()).digest()).decode()
    return (
        "default-src 'none'; img-src data:; "
        f"style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


# The body


def _write_body(page: _Page, root: _Element, document: CdaDocument) -> None:
    language = document.header.language
    known = language if _LANGUAGE.fullmatch(language) else None
    with page.out.element("div", class_="body", lang=known):
        if document.body is BodyKind.STRUCTURED:
            _write_sections(page, root)
        elif document.body is BodyKind.NONE:
            _say(page, "no-body")
        else:
            _write_file(page, root, document)


def _write_sections(page: _Page, root: _Element) -> None:
    for section in root.iterfind("h:component/h:structuredBody/h:component/h:section", _NS):
        _write_section(page, section, level=2)
    if not page.narratives:
        page.notice("no-narrative")
        if not page.sections:
            _say(page, "no-narrative")


def _write_section(page: _Page, section: _Element, *, level: int) -> None:
    page.sections += 1
    anchor = f"s{page.sections}"
    title = _title(section)
    if level == 2:
        page.titles.append((anchor, title))
    with page.out.element("section", id=anchor):
        page.out.line(f"h{min(level, 6)}", title)
        _write_secrecy(page, section)
        inner = section.findall("h:component/h:section", _NS)
        _write_text(page, section, is_alone=not inner)
        for one in inner:
            if level <= MAX_SECTION_DEPTH:
                _write_section(page, one, level=level + 1)
            else:
                page.notice("page-cut")


def _write_text(page: _Page, section: _Element, *, is_alone: bool) -> None:
    text = section.find("h:text", _NS)
    is_there = text is not None and (len(text) or (text.text or "").strip())
    if text is not None and is_there:
        page.narratives += 1
        page.narrative.write(text)
    elif is_alone:
        page.notice("part-without-narrative")
        page.out.line("p", "Données codées, sans texte à lire.", class_="empty")


def _write_secrecy(page: _Page, section: _Element) -> None:
    code = section.find("h:confidentialityCode", _NS)
    if code is not None and code.get("code") in {"R", "V"}:
        page.out.line("p", "Partie à diffusion restreinte.", class_="alert")


def _title(section: _Element) -> str:
    title = section.find("h:title", _NS)
    words = "" if title is None else " ".join("".join(title.itertext()).split())
    code = section.find("h:code", _NS)
    return words or ("" if code is None else code.get("displayName", "")) or "Sans titre"


def _write_file(page: _Page, root: _Element, document: CdaDocument) -> None:
    text = root.find("h:component/h:nonXMLBody/h:text", _NS)
    assert text is not None, "a body of this kind is an element"
    if document.body is BodyKind.PDF:
        _say(page, "body-is-pdf")
    elif document.body is BodyKind.TEXT:
        with page.out.element("section"):
            page.out.line("pre", _plain_text(text))
    else:
        octets = _decoded(text)
        picture = picture_of(octets) if octets else None
        if picture is None or len(picture.base64) > MAX_IMAGES_OCTETS:
            _say(page, "body-not-shown")
        else:
            with page.out.element("section"), page.out.element("figure"):
                page.out.picture(picture.address, alt="Contenu du document")


def _say(page: _Page, code: str) -> None:
    """Say in the place of the body why there is none."""
    page.out.line("p", _NOTICES[code], class_="empty")
    page.notice(code)


def _plain_text(text: _Element) -> str:
    octets = _decoded(text)
    if octets is None:
        return "".join(text.itertext())
    try:
        return octets.decode("utf-8-sig")
    except UnicodeDecodeError:
        return octets.decode("cp1252", errors="replace")


def _decoded(text: _Element) -> bytes | None:
    if text.get("representation", "TXT").upper() != "B64" or text.get("compression"):
        return None
    packed = "".join("".join(text.itertext()).split())
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _attachments(root: _Element) -> dict[str, tuple[Attachment, ...]]:
    """Find what narratives may point to: media, and regions of them."""
    found: dict[str, tuple[Attachment, ...]] = {}
    for media in root.iter(f"{{{CDA}}}observationMedia"):
        attachment = _attachment(media)
        for name in _names(media):
            found.setdefault(name, (attachment,))
    return found


def _names(media: _Element) -> Iterator[str]:
    yield media.get("ID", "\0")
    region = media.getparent()
    while region is not None and region.tag in _AROUND_MEDIA:
        if region.get("ID"):
            yield region.get("ID", "")
        region = region.getparent()


def _attachment(media: _Element) -> Attachment:
    value = media.find("h:value", _NS)
    if value is None:
        return Attachment(picture=None, media_type="")
    kind = value.get("mediaType", "").strip().lower()[:60]
    return Attachment(picture=find_picture(value), media_type=kind)


# The page around


def _note_oddities(page: _Page, head: HtmlWriter, document: CdaDocument) -> None:
    for problem in sorted(page.narrative.problems):
        page.notice(problem)
    if head.has_misleading_text or page.out.has_misleading_text:
        page.notice("misleading-text")
    if document.patients > 1:
        page.notice("several-patients")
    if document.is_self_presenting:
        page.notice("self-presenting")


def _assemble(page: _Page, head: HtmlWriter, document: CdaDocument) -> bytes:
    header = document.header
    inside = "".join(
        (_notices(page), head.html(), _contents(page), page.out.html(), _foot(header.id))
    )
    title = head.clean(header.title) or "Document"
    return (
        "<!DOCTYPE html>\n"
        f'<html lang="fr"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="Content-Security-Policy" content="{_page_policy()}">'
        f"<style>{_style()}</style></head>"
        f"<body><main>{sanitise(inside)}</main></body></html>\n"
    ).encode()


def _notices(page: _Page) -> str:
    if not page.notices:
        return ""
    out = HtmlWriter()
    with out.element("div", class_="notice", role="note"), out.element("ul"):
        for code in page.notices:
            out.line("li", _NOTICES[code])
    return out.html()


def _contents(page: _Page) -> str:
    """Write the table of contents of a long document."""
    if len(page.titles) < CONTENTS_FROM:
        return ""
    out = HtmlWriter()
    with out.element("nav", aria_label="Sommaire"):
        out.line("h2", "Sommaire")
        with out.element("ul"):
            for anchor, title in (*page.titles[:MAX_CONTENTS], (CONTEXT_ANCHOR, CONTEXT_TITLE)):
                with out.element("li"):
                    out.line("a", title[:MAX_TITLE], href=f"#{anchor}")
    return out.html()


def _foot(identifier: Identifier | None) -> str:
    out = HtmlWriter()
    with out.element("footer"):
        name = f"Document {identifier.xds[:200]}. " if identifier else ""
        out.text(f"{name}Affichage par le serveur de messagerie ; le fichier d'origine fait foi.")
    return out.html()


@cache
def _style() -> str:
    return files("mss.clinical").joinpath("data", "document.css").read_text(encoding="utf-8")
