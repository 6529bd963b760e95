import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto.digests import new_token
from mss.accounts.credentials import TOKEN_PREFIX
from mss.telemetry.logging import JsonFormatter, configure_logging, masked


def line(message: str, *args: object, error: Exception | None = None, **extra: object) -> Any:
    """Write one record and read it back."""
    record = logging.LogRecord(
        "mss.test",
        logging.WARNING,
        __file__,
        1,
        message,
        args,
        (type(error), error, error.__traceback__) if error else None,
    )
    vars(record).update(extra)
    text = JsonFormatter().format(record)
    assert "\n" not in text
    return json.loads(text)


def test_a_line_says_when_where_and_what() -> None:
    """One JSON object, for whoever collects them."""
    written = line("relay to %s failed", "cabinets-demo.mssante.fr", attempts=3)

    assert written["level"] == "warning"
    assert written["logger"] == "mss.test"
    assert written["text"] == "relay to cabinets-demo.mssante.fr failed"
    assert written["attempts"] == "3"
    assert written["at"].endswith("+00:00")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to anne.essai@ch-demo.fr", "to ***@ch-demo.fr"),
        ("<anne@a.fr>,<karim@b.fr>", "<***@a.fr>,<***@b.fr>"),
        ("'anne@a.fr'", "'***@a.fr'"),
        ("RCPT TO:<anne@a.fr>", "RCPT TO:<***@a.fr>"),
        ("279035121518989@patient.mssante.fr", "***@patient.mssante.fr"),
        ("at 10:00 @ the door", "at 10:00 @ the door"),
    ],
)
def test_the_local_part_of_an_address_is_hidden(text: str, shown: str) -> None:
    """The domain helps an administrator; who it was is nobody's business."""
    assert masked(text) == shown


@pytest.mark.parametrize("before", ["Authorization: Bearer ", "token=", "", "bearer   "])
def test_a_token_is_hidden(before: str) -> None:
    """A log is copied to many places; a token in it would open mailboxes."""
    token = new_token(TOKEN_PREFIX)

    shown = masked(f"{before}{token} refused")

    assert token.removeprefix(f"{TOKEN_PREFIX}_") not in shown
    assert shown.endswith(" refused")


def test_extra_fields_are_masked_too() -> None:
    """Whatever way a value comes in."""
    token = new_token(TOKEN_PREFIX)
    written = line("x", recipient="anne@a.fr", header=f"Bearer {token}")

    assert written["recipient"] == "***@a.fr"
    assert token not in written["header"]


def test_an_error_is_told_by_kind_and_place_never_by_its_text() -> None:
    """Its text may repeat what it met: a subject, a name, an octet of a letter."""
    try:
        raise ValueError("Mme CANARI")  # noqa: TRY301 -- it needs a traceback
    except ValueError as error:
        written = line("failed", error=error)

    assert written["error"] == "ValueError"
    assert written["where"].startswith("test_logging.py:")
    assert "CANARI" not in json.dumps(written)


@given(st.text())
def test_any_text_is_one_line_of_json(text: str) -> None:
    """Nobody forges a line of the log through a field of a message."""
    assert isinstance(line("%s", text.encode("utf-8", "replace").decode())["text"], str)


def test_configuring_replaces_what_was_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every library's record goes through the one formatter."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", list(root.handlers))
    monkeypatch.setattr(root, "level", root.level)
    configure_logging()

    logging.getLogger("some.library").warning("to anne@a.fr")

    assert json.loads(capsys.readouterr().err)["text"] == "to ***@a.fr"
