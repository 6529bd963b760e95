import pytest

from directory.address import MailAddress
from mss.policy.loops import HOPS, OWN_HOPS, is_looping

US = "mail.ch-demo.mssante.fr"
OURS = f"from x by {US} with ESMTPS id 1; Tue, 03 Nov 2026 10:00:00 +0100"
THEIRS = "from x by mail.other.fr with ESMTPS id 1; Tue, 03 Nov 2026 10:00:00 +0100"
WARD = MailAddress.parse("Sortie@ch-demo.mssante.fr")


@pytest.mark.parametrize(
    ("received", "delivered_to", "expected"),
    [
        ([], [], False),
        ([THEIRS] * HOPS, [], False),
        ([THEIRS] * (HOPS + 1), [], True),
        ([OURS] * (OWN_HOPS - 1), [], False),
        ([OURS, THEIRS] * OWN_HOPS, [], True),
        ([OURS.replace(US, US.upper())] * OWN_HOPS, [], True),
        ([f"from {US} by other.fr; x"] * 9, [], False),
        (["", "by", "by  ;", "by " * 9], [], False),
        ([], ["sortie@CH-demo.mssante.fr"], True),
        ([], [" <sortie@ch-demo.mssante.fr> "], True),
        ([], ["other@ch-demo.mssante.fr", ""], False),
    ],
)
def test_what_goes_round_in_circles(
    received: list[str], delivered_to: list[str], *, expected: bool
) -> None:
    """Too many hosts, too often here, or already in the mailbox it is for."""
    assert (
        is_looping(received=received, delivered_to=delivered_to, host_name=US, recipients=[WARD])
        is expected
    )


def test_a_trace_field_of_any_length_is_read_quickly() -> None:
    """Strangers write them."""
    assert not is_looping(
        received=["by " * 100_000], delivered_to=[], host_name=US, recipients=[WARD]
    )
