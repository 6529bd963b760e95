import base64
import re
import struct
import zlib

import pytest

from mss.clinical.cda import CdaHeader, embedded_pdf, parse_cda, read_sections
from mss.clinical.narrative import ItemList, Paragraph, Section, Table
from mss.clinical.pdf import build_copy, build_pdf
from mss.clinical.pdfa import srgb_profile
from mss.clinical.sample import Letter
from tests.unit.mss.clinical import official

STREAM = re.compile(rb"<<(.*?)>>\s*stream\n(.*?)\nendstream", re.DOTALL)


def pages(pdf: bytes) -> bytes:
    """The drawing instructions of all pages."""
    packed = [data for head, data in STREAM.findall(pdf) if b"ASCII85" in head]
    return b"".join(zlib.decompress(base64.a85decode(one.strip(), adobe=False)) for one in
                    (data.strip().removesuffix(b"~>") for data in packed))  # fmt: skip


def count_pages(pdf: bytes) -> int:
    """The number of pages that the file says it has."""
    found = re.search(rb"/Count (\d+)", pdf)
    return int(found[1]) if found else 0


def test_the_letter_fits_on_two_pages(letter: Letter) -> None:
    """What a general practitioner has time for."""
    assert letter.pdf.startswith(b"%PDF-1.4\n%")
    assert 1 <= count_pages(letter.pdf) <= 2


def test_the_same_letter_gives_the_same_file(letter: Letter) -> None:
    """No clock and no random identifier in it."""
    header, sections = parse_cda(letter.cda).header, read_sections(letter.cda)

    assert build_pdf(header, sections) == letter.pdf == build_copy(letter.cda)


def test_every_font_is_embedded(letter: Letter) -> None:
    """PDF/A: the file needs nothing from the reader's machine, not even a font it does not use."""
    fonts = re.findall(rb"/BaseFont /(\S+)", letter.pdf)

    assert sorted(fonts) == [b"AAAAAA+BitstreamVeraSans-Bold", b"AAAAAA+BitstreamVeraSans-Roman"]
    assert letter.pdf.count(b"/FontFile2") == len(fonts)
    assert set(re.findall(rb"/(F\S+) [\d.]+ Tf", pages(letter.pdf))) == {b"F1+0", b"F2+0"}


def test_metadata_agree_with_the_information_dictionary(letter: Letter) -> None:
    """PDF/A: the packet is not compressed, and each property repeats one entry."""
    packet = letter.pdf[letter.pdf.index(b"<?xpacket begin") : letter.pdf.index(b"<?xpacket end")]

    assert b"<pdfaid:part>1</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>" in packet
    assert "Lettre de liaison à la sortie de l'établissement de santé".encode() in packet
    assert b"<xmp:CreateDate>2026-03-12T13:30:00Z</xmp:CreateDate>" in packet
    assert b"(D:20260312133000Z)" in letter.pdf
    assert b"anonymous" not in letter.pdf


def test_colours_have_an_output_intent(letter: Letter) -> None:
    """PDF/A: colours of the device mean nothing without a profile."""
    profile = srgb_profile()

    assert b"/S /GTS_PDFA1" in letter.pdf
    assert struct.unpack(">L", profile[:4])[0] == len(profile)
    assert profile[12:24] == b"mntrRGB XYZ "
    assert profile[36:40] == b"acsp"
    assert any(zlib.decompress(data) == profile for head, data in STREAM.findall(letter.pdf)
               if b"/N 3" in head)  # fmt: skip


@pytest.mark.parametrize("word", [b"/Encrypt", b"/JavaScript", b"/JS", b"/URI", b"/Launch", b"LZW"])
def test_nothing_forbidden_is_in_the_file(letter: Letter, word: bytes) -> None:
    """PDF/A: no encryption, nothing active, no link."""
    assert word not in letter.pdf


def test_the_table_of_objects_is_right(letter: Letter) -> None:
    """Line ends were added after the file was written; every offset had to move with them."""
    table = int(letter.pdf[letter.pdf.rindex(b"startxref") + 9 :].split()[0])
    rows = re.findall(rb"(\d{10}) 00000 n \n", letter.pdf[table:])
    found = [letter.pdf[int(row) :].split(b" obj", 1)[0] for row in rows]

    assert letter.pdf[table:].startswith(b"xref\n0 %d\n" % (len(rows) + 1))
    assert found == [b"%d 0" % number for number in range(1, len(rows) + 1)]
    assert not re.search(rb"[^\n]endstream", letter.pdf)


def test_what_looks_like_mark_up_is_only_letters(letter: Letter) -> None:
    """A hostile letter must not make the page builder fetch an image or add a link."""
    evil = '<img src="http://127.0.0.1:1/x.png"/><a href="http://x">y</a> & <b>'
    sections = [
        Section(
            title=evil,
            blocks=(
                Paragraph(evil),
                ItemList(items=(evil,), caption=evil),
                Table(head=(evil,), rows=((evil,),), caption=evil),
            ),
        )
    ]

    pdf = build_pdf(parse_cda(letter.cda).header, sections)

    assert b"/URI" not in pdf
    assert b"/XObject" not in pdf


@pytest.mark.parametrize(
    "blocks",
    [
        (Table(rows=()),),
        (Table(head=("a",), rows=()),),
        (Table(rows=((),)),),
        (Table(rows=(("x",) * 40,)),),
        (Table(rows=(("a", "b", "c"), ("alone",))),),
        (Table(rows=(("long " * 3000, "b"),)),),
        (Paragraph("word" * 500),),
        (Paragraph("日本語 → ☐ \x07 ﷽ e\u0301"),),
        (),
    ],
)
def test_any_narrative_can_be_shown(letter: Letter, blocks: tuple[Paragraph | Table, ...]) -> None:
    """Empty, wide, tall, unbroken, or in letters that the fonts lack."""
    pdf = build_pdf(parse_cda(letter.cda).header, [Section(title="Titre", blocks=blocks)])

    assert count_pages(pdf) >= 1


def test_a_document_without_anything_can_be_shown() -> None:
    """A copy must be possible of whatever was received."""
    assert count_pages(build_pdf(CdaHeader(), [])) == 1


@pytest.mark.parametrize("name", ["IMG_CR_IMG_2024.01_CDA-R2-Niveau-1", "BIO-CR-BIO_2024.01_TSH_1"])
def test_the_pdf_inside_a_document_is_its_copy(name: str) -> None:
    """For level 1 the copy must be identical to the embedded file."""
    octets = official.document(name)

    assert build_copy(octets) == embedded_pdf(octets)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["LDL-SES_2022.01", "CANCER-FRCP_2025.01_Appareil"])
def test_an_official_narrative_can_be_shown(name: str) -> None:
    """Nested tables and cells over several columns among them."""
    octets = official.document(name)

    pdf = build_pdf(parse_cda(octets).header, read_sections(octets))

    assert 1 < count_pages(pdf) < 8
