"""Turn the report of a schematron into findings.

Shapes
    A report is SVRL: one `failed-assert` or `successful-report` for each remark, with the place in
    the document as an XPath. Places keep names and numbers of elements, no values.
Errors
    `XMLRefusedError` if the report is not XML.
Sources
    ISO/IEC 19757-3, annex D (SVRL).
"""

import re

from lxml.etree import _Element

from mss.clinical import finding
from mss.clinical.finding import Finding, Severity
from mss.clinical.safe_xml import XMLLimits, parse_xml

SVRL = "http://purl.oclc.org/dsdl/svrl"
MAX_REMARKS = 200
"""Remarks kept from one report: a document that breaks more is not read to the end."""

_TEXT_LENGTH = 400
_LIMITS = XMLLimits(depth=32)
_FAILED, _REPORT = f"{{{SVRL}}}failed-assert", f"{{{SVRL}}}successful-report"
_NAMESPACE_TEST = re.compile(r"\*:([\w.-]+)\[namespace-uri\(\)='[^']*'\]")
_LOCAL_NAME_TEST = re.compile(r"\*\[local-name\(\)='([\w.-]+)'[^\]]*\]")
_EQ_NAME = re.compile(r"Q\{[^}]*\}")
_ROLES = {
    "fatal": Severity.ERROR,
    "error": Severity.ERROR,
    "warning": Severity.WARNING,
    "warn": Severity.WARNING,
    "info": Severity.INFO,
    "information": Severity.INFO,
}


def parse_svrl(octets: bytes, *, rules: str) -> list[Finding]:
    """Read the remarks of one set of rules.

    Args:
        octets: The report.
        rules: The name of the set, which each finding repeats.

    Raises:
        XMLRefusedError: It is not XML, or out of all proportion.
    """
    root = parse_xml(octets, _LIMITS)
    remarks = root.iter(_FAILED, _REPORT)
    return [_finding(one, rules) for _, one in zip(range(MAX_REMARKS), remarks, strict=False)]


def _finding(remark: _Element, rules: str) -> Finding:
    words = " ".join(
        " ".join("".join(one.itertext()).split()) for one in remark.iterchildren(f"{{{SVRL}}}text")
    )
    role = (remark.get("role") or remark.get("flag") or "").strip().lower()
    code = "schematron-failed" if remark.tag == _FAILED else "schematron-report"
    return finding.of(
        code,
        severity=_ROLES.get(role),
        name=f"{rules}: {words[:_TEXT_LENGTH]}",
        where=_place(remark.get("location", "")),
    )


def _place(location: str) -> str:
    """Write an XPath the short way: `/ClinicalDocument[1]/recordTarget[1]`."""
    short = _EQ_NAME.sub("", _LOCAL_NAME_TEST.sub(r"\1", _NAMESPACE_TEST.sub(r"\1", location)))
    return short[:_TEXT_LENGTH]
