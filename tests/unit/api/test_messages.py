"""Reading one message: described, raw, by parts, by documents, and its timeline."""

from dataclasses import replace

import httpx
import pytest

from api.downloads import safe_name
from mss.mailboxes.documents import DocumentForm
from mss.mailboxes.reading import PartContent
from tests.support.api_fakes import (
    CDA,
    DOCUMENT_FORMS,
    LETTER_ID,
    MISSING_ID,
    PAGE,
    PDF,
    RAW,
    WARD,
    FakeServices,
    a_letter,
)

LETTER = f"/v1/messages/{LETTER_ID}"


async def test_a_message_says_what_its_protection_was_worth(client: httpx.AsyncClient) -> None:
    """The verdict of its arrival, with who signed and how that is known."""
    security = (await client.get(LETTER)).json()["security"]

    assert security["verdict"] == "valid"
    assert security["signer"] == "CH DEMO"
    assert security["binding"] == "operator"
    assert security["content_algorithm"] == "aes-256-gcm"


async def test_a_message_links_to_everything_that_hangs_on_it(client: httpx.AsyncClient) -> None:
    """Each link can be followed as it is."""
    message = (await client.get(LETTER)).json()
    links = [*message["links"].values(), message["parts"][2]["href"]]

    assert [(await client.get(link)).status_code for link in links] == [200] * 4


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        ("XDM/1.0/DDM+CR imagerie", "CR imagerie"),
        ("xdm/1.0/ddm+ CR imagerie", "CR imagerie"),
        ("Re: XDM/1.0/DDM+CR", "Re: XDM/1.0/DDM+CR"),
        ("XDM/1.0/DDM CR", "XDM/1.0/DDM CR"),
        ("", ""),
    ],
)
async def test_only_the_national_prefix_is_hidden(
    client: httpx.AsyncClient, services: FakeServices, subject: str, shown: str
) -> None:
    """ECO.3.1.3: it is for software; everything else is the author's."""
    services.reading.letters[LETTER_ID] = a_letter(subject=subject)
    message = (await client.get(LETTER)).json()

    assert (message["subject"], message["display_subject"]) == (subject, shown)


@pytest.mark.parametrize(
    "path", ["", "/raw", "/parts/3", "/documents", "/documents/1", "/tracking"]
)
@pytest.mark.parametrize("message_id", [MISSING_ID, "1", "A" * 32, "..%2f..", "%00", "é"])
async def test_a_message_that_is_not_there_is_not_found(
    client: httpx.AsyncClient, message_id: str, path: str
) -> None:
    """Whether its identifier could exist makes no difference."""
    answer = await client.get(f"/v1/messages/{message_id}{path}")

    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


async def test_the_raw_message_arrives_octet_for_octet(client: httpx.AsyncClient) -> None:
    """A signature is worth nothing after one changed octet."""
    answer = await client.get(f"{LETTER}/raw")

    assert answer.content == RAW
    assert answer.headers["Content-Type"] == "message/rfc822"
    assert f"message-{LETTER_ID}.eml" in answer.headers["Content-Disposition"]


async def test_a_part_is_a_file_to_save_and_nothing_to_run(client: httpx.AsyncClient) -> None:
    """What strangers send must never act in a reader's browser."""
    answer = await client.get(f"{LETTER}/parts/3")

    assert answer.content == PDF
    assert answer.headers["Content-Type"] == "application/pdf"
    assert answer.headers["Content-Disposition"] == (
        "attachment; filename=\"lettre e.pdf\"; filename*=UTF-8''lettre%20%C3%A9.pdf"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "path", ["9", "0", "1.0", "01", "1.", "x", "-1", "1" * 9, "1.2" * 60, "%2e"]
)
async def test_a_part_that_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    """A path is digits and dots; anything else names nothing."""
    assert (await client.get(f"{LETTER}/parts/{path}")).status_code == 404


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html\r\nSet-Cookie: a=b",
        "text/html, text/xml",
        "nonsense",
        "",
        "text/plain; charset=utf-8; x=\x00",
        "text/é",
        "a" * 300 + "/b",
    ],
)
async def test_a_hostile_media_type_is_not_repeated(
    client: httpx.AsyncClient, services: FakeServices, content_type: str
) -> None:
    """It comes from the mail; a line end inside would split our answer."""
    services.reading.part = PartContent(content_type=content_type, filename="a", octets=b"x")
    answer = await client.get(f"{LETTER}/parts/3")

    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert "Set-Cookie" not in answer.headers


async def test_the_character_set_of_a_text_is_passed_on(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """Octets are sent as they are, so their reader must know what they mean."""
    services.reading.part = PartContent(
        content_type="text/plain; charset=iso-8859-15", filename="a.txt", octets=b"\xe9"
    )
    answer = await client.get(f"{LETTER}/parts/3")

    assert answer.headers["Content-Type"] == "text/plain; charset=iso-8859-15"


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("CR d'imagerie médicale.pdf", "CR d'imagerie médicale.pdf"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..\\..\\evil.exe", "_.._evil.exe"),
        ('a"b;c=d.pdf', "a_b;c=d.pdf"),
        ("a\r\nSet-Cookie: x=y", "aSet-Cookie_ x=y"),
        ("photo\u202efdp.exe", "photofdp.exe"),
        ("a\x00b\u2028c", "abc"),
        (". .hidden. ", "hidden"),
        ("e\u0301.pdf", "é.pdf"),
        ("", ""),
        ("///", "___"),
        ("é" * 300 + ".pdf", "é" * 98 + ".pdf"),
        ("x" * 300, "x" * 200),
    ],
)
def test_a_file_name_keeps_only_what_cannot_mislead(name: str, kept: str) -> None:
    """Neither a path, nor a field of ours, nor a reversed extension."""
    assert safe_name(name) == kept


async def test_a_part_without_a_usable_name_gets_one(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """Archives without Content-Disposition are seen in the wild."""
    services.reading.part = PartContent(content_type="a/b", filename="\u202e", octets=b"x")
    answer = await client.get(f"{LETTER}/parts/3")

    assert 'filename="part-3"' in answer.headers["Content-Disposition"]


async def test_documents_describe_themselves(client: httpx.AsyncClient) -> None:
    """Type, patient, author: what software needs to file a letter."""
    documents = (await client.get(f"{LETTER}/documents")).json()
    (document,) = documents["items"]

    assert document["type_code"] == "34105-7"
    assert document["patient"]["ins"] == "260019999999958"
    assert document["authors"] == [{"name": "Dr Paul TEST", "organization": "CH DEMO"}]
    assert document["href"] == f"{LETTER}/documents/1"
    assert document["links"] == {
        "xml": f"{LETTER}/documents/1/xml",
        "html": f"{LETTER}/documents/1/html",
        "pdf": f"{LETTER}/documents/1/pdf",
        "file": None,
    }
    assert document["replaces"] == [
        {"message": MISSING_ID, "number": 2, "href": f"/v1/messages/{MISSING_ID}/documents/2"}
    ]
    assert (document["replaced_by"], document["duplicate_of"]) == ([], None)
    assert documents["findings"] == [
        {
            "code": "ins-key",
            "severity": "warning",
            "text": "The key is wrong.",
            "text_fr": "La clé est fausse.",
            "where": "INS",
            "next_step": "",
            "next_step_fr": "",
        }
    ]


@pytest.mark.parametrize(
    ("query", "accept", "octets"),
    [
        ("", "*/*", CDA),
        ("?form=pdf", "*/*", PDF),
        ("?form=xml", "application/pdf", CDA),
        ("", "application/pdf", PDF),
        ("", "text/xml", CDA),
        ("", "text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8", PAGE),
        ("?form=html", "*/*", PAGE),
        ("", "application/pdf;q=0.4, application/xml;q=0.5", CDA),
        ("", "application/pdf, */*;q=0.1", PDF),
        ("", "APPLICATION/*", CDA),
        ("", "application/xml;q=0, */*", CDA),  # text/xml is still welcome
        ("", "text/*;q=0, application/pdf;q=0.001, application/xml;q=0", PDF),
    ],
)
async def test_a_document_comes_in_the_form_that_is_asked_for(
    client: httpx.AsyncClient, query: str, accept: str, octets: bytes
) -> None:
    """The address decides, then the Accept field, most specific range first."""
    answer = await client.get(f"{LETTER}/documents/1{query}", headers={"Accept": accept})

    assert (answer.status_code, answer.content) == (200, octets)


@pytest.mark.parametrize("accept", ["application/json", "*/*;q=0", ";;;", "a" * 3000, "*/*;q=2"])
async def test_a_document_has_no_other_form(client: httpx.AsyncClient, accept: str) -> None:
    """406 rather than octets that the client said it cannot read."""
    answer = await client.get(f"{LETTER}/documents/1", headers={"Accept": accept})

    assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")


@pytest.mark.parametrize(
    ("path", "status"),
    [("1?form=doc", 422), ("0", 422), ("x", 422), ("2", 404), ("9" * 40, 422), ("1?from=pdf", 200)],
)
async def test_a_document_that_cannot_be_is_refused(
    client: httpx.AsyncClient, path: str, status: int
) -> None:
    """Numbers count from 1."""
    assert (await client.get(f"{LETTER}/documents/{path}")).status_code == status


@pytest.mark.parametrize("form", ["xml", "pdf", "html", "file"])
async def test_each_form_has_its_own_address(client: httpx.AsyncClient, form: DocumentForm) -> None:
    """A page cannot choose its Accept field; a link can."""
    kind, octets = DOCUMENT_FORMS[form]
    answer = await client.get(f"{LETTER}/documents/1/{form}")

    assert (answer.status_code, answer.content) == (200, octets)
    assert answer.headers["Content-Type"] == kind


async def test_the_page_of_a_document_is_shown_and_can_do_nothing(
    client: httpx.AsyncClient,
) -> None:
    """In a sandbox of its own: no script, no form, nothing fetched, no frame around it."""
    answer = await client.get(f"{LETTER}/documents/1/html")

    policy = answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Disposition"] == "inline"
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert policy.endswith("frame-ancestors 'none'; sandbox")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["Cache-Control"] == "no-store"


async def test_markup_of_a_sender_is_saved_never_shown(client: httpx.AsyncClient) -> None:
    """A body may call itself a page."""
    answer = await client.get(f"{LETTER}/documents/1/file")

    assert answer.headers["Content-Disposition"].startswith("attachment;")
    assert answer.headers["Content-Security-Policy"].endswith("sandbox")


@pytest.mark.parametrize(
    ("known", "status"),
    [("{tag}", 304), ('"other", W/{tag}', 304), ("*", 304), ('"other"', 200), ("", 200)],
)
async def test_octets_that_are_known_are_not_sent_again(
    client: httpx.AsyncClient, known: str, status: int
) -> None:
    """Documents do not change; software that asks again is told so."""
    tag = (await client.get(f"{LETTER}/documents/1/pdf")).headers["ETag"]
    headers = {"If-None-Match": known.format(tag=tag)}
    answer = await client.get(f"{LETTER}/documents/1/pdf", headers=headers)

    assert (answer.status_code, answer.headers["ETag"]) == (status, tag)
    assert answer.content == (PDF if status == 200 else b"")


async def test_the_timeline_tells_each_station(client: httpx.AsyncClient) -> None:
    """The sender sees what became of the letter, recipient by recipient."""
    answer = await client.get(f"{LETTER}/tracking")

    assert answer.json() == {
        "id": LETTER_ID,
        "recipients": [
            {
                "recipient": WARD,
                "state": "relayed",
                "events": [
                    {
                        "at": "2026-03-02T09:30:00Z",
                        "station": "accepted",
                        "code": None,
                        "detail": None,
                        "host": None,
                    },
                    {
                        "at": "2026-03-02T09:30:00Z",
                        "station": "relayed",
                        "code": None,
                        "detail": "250 2.0.0 taken",
                        "host": None,
                    },
                ],
            }
        ],
    }


async def test_a_sender_without_a_copy_still_sees_the_message(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """Then there is no folder, and the time of acceptance stands for that of receipt."""
    letter = services.reading.letters[LETTER_ID]
    services.reading.letters[LETTER_ID] = replace(letter, deposits=())
    services.reading.shows_everything = True
    message = (await client.get(LETTER)).json()

    assert (message["folder"], message["flags"], message["deposits"]) == (None, [], [])
    assert message["received_at"] == "2026-03-02T09:30:00Z"
