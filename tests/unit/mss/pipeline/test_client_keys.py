"""Mailboxes whose key only their client holds: what this server stores, serves, and cannot read."""

from collections.abc import Sequence

import pytest

from crypto import smime
from crypto.certificates import Certificate
from crypto.issuing import CertificateProfile, Issued, Subject
from crypto.recipient_info import EnvelopeProfile, RecipientPlan
from directory.address import MailAddress
from directory.model import MailboxKind
from mss.errors import EncryptedForClientError, InvalidRequestError, ProtectionImpossibleError
from mss.mailboxes.reading import MessageView
from mss.mime import entity as entities
from mss.model.delivery import DeliveryState
from mss.model.mailbox import Flag
from mss.model.principal import AccountPrincipal, Right
from mss.model.security import Verdict
from mss.store import mailboxes
from tests.support.factories import (
    GP,
    PRACTICE_DOMAIN,
    WARD,
    InProcessOperator,
    Pair,
    a_letter,
)
from tests.support.pki import ISSUED_AT, Pki

HELD = f"recherche@{PRACTICE_DOMAIN}"
SECRET = "CANARI ENROUE"
READ = frozenset({Right.READ, Right.SEND})


@pytest.fixture
def client(pki: Pki) -> Issued:
    """A key that the operator never sees."""
    subject = Subject(common_name="recherche", organization="X", structure_id="1690123450")
    return pki.authority.issue(CertificateProfile.CONFIDENTIALITY, subject, at=ISSUED_AT)


@pytest.fixture
async def practices(pair: Pair, client: Issued) -> InProcessOperator:
    """The practices, with a mailbox that only its client can read."""
    services = pair.practices.services
    await services.mailboxes.open(
        MailAddress.parse(HELD),
        kind=MailboxKind.ORG,
        client_certificate=client.certificate.pem.encode(),
    )
    await services.accounts.add("chercheur", password=None)
    await services.mailboxes.delegate(MailAddress.parse(HELD), "chercheur", READ)
    return pair.practices


async def only_letter(operator: InProcessOperator, address: str = HELD) -> MessageView:
    """Read the one letter of a mailbox."""
    (view,) = await operator.letters("anne" if address == GP else "chercheur", address)
    return view


async def raw_of(operator: InProcessOperator, view: MessageView) -> bytes:
    """Fetch the octets, as the client does."""
    client = await operator.log_in("chercheur")
    return await operator.services.reading.get_raw(client, view.message.id)


def opened(raw: bytes, client: Issued) -> bytes:
    """Decrypt with the client's own key, and take the operator's signature off."""
    return smime.decrypt(raw, keys=client.key_holder()).entity


async def stored(operator: InProcessOperator) -> bytes:
    """Everything in the blob store."""
    bodies = [await operator.blobs.get(one.ref) async for one in operator.blobs.iter_records()]
    return b"".join(bodies)


def sealed_letter(
    certificates: Sequence[Certificate],
    *,
    author: str = WARD,
    to: str = HELD,
    subject: str = SECRET,
    text: str = SECRET,
) -> bytes:
    """Write a letter that its author's software encrypted."""
    raw = a_letter(author=author, to=to, subject=subject, text=text)
    entity = entities.protected_entity(raw, cipher=True)
    plans = [RecipientPlan(certificate=one, profile=EnvelopeProfile.MODERN) for one in certificates]
    entity = smime.encrypt(entity, recipients=plans)
    return entities.outer_message(raw, entity, obscure_subject=True)


async def test_what_a_neighbour_sends_in_clear_is_stored_closed(
    practices: InProcessOperator, client: Issued
) -> None:
    """The server cannot read it afterwards; the client can, and sees the subject inside."""
    gp = await practices.log_in("anne")
    raw = a_letter(author=GP, to=HELD, subject=SECRET, text=SECRET)

    await practices.submit(gp, raw, HELD, sender=GP)

    view = await only_letter(practices)
    octets = await raw_of(practices, view)
    assert view.message.security.encrypted_for_client
    assert view.message.summary.subject == "[...]"
    assert SECRET.encode() not in octets
    assert SECRET.encode() in opened(octets, client)
    assert (await only_letter(practices, GP)).message.summary.subject == SECRET


async def test_a_letter_from_a_peer_is_stored_closed_and_nowhere_else(
    pair: Pair, practices: InProcessOperator, client: Issued, ward: AccountPrincipal
) -> None:
    """It was encrypted for the operator's key; after receipt no form of it is left to read."""
    raw = a_letter(to=HELD, subject=SECRET, text=SECRET)
    await pair.hospital.submit(ward, raw, HELD)
    await pair.settle()

    view = await only_letter(practices)

    assert view.message.security.encrypted_for_client
    assert view.message.security.verdict is Verdict.VALID
    assert SECRET.encode() not in await stored(practices)
    assert SECRET.encode() in opened(await raw_of(practices, view), client)


async def test_ciphertext_for_the_client_is_stored_octet_for_octet(
    pair: Pair, practices: InProcessOperator, client: Issued
) -> None:
    """Nothing but trace fields is added; nobody here tried to open it."""
    raw = sealed_letter([client.certificate], to=HELD, subject=SECRET, text=SECRET)

    await practices.receive(raw, HELD, sender=WARD, peer=pair.hospital.peer)

    view = await only_letter(practices)
    assert (await raw_of(practices, view)).endswith(raw)
    assert view.message.security.encrypted_for_client
    assert view.message.security.verdict is Verdict.UNREADABLE


async def test_one_letter_for_two_kinds_of_mailbox_is_kept_in_two_forms(
    pair: Pair, practices: InProcessOperator, client: Issued
) -> None:
    """Encrypted for both: opened for the one, untouched for the other."""
    (ours,) = practices.services.acceptance.protection.keys.current.reading.certificates
    raw = sealed_letter([client.certificate, ours], subject=SECRET, text=SECRET)

    await practices.receive(raw, GP, HELD, sender=WARD, peer=pair.hospital.peer)

    gp = await practices.log_in("anne")
    page = await practices.services.reading.list_messages(gp, GP, folder=None, limit=9, cursor=None)
    assert page.items[0].message.summary.subject == SECRET
    assert not page.items[0].message.security.encrypted_for_client
    held = await only_letter(practices)
    assert held.message.security.encrypted_for_client
    assert held.message.summary.subject == "[...]"


async def test_parts_and_documents_say_that_they_cannot_be_shown(
    practices: InProcessOperator,
) -> None:
    """With a stable code; the message as a whole can be fetched."""
    gp = await practices.log_in("anne")
    await practices.submit(gp, a_letter(author=GP, to=HELD), HELD, sender=GP)
    reader = await practices.log_in("chercheur")
    view = await only_letter(practices)
    reading = practices.services.reading

    with pytest.raises(EncryptedForClientError):
        await reading.get_part(reader, view.message.id, "1")
    with pytest.raises(EncryptedForClientError):
        await practices.services.documents.list_documents(reader, view.message.id)
    with pytest.raises(EncryptedForClientError):
        await practices.services.documents.get_document(reader, view.message.id, 1, form="xml")
    assert await reading.get_raw(reader, view.message.id)


async def test_what_the_client_sends_in_clear_is_not_kept_in_clear(
    pair: Pair, practices: InProcessOperator, client: Issued
) -> None:
    """The copy in its Sent folder is closed too; the recipient reads the letter as usual."""
    sender = await practices.log_in("chercheur")
    raw = a_letter(author=HELD, to=WARD, subject=SECRET, text=SECRET)

    await practices.submit(sender, raw, WARD, sender=HELD)
    kept = await raw_of(practices, await only_letter(practices))
    assert SECRET.encode() not in kept
    assert SECRET.encode() in opened(kept, client)
    await pair.settle()

    (arrived,) = await pair.hospital.letters("ward", WARD)
    assert arrived.message.summary.subject == SECRET


async def test_what_the_client_protected_leaves_untouched(
    pair: Pair, practices: InProcessOperator
) -> None:
    """Its own signature and encryption are not wrapped, and not opened."""
    (theirs,) = pair.hospital.services.acceptance.protection.keys.current.reading.certificates
    sender = await practices.log_in("chercheur")
    raw = sealed_letter([theirs], author=HELD, to=WARD, text=SECRET)

    await practices.submit(sender, raw, WARD, sender=HELD)
    await practices.work()

    ((_, left),) = practices.relay.carried
    assert left.endswith(raw.partition(b"\r\n\r\n")[2])
    assert smime.classify(left) == "encrypted"


async def test_tracking_and_receipts_work_as_for_any_mailbox(
    pair: Pair, practices: InProcessOperator, ward: AccountPrincipal
) -> None:
    """Who asked for a receipt stands outside, so that it can be sent."""
    raw = a_letter(to=HELD, more=(f"Disposition-Notification-To: <{WARD}>",))
    accepted = await pair.hospital.submit(ward, raw, HELD)
    await pair.settle()
    view = await only_letter(practices)
    reader = await practices.log_in("chercheur")

    await practices.services.reading.mark(
        reader, HELD, [view.message.id], add=frozenset({Flag.SEEN}), receipt=True
    )
    await pair.settle()

    (line,) = await pair.hospital.services.tracking.get_tracking(ward, accepted.message_id)
    assert line.state is DeliveryState.READ


async def test_a_certificate_that_was_revoked_refuses_mail_instead_of_storing_it(
    practices: InProcessOperator, client: Issued, pki: Pki
) -> None:
    """The sender hears of it at RCPT; nothing lies there in clear."""
    issuer = pki.authority.issuing.with_revoked(client.certificate, at=ISSUED_AT)
    folder = practices.services.settings.path(practices.services.settings.trust.crls)
    (folder / "renewed.crl").write_bytes(issuer.crl(ISSUED_AT, number=2))
    await practices.running.news.reload()
    gp = await practices.log_in("anne")

    with pytest.raises(ProtectionImpossibleError) as refused:
        await practices.submit(gp, a_letter(author=GP, to=HELD), HELD, sender=GP)

    assert refused.value.reason == "mailbox-certificate-invalid"


async def test_another_certificate_counts_from_then_on(
    practices: InProcessOperator, pki: Pki
) -> None:
    """The client changes its key; what came before stays as it is."""
    subject = Subject(common_name="nouveau", organization="X", structure_id="1690123450")
    renewed = pki.authority.issue(CertificateProfile.CONFIDENTIALITY, subject, at=ISSUED_AT)
    pem = renewed.certificate.pem.encode()

    await practices.services.mailboxes.set_client_certificate(MailAddress.parse(HELD), pem)
    gp = await practices.log_in("anne")
    await practices.submit(gp, a_letter(author=GP, to=HELD, text=SECRET), HELD, sender=GP)

    octets = await raw_of(practices, await only_letter(practices))
    assert SECRET.encode() in opened(octets, renewed)


@pytest.mark.parametrize(
    ("profile", "key"),
    [(CertificateProfile.SIGNATURE, "p256"), (CertificateProfile.CONFIDENTIALITY, "mlkem768")],
)
async def test_a_certificate_that_cannot_be_encrypted_for_is_refused(
    pair: Pair, pki: Pki, profile: CertificateProfile, key: str
) -> None:
    """When the mailbox is opened, not when the first letter comes."""
    subject = Subject(common_name="x", organization="X", structure_id="1690123450")
    issued = pki.authority.issue(profile, subject, at=ISSUED_AT, key=key)

    with pytest.raises(InvalidRequestError):
        await open_with(pair, issued.certificate.pem.encode())


async def test_what_is_no_certificate_is_refused(pair: Pair) -> None:
    """With the field that is wrong, not as trouble of the server."""
    with pytest.raises(InvalidRequestError):
        await open_with(pair, b"nothing")


async def open_with(pair: Pair, certificate: bytes) -> None:
    """Open a mailbox whose key its client holds."""
    await pair.practices.services.mailboxes.open(
        MailAddress.parse(HELD), kind=MailboxKind.ORG, client_certificate=certificate
    )


async def test_a_key_held_by_the_server_is_not_taken_from_it(pair: Pair, client: Issued) -> None:
    """Letters that lie there in the server's care would become a riddle to its users."""
    with pytest.raises(InvalidRequestError):
        await pair.practices.services.mailboxes.set_client_certificate(
            MailAddress.parse(GP), client.certificate.pem.encode()
        )


async def test_a_deleted_letter_gives_back_the_room_of_its_closed_form(
    practices: InProcessOperator,
) -> None:
    """The closed form is larger than the letter; a mailbox must not shrink below nothing."""
    gp = await practices.log_in("anne")
    await practices.submit(gp, a_letter(author=GP, to=HELD), HELD, sender=GP)
    view = await only_letter(practices)

    before = await practices.services.mailboxes.get(MailAddress.parse(HELD))
    client = await practices.log_in("chercheur")
    await practices.services.reading.mark(client, HELD, [view.message.id], delete=True)
    after = await practices.services.mailboxes.get(MailAddress.parse(HELD))

    assert before.used_octets == len(await practices.blobs.get(view.message.blob_ref))
    assert after.used_octets == 0
    assert await practices.database.read(mailboxes.list_client_certificates)
