import pytest

from mss.clinical.finding import Severity
from mss.clinical.safe_xml import XMLRefusedError
from mss.clinical.svrl import MAX_REMARKS, parse_svrl

HEAD = '<svrl:schematron-output xmlns:svrl="http://purl.oclc.org/dsdl/svrl">'
TAIL = "</svrl:schematron-output>"


def report(*remarks: str) -> bytes:
    """A report with these remarks."""
    return f"{HEAD}{''.join(remarks)}{TAIL}".encode()


def remark(kind: str = "failed-assert", **attributes: str) -> str:
    """One remark."""
    marks = " ".join(f'{name}="{value}"' for name, value in attributes.items())
    return f"<svrl:{kind} {marks}><svrl:text>Il manque\n un titre.</svrl:text></svrl:{kind}>"


@pytest.mark.parametrize(
    ("role", "severity"),
    [
        ("", Severity.WARNING),
        ("error", Severity.ERROR),
        ("FATAL", Severity.ERROR),
        ("warn", Severity.WARNING),
        ("information", Severity.INFO),
        ("anything", Severity.WARNING),
    ],
)
def test_a_broken_rule_is_a_finding_as_grave_as_the_rule_says(
    role: str, severity: Severity
) -> None:
    """Rules name their weight in several ways, and often not at all."""
    (found,) = parse_svrl(report(remark(role=role)), rules="VSM")

    assert found.code == "schematron-failed"
    assert found.severity is severity
    assert "VSM: Il manque un titre." in found.text


def test_a_remark_without_fault_is_only_information() -> None:
    """A report says what was found, an assert what is missing."""
    (found,) = parse_svrl(report(remark("successful-report")), rules="VSM")

    assert (found.code, found.severity) == ("schematron-report", Severity.INFO)


@pytest.mark.parametrize(
    "location",
    [
        "/*:ClinicalDocument[namespace-uri()='urn:hl7-org:v3'][1]/*:id[namespace-uri()='u'][2]",
        "/*[local-name()='ClinicalDocument' and true()][1]/*[local-name()='id'][2]",
        "/Q{urn:hl7-org:v3}ClinicalDocument[1]/Q{u}id[2]",
    ],
)
def test_a_place_can_be_read_by_people(location: str) -> None:
    """Skeletons write the same place in three long ways."""
    (found,) = parse_svrl(report(remark(location=location.replace("'", "&apos;"))), rules="x")

    assert found.where == "/ClinicalDocument[1]/id[2]"


def test_a_report_without_end_is_cut() -> None:
    """One wrong document may break one rule a hundred thousand times."""
    assert len(parse_svrl(report(*[remark()] * 1000), rules="x")) == MAX_REMARKS


def test_what_is_no_report_is_refused() -> None:
    """The engine that writes it is foreign code."""
    with pytest.raises(XMLRefusedError):
        parse_svrl(b"Fatal error", rules="x")
