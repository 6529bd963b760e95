"""Make a PDF archivable: what PDF/A-1b asks for beyond an ordinary PDF.

Three things go into the file: a profile that says what its colours mean (sRGB, written here from
its published figures), metadata in XMP that agree with the information dictionary, and line ends
where the standard wants them; fonts are embedded by the page builder. The file depends only on
what is written into it: no clock, no random identifier.

Errors
    None.
Sources
    ISO 19005-1:2005, 6.2.2 (output intent), 6.7 (metadata); ICC.1:2001-04; IEC 61966-2-1 (sRGB).
"""

import re
import struct
from datetime import UTC, datetime
from functools import cache
from typing import Any
from xml.sax.saxutils import escape

from reportlab.pdfbase import pdfdoc
from reportlab.pdfgen.canvas import Canvas

PRODUCER = "mss"
VERSION = (1, 4)

# Colorants of sRGB adapted to the D50 white of profiles, and its tone curve (IEC 61966-2-1).
_WHITE = (0.9642, 1.0, 0.8249)
_COLORANTS = {
    b"rXYZ": (0.4361, 0.2225, 0.0139),
    b"gXYZ": (0.3851, 0.7169, 0.0971),
    b"bXYZ": (0.1431, 0.0606, 0.7141),
}
_CURVE_POINTS = 1024
_PROFILE_DATE = (2000, 1, 1, 0, 0, 0)
_ROW = re.compile(rb"(\d{10}) \d{5} n ")


def make_archivable(canvas: Canvas, *, title: str, author: str, subject: str, at: datetime) -> None:
    """Prepare a canvas, before it is saved, so that it writes a PDF/A-1b file."""
    # The page builder has no public way to its document; these are the names it has always used.
    document: Any = canvas._doc  # noqa: SLF001
    moment = at.astimezone(UTC).replace(microsecond=0)
    document.info = _Information(title=title, author=author, subject=subject, at=moment)
    catalog = document.Catalog
    catalog.__NoDefault__ = [*catalog.__NoDefault__, "OutputIntents"]
    catalog.Metadata = pdfdoc.XMP(
        creator=lambda _: _packet(title=title, author=author, subject=subject, at=moment)
    )
    catalog.OutputIntents = pdfdoc.PDFArray([_output_intent(document)])


def finish_archivable(octets: bytes) -> bytes:
    """Put a line end before each `endstream`, which PDF/A asks for and the page builder omits."""
    table = int(octets[octets.rindex(b"startxref") + 9 :].split()[0])
    rows = _ROW.findall(octets, table)
    offsets = [int(row) for row in rows]
    pieces, places, at = [octets[: offsets[0]]], [], offsets[0]
    for start, end in zip(offsets, [*offsets[1:], table], strict=True):
        piece = octets[start:end]
        mark = piece.rfind(b"endstream")
        if mark >= 0:
            piece = piece[:mark] + b"\n" + piece[mark:]
        places.append(at)
        pieces.append(piece)
        at += len(piece)
    trailer = octets[octets.index(b"trailer", table) : octets.rindex(b"startxref")]
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    lines = b"".join(b"%010d 00000 n \n" % place for place in places)
    return b"".join((*pieces, head, lines, trailer, b"startxref\n%d\n%%%%EOF\n" % at))


class _Information(pdfdoc.PDFInfo):  # type: ignore[misc]  # the library has no types
    """The information dictionary, with only what the XMP metadata repeat."""

    def __init__(self, *, title: str, author: str, subject: str, at: datetime) -> None:
        super().__init__()
        self.title, self.author, self.subject, self._at = title, author, subject, at

    def format(self, document: object) -> bytes:
        """Write the dictionary."""
        date = pdfdoc.PDFString(f"D:{self._at:%Y%m%d%H%M%S}Z")
        entries = {
            "Title": pdfdoc.PDFString(self.title),
            "Author": pdfdoc.PDFString(self.author),
            "Subject": pdfdoc.PDFString(self.subject),
            "Producer": pdfdoc.PDFString(PRODUCER),
            "Creator": pdfdoc.PDFString(PRODUCER),
            "CreationDate": date,
            "ModDate": date,
        }
        written: bytes = pdfdoc.PDFDictionary(entries).format(document)
        return written


def _output_intent(document: Any) -> Any:  # noqa: ANN401  # the library has no types
    profile = pdfdoc.PDFStream(
        dictionary=pdfdoc.PDFDictionary({"N": 3}),
        content=srgb_profile(),
        filters=[pdfdoc.PDFZCompress],
    )
    return pdfdoc.PDFDictionary(
        {
            "Type": pdfdoc.PDFName("OutputIntent"),
            "S": pdfdoc.PDFName("GTS_PDFA1"),
            "OutputConditionIdentifier": pdfdoc.PDFString("sRGB IEC61966-2.1"),
            "Info": pdfdoc.PDFString("sRGB IEC61966-2.1"),
            "RegistryName": pdfdoc.PDFString("http://www.color.org"),
            "DestOutputProfile": document.Reference(profile),
        }
    )


def _packet(*, title: str, author: str, subject: str, at: datetime) -> bytes:
    """Write the metadata packet; each property repeats one entry of the dictionary."""
    moment = f"{at:%Y-%m-%dT%H:%M:%SZ}"
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">
<pdfaid:part>1</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>
</rdf:Description>
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:format>application/pdf</dc:format>
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">{escape(title)}</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>{escape(author)}</rdf:li></rdf:Seq></dc:creator>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{escape(subject)}</rdf:li></rdf:Alt>\
</dc:description>
</rdf:Description>
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
<xmp:CreatorTool>{PRODUCER}</xmp:CreatorTool>
<xmp:CreateDate>{moment}</xmp:CreateDate><xmp:ModifyDate>{moment}</xmp:ModifyDate>
</rdf:Description>
<rdf:Description rdf:about="" xmlns:pdf="http://ns.adobe.com/pdf/1.3/">
<pdf:Producer>{PRODUCER}</pdf:Producer>
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>""".encode()


@cache
def srgb_profile() -> bytes:
    """Write the sRGB colour space as an ICC profile of version 2."""
    curve = struct.pack(">4sLL", b"curv", 0, _CURVE_POINTS) + b"".join(
        struct.pack(">H", round(65535 * _linear(step / (_CURVE_POINTS - 1))))
        for step in range(_CURVE_POINTS)
    )
    tags = {
        b"desc": _description("sRGB IEC61966-2.1"),
        b"cprt": b"text" + bytes(4) + b"No copyright, use freely\0",
        b"wtpt": _xyz(_WHITE),
        **{name: _xyz(value) for name, value in _COLORANTS.items()},
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    return _profile(tags)


def _profile(tags: dict[bytes, bytes]) -> bytes:
    """Lay out a profile: header, table of tags, data; equal data are stored once."""
    data, places = b"", {}
    start = 128 + 4 + 12 * len(tags)
    table = struct.pack(">L", len(tags))
    for name, content in tags.items():
        if content not in places:
            places[content] = start + len(data)
            data += content + bytes(-len(content) % 4)
        table += struct.pack(">4sLL", name, places[content], len(content))
    size = start + len(data)
    header = struct.pack(
        ">L4sL4s4s4s6H4s4sLLLQL3l4s44x",
        size,
        bytes(4),  # no preferred colour engine
        0x02100000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        *_PROFILE_DATE,
        b"acsp",
        bytes(4),  # no primary platform
        0,
        0,
        0,
        0,
        0,
        *(_fixed(one) for one in _WHITE),
        bytes(4),
    )
    return header + table + data


def _description(text: str) -> bytes:
    plain = text.encode("ascii") + b"\0"
    localized = bytes(4 + 4) + bytes(2 + 1 + 67)  # no Unicode text, no Macintosh text
    return b"desc" + bytes(4) + struct.pack(">L", len(plain)) + plain + localized


def _xyz(value: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3l", *(_fixed(one) for one in value))


def _fixed(value: float) -> int:
    return round(value * 65536)


def _linear(value: float) -> float:
    """Undo the tone curve of sRGB."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
