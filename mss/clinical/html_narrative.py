"""Write the narrative of a section as HTML: the words, their order and their structure.

Every word of the narrative is written, also inside elements that nobody knows. What is kept of the
looks is a closed list of classes; nothing of a document becomes a tag, an attribute name, a style
or an address that leads out of the page.

Errors
    `PageFullError`, to whoever assembles the page.
Sources
    HL7 CDA R2, 4.3.5 (Section Narrative Block) and NarrativeBlock.xsd.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from lxml.etree import _Element

from mss.clinical.html_media import Picture
from mss.clinical.html_writer import HtmlWriter
from mss.clinical.narrative import CDA

MAX_COLUMNS: Final = 100
MAX_SPANNED_ROWS: Final = 1000
MAX_OBJECTS: Final = 20
BLOCKS: Final = frozenset({"paragraph", "list", "table", "renderMultiMedia"})

_STYLES: Final = re.compile(
    r"bold|underline|italics|emphasis|lrule|rrule|toprule|botrule"
    r"|arabic|littleroman|bigroman|littlealpha|bigalpha|disc|circle|square",
    re.IGNORECASE,
)
_ORDERED: Final = {"littleroman": "i", "bigroman": "I", "littlealpha": "a", "bigalpha": "A"}
_PLAIN_INLINE: Final = {"sub": "sub", "sup": "sup"}
_ROW_GROUPS: Final = {"thead": "thead", "tbody": "tbody", "tfoot": "tfoot"}
_SHOWN_SCHEMES: Final = ("http://", "https://", "mailto:", "tel:")
_MAX_SHOWN_ADDRESS: Final = 300
_PREFIX: Final = f"{{{CDA}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """What a narrative can point to: an image to show, or a file to name."""

    picture: Picture | None
    media_type: str


@dataclass(slots=True, kw_only=True)
class NarrativeWriter:
    """Writes the narratives of one document, which point to one another.

    Attributes:
        anchors: The names in the page of those ids of the document that something points to.
        attachments: By the id that a narrative calls them by.
        images_left: Octets that images may still take in this page.
        problems: Codes of what could not be shown as it was meant.
    """

    out: HtmlWriter
    anchors: Mapping[str, str]
    attachments: Mapping[str, tuple[Attachment, ...]]
    images_left: int
    problems: set[str] = field(default_factory=set)
    _anchored: set[str] = field(default_factory=set)
    _notes: dict[_Element, int] = field(default_factory=dict)
    _notes_by_id: dict[str, int] = field(default_factory=dict)
    _holding_blocks: set[_Element] = field(default_factory=set)
    _writers: dict[str, Callable[[_Element], None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Say which element is written how; the others are written for their words."""
        self._writers = {
            "paragraph": self._paragraph,
            "list": self._list,
            "table": self._table,
            "renderMultiMedia": self._multimedia,
            "br": self._break,
            "content": self._content,
            "sub": self._raised,
            "sup": self._raised,
            "linkHtml": self._link,
            "footnote": self._footnote_mark,
            "footnoteRef": self._footnote_reference,
            "caption": self._caption,
        }

    def write(self, text: _Element) -> None:
        """Write one narrative, then the footnotes that it holds."""
        self._holding_blocks = _ancestors_of_blocks(text)
        notes = text.iter(f"{{{CDA}}}footnote")
        self._notes = {one: number for number, one in enumerate(notes, start=1)}
        self._notes_by_id = {one.get("ID", ""): number for one, number in self._notes.items()}
        with self.out.element("div", class_="narrative", id=self._anchor(text)):
            self._mixed(text)
            self._write_notes()

    # Text and what may stand in it

    def _mixed(self, element: _Element) -> None:
        self.out.text(element.text or "")
        for child in element:
            self._one(child)
            self.out.text(child.tail or "")

    def _one(self, element: _Element) -> None:
        self._writers.get(_name(element), self._span)(element)

    def _break(self, element: _Element) -> None:
        self.out.void("br")
        if len(element) or element.text:  # a break is empty, but words in one are words
            self._span(element)

    def _span(self, element: _Element) -> None:
        """Write an element that has no place here for its words."""
        tag = "div" if element in self._holding_blocks else "span"
        with self.out.element(tag, id=self._anchor(element)):
            self._mixed(element)

    def _content(self, element: _Element) -> None:
        revised = {"delete": "del", "insert": "ins"}.get(element.get("revised", ""))
        is_block = element in self._holding_blocks
        tag = "div" if is_block else revised or "span"
        classes = _classes(element, "revised-" + revised if is_block and revised else "")
        with self.out.element(tag, class_=classes, id=self._anchor(element)):
            self._mixed(element)

    def _raised(self, element: _Element) -> None:
        if element in self._holding_blocks:
            self._span(element)
            return
        with self.out.element(_PLAIN_INLINE[_name(element)]):
            self._mixed(element)

    def _link(self, element: _Element) -> None:
        """Write a link: one that stays in the page works, any other is only text."""
        href = element.get("href", "").strip()
        target = self.anchors.get(href.removeprefix("#")) if href.startswith("#") else None
        if target is not None and element not in self._holding_blocks:
            with self.out.element("a", href=f"#{target}", id=self._anchor(element)):
                self._mixed(element)
            return
        self._span(element)
        words = "".join(element.itertext())
        if href.lower().startswith(_SHOWN_SCHEMES) and href not in words:
            shown = " ".join(href.split())[:_MAX_SHOWN_ADDRESS]
            self.out.line("span", f" ({shown})", class_="address")

    def _caption(self, element: _Element) -> None:
        tag = "div" if element in self._holding_blocks else "p"
        with self.out.element(tag, class_="caption", id=self._anchor(element)):
            self._mixed(element)

    # Notes

    def _footnote_mark(self, element: _Element) -> None:
        number = self._notes[element]
        self.out.line("sup", f"[{number}]", class_="note", id=self._anchor(element))

    def _footnote_reference(self, element: _Element) -> None:
        name = element.get("IDREF", "")
        number = self._notes_by_id.get(name)
        target = self.anchors.get(name)
        if number is None or target is None:
            self._span(element)
            return
        with self.out.element("sup", class_="note"), self.out.element("a", href=f"#{target}"):
            self.out.text(f"[{number}]")
        if len(element) or element.text:
            self._span(element)

    def _write_notes(self) -> None:
        if not self._notes:
            return
        with self.out.element("div", class_="notes"):
            for note, number in self._notes.items():
                with self.out.element("div", class_="footnote"):
                    self.out.line("span", f"[{number}] ", class_="note")
                    self._mixed(note)

    # Blocks

    def _paragraph(self, element: _Element) -> None:
        tag = "div" if element in self._holding_blocks or _has_caption(element) else "p"
        classes = _classes(element, "paragraph" if tag == "div" else "")
        with self.out.element(tag, class_=classes, id=self._anchor(element)):
            self._mixed(element)

    def _list(self, element: _Element) -> None:
        styles = _styles(element)
        is_ordered = element.get("listType", "").lower() == "ordered"
        kind = next((_ORDERED[one] for one in styles if one in _ORDERED), None)
        self._strays(element, {"item", "caption"})
        for caption in _children(element, "caption"):
            self._caption(caption)
        tag = "ol" if is_ordered else "ul"
        classes = _classes(element)
        with self.out.element(
            tag, type=kind if is_ordered else None, class_=classes, id=self._anchor(element)
        ):
            for item in _children(element, "item"):
                with self.out.element("li", class_=_classes(item), id=self._anchor(item)):
                    self._mixed(item)

    def _table(self, element: _Element) -> None:
        captions = [_words(one) for one in _children(element, "caption")]
        label = next((one for one in captions if one), None)
        # A region that takes the focus can be moved sideways with the keyboard.
        with (
            self.out.element(
                "div", class_="wide", role="region", tabindex="0", aria_label=label or "Tableau"
            ),
            self.out.element("table", class_=_classes(element), id=self._anchor(element)),
        ):
            if captions:
                with self.out.element("caption"):
                    for number, caption in enumerate(_children(element, "caption")):
                        if number:
                            self.out.void("br")
                        self._mixed_flat(caption)
            self._row_groups(element)
        self._strays(element, {"caption", "col", "colgroup", "tr", *_ROW_GROUPS})

    def _row_groups(self, table: _Element) -> None:
        for tag in ("thead", "tbody", "tfoot"):
            for group in _children(table, tag):
                with self.out.element(tag, class_=_classes(group)):
                    for row in _children(group, "tr"):
                        self._row(row, is_head=tag == "thead")
        bare = list(_children(table, "tr"))
        if bare:
            with self.out.element("tbody"):
                for row in bare:
                    self._row(row, is_head=False)
        for tag in _ROW_GROUPS:
            for group in _children(table, tag):
                self._rows_of_strays(group)

    def _rows_of_strays(self, group: _Element) -> None:
        """Give words that stand between rows a row of their own, so that none is lost."""
        words = _stray_words(group, {"tr"})
        if words:
            with self.out.element("tbody"), self.out.element("tr"), self.out.element("td"):
                self.out.text(words)

    def _row(self, row: _Element, *, is_head: bool) -> None:
        cells = [one for one in row if _name(one) in {"td", "th"}]
        is_head = is_head or all(_name(one) == "th" for one in cells)
        with self.out.element("tr", class_=_classes(row), id=self._anchor(row)):
            for cell in cells[: MAX_COLUMNS * 10]:
                self._cell(cell, scope="col" if is_head else "row")
            words = _stray_words(row, {"td", "th"}) + " ".join(
                _words(one) for one in cells[MAX_COLUMNS * 10 :]
            )
            if words.strip():
                self.out.line("td", words)

    def _cell(self, cell: _Element, *, scope: str) -> None:
        is_title = _name(cell) == "th"
        with self.out.element(
            _name(cell),
            class_=_classes(cell),
            id=self._anchor(cell),
            scope=scope if is_title else None,
            colspan=_span(cell.get("colspan"), MAX_COLUMNS),
            rowspan=_span(cell.get("rowspan"), MAX_SPANNED_ROWS),
        ):
            self._mixed(cell)

    def _multimedia(self, element: _Element) -> None:
        with self.out.element("figure", class_=_classes(element), id=self._anchor(element)):
            caption = " ".join(_words(one) for one in _children(element, "caption"))
            names = element.get("referencedObject", "").split()[:MAX_OBJECTS]
            found = [one for name in names for one in self.attachments.get(name, ())]
            for one in found:
                self._attachment(one, caption)
            if not found:
                self._missing("Image absente du document.")
            if caption:
                self.out.line("figcaption", caption)
            self._strays(element, {"caption"})

    def _attachment(self, one: Attachment, caption: str) -> None:
        if one.picture is None:
            kind = "PDF" if one.media_type == "application/pdf" else one.media_type or "inconnu"
            if one.media_type.startswith("image/"):
                self._missing(f"Image non affichée (format {one.media_type}).")
            else:
                self.out.line("p", f"Fichier joint au document (format {kind}).", class_="file")
            return
        self.images_left -= len(one.picture.base64)
        if self.images_left < 0:
            self._missing("Image non affichée : le document en contient trop.")
            return
        self.out.picture(one.picture.address, alt=caption or "Image du document")

    def _missing(self, text: str) -> None:
        self.problems.add("image-not-shown")
        self.out.line("p", text, class_="missing")

    # What stands where nothing should

    def _strays(self, element: _Element, expected: set[str]) -> None:
        words = _stray_words(element, expected)
        if words:
            self.out.line("p", words)

    def _mixed_flat(self, element: _Element) -> None:
        if element in self._holding_blocks:
            self.out.text(_words(element))
        else:
            self._mixed(element)

    def _anchor(self, element: _Element) -> str | None:
        """Name an element that something points to; the first of a name has it."""
        anchor = self.anchors.get(element.get("ID", ""))
        if anchor is None or anchor in self._anchored:
            return None
        self._anchored.add(anchor)
        return anchor


def targets(texts: list[_Element]) -> dict[str, str]:
    """Name in the page every id that a narrative points to."""
    wanted: dict[str, None] = {}
    for text in texts:
        for link in text.iter(f"{{{CDA}}}linkHtml"):
            href = link.get("href", "").strip()
            if href.startswith("#") and len(href) > 1:
                wanted.setdefault(href[1:])
        for reference in text.iter(f"{{{CDA}}}footnoteRef"):
            if reference.get("IDREF"):
                wanted.setdefault(reference.get("IDREF", ""))
    present = {one.get("ID") for text in texts for one in text.iter() if one.get("ID")}
    return {name: f"n{number}" for number, name in enumerate(wanted, 1) if name in present}


def _ancestors_of_blocks(text: _Element) -> set[_Element]:
    """Find the elements inside which a block stands: those cannot be written as inline ones."""
    found: set[_Element] = set()
    for name in (*sorted(BLOCKS), "caption"):
        for block in text.iter(f"{{{CDA}}}{name}"):
            for parent in block.iterancestors():
                if parent in found:
                    break
                found.add(parent)
                if parent is text:
                    break
    return found


def _has_caption(element: _Element) -> bool:
    return next(_children(element, "caption"), None) is not None


def _stray_words(element: _Element, expected: set[str]) -> str:
    pieces = [element.text or ""]
    for child in element:
        if _name(child) not in expected:
            pieces.append(" ".join(child.itertext()))
        pieces.append(child.tail or "")
    return " ".join(" ".join(pieces).split())


def _styles(element: _Element) -> list[str]:
    asked = element.get("styleCode")
    return [one.lower() for one in _STYLES.findall(asked[:200])] if asked else []


def _classes(element: _Element, *more: str) -> str | None:
    """Translate the looks that are known; whatever else is asked for is left out."""
    found = dict.fromkeys(f"s-{one}" for one in _styles(element))
    align = element.get("align", "").lower()
    if align in {"left", "center", "right", "justify"}:
        found[f"a-{align}"] = None
    return " ".join((*filter(None, more), *found)) or None


def _span(text: str | None, ceiling: int) -> str | None:
    """Read how many columns or rows a cell takes."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) < 10):
        return None
    count = min(int(text), ceiling)
    return str(count) if count > 1 else None


def _words(element: _Element) -> str:
    return " ".join("".join(element.itertext()).split())


def _children(element: _Element, name: str) -> Iterator[_Element]:
    return element.iterchildren(f"{{{CDA}}}{name}")


def _name(element: _Element) -> str:
    """Name an element of a narrative; those of other vocabularies have no name here."""
    tag = str(element.tag)
    return tag[len(_PREFIX) :] if tag.startswith(_PREFIX) else ""
