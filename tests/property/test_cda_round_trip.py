"""Whatever header is written is valid, and read back as it was."""

from functools import cache

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from lxml import etree

from mss.clinical.cda import StructuredBody, build_cda, parse_cda
from mss.clinical.document import CdaHeader
from mss.clinical.narrative import Paragraph, Section
from tests.support.cda_values import headers
from tests.unit.mss.clinical import official

BODY = StructuredBody((Section(title="T", blocks=(Paragraph("p"),)),))
HEAVY = settings(
    max_examples=12,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # to shrink a header takes minutes
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@cache
def schema() -> etree.XMLSchema:
    """The official schema of CDA documents, loaded once."""
    return etree.XMLSchema(etree.parse(str(official.official_path("xsd/CDA_extended.xsd"))))


@pytest.mark.slow
@HEAVY
@given(header=headers)
def test_a_header_is_read_back_as_it_was_written(header: CdaHeader) -> None:
    """Every cardinality of the national header, with every optional part there or not."""
    assert parse_cda(build_cda(header, BODY)).header == header


@pytest.mark.slow
@HEAVY
@given(header=headers)
def test_a_header_is_valid_by_the_schema(header: CdaHeader) -> None:
    """Order and obligatory children, whatever is left out."""
    checked = schema()

    assert checked.validate(etree.fromstring(build_cda(header, BODY))), checked.error_log
