"""Letters between two operators: what leaves, what arrives, what it is worth."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from crypto import smime
from directory import index_sql
from directory.address import Domain, MailAddress
from mss.errors import (
    MessageRefusedError,
    NotFoundError,
    PeerNotTrustedError,
    ProtectionImpossibleError,
)
from mss.mime import entity
from mss.model.delivery import DeliveryState, Station
from mss.model.mailbox import Flag
from mss.model.principal import AccountPrincipal
from mss.model.security import Binding, Verdict
from mss.settings import ProtectionSettings
from mss.store import tables
from tests.support.clock import FixedClock
from tests.support.factories import (
    GP,
    LAB,
    OTHER_GP,
    PRACTICE_DOMAIN,
    WARD,
    InProcessOperator,
    Pair,
    a_letter,
    a_pair,
)
from tests.support.pki import ISSUED_AT, Pki


async def leaving(pair: Pair, raw: bytes, *recipients: str) -> list[bytes]:
    """Submit a letter and give the octets that left for each recipient."""
    await pair.hospital.submit(await pair.hospital.log_in("ward"), raw, *recipients)
    await pair.hospital.work()
    return [octets for _, octets in pair.hospital.relay.carried]


async def withdraw_certificates(operator: InProcessOperator) -> None:
    """Let the directory know nothing to encrypt with."""
    table = index_sql.metadata.tables["directory_certificate"]
    await operator.database.write(lambda c: c.execute(table.delete()))


async def test_a_letter_arrives_with_a_valid_verdict(pair: Pair, ward: AccountPrincipal) -> None:
    """The story in small: signed, encrypted, relayed, opened, verified."""
    await pair.hospital.submit(ward, a_letter(subject="Madame ESSAI"))
    await pair.settle()

    (view,) = await pair.practices.letters("anne", GP)

    security = view.message.security
    assert view.message.summary.subject == "Madame ESSAI"
    assert security.verdict is Verdict.VALID
    assert security.encrypted
    assert security.content_algorithm == "aes-256-gcm"
    assert security.signer == "CENTRE HOSPITALIER DEMO"
    assert security.binding is Binding.OPERATOR
    assert security.peer_subject == pair.hospital.peer.subject
    assert security.findings == ()


async def test_the_reader_gets_the_letter_as_it_was_written(
    pair: Pair, gp: AccountPrincipal
) -> None:
    """Octet for octet: what the hospital's software wrote is inside what the practice's reads."""
    await leaving(pair, a_letter(text="Tension : 12/8 — à revoir\u00a0!"))
    await pair.settle()
    (view,) = await pair.practices.letters("anne", GP)

    part = await pair.practices.services.reading.get_part(
        gp, view.message.id, view.message.summary.parts[0].path
    )

    assert part.octets.decode() == "Tension : 12/8 — à revoir\u00a0!\r\n"


async def test_what_leaves_says_nothing_outside(pair: Pair) -> None:
    """Neither subject nor text of an encrypted letter can be read on the way."""
    (octets,) = await leaving(pair, a_letter(subject="Mme CANARI", text="Diagnostic CANARI"))

    assert smime.classify(octets) == "encrypted"
    assert b"CANARI" not in octets


async def test_recipients_of_one_operator_share_one_ciphertext(pair: Pair) -> None:
    """One body on disk and one signature, however many colleagues."""
    first, second = await leaving(pair, a_letter(to=f"{GP}, {OTHER_GP}"), GP, OTHER_GP)

    assert first == second


async def test_a_blind_copy_has_octets_of_its_own(pair: Pair) -> None:
    """It names whom it is for, inside the signature; nobody else may read that."""
    first, second = await leaving(pair, a_letter(), GP, OTHER_GP)
    await pair.settle()

    assert first != second
    for account, address in (("anne", GP), ("karim", OTHER_GP)):
        (view,) = await pair.practices.letters(account, address)
        assert view.message.security.verdict is Verdict.VALID
        assert view.message.security.findings == ()


async def test_without_a_certificate_a_letter_is_signed(pair: Pair) -> None:
    """The mutually authenticated TLS between operators carries it then."""
    await withdraw_certificates(pair.hospital)
    (octets,) = await leaving(pair, a_letter())
    await pair.settle()

    (view,) = await pair.practices.letters("anne", GP)

    assert smime.classify(octets) == "signed"
    assert view.message.security.verdict is Verdict.VALID
    assert not view.message.security.encrypted


async def test_a_strict_operator_sends_nothing_unencrypted(homes: Path, clock: FixedClock) -> None:
    """The sender is told while still on the line, and nothing is queued."""
    strict = ProtectionSettings(without_certificate="refuse")
    async with a_pair(homes, clock, protection=strict) as pair:
        await withdraw_certificates(pair.hospital)

        with pytest.raises(ProtectionImpossibleError):
            await leaving(pair, a_letter())

        assert await pair.hospital.blobs.count() == 0


async def test_a_certificate_that_no_longer_holds_is_not_used(pair: Pair, pki: Pki) -> None:
    """A published certificate of a stranger's authority is as good as none."""
    await withdraw_certificates(pair.hospital)
    fake = pki.stranger_signature.certificate
    await pair.hospital.database.write(
        lambda c: index_sql.publish_certificate(
            c,
            subject=Domain(PRACTICE_DOMAIN),
            der=fake.der,
            fingerprint=fake.fingerprint,
            not_after_at=fake.not_after_at,
            published_at=ISSUED_AT,
        )
    )

    (octets,) = await leaving(pair, a_letter())

    assert smime.classify(octets) == "signed"


async def test_what_was_decided_at_submission_is_sent_at_every_attempt(pair: Pair) -> None:
    """A retry resends the same octets, so that the other side can recognise them."""
    pair.hospital.relay.loses_replies = True
    (first,) = await leaving(pair, a_letter())
    pair.hospital.relay.loses_replies = False
    pair.hospital.clock.advance(minutes=2)
    await pair.hospital.work()

    assert [octets for _, octets in pair.hospital.relay.carried] == [first, first]


async def test_a_lost_answer_leaves_one_letter(pair: Pair, ward: AccountPrincipal) -> None:
    """The letter was taken and the 250 was lost: sent twice, deposited once, delivered once."""
    pair.hospital.relay.loses_replies = True
    accepted = await pair.hospital.submit(ward, a_letter())
    await pair.settle()
    pair.hospital.relay.loses_replies = False
    pair.hospital.clock.advance(minutes=2)
    await pair.settle()

    (tracking,) = await pair.hospital.services.tracking.get_tracking(ward, accepted.message_id)

    assert len(await pair.practices.letters("anne", GP)) == 1
    assert tracking.state is DeliveryState.DELIVERED


# Hostile peers


def signed_by(pki: Pki, raw: bytes, *, stranger: bool = False) -> bytes:
    """Sign a letter as the hospital, or as somebody with the hospital's name."""
    issued = pki.stranger_signature if stranger else pki.hospital_signature
    inner = entity.protected_entity(raw, cipher=False)
    octets = smime.sign(
        inner, keys=issued.key_holder(), at=ISSUED_AT + timedelta(days=1), chain=issued.chain
    )
    return entity.outer_message(raw, octets, obscure_subject=False)


async def test_an_unsigned_letter_says_so(pair: Pair) -> None:
    """It is deposited, as the transport was authenticated, and never called valid."""
    await pair.practices.receive(a_letter(), GP, sender=WARD, peer=pair.hospital.peer)

    (view,) = await pair.practices.letters("anne", GP)

    assert view.message.security.verdict is Verdict.NOT_SIGNED
    assert view.message.security.signer is None


async def test_a_signer_that_nobody_knows_is_untrusted(pair: Pair, pki: Pki) -> None:
    """Same name, same octets, another authority: shown, and never as valid."""
    raw = signed_by(pki, a_letter(), stranger=True)
    await pair.practices.receive(raw, GP, sender=WARD, peer=pair.hospital.peer)

    (view,) = await pair.practices.letters("anne", GP)

    assert view.message.security.verdict is Verdict.UNTRUSTED


async def test_a_letter_that_was_changed_on_the_way_is_refused(pair: Pair, pki: Pki) -> None:
    """Its operator tells the sender; nobody reads a forged dose."""
    raw = signed_by(pki, a_letter(text="dose: 1 mg")).replace(b"1 mg", b"9 mg")

    with pytest.raises(MessageRefusedError):
        await pair.practices.receive(raw, GP, sender=WARD, peer=pair.hospital.peer)

    assert await pair.practices.letters("anne", GP) == []
    assert await pair.practices.blobs.count() == 0


async def test_a_forged_author_inside_the_signature_is_refused(pair: Pair, pki: Pki) -> None:
    """The protected From is what readers see, so it is what must be the peer's own."""
    inside = signed_by(pki, a_letter(author="victim@autre.mssante.fr"))
    forged = inside.replace(b"From: victim@autre.mssante.fr", f"From: {WARD}".encode(), 1)

    with pytest.raises((PeerNotTrustedError, MessageRefusedError)):
        await pair.practices.receive(forged, GP, sender=WARD, peer=pair.hospital.peer)

    assert await pair.practices.letters("anne", GP) == []


async def test_a_letter_encrypted_for_somebody_else_is_kept_unread(pair: Pair, pki: Pki) -> None:
    """Perhaps the recipient's own software holds the key."""
    inner = entity.protected_entity(a_letter(), cipher=True)
    sealed = smime.encrypt(inner, recipients=[pki.hospital_confidentiality.certificate])
    raw = entity.outer_message(a_letter(), sealed, obscure_subject=True)

    await pair.practices.receive(raw, GP, sender=WARD, peer=pair.hospital.peer)

    (view,) = await pair.practices.letters("anne", GP)
    assert view.message.security.verdict is Verdict.UNREADABLE


async def test_a_return_path_from_outside_does_not_survive(
    pair: Pair, gp: AccountPrincipal
) -> None:
    """The envelope sender is what we saw, not what a stranger wrote (RFC 5321, 4.4)."""
    raw = a_letter(more=("Return-Path: <forged@elsewhere.example>",))
    accepted = await pair.practices.receive(raw, GP, sender=WARD, peer=pair.hospital.peer)

    kept = await pair.practices.services.reading.get_raw(gp, accepted.message_id)

    assert kept.startswith(f"Return-Path: <{WARD}>\r\n".encode())
    assert b"forged" not in kept


# The timeline


async def test_the_sender_sees_each_station(pair: Pair, ward: AccountPrincipal) -> None:
    """Accepted, relayed, delivered, read: the promise of the server."""
    accepted = await pair.hospital.submit(
        ward, a_letter(more=(f"Disposition-Notification-To: {WARD}",))
    )
    await pair.settle()
    await read_with_receipt(pair, GP, "anne")
    await pair.settle()

    (tracking,) = await pair.hospital.services.tracking.get_tracking(ward, accepted.message_id)

    assert tracking.recipient == GP
    assert tracking.state is DeliveryState.READ
    assert [one.station for one in tracking.events] == [
        Station.ACCEPTED,
        Station.RELAYED,
        Station.DELIVERED,
        Station.READ,
    ]


async def read_with_receipt(pair: Pair, address: str, account: str) -> None:
    """Mark the newest letter as read and let its receipt be sent."""
    newest, *_ = await pair.practices.letters(account, address)
    await pair.practices.services.reading.mark(
        await pair.practices.log_in(account),
        address,
        [newest.message.id],
        add=frozenset({Flag.SEEN}),
        receipt=True,
    )


async def test_reports_lie_with_the_receipts_and_stay_quiet(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """A delivery report is no letter that somebody must open."""
    await pair.hospital.submit(ward, a_letter())
    await pair.settle()

    newest, sent = await pair.hospital.letters("ward", WARD)

    assert newest.deposits[0].folder == "receipts"
    assert sent.deposits[0].folder == "sent"
    assert newest.message.report == "delivery"


async def test_nobody_else_sees_the_timeline(pair: Pair, ward: AccountPrincipal) -> None:
    """Not a colleague without a right on the mailbox: to them the letter does not exist."""
    accepted = await pair.hospital.submit(ward, a_letter())
    lab = await pair.hospital.log_in("lab")

    with pytest.raises(NotFoundError):
        await pair.hospital.services.tracking.get_tracking(lab, accepted.message_id)


async def test_every_recipient_has_a_delivery_of_their_own(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """One closed mailbox fails alone."""
    await pair.practices.services.mailboxes.close(MailAddress.parse(OTHER_GP))
    accepted = await pair.hospital.submit(ward, a_letter(), GP, OTHER_GP, LAB)
    await pair.settle()

    found = await pair.hospital.services.tracking.get_tracking(ward, accepted.message_id)

    assert {one.recipient: one.state for one in found} == {
        GP: DeliveryState.DELIVERED,
        OTHER_GP: DeliveryState.FAILED,
        LAB: DeliveryState.DELIVERED,
    }


async def test_no_copy_of_a_leaving_letter_is_lost_from_sight(
    pair: Pair, ward: AccountPrincipal
) -> None:
    """Every body that lies in the store is named by a row."""
    await pair.hospital.submit(ward, a_letter(), GP, LAB)
    await pair.settle()

    referenced = await pair.hospital.database.read(
        lambda c: (
            set(c.execute(select(tables.message.c.blob_ref)).scalars())
            | set(c.execute(select(tables.delivery.c.blob_ref)).scalars())
        )
    )

    assert {one.ref async for one in pair.hospital.blobs.iter_records()} <= referenced
