"""Show a document as a PDF that anyone can read and print: the copy that a mail must carry.

The header first (who wrote, about whom, to whom, when), then the narrative of every section,
faithfully and in order. Text of a document is text: nothing in it is taken for mark-up, so a
hostile document cannot fetch an image or add a link.

Shapes
    `build_pdf` takes the header and the sections and gives a PDF/A-1b file, always the same for
    the same values. Letters that the embedded fonts lack are replaced by their base letter.
Errors
    `CdaSyntaxError`, only from `build_copy`.
Sources
    ANS, Référentiel 2, ECO.2.1.5 (header and narrative); ISO 19005-1:2005.
"""

import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from importlib.resources import files
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    KeepTogether,
    PageTemplate,
    Spacer,
)
from reportlab.platypus import Paragraph as Words
from reportlab.platypus import Table as Grid

from mss.clinical import narrative, vocabulary
from mss.clinical.cda_read import embedded_files, embedded_pictures, parse_cda, read_sections
from mss.clinical.document import CdaHeader, EmbeddedFile
from mss.clinical.entries import OpaqueEntry
from mss.clinical.narrative import Block, ItemList, Section
from mss.clinical.patient import Patient
from mss.clinical.pdf_pictures import figures
from mss.clinical.pdfa import VERSION, finish_archivable, make_archivable
from mss.clinical.people import Actor, Organization
from mss.clinical.rtf_text import rtf_text
from mss.clinical.times import HL7Time

_REGULAR, _BOLD = "MSS-Sans", "MSS-Sans-Bold"
_INK = colors.HexColor("#1c2733")
_ACCENT = colors.HexColor("#1f5c99")
_PALE = colors.HexColor("#eef3f8")
_RULE = colors.HexColor("#c3ced9")
_MARGIN = 18 * mm
_WIDTH = A4[0] - 2 * _MARGIN
_MAX_COLUMNS = 12
_PICTURE_HEIGHT = 200 * mm
_PDF = "application/pdf"
_RTF = frozenset({"text/rtf", "application/rtf"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SEXES = {"M": "masculin", "F": "féminin", "UN": "indéterminé"}
_ARROWS = {
    "→": "->",
    "←": "<-",
    "⇒": "=>",
    "\u202f": "\u00a0",
    "\u2011": "-",
    "☐": "[ ]",
    "☑": "[x]",
}


def build_pdf(
    header: CdaHeader, sections: Sequence[Section], *, bodies: Sequence[EmbeddedFile] = ()
) -> bytes:
    """Write the readable copy of a document.

    Args:
        header: Who wrote it, about whom.
        sections: What it says, of a structured document.
        bodies: What it is, of a document that is one file: text, RTF, or a picture.
    """
    _register_fonts()
    content = _Content(header=header, sections=tuple(sections), bodies=tuple(bodies))
    pages = _lay_out(content, total=0)[1]
    return finish_archivable(_lay_out(content, total=pages)[0])


def build_copy(octets: bytes) -> bytes:
    """Give the PDF that must go with a document: the one inside it, or else one made from it.

    Raises:
        CdaSyntaxError: The octets are not a CDA document, or the file in it is not valid base64.
    """
    found = embedded_files(octets)
    pdf = next((one.octets for one in found if one.media_type == _PDF), None)
    if pdf is not None:
        return pdf
    bodies = [one for one in found if one.is_copy]
    return build_pdf(parse_cda(octets).header, read_sections(octets), bodies=bodies)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """What is to be shown."""

    header: CdaHeader
    sections: tuple[Section, ...]
    bodies: tuple[EmbeddedFile, ...]

    def pictures(self) -> dict[str, EmbeddedFile]:
        """List the pictures inside the document by the id that the narrative knows."""
        found: dict[str, EmbeddedFile] = {}
        pending = list(self.sections)
        while pending:
            section = pending.pop()
            pending += section.sections
            for entry in section.entries:
                if isinstance(entry, OpaqueEntry):
                    found |= embedded_pictures(entry.xml)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What the file says about itself."""

    title: str
    author: str
    subject: str
    at: datetime

    @classmethod
    def of(cls, header: CdaHeader) -> "_Facts":
        written = header.effective_time.instant if header.effective_time else None
        label = vocabulary.label(header.code)
        return cls(
            title=_line(header.title or label),
            author=_line(", ".join(_name(one) for one in header.authors)) or "-",
            subject=_line(label),
            at=written or _EPOCH,
        )


def _lay_out(content: _Content, *, total: int) -> tuple[bytes, int]:
    """Write the file; the number of pages is known only after a first time."""
    out = io.BytesIO()
    header = content.header
    facts = _Facts.of(header)
    layout = BaseDocTemplate(
        out,
        pagesize=A4,
        title=facts.title,
        author=facts.author,
        subject=facts.subject,
    )
    frame = Frame(
        _MARGIN, 18 * mm, _WIDTH, A4[1] - 33 * mm,
        leftPadding=0, rightPadding=0, topPadding=0, bottomPadding=0,
    )  # fmt: skip
    foot = partial(_foot, header, total)
    layout.addPageTemplates(PageTemplate(frames=[frame], onPage=foot))
    layout.build(list(_story(content)), canvasmaker=partial(_canvas, facts))
    return out.getvalue(), int(layout.page)


def _canvas(facts: _Facts, out: io.BytesIO, **options: Any) -> Canvas:  # noqa: ANN401  # not ours
    options |= {"invariant": 1, "pdfVersion": VERSION, "pageCompression": 1, "lang": "fr-FR"}
    canvas = Canvas(out, **(options | {"initialFontName": _REGULAR}))
    make_archivable(
        canvas, title=facts.title, author=facts.author, subject=facts.subject, at=facts.at
    )
    return canvas


def _foot(header: CdaHeader, total: int, canvas: Canvas, layout: BaseDocTemplate) -> None:
    canvas.saveState()
    canvas.setFont(_REGULAR, 7)
    canvas.setFillColor(_INK)
    number = f"Document {header.id.xds}" if header.id else ""
    canvas.drawString(_MARGIN, 10 * mm, _line(number)[:110])
    canvas.drawRightString(A4[0] - _MARGIN, 10 * mm, f"Page {layout.page} / {total or '-'}")
    canvas.restoreState()


def _story(content: _Content) -> Iterator[Flowable]:
    header, pictures = content.header, content.pictures()
    yield _masthead(header)
    yield Spacer(1, 5 * mm)
    yield _words(header.title or vocabulary.label(header.code), _style("title"))
    yield _words(_written(header), _style("small"))
    yield Spacer(1, 3 * mm)
    yield _identity(header.patient or Patient())
    yield Spacer(1, 3 * mm)
    yield from _context(header)
    for section in content.sections:
        yield from _section(section, pictures, level=1)
    for body in content.bodies:
        yield from _body(body)
    yield from _signature(header)


def _masthead(header: CdaHeader) -> Flowable:
    keeper = header.custodian or Organization()
    left = [_words(keeper.name, _style("brand")), *map(_small, _contact(keeper))]
    right: list[Flowable] = []
    if header.recipients:
        right.append(_words("Destinataires", _style("label")))
        right += [_small(_with_place(one)) for one in header.recipients]
    return _grid([[left, right]], (0.55, 0.45))


def _contact(keeper: Organization) -> tuple[str, ...]:
    lines = keeper.address.lines if keeper.address else ()
    return (*lines, *(one.value.replace(":", " : ", 1) for one in keeper.telecoms))


def _identity(patient: Patient) -> Flowable:
    traits, ins = patient.traits, patient.ins
    number = f"{ins.matricule} (OID {ins.authority.value})" if ins else "non renseigné"
    facts = (
        ("Nom de naissance", traits.birth_name),
        ("Prénom(s) de naissance", traits.all_given or traits.first_given),
        ("Nom et prénom utilisés", f"{traits.used_name} {traits.used_given}".strip()),
        ("Né(e) le", f"{_day(traits.birth_date)}   Lieu (INSEE) : {traits.birth_place or '-'}"),
        ("Sexe", _SEXES.get(traits.sex, traits.sex)),
        ("Matricule INS", number),
    )
    rows = [
        [_words(label, _style("label")), _words(value, _style("body"))]
        for label, value in facts
        if value
    ]
    return _grid(rows, (0.28, 0.72), background=_PALE)


def _context(header: CdaHeader) -> Iterator[Flowable]:
    act = header.main_act
    lines = [("Auteur", _with_place(one)) for one in header.authors]
    if act and act.start:
        until = f" au {_day(act.stop)}" if act.stop else ""
        lines.append(("Prise en charge", f"Du {_day(act.start)}{until}"))
    lines += [
        ("Médecin traitant", _with_place(one.actor))
        for one in header.participants
        if one.actor.role and one.actor.role.code == "PCP"
    ]
    lines += [("Remplace", one.xds) for one in header.replaces]
    if lines:
        yield _grid(
            [
                [_words(label, _style("label")), _words(text, _style("body"))]
                for label, text in lines
            ],
            (0.28, 0.72),
        )


def _body(body: EmbeddedFile) -> Iterator[Flowable]:
    """Show a document that is one file: its words, or the picture itself."""
    if body.media_type in _RTF:
        text = rtf_text(body.octets)
    elif body.media_type == "text/plain":
        text = body.octets.decode("utf-8", "replace")
    else:
        yield Spacer(1, 3 * mm)
        yield from figures(body.media_type, body.octets, width=_WIDTH, height=_PICTURE_HEIGHT)
        return
    for line in text.splitlines():
        yield _words(line, _style("paragraph")) if line.strip() else Spacer(1, 2 * mm)


def _section(
    section: Section, pictures: Mapping[str, EmbeddedFile], *, level: int
) -> Iterator[Flowable]:
    heading = _words(section.title, _style("heading" if level == 1 else "subheading"))
    shown = [flowable for block in section.blocks for flowable in _block(block, pictures)]
    if shown:
        yield KeepTogether([heading, shown[0]])
        yield from shown[1:]
    else:
        yield heading
    for inner in section.sections:
        yield from _section(inner, pictures, level=level + 1)


def _block(block: Block, pictures: Mapping[str, EmbeddedFile]) -> Iterator[Flowable]:
    match block:
        case narrative.Paragraph(text):
            yield _words(narrative.plain(text), _style("paragraph"))
        case ItemList():
            if block.caption:
                yield _words(block.caption, _style("label"))
            for number, item in enumerate(block.items, start=1):
                mark = f"{number}." if block.is_ordered else "•"
                yield _words(narrative.plain(item), _style("item"), mark=mark)
        case narrative.Table():
            if block.caption:
                yield _words(block.caption, _style("label"))
            yield from _table(block)
        case narrative.Picture():
            shown = pictures.get(block.reference)
            if shown is not None:
                yield from figures(
                    shown.media_type, shown.octets, width=_WIDTH, height=_PICTURE_HEIGHT
                )
            if block.caption:
                yield _words(block.caption, _style("label"))


def _table(block: narrative.Table) -> Iterator[Flowable]:
    """Show a table; a row that is shorter than the others ends with empty cells."""
    rows = [[narrative.plain(cell) for cell in row] for row in (block.head, *block.rows) if row]
    width = max((len(row) for row in rows), default=0)
    if width > _MAX_COLUMNS:
        yield from (_words(" | ".join(row), _style("cell")) for row in rows)
        return
    if not width:
        return
    cells = [
        [_words(text, _style("head" if at == 0 and block.head else "cell")) for text in row]
        for at, row in enumerate(rows)
    ]
    grid = Grid(
        [_pad(row, width) for row in cells],
        colWidths=_widths(rows, width),
        repeatRows=1 if block.head and len(rows) > 1 else 0,
        splitInRow=1,
        style=[
            ("FONTNAME", (0, 0), (-1, -1), _REGULAR),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, _RULE),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 3),
            ("RIGHTPADDING", (0, 0), (-1, -1), 3),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            *([("BACKGROUND", (0, 0), (-1, 0), _PALE)] if block.head else []),
            *(("SPAN", (0, at), (-1, at)) for at, row in enumerate(rows) if len(row) == 1 < width),
        ],
    )
    grid.spaceAfter = 4
    yield grid


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[float]:
    """Share the line between columns by how much each has to say, none too thin to read."""
    longest = [10] * width
    for row in rows:
        if len(row) == 1 < width:
            continue
        for at, text in enumerate(row):
            longest[at] = max(longest[at], min(len(text), 80))
    return [_WIDTH * one / sum(longest) for one in longest]


def _pad(row: Sequence[Any], width: int) -> list[Any]:
    return [*row, *[""] * (width - len(row))]


def _signature(header: CdaHeader) -> Iterator[Flowable]:
    signer = header.legal_authenticator
    if signer is None:
        return
    when = f" le {_day(signer.at)}" if signer.at else ""
    yield Spacer(1, 6 * mm)
    yield KeepTogether(
        [
            _words("Responsable du document", _style("label")),
            _words(f"{_with_place(signer)}{when}", _style("body")),
        ]
    )


def _grid(
    rows: list[list[Any]], shares: tuple[float, ...], *, background: colors.Color | None = None
) -> Flowable:
    style: list[tuple[Any, ...]] = [
        ("FONTNAME", (0, 0), (-1, -1), _REGULAR),  # else an unused font is named in the file
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 6 if background else 0),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6),
        ("TOPPADDING", (0, 0), (-1, -1), 1.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 1.5),
    ]
    if background:
        style.append(("BACKGROUND", (0, 0), (-1, -1), background))
    return Grid(rows, colWidths=[share * _WIDTH for share in shares], style=style)


def _written(header: CdaHeader) -> str:
    return f"Établi le {_day(header.effective_time)}" if header.effective_time else ""


def _with_place(actor: Actor) -> str:
    place = actor.organization.name if actor.organization else ""
    what = actor.specialty.display if actor.specialty else ""
    return ", ".join(part for part in (_name(actor), what, place) if part)


def _name(actor: Actor) -> str:
    if actor.device:
        return actor.device.software or actor.device.model
    return actor.name.full if actor.name else ""


def _day(time: HL7Time | None) -> str:
    """Write a date as people do; the time of day is left to the document itself."""
    if time is None or not time.is_valid or len(time.xds) < 8:
        return time.text if time else "-"
    return f"{time.text[6:8]}/{time.text[4:6]}/{time.text[:4]}"


def _small(text: str) -> Flowable:
    return _words(text, _style("small"))


def _words(text: str, style: ParagraphStyle, *, mark: str | None = None) -> Flowable:
    """Set a text; what looks like mark-up in it is only letters."""
    safe = escape(_fit(text)).replace("\n", "<br/>")
    return Words(safe, style, bulletText=mark) if mark else Words(safe, style)


def _fit(text: str) -> str:
    """Replace what the fonts lack, and drop what cannot be printed."""
    known = _letters()
    return "".join(_letter(one, known) for one in unicodedata.normalize("NFC", text))


def _letter(one: str, known: frozenset[int]) -> str:
    if one == "\n" or ord(one) in known:
        return one
    if one in _ARROWS:
        return _ARROWS[one]
    if one.isspace():
        return " "
    base = "".join(part for part in unicodedata.normalize("NFKD", one) if ord(part) in known)
    return base or ("?" if one.isprintable() else "")


def _line(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


@cache
def _register_fonts() -> None:
    """Load the fonts that come with the page builder (Bitstream Vera, free to embed)."""
    folder = files("reportlab").joinpath("fonts")
    for name, file in ((_REGULAR, "Vera.ttf"), (_BOLD, "VeraBd.ttf")):
        pdfmetrics.registerFont(TTFont(name, str(folder.joinpath(file))))
    pdfmetrics.registerFontFamily(_REGULAR, _REGULAR, _BOLD, _REGULAR, _BOLD)


@cache
def _letters() -> frozenset[int]:
    """The letters that both fonts have."""
    _register_fonts()
    found = [frozenset(pdfmetrics.getFont(name).face.charToGlyph) for name in (_REGULAR, _BOLD)]
    return frozenset.intersection(*found)


@cache
def _style(name: str) -> ParagraphStyle:
    return ParagraphStyle(
        name,
        **{
            "fontName": _REGULAR,
            "bulletFontName": _REGULAR,
            "fontSize": 9,
            "leading": 12,
            "textColor": _INK,
            **_STYLES[name],
        },
    )


_STYLES: dict[str, dict[str, Any]] = {
    "brand": {"fontName": _BOLD, "fontSize": 11, "leading": 14, "textColor": _ACCENT},
    "title": {"fontName": _BOLD, "fontSize": 14, "leading": 18},
    "heading": {
        "fontName": _BOLD,
        "fontSize": 10.5,
        "leading": 14,
        "textColor": _ACCENT,
        "spaceBefore": 8,
        "spaceAfter": 2,
    },
    "subheading": {"fontName": _BOLD, "spaceBefore": 5, "spaceAfter": 1},
    "label": {"fontName": _BOLD, "fontSize": 8, "leading": 11},
    "body": {},
    "small": {"fontSize": 8, "leading": 10.5},
    "paragraph": {"spaceAfter": 4},
    "item": {"leftIndent": 12, "bulletIndent": 2, "spaceAfter": 1.5},
    "head": {"fontName": _BOLD, "fontSize": 8, "leading": 10},
    "cell": {"fontSize": 8, "leading": 10.5},
}
