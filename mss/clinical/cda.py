"""Read and write CDA R2 documents, the health documents of French exchanges.

One address for callers: `parse_cda` (header and kind of body), `build_cda`, `embedded_pdf`,
`read_sections`, `clinical_document`, and the values they use.

Errors
    `CdaSyntaxError` when reading, on any octets; `CdaContentError` when writing.
Sources
    HL7 CDA R2; ANS, volet Structuration minimale.
"""

from mss.clinical.cda_read import (
    clinical_document,
    embedded_files,
    embedded_pdf,
    parse_cda,
    read_sections,
)
from mss.clinical.cda_write import build_cda, missing_elements
from mss.clinical.document import (
    Act,
    Body,
    BodyKind,
    CdaContentError,
    CdaDocument,
    CdaHeader,
    CdaSyntaxError,
    Consent,
    EmbeddedFile,
    Encounter,
    FileBody,
    Informant,
    Order,
    Participant,
    RelatedDocument,
    StructuredBody,
)

__all__ = [
    "Act",
    "Body",
    "BodyKind",
    "CdaContentError",
    "CdaDocument",
    "CdaHeader",
    "CdaSyntaxError",
    "Consent",
    "EmbeddedFile",
    "Encounter",
    "FileBody",
    "Informant",
    "Order",
    "Participant",
    "RelatedDocument",
    "StructuredBody",
    "build_cda",
    "clinical_document",
    "embedded_files",
    "embedded_pdf",
    "missing_elements",
    "parse_cda",
    "read_sections",
]
