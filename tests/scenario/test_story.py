"""The story of a discharge letter, on every store that it may be kept in."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.support.database import PostgresqlFactory
from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    Cast,
    Ground,
    Home,
    Pair,
    Sections,
    Software,
    accepted_id,
    both_operating,
    compose,
    the_letter,
)
from tests.support.s3 import S3Service, running_s3

STATIONS = ["accepted", "relayed", "delivered", "read"]


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgresql),
        pytest.param("s3", id="sqlite, bodies in S3"),
    ]
)
def stored_homes(
    request: pytest.FixtureRequest, ground: Ground, tmp_path: Path
) -> Iterator[tuple[Home, Home]]:
    """Filled homes whose rows and bodies lie in one of the stores."""
    if request.param == "sqlite":
        yield ground.copy(HOSPITAL, tmp_path), ground.copy(PRACTICES, tmp_path)
    elif request.param == "postgresql":
        factory: PostgresqlFactory = request.getfixturevalue("postgresql_factory")
        urls = factory.create(), factory.create()
        yield (
            ground.copy(HOSPITAL, tmp_path, database_url=urls[0]),
            ground.copy(PRACTICES, tmp_path, database_url=urls[1]),
        )
        for url in urls:
            factory.drop(url)
    else:
        folder = tmp_path / "s3"
        folder.mkdir()
        with running_s3(folder) as service:
            yield (
                ground.copy(HOSPITAL, tmp_path, in_s3(service, HOSPITAL)),
                ground.copy(PRACTICES, tmp_path, in_s3(service, PRACTICES)),
            )


def in_s3(service: S3Service, cast: Cast) -> Sections:
    """The settings that keep an operator's bodies in a prefix of its own."""
    found = service.settings()
    assert found.s3_access_key is not None
    assert found.s3_secret_key is not None
    return {
        "blobs": {
            "url": f"{found.url}/{cast.domain}",
            "s3_endpoint": service.endpoint,
            "s3_access_key": found.s3_access_key.get_secret_value(),
            "s3_secret_key": found.s3_secret_key.get_secret_value(),
        }
    }


@pytest.fixture
async def stored_pair(stored_homes: tuple[Home, Home]) -> AsyncIterator[Pair]:
    """Both operators on those stores."""
    async with both_operating(*stored_homes) as opened:
        yield opened


async def by_smtp(writer: Software, raw: bytes, to: str) -> str:
    """Submit by SMTP."""
    return accepted_id(await writer.submit(raw, to))


async def by_rest(writer: Software, raw: bytes, to: str) -> str:
    """Submit by REST."""
    response = await writer.post(raw)
    assert response.status_code == 202, response.text
    accepted = response.json()
    assert response.headers["Location"] == f"/v1/messages/{accepted['id']}"
    assert [one["recipient"] for one in accepted["deliveries"]] == [to]
    return str(accepted["id"])


@pytest.mark.slow
@pytest.mark.parametrize("submit", [by_smtp, by_rest])
async def test_a_letter_is_carried_read_and_answered(
    stored_pair: Pair, submit: Callable[[Software, bytes, str], Awaitable[str]]
) -> None:
    """The main job: what the cardiologist wrote is what the GP reads, and both know it."""
    writer, reader, letter = stored_pair.writer, stored_pair.reader, the_letter()
    raw = compose(writer.mailbox, reader.mailbox)

    sent = await submit(writer, raw, reader.mailbox)
    (item,) = await reader.await_inbox()

    assert item["subject"] == letter.subject
    assert item["display_subject"] == letter.subject.removeprefix("XDM/1.0/DDM+")
    assert item["author"]["address"] == writer.mailbox
    assert (item["verdict"], item["encrypted"], item["flags"]) == ("valid", True, [])
    await assert_same_letter(reader, item["id"])

    await reader.mark_read(item["id"])

    assert await writer.await_station(sent, "read") == STATIONS
    (copy,) = await writer.listed("sent")
    assert copy["id"] == sent
    assert await writer.listed("inbox") == []
    assert {one["report"] for one in await writer.listed("receipts")} == {
        "delivery",
        "disposition",
    }


async def assert_same_letter(reader: Software, message_id: str) -> None:
    """Compare the letter at the far end with the one that was written, octet for octet."""
    letter = the_letter()
    message = await reader.get(f"/v1/messages/{message_id}")
    security = message["security"]
    assert (security["verdict"], security["binding"]) == ("valid", "directory")
    assert security["signer"] == HOSPITAL.organization
    assert {one["name"]: one["value"] for one in message["headers"]}.items() >= (
        letter.headers.items()
    )
    files = {part["filename"]: part["href"] for part in message["parts"] if part["filename"]}
    assert await reader.octets(files["IHE_XDM.ZIP"]) == letter.archive
    assert await reader.octets(files[letter.pdf_name]) == letter.pdf

    documents = await reader.get(f"/v1/messages/{message_id}/documents")
    (document,) = documents["items"]
    assert [one for one in documents["findings"] if one["severity"] == "error"] == []
    assert (document["type_code"], document["class_code"]) == ("11490-0", "10")
    assert document["patient"]["birth_name"] == "PATIENT-FICTIF"
    assert document["authors"][0]["name"] == "Dr Claire ESSAI"
    assert await reader.octets(document["href"]) == letter.cda
    assert await reader.octets(f"{document['href']}?form=pdf") == letter.pdf


@pytest.mark.slow
async def test_a_letter_within_one_operator_is_delivered_at_once(pair: Pair) -> None:
    """Nothing leaves: the deposit is part of the acceptance, and the receipt finds its way."""
    writer = pair.writer
    to = HOSPITAL.red_list

    sent = accepted_id(await writer.submit(compose(writer.mailbox, to), to))

    assert await writer.stations(sent) == ["accepted", "delivered"]
    (item,) = await writer.listed("inbox", mailbox=to)
    assert item["id"] == sent
    assert (await pair.practices.count())["message"] == 0


@pytest.mark.slow
async def test_a_letter_to_both_operators_reaches_each_once(pair: Pair) -> None:
    """Each recipient has a delivery of its own, whichever way it takes."""
    writer, reader = pair.writer, pair.reader
    raw = compose(writer.mailbox, reader.mailbox)
    recipients = (reader.mailbox, PRACTICES.red_list, HOSPITAL.red_list)

    sent = accepted_id(await writer.submit(raw, *recipients))
    await reader.await_inbox()
    await reader.await_inbox(mailbox=PRACTICES.red_list)  # a blind copy travels by itself

    assert len(await reader.listed(mailbox=PRACTICES.red_list)) == 1
    assert len(await writer.listed(mailbox=HOSPITAL.red_list)) == 1
    tracking = await writer.get(f"/v1/messages/{sent}/tracking")
    assert {one["recipient"] for one in tracking["recipients"]} == set(recipients)
