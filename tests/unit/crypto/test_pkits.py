from pathlib import Path

import pytest

from crypto.errors import CryptoError
from crypto.trust import MAIL_SIGNING, Profile, validate
from tests.support.pkits import (
    AT,
    REFUSED_BY_US,
    Trial,
    data_folder,
    iter_trials,
    load_suite,
)

FOLDER = data_folder()
pytestmark = pytest.mark.skipif(FOLDER is None, reason="cryptography-vectors is not installed")


@pytest.fixture
def folder() -> Path:
    assert FOLDER is not None
    return FOLDER


def is_accepted(trial: Trial, folder: Path) -> bool:
    """Judge the end certificate of a trial as the signer of a letter."""
    suite = load_suite(folder)
    leaf = suite.leaves[trial.name]
    profile = Profile(usage=MAIL_SIGNING.usage, policies=trial.policies)
    if leaf is None:
        return False
    try:
        validate(leaf, store=suite.store.with_crls(suite.store.crls), profile=profile, at=AT)
    except CryptoError:
        return False
    return True


@pytest.mark.parametrize("trial", [each for each in iter_trials() if not each.must_accept], ids=str)
def test_what_the_suite_refuses_is_refused(trial: Trial, folder: Path) -> None:
    """A wrong acceptance lets a stranger write as a hospital."""
    assert not is_accepted(trial, folder)


@pytest.mark.parametrize(
    "trial",
    [each for each in iter_trials() if each.must_accept and not each.refused_by_us],
    ids=str,
)
def test_what_the_suite_accepts_is_accepted(trial: Trial, folder: Path) -> None:
    """A wrong refusal cuts an operator off."""
    assert is_accepted(trial, folder)


@pytest.mark.parametrize("trial", [each for each in iter_trials() if each.refused_by_us], ids=str)
def test_what_we_refuse_on_purpose_is_refused(trial: Trial, folder: Path) -> None:
    """The list of exceptions is exact: whatever is mended leaves it."""
    assert not is_accepted(trial, folder)


def test_no_case_is_forgotten(folder: Path) -> None:
    """Every end certificate of the suite is in the table, and nothing else is."""
    named = {each.name for each in iter_trials()}

    assert named == set(load_suite(folder).leaves)
    assert set(REFUSED_BY_US) <= named
