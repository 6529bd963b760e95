"""Parsers of the directory return a value or raise their one error, and values read back."""

import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from directory import columns
from directory.address import Domain, MailAddress
from directory.distinguished_name import DistinguishedName, normal_value
from directory.errors import (
    AddressSyntaxError,
    DistinguishedNameSyntaxError,
    ExtractionSyntaxError,
    IdentifierSyntaxError,
    TrustListSyntaxError,
)
from directory.extraction import (
    ExtractionKind,
    Source,
    Tally,
    inspect_source,
    read_activities,
    read_mailboxes,
)
from directory.folding import fold
from directory.identifiers import (
    ADELI,
    FINESS,
    RPPS,
    SIREN,
    SIRET,
    Identifier,
    NationalPersonId,
    NationalStructureId,
    is_luhn,
    luhn_digit,
)
from directory.search import SearchQuery
from directory.search_index.answering import Layer, View, answer
from directory.search_index.folder import OpenIndex
from directory.trust_list import TrustListEntry, build_trust_list, parse_trust_list

NOBODY = View((Layer(OpenIndex.of(())),))
IDENTIFIERS = [RPPS, ADELI, FINESS, SIREN, SIRET, NationalPersonId, NationalStructureId]
ATOM = st.text("abcDEF019#$&'*+/=?^_`{|}~-", min_size=1, max_size=10)
LOCAL = st.lists(ATOM, min_size=1, max_size=4).map(".".join)
LABEL = st.from_regex(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?", fullmatch=True)
DOMAIN = st.tuples(st.lists(LABEL, min_size=1, max_size=3), st.just("fr")).map(
    lambda parts: ".".join([*parts[0], parts[1]])
)
TYPE = st.sampled_from(["CN", "OU", "O", "ST", "L", "C", "2.5.4.97", "emailAddress"])
VALUE = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda value: value.split() != []
)
RDNS = st.lists(st.tuples(TYPE, VALUE), min_size=1, max_size=6).map(tuple)
XML_TEXT = st.text("abcé &<>'\"()-", max_size=30).map(str.strip)


@given(st.text(max_size=300))
def test_an_address_is_read_or_refused(text: str) -> None:
    """Any text whatever, and nothing but the declared error."""
    with suppress(AddressSyntaxError):
        address = MailAddress.parse(text)
        assert str(address).lower() == text.lower() == address.key
        assert text.isascii()
        assert text.count("@") == 1


@given(LOCAL, DOMAIN)
def test_an_ordinary_address_reads_back(local: str, domain: str) -> None:
    """The local part keeps its case, the domain loses it."""
    address = MailAddress.parse(f"{local}@{domain}")

    assert MailAddress.parse(str(address)) == address
    assert address.local == local
    assert address.domain == domain.lower()


@given(st.sampled_from(IDENTIFIERS), st.text("0123456789AB /", max_size=20) | st.text(max_size=20))
def test_an_identifier_is_read_or_refused(kind: type[Identifier], text: str) -> None:
    """Judging a value never raises, whatever shape was let in."""
    with suppress(IdentifierSyntaxError):
        value = kind.parse(text)
        assert value == text
        assert value.is_checked is (value.findings() == [])


@given(st.text("0123456789", min_size=1, max_size=14), st.integers(0, 9))
def test_one_digit_and_only_one_passes_the_check(body: str, digit: int) -> None:
    """That is what a check digit is for."""
    assert is_luhn(body + str(digit)) is (luhn_digit(body) == str(digit))


@given(st.text(max_size=200) | st.text('CNO=,;+"\\ #aé0', max_size=60))
def test_a_distinguished_name_is_read_or_refused(text: str) -> None:
    """What is read can be written and read again, to the same name."""
    with suppress(DistinguishedNameSyntaxError):
        name = DistinguishedName.parse(text)
        assert DistinguishedName.parse(str(name)) == name


@given(RDNS)
def test_the_parts_of_a_certificate_survive_the_text_form(
    rdns: tuple[tuple[str, str], ...],
) -> None:
    """A name taken from a certificate and written into a list is the same name."""
    with suppress(DistinguishedNameSyntaxError):  # a value of nothing but folded-away characters
        name = DistinguishedName.from_rdns(rdns)
        read = DistinguishedName.parse(str(name))
        assert read == name
        assert read.rdns == rdns


@given(VALUE)
def test_normalising_twice_changes_nothing(value: str) -> None:
    """Otherwise equality would depend on how often a list was copied."""
    with suppress(DistinguishedNameSyntaxError):
        once = normal_value(value)
        assert normal_value(once) == once


@given(
    st.binary(max_size=400)
    | st.text("<>/=\"' aListeBlancheMSSante&;!", max_size=200).map(str.encode)
)
def test_a_trust_list_is_read_or_refused(octets: bytes) -> None:
    """Any octets whatever, and nothing but the declared error."""
    with suppress(TrustListSyntaxError):
        parse_trust_list(octets)


@settings(max_examples=40)
@given(st.lists(st.tuples(DOMAIN, RDNS, XML_TEXT), max_size=5))
def test_a_built_trust_list_reads_back(
    listed: list[tuple[str, tuple[tuple[str, str], ...], str]],
) -> None:
    """The list that is published is the list that was meant."""
    at = datetime(2026, 11, 23, tzinfo=UTC)
    with suppress(DistinguishedNameSyntaxError, TrustListSyntaxError):
        entries = tuple(
            TrustListEntry(
                domain=Domain(domain),
                name=DistinguishedName.from_rdns(rdns),
                description=text,
                updated_at=at,
            )
            for domain, rdns, text in listed
        )
        read = parse_trust_list(build_trust_list(generated_at=at, entries=entries))
        assert read.entries == entries
        assert read.findings == ()


MAILBOX_HEADER = "|".join(columns.MAILBOX).encode()
ACTIVITY_HEADER = "|".join(columns.ACTIVITY).encode()
SPICE = st.sampled_from([b"|", b"||||||||", b"\n", b"\r", b'"', b"PER", b"a@b.fr", b"899000000010"])
LINES = st.lists(SPICE | st.binary(max_size=30), max_size=40).map(b"".join)


@settings(max_examples=40)
@given(st.tuples(st.sampled_from([b"", MAILBOX_HEADER + b"\n"]), LINES))
def test_an_extraction_is_read_line_by_line_or_refused(parts: tuple[bytes, bytes]) -> None:
    """Every line is either a value or a reject."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "Extraction_Correspondance_MSSante.txt"
        path.write_bytes(b"".join(parts))
        source = Source(kind=ExtractionKind.MAILBOX, path=path)
        tally = Tally()
        with suppress(ExtractionSyntaxError):
            inspection = inspect_source(source)
            found = list(read_mailboxes(source, inspection.encoding, tally))
            assert len(found) == tally.rows
            assert tally.rows + tally.rejected == inspection.lines


@settings(max_examples=40)
@given(st.lists(st.text("aé|\"'0 8", max_size=8), min_size=56, max_size=57))
def test_an_activity_row_is_a_value_or_a_reject(fields: list[str]) -> None:
    """With the right number of fields, or one more or less."""
    row = "|".join(["8", "99000000010", "899000000010", *fields[3:]]).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "PS_LibreAcces_Personne_activite.txt"
        path.write_bytes(ACTIVITY_HEADER + b"\n" + row)
        source = Source(kind=ExtractionKind.ACTIVITY, path=path)
        tally = Tally()
        found = list(read_activities(source, inspect_source(source).encoding, tally))

    assert len(found) + tally.rejected == 1


@given(st.text(max_size=60))
def test_a_query_always_becomes_safe_words(text: str) -> None:
    """Index words are ASCII letters and digits, so no wildcard reaches the database."""
    assert all(
        (word.isascii() and word.isalnum() and word.islower()) or word.isdigit()
        for word in fold(text)
    )


@given(st.text(max_size=300))
def test_whatever_is_asked_has_an_answer(text: str) -> None:
    """The box takes anything; the index is asked what it understands."""
    query = SearchQuery(text=text, family=text, city=text, department=text, mailbox_address=text)
    assert answer(NOBODY, query, end=20).total == 0
