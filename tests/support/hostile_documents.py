"""Archives and documents made to do harm, each with the code that must answer it.

Builders, not files: what an antivirus would delete is never on a disk of ours, and each sample says
how it is made. Sources: David Fifield, *A better zip bomb*; CVE-2019-9674, CVE-2024-0450,
CVE-2025-8291 (zip); XML 1.0 and the usual attacks on its parsers.
"""

import base64
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from tests.unit.mss.clinical.zips import Entry, make_zip

METADATA = b"IHE_XDM/SUBSET01/METADATA.XML"
DOCUMENT = b"IHE_XDM/SUBSET01/DOC0001.XML"
MEBI = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Hostile:
    """One sample.

    Attributes:
        make: Writes it; slow ones are only made when they are needed.
        code: The error of an archive, or one of the findings, that answers it.
    """

    make: Callable[[], bytes]
    code: str


def _file(name: bytes, **more: object) -> bytes:
    return make_zip(Entry(name=name, **({"flags": 0x0800} | more)))  # type: ignore[arg-type]


def _overlapping(count: int) -> bytes:
    """Many names for one kernel, each with a local header of its own inside the one before."""
    data = b"\0" * 50_000
    kernel = Entry(name=b"A", data=data)
    again = [Entry(name=b"%d" % one, data=data, start=0, local_name=b"A") for one in range(count)]
    return make_zip(kernel, *again)


def _quine() -> bytes:
    """An archive whose only member is, by its name and octets, an archive again."""
    inner = make_zip(Entry(name=DOCUMENT, data=b"x"))
    for _ in range(6):
        inner = make_zip(Entry(name=b"IHE_XDM.ZIP", data=inner))
    return inner


def _descriptor_bomb() -> bytes:
    """Sizes of nothing in front, a flag that says they come later, and eighty mebibytes."""
    return make_zip(Entry(data=b"\0" * 80 * MEBI, flags=0x0008, size=0, local_size=0, crc=0))


def _zip64_end() -> bytes:
    octets = make_zip(Entry())
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 50, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(octets) - 22, 1)
    return octets[:-22] + record + locator + octets[-22:]


def _extra_tail() -> bytes:
    """Two ends of the directory: readers that look from the front see other files."""
    return make_zip(Entry(name=b"SEEN.TXT"), comment=make_zip(Entry(name=b"HIDDEN.TXT")))


ARCHIVES: dict[str, Hostile] = {
    "traversal": Hostile(make=lambda: _file(b"../../etc/cron.d/x"), code="archive-unsafe"),
    "absolute": Hostile(make=lambda: _file(b"/etc/passwd"), code="archive-unsafe"),
    "drive": Hostile(make=lambda: _file(b"C:\\WINDOWS\\X.DLL"), code="archive-unsafe"),
    "nul-in-name": Hostile(make=lambda: _file(DOCUMENT + b"\0.EXE"), code="archive-unsafe"),
    "bidi-name": Hostile(make=lambda: _file("rcs\u202efdp.xml".encode()), code="archive-unsafe"),
    "long-name": Hostile(make=lambda: _file(b"A/" * 30_000 + b"B"), code="archive-unsafe"),
    "symlink": Hostile(
        make=lambda: _file(DOCUMENT, data=b"/etc/passwd", mode=0o120777), code="archive-unsafe"
    ),
    "device": Hostile(make=lambda: _file(DOCUMENT, mode=0o020666), code="archive-unsafe"),
    "twice": Hostile(
        make=lambda: make_zip(Entry(name=METADATA), Entry(name=METADATA)), code="archive-unsafe"
    ),
    "twice-by-case": Hostile(
        make=lambda: make_zip(Entry(name=METADATA), Entry(name=METADATA.lower())),
        code="archive-unsafe",
    ),
    "encrypted": Hostile(make=lambda: _file(DOCUMENT, flags=1), code="archive-encrypted"),
    "bomb-by-ratio": Hostile(
        make=lambda: _file(METADATA, data=b"\0" * 40 * MEBI), code="archive-too-large"
    ),
    "bomb-by-number": Hostile(
        make=lambda: make_zip(
            *(Entry(name=b"%d" % one, data=b"\0" * 900_000) for one in range(100))
        ),
        code="archive-too-large",
    ),
    "bomb-by-overlap": Hostile(make=lambda: _overlapping(200), code="archive-unsafe"),
    "bomb-by-forged-size": Hostile(
        make=lambda: _file(METADATA, data=b"\0" * 80 * MEBI, size=9, local_size=9),
        code="archive-unsafe",
    ),
    "bomb-by-descriptor": Hostile(make=_descriptor_bomb, code="archive-unsafe"),
    "quine": Hostile(make=_quine, code="archive-metadata"),
    "many-entries": Hostile(
        make=lambda: make_zip(*(Entry(name=b"%d" % one, data=b"") for one in range(20_000))),
        code="archive-too-large",
    ),
    "zip64-end": Hostile(make=_zip64_end, code="archive-unsafe"),
    "zip64-extra": Hostile(
        make=lambda: make_zip(Entry(extra=struct.pack("<2HQ", 1, 8, 2**40))), code="archive-unsafe"
    ),
    "two-ends": Hostile(make=_extra_tail, code="archive-syntax"),
    "half": Hostile(make=lambda: _file(METADATA, data=b"x" * 9999)[:60], code="archive-syntax"),
    "method": Hostile(make=lambda: _file(METADATA, method=99), code="archive-syntax"),
    "corrupt": Hostile(make=lambda: _file(METADATA, crc=1), code="archive-syntax"),
    "hidden-octets": Hostile(
        make=lambda: _file(METADATA, packed=zlib.compress(b"x", wbits=-15) + b"HIDDEN", data=b"x"),
        code="archive-syntax",
    ),
    "no-metadata": Hostile(make=lambda: _file(DOCUMENT), code="archive-metadata"),
    "nothing": Hostile(make=lambda: b"", code="archive-syntax"),
}
"""What must be refused as an archive."""


def _laughs() -> bytes:
    lines = (b'<!ENTITY a%d "%s">' % (one, b"&a%d;" % (one - 1) * 10) for one in range(1, 12))
    return b'<!DOCTYPE z [<!ENTITY a0 "ha">' + b"".join(lines) + b"]><z>&a11;</z>"


def _quadratic() -> bytes:
    return b'<!DOCTYPE z [<!ENTITY a "' + b"x" * 100_000 + b'">]><z>' + b"&a;" * 50_000 + b"</z>"


def _external(place: str) -> bytes:
    return f'<!DOCTYPE z [<!ENTITY a SYSTEM "{place}">]><z>&a;</z>'.encode()


def _one_of(inside: bytes) -> bytes:
    return b'<ClinicalDocument xmlns="urn:hl7-org:v3">' + inside + b"</ClinicalDocument>"


XML: dict[str, Hostile] = {
    "billion-laughs": Hostile(make=_laughs, code="document-type"),
    "quadratic-blow-up": Hostile(make=_quadratic, code="document-type"),
    "external-file": Hostile(make=lambda: _external("file:///etc/passwd"), code="document-type"),
    "external-address": Hostile(
        make=lambda: _external("http://127.0.0.1:1/x"), code="document-type"
    ),
    "parameter-entity": Hostile(
        make=lambda: b'<!DOCTYPE a [<!ENTITY % b SYSTEM "file:///dev/zero"> %b;]><a/>',
        code="document-type",
    ),
    "type-behind-comments": Hostile(
        make=lambda: b"<!-- -->" * 20_000 + b"<?p?>\n<!DOCTYPE a><a/>", code="document-type"
    ),
    "type-in-utf-16": Hostile(
        make=lambda: '<?xml version="1.0"?><!DOCTYPE a><a/>'.encode("utf-16"), code="document-type"
    ),
    "type-behind-mark": Hostile(make=lambda: b"\xef\xbb\xbf<!DOCTYPE a><a/>", code="document-type"),
    "utf-7": Hostile(
        make=lambda: b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a+AD4-<a/>',
        code="unknown-encoding",
    ),
    "utf-16-without-mark": Hostile(
        make=lambda: '<?xml version="1.0" encoding="utf-16"?><a/>'.encode("utf-16-le"),
        code="not-well-formed",
    ),
    "ebcdic": Hostile(
        make=lambda: b'<?xml version="1.0" encoding="cp037"?><a/>', code="unknown-encoding"
    ),
    "overlong-utf-8": Hostile(make=lambda: b"<a>\xc0\xbc</a>", code="wrong-encoding"),
    "deep": Hostile(make=lambda: b"<a>" * 1000 + b"</a>" * 1000, code="too-deep"),
    "deeper": Hostile(make=lambda: b"<a>" * 100_000 + b"</a>" * 100_000, code="not-well-formed"),
    "long-attribute": Hostile(
        make=lambda: b'<a b="' + b"x" * 10 * MEBI + b'"/>', code="attribute-too-long"
    ),
    "many-attributes": Hostile(
        make=lambda: b"<a " + b"".join(b"b%d='' " % one for one in range(400_000)) + b"/>",
        code="too-many-attributes",
    ),
    "many-elements": Hostile(
        make=lambda: b"<a>" + b"<b/>" * 2_000_000 + b"</a>", code="too-many-elements"
    ),
    "many-namespaces": Hostile(
        make=lambda: b"<a>" + b'<b xmlns:c="d" xmlns:e="f" xmlns:g="h"/>' * 100_000 + b"</a>",
        code="too-many-attributes",
    ),
    "endless-comment": Hostile(make=lambda: b"<!--" + b"-" * 5 * MEBI, code="not-well-formed"),
    "nul": Hostile(make=lambda: b"<a>\0</a>", code="not-well-formed"),
    "no-document": Hostile(make=lambda: b"<a/>", code="no-clinical-document"),
    "foreign-namespace": Hostile(
        make=lambda: b'<ClinicalDocument xmlns="urn:other"/>', code="no-clinical-document"
    ),
}
"""What must be refused as a document, with its reason."""


def _pdf(content: bytes) -> bytes:
    text = base64.b64encode(b"%PDF-1.4\n" + content + b"\n%%EOF")
    return _one_of(
        b'<component><nonXMLBody><text mediaType="application/pdf" representation="B64">'
        + text
        + b"</text></nonXMLBody></component>"
    )


DOCUMENTS: dict[str, Hostile] = {
    "script-in-pdf": Hostile(make=lambda: _pdf(b"/OpenAction /S /JavaScript /JS (app.alert(1))"),
                             code="pdf-active"),
    "launch-in-pdf": Hostile(make=lambda: _pdf(b"/Launch /Win"), code="pdf-active"),
    "encrypted-pdf": Hostile(make=lambda: _pdf(b"/Encrypt 5 0 R"), code="pdf-encrypted"),
    "program-called-pdf": Hostile(
        make=lambda: _pdf(b"").replace(b"JVBERi0xLjQK", b"TVqQAAMAAAAE"), code="pdf-unreadable"
    ),
    "large-pdf": Hostile(make=lambda: _pdf(b"(" + b"x" * 6 * MEBI + b")"), code="header-patient"),
    "bad-base64": Hostile(
        make=lambda: _pdf(b"").replace(b"JVBER", b"@@@@@"), code="body-unreadable"
    ),
    "compressed-file": Hostile(
        make=lambda: _pdf(b"").replace(b"representation", b'compression="DF" representation'),
        code="body-unreadable",
    ),
    "many-patients": Hostile(
        make=lambda: _one_of(b"<recordTarget/>" * 9_000), code="header-patient"
    ),
    "many-authors": Hostile(
        make=lambda: _one_of(b"<author/>" * 300_000), code="document-not-cda"
    ),
    "many-numbers": Hostile(
        make=lambda: _one_of(
            b"<recordTarget><patientRole>"
            + b"<id root='1.2.250.1.213.1.4.10' extension='1'/>" * 4_900
            + b"<id root='1.2' extension='1'/>" * 4_900
            + b"</patientRole></recordTarget>"
        ),
        code="ins-shape",
    ),
    "many-files": Hostile(
        make=lambda: _one_of(
            b"<component><structuredBody>"
            + b"<observationMedia><value>x</value></observationMedia>" * 150_000
            + b"</structuredBody></component>"
        ),
        code="body-unreadable",
    ),
    "long-numbers": Hostile(
        make=lambda: _one_of(
            b'<id root="' + b"1." * 400_000 + b'"/><effectiveTime value="' + b"2" * 900_000
            + b'"/><versionNumber value="' + b"9" * 900_000 + b'"/>'
        ),
        code="date-unreadable",
    ),
    "nested-sections": Hostile(
        make=lambda: _one_of(
            b"<component><structuredBody>" + b"<component><section>" * 55
            + b"</section></component>" * 55 + b"</structuredBody></component>"
        ),
        code="template-missing",
    ),
}  # fmt: skip
"""What is read as a document, with one of the findings that it must have."""
