"""How letters are protected for whom, and what a peer's protection is worth here."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from crypto import algorithms, signed_data, smime
from crypto.certificates import Certificate
from crypto.cms import parse_enveloped
from crypto.entity import read_entity, wrap_base64
from crypto.enveloped_data import EnvelopeProfile
from crypto.ports import KeyHolder
from crypto.recipient_list import build_recipient_list
from directory.address import MailAddress
from mss.cli import home
from mss.errors import MessageRefusedError
from mss.mime import entity as entities
from mss.model.delivery import Deferred
from mss.model.security import Binding, Security, Verdict
from mss.settings import ProtectionSettings
from mss.store.correspondents import Correspondent, find_correspondents, learn
from tests.support.clock import FixedClock
from tests.support.factories import (
    GP,
    HOSPITAL_DOMAIN,
    LAB,
    OTHER_GP,
    PRACTICE_DOMAIN,
    WARD,
    InProcessOperator,
    Pair,
    a_letter,
    a_pair,
)
from tests.support.pki import NOW, Pki

HARD, SOFT = EnvelopeProfile.MODERN, EnvelopeProfile.COMPATIBLE
TO_WARD = a_letter(author=GP, to=WARD)


async def leaving(pair: Pair, raw: bytes, *recipients: str) -> list[bytes]:
    """Submit a letter at the hospital; give the octets that left for each recipient."""
    await pair.hospital.submit(await pair.hospital.log_in("ward"), raw, *recipients)
    await pair.hospital.work()
    return [octets for _, octets in pair.hospital.relay.carried]


async def arrived(pair: Pair, address: str = GP, account: str = "anne") -> Security:
    """Give the verdict of the newest letter in a mailbox of the practices."""
    await pair.settle()
    newest, *_ = await pair.practices.letters(account, address)
    return newest.message.security


async def taken(pair: Pair, raw: bytes) -> Security:
    """Let the hospital's ward receive a letter of the practices; give its verdict."""
    await pair.hospital.receive(raw, WARD, sender=GP, peer=pair.practices.peer)
    newest, *_ = await pair.hospital.letters("ward", WARD)
    return newest.message.security


def codes(security: Security) -> list[tuple[str, str]]:
    return [(one.code, one.severity) for one in security.findings]


def cipher_of(octets: bytes) -> str:
    """Name the cipher of an encrypted message, from its structure."""
    enveloped = parse_enveloped(read_entity(octets).decoded_body())
    return algorithms.CONTENT_CIPHERS[enveloped.algorithm.oid].name


class Practices:
    """Writes letters as the operator of the practices could: rightly, or in other forms."""

    def __init__(self, homes: Path) -> None:
        self.keys: KeyHolder = home.load_signing(homes / PRACTICE_DOMAIN)
        (self.certificate,) = self.keys.certificates
        (self.reader,) = home.load_reading(homes / HOSPITAL_DOMAIN).certificates

    def sign(self, entity: bytes, *attributes: bytes) -> bytes:
        return smime.sign(entity, keys=self.keys, at=NOW, attributes=attributes)

    def close(self, entity: bytes, profile: EnvelopeProfile = HARD) -> bytes:
        return smime.encrypt(entity, recipients=[self.reader], profile=profile)

    def letter(
        self,
        raw: bytes = TO_WARD,
        *,
        profile: EnvelopeProfile | None = HARD,
        attributes: Sequence[bytes] = (),
    ) -> bytes:
        """A signed letter with a protected header; encrypted unless there is no profile."""
        entity = self.sign(entities.protected_entity(raw, cipher=profile is not None), *attributes)
        if profile is not None:
            entity = self.close(entity, profile)
        return entities.outer_message(raw, entity, obscure_subject=profile is not None)


@pytest.fixture
def practices(homes: Path) -> Practices:
    return Practices(homes)


# Going out


@pytest.mark.parametrize(
    ("profiles", "cipher"),
    [
        ({}, "aes-256-gcm"),
        ({PRACTICE_DOMAIN: "compatible"}, "aes-256-cbc"),
        ({PRACTICE_DOMAIN.upper(): "compatible"}, "aes-256-cbc"),
        ({PRACTICE_DOMAIN: "compatible", GP: "modern"}, "aes-256-gcm"),
        ({GP: "legacy"}, "aes-256-cbc"),
        ({OTHER_GP: "legacy"}, "aes-256-gcm"),
    ],
)
async def test_an_administrator_decides_how_to_encrypt(
    homes: Path, clock: FixedClock, profiles: dict[str, str], cipher: str
) -> None:
    """For an address before its domain; otherwise what the certificate announces counts."""
    settings = ProtectionSettings.model_validate({"profiles": profiles})
    async with a_pair(homes, clock, protection=settings) as pair:
        (octets,) = await leaving(pair, a_letter())
        security = await arrived(pair)

    assert cipher_of(octets) == cipher
    assert (security.verdict, security.content_algorithm) == (Verdict.VALID, cipher)


async def test_a_legacy_recipient_does_not_weaken_the_others(
    homes: Path, clock: FixedClock
) -> None:
    """Who needs the old form gets octets of their own."""
    settings = ProtectionSettings(profiles={OTHER_GP: "legacy"})
    async with a_pair(homes, clock, protection=settings) as pair:
        octets = await leaving(pair, a_letter(to=f"{GP}, {OTHER_GP}"), GP, OTHER_GP)

    assert sorted(map(cipher_of, octets)) == ["aes-256-cbc", "aes-256-gcm"]


async def test_what_a_correspondent_was_seen_to_read_counts_before_its_certificate(
    pair: Pair,
) -> None:
    """The operator's certificate says what its gateway reads, the letter what its author reads."""
    seen = Correspondent(
        address_key=GP,
        signer_fingerprint="1" * 64,
        signer_subject="CN=x",
        capabilities=(algorithms.AES256_CBC,),
        signed_at=NOW,
        seen_at=NOW,
    )
    await pair.hospital.database.write(lambda c: learn(c, seen))

    (octets,) = await leaving(pair, a_letter())

    assert cipher_of(octets) == "aes-256-cbc"


async def test_a_domain_may_want_letters_signed_outside_too(homes: Path, clock: FixedClock) -> None:
    """Triple wrapping (RFC 2634): a gateway can check the operator without the key to read."""
    settings = ProtectionSettings(triple_wrap=(PRACTICE_DOMAIN,))
    async with a_pair(homes, clock, protection=settings) as pair:
        (octets,) = await leaving(pair, a_letter())
        security = await arrived(pair)

    assert smime.classify(octets) == "signed"
    assert [layer.kind for layer in security.layers] == ["signed", "encrypted", "signed"]
    assert (security.verdict, security.findings) == (Verdict.VALID, ())


@pytest.mark.parametrize(
    ("profile", "verdict"), [("modern", Verdict.NOT_SIGNED), ("compatible", Verdict.VALID)]
)
async def test_what_does_not_authenticate_is_signed_whatever_the_settings_say(
    homes: Path, clock: FixedClock, profile: str, verdict: Verdict
) -> None:
    """CBC without a signature inside protects nothing."""
    settings = ProtectionSettings.model_validate(
        {"sign": False, "profiles": {PRACTICE_DOMAIN: profile}}
    )
    async with a_pair(homes, clock, protection=settings) as pair:
        await leaving(pair, a_letter())
        security = await arrived(pair)

    assert security.encrypted
    assert security.verdict is verdict


async def test_a_letter_that_waits_for_a_revoked_key_has_an_obstacle(
    pair: Pair, pki: Pki, homes: Path
) -> None:
    """Its key may be in other hands; the octets cannot be changed any more."""
    (octets,) = await leaving(pair, a_letter())
    protection = pair.hospital.services.acceptance.protection
    recipient = MailAddress.parse(GP)
    assert await protection.find_obstacle(recipient, octets) is None

    (reader,) = home.load_reading(homes / PRACTICE_DOMAIN).certificates
    revoke(pair.hospital, pki, reader)

    assert await protection.find_obstacle(recipient, octets) == "recipient-certificate-revoked"
    assert await protection.find_obstacle(recipient, a_letter()) is None


async def test_a_certificate_that_has_merely_ended_is_no_obstacle(pair: Pair) -> None:
    """Its holder can still open the letter, and nobody else can."""
    (octets,) = await leaving(pair, a_letter())
    pair.hospital.clock.advance(minutes=60 * 24 * 365 * 5)

    protection = pair.hospital.services.acceptance.protection

    assert await protection.find_obstacle(MailAddress.parse(GP), octets) is None


def revoke(operator: InProcessOperator, pki: Pki, certificate: Certificate) -> None:
    """Let an operator know of a list that revokes a certificate."""
    revoking = replace(pki.authority)
    revoking.revoke(certificate, at=NOW)
    operator.services.trust.store = pki.store_with(revoking.crls(NOW))


# Coming in: for whom


async def test_a_letter_states_for_whom_it_is(pair: Pair) -> None:
    """Our own letters have both carriers: the protected header, and the signed list."""
    await leaving(pair, a_letter())

    assert (await arrived(pair)).findings == ()


async def test_a_letter_written_to_somebody_else_is_not_valid_here(
    pair: Pair, practices: Practices
) -> None:
    """Its reader encrypted it again, for us: surreptitious forwarding."""
    raw = a_letter(author=GP, to="other@elsewhere.mssante.fr")
    listed = build_recipient_list([("other@elsewhere.mssante.fr", practices.certificate)])

    security = await taken(pair, practices.letter(raw, attributes=[listed]))

    assert security.verdict is Verdict.UNTRUSTED
    assert codes(security) == [("recipient-not-listed", "error")]


async def test_a_letter_written_to_somebody_else_may_be_refused(
    homes: Path, clock: FixedClock, practices: Practices
) -> None:
    """By policy; its operator tells whoever sent it."""
    raw = a_letter(author=GP, to="other@elsewhere.mssante.fr")
    listed = build_recipient_list([("other@elsewhere.mssante.fr", practices.certificate)])
    settings = ProtectionSettings(unlisted_recipient="refuse")

    async with a_pair(homes, clock, protection=settings) as pair:
        with pytest.raises(MessageRefusedError) as refusal:
            await taken(pair, practices.letter(raw, attributes=[listed]))

    assert refusal.value.reason == "recipient-not-listed"


async def test_a_list_serves_a_recipient_whom_the_header_does_not_name(
    pair: Pair, practices: Practices
) -> None:
    """As for a blind copy, or a mailbox with several addresses; spelling does not matter."""
    raw = a_letter(author=GP, to="other@elsewhere.mssante.fr")
    listed = build_recipient_list([(WARD.upper(), practices.reader)])

    security = await taken(pair, practices.letter(raw, attributes=[listed]))

    assert (security.verdict, security.findings) == (Verdict.VALID, ())


async def test_a_recipient_whom_only_the_header_leaves_out_is_remarked(
    pair: Pair, practices: Practices
) -> None:
    """A blind copy of other software looks like a letter passed on: a warning, not a verdict."""
    raw = a_letter(author=GP, to="other@elsewhere.mssante.fr")

    security = await taken(pair, practices.letter(raw))

    assert security.verdict is Verdict.VALID
    assert codes(security) == [("recipient-not-named", "warning")]


async def test_a_letter_that_does_not_say_for_whom_it_is_stays_valid(
    pair: Pair, practices: Practices
) -> None:
    """Most software of today; it is told, and that is all."""
    signed = practices.sign(b"Content-Type: text/plain\r\n\r\nBonjour.\r\n")
    raw = entities.outer_message(TO_WARD, signed, obscure_subject=False)

    security = await taken(pair, raw)

    assert security.verdict is Verdict.VALID
    assert codes(security) == [("header-not-protected", "info"), ("recipients-not-signed", "info")]


# Coming in: what is learnt


async def known_of(operator: InProcessOperator, address: str) -> Correspondent | None:
    found = await operator.database.read(lambda c: find_correspondents(c, [address]))
    return found.get(address)


async def test_a_valid_letter_teaches_what_its_author_reads(
    pair: Pair, practices: Practices
) -> None:
    """Who signed, what they can read, and when that was."""
    await taken(pair, practices.letter())

    known = await known_of(pair.hospital, GP)

    assert known is not None
    assert known.signer_fingerprint == practices.certificate.fingerprint
    assert known.capabilities[0] == algorithms.AES256_GCM
    assert (known.signed_at, known.seen_at) == (NOW, pair.hospital.clock.now())


async def test_an_author_whose_signer_is_not_bound_teaches_nothing(pair: Pair, pki: Pki) -> None:
    """Neither a stranger nor a trusted signer of another house speaks for the mailbox."""
    for issued in (pki.stranger_signature, pki.practice_signature, pki.hospital_signature):
        entity = smime.sign(
            entities.protected_entity(TO_WARD, cipher=False), keys=issued.key_holder(), at=NOW
        )
        security = await taken(pair, entities.outer_message(TO_WARD, entity, obscure_subject=False))
        assert security.verdict is Verdict.UNTRUSTED
        assert security.binding is Binding.NONE

    assert await known_of(pair.hospital, GP) is None


@pytest.mark.parametrize(
    ("subject", "ago", "expected"),
    [
        ("same", timedelta(days=9), [("signer-certificate-renewed", "info")]),
        ("CN=somebody else", timedelta(days=9), [("signer-changed", "warning")]),
        ("CN=somebody else", timedelta(days=-9), []),
    ],
)
async def test_another_signer_than_last_time_is_told(
    pair: Pair,
    practices: Practices,
    subject: str,
    ago: timedelta,
    expected: list[tuple[str, str]],
) -> None:
    """A renewed certificate is a remark, another holder a warning; an old letter proves nothing."""
    last = Correspondent(
        address_key=GP,
        signer_fingerprint="1" * 64,
        signer_subject=practices.certificate.subject_text if subject == "same" else subject,
        capabilities=(),
        signed_at=NOW - ago,
        seen_at=NOW - ago,
    )
    await pair.hospital.database.write(lambda c: learn(c, last))

    security = await taken(pair, practices.letter())

    assert security.verdict is Verdict.VALID
    assert codes(security) == expected


async def test_the_signer_of_last_time_is_not_remarked(pair: Pair, practices: Practices) -> None:
    """Nothing is new, nothing is written."""
    await taken(pair, practices.letter())
    first = await known_of(pair.hospital, GP)
    again = a_letter(author=GP, to=WARD, message_id="<2@x.fr>")

    security = await taken(pair, practices.letter(again))

    assert security.findings == ()
    assert await known_of(pair.hospital, GP) == first


# Coming in: forms


async def test_an_opaque_signature_can_be_read_and_checked_again(
    pair: Pair, practices: Practices
) -> None:
    """Readers see the letter, not a structure; the signature is kept beside it."""
    cms = signed_data.build(
        entities.protected_entity(TO_WARD, cipher=False),
        certificate=practices.certificate,
        keys=practices.keys,
        at=NOW,
        is_detached=False,
    )
    entity = (
        b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + wrap_base64(cms)
    )

    security = await taken(pair, entities.outer_message(TO_WARD, entity, obscure_subject=False))

    (view,) = await pair.hospital.letters("ward", WARD)
    raw = await pair.hospital.services.reading.get_raw(
        await pair.hospital.log_in("ward"), view.message.id
    )
    assert security.verdict is Verdict.VALID
    assert [part.content_type for part in view.message.summary.parts] == ["text/plain"]
    assert smime.classify(raw) == "signed"


async def test_a_letter_of_the_german_health_mail_is_read(pair: Pair, practices: Practices) -> None:
    """KIM: the whole message, opaquely signed, encrypted with the author's other spelling."""
    inner = a_letter(author=GP, to=WARD, subject="Arztbrief")
    cms = signed_data.build(
        b"Content-Type: message/rfc822\r\n\r\n" + inner,
        certificate=practices.certificate,
        keys=practices.keys,
        at=NOW,
        is_detached=False,
        more=[build_recipient_list([(WARD, practices.reader)])],
    )
    signed = b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\n" + cms
    closed = practices.close(signed).replace(b"authEnveloped", b"authenticated-enveloped")
    outer = entities.outer_message(inner, closed, obscure_subject=False).replace(
        b"Subject: Arztbrief", b"Subject: KOM-LE-Nachricht"
    )

    security = await taken(pair, outer)

    (view,) = await pair.hospital.letters("ward", WARD)
    assert security.verdict is Verdict.VALID
    assert codes(security) == [("signature-not-kept", "info")]
    assert view.message.summary.subject == "Arztbrief"
    assert [part.content_type for part in view.message.summary.parts] == ["text/plain"]


async def test_a_second_signer_does_not_take_the_author_away(
    pair: Pair, practices: Practices, pki: Pki
) -> None:
    """Two may sign; it is enough that one of them is the author."""
    content = entities.protected_entity(TO_WARD, cipher=False)
    first = practices.sign(content)
    both = both_sign(first, pki)

    security = await taken(pair, entities.outer_message(TO_WARD, both, obscure_subject=False))

    assert (security.verdict, security.binding) == (Verdict.VALID, Binding.OPERATOR)


def both_sign(entity: bytes, pki: Pki) -> bytes:
    """Let another trusted signer sign what is signed."""
    return smime.sign(entity, keys=pki.practice_signature.key_holder(), at=NOW)


# Coming in: what is refused, and in which words


def damaged(octets: bytes, at: int) -> bytes:
    """Flip a bit of the structure inside an encrypted message."""
    read = read_entity(octets)
    inside = bytearray(read.decoded_body())
    inside[at] ^= 0x40
    return octets[: read.body_at] + wrap_base64(bytes(inside))


def soft_letters(practices: Practices) -> list[bytes]:
    """Letters in CBC that cannot be opened, can be, or have a broken signature inside."""
    entity = entities.protected_entity(TO_WARD, cipher=True)
    unsigned = entities.outer_message(TO_WARD, practices.close(entity, SOFT), obscure_subject=True)
    signed = practices.letter(profile=SOFT)
    return [unsigned, damaged(unsigned, -17), damaged(unsigned, -40), damaged(signed, -60)]


async def test_an_oracle_gets_one_answer(pair: Pair, practices: Practices) -> None:
    """Whether padding, content or signature is wrong, or all is well: nobody learns it here."""
    answers = set()
    for octets in soft_letters(practices):
        with pytest.raises(MessageRefusedError) as refusal:
            await taken(pair, octets)
        answers.add((refusal.value.reason, refusal.value.public_text))

    assert answers == {("undecryptable", MessageRefusedError.public_text)}
    assert await pair.hospital.letters("ward", WARD) == []


async def test_an_oracle_gets_one_answer_from_those_who_keep_everything(
    homes: Path, clock: FixedClock, practices: Practices
) -> None:
    """Where such letters are deposited, so are those that cannot be opened."""
    settings = ProtectionSettings(malleable_content="deposit")
    async with a_pair(homes, clock, protection=settings) as pair:
        found = [await taken(pair, octets) for octets in soft_letters(practices)]

    readable, closed, garbled, broken = found
    assert readable.verdict is Verdict.NOT_SIGNED
    assert closed.verdict is Verdict.UNREADABLE
    assert garbled.verdict in {Verdict.NOT_SIGNED, Verdict.UNREADABLE}  # as the garbage falls
    assert broken.verdict is Verdict.INVALID
    assert ("content-malleable", "warning") in codes(readable)
    assert codes(closed) == [("undecryptable", "error")]
    assert codes(broken) == [("signature-broken", "error")]


async def test_garbage_is_kept_closed(homes: Path, clock: FixedClock, practices: Practices) -> None:
    """What does not read as mail must get the same answer as what does."""
    garbage = practices.close(b"Content-Type: text/plain\r\n\r\nno line\nof mail", SOFT)
    raw = entities.outer_message(TO_WARD, garbage, obscure_subject=True)
    settings = ProtectionSettings(malleable_content="deposit")
    async with a_pair(homes, clock, protection=settings) as pair:
        security = await taken(pair, raw)

    assert security.verdict is Verdict.UNREADABLE
    assert codes(security) == [("undecryptable", "error")]


async def test_a_signed_letter_in_cbc_is_as_good_as_any(pair: Pair, practices: Practices) -> None:
    """The signature inside protects it."""
    security = await taken(pair, practices.letter(profile=SOFT))

    assert (security.verdict, security.findings) == (Verdict.VALID, ())
    assert security.content_algorithm == "aes-256-cbc"


async def test_a_peer_that_does_better_must_do_better(
    homes: Path, clock: FixedClock, practices: Practices
) -> None:
    """For a domain set to modern, content that is not authenticated is not opened."""
    settings = ProtectionSettings(profiles={PRACTICE_DOMAIN: "modern"})
    async with a_pair(homes, clock, protection=settings) as pair:
        with pytest.raises(MessageRefusedError) as refusal:
            await taken(pair, practices.letter(profile=SOFT))
        security = await taken(pair, practices.letter())

    assert refusal.value.reason == "undecryptable"
    assert security.verdict is Verdict.VALID


async def test_a_broken_signature_may_be_kept_as_what_it_is(
    homes: Path, clock: FixedClock, practices: Practices
) -> None:
    """By policy; never as anything but invalid."""
    octets = practices.letter(profile=None).replace(b"patiente va bien", b"patiente va mal ")
    settings = ProtectionSettings(broken_signature="deposit")
    async with a_pair(homes, clock, protection=settings) as pair:
        security = await taken(pair, octets)

    assert security.verdict is Verdict.INVALID
    assert codes(security) == [("signature-broken", "error")]
    assert [layer.error for layer in security.layers] == ["signature-invalid"]


async def test_a_letter_between_mailboxes_of_this_house_is_not_judged(pair: Pair) -> None:
    """It never left."""
    await pair.hospital.submit(await pair.hospital.log_in("ward"), a_letter(to=LAB), LAB)
    (view,) = await pair.hospital.letters("lab", LAB)

    assert view.message.security.verdict is Verdict.INTERNAL


async def test_a_letter_that_waited_for_a_revoked_key_comes_back(
    pair: Pair, pki: Pki, homes: Path
) -> None:
    """Revoked in mid-queue: it is never sent, and its sender is told at once."""
    (reader,) = home.load_reading(homes / PRACTICE_DOMAIN).certificates
    pair.hospital.relay.answers = [Deferred(code="no-host", detail="nobody answers")]
    await leaving(pair, a_letter())
    revoke(pair.hospital, pki, reader)
    pair.hospital.clock.advance(minutes=30)

    await pair.settle()

    assert len(pair.hospital.relay.carried) == 1
    assert await pair.practices.letters("anne", GP) == []
    newest, *_ = await pair.hospital.letters("ward", WARD)
    assert newest.message.report == "delivery"
