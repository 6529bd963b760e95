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
_DECLARATION = re.compile(r"<\?xml\s[^>]{0,300}?\?>")
_DECLARED_ENCODING = re.compile(
    rb"<\?xml\s[^>]{0,200}?encoding\s{0,9}=\s{0,9}[\"']([\w.:-]{1,40})[\"']"
)
_SPACE = " \t\r\n"


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
    """Ceilings for one document."""

    size_octets: int = 48 * 1024 * 1024
    elements: int = 400_000
    attributes: int = 1_000_000
    depth: int = 128


def parse_xml(octets: bytes, limits: XMLLimits | None = None) -> _Element:
    """Parse a document and return its root element.

    Raises:
        XMLRefusedError: It is malformed, too large, too deep, or declares a document type.
    """
    limits = limits or XMLLimits()
    if len(octets) > limits.size_octets:
        raise XMLRefusedError("too-large")
    text = _decode(octets).lstrip(_SPACE)
    declaration = _DECLARATION.match(text)
    if declaration:
        text = text[declaration.end() :]
    _refuse_document_type(text)
    # Every tag has a "<" and every attribute two quotes: a bound on memory known before parsing.
    if text.count("<") > 2 * limits.elements:
        raise XMLRefusedError("too-many-elements")
    if (text.count('"') + text.count("'")) > 2 * limits.attributes:
        raise XMLRefusedError("too-many-attributes")
    root = _parse(text)
    _refuse_depth(root, limits.depth)
    return root


def _decode(octets: bytes) -> str:
    for bom, encoding in _BOMS:
        if octets.startswith(bom):
            return _strict(octets[len(bom) :], encoding)
    declared = _DECLARED_ENCODING.match(octets.lstrip())
    if declared is None:
        return _strict(octets, "utf-8")
    try:
        encoding = codecs.lookup(declared[1].decode("ascii")).name
    except (LookupError, UnicodeDecodeError) as error:
        raise XMLRefusedError("unknown-encoding") from error
    if encoding not in _ENCODINGS or encoding.startswith("utf-16"):
        raise XMLRefusedError("unknown-encoding")  # UTF-16 has a byte order mark, or is not it
    return _strict(octets, encoding)


def _strict(octets: bytes, encoding: str) -> str:
    try:
        return octets.decode(encoding)
    except UnicodeDecodeError as error:
        raise XMLRefusedError("wrong-encoding") from error


def _refuse_document_type(text: str) -> None:
    """Refuse a document type: it can only stand before the root, between comments and the like."""
    at = 0
    while True:
        at = _skip_space(text, at)
        if text.startswith("<!--", at):
            at = _after(text, "-->", at + 4)
        elif text.startswith("<?", at):
            at = _after(text, "?>", at + 2)
        elif text.startswith("<!", at):
            raise XMLRefusedError("document-type")
        else:
            return


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def _after(text: str, mark: str, at: int) -> int:
    end = text.find(mark, at)
    if end < 0:
        raise XMLRefusedError("not-well-formed")
    return end + len(mark)


def _parse(text: str) -> _Element:
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
        root = etree.fromstring(text.encode("utf-8"), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise XMLRefusedError("not-well-formed") from error
    if root.getroottree().docinfo.doctype:
        raise XMLRefusedError("document-type")
    return root


def _refuse_depth(root: _Element, limit: int) -> None:
    level = [root]
    for _ in range(limit):
        level = [child for parent in level for child in parent]
        if not level:
            return
    raise XMLRefusedError("too-deep")
