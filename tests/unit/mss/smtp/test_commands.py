from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss.model.envelope import DEFAULT_NOTIFY, Notify
from mss.smtp import replies
from mss.smtp.commands import decode_xtext, encode_xtext, parse_mail, parse_rcpt
from mss.smtp.errors import ConversationError
from mss.smtp.replies import Reply


def test_mail_without_parameters() -> None:
    """The usual form."""
    command = parse_mail("FROM:<anne@example.org>")

    assert str(command.sender) == "anne@example.org"
    assert (command.size_octets, command.returns, command.envelope_id) == (None, None, None)


@pytest.mark.parametrize("argument", ["FROM:<>", "from: <>", "From:<> BODY=7BIT"])
def test_the_null_sender(argument: str) -> None:
    """Reports have no sender; one space after the colon is forgiven."""
    assert parse_mail(argument).sender is None


def test_mail_with_every_parameter() -> None:
    """In any order and case; values keep their case."""
    command = parse_mail("FROM:<a@b.fr> envid=Ab+3D ret=FULL Size=0042 BODY=8bitmime")

    assert (command.size_octets, command.returns, command.envelope_id) == (42, "FULL", "Ab=")


def test_rcpt_without_wishes_has_the_usual_ones() -> None:
    """RFC 3461, 4.1: failures and delays."""
    assert parse_rcpt("TO:<a@b.fr>").notify == DEFAULT_NOTIFY


def test_rcpt_with_wishes() -> None:
    """Kept decoded."""
    recipient = parse_rcpt("TO:<a@b.fr> NOTIFY=SUCCESS,failure ORCPT=RFC822;x+2By@z.fr")

    assert recipient.notify == {Notify.SUCCESS, Notify.FAILURE}
    assert recipient.original_recipient == "RFC822;x+y@z.fr"


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("", replies.MAIL_SYNTAX),
        ("FROM", replies.MAIL_SYNTAX),
        ("FROM:", replies.MAIL_SYNTAX),
        ("FROM:a@b.fr", replies.MAIL_SYNTAX),
        ("FROM:<a@b.fr", replies.MAIL_SYNTAX),
        ("FROM:  <a@b.fr>", replies.MAIL_SYNTAX),
        ("FROM:<<a@b.fr>>", replies.MAIL_SYNTAX),
        ("FROM:Anne <a@b.fr>", replies.MAIL_SYNTAX),
        ("FROM:<a@b.fr>SIZE=1", replies.MAIL_SYNTAX),
        ("FROM:<a>", replies.SENDER_SYNTAX),
        ("FROM:<a@b>", replies.SENDER_SYNTAX),
        ("FROM:<@x.fr:a@b.fr>", replies.SENDER_SYNTAX),
        ("FROM:<a@b@c.fr>", replies.SENDER_SYNTAX),
        ('FROM:<"a@evil"@b.fr>', replies.SENDER_SYNTAX),
        ("FROM:<a(x)@b.fr>", replies.SENDER_SYNTAX),
        ("FROM:<a@[127.0.0.1]>", replies.SENDER_SYNTAX),
        ("FROM:<a@b.fr> SIZE", replies.PARAMETER_SYNTAX),
        ("FROM:<a@b.fr> SIZE=", replies.PARAMETER_SYNTAX),
        ("FROM:<a@b.fr> SIZE=-1", replies.PARAMETER_SYNTAX),
        ("FROM:<a@b.fr> SIZE=1_0", replies.PARAMETER_SYNTAX),
        ("FROM:<a@b.fr> SIZE=" + "9" * 21, replies.PARAMETER_SYNTAX),
        ("FROM:<a@b.fr> SIZE=1 size=2", replies.PARAMETER_SYNTAX),
        ("FROM:<a@b.fr> BODY=BINARYMIME", replies.PARAMETER_SYNTAX),
        ("FROM:<a@b.fr> RET=BODY", replies.PARAMETER_SYNTAX),
        ("FROM:<a@b.fr> ENVID=a+0D+0Ab", replies.PARAMETER_SYNTAX),
        ("FROM:<a@b.fr> ENVID=" + "a" * 101, replies.PARAMETER_SYNTAX),
        ("FROM:<a@b.fr> " + "X=1 " * 11, replies.PARAMETER_SYNTAX),
        ("FROM:<a@b.fr> SMTPUTF8", replies.PARAMETER_UNKNOWN),
        ("FROM:<a@b.fr> AUTH=<>", replies.PARAMETER_UNKNOWN),
        ("FROM:<a@b.fr> =1", replies.PARAMETER_UNKNOWN),
    ],
)
def test_what_mail_does_not_mean(argument: str, reply: Reply) -> None:
    """Each refusal has its code."""
    with pytest.raises(ConversationError) as caught:
        parse_mail(argument)

    assert caught.value.reply is reply


@pytest.mark.parametrize(
    ("argument", "reply"),
    [
        ("TO:<>", replies.RECIPIENT_SYNTAX),
        ("TO:<postmaster>", replies.RECIPIENT_SYNTAX),
        ("FROM:<a@b.fr>", replies.RCPT_SYNTAX),
        ("TO:<a@b.fr> NOTIFY=NEVER,SUCCESS", replies.PARAMETER_SYNTAX),
        ("TO:<a@b.fr> NOTIFY=SUCCESS,SUCCESS", replies.PARAMETER_SYNTAX),
        ("TO:<a@b.fr> NOTIFY=ALWAYS", replies.PARAMETER_SYNTAX),
        ("TO:<a@b.fr> ORCPT=a@b.fr", replies.PARAMETER_SYNTAX),
        ("TO:<a@b.fr> ORCPT=rfc822;", replies.PARAMETER_SYNTAX),
        ("TO:<a@b.fr> ORCPT=rfc822;a=b@c.fr", replies.PARAMETER_SYNTAX),
        ("TO:<a@b.fr> ORCPT=rfc822;a+0D+0AX", replies.PARAMETER_SYNTAX),
        ("TO:<a@b.fr> ORCPT=rfc822;" + "a" * 500, replies.PARAMETER_SYNTAX),
        ("TO:<a@b.fr> SIZE=1", replies.PARAMETER_UNKNOWN),
    ],
)
def test_what_rcpt_does_not_mean(argument: str, reply: Reply) -> None:
    """Each refusal has its code."""
    with pytest.raises(ConversationError) as caught:
        parse_rcpt(argument)

    assert caught.value.reply is reply


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), max_size=200))
def test_any_argument_is_read_or_refused(argument: str) -> None:
    """There is no third way."""
    for text in (argument, f"FROM:{argument}", f"FROM:<a@b.fr> {argument}"):
        with suppress(ConversationError):
            parse_mail(text)
    for text in (argument, f"TO:{argument}", f"TO:<a@b.fr> {argument}"):
        with suppress(ConversationError):
            parse_rcpt(text)


@given(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_xtext_goes_there_and_back(text: str) -> None:
    """And is one word on the way, whatever it holds."""
    encoded = encode_xtext(text)

    assert decode_xtext(encoded) == text
    assert not set(encoded) & set(" =\r\n")


@given(st.text(max_size=50))
def test_xtext_never_hides_a_line_end(text: str) -> None:
    """What is decoded may be written into a report."""
    decoded = decode_xtext(text)

    assert decoded is None or (decoded.isprintable() and decoded.isascii())


@pytest.mark.parametrize("text", ["a\r\nRCPT TO:<b@c.fr>", "a b", "é"])
def test_what_is_encoded_stays_one_word(text: str) -> None:
    """The relay writes it into a command line."""
    assert encode_xtext(text).isascii()
    assert len(encode_xtext(text).split()) == 1
