from mss.model.principal import AccountPrincipal
from mss.model.security import Verdict
from tests.support.factories import GP, Pair, a_letter


async def test_a_letter_arrives_with_a_valid_verdict(
    pair: Pair, ward: AccountPrincipal, gp: AccountPrincipal
) -> None:
    """The story in small: signed, encrypted, relayed, opened, verified."""
    await pair.hospital.submit(ward, a_letter(subject="Madame ESSAI"))
    await pair.settle()

    page = await pair.practices.services.reading.list_messages(
        gp, GP, folder=None, limit=10, cursor=None
    )

    (view,) = page.items
    assert view.message.summary.subject == "Madame ESSAI"
    assert view.message.security.verdict is Verdict.VALID
    assert view.message.security.encrypted
