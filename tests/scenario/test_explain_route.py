"""`mss explain route`, asked about each kind of recipient."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from click.testing import CliRunner

from mss.cli.root import root
from tests.support.operators import HOSPITAL, PRACTICES, Home, subject_name

Explain = Callable[[str], tuple[int, dict[str, Any]]]


@pytest.fixture
def explain(hospital_home: Home) -> Explain:
    """Ask the hospital; nobody is asked over the network."""
    hospital_home.configure(
        {"directory": {"ask_peer": False}, "relay.hosts": {"*": "mx.essai.example:2525"}}
    )

    def ask(address: str) -> tuple[int, dict[str, Any]]:
        words = ["explain", "route", address, "--json", "--home", str(hospital_home.path)]
        result = CliRunner().invoke(root, words, standalone_mode=False)
        assert result.stdout, repr(result.exception)
        status = result.return_value if isinstance(result.return_value, int) else result.exit_code
        return status, orjson.loads(result.stdout)

    return ask


def found(facts: dict[str, Any], question: str) -> str:
    """What was found for a question."""
    return next(str(one["found"]) for one in facts["steps"] if one["question"] == question)


def test_another_operators_mailbox_is_explained_to_the_host(explain: Explain) -> None:
    """Each step with its source and age: what an administrator would look up one by one."""
    status, facts = explain(PRACTICES.mailbox)

    assert (status, facts["way"], facts["domain"]) == (0, "relay", PRACTICES.domain)
    assert found(facts, "directory entry") == "listed"
    assert found(facts, "domain in the trust list") == "yes"
    certificate = found(facts, "certificate that its host must show")
    assert certificate == str(subject_name(PRACTICES))
    assert found(facts, "hosts") == "mx.essai.example:2525"
    assert found(facts, "protection") == facts["protection"] == "encrypted"
    aged = {one["question"] for one in facts["steps"] if one["age_seconds"] is not None}
    assert {"directory entry", "domain in the trust list"} <= aged


def test_one_of_ours_needs_no_trust_list(explain: Explain) -> None:
    """It never leaves."""
    status, facts = explain(HOSPITAL.other)

    assert (status, facts["way"]) == (0, "local")
    assert found(facts, "mailbox") == "open"


def test_an_address_outside_the_trust_space_is_refused(explain: Explain) -> None:
    """And the step that decides is named."""
    status, facts = explain("quelqu.un@example.org")

    assert (status, facts["way"], facts["code"]) == (1, "refused", "domain-not-trusted")
    assert found(facts, "domain in the trust list") == "no"
    assert not any(one["question"] == "hosts" for one in facts["steps"])


def test_a_mailbox_of_ours_that_is_not_there_is_refused(explain: Explain) -> None:
    """With the code that a sender would get."""
    status, facts = explain(f"personne@{HOSPITAL.domain}")

    assert (status, facts["code"]) == (1, "recipient-unknown")
