"""Drafts over HTTP: kept, changed by version, sent once, at once or at their hour."""

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from directory.address import MailAddress
from mss.mime.parse import parse_message, part_octets
from mss.model.principal import Right
from mss.store import tables
from tests.integration.drafts.conftest import Serving
from tests.support.factories import GP, LAB, WARD
from tests.support.uploading import TUS, begin, offset_of, patch, uploaded

DRAFTS = f"/v1/mailboxes/{WARD}/drafts"
WORDS: dict[str, Any] = {"to": [LAB], "subject": "Résultats de Mme ESSAI", "text": "Bonjour"}


async def a_draft(client: httpx.AsyncClient, **more: object) -> dict[str, Any]:
    """Keep a draft."""
    answer = await client.post(DRAFTS, json=WORDS | more)
    assert answer.status_code == 201, answer.text
    kept: dict[str, Any] = answer.json()
    return kept


async def count(serving: Serving, table: Any) -> int:
    return await serving.operator.database.read(
        lambda c: c.execute(select(func.count()).select_from(table)).scalar_one()
    )


async def test_a_draft_reads_back_as_it_was_written(serving: Serving) -> None:
    """Every field, for whoever goes on writing."""
    upload = await uploaded(serving.ward, b"hello", filename="a.txt")
    words = WORDS | {
        "cc": [f"Anne <{GP}>"],
        "bcc": ["someone"],
        "html": "<p>é</p>",
        "reply_to": [WARD],
        "in_reply_to": "<1@x>",
        "references": ["<0@x>"],
        "request_read_receipt": True,
        "request_delivery_receipt": True,
        "closes_conversation": True,
        "headers": {"X-MSS-NIL": "N"},
    }
    made = await serving.ward.post(
        DRAFTS, json=words | {"attachments": [{"upload": upload, "filename": "b.txt"}]}
    )
    shown = await serving.ward.get(made.headers["Location"])
    listed = await serving.ward.get(DRAFTS)

    assert shown.headers["ETag"] == made.headers["ETag"] == '"1"'
    assert shown.json() | words == shown.json()
    assert shown.json()["attachments"] == [
        {"upload": upload, "filename": "b.txt", "content_type": ""}
    ]
    assert (shown.json()["folder"], shown.json()["state"]) == ("drafts", "open")
    assert listed.json()["items"] == [shown.json()]


async def test_drafts_are_sealed(serving: Serving) -> None:
    """Neither words nor names of files are in the database in clear."""
    upload = await uploaded(serving.ward, b"contents", filename="patientesse.pdf")
    await a_draft(serving.ward, attachments=[{"upload": upload}])
    rows = await serving.operator.database.read(
        lambda c: [*c.execute(select(tables.draft)), *c.execute(select(tables.upload))]
    )

    assert "ESSAI" not in str(rows)
    assert "patientesse" not in str(rows)


async def test_a_change_for_an_older_version_is_refused(serving: Serving) -> None:
    """Two windows write the same draft: the second is told, and nothing is lost."""
    where = f"{DRAFTS}/{(await a_draft(serving.ward))['id']}"
    first = await serving.ward.put(where, json=WORDS | {"text": "1"}, headers={"If-Match": '"1"'})
    second = await serving.ward.put(where, json=WORDS | {"text": "2"}, headers={"If-Match": '"1"'})
    gone = await serving.ward.delete(where, headers={"If-Match": '"1"'})
    sent = await serving.ward.post(f"{where}/send", headers={"If-Match": '"1"'})

    assert first.headers["ETag"] == '"2"'
    assert [one.status_code for one in (first, second, gone, sent)] == [200, 412, 412, 412]
    assert second.json()["code"] == "version-differs"
    assert (await serving.ward.get(where)).json()["text"] == "1"


@pytest.mark.parametrize(
    ("tag", "status"),
    [("*", 200), ('"0"', 412), ('"abc"', 412), ('""', 412), ("1", 400), ('W/"1"', 400), ('"', 400)],
)
async def test_tags_are_read_strictly(serving: Serving, tag: str, status: int) -> None:
    """A tag that is none of ours matches nothing; what is no tag is an error."""
    where = f"{DRAFTS}/{(await a_draft(serving.ward))['id']}"

    answer = await serving.ward.put(where, json=WORDS, headers={"If-Match": tag})

    assert answer.status_code == status


async def test_of_many_changes_at_once_one_wins(serving: Serving) -> None:
    """Autosave in ten windows."""
    where = f"{DRAFTS}/{(await a_draft(serving.ward))['id']}"

    answers = await asyncio.gather(
        *(serving.ward.put(where, json=WORDS, headers={"If-Match": '"1"'}) for _ in range(10))
    )

    assert sorted(one.status_code for one in answers) == [200] + [412] * 9


async def test_a_draft_is_sent_once_however_often_that_is_asked(serving: Serving) -> None:
    """At the same moment, without any key: one message, and everybody is told its name."""
    upload = await uploaded(serving.ward, b"hello", filename="a.txt", filetype="text/plain")
    made = await a_draft(serving.ward, attachments=[{"upload": upload}], closes_conversation=True)
    where = f"{DRAFTS}/{made['id']}"

    answers = await asyncio.gather(*(serving.ward.post(f"{where}/send") for _ in range(10)))
    later = await serving.ward.post(f"{where}/send")
    (sent,) = {one.json()["id"] for one in (*answers, later)}
    raw = (await serving.ward.get(f"/v1/messages/{sent}/raw")).content
    letter = parse_message(raw)
    part = next(one for one in letter.parts() if one.filename == "a.txt")

    assert {one.status_code for one in (*answers, later)} == {202}
    assert await count(serving, tables.message) == 1
    assert letter.mss_fields == {"X-MSS-MES": "FIN"}
    assert part_octets(raw, part) == b"hello"
    assert (await serving.ward.get(where)).status_code == 404
    assert (await serving.ward.get(DRAFTS)).json()["items"] == []
    assert await count(serving, tables.upload) == 0
    assert (await serving.ward.put(where, json=WORDS)).status_code == 409


async def test_a_draft_that_cannot_be_sent_stays(serving: Serving) -> None:
    """With its files, to be mended."""
    upload = await uploaded(serving.ward, b"hello", filename="a.txt")
    made = await a_draft(
        serving.ward, to=["nobody@ch-demo.mssante.fr"], attachments=[{"upload": upload}]
    )
    where = f"{DRAFTS}/{made['id']}"

    answer = await serving.ward.post(f"{where}/send")

    assert answer.status_code == 422
    assert (await serving.ward.get(where)).json() == made
    assert await count(serving, tables.upload) == 1


async def test_files_live_as_long_as_their_draft(serving: Serving) -> None:
    """Uploads expire, and those of a draft with it only."""
    kept, dropped = [await uploaded(serving.ward, b"hello", filename=n) for n in ("a", "b")]
    made = await a_draft(serving.ward, attachments=[{"upload": kept}, {"upload": dropped}])
    where = f"{DRAFTS}/{made['id']}"
    await serving.ward.put(where, json=WORDS | {"attachments": [{"upload": kept}]})
    serving.operator.clock.advance(days=3)
    await serving.operator.services.uploads.forget_expired()

    assert await offset_of(serving.ward, kept) == 5
    assert (await serving.ward.head(f"/v1/uploads/{dropped}", headers=TUS)).status_code == 404
    assert (await serving.ward.delete(where)).status_code == 204
    assert not serving.operator.blobs.bodies


async def test_a_file_belongs_to_one_draft(serving: Serving) -> None:
    """Whichever is sent first would leave the other without."""
    upload = await uploaded(serving.ward, b"hello")
    await a_draft(serving.ward, attachments=[{"upload": upload}])

    answer = await serving.ward.post(DRAFTS, json=WORDS | {"attachments": [{"upload": upload}]})

    assert answer.status_code == 404


async def test_a_draft_is_sent_at_its_hour(serving: Serving) -> None:
    """Not before; and it can be changed to another hour until then."""
    made = await a_draft(serving.ward)
    where = f"{DRAFTS}/{made['id']}"
    at = serving.operator.clock.advance(seconds=1)
    hour = at.replace(microsecond=0).isoformat()
    over = await serving.ward.post(f"{where}/send", json={"send_at": hour})
    serving.operator.clock.advance(hours=-1)
    waiting = await serving.ward.post(f"{where}/send", json={"send_at": hour})
    change = await serving.ward.put(where, json=WORDS)
    await serving.operator.work()
    early = await count(serving, tables.message)
    serving.operator.clock.advance(hours=2)
    await serving.operator.work()
    sent = await serving.ward.post(f"{where}/send")

    assert over.status_code == 422
    assert (waiting.status_code, waiting.json()["state"]) == (200, "scheduled")
    assert change.status_code == 409
    assert early == 0
    assert await count(serving, tables.message) == 1
    assert sent.json()["is_repeat"]


async def scheduled(serving: Serving, **more: object) -> str:
    """Keep a draft that waits for the next hour."""
    where = f"{DRAFTS}/{(await a_draft(serving.ward, **more))['id']}"
    at = serving.operator.clock.now().replace(microsecond=0)
    hour = at.isoformat().replace("+00:00", "-01:00")
    answer = await serving.ward.post(f"{where}/send", json={"send_at": hour})
    assert answer.status_code == 200, answer.text
    return where


async def test_sending_is_cancelled_before_the_hour(serving: Serving) -> None:
    """And not after: then it was handed over."""
    where = await scheduled(serving)
    back = await serving.ward.delete(f"{where}/schedule")
    serving.operator.clock.advance(hours=2)
    await serving.operator.work()
    kept = await serving.ward.get(where)
    sent = await serving.ward.post(f"{where}/send")
    late = await serving.ward.delete(f"{where}/schedule")

    assert (back.json()["state"], back.json()["send_at"]) == ("open", None)
    assert kept.json()["state"] == "open"
    assert sent.status_code == 202
    assert not sent.json()["is_repeat"]
    assert late.status_code == 409


async def test_cancelling_and_handing_over_at_once_have_one_outcome(serving: Serving) -> None:
    """Either it was taken back, and is a draft; or it was sent, and the answer says so."""
    where = await scheduled(serving)
    serving.operator.clock.advance(hours=2)

    back, _ = await asyncio.gather(
        serving.ward.delete(f"{where}/schedule"), serving.operator.services.drafts.send_due()
    )

    was_sent = await count(serving, tables.message) == 1
    assert back.status_code == (409 if was_sent else 200)


async def test_what_cannot_be_sent_at_its_hour_says_why(serving: Serving) -> None:
    """The recipient is gone by then; the draft can be mended."""
    where = await scheduled(serving, to=["nobody@ch-demo.mssante.fr"])
    serving.operator.clock.advance(hours=2)
    await serving.operator.work()
    failed = (await serving.ward.get(where)).json()
    mended = await serving.ward.put(where, json=WORDS)
    sent = await serving.ward.post(f"{where}/send")

    assert (failed["state"], failed["code"]) == ("failed", "recipient-unknown")
    assert (mended.json()["state"], mended.json()["code"]) == ("open", None)
    assert sent.status_code == 202


async def test_rights_are_those_of_the_hour(serving: Serving) -> None:
    """Whoever lost the mailbox meanwhile sends nothing from it any more."""
    await scheduled(serving)
    await serving.operator.services.mailboxes.delegate(
        MailAddress.parse(WARD), "ward", frozenset({Right.READ})
    )
    serving.operator.clock.advance(hours=2)
    await serving.operator.services.drafts.send_due()

    assert await count(serving, tables.message) == 0


@pytest.mark.parametrize(
    "wanted",
    [{"send_at": "2020-01-01T00:00:00Z"}, {"send_at": "2999-01-01T00:00:00Z"},
     {"send_at": "2026-03-02T08:00:00"}, {"send_at": 17}, {"send_at": "x"}, {"other": 1}],
    ids=str,
)  # fmt: skip
async def test_an_hour_that_makes_no_sense_is_refused(
    serving: Serving, wanted: dict[str, object]
) -> None:
    """Past, too far, without an offset, or no hour at all."""
    made = await a_draft(serving.ward)

    answer = await serving.ward.post(f"{DRAFTS}/{made['id']}/send", json=wanted)

    assert answer.status_code == 422


async def test_half_a_file_is_not_scheduled(serving: Serving) -> None:
    """It may be in a draft meanwhile, and is missed now rather than at the hour."""
    upload = await begin(serving.ward, 5)
    made = await a_draft(serving.ward, attachments=[{"upload": upload}])
    where, hour = f"{DRAFTS}/{made['id']}/send", {"send_at": "2026-03-02T08:00:00-12:00"}
    hour["send_at"] = serving.operator.clock.now().isoformat().replace("+00:00", "-01:00")
    early = await serving.ward.post(where, json=hour)
    await patch(serving.ward, upload, b"hello", offset=0)
    then = await serving.ward.post(where, json=hour)

    assert early.json()["code"] == "upload-incomplete"
    assert then.status_code == 200


async def test_a_mailbox_has_so_many_drafts(serving: Serving) -> None:
    """And pages of them that never shift."""
    made = [(await a_draft(serving.ward))["id"] for _ in range(3)]
    full = await serving.ward.post(DRAFTS, json=WORDS)
    first = await serving.ward.get(DRAFTS, params={"limit": 2})
    await serving.ward.delete(f"{DRAFTS}/{made[2]}")
    second = await serving.ward.get(first.headers["Link"].split("<")[1].split(">")[0])

    assert full.status_code == 507
    assert [one["id"] for one in first.json()["items"]] == [made[2], made[1]]
    assert [one["id"] for one in second.json()["items"]] == [made[0]]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("POST", ""), ("GET", "/{id}"), ("PUT", "/{id}"), ("DELETE", "/{id}"),
     ("POST", "/{id}/send"), ("DELETE", "/{id}/schedule")],
)  # fmt: skip
async def test_drafts_of_others_do_not_exist(serving: Serving, method: str, path: str) -> None:
    """Not in their mailbox, not through one's own; the same words as for nothing at all."""
    made = await a_draft(serving.ward)
    here = path.format(id=made["id"])
    body = WORDS if (method, path) in {("POST", ""), ("PUT", "/{id}")} else None

    theirs = await serving.lab.request(method, DRAFTS + here, json=body)
    nobodys = await serving.lab.request(
        method, f"/v1/mailboxes/nobody@ch-demo.mssante.fr/drafts{here}", json=body
    )

    assert theirs.status_code == 404
    assert theirs.json() == nobodys.json()
    assert (await serving.ward.get(f"{DRAFTS}/{made['id']}")).json() == made
    assert (await serving.lab.get(f"/v1/mailboxes/{LAB}/drafts/{made['id']}")).status_code == 404
