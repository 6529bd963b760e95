"""Mailboxes, and the messages in them."""

import httpx
import pytest

from mss.model.mailbox import Flag, Folder
from tests.support.api_fakes import ANNE, LETTER_ID, MESSAGE_LIMIT, MISSING_ID, FakeServices

MESSAGES = f"/v1/mailboxes/{ANNE}/messages"


async def test_the_list_holds_every_mailbox_of_the_caller(client: httpx.AsyncClient) -> None:
    """Software finds its mailboxes here, with all that it needs to show them."""
    answer = await client.get("/v1/mailboxes")

    assert answer.json() == {
        "items": [
            {
                "address": ANNE,
                "kind": "PER",
                "display_name": "Dr Anne ESSAI-LEROUX",
                "rpps": "99900000009",
                "finess": None,
                "rights": ["read", "send"],
                "messages": 3,
                "unread": 1,
                "used_octets": 123_456,
                "quota_octets": 2_000_000,
                "size_limit_octets": MESSAGE_LIMIT,
                "opened_at": "2026-03-02T09:30:00Z",
                "is_open": True,
                "key_held_by": "server",
            }
        ]
    }


@pytest.mark.parametrize("spelling", [ANNE, ANNE.upper(), ANNE.replace("@", "%40")])
async def test_a_mailbox_is_found_by_any_spelling_of_its_address(
    client: httpx.AsyncClient, spelling: str
) -> None:
    """Case does not distinguish mailboxes, and clients differ on `@`."""
    answer = await client.get(f"/v1/mailboxes/{spelling}")

    assert (answer.status_code, answer.json()["address"]) == (200, ANNE)


@pytest.mark.parametrize(
    "address",
    ["nobody", "a@b@c.fr", "%22x%22@b.fr", "a%0d%0ab@c.fr", "é@c.fr", "x" * 300 + "@c.fr"],
)
async def test_what_is_no_address_is_no_mailbox(client: httpx.AsyncClient, address: str) -> None:
    """Not 422: the form of an address is no hint on what exists."""
    assert (await client.get(f"/v1/mailboxes/{address}")).status_code == 404


async def test_a_message_of_the_list_says_what_a_reader_needs(client: httpx.AsyncClient) -> None:
    """The prefix for software is hidden, a signature is no attachment."""
    (item,) = (await client.get(MESSAGES)).json()["items"]

    assert item == {
        "id": LETTER_ID,
        "internet_message_id": "<1@ch-demo.mssante.fr>",
        "subject": "XDM/1.0/DDM+Lettre de liaison à la sortie PAT-TROIS Dominique 15/07/1962",
        "display_subject": "Lettre de liaison à la sortie PAT-TROIS Dominique 15/07/1962",
        "author": {
            "name": "Cardiologie - CH Démo",
            "address": "sortie.cardiologie@ch-demo.mssante.fr",
        },
        "to": [{"name": "Dr Anne ESSAI-LEROUX", "address": ANNE}],
        "cc": [],
        "sent_at": "2026-03-02T09:28:00Z",
        "received_at": "2026-03-02T09:30:01Z",
        "size_octets": 123_456,
        "folder": "inbox",
        "flags": ["flagged", "seen"],
        "verdict": "valid",
        "encrypted": True,
        "encrypted_for_client": False,
        "has_documents": True,
        "documents": [],
        "attachments": 2,
        "report": None,
    }


async def test_filters_are_passed_on(client: httpx.AsyncClient, services: FakeServices) -> None:
    """Each one under its own name."""
    await client.get(
        MESSAGES, params={"folder": "sent", "unread": "true", "limit": 7, "cursor": "x"}
    )

    assert services.reading.asked == [
        {"folder": Folder.SENT, "limit": 7, "cursor": "x", "unread_only": True}
    ]


async def test_a_page_points_to_the_next_one(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """In the body and in the Link field, which keeps the filters."""
    services.reading.next_cursor = "12&x=y"
    answer = await client.get(MESSAGES, params={"unread": "true", "cursor": "20"})
    link = answer.headers["Link"]

    assert answer.json()["next"] == "12&x=y"
    assert link == f'<{MESSAGES}?unread=true&cursor=12%26x%3Dy>; rel="next"'
    assert (await client.get(link[1 : link.index(">")])).status_code == 200
    assert services.reading.asked[-1]["cursor"] == "12&x=y"


async def test_the_last_page_has_no_link(client: httpx.AsyncClient) -> None:
    """A client that follows links must come to an end."""
    answer = await client.get(MESSAGES)

    assert (answer.json()["next"], "Link" in answer.headers) == (None, False)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=many", "limit"),
        ("folder=attic", "folder"),
        ("unread=perhaps", "unread"),
        ("cursor=", "cursor"),
        ("cursor=" + "1" * 600, "cursor"),
        ("unred=true", "unred"),
    ],
)
async def test_a_wrong_filter_is_named(client: httpx.AsyncClient, query: str, field: str) -> None:
    """A misspelt filter would otherwise silently list everything."""
    answer = await client.get(f"{MESSAGES}?{query}")

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [field]


async def test_marking_answers_message_by_message(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """One message that is gone must not spoil the others."""
    wanted = {
        "ids": [LETTER_ID, MISSING_ID],
        "add_flags": ["seen"],
        "remove_flags": ["flagged"],
        "folder": "archive",
        "send_receipt": True,
    }
    answer = await client.patch(MESSAGES, json=wanted)

    assert answer.status_code == 200
    assert answer.json() == {
        "results": [
            {"id": LETTER_ID, "status": "done"},
            {"id": MISSING_ID, "status": "not-found"},
        ]
    }
    assert services.reading.asked == [
        {
            "add": frozenset({Flag.SEEN}),
            "remove": frozenset({Flag.FLAGGED}),
            "folder": Folder.ARCHIVE,
            "delete": False,
            "receipt": True,
        }
    ]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"ids": []},
        {"ids": ["1"], "delete": True},
        {"ids": [LETTER_ID]},
        {"ids": [LETTER_ID], "delete": "yes"},
        {"ids": [LETTER_ID], "delete": True, "folder": "sent"},
        {"ids": [LETTER_ID], "add_flags": ["seen"], "remove_flags": ["seen"]},
        {"ids": [LETTER_ID], "add_flags": ["burning"]},
        {"ids": [LETTER_ID], "folder": "../etc"},
        {"ids": [LETTER_ID] * 501, "delete": True},
        {"ids": [LETTER_ID], "delete": True, "Delete": True},
        [],
        "delete",
        17,
    ],
)
async def test_a_change_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, services: FakeServices, change: object
) -> None:
    """Nothing is half done: the request is refused before anything is asked."""
    answer = await client.patch(MESSAGES, json=change)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert services.reading.asked == []
