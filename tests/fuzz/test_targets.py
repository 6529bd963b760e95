"""Every target, on damaged samples: a value or the declared error."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.errors import RevocationSyntaxError
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import TARGETS


@pytest.mark.parametrize("name", TARGETS)
def test_good_samples_need_no_error(name: str) -> None:
    """Else the fuzzing would only ever see the first refusal."""
    target = TARGETS[name]

    read = [target.run(sample) for sample in target.samples()]

    assert read


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), data=st.data())
def test_a_damaged_sample_gives_a_value_or_the_declared_error(
    name: str, seed: int, data: st.DataObject
) -> None:
    """Structures damaged as structures, and mail as mail."""
    target = TARGETS[name]
    sample = data.draw(st.sampled_from(target.samples()))

    target.check(mutated(sample, seed, samples=target.samples()))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=10, deadline=None)
@given(octets=st.binary(max_size=400))
def test_any_octets_give_a_value_or_the_declared_error(name: str, octets: bytes) -> None:
    """Rubbish is refused at the first look."""
    TARGETS[name].check(octets)


def test_a_mutation_is_decided_by_its_seed() -> None:
    """So that a failure can be run again."""
    sample = TARGETS["cms-signed"].samples()[0]

    assert mutated(sample, 7) == mutated(sample, 7)
    assert len({mutated(sample, seed) for seed in range(20)}) > 15


def test_a_revocation_list_of_an_unknown_version_is_refused_as_declared() -> None:
    """Found by fuzzing: the library has an error of its own for it."""
    sample = TARGETS["crl"].samples()[0]
    changed = sample.replace(b"\x02\x01\x01", b"\x02\x01\x09", 1)

    with pytest.raises(RevocationSyntaxError):
        TARGETS["crl"].run(changed)


def test_a_country_of_four_letters_warns_nobody() -> None:
    """Found by fuzzing: the library would warn whoever runs the server."""
    sample = TARGETS["crl"].samples()[0]
    changed = sample.replace(b"U\x04\x0a\x0c", b"U\x04\x06\x0c", 1)  # the organisation's name

    assert changed != sample
    TARGETS["crl"].check(changed)
