import pytest
from sqlalchemy import func, select

from directory.address import MailAddress
from mss.errors import ConflictError, InvalidRequestError, NotFoundError
from mss.mailboxes.drafting import OutgoingAttachment, OutgoingDraft
from mss.mime.parse import ParsedMessage, parse_message, part_octets
from mss.model.principal import AccountPrincipal, Right
from mss.store import messages, tables
from tests.support.factories import GP, LAB, OTHER_GP, WARD, InProcessOperator, Pair, a_letter

DRAFT = OutgoingDraft(to=(LAB,), subject="Résultats", text="Bonjour")


async def stored(operator: InProcessOperator, message_id: str) -> ParsedMessage:
    row = await operator.database.read(lambda c: messages.find_message(c, message_id))
    assert row is not None
    return parse_message(await operator.blobs.get(row.blob_ref))


async def count_messages(pair: Pair) -> int:
    return await pair.hospital.database.read(
        lambda c: c.execute(select(func.count()).select_from(tables.message)).scalar_one()
    )


async def test_a_draft_becomes_a_letter(pair: Pair, ward: AccountPrincipal) -> None:
    """From the mailbox written as, with its name, and everything that was asked for."""
    draft = OutgoingDraft(
        to=(f"Labo <{LAB}>",),
        cc=(GP,),
        subject="Résultats de Mme ESSAI",
        text="Bonjour",
        request_read_receipt=True,
        attachments=(
            OutgoingAttachment(
                filename="é.pdf", content_type="application/pdf", octets=b"%PDF-1.4\n\x00\xff"
            ),
        ),
        headers=(("X-MSS-INS", "N"),),
    )

    accepted = await pair.hospital.services.drafting.send_draft(
        ward, WARD, draft, idempotency_key=None
    )

    letter = await stored(pair.hospital, accepted.message_id)
    attachment = next(one for one in letter.parts() if one.filename == "é.pdf")
    assert str(letter.author.address) == WARD
    assert letter.author.display_name == "BAL ward"
    assert letter.subject == "Résultats de Mme ESSAI"
    assert [str(one.address) for one in letter.cc] == [GP]
    assert [str(one.address) for one in letter.disposition_notification_to] == [WARD]
    assert letter.mss_fields == {"X-MSS-INS": "N"}
    assert part_octets(letter.raw, attachment) == b"%PDF-1.4\n\x00\xff"
    assert {one.recipient: one.state for one in accepted.deliveries} == {
        LAB: "delivered",
        GP: "queued",
    }


async def test_a_recipient_named_twice_gets_one_letter(pair: Pair, ward: AccountPrincipal) -> None:
    """In To and in Bcc, in another spelling: one mailbox."""
    draft = OutgoingDraft(to=(LAB,), cc=(LAB.upper(),), bcc=(LAB,), text="x")

    accepted = await pair.hospital.services.drafting.send_draft(
        ward, WARD, draft, idempotency_key=None
    )

    assert len(accepted.deliveries) == 1


async def test_blind_copies_are_sent_and_not_written(pair: Pair, ward: AccountPrincipal) -> None:
    """Not even in the sender's own copy."""
    draft = OutgoingDraft(to=(LAB,), bcc=(GP,), text="x")

    accepted = await pair.hospital.services.drafting.send_draft(
        ward, WARD, draft, idempotency_key=None
    )

    letter = await stored(pair.hospital, accepted.message_id)
    assert len(accepted.deliveries) == 2
    assert GP.encode() not in letter.raw


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (OutgoingDraft(to=(), text="x"), "to"),
        (OutgoingDraft(to=("nobody",)), "to"),
        (OutgoingDraft(to=(LAB,), cc=("a@b.fr, c@d.fr",)), "cc"),
        (OutgoingDraft(to=(LAB,), bcc=("x",)), "bcc"),
        (OutgoingDraft(to=(LAB,), reply_to=("x",)), "reply_to"),
        (OutgoingDraft(to=(f"a\r\nBcc: {GP} <{LAB}>",)), "to"),
        (OutgoingDraft(to=(LAB,), subject="a\r\nBcc: x@y.fr"), "subject"),
        (OutgoingDraft(to=(LAB,), subject="a\x00b"), "subject"),
        (OutgoingDraft(to=(LAB,), headers=(("X-MSS-INS", "N\r\nBcc: x"),)), "x-mss-ins"),
        (OutgoingDraft(to=(LAB,), headers=(("Bcc", "x@y.fr"),)), "x-mss"),
        (OutgoingDraft(to=(LAB,), in_reply_to="<a@b>\r\nBcc: x"), "in-reply-to"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_field_that_does_not_fit_is_named(
    pair: Pair, ward: AccountPrincipal, draft: OutgoingDraft, field: str
) -> None:
    """Nobody slips a header field into a letter through a value."""
    with pytest.raises(InvalidRequestError) as refusal:
        await pair.hospital.services.drafting.send_draft(ward, WARD, draft, idempotency_key=None)

    assert refusal.value.field == field
    assert await count_messages(pair) == 0


async def test_the_same_request_with_its_key_is_one_letter(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """Software that lost our answer asks again; a draft has no octets to compare yet."""
    drafting = pair.hospital.services.drafting
    first = await drafting.send_draft(ward, WARD, DRAFT, idempotency_key="k1")
    again = await drafting.send_draft(ward, WARD, DRAFT, idempotency_key="k1")
    other = await drafting.send_draft(ward, WARD, DRAFT, idempotency_key="k2")

    assert again.is_repeat
    assert again.message_id == first.message_id
    assert other.message_id != first.message_id


async def test_a_key_is_not_used_for_something_else(pair: Pair, ward: AccountPrincipal) -> None:
    """A program that mixes up its keys is told, instead of losing a letter."""
    drafting = pair.hospital.services.drafting
    await drafting.send_draft(ward, WARD, DRAFT, idempotency_key="k1")

    with pytest.raises(ConflictError):
        await drafting.send_draft(
            ward, WARD, OutgoingDraft(to=(LAB,), text="other"), idempotency_key="k1"
        )
    with pytest.raises(ConflictError):
        await drafting.send_raw(ward, WARD, a_letter(), recipients=(LAB,), idempotency_key="k1")
    assert await count_messages(pair) == 1


@pytest.mark.parametrize("address", [LAB, GP, "nobody@ch-demo.mssante.fr", "", "\x00"], ids=ascii)
async def test_nobody_writes_as_another_mailbox(
    pair: Pair, ward: AccountPrincipal, address: str
) -> None:
    """To whoever may not, it does not exist."""
    with pytest.raises(NotFoundError):
        await pair.hospital.services.drafting.send_draft(ward, address, DRAFT, idempotency_key=None)


async def test_reading_is_not_writing(pair: Pair, ward: AccountPrincipal) -> None:
    """A secretary with the right to read cannot send."""
    await pair.hospital.services.mailboxes.delegate(
        MailAddress.parse(LAB), "ward", frozenset({Right.READ})
    )
    secretary = await pair.hospital.log_in("ward")

    with pytest.raises(NotFoundError):
        await pair.hospital.services.drafting.send_draft(
            secretary, LAB, OutgoingDraft(to=(WARD,)), idempotency_key=None
        )


async def test_a_closed_mailbox_sends_nothing(pair: Pair, ward: AccountPrincipal) -> None:
    """Rights on it may still be there."""
    await pair.hospital.services.mailboxes.close(MailAddress.parse(WARD))

    with pytest.raises(NotFoundError):
        await pair.hospital.services.drafting.send_draft(ward, WARD, DRAFT, idempotency_key=None)


async def test_a_complete_message_goes_to_those_it_names(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """To, Cc and Bcc, however their names are written; Bcc is taken off."""
    raw = a_letter(to=LAB, more=(f"Cc: {GP}", f'Bcc: "MODELE, Karim" <{OTHER_GP}>'))

    accepted = await pair.hospital.services.drafting.send_raw(
        ward, WARD, raw, recipients=None, idempotency_key=None
    )

    assert {one.recipient for one in accepted.deliveries} == {LAB, GP, OTHER_GP}
    assert OTHER_GP.encode() not in (await stored(pair.hospital, accepted.message_id)).raw


async def test_given_recipients_count_more_than_the_header(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """The envelope decides, as in SMTP."""
    accepted = await pair.hospital.services.drafting.send_raw(
        ward, WARD, a_letter(to=GP), recipients=(LAB,), idempotency_key=None
    )

    assert [one.recipient for one in accepted.deliveries] == [LAB]


async def test_recipients_are_checked_before_sending(pair: Pair, ward: AccountPrincipal) -> None:
    """Reachable and how protected, or why not, one by one."""
    pair.hospital.probe.answers[GP] = True
    wanted = [LAB, GP, "nobody@ch-demo.mssante.fr", "x@elsewhere.example", "nonsense"]

    answers = await pair.hospital.services.drafting.check_recipients(ward, wanted)

    assert [(one.is_reachable, one.how, one.protection, one.code) for one in answers] == [
        (True, "local", "internal", None),
        (True, "relay", "encrypted", None),
        (False, None, None, "recipient-unknown"),
        (False, None, None, "domain-not-trusted"),
        (False, None, None, "invalid-request"),
    ]
    assert all(one.text_fr for one in answers[2:])
