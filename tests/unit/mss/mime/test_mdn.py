"""Disposition notifications, and the integration result of the national guide."""

import pytest

from directory.address import MailAddress
from mss.mime.errors import HeaderValueError, MessageLimitError, MessageSyntaxError
from mss.mime.mdn import (
    Disposition,
    DispositionNotification,
    DispositionType,
    IntegrationResult,
    build_disposition_notification,
    build_mdn,
    parse_disposition_notification,
)
from mss.mime.parse import parse_message, part_octets, part_text
from tests.unit.mss.mime.samples import AT, MESSAGE_ID, SUBJECT, a_message, named

READ = DispositionNotification(
    final_recipient="jean.martin@medecin.mssante.fr",
    original_recipient="Jean.Martin@medecin.mssante.fr",
    original_message_id=MESSAGE_ID,
    reporting_ua="mss.medecin.mssante.fr; mss",
    disposition=Disposition(type=DispositionType.DISPLAYED),
)
REFUSED = DispositionNotification(
    final_recipient="app@medecin.mssante.fr",
    original_message_id=MESSAGE_ID,
    disposition=Disposition(
        type=DispositionType.PROCESSED,
        automatic=True,
        sent_automatically=True,
        modifiers=("error",),
    ),
    errors=("902^Identifiant de patient inconnu^applicationErrorCondition| E^Error^errorSeverity",),
)
OLDER = (
    b"Original-Recipient: rfc822;app@b.fr\r\n"
    b"Final-Recipient: rfc822;app@b.fr\r\n"
    b"Original-Message-ID: <1@b.fr>\r\n"
    b"Disposition: automatic-action/MDN-sent-automatically; "
)


def _mdn(notification: DispositionNotification, *, return_content: bool = False) -> bytes:
    return build_mdn(
        notification,
        original=a_message(),
        author=named("jean.martin@medecin.mssante.fr"),
        to=MailAddress.parse("cardio@chu.mssante.fr"),
        message_id="<mdn1@medecin.mssante.fr>",
        at=AT,
        return_content=return_content,
    )


@pytest.mark.parametrize("automatic", [True, False])
@pytest.mark.parametrize("kind", DispositionType)
def test_a_notification_reads_back_as_it_was(kind: DispositionType, automatic: bool) -> None:  # noqa: FBT001 - a case
    """Each sort of disposition drives another line of the follow-up."""
    notification = DispositionNotification(
        final_recipient="a@b.fr",
        disposition=Disposition(type=kind, automatic=automatic, sent_automatically=not automatic),
    )
    written = build_disposition_notification(notification)
    assert parse_disposition_notification(written) == notification


@pytest.mark.parametrize("notification", [READ, REFUSED])
def test_a_full_notification_reads_back_as_it_was(notification: DispositionNotification) -> None:
    """Identifiers, recipients and errors survive folding."""
    written = build_disposition_notification(notification)
    assert parse_disposition_notification(written) == notification


def test_a_read_receipt_tells_nothing_clinical() -> None:
    """The subject of the letter names the patient."""
    raw = _mdn(READ)
    assert parse_message(raw).subject == "Accusé de lecture / Read receipt"
    for secret in (b"DUPONT", b"XDM/1.0", b"CORSE", b"a@b.mssante.fr"):
        assert secret not in raw


def test_a_receipt_is_automatic_mail_in_the_thread() -> None:
    """Row 36 of the threats: no receipt for a receipt."""
    message = parse_message(_mdn(READ))
    assert message.auto_submitted == "auto-replied"
    assert message.in_reply_to == MESSAGE_ID
    assert message.disposition_notification_to == ()
    assert message.root.parameters["report-type"] == "disposition-notification"


def test_a_receipt_speaks_both_languages() -> None:
    """Its reader is a person first."""
    message = parse_message(_mdn(READ))
    text = part_text(message.raw, message.root.children[0])
    assert "a été affiché" in text
    assert "was displayed" in text


def test_a_refused_integration_is_named_in_the_subject() -> None:
    """The form of the guide, 1.1.3: code in brackets, then the original subject."""
    message = parse_message(_mdn(REFUSED, return_content=True))
    assert message.subject == f"[KO Intégration système !][902] {SUBJECT}"
    text = part_text(message.raw, message.root.children[0])
    assert "902 Identifiant de patient inconnu" in text


def test_a_successful_integration_keeps_the_subject() -> None:
    """The form of the guide: unchanged when good."""
    done = DispositionNotification(
        final_recipient="app@b.fr",
        disposition=Disposition(
            type=DispositionType.PROCESSED, automatic=True, sent_automatically=True
        ),
    )
    assert parse_message(_mdn(done)).subject == SUBJECT


def test_the_whole_message_can_be_given_back() -> None:
    """The guide, 1.1.3: the third part is the complete original, its octets untouched."""
    message = parse_message(_mdn(REFUSED, return_content=True))
    returned = message.root.children[2]
    assert returned.content_type == "message/rfc822"
    assert part_octets(message.raw, returned) == a_message()


@pytest.mark.parametrize(
    ("disposition", "expected"),
    [
        (b"processed\r\n", IntegrationResult(succeeded=True)),
        (
            b"processed/Error: 902^Identifiant de patient inconnu\r\n",
            IntegrationResult(succeeded=False, code="902", label="Identifiant de patient inconnu"),
        ),
        (
            b"processed/error\r\nError: 902^Identifiant de patient inconnu^a| E^Error^b\r\n",
            IntegrationResult(succeeded=False, code="902", label="Identifiant de patient inconnu"),
        ),
        (
            "processed/Error: 903^INS, non trouvée\r\n".encode(),
            IntegrationResult(succeeded=False, code="903", label="INS, non trouvée"),
        ),
        (b"processed/error\r\n", IntegrationResult(succeeded=False)),
        (
            b"processed/error\r\nError: something broke\r\n",
            IntegrationResult(succeeded=False, label="something broke"),
        ),
        (b"displayed\r\n", None),
        (b"deleted/error\r\n", None),
    ],
)
def test_both_national_forms_are_read(
    disposition: bytes, expected: IntegrationResult | None
) -> None:
    """Software in the field writes the older form for years to come."""
    assert parse_disposition_notification(OLDER + disposition).integration == expected


def test_a_person_that_processes_is_no_integration() -> None:
    """Only software integrates."""
    octets = OLDER.replace(b"automatic-action", b"manual-action") + b"processed\r\n"
    assert parse_disposition_notification(octets).integration is None


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"Final-Recipient: rfc822;a@b.fr\r\n",
        OLDER,
        OLDER + b"exploded\r\n",
        OLDER.replace(b"automatic-action/", b"") + b"displayed\r\n",
        b"Disposition: manual-action/MDN-sent-manually; displayed\r\n",
        b"no field at all",
    ],
)
def test_a_notification_without_its_facts_is_refused(octets: bytes) -> None:
    """A receipt that does not say what happened proves nothing."""
    with pytest.raises(MessageSyntaxError):
        parse_disposition_notification(octets)


def test_a_notification_is_bounded() -> None:
    """Anybody can send one."""
    with pytest.raises(MessageLimitError):
        parse_disposition_notification(b"x" * 2_000_000)


@pytest.mark.parametrize("modifier", ["a b", "error\r\nX: y", "", "é"])
def test_a_modifier_is_a_word(modifier: str) -> None:
    """Row 21 of the threats, inside the body of a report."""
    notification = DispositionNotification(
        final_recipient="a@b.fr",
        disposition=Disposition(type=DispositionType.PROCESSED, modifiers=(modifier,)),
    )
    with pytest.raises(HeaderValueError):
        build_disposition_notification(notification)
