from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from directory.address import Domain
from directory.distinguished_name import DistinguishedName
from directory.errors import TrustListSyntaxError
from directory.findings import Severity
from directory.trust_list import (
    MAX_OCTETS,
    TrustList,
    TrustListEntry,
    build_trust_list,
    check_succession,
    compare_lists,
    parse_trust_list,
)

AT = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
FIRST = DistinguishedName.parse("CN=mx1.demo.fr,OU=1750000002,O=CH DEMO,ST=Paris (75),C=FR")
SECOND = DistinguishedName.parse("CN=mx2.demo.fr,OU=1750000002,O=CH DEMO,ST=Paris (75),C=FR")
EXTRACT = Path("../shared/data/listeblanche-extract.xml")


def an_entry(domain: str, name: DistinguishedName = FIRST) -> TrustListEntry:
    return TrustListEntry(
        domain=Domain(domain),
        name=name,
        description="Une structure d'essai & co",
        responsible_contact="dsi@exemple.example",
        support_contact="support@exemple.example",
        updated_at=AT,
    )


def a_list(*entries: TrustListEntry, at: datetime = AT) -> TrustList:
    return TrustList(generated_at=at, entries=entries)


LIST = a_list(
    an_entry("ch-demo.mssante.fr"),
    an_entry("ch-demo.mssante.fr", SECOND),
    an_entry("cabinets-demo.mssante.fr", SECOND),
)


def as_xml(body: str, *, date: str = "2026-11-23T08:00:00Z") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<ListeBlancheMSSante xmlns="https://listeblanche.mssante.fr/schema">'
        f"<DateDeGeneration>{date}</DateDeGeneration>"
        f"<ListeDomaines>{body}</ListeDomaines></ListeBlancheMSSante>"
    ).encode()


def as_entry(name: str, dn: str = "CN=mx1.demo.fr,C=FR", date: str = "2026-01-15T08:00:00Z") -> str:
    return (
        f"<Domaine><Nom>{name}</Nom><Description>d</Description>"
        f"<DNCertificatOperateur>{dn}</DNCertificatOperateur>"
        "<ResponsableContact>r</ResponsableContact><SupportContact>s</SupportContact>"
        f"<DateMAJ>{date}</DateMAJ></Domaine>"
    )


def test_a_name_may_speak_for_the_domains_it_is_listed_with() -> None:
    """Several certificates for one domain, several domains for one certificate."""
    assert LIST.allows("ch-demo.mssante.fr", FIRST)
    assert LIST.allows("ch-demo.mssante.fr", SECOND)
    assert not LIST.allows("cabinets-demo.mssante.fr", FIRST)
    assert LIST.names_of("ch-demo.mssante.fr") == {FIRST, SECOND}
    assert LIST.domains_of(SECOND) == {"ch-demo.mssante.fr", "cabinets-demo.mssante.fr"}


@pytest.mark.parametrize(
    "domain", ["mssante.fr", "sub.ch-demo.mssante.fr", "xch-demo.mssante.fr", "", "demo"]
)
def test_no_other_domain_is_implied(domain: str) -> None:
    """Each sub-domain is listed on its own in the national list."""
    assert not LIST.lists(domain)
    assert not LIST.allows(domain, FIRST)
    assert LIST.names_of(domain) == frozenset()


def test_the_operators_of_a_domain_show_host_and_reach() -> None:
    """The administrator asks who speaks for a domain, and for what else."""
    first, second = LIST.operators_of("CH-DEMO.mssante.fr")

    assert (first.host, second.host) == ("mx1.demo.fr", "mx2.demo.fr")
    assert "cabinets-demo.mssante.fr" in second.domains


def test_what_is_built_reads_back() -> None:
    """The demonstration publishes a list with the same code that reads one."""
    xml = build_trust_list(generated_at=LIST.generated_at, entries=LIST.entries)

    assert parse_trust_list(xml) == LIST


def test_a_trailing_signature_element_is_skipped() -> None:
    """Whoever hands over the whole file gets the same answer."""
    xml = build_trust_list(generated_at=AT, entries=LIST.entries)
    signature = b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><X/></Signature></ListeB'

    assert parse_trust_list(xml.replace(b"</ListeB", signature)).entries == LIST.entries


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (as_entry("a@ch-demo.mssante.fr"), "trust-list-domain"),
        (as_entry("é" * 300), "trust-list-domain"),
        (as_entry("\u200d.mssante.fr"), "trust-list-domain"),
        (as_entry("*.mssante.fr"), "trust-list-domain"),
        (as_entry(""), "trust-list-entry"),
        (as_entry("x.mssante.fr", dn=""), "trust-list-entry"),
        (as_entry("x.mssante.fr", dn="mx1.demo.fr"), "trust-list-name"),
        (as_entry("x.mssante.fr", dn="CN=" + "a" * 2000), "trust-list-entry"),
        (as_entry("x.mssante.fr</Nom><Nom>y.mssante.fr"), "trust-list-entry"),
        (as_entry("x.mssante.fr<b/>"), "trust-list-entry"),
        ("<Autre/>", "trust-list-entry"),
    ],
)
def test_one_bad_entry_is_left_out_with_a_finding(entry: str, code: str) -> None:
    """It must not take the six thousand others with it."""
    found = parse_trust_list(as_xml(entry + as_entry("good.mssante.fr")))

    assert found.domains == {"good.mssante.fr"}
    assert [finding.code for finding in found.findings] == [code]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (as_entry("UC-CMP.mssante.fr"), "trust-list-case"),
        (as_entry("uc-cmp.mssante.fr", date="hier"), "trust-list-date"),
        (as_entry("uc-cmp.mssante.fr", date="2026-01-15T08:00:00"), "trust-list-date"),
    ],
)
def test_an_odd_entry_is_kept_with_a_finding(entry: str, code: str) -> None:
    """Dirt that changes nothing about who may speak."""
    found = parse_trust_list(as_xml(entry))

    assert found.domains == {"uc-cmp.mssante.fr"}
    assert [finding.code for finding in found.findings] == [code]


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">'
    '<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;">]><l>&c;</l>'
)
XXE = '<?xml version="1.0"?><!DOCTYPE l [<!ENTITY x SYSTEM "file:///etc/passwd">]><l>&x;</l>'


@pytest.mark.parametrize(
    "xml",
    [
        b"",
        b"not xml",
        b"\xff\xfe",
        BOMB.encode(),
        XXE.encode(),
        BOMB.encode("utf-16"),
        XXE.encode("utf-16-be"),
        b'<?xml version="1.0" encoding="UTF-7"?><a/>',
        b'<?xml version="1.0" encoding="ISO-8859-1"?><a/>',
        b"<ListeBlancheMSSante/>",
        b"<a>" * 100_000,
        as_xml(as_entry("x.mssante.fr")).replace(b'xmlns="https', b'xmlns="http'),
        as_xml(as_entry("x.mssante.fr")).replace(b'"UTF-8"', b'"ISO-8859-1"'),
        as_xml("", date="hier"),
        as_xml("", date=""),
        as_xml("", date="2026-11-23T08:00:00"),
        as_xml("").replace(b"<ListeDomaines></ListeDomaines>", b""),
        as_xml("").replace(b"<ListeDomaines>", b"<ListeDomaines></ListeDomaines><ListeDomaines>"),
        as_xml(as_entry("x.mssante.fr"))[:-5],
        b" " * (MAX_OCTETS + 1),
    ],
    ids=range(20),
)
def test_hostile_or_broken_octets_are_refused(xml: bytes) -> None:
    """No document type, no entity, no other encoding, no half a list (threat 27)."""
    with pytest.raises(TrustListSyntaxError):
        parse_trust_list(xml)


def test_a_control_character_cannot_be_written() -> None:
    """Better no list than one that nobody can read."""
    entry = TrustListEntry(domain=Domain("x.fr"), name=FIRST, description="a\x00b")

    with pytest.raises(TrustListSyntaxError):
        build_trust_list(generated_at=AT, entries=[entry])


def test_a_younger_list_of_the_same_size_may_follow() -> None:
    """The ordinary case raises no alarm."""
    assert check_succession(LIST, a_list(*LIST.entries, at=AT + timedelta(hours=1))) == []


def test_an_older_list_is_refused() -> None:
    """An attacker can replay a list that was genuine once."""
    (finding,) = check_succession(LIST, a_list(*LIST.entries, at=AT - timedelta(seconds=1)))

    assert (finding.code, finding.severity) == ("trust-list-older", Severity.ERROR)


def test_a_domain_with_accents_is_kept_as_mail_carries_it() -> None:
    """Nobody can write to it otherwise: our doors speak ASCII."""
    found = parse_trust_list(as_xml(as_entry("été.mssante.fr")))

    assert found.domains == {"xn--t-9fab.mssante.fr"}
    assert [finding.code for finding in found.findings] == ["trust-list-unicode"]


@pytest.mark.parametrize(
    "listed",
    [
        'CN="mx1.demo.fr",OU=1750000002,O=CH DEMO,ST=Paris (75),C=FR',
        "CN=mx1.demo.fr, OU=1750000002, O=CH DEMO, ST=Paris (75), C=FR",
        "CN=mx1.demo.fr,OU=1750000002,O=CH  DEMO,ST=Paris(75),C=FR",
        "CN=mx1.demo.fr ,OU=1750000002,O=CH\u00a0DEMO,ST=Paris  (75),C=fr",
        'CN=MX1.demo.fr,OU=1750000002,O=\u00a0"CH  DEMO",ST=Paris (75),C=FR',
    ],
)
def test_a_name_is_found_however_it_was_typed(listed: str) -> None:
    """Quotes, spaces of all kinds and case are the habits of those who type the list."""
    found = parse_trust_list(as_xml(as_entry("x.mssante.fr", dn=listed)))

    assert found.allows("x.mssante.fr", FIRST)


def test_a_locality_is_no_department() -> None:
    """Guessing here would let one organisation speak for another; the refusal names the parts."""
    text = "CN=mx1.demo.fr,OU=1750000002,O=CH DEMO,L=Paris (75),C=FR"
    found = parse_trust_list(as_xml(as_entry("x.mssante.fr", dn=text)))

    assert not found.allows("x.mssante.fr", FIRST)
    (listed,) = found.names_of("x.mssante.fr")
    assert FIRST.differences(listed) == ("L", "ST")


def test_a_change_tells_what_came_and_went() -> None:
    """The journal keeps it: who was let in when, and who was shut out."""
    later = a_list(an_entry("ch-demo.mssante.fr"), an_entry("new.mssante.fr"))

    change = compare_lists(LIST, later)

    assert change.added_domains == ("new.mssante.fr",)
    assert change.removed_domains == ("cabinets-demo.mssante.fr",)
    assert (change.added_pairs, change.removed_pairs) == (1, 2)
    assert compare_lists(None, LIST).added_domains == tuple(sorted(LIST.domains))


def test_how_much_may_vanish_is_for_the_administrator_to_say() -> None:
    """A merger of hospitals can take many domains away on one day."""
    later = a_list(*LIST.entries[:2], at=AT + timedelta(hours=1))

    assert [one.code for one in check_succession(LIST, later)] == ["trust-list-shrinks"]
    assert check_succession(LIST, later, max_shrink=0.5) == []


@pytest.mark.parametrize(("kept", "codes"), [(8, []), (7, ["trust-list-shrinks"])])
def test_a_fifth_of_the_domains_may_vanish_and_no_more(kept: int, codes: list[str]) -> None:
    """A list cut in half by accident would cut off half of the correspondents."""
    entries = [an_entry(f"d{number}.mssante.fr") for number in range(10)]
    later = a_list(*entries[:kept], at=AT + timedelta(hours=1))

    assert [finding.code for finding in check_succession(a_list(*entries), later)] == codes


def test_another_list_of_the_same_instant_is_noted() -> None:
    """Two contents for one date mean that somebody edited by hand."""
    (finding,) = check_succession(LIST, a_list(*LIST.entries[:2], an_entry("new.mssante.fr")))

    assert (finding.code, finding.severity) == ("trust-list-same-date", Severity.WARNING)


@pytest.mark.slow
def test_ten_thousand_entries_are_read_and_asked() -> None:
    """The national list is about as long; every name of it must be found."""
    entries = [an_entry(f"d{number}.mssante.fr") for number in range(10_000)]

    found = parse_trust_list(build_trust_list(generated_at=AT, entries=entries))

    assert len(found.domains) == len(found.domains_of(FIRST)) == 10_000


@pytest.mark.skipif(not EXTRACT.exists(), reason="the official extract is not at hand")
def test_the_official_extract_reads_with_one_finding() -> None:
    """Its closing tag was cut off together with the signature, and is put back here."""
    found = parse_trust_list(EXTRACT.read_bytes() + b"</ListeBlancheMSSante>")

    assert (len(found.entries), len(found.domains)) == (619, 516)
    assert [finding.code for finding in found.findings] == ["trust-list-case"]
