"""Which octets does an XML signature speak of? Canonical forms, and what stands in a signature.

Only the forms that a signer of the trust list uses: canonical XML and exclusive canonical XML, both
without comments, of a whole document or of one element where it stands.

Errors
    `XmlSignatureError`.
Sources
    W3C Canonical XML 1.0 and 1.1; W3C Exclusive XML Canonicalization 1.0.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Final

from lxml import etree

from crypto.errors import XmlSignatureError

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
_INCLUSIVE: Final = frozenset(
    {"http://www.w3.org/TR/2001/REC-xml-c14n-20010315", "http://www.w3.org/2006/12/xml-c14n11"}
)
_XML: Final = "{http://www.w3.org/XML/1998/namespace}"
MAX_PREFIXES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Canonicalization:
    """How octets are made of XML.

    Attributes:
        prefixes: Name space prefixes that the exclusive form treats as the inclusive one does.
    """

    is_exclusive: bool
    prefixes: tuple[str, ...] = ()

    def of_document(self, root: etree._Element) -> bytes:
        """Write the whole document, whatever stands beside its root included."""
        return self._write(root.getroottree())

    def of_element(self, element: etree._Element) -> bytes:
        """Write one element as it reads where it stands.

        Raises:
            XmlSignatureError: It inherits attributes of the `xml` name space, which the two
                inclusive forms treat differently; nobody has a reason to put them there.
        """
        for above in element.iterancestors():
            if not self.is_exclusive and any(name.startswith(_XML) for name in above.attrib):
                raise XmlSignatureError("canonicalization")
        # The library forgets the name spaces in scope when it writes a part of a document.
        apart = etree.Element(element.tag, attrib=dict(element.attrib), nsmap=element.nsmap)
        apart.text = element.text
        apart.extend(deepcopy(child) for child in element)
        return self._write(apart.getroottree())

    def _write(self, tree: "etree._ElementTree[etree._Element]") -> bytes:
        try:
            return etree.tostring(
                tree,
                method="c14n",
                exclusive=self.is_exclusive,
                with_comments=False,
                inclusive_ns_prefixes=list(self.prefixes) or None,
            )
        except (etree.LxmlError, ValueError) as error:  # relative name spaces, for instance
            raise XmlSignatureError("canonicalization") from error


INCLUSIVE_FORM: Final = Canonicalization(is_exclusive=False)
"""What holds where nothing is said (XML Signature, 4.4.3.2)."""


def parse_canonicalization(element: etree._Element) -> Canonicalization:
    """Read a CanonicalizationMethod, or a Transform that is one.

    Raises:
        XmlSignatureError: It names another algorithm.
    """
    algorithm = element.get("Algorithm", "")
    if algorithm in _INCLUSIVE and len(element) == 0:
        return INCLUSIVE_FORM
    if algorithm != EXCLUSIVE:
        raise XmlSignatureError("canonicalization")
    children = list(element)
    if not children:
        return Canonicalization(is_exclusive=True)
    if len(children) > 1 or children[0].tag != f"{{{EXCLUSIVE}}}InclusiveNamespaces":
        raise XmlSignatureError("canonicalization")
    prefixes = tuple(children[0].get("PrefixList", "").split())
    if len(prefixes) > MAX_PREFIXES:
        raise XmlSignatureError("canonicalization")
    return Canonicalization(is_exclusive=True, prefixes=prefixes)
