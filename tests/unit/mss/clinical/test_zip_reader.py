import stat
import time
import tracemalloc
import zlib

import pytest

from mss.clinical.zip_reader import (
    ArchiveEncryptedError,
    ArchiveError,
    ArchiveLimits,
    ArchiveSyntaxError,
    ArchiveTooLargeError,
    ArchiveUnsafeError,
    read_zip,
)
from tests.unit.mss.clinical.zips import Entry, make_zip

LIMITS = ArchiveLimits()
MEBI = 1024 * 1024


def test_an_honest_zip_is_read_whole() -> None:
    """Stored and deflated entries come out as they went in, folders are not files."""
    octets = make_zip(
        Entry(name=b"F/", data=b"", method=0),
        Entry(name=b"F/A.TXT", data=b"one" * 1000),
        Entry(name=b"B.TXT", data=b"two", method=0),
    )

    files = read_zip(octets, LIMITS)

    assert [(one.path, one.octets) for one in files] == [
        ("F/A.TXT", b"one" * 1000),
        ("B.TXT", b"two"),
    ]


def test_a_large_archive_is_read_as_a_small_one() -> None:
    """One is kept while it is measured, the other is inflated again."""
    octets = make_zip(Entry(data=bytes(range(256)) * 40), Entry(name=b"B", data=b"x", method=0))

    assert read_zip(octets, ArchiveLimits(kept_octets=0)) == read_zip(octets, LIMITS)
    assert len(read_zip(octets, LIMITS)[0].octets) == 256 * 40


@pytest.mark.parametrize(
    "name",
    [
        b"../A.TXT",
        b"F/../../A.TXT",
        b"/etc/passwd",
        b"C:\\A.TXT",
        b"C:/A.TXT",
        b"F\\A.TXT",
        b"A.TXT\0.EXE",
        b"F//A.TXT",
        b"./A.TXT",
        b"A\nB",
        b"/",
        b"",
        "rcs\u202efdp".encode(),
        b"X" * 300,
        b"/".join([b"F"] * 20),
    ],
)
def test_a_name_that_is_no_plain_relative_path_is_refused(name: bytes) -> None:
    """Nothing is ever written by entry name, but whoever reads the archive next might."""
    with pytest.raises(ArchiveUnsafeError) as caught:
        read_zip(make_zip(Entry(name=name, flags=0x0800)), LIMITS)

    assert caught.value.reason == "name"


@pytest.mark.parametrize(
    "names",
    [
        (b"A.TXT", b"A.TXT"),
        (b"A.TXT", b"a.txt"),
        ("É.TXT".encode(), "E\u0301.TXT".encode()),
        (b"F", b"F/A.TXT"),
        (b"F/", b"f"),
    ],
)
def test_names_that_some_disk_takes_for_one_are_refused(names: tuple[bytes, bytes]) -> None:
    """Two readers would see two different documents under one name."""
    entries = [
        Entry(name=name, flags=0x0800, data=b"" if name.endswith(b"/") else b"x", method=0)
        for name in names
    ]
    with pytest.raises(ArchiveUnsafeError) as caught:
        read_zip(make_zip(*entries), LIMITS)

    assert caught.value.reason == "duplicate-name"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_are_refused(kind: int) -> None:
    """A link out of the archive would be followed by a naive unpacker."""
    with pytest.raises(ArchiveUnsafeError) as caught:
        read_zip(make_zip(Entry(mode=kind | 0o777)), LIMITS)

    assert caught.value.reason == "not-a-file"


@pytest.mark.parametrize("flags", [0x0001, 0x0041, 0x2000])
def test_an_encrypted_entry_has_its_own_error(flags: int) -> None:
    """The sender must be told to send without a password, not that the file is broken."""
    with pytest.raises(ArchiveEncryptedError):
        read_zip(make_zip(Entry(flags=flags)), LIMITS)


def test_entries_that_share_octets_are_refused() -> None:
    """Overlapping entries inflate one kernel many times (CVE-2024-0450)."""
    kernel = Entry(name=b"A.TXT", data=b"x" * 5000)
    again = Entry(name=b"A.TXT", data=b"x" * 5000, start=0)
    with pytest.raises(ArchiveUnsafeError) as caught:
        read_zip(make_zip(kernel, again), LIMITS)
    assert caught.value.reason in {"overlap", "duplicate-name"}

    quoted = Entry(name=b"B.TXT", data=b"x" * 5000, start=0, local_name=b"A.TXT")
    with pytest.raises(ArchiveUnsafeError) as caught:
        read_zip(make_zip(kernel, quoted), LIMITS)
    assert caught.value.reason == "headers-differ"


def test_an_entry_that_reaches_into_the_next_is_refused() -> None:
    """The second header hidden in the data of the first is how quoting bombs are made."""
    inner = make_zip(Entry(name=b"B.TXT", data=b"y" * 40))
    outer = Entry(name=b"A.TXT", data=inner, method=0)
    hidden = Entry(name=b"B.TXT", data=b"y" * 40, start=30 + 5)

    with pytest.raises(ArchiveUnsafeError) as caught:
        read_zip(make_zip(outer, hidden), LIMITS)

    assert caught.value.reason == "overlap"


@pytest.mark.parametrize(
    "octets",
    [
        make_zip(Entry(extra=b"\x01\x00\x08\x00" + b"\0" * 8)),
        make_zip(Entry(size=0xFFFFFFFF)),
        make_zip(Entry(), total=0xFFFF),
        make_zip(Entry())[:-22] + b"PK\x06\x07" + b"\0" * 16 + make_zip(Entry())[-22:],
    ],
    ids=["extra", "size", "count", "locator"],
)
def test_zip64_is_refused(octets: bytes) -> None:
    """No archive of documents needs it, and readers disagree about it (CVE-2025-8291)."""
    with pytest.raises(ArchiveUnsafeError) as caught:
        read_zip(octets, LIMITS)

    assert caught.value.reason == "zip64"


@pytest.mark.parametrize(
    ("entry", "error"),
    [
        (Entry(data=b"x" * 100, size=10, local_size=10), ArchiveUnsafeError),
        (Entry(data=b"x" * 10, size=100, local_size=100), ArchiveSyntaxError),
        (Entry(data=b"x" * 10, local_size=11), ArchiveUnsafeError),
        (Entry(crc=7), ArchiveSyntaxError),
        (Entry(packed=b"\xff\xff\xff"), ArchiveSyntaxError),
        (Entry(method=12), ArchiveSyntaxError),
        (Entry(local_name=b"B.TXT"), ArchiveUnsafeError),
        (Entry(name=b"F/", data=b"inside"), ArchiveUnsafeError),
    ],
    ids=["understated", "overstated", "local-size", "crc", "deflate", "method", "name", "folder"],
)
def test_an_entry_that_contradicts_itself_is_refused(
    entry: Entry, error: type[ArchiveError]
) -> None:
    """What one reader believes and another does not is a way past a scanner."""
    with pytest.raises(error):
        read_zip(make_zip(entry), LIMITS)


def test_octets_after_the_end_of_a_deflated_entry_are_refused() -> None:
    """Octets that belong to no entry are a place to hide something."""
    data = b"x" * 10
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(data) + packer.flush()

    with pytest.raises(ArchiveSyntaxError):
        read_zip(make_zip(Entry(data=data, packed=packed + b"hidden")), LIMITS)
    with pytest.raises(ArchiveSyntaxError):
        read_zip(make_zip(Entry(data=data, packed=packed + b"h" * 200_000)), LIMITS)


@pytest.mark.parametrize(
    "octets",
    [b"", b"PK\x05\x06", b"not a zip" * 10, make_zip(Entry())[:-1], make_zip(Entry()) + b"tail"],
)
def test_what_is_no_zip_is_a_syntax_error(octets: bytes) -> None:
    """A truncated upload must be told from an attack."""
    with pytest.raises(ArchiveSyntaxError):
        read_zip(octets, LIMITS)


@pytest.mark.parametrize("change", [{"total": 0}, {"total": 2}, {"gap": 1}])
def test_a_directory_that_does_not_fill_its_place_is_refused(change: dict[str, int]) -> None:
    """Entries that the count leaves out would be seen by some readers only."""
    with pytest.raises(ArchiveSyntaxError):
        read_zip(make_zip(Entry(), **change), LIMITS)  # type: ignore[arg-type]


def test_too_many_entries_are_refused_before_they_are_read() -> None:
    """A million tiny entries cost more to list than to send."""
    octets = make_zip(*(Entry(name=b"%d" % number) for number in range(300)))

    with pytest.raises(ArchiveTooLargeError) as caught:
        read_zip(octets, LIMITS)

    assert caught.value.reason == "entries"


@pytest.mark.slow
@pytest.mark.parametrize(
    "entries",
    [
        [Entry(data=b"\0" * 80 * MEBI)],
        [Entry(name=b"%d" % number, data=b"\0" * MEBI) for number in range(100)],
        [Entry(data=b"\0" * 80 * MEBI, size=10, local_size=10)],
    ],
    ids=["one", "many", "forged-size"],
)
def test_a_bomb_is_refused_quickly_and_in_little_memory(entries: list[Entry]) -> None:
    """Real octets are counted while they flow, so nothing large is ever held."""
    octets = make_zip(*entries)
    tracemalloc.start()
    begun = time.process_time()

    with pytest.raises(ArchiveError):
        read_zip(octets, LIMITS)

    took, peak = time.process_time() - begun, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert took < 1
    assert peak < 8 * MEBI


def test_a_small_file_may_compress_well() -> None:
    """The ratio is judged only above a mebibyte: metadata are very regular text."""
    assert read_zip(make_zip(Entry(data=b" " * 900_000)), LIMITS)[0].octets == b" " * 900_000


@pytest.mark.parametrize(
    "entries",
    [
        [Entry(data=b"\0" * 4 * MEBI)],
        [Entry(name=b"%d" % number, data=b"\0" * 900_000) for number in range(3)],
    ],
    ids=["one", "together"],
)
def test_what_packs_too_well_is_refused_below_the_other_ceilings(entries: list[Entry]) -> None:
    """A small bomb in each of many mails costs as much as a large one."""
    with pytest.raises(ArchiveTooLargeError) as caught:
        read_zip(make_zip(*entries), LIMITS)

    assert caught.value.reason == "ratio"
