"""What is generated from the code is up to date, and says something about everything."""

from pathlib import Path

import pytest

from api.problems import STATUSES
from mss.errors import MSSError
from mss.model.audit import AuditName
from mss.settings import OTHER_VARIABLES
from mss.smtp.replies import REPLIES
from tests.tools import reference
from tests.tools.reference import DOCS, PAGES, ROOT, errors_below

# Who meets the errors of a module: where none of ours is named, both doors do.
HTTP_ONLY = ("api.",)
SMTP_ONLY = ("mss.smtp.",)
NO_DOOR = (
    "mss.clinical.",  # findings about a document, told beside it
    "mss.hl7.",  # answered by its own table
    "mss.smtp.hosts",  # outcomes of a delivery
)


def own_errors() -> list[type[MSSError]]:
    """List every error of the server that has a code of its own."""
    reference.import_everything()
    found = [one for one in errors_below(MSSError) if issubclass(one, MSSError)]
    return sorted({one.code: one for one in found}.values(), key=lambda one: one.code)


ERRORS = own_errors()


@pytest.mark.parametrize("file", list(PAGES), ids=lambda file: Path(file).name)
def test_a_generated_page_is_up_to_date(file: Path) -> None:
    """`make docs` was run after the last change of settings, errors, commands or routes."""
    assert file.read_bytes() == PAGES[file]()


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_an_error_can_be_read_by_everybody(error: type[MSSError]) -> None:
    """Both languages and the next step are there, and the page has a place to link to."""
    page = (DOCS / "errors.md").read_text(encoding="utf-8")

    assert error.public_text.endswith(".")
    assert error.public_text_fr.endswith(".")
    assert error.next_step.endswith(".")
    assert f"\n### `{error.code}`\n" in page


@pytest.mark.parametrize(
    "error",
    [one for one in ERRORS if not one.__module__.startswith(HTTP_ONLY + NO_DOOR)],
    ids=lambda error: error.code,
)
def test_an_error_has_a_reply_of_its_own(error: type[MSSError]) -> None:
    """The fallback is for what nobody foresaw, not for what we raise on purpose."""
    assert error.code in REPLIES


@pytest.mark.parametrize(
    "error",
    [one for one in ERRORS if not one.__module__.startswith(SMTP_ONLY + NO_DOOR)],
    ids=lambda error: error.code,
)
def test_an_error_has_a_status_of_its_own(error: type[MSSError]) -> None:
    """Over HTTP too."""
    assert error.code in STATUSES


@pytest.mark.parametrize(
    "error",
    [one for one in ERRORS if one.retryable and one.code in REPLIES],
    ids=lambda error: error.code,
)
def test_a_sender_that_may_try_again_is_told_so(error: type[MSSError]) -> None:
    """Told 5xx, it would give the letter back to its author."""
    code, status = REPLIES[error.code]

    assert code < 500
    assert status.startswith("4.")


@pytest.mark.parametrize("name", list(AuditName), ids=lambda name: name.value)
def test_an_event_of_the_journal_is_explained(name: AuditName) -> None:
    """An auditor finds every name that a line may have, and no other."""
    assert f"\n| `{name.value}` | " in (DOCS / "audit.md").read_text(encoding="utf-8")


def test_no_event_is_explained_that_does_not_exist() -> None:
    """A page that outlives the code is worse than none."""
    page = (DOCS / "audit.md").read_text(encoding="utf-8")
    named = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}

    assert named == {name.value for name in AuditName}


def test_the_variables_that_are_no_settings_are_explained() -> None:
    """They are said in the page of settings, where people look for them."""
    assert set(reference.VARIABLES) == OTHER_VARIABLES


def test_the_root_is_the_checkout() -> None:
    """The pages are those of this tree and not of an installed copy."""
    assert (ROOT / "pyproject.toml").exists()
