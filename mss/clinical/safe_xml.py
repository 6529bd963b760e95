"""Parse XML that came in by mail, without its ways of doing harm.

A document is first decoded by us, so that no exotic encoding hides anything; any document type
declaration is refused before the parser sees it, which removes entities, external subsets and
default attributes altogether; nothing is fetched; size, number of nodes and depth are bounded.
Comments and processing instructions are dropped: a style sheet named by the sender is never run.

Errors
    `XMLRefusedError`, on any octets. Each reader of a document re-raises it as its own error.
Sources
    XML 1.0, 2.8 and 4.3.3; threats: external entities, entity expansion, deep nesting.
"""

import codecs
import re
from dataclasses import dataclass
from functools import cache
from typing import ClassVar

from lxml import etree
from lxml.etree import _Element

from mss.errors import MSSError

_ENCODINGS = frozenset(
    {"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252", "utf-16", "utf-16-le", "utf-16-be"}
)
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARATION = re.compile(rb"<\?xml\s[^>]{0,300}?\?>")
_DECLARED_ENCODING = re.compile(
    rb"<\?xml\s[^>]{0,200}?encoding\s{0,9}=\s{0,9}[\"']([\w.:-]{1,40})[\"']"
)
_SPACE = b" \t\r\n"
_CHUNK = 1024 * 1024


@dataclass(eq=False)
class XMLRefusedError(MSSError):
    """The octets are not XML that may be read."""

    code: ClassVar[str] = "xml-refused"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "An XML document is malformed or has a forbidden construct."
    public_text_fr: ClassVar[str] = (
        "Un document XML est mal formé ou contient une construction interdite."
    )
    next_step: ClassVar[str] = "Correct the software that wrote the document."

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class XMLLimits:
    """Ceilings for one document.

    A long text is cheap: a document holds its PDF as one. Elements and attributes are not: each
    takes some hundred octets of memory, however short it is written.
    """

    size_octets: int = 48 * 1024 * 1024
    elements: int = 320_000
    attributes: int = 150_000
    attribute_octets: int = 1024 * 1024
    depth: int = 128


def parse_xml(octets: bytes, limits: XMLLimits | None = None) -> _Element:
    """Parse a document and return its root element.

    Raises:
        XMLRefusedError: It is malformed, too large, too deep, or declares a document type.
    """
    limits = limits or XMLLimits()
    if len(octets) > limits.size_octets:
        raise XMLRefusedError("too-large")
    text, start = _as_utf8(octets, limits)
    start = _skip_space(text, start)
    declaration = _DECLARATION.match(text, start)
    if declaration:
        start = declaration.end()
    _refuse_document_type(text, start)
    # Every element has a "<" that ends none, every attribute two quotes: so the memory that they
    # take is bounded before parsing.
    if text.count(b"<") - text.count(b"</") > limits.elements:
        raise XMLRefusedError("too-many-elements")
    if text.count(b'"') + text.count(b"'") > 2 * limits.attributes:
        raise XMLRefusedError("too-many-attributes")
    if _long_attribute(limits.attribute_octets).search(text):
        raise XMLRefusedError("attribute-too-long")
    root = _parse(text[start:] if start else text)
    if _too_deep(limits.depth)(root):
        raise XMLRefusedError("too-deep")
    return root


@cache
def _long_attribute(limit: int) -> re.Pattern[bytes]:
    """A value that is longer; a text has no "<" in it either, but no "=" and quote before it."""
    return re.compile(rb"=\s*(?:\"[^\"<]{%d}|'[^'<]{%d})" % (limit, limit))


@cache
def _too_deep(limit: int) -> etree.XPath:
    """A path that exists only below the limit; it is walked without making a Python object."""
    return etree.XPath("boolean(" + "/*" * (limit + 1) + ")")


def _as_utf8(octets: bytes, limits: XMLLimits) -> tuple[bytes, int]:
    """Write a document in UTF-8 and say where it begins; one that is already is not copied."""
    encoding, start = _encoding(octets)
    decoder = codecs.getincrementaldecoder(encoding)()
    written = bytearray()
    for at in range(start, len(octets) or 1, _CHUNK):
        try:
            text = decoder.decode(octets[at : at + _CHUNK], final=at + _CHUNK >= len(octets))
        except UnicodeDecodeError as error:
            raise XMLRefusedError("wrong-encoding") from error
        if encoding != "utf-8":
            written += text.encode("utf-8", "surrogatepass")
            if len(written) > limits.size_octets:
                raise XMLRefusedError("too-large")
    return (octets, start) if encoding == "utf-8" else (bytes(written), 0)


def _encoding(octets: bytes) -> tuple[str, int]:
    """Find the encoding, and how many octets its mark takes."""
    for bom, encoding in _BOMS:
        if octets.startswith(bom):
            return encoding, len(bom)
    declared = _DECLARED_ENCODING.match(octets, _skip_space(octets, 0))
    if declared is None:
        return "utf-8", 0
    try:
        encoding = codecs.lookup(declared[1].decode("ascii")).name
    except (LookupError, UnicodeDecodeError) as error:
        raise XMLRefusedError("unknown-encoding") from error
    if encoding not in _ENCODINGS or encoding.startswith("utf-16"):
        raise XMLRefusedError("unknown-encoding")  # UTF-16 has a byte order mark, or is not it
    return encoding, 0


def _refuse_document_type(text: bytes, at: int) -> None:
    """Refuse a document type: it can only stand before the root, between comments and the like."""
    while True:
        at = _skip_space(text, at)
        if text.startswith(b"<!--", at):
            at = _after(text, b"-->", at + 4)
        elif text.startswith(b"<?", at):
            at = _after(text, b"?>", at + 2)
        elif text.startswith(b"<!", at):
            raise XMLRefusedError("document-type")
        else:
            return


def _skip_space(text: bytes, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _after(text: bytes, mark: bytes, at: int) -> int:
    end = text.find(mark, at)
    if end < 0:
        raise XMLRefusedError("not-well-formed")
    return end + len(mark)


def _parse(text: bytes) -> _Element:
    parser = etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        no_network=True,
        recover=False,
        huge_tree=True,  # a PDF inside a document is one long text; our limits replace libxml2's
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(text, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise XMLRefusedError("not-well-formed") from error
    if root.getroottree().docinfo.doctype:
        raise XMLRefusedError("document-type")
    return root
