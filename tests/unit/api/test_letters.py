"""Letters with documents by HTTP: JSON and forms, previews, refusals that name every field."""

import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.schemas.letter import LetterIn
from mss.clinical.draft_notes import draft_catalogue
from tests.support.api_fakes import ANNE, LETTER_ID, PAUL, WARD, FakeServices

LETTERS = f"/v1/mailboxes/{ANNE}/letters"
PDF = b"%PDF-1.4\n<pdfaid:part>1</pdfaid:part>\n%%EOF\n"
AUTHOR: dict[str, Any] = {
    "rpps": "99000000010",
    "family": "ESSAI",
    "organization": {"finess": "750000002", "name": "Cabinet", "sector": "SA07"},
}
PATIENT = {"birth_name": "INCONNU", "local_ids": [{"root": "1.2.3", "extension": "42"}]}


def letter(**document: object) -> dict[str, Any]:
    """A letter with one document."""
    return {
        "to": [WARD],
        "patient": PATIENT,
        "documents": [{"type": "11488-4", "authors": [AUTHOR], **document}],
    }


def inside() -> dict[str, str]:
    """The file inside the JSON."""
    return {"content": base64.b64encode(PDF).decode()}


async def test_a_letter_is_accepted_with_what_was_made_of_it(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """The identifiers are what a later version is made with."""
    answer = await client.post(
        LETTERS, json=letter(file=inside()), headers={"Idempotency-Key": "visit-18"}
    )

    assert answer.status_code == 202, answer.text
    assert answer.headers["Location"] == f"/v1/messages/{LETTER_ID}"
    (made,) = answer.json()["documents"]
    assert made["unique_id"] == f"{made['set_id']}.1"
    assert made["pdf_octets"] == len(PDF)
    assert services.drafting.keys == ["visit-18"]


async def test_a_file_may_be_a_part_of_a_form(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """Large files are not copied through base64."""
    said = json.dumps(letter(file={"part": "report"})).encode()

    answer = await client.post(
        LETTERS,
        files={
            "letter": (None, said, "application/json"),
            "report": ("r.pdf", PDF, "application/pdf"),
        },
    )

    assert answer.status_code == 202, answer.text
    (document,) = services.letters.outgoing[0].letter.documents
    assert document.file
    assert document.file.octets == PDF


@pytest.mark.parametrize(
    ("document", "files"),
    [
        ({"file": {"part": "missing"}}, {}),
        ({"file": {"content": "JVBERi0="}}, {"unnamed": ("r.pdf", PDF, "application/pdf")}),
        ({"file": {"content": "JVBERi0=", "part": "r"}}, {"r": ("r.pdf", PDF, "application/pdf")}),
    ],
)
async def test_files_and_their_names_must_agree(
    client: httpx.AsyncClient, document: dict[str, Any], files: dict[str, Any]
) -> None:
    """A report that is silently left out is worse than a refusal."""
    said = json.dumps(letter(**document)).encode()

    answer = await client.post(LETTERS, files={"letter": (None, said, "application/json"), **files})

    assert answer.status_code == 422
    assert {one["code"] for one in answer.json()["findings"]} == {"letter-file-name"}


async def test_a_check_sends_nothing(client: httpx.AsyncClient, services: FakeServices) -> None:
    """A form can be judged while it is being filled in."""
    answer = await client.post(f"{LETTERS}?check=true", json=letter(file=inside()))

    assert answer.status_code == 200, answer.text
    assert answer.json()["headers"] == {"X-MSS-CODECDA": "11488-4", "X-MSS-INS": "N"}
    assert services.drafting.sent == []


async def test_the_example_of_the_description_is_right(client: httpx.AsyncClient) -> None:
    """Whoever copies it has a letter but for what the directory knows of its author."""
    example = LetterIn.model_json_schema()["examples"][0]
    example["documents"][0]["authors"] = [AUTHOR]

    answer = await client.post(f"{LETTERS}?check=true", json=example)

    assert answer.status_code == 200, answer.text


async def test_a_refusal_points_at_every_field(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """In both languages, with what to do about it."""
    answer = await client.post(LETTERS, json=letter(type="zzz", at="yesterday", file=inside()))

    assert answer.status_code == 422
    problem = answer.json()
    assert (problem["code"], problem["retryable"]) == ("letter-content", False)
    assert [one["where"] for one in problem["findings"] if one["severity"] == "error"] == [
        "/documents/0/type",
        "/documents/0/at",
    ]
    assert services.drafting.sent == []


async def test_a_field_that_is_no_field_is_refused(client: httpx.AsyncClient) -> None:
    """A misspelt field would otherwise be left out of the document."""
    answer = await client.post(LETTERS, json=letter(file=inside(), titel="CR"))

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == ["documents.0.titel"]


async def test_a_mailbox_of_others_does_not_exist(client: httpx.AsyncClient) -> None:
    """As for any message."""
    answer = await client.post(f"/v1/mailboxes/{PAUL}/letters", json=letter(file=inside()))

    assert answer.status_code == 404


def test_the_guide_lists_every_finding() -> None:
    """A vendor looks a code up there; none may be missing and none may be gone."""
    guide = (Path(__file__).parents[3] / "docs" / "letters.md").read_text(encoding="utf-8")
    listed = [line.split("`")[1] for line in guide.splitlines() if line.startswith("| `letter-")]

    assert listed == list(draft_catalogue())


def test_every_finding_that_is_made_is_in_the_catalogue() -> None:
    """A code without its sentences would be a fault of ours in the middle of a request."""
    folder = Path(__file__).parents[3] / "mss" / "clinical"
    sources = [*folder.glob("draft_*.py"), folder / "build_letter.py"]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)

    unused = [code for code in draft_catalogue() if f'"{code}"' not in text]

    assert unused == ["letter-file-name"]  # only a door knows which parts came
