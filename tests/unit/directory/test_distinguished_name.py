import pytest

from directory.distinguished_name import DistinguishedName
from directory.errors import DistinguishedNameSyntaxError

PLAIN = "CN=mta.ch-exemple.fr,OU=1750000002,O=CH EXEMPLE,ST=Paris (75),C=FR"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        "cn=MTA.CH-Exemple.fr,ou=1750000002,o=ch exemple,st=paris (75),c=fr",
        "CN=mta.ch-exemple.fr, OU=1750000002, O=CH EXEMPLE, ST=Paris (75), C=FR",
        "CN=mta.ch-exemple.fr;OU=1750000002;O=CH EXEMPLE;ST=Paris (75);C=FR",
        "CN=mta.ch-exemple.fr ,OU=1750000002,O=CH EXEMPLE,ST=Paris(75),C=FR",
        'CN=mta.ch-exemple.fr,OU=1750000002,O="CH  EXEMPLE",ST=Paris (75),C=FR',
        "CN=mta.ch-exemple.fr,OU=1750000002,O=CH  EXEMPLE,ST=Paris (75),C=FR",
        "CN=mta.ch-exemple.fr,OU=1750000002,O=CH\u00a0EXEMPLE,ST=Paris\u00a0(75),C=FR",
        "CN=mta.ch-exemple.fr\\ ,OU=1750000002,O=CH EXEMPLE,ST=Paris (75),C=FR",
        "2.5.4.3=mta.ch-exemple.fr,OID.2.5.4.11=1750000002,O=CH EXEMPLE,S=Paris (75),C=FR",
        "CN=\\6dta.ch-exemple.fr,OU=1750000002,O=CH EXEMPLE,ST=Paris (75),C=FR",
    ],
)
def test_the_spellings_seen_in_real_lists_are_one_name(text: str) -> None:
    """Each of them cut off an operator in somebody's string comparison."""
    assert DistinguishedName.parse(text) == DistinguishedName.parse(PLAIN)
    assert hash(DistinguishedName.parse(text)) == hash(DistinguishedName.parse(PLAIN))


def test_a_name_from_a_certificate_equals_the_listed_one() -> None:
    """The certificate hands over parts, the list a text."""
    parts = (
        ("CN", "mta.ch-exemple.fr"),
        ("OU", "1750000002"),
        ("O", "CH Exemple"),
        ("ST", "Paris (75)"),
        ("C", "FR"),
    )
    assert DistinguishedName.from_rdns(parts) == DistinguishedName.parse(PLAIN)


@pytest.mark.parametrize(
    "text",
    [
        "CN=mta.ch-exemple.fr,OU=1750000002,O=CH EXEMPLE,L=Paris (75),C=FR",
        "CN=mta.ch-exemple.fr,OU=1750000002,O=CH EXEMPLE,C=FR",
        "C=FR,ST=Paris (75),O=CH EXEMPLE,OU=1750000002,CN=mta.ch-exemple.fr",
        "CN=mta.ch-exemple.fr,O=1750000002,OU=CH EXEMPLE,ST=Paris (75),C=FR",
        "CN=mta.ch-exemple.fr\\,OU=1750000002,O=CH EXEMPLE,ST=Paris (75),C=FR",
        "CN=mta.ch-exemple.fr,OU=1750000002,O=CH EXEMPLE\\,ST=Paris (75),C=FR",
        "CN=mta.ch-ex\u0435mple.fr,OU=1750000002,O=CH EXEMPLE,ST=Paris (75),C=FR",
        "CN=mta.ch-exem\u200bple.fr,OU=1750000002,O=CH EXEMPLE,ST=Paris (75),C=FR",
    ],
)
def test_another_name_stays_another_name(text: str) -> None:
    """L is not ST, order counts, an escaped comma is a letter, a Cyrillic e is no e."""
    assert DistinguishedName.parse(text) != DistinguishedName.parse(PLAIN)


def test_accents_compare_in_any_composition() -> None:
    """Both encodings of é are seen in organisation names."""
    composed = DistinguishedName.parse("O=Santé")
    assert composed == DistinguishedName.parse("O=Sante\u0301")
    assert composed != DistinguishedName.parse("O=Sante")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CN",
        "=x",
        "CN=",
        "CN=  ",
        "CN=a,",
        "CN=a,,O=b",
        "CN=a+OU=b",
        'CN="a',
        'CN="a"b',
        "CN=a\\",
        "CN=a\\zz",
        "CN=\\ff",
        "1=a",
        "C N=a",
        "CN=\ud800",
        "CN=" + "a" * 5000,
        ",".join(["OU=a"] * 40),
        "\u00c7=a",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    """One declared error, whatever the text."""
    with pytest.raises(DistinguishedNameSyntaxError):
        DistinguishedName.parse(text)


def test_a_name_without_parts_is_refused() -> None:
    """An empty subject would equal every other empty subject."""
    with pytest.raises(DistinguishedNameSyntaxError):
        DistinguishedName.from_rdns(())


@pytest.mark.parametrize("value", ["a,b", ' a"b\\ ', "#1", "a+b;<c>", "é\u00a0x", "a\nb", "  x"])
def test_the_text_form_reads_back(value: str) -> None:
    """What is written into a trust list must be what was meant."""
    name = DistinguishedName.from_rdns((("CN", value), ("C", "FR")))

    assert DistinguishedName.parse(str(name)) == name


@pytest.mark.parametrize("value", ["0 ", " 0", "  0  ", "\\ ", "# "])
def test_the_text_form_survives_being_trimmed(value: str) -> None:
    """A field of the trust list is trimmed when it is read; some real names end with a space."""
    name = DistinguishedName.from_rdns((("CN", value), ("C", "FR")))
    last = DistinguishedName.from_rdns((("C", "FR"), ("CN", value)))

    assert DistinguishedName.parse(str(name).strip()).rdns == name.rdns
    assert DistinguishedName.parse(str(last).strip()).rdns == last.rdns


def test_an_operator_is_shown_by_host_and_organisation() -> None:
    """Administrators look for these two."""
    name = DistinguishedName.parse(PLAIN)

    assert name.common_name == "mta.ch-exemple.fr"
    assert name.organization == "CH EXEMPLE"
    assert name.values_of("st") == ("Paris (75)",)
    assert DistinguishedName.parse("C=FR").common_name is None
