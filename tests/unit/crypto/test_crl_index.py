import multiprocessing
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from crypto import crl_index, der
from crypto.crl import RevocationList, parse_revocation_list
from crypto.crl_entries import Entries, Entry, index_entries
from crypto.crl_index import find_list, forget_lists, load_list
from crypto.errors import RevocationSyntaxError
from tests.support.large_lists import a_large_list, serial_number
from tests.support.pki import NOW, the_pki

ISSUING = the_pki().authority.issuing
SIGNERS = [the_pki().authority.root.certificate, ISSUING.certificate]
COUNT = 20_000
LARGE = a_large_list(ISSUING, COUNT, at=NOW)
NAME = sha256(LARGE).hexdigest()


def find(crl: RevocationList, serial: int) -> Entry | None:
    return crl.entries.find(serial, crl.issuer, is_own=True)


@pytest.mark.parametrize("number", [0, 1, 77, COUNT - 1])
def test_an_entry_is_found_in_the_file_as_in_the_list(number: int, tmp_path: Path) -> None:
    """The file answers what the list would."""
    indexed = load_list(LARGE, folder=tmp_path, signers=SIGNERS)
    plain = parse_revocation_list(LARGE)

    serial = serial_number(number)
    assert find(indexed, serial) == find(plain, serial) == Entry(NOW, "unspecified")
    assert find(indexed, serial + 1) is None
    assert len(indexed.entries) == len(plain.entries) == COUNT
    assert indexed == plain
    assert indexed.der == LARGE


def test_a_signature_is_checked_once_for_all_processes(tmp_path: Path) -> None:
    """The outcome comes with the file, for those who might have signed and for no other."""
    load_list(LARGE, folder=tmp_path, signers=SIGNERS)

    found = find_list(NAME, folder=tmp_path)

    assert found is not None
    assert sorted(found.signed_by.values()) == [False, True]
    assert found.is_signed_by(ISSUING.certificate)
    assert not found.is_signed_by(the_pki().stranger.issuing.certificate)


def test_what_nobody_signed_is_not_worth_a_file(tmp_path: Path) -> None:
    """Or whoever answers for a listed host could fill the disk."""
    load_list(LARGE, folder=tmp_path, signers=[the_pki().stranger.issuing.certificate])

    assert find_list(NAME, folder=tmp_path) is None


def test_a_list_in_pem_shares_the_file_of_its_octets(tmp_path: Path) -> None:
    """It is the same list."""
    pem = x509.load_der_x509_crl(LARGE).public_bytes(Encoding.PEM)

    assert load_list(pem, folder=tmp_path, signers=SIGNERS).fingerprint == NAME
    assert find_list(NAME, folder=tmp_path) is not None


def test_a_short_list_needs_no_file(tmp_path: Path) -> None:
    """Most are a few kilobytes."""
    load_list(ISSUING.crl(NOW), folder=tmp_path, signers=SIGNERS)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda octets: octets[:-1],
        lambda octets: octets[: len(octets) // 2],
        lambda octets: b"",
        lambda octets: bytes([octets[0] ^ 1]) + octets[1:],
        lambda octets: octets[:5000] + bytes([octets[5000] ^ 1]) + octets[5001:],
    ],
)
def test_a_damaged_file_is_made_again(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    """A disk that lies must not make a revoked certificate good."""
    load_list(LARGE, folder=tmp_path, signers=SIGNERS)
    (file,) = tmp_path.glob("*.crlx")
    file.write_bytes(damage(file.read_bytes()))

    assert find_list(NAME, folder=tmp_path) is None
    again = load_list(LARGE, folder=tmp_path, signers=SIGNERS)
    assert find(again, serial_number(7)) is not None


def test_files_of_other_lists_are_forgotten_while_some_are_read(tmp_path: Path) -> None:
    """Who has one open keeps it until done."""
    opened = load_list(LARGE, folder=tmp_path, signers=SIGNERS)

    forget_lists(tmp_path, but=[NAME])
    assert find_list(NAME, folder=tmp_path) is not None
    forget_lists(tmp_path, but=[])

    assert find_list(NAME, folder=tmp_path) is None
    assert find(opened, serial_number(7)) is not None


@pytest.mark.slow
def test_several_processes_make_one_file(tmp_path: Path) -> None:
    """They wait for the one that is at it, and then read its work."""
    context = multiprocessing.get_context("fork")
    together = [
        context.Process(
            target=load_list, args=(LARGE,), kwargs={"folder": tmp_path, "signers": SIGNERS}
        )
        for _ in range(3)
    ]
    for process in together:
        process.start()
    for process in together:
        process.join()

    assert [process.exitcode for process in together] == [0, 0, 0]
    assert len(list(tmp_path.glob("*.crlx"))) == 1
    assert not list(tmp_path.glob("*.unfinished"))


def test_an_index_that_vanishes_at_once_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody sweeps the folder: the list is refused now and loaded at the next turn."""
    monkeypatch.setattr(crl_index, "find_list", lambda *_, **__: None)  # as if it were gone

    with pytest.raises(RevocationSyntaxError):
        load_list(LARGE, folder=tmp_path, signers=SIGNERS)


# --- Entries that are not as they should be --------------------------------------------------


def entries(*encoded: bytes, is_indirect: bool = False) -> Entries:
    octets = b"".join(encoded)
    return index_entries(octets, start=0, end=len(octets), is_indirect=is_indirect)


WHEN = der.time(NOW)


@pytest.mark.parametrize(
    "encoded",
    [
        b"\x30",
        b"\x30\x05\x02\x01",
        b"\x30\x85\x01\x01\x01\x01\x01",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x31" + der.sequence(der.integer(1), WHEN)[1:],
        der.sequence(der.octet_string(b"1"), WHEN),
        der.sequence(der.integer(1), der.integer(2)),
        der.sequence(der.integer(1)),
        der.sequence(der.integer(1), WHEN, b"\x30\x05"),
        der.sequence(der.integer(1), WHEN, der.sequence(der.sequence(der.integer(1)))),
    ],
)
def test_entries_that_are_not_understood_are_refused(encoded: bytes) -> None:
    """The one declared error, whatever the octets."""
    with pytest.raises(RevocationSyntaxError):
        entries(encoded)


def test_numbers_that_no_certificate_has_are_passed_over() -> None:
    """Negative ones, and longer ones than RFC 5280 allows; twenty octets are found."""
    longest = 2**160 - 1
    found = entries(
        der.sequence(der.integer(-1), WHEN),
        der.sequence(der.integer(2**200), WHEN),
        der.sequence(der.integer(longest), WHEN),
    )

    assert len(found) == 1
    own = parse_revocation_list(ISSUING.crl(NOW)).issuer
    assert found.find(longest, own, is_own=True)
    assert found.find(255, own, is_own=True) is None


def test_a_critical_extension_of_any_entry_makes_the_list_unusable() -> None:
    """RFC 5280, 5.3: then nothing may be concluded from it, about anybody."""
    unknown = der.sequence(der.oid("1.2.3.4"), b"\x01\x01\xff", der.octet_string(b"\x05\x00"))
    listed = entries(
        der.sequence(der.integer(1), WHEN),
        der.sequence(der.integer(2), WHEN, der.sequence(unknown)),
    )

    assert not listed.is_understood


def test_an_entry_about_another_issuer_has_no_place_in_a_direct_list() -> None:
    """Only an indirect list may speak for others."""
    names = der.sequence(
        der.encode(der.context(4), ISSUING.certificate.parsed.subject.public_bytes())
    )
    about = der.sequence(der.oid("2.5.29.29"), b"\x01\x01\xff", der.octet_string(names))
    encoded = der.sequence(der.integer(1), WHEN, der.sequence(about))
    name = parse_revocation_list(ISSUING.crl(NOW)).issuer

    assert not entries(encoded).is_understood
    indirect = entries(encoded, der.sequence(der.integer(2), WHEN), is_indirect=True)
    assert indirect.is_understood
    assert indirect.find(1, name, is_own=False)
    assert indirect.find(2, name, is_own=False)
    assert indirect.find(1, (), is_own=True) is None


def test_dates_of_the_last_century_and_the_next_are_read() -> None:
    """UTCTime has two digits of the year; GeneralizedTime has four."""
    own = parse_revocation_list(ISSUING.crl(NOW)).issuer
    dates = [NOW.replace(year=1999), NOW.replace(year=2051)]
    found = entries(
        *(der.sequence(der.integer(at), der.time(date)) for at, date in enumerate(dates, start=1))
    )

    assert found.find(1, own, is_own=True) == Entry(dates[0], "unspecified")
    assert found.find(2, own, is_own=True) == Entry(dates[1], "unspecified")
