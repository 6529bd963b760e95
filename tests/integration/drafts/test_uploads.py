"""Uploads over HTTP: resumed, checked, owned, bounded, sealed and used once."""

import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy import func, select

from mss.mime.parse import parse_message, part_octets
from mss.store import tables
from tests.integration.drafts.conftest import LIMITS, Serving
from tests.support.factories import LAB, WARD
from tests.support.uploading import (
    OCTETS,
    TUS,
    begin,
    metadata,
    offset_of,
    patch,
    sha256_of,
    uploaded,
)

MIB = 1024 * 1024
MESSAGES = f"/v1/mailboxes/{WARD}/messages"


def octets_of(size: int, seed: str = "x") -> bytes:
    """Make octets that repeat nowhere."""
    return hashlib.shake_128(seed.encode()).digest(size)


async def contents(serving: Serving, upload: str) -> bytes:
    """Read an upload as the server would for a message."""
    ward = await serving.operator.log_in("ward")
    return (await serving.operator.services.uploads.load(ward, upload)).octets


async def pieces(serving: Serving) -> int:
    return await serving.operator.database.read(
        lambda c: c.execute(select(func.count()).select_from(tables.upload_piece)).scalar_one()
    )


class LineBrokenError(Exception):
    """The client went away."""


async def breaking(octets: bytes) -> AsyncIterator[bytes]:
    """Send these and go away."""
    yield octets
    raise LineBrokenError


async def test_an_upload_says_what_tus_says(serving: Serving) -> None:
    """Client libraries look at these fields and no others."""
    abilities = await serving.ward.options("/v1/uploads")
    begun = await serving.ward.post(
        "/v1/uploads",
        headers=TUS
        | {"Upload-Length": "5", "Upload-Metadata": metadata(filename="é.pdf", filetype="text/a")},
    )
    location = begun.headers["Location"]
    done = await patch(serving.ward, location.rpartition("/")[2], b"hello", offset=0)
    shown = await serving.ward.get(location, headers=TUS)

    assert abilities.status_code == 204
    assert abilities.headers["Tus-Version"] == "1.0.0"
    assert abilities.headers["Tus-Max-Size"] == str(LIMITS.upload_octets)
    assert set(abilities.headers["Tus-Extension"].split(",")) == {
        "creation", "creation-with-upload", "expiration", "checksum", "termination",
    }  # fmt: skip
    assert begun.headers["Upload-Offset"] == "0"
    assert begun.headers["Upload-Expires"].endswith("GMT")
    assert (done.status_code, done.headers["Upload-Offset"]) == (204, "5")
    assert done.headers["Tus-Resumable"] == "1.0.0"
    assert shown.json()["filename"] == "é.pdf"
    assert shown.json()["is_complete"]
    assert shown.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("first", [1, 1000, 256 * 1024, MIB - 1, MIB, MIB + 1, 2 * MIB + 7])
async def test_an_upload_is_continued_where_the_line_broke(serving: Serving, first: int) -> None:
    """Whatever arrived is kept, at any octet, and never sent again."""
    octets = octets_of(2 * MIB + 4321)
    upload = await begin(serving.ward, len(octets))

    await patch(serving.ward, upload, breaking(octets[:first]), offset=0)
    offset = await offset_of(serving.ward, upload)
    answer = await patch(serving.ward, upload, octets[offset:], offset=offset)

    assert offset == first
    assert answer.status_code == 204
    assert await contents(serving, upload) == octets


async def test_many_small_requests_leave_few_pieces(serving: Serving) -> None:
    """A client that sends an octet at a time costs no row for each."""
    octets = octets_of(40)
    upload = await begin(serving.ward, len(octets))
    sent = [
        (await patch(serving.ward, upload, octets[n : n + 1], offset=n)).status_code
        for n in range(40)
    ]

    assert set(sent) == {204}
    assert await pieces(serving) == 1
    assert await contents(serving, upload) == octets
    assert len(serving.operator.blobs.bodies) == 1


@pytest.mark.parametrize("offset", [0, 2, 4, 10**17])
async def test_octets_go_to_the_end_and_nowhere_else(serving: Serving, offset: int) -> None:
    """A request that was repeated, or overtaken, changes nothing."""
    upload = await begin(serving.ward, 10)
    await patch(serving.ward, upload, b"abc", offset=0)

    answer = await patch(serving.ward, upload, b"xyz", offset=offset)

    assert answer.status_code == 409
    assert await offset_of(serving.ward, upload) == 3


async def test_a_checksum_that_differs_keeps_nothing(serving: Serving) -> None:
    """All or nothing: the offset stays, and so does no body."""
    octets = octets_of(MIB + 10)
    upload = await begin(serving.ward, len(octets))

    wrong = await patch(
        serving.ward, upload, octets, offset=0, **{"Upload-Checksum": sha256_of(b"other")}
    )
    bodies = len(serving.operator.blobs.bodies)
    offset = await offset_of(serving.ward, upload)
    right = await patch(
        serving.ward, upload, octets, offset=0, **{"Upload-Checksum": sha256_of(octets)}
    )

    assert (wrong.status_code, wrong.json()["code"]) == (460, "checksum-differs")
    assert (bodies, offset) == (0, 0)
    assert right.status_code == 204
    assert await contents(serving, upload) == octets


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"Tus-Resumable": "0.2.2"}, 412),
        ({"Tus-Resumable": ""}, 412),
        ({"Upload-Length": "-1"}, 400),
        ({"Upload-Length": "x"}, 400),
        ({"Upload-Length": "٣"}, 400),
        ({"Upload-Length": "9" * 30}, 400),
        ({"Upload-Length": str(9 * MIB)}, 413),
        ({"Upload-Metadata": "filename *"}, 400),
        ({"Upload-Metadata": "filename YQ==,filename Yg=="}, 400),
        ({"Upload-Metadata": metadata(filename="a\r\nBcc: x")}, 422),
        ({"Upload-Metadata": metadata(filename="a" * 300)}, 422),
        ({"Upload-Metadata": metadata(filetype="text")}, 422),
        ({"Upload-Metadata": "x" * 5000}, 400),
        ({"Upload-Checksum": "crc32 AAAA"}, 400),
        ({"Upload-Checksum": "sha256 AAAA"}, 400),
        ({"Content-Type": "application/octet-stream"}, 415),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_beginning_that_cannot_be_read_is_refused(
    serving: Serving, fields: dict[str, str], status: int
) -> None:
    """Each with its own status, and nothing begun."""
    given = {**TUS, "Upload-Length": "5", **fields}
    headers = [(name.encode(), value.encode("utf-8")) for name, value in given.items()]
    answer = await serving.ward.post("/v1/uploads", headers=headers)
    count = await serving.operator.database.read(
        lambda c: c.execute(select(func.count()).select_from(tables.upload)).scalar_one()
    )

    assert answer.status_code == status
    assert count == 0


async def test_more_than_was_announced_is_refused(serving: Serving) -> None:
    """And the upload can still be finished."""
    upload = await begin(serving.ward, 5)

    answer = await patch(serving.ward, upload, b"123456", offset=0)

    assert answer.status_code == 413
    assert await offset_of(serving.ward, upload) == 0
    assert (await patch(serving.ward, upload, b"12345", offset=0)).status_code == 204


async def test_uploads_of_one_account_have_a_bound_together(serving: Serving) -> None:
    """What was announced counts, and is given back with the upload."""
    first = await begin(serving.ward, 8 * MIB)
    second = await serving.ward.post("/v1/uploads", headers=TUS | {"Upload-Length": str(5 * MIB)})
    other = await begin(serving.lab, 8 * MIB)
    await serving.ward.delete(f"/v1/uploads/{first}", headers=TUS)

    assert (second.status_code, second.json()["code"]) == (507, "uploads-full")
    assert other
    assert await begin(serving.ward, 8 * MIB)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PATCH", "DELETE"])
async def test_an_upload_does_not_exist_for_others(serving: Serving, method: str) -> None:
    """The same answer as for one that never was."""
    upload = await begin(serving.ward, 5)
    headers = TUS | OCTETS | {"Upload-Offset": "0"}

    answers = [
        await serving.lab.request(method, f"/v1/uploads/{one}", headers=headers)
        for one in (upload, "0" * 32, "x")
    ]
    bodies = [one.content for one in answers]

    assert [one.status_code for one in answers] == [404] * 3
    assert bodies[0] == bodies[1] == bodies[2]
    assert await offset_of(serving.ward, upload) == 0


async def test_an_upload_is_over_after_its_time(serving: Serving) -> None:
    """Its room is given back by the worker, bodies and rows."""
    upload = await uploaded(serving.ward, b"hello")
    serving.operator.clock.advance(days=2)

    before = await serving.ward.head(f"/v1/uploads/{upload}", headers=TUS)
    await serving.operator.services.uploads.forget_expired()

    assert before.status_code == 404
    assert not serving.operator.blobs.bodies
    assert await pieces(serving) == 0


async def test_the_sweeper_leaves_uploads_alone(serving: Serving) -> None:
    """They are bodies that no message refers to, and not orphans."""
    upload = await uploaded(serving.ward, b"hello")
    serving.operator.clock.advance(hours=7)

    await serving.operator.work()

    assert await contents(serving, upload) == b"hello"


async def test_an_upload_is_sent_and_gone(serving: Serving) -> None:
    """By its identifier in a JSON draft, under another name if wanted; used once."""
    octets = octets_of(MIB)
    upload = await uploaded(serving.ward, octets, filename="a.bin", filetype="image/png")
    draft = {"to": [LAB], "attachments": [{"upload": upload, "filename": "é.png"}]}

    sent = await serving.ward.post(MESSAGES, json=draft, headers={"Idempotency-Key": "k"})
    again = await serving.ward.post(MESSAGES, json=draft, headers={"Idempotency-Key": "k"})
    other = await serving.ward.post(MESSAGES, json=draft)
    raw = await serving.ward.get(f"/v1/messages/{sent.json()['id']}/raw")
    letter = parse_message(raw.content)
    part = next(one for one in letter.parts() if one.filename == "é.png")

    assert sent.status_code == 202
    assert again.json()["id"] == sent.json()["id"]
    assert other.status_code == 404
    assert part.content_type == "image/png"
    assert part_octets(letter.raw, part) == octets
    assert await pieces(serving) == 0


async def test_a_message_that_is_refused_leaves_its_upload(serving: Serving) -> None:
    """The sender corrects the address and sends again."""
    upload = await uploaded(serving.ward, b"hello", filename="a.txt")
    draft = {"to": ["nobody@ch-demo.mssante.fr"], "attachments": [{"upload": upload}]}

    refused = await serving.ward.post(MESSAGES, json=draft)
    sent = await serving.ward.post(MESSAGES, json=draft | {"to": [LAB]})

    assert refused.status_code == 422
    assert sent.status_code == 202


@pytest.mark.parametrize(
    ("size", "received", "code"),
    [(10, 5, "upload-incomplete"), (4 * MIB, 4 * MIB, "message-too-large")],
)
async def test_what_cannot_be_sent_is_said_before_it_is_read(
    serving: Serving, size: int, received: int, code: str
) -> None:
    """Half a file, or one that no message can carry."""
    upload = await begin(serving.ward, size)
    await patch(serving.ward, upload, bytes(received), offset=0)

    answer = await serving.ward.post(
        MESSAGES, json={"to": [LAB], "attachments": [{"upload": upload}]}
    )

    assert answer.json()["code"] == code


async def test_an_empty_file_is_a_file(serving: Serving) -> None:
    """Nothing to send, and complete at once."""
    upload = await begin(serving.ward, 0)

    answer = await serving.ward.post(
        MESSAGES, json={"to": [LAB], "attachments": [{"upload": upload}]}
    )

    assert answer.status_code == 202


async def test_nobody_sends_the_upload_of_another(serving: Serving) -> None:
    """An identifier that leaked opens nothing."""
    upload = await uploaded(serving.ward, b"hello")

    answer = await serving.lab.post(
        f"/v1/mailboxes/{LAB}/messages", json={"to": [WARD], "attachments": [{"upload": upload}]}
    )

    assert answer.status_code == 404


async def test_without_a_token_nothing_is_told(serving: Serving) -> None:
    """Not even whether an upload exists."""
    upload = await begin(serving.ward, 5)
    async with httpx.AsyncClient(
        transport=serving.ward._transport,
        base_url="https://api.test",
    ) as stranger:
        answer = await stranger.get(f"/v1/uploads/{upload}", headers=TUS)

    assert answer.status_code == 401
