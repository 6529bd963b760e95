"""Sending a message in each of its forms, and what is refused before it is one."""

import base64
import json
from typing import Any

import httpx
import pytest

from mss import errors
from mss.mailboxes.drafting import OutgoingAttachment
from mss.mime.errors import MessageSyntaxError
from tests.support.api_fakes import (
    ANNE,
    LETTER_ID,
    MESSAGE_LIMIT,
    NOW,
    PDF,
    RAW,
    WARD,
    FakeServices,
)

MESSAGES = f"/v1/mailboxes/{ANNE}/messages"
DRAFT: dict[str, Any] = {
    "to": [f"Cardiologie <{WARD}>"],
    "cc": ["cc@ch-demo.mssante.fr"],
    "bcc": ["bcc@ch-demo.mssante.fr"],
    "subject": "Réponse à la lettre de liaison",
    "text": "Bonjour,\r\nmerci.\n",
    "html": "<p>Bonjour</p>",
    "reply_to": [ANNE],
    "in_reply_to": "<1@ch-demo.mssante.fr>",
    "references": ["<0@ch-demo.mssante.fr>", "<1@ch-demo.mssante.fr>"],
    "request_read_receipt": True,
    "request_delivery_receipt": True,
    "attachments": [
        {
            "filename": "été.pdf",
            "content_type": "application/pdf",
            "content": base64.b64encode(PDF).decode(),
        }
    ],
    "headers": {"X-MSS-NIL": "DEV935997"},
}


async def test_a_sent_message_is_accepted_and_can_be_followed(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """202 means: durable, one delivery per recipient, here is where to look."""
    answer = await client.post(MESSAGES, json=DRAFT, headers={"Idempotency-Key": "visit-17"})

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/messages/{LETTER_ID}"
    assert answer.json() == {
        "id": LETTER_ID,
        "internet_message_id": "<1@cabinets-demo.mssante.fr>",
        "accepted_at": NOW.isoformat().replace("+00:00", "Z"),
        "deliveries": [{"recipient": WARD, "state": "queued"}],
        "is_repeat": False,
        "tracking": f"/v1/messages/{LETTER_ID}/tracking",
    }
    assert services.drafting.keys == ["visit-17"]
    assert (await client.get(answer.json()["tracking"])).status_code == 200


async def test_every_field_of_a_draft_arrives(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """Nothing is dropped, renamed or reordered on the way in."""
    await client.post(MESSAGES, json=DRAFT)
    (draft,) = services.drafting.sent

    assert (list(draft.to), list(draft.cc), list(draft.bcc)) == (
        DRAFT["to"],
        DRAFT["cc"],
        DRAFT["bcc"],
    )
    assert (draft.subject, draft.text, draft.html) == (
        DRAFT["subject"],
        DRAFT["text"],
        DRAFT["html"],
    )
    assert (list(draft.reply_to), draft.in_reply_to) == (DRAFT["reply_to"], DRAFT["in_reply_to"])
    assert list(draft.references) == DRAFT["references"]
    assert draft.request_read_receipt
    assert draft.request_delivery_receipt
    assert draft.headers == (("X-MSS-NIL", "DEV935997"),)
    assert draft.attachments == (
        OutgoingAttachment(filename="été.pdf", content_type="application/pdf", octets=PDF),
    )


async def test_a_form_brings_files_as_octets(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """Two files may have the same name; what is inside is not looked at."""
    tricky = b"\r\n--boundary\r\n\x00" + PDF
    files: list[tuple[str, tuple[str | None, str | bytes, str]]] = [
        ("draft", (None, json.dumps({"to": [WARD]}), "application/json")),
        ("file", ("IHE_XDM.ZIP", tricky, "application/zip")),
        ("file", ("IHE_XDM.ZIP", b"", "application/zip")),
    ]
    answer = await client.post(MESSAGES, files=files)
    (draft,) = services.drafting.sent

    assert answer.status_code == 202
    assert draft.attachments == (
        OutgoingAttachment(filename="IHE_XDM.ZIP", content_type="application/zip", octets=tricky),
        OutgoingAttachment(filename="IHE_XDM.ZIP", content_type="application/zip", octets=b""),
    )


async def test_a_complete_message_is_passed_on_octet_for_octet(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """Software that writes mail itself may have signed it."""
    headers = {"Content-Type": "message/rfc822"}
    answer = await client.post(MESSAGES, content=RAW, headers=headers)

    assert answer.status_code == 202
    assert services.drafting.raw == [(RAW, None)]


async def test_the_recipients_of_a_complete_message_can_be_given(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """The envelope, as in SMTP, need not be what the header says."""
    headers = {"Content-Type": "message/rfc822"}
    params = {"recipient": [WARD, ANNE]}
    await client.post(MESSAGES, content=RAW, headers=headers, params=params)

    assert services.drafting.raw == [(RAW, (WARD, ANNE))]


@pytest.mark.parametrize("splitter", ["\r\n", "\n", "\r", "\x00", "\u2028", "\u2029", "\x85"])
@pytest.mark.parametrize(
    ("field", "named"),
    [
        ("subject", "subject"),
        ("to", "to.0"),
        ("cc", "cc.0"),
        ("bcc", "bcc.0"),
        ("reply_to", "reply_to.0"),
        ("in_reply_to", "in_reply_to"),
        ("references", "references.0"),
        ("filename", "attachments.0.filename"),
        ("content_type", "attachments.0.content_type"),
        ("header value", "headers.X-MSS-NIL"),
    ],
)
async def test_no_field_can_begin_a_line_of_its_own(
    client: httpx.AsyncClient, services: FakeServices, field: str, named: str, splitter: str
) -> None:
    """Header injection: whatever some reader takes for a line end is refused, by name."""
    answer = await client.post(MESSAGES, json=_with_injection(field, splitter))

    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [named]
    assert "evil" not in answer.text
    assert services.drafting.sent == []


def _with_injection(field: str, splitter: str) -> dict[str, Any]:
    poison = f"<a@b.fr>{splitter}Bcc: evil@b.fr"
    file = {"filename": "a", "content_type": "a/b", "content": ""}
    lists = {"to", "cc", "bcc", "reply_to", "references"}
    if field in lists:
        return {"to": [WARD], field: [poison]}
    if field in file:
        return {"to": [WARD], "attachments": [{**file, field: poison}]}
    if field == "header value":
        return {"to": [WARD], "headers": {"X-MSS-NIL": poison}}
    return {"to": [WARD], field: poison}


@pytest.mark.parametrize("name", ["Bcc", "X-MSS-A: b", "X-MSS-A\r\nBcc", "X-MSS-é", "", "X-MSS-"])
async def test_only_fields_of_the_national_kind_can_be_added(
    client: httpx.AsyncClient, name: str
) -> None:
    """A draft must not set Bcc, Sender or Received."""
    answer = await client.post(MESSAGES, json={"to": [WARD], "headers": {name: "x"}})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")


@pytest.mark.parametrize(
    "draft",
    [
        {"to": WARD},
        {"to": [17]},
        {"to": [WARD] * 1001},
        {"to": ["x" * 601]},
        {"to": [WARD], "Subject": "x"},
        {"to": [WARD], "subject": None},
        {"to": [WARD], "subject": "x" * 2001},
        {"to": [WARD], "request_read_receipt": "yes"},
        {"to": [WARD], "in_reply_to": "1@b.fr"},
        {"to": [WARD], "attachments": [{"filename": "", "content": ""}]},
        {"to": [WARD], "attachments": [{"filename": "a", "content": "a b="}]},
        {"to": [WARD], "attachments": [{"filename": "a", "content": "é"}]},
        {"to": [WARD], "attachments": [{"filename": "a", "content": 1}]},
        {"to": [WARD], "attachments": [{"filename": "a"}]},
        [],
        17,
        "draft",
    ],
)
async def test_a_draft_of_another_shape_is_refused(
    client: httpx.AsyncClient, services: FakeServices, draft: object
) -> None:
    """Types are exact: a guess could send something that nobody wrote."""
    answer = await client.post(MESSAGES, json=draft)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
    assert services.drafting.sent == []


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{",
        b'{"to": ["a@b.fr"],}',
        b"\xff\xfe",
        b'{"subject": "\xe9"}',
        b'{"subject": "\\ud800"}',
        b'{"to": NaN',
        b"null x",
        b"\x00",
    ],
)
async def test_what_is_not_json_is_said_to_be_malformed(
    client: httpx.AsyncClient, octets: bytes
) -> None:
    """400: the software is wrong, not what its user wrote."""
    headers = {"Content-Type": "application/json"}
    answer = await client.post(MESSAGES, content=octets, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-json")


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"to":['])
async def test_json_of_any_depth_is_refused_at_once(
    client: httpx.AsyncClient, opening: bytes
) -> None:
    """A hundred thousand levels cost no more than their length."""
    depth = (MESSAGE_LIMIT * 15) // len(opening)
    headers = {"Content-Type": "application/json"}
    answer = await client.post(MESSAGES, content=opening * depth, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "json-too-complex")


@pytest.mark.parametrize(
    "octets",
    [
        b'{"to": [' + b'"a",' * 200_000 + b'"a"]}',
        b'{"headers": {' + b",".join(b'"k%d":"x"' % n for n in range(50_000)) + b"}}",
        b"{" + b'"to":[],' * 100_000 + b'"to":[]}',
        b'{"to": [' + b"," * 500_000,
        b'{"text": "' + b'\\",' * 300_000 + b'", "to": [' + b"1," * 11_000 + b"1]}",
    ],
)
async def test_json_of_any_width_is_refused_at_once(
    client: httpx.AsyncClient, octets: bytes
) -> None:
    """A validator that notes an error for each of millions of elements takes minutes."""
    headers = {"Content-Type": "application/json"}
    answer = await client.post(MESSAGES, content=octets, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (422, "json-too-complex")


async def test_a_text_may_have_as_many_commas_as_it_likes(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """Only the elements of the request are bounded, not what is written."""
    text = 'a, "quoted, text" and a \\, ' * 10_000
    answer = await client.post(MESSAGES, json={"to": [WARD], "text": text})

    assert answer.status_code == 202
    assert services.drafting.sent[0].text == text


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/xml", "application/x-www-form-urlencoded", "json", "é"]
)
async def test_a_body_of_another_kind_is_refused(client: httpx.AsyncClient, kind: str) -> None:
    """With the kinds that would be read (RFC 9110, 15.5.16)."""
    headers = {b"Content-Type": kind.encode()}
    answer = await client.post(MESSAGES, content=b"{}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")
    assert answer.headers["Accept"] == "application/json, multipart/form-data, message/rfc822"


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"", "malformed-form"),
        (b"--b", "malformed-form"),
        (b"--b--", "malformed-form"),
        (b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n{}\r\n--b--', "malformed-form"),
        (
            b'--b\r\nContent-Disposition: form-data; name="draft"\r\n\r\n{\r\n--b--',
            "malformed-json",
        ),
    ],
)
async def test_a_form_without_a_draft_is_refused(
    client: httpx.AsyncClient, octets: bytes, code: str
) -> None:
    """The draft is one part of that name, in JSON."""
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await client.post(MESSAGES, content=octets, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


async def test_a_field_beside_the_draft_is_refused(client: httpx.AsyncClient) -> None:
    """A misspelt field would be lost in silence."""
    files = [
        ("draft", (None, json.dumps({"to": [WARD]}))),
        ("subject", (None, "x")),
    ]
    answer = await client.post(MESSAGES, files=files)

    assert (answer.status_code, answer.json()["code"]) == (400, "malformed-form")


async def test_the_name_of_a_file_of_a_form_cannot_begin_a_line(
    client: httpx.AsyncClient, services: FakeServices
) -> None:
    """Browsers escape line ends in names as %0D%0A, and those count as what they stand for."""
    draft = b'--b\r\nContent-Disposition: form-data; name="draft"\r\n\r\n{"to":["a@b.fr"]}\r\n'
    file = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a%0D%0ABcc: x"\r\n\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = await client.post(MESSAGES, content=draft + file + b"--b--", headers=headers)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "files.0.filename"
    assert services.drafting.sent == []


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256])
async def test_an_idempotency_key_has_a_form(client: httpx.AsyncClient, key: str) -> None:
    """A key that a proxy might change would not protect against sending twice."""
    headers = {b"Idempotency-Key": key.encode()}
    answer = await client.post(MESSAGES, json=DRAFT, headers=headers)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("refusal", "status", "expected"),
    [
        (
            errors.RecipientUnknownError(address="no@ch-demo.mssante.fr"),
            422,
            {"recipient": "no@ch-demo.mssante.fr"},
        ),
        (errors.DomainNotTrustedError(domain="gmail.com"), 422, {"domain": "gmail.com"}),
        (
            errors.ProtectionImpossibleError(address=WARD, reason="expired"),
            422,
            {"recipient": WARD},
        ),
        (errors.MailboxFullError(address=WARD), 507, {"recipient": WARD}),
        (errors.SenderNotAllowedError(address=ANNE), 403, {}),
        (errors.MessageTooLargeError(size_octets=2, limit_octets=1), 413, {}),
        (errors.TooManyRecipientsError(limit=1), 422, {}),
        (errors.ConflictError(what="idempotency-key"), 409, {}),
        (
            errors.InvalidRequestError(field="to", reason="not one address"),
            422,
            {"errors": [{"field": "to", "reason": "not one address"}]},
        ),
        (
            MessageSyntaxError(reason="bare-newline"),
            422,
            {"errors": [{"field": "message", "reason": "bare-newline"}]},
        ),
        (errors.StoreFullError(where="/var/lib/secret"), 503, {}),
        (errors.TrustListMissingError(), 503, {}),
    ],
)
async def test_a_refusal_says_why_in_two_languages(
    client: httpx.AsyncClient,
    services: FakeServices,
    refusal: errors.MSSError,
    status: int,
    expected: dict[str, Any],
) -> None:
    """A code for software, sentences for people, the culprit where there are several."""
    services.drafting.refusal = refusal
    answer = await client.post(MESSAGES, json=DRAFT)
    problem = answer.json()

    assert (answer.status_code, problem["status"]) == (status, status)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["code"] == refusal.code
    assert problem["detail"] == refusal.public_text
    assert problem["detail_fr"] == refusal.public_text_fr
    assert problem["next_step"] == refusal.next_step
    assert problem["retryable"] is refusal.retryable
    assert problem["type"] == f"/docs#problem-{refusal.code}"
    assert {name: problem.get(name) for name in ("recipient", "domain", "errors")} == {
        "recipient": None,
        "domain": None,
        "errors": None,
        **expected,
    }
    assert "secret" not in answer.text
    assert ("Retry-After" in answer.headers) == (status == 503)


async def test_recipients_are_asked_about_in_order(client: httpx.AsyncClient) -> None:
    """Software shows the answer beside each address as it is typed."""
    answer = await client.post("/v1/recipients/check", json={"addresses": [WARD, ANNE]})

    assert [one["address"] for one in answer.json()["recipients"]] == [WARD, ANNE]
    assert answer.json()["recipients"][0] == {
        "address": WARD,
        "is_reachable": True,
        "how": "relay",
        "protection": "encrypted",
        "size_limit_octets": MESSAGE_LIMIT,
        "code": None,
        "text": None,
        "text_fr": None,
    }


@pytest.mark.parametrize("addresses", [[], ["x"] * 201, [1], "a@b.fr", ["a@b.fr\r\nx"]])
async def test_a_question_about_recipients_has_bounds(
    client: httpx.AsyncClient, addresses: object
) -> None:
    """Asking costs look-ups, so one request asks about a page of addresses at most."""
    answer = await client.post("/v1/recipients/check", json={"addresses": addresses})

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request")
