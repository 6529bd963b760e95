import pytest

from directory.address import PATIENT_DOMAIN, Domain, MailAddress
from directory.errors import AddressSyntaxError


def test_an_address_keeps_its_spelling_and_compares_without_case() -> None:
    """The same mailbox must be found however the sender wrote it."""
    written = MailAddress.parse("Anne.Essai-Leroux@CH-Demo.MSSante.fr")

    assert str(written) == "Anne.Essai-Leroux@ch-demo.mssante.fr"
    assert written.key == "anne.essai-leroux@ch-demo.mssante.fr"
    assert written == MailAddress.parse("anne.essai-leroux@ch-demo.mssante.fr")
    assert len({written, MailAddress.parse("ANNE.ESSAI-LEROUX@ch-demo.mssante.fr")}) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "a",
        "@b.fr",
        "a@",
        "a@b@c.fr",
        '"a@evil.fr"@mss.fr',
        '"a b"@mss.fr',
        "a@x(b).fr",
        "a(comment)@x.fr",
        "a@x(b)@y.fr",
        "<a@x.fr>",
        "Anne <a@x.fr>",
        "=?utf-8?q?a=40x,?=@x.fr,b@y.fr",
        "a,b@x.fr",
        "a b@x.fr",
        " a@x.fr",
        "a@x.fr ",
        "a@x.fr\n",
        "a@x.fr\r\nRCPT TO:<b@y.fr>",
        "a\x00@x.fr",
        "a@x\x00.fr",
        ".a@x.fr",
        "a.@x.fr",
        "a..b@x.fr",
        "é@x.fr",
        "a@é.fr",
        "a@x.fr.",
        "a@.x.fr",
        "a@x..fr",
        "a@-x.fr",
        "a@x-.fr",
        "a@x_y.fr",
        "a@localhost",
        "a@127.0.0.1",
        "a@[127.0.0.1]",
        "a@x。fr",
        "a@\u212aiwi.fr",
        "user%host@x.fr",
        "host!user@x.fr",
        "@relay.fr:a@x.fr",
        "a" * 65 + "@x.fr",
        "a@" + "b" * 64 + ".fr",
        "a" * 60 + "@" + ".".join(["b" * 48] * 4) + ".fr",
    ],
)
def test_what_two_readers_could_read_differently_is_refused(text: str) -> None:
    """Two parsers that disagree are two recipients (threat 22)."""
    with pytest.raises(AddressSyntaxError):
        MailAddress.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "a@x.fr",
        "a+b@x.fr",
        "d'arc@x.fr",
        "279035121518989@patient.mssante.fr",
        "a@xn--caf-dma.fr",
        "a" * 64 + "@x.fr",
        "1@1.2x",
    ],
)
def test_ordinary_addresses_come_back_as_they_were(text: str) -> None:
    """Strict must not mean deaf."""
    assert str(MailAddress.parse(text)) == text


def test_a_value_cannot_be_made_around_the_parser() -> None:
    """Whoever holds a MailAddress may rely on it."""
    with pytest.raises(AddressSyntaxError):
        MailAddress(local="a b", domain=Domain("x.fr"))


def test_a_domain_is_a_text_in_its_only_spelling() -> None:
    """It serves as a key and as a parameter without conversion."""
    assert Domain.parse("CH-Demo.mssante.fr") == "ch-demo.mssante.fr"


def test_a_patient_shows_nothing_in_a_log() -> None:
    """The local part of a patient's address is the national health identifier."""
    address = MailAddress.parse("279035121518989@patient.mssante.fr")

    assert address.is_patient
    assert address.domain == PATIENT_DOMAIN
    assert address.masked == "…@patient.mssante.fr"


def test_a_professional_shows_one_letter_in_a_log() -> None:
    """Enough to follow a case with the person, too little to name them."""
    assert MailAddress.parse("anne@ch-demo.fr").masked == "a…@ch-demo.fr"


def test_the_error_holds_a_reason_and_not_the_address() -> None:
    """Errors are logged, addresses are not."""
    with pytest.raises(AddressSyntaxError) as caught:
        MailAddress.parse("secret name@x.fr")

    assert "secret" not in str(caught.value)
    assert caught.value.reason == "local-part-shape"
