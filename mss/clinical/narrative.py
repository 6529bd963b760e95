"""The part of a document that people read: titled sections of paragraphs, lists and tables.

Shapes
    A `Section` has a title and blocks; a block is a `Paragraph`, an `ItemList`, a `Table` or a
    `Picture`. Text
    is plain: a line end in it is a line break. An `Anchor` is a piece of text that a coded entry
    points to. Reading keeps the words and drops the looks, so nothing active can survive it.
Errors
    None: an element that is not understood is read for its text.
Sources
    HL7 CDA R2, Section.text (NarrativeBlock.xsd).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lxml import etree
from lxml.etree import _Element

from mss.clinical.entries import Entry
from mss.clinical.people import Code

CDA = "urn:hl7-org:v3"
_BLOCKS = frozenset({"paragraph", "list", "table"})
_PICTURE = "renderMultiMedia"


@dataclass(frozen=True, slots=True)
class Anchor:
    """A piece of text that coded entries refer to by its id."""

    text: str
    id: str


Inline = str | Anchor


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of text."""

    text: Inline


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemList:
    """A list, with numbers or with bullets."""

    items: tuple[Inline, ...]
    is_ordered: bool = False
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; rows may be of unequal length."""

    rows: tuple[tuple[Inline, ...], ...]
    head: tuple[str, ...] = ()
    caption: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of the document: the id of the entry that holds it, and words to it."""

    reference: str
    caption: str = ""


Block = Paragraph | ItemList | Table | Picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part of a structured body."""

    title: str
    blocks: tuple[Block, ...] = ()
    code: Code | None = None
    templates: tuple[str, ...] = ()
    id: str = ""
    entries: tuple[Entry, ...] = ()
    sections: tuple["Section", ...] = ()


def plain(text: Inline) -> str:
    """The words alone."""
    return text.text if isinstance(text, Anchor) else text


def write_narrative(parent: _Element, blocks: Iterable[Block]) -> None:
    """Append the `text` element of a section."""
    text = etree.SubElement(parent, f"{{{CDA}}}text")
    for block in blocks:
        match block:
            case Paragraph(words):
                _write_inline(etree.SubElement(text, f"{{{CDA}}}paragraph"), words)
            case ItemList():
                _write_list(text, block)
            case Table():
                _write_table(text, block)
            case Picture():
                _write_picture(text, block)


def read_narrative(text: _Element) -> tuple[Block, ...]:
    """Read the `text` element of a section."""
    return tuple(_read_blocks(text))


def _write_list(text: _Element, block: ItemList) -> None:
    made = etree.SubElement(text, f"{{{CDA}}}list")
    made.set("listType", "ordered" if block.is_ordered else "unordered")
    if block.caption:
        etree.SubElement(made, f"{{{CDA}}}caption").text = block.caption
    for item in block.items:
        _write_inline(etree.SubElement(made, f"{{{CDA}}}item"), item)


def _write_table(text: _Element, block: Table) -> None:
    made = etree.SubElement(text, f"{{{CDA}}}table", border="0")
    if block.caption:
        etree.SubElement(made, f"{{{CDA}}}caption").text = block.caption
    if block.head:
        row = etree.SubElement(etree.SubElement(made, f"{{{CDA}}}thead"), f"{{{CDA}}}tr")
        for title in block.head:
            _write_inline(etree.SubElement(row, f"{{{CDA}}}th"), title)
    body = etree.SubElement(made, f"{{{CDA}}}tbody")
    for cells in block.rows:
        row = etree.SubElement(body, f"{{{CDA}}}tr")
        for cell in cells:
            _write_inline(etree.SubElement(row, f"{{{CDA}}}td"), cell)


def _write_picture(text: _Element, block: Picture) -> None:
    made = etree.SubElement(text, f"{{{CDA}}}renderMultiMedia", referencedObject=block.reference)
    if block.caption:
        etree.SubElement(made, f"{{{CDA}}}caption").text = block.caption


def _write_inline(parent: _Element, words: Inline) -> None:
    if isinstance(words, Anchor):
        parent = etree.SubElement(parent, f"{{{CDA}}}content", ID=words.id)
    first, *others = plain(words).split("\n")
    parent.text = first
    for line in others:
        etree.SubElement(parent, f"{{{CDA}}}br").tail = line


def _read_blocks(text: _Element) -> Iterator[Block]:
    loose = [text.text or ""]
    for child in text:
        if _name(child) in _BLOCKS:
            yield from _flush(loose)
            loose = [child.tail or ""]
            yield _read_block(child)
            yield from _read_pictures(child)
        elif _name(child) == _PICTURE:
            yield from _flush(loose)
            loose = [child.tail or ""]
            yield from _read_pictures(child)
        else:
            loose += [_words(child), child.tail or ""]
    yield from _flush(loose)


def _read_pictures(element: _Element) -> Iterator[Picture]:
    """Read the pictures in an element, or the one that it is; they are shown after its words."""
    for one in element.iter(f"{{{CDA}}}{_PICTURE}"):
        for reference in one.get("referencedObject", "").split():
            yield Picture(reference=reference, caption=_caption(one))


def _flush(loose: list[str]) -> Iterator[Paragraph]:
    words = _tidy("".join(loose))
    if words:
        yield Paragraph(words)


def _read_block(element: _Element) -> Block:
    match _name(element):
        case "list":
            return ItemList(
                items=tuple(_read_inline(item) for item in _children(element, "item")),
                is_ordered=element.get("listType") == "ordered",
                caption=_caption(element),
            )
        case "table":
            return _read_table(element)
        case _:
            return Paragraph(_read_inline(element))


def _read_table(element: _Element) -> Table:
    heads: list[tuple[Inline, ...]] = []
    rows: list[tuple[Inline, ...]] = []
    groups = [one for one in element if _name(one) in {"thead", "tbody", "tfoot"}]
    for group in groups or [element]:
        for row in _children(group, "tr"):
            cells = tuple(_read_inline(cell) for cell in row if _name(cell) in {"th", "td"})
            (heads if _name(group) == "thead" else rows).append(cells)
    head = tuple(plain(cell) for cell in heads[0]) if heads else ()
    # A second line of heads is rare: it is kept as an ordinary row rather than lost.
    return Table(rows=(*heads[1:], *rows), head=head, caption=_caption(element))


def _read_inline(element: _Element) -> Inline:
    only = element[0] if len(element) == 1 else None
    if (
        only is not None
        and _name(only) == "content"
        and only.get("ID")
        and not _tidy((element.text or "") + (only.tail or ""))
    ):
        return Anchor(_tidy(_words(only)), only.get("ID", ""))
    return _tidy(_words(element))


def _words(element: _Element) -> str:
    """Collect the text of an element; a line break is U+2028 until `_tidy` has folded blanks."""
    if _name(element) == "br":
        return "\u2028"
    pieces = [element.text or ""]
    for child in element:
        is_line = _name(child) in {"paragraph", "item", "tr", "caption", "table", "list"}
        pieces += [_words(child), "\u2028" if is_line else "", child.tail or ""]
        if _name(child) in {"td", "th"}:
            pieces.append(" ")
    return "".join(pieces)


def _tidy(text: str) -> str:
    lines = (" ".join(line.split()) for line in text.split("\u2028"))
    return "\n".join(lines).strip("\n")


def _caption(element: _Element) -> str:
    found = next(_children(element, "caption"), None)
    return "" if found is None else _tidy(_words(found)).replace("\n", " ")


def _children(element: _Element, name: str) -> Iterator[_Element]:
    return element.iterchildren(f"{{{CDA}}}{name}")


def _name(element: _Element) -> str:
    return etree.QName(element).localname
