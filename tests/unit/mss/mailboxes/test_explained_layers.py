"""What a layer is called in an explanation, whatever its octets say."""

import pytest

from crypto import der
from mss.mailboxes import explained_layers


@pytest.mark.parametrize("name", ["300431023000", "30023100", "3006310430020500", "3000"], ids=str)
def test_a_name_without_its_parts_is_no_name(name: str) -> None:
    """A recipient may be named by any octets that have the form of a structure."""
    assert explained_layers._common_name(der.parse(bytes.fromhex(name))) is None
