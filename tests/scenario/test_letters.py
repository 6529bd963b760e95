"""From a practice's data to documents that the other end opens: by REST, through both operators."""

from base64 import b64encode
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from mss.clinical.cda import parse_cda
from tests.support.letter_requests import AUTHOR, PATIENT, PDF
from tests.support.operators import HOSPITAL, PRACTICES, Ground, Home, Pair, both_operating

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

DISCHARGE = {
    "reason": "Dyspnée",
    "summary": "Insuffisance cardiaque aiguë, évolution favorable.",
    "discharge_text": "Retour au domicile",
    "looked_for_bacteria": False,
    "transfused": False,
    "blood_products": False,
    "treatments": [{"name": "Furosémide 40 mg", "dosage": "1 comprimé le matin"}],
}
SUMMARY = {
    "problems": [
        {
            "name": "Hypertension artérielle",
            "code": {"code": "I10", "system": "2.16.840.1.113883.6.3", "display": "HTA"},
            "start": "2015-03-01",
        }
    ],
    "history": [],
    "allergies": [],
    "treatments": [],
}
CONTENTS: dict[str, dict[str, Any]] = {
    "report": {"type": "11488-4", "file": {"content": b64encode(PDF).decode()}},
    "discharge": {"type": "11490-0", "discharge": DISCHARGE},
    "summary": {"type": "SYNTH", "summary": SUMMARY},
}


@pytest.fixture(scope="module")
def homes(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Home]:
    """The homes of these tests."""
    folder = tmp_path_factory.mktemp("letters")
    return ground.copy(HOSPITAL, folder), ground.copy(PRACTICES, folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(homes: tuple[Home, Home]) -> AsyncIterator[Pair]:
    """Both operators, open for all of these tests."""
    async with both_operating(*homes) as opened:
        yield opened


async def send(pair: Pair, *, key: str, **document: object) -> httpx.Response:
    """Send a letter with one document from the hospital to the practice."""
    return await pair.writer.http.post(
        f"/v1/mailboxes/{pair.writer.mailbox}/letters",
        json={
            "to": [pair.reader.mailbox],
            "patient": PATIENT,
            "documents": [{"authors": [AUTHOR], **document}],
        },
        headers={"Idempotency-Key": key},
    )


@pytest.mark.parametrize("content", CONTENTS)
async def test_a_letter_made_of_data_is_opened_at_the_other_end(pair: Pair, content: str) -> None:
    """One request: documents, archive and copies are made, signed, encrypted and relayed."""
    before = len(await pair.reader.listed())

    answer = await send(pair, key=f"content-{content}", **CONTENTS[content])

    assert answer.status_code == 202, answer.text
    (made,) = answer.json()["documents"]
    item = (await pair.reader.await_inbox(before + 1))[0]
    assert (item["verdict"], item["encrypted"], item["has_documents"]) == ("valid", True, True)
    documents = await pair.reader.get(f"/v1/messages/{item['id']}/documents")
    (document,) = documents["items"]
    assert document["unique_id"] == made["unique_id"]
    assert document["type_code"] == CONTENTS[content]["type"]
    assert document["patient"]["ins"] == "254057511404292"
    # The invented patient is remarked upon at an operator of living people, and nothing else is.
    assert [one["code"] for one in document["findings"]] == ["ins-of-test"]
    octets = await pair.reader.octets(document["href"])
    assert parse_cda(octets).header.title == document["title"]


async def test_a_second_version_takes_the_place_of_the_first(pair: Pair) -> None:
    """The identifier that was answered is enough to replace what was sent."""
    before = len(await pair.reader.listed())
    first = await send(pair, key="first", **CONTENTS["report"])
    (made,) = first.json()["documents"]
    await pair.reader.await_inbox(before + 1)

    second = await send(
        pair,
        key="second",
        action="replace",
        previous={"id": made["unique_id"]},
        **CONTENTS["report"],
    )

    assert second.status_code == 202, second.text
    item = (await pair.reader.await_inbox(before + 2))[0]
    documents = await pair.reader.get(f"/v1/messages/{item['id']}/documents")
    (document,) = documents["items"]
    assert (document["version"], document["action"]) == ("2", "replace")
    assert document["set_id"] == made["set_id"]
    assert document["replaces_ids"] == [made["unique_id"]]


async def test_a_repeated_request_is_no_second_letter(pair: Pair) -> None:
    """Identifiers and dates are new each time, and yet the repetition is recognised."""
    first = await send(pair, key="again", **CONTENTS["report"])
    again = await send(pair, key="again", **CONTENTS["report"])

    assert again.status_code == 202
    assert again.json()["is_repeat"]
    assert again.json()["id"] == first.json()["id"]
    other = await send(pair, key="again", **CONTENTS["summary"])
    assert other.status_code == 409


async def test_the_owner_of_a_mailbox_is_the_author(pair: Pair) -> None:
    """A general practitioner gives a type, a patient and a PDF: the directory knows the rest."""
    answer = await pair.reader.http.post(
        f"/v1/mailboxes/{pair.reader.mailbox}/letters?check=true",
        json={
            "to": [pair.writer.mailbox],
            "patient": PATIENT,
            "documents": [CONTENTS["report"]],
        },
    )

    assert answer.status_code == 200, answer.text
    assert answer.json()["subject"].startswith("XDM/1.0/DDM+")


async def test_nobody_writes_from_a_mailbox_of_others(pair: Pair) -> None:
    """As for any message: a mailbox that may not be written as does not exist."""
    answer = await pair.writer.http.post(
        f"/v1/mailboxes/{HOSPITAL.other}/letters", json={"documents": []}
    )

    assert answer.status_code == 404


async def test_everything_that_is_wrong_is_said_at_once(pair: Pair) -> None:
    """Each finding points at its field, and nothing was sent."""
    before = await pair.writer.listed("sent")

    answer = await pair.writer.http.post(
        f"/v1/mailboxes/{pair.writer.mailbox}/letters",
        json={
            "to": [pair.reader.mailbox],
            "patient": {**PATIENT, "birth_date": "1954-14-05", "birth_place": "Paris"},
            "documents": [{"type": "zzz", "file": {"content": "AAE="}}],
        },
    )

    assert answer.status_code == 422
    problem = answer.json()
    assert problem["code"] == "letter-content"
    assert {one["where"] for one in problem["findings"]} >= {
        "/patient/birth_date",
        "/patient/birth_place",
        "/documents/0/type",
        "/documents/0/file",
        "/documents/0/authors",
    }
    assert all(one["text_fr"] and one["next_step_fr"] for one in problem["findings"])
    assert await pair.writer.listed("sent") == before
