"""The negative corpus on the crypto island: every attack ends in its stated verdict, soon."""

from functools import cache
from time import process_time

import pytest

from crypto import layers, trust
from crypto.layers import Unwrapped
from tests.support.attacks import LIE, Attack, Stage, attacks
from tests.support.pki import NOW, the_pki

PATIENCE_SECONDS = 0.5


@cache
def the_stage() -> Stage:
    pki = the_pki()
    return Stage(
        author="sortie@ch-demo.mssante.fr",
        colleague="laboratoire@ch-demo.mssante.fr",
        reader="anne@cabinets-demo.mssante.fr",
        signer=pki.hospital_signature,
        other=pki.practice_signature,
        stranger=pki.stranger_signature,
        server=pki.hospital_server,
        recipient=pki.practice_confidentiality.certificate,
        at=NOW,
    )


def judged(octets: bytes) -> Unwrapped:
    pki = the_pki()
    return layers.unwrap(
        octets,
        keys=pki.practice_confidentiality.key_holder(),
        store=pki.store(),
        profile=trust.MAIL_SIGNING,
        at=NOW,
    )


CORPUS = list(attacks(the_stage()))


def reasons(found: Unwrapped) -> set[str]:
    errors = [layer.error for layer in found.layers if layer.error is not None]
    return {*found.findings, *(getattr(each, "reason", "") for each in errors)}


@pytest.mark.parametrize("attack", CORPUS, ids=lambda attack: attack.name)
def test_an_attack_ends_in_its_verdict(attack: Attack) -> None:
    """And with its reason, within a bounded time."""
    begun = process_time()

    found = judged(attack.octets)

    assert process_time() - begun < PATIENCE_SECONDS
    assert found.judgement is attack.judgement
    assert not attack.reason or attack.reason in reasons(found)


@pytest.mark.parametrize("attack", CORPUS, ids=lambda attack: attack.name)
def test_a_lie_is_never_what_a_signature_vouches_for(attack: Attack) -> None:
    """Whatever the verdict, it must not be *valid* over words that nobody signed."""
    found = judged(attack.octets)

    is_valid = found.judgement is layers.Judgement.VALID
    assert not (is_valid and LIE.partition(b"\r\n\r\n")[2] in (found.content or b""))


def test_no_two_attacks_share_a_name() -> None:
    """The name is how a failure is found."""
    assert len({attack.name for attack in CORPUS}) == len(CORPUS)
