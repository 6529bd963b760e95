"""The negative corpus at the door of a server: refused with one code, or deposited as is due."""

from pathlib import Path

from mss.cli import home
from mss.errors import MessageRefusedError, MSSError
from tests.support.attacks import Attack, Stage, attacks
from tests.support.factories import GP, LAB, PRACTICE_DOMAIN, WARD, Pair
from tests.support.pki import NOW, Pki


def the_stage(homes: Path, pki: Pki) -> Stage:
    (reader,) = home.load_reading(homes / PRACTICE_DOMAIN).certificates
    return Stage(
        author=WARD,
        colleague=LAB,
        reader=GP,
        signer=pki.hospital_signature,
        other=pki.practice_signature,
        stranger=pki.stranger_signature,
        server=pki.hospital_server,
        recipient=reader,
        at=NOW,
    )


async def outcome(pair: Pair, attack: Attack) -> tuple[str, bool]:
    """Hand one letter in as the hospital; give what came of it, and whether the remark is there."""
    before = await pair.practices.blobs.count()
    try:
        await pair.practices.receive(attack.octets, GP, sender=WARD, peer=pair.hospital.peer)
    except MessageRefusedError as error:
        assert await pair.practices.blobs.count() == before
        return f"refused:{error.reason}", True
    except MSSError as error:
        return f"refused:{error.code}", True
    newest, *_ = await pair.practices.letters("anne", GP)
    security = newest.message.security
    codes = {one.code for one in security.findings}
    return security.verdict.value, not attack.finding or attack.finding in codes


async def test_every_attack_gets_its_answer_at_the_door(pair: Pair, homes: Path, pki: Pki) -> None:
    """In one go, so that no attack profits from what an earlier one left behind."""
    corpus = list(attacks(the_stage(homes, pki)))

    found = {attack.name: await outcome(pair, attack) for attack in corpus}

    wanted = {attack.name: (attack.door, True) for attack in corpus}
    assert found == wanted
