"""What other implementations write, we read: each with the verdict that it deserves."""

from itertools import chain

import pytest

from tests.interop.crypto.foreign import castle, gnu_and_nss, openssl, scripts
from tests.interop.crypto.foreign.cases import Foreign
from tests.interop.crypto.identities import Identities
from tests.interop.crypto.letters import ENTITY
from tests.interop.crypto.matrix import Matrix
from tests.interop.crypto.peers.ports import Peer
from tests.interop.crypto.reading import read

pytestmark = [pytest.mark.interop, pytest.mark.slow]

CASES = [
    pytest.param(each.peer, each, id=f"{each.peer}: {each.name}")
    for each in chain(openssl.cases(), castle.cases(), gnu_and_nss.cases(), scripts.cases())
]


@pytest.mark.parametrize(("peer", "foreign"), CASES, indirect=["peer"])
def test_what_peers_write_is_read_for_what_it_is(
    peer: Peer, foreign: Foreign, identities: Identities, matrix: Matrix
) -> None:
    """In memory and streaming, to the octet; and what is weak or forged is refused by its name."""
    entity = foreign.write(peer, identities)
    reader = None if foreign.reader is None else identities[foreign.reader]

    reading = read(entity, identities, reader=reader)
    seen = reading.content == ENTITY
    matrix.record(
        f"We read what {peer.name} writes", foreign.name, peer.name, seen=seen,
        expected=foreign.is_read,
    )  # fmt: skip

    assert reading.said == foreign.said
    assert reading.content == (ENTITY if foreign.is_read else None)
