"""Compressed content, and bombs."""

import tracemalloc
import zlib

import pytest

from crypto import algorithms, der
from crypto.compressed_data import Limits, decompress
from crypto.errors import CmsSyntaxError, CryptoError, UnsupportedAlgorithmError
from tests.unit.crypto.forging import ENTITY

BOMB = zlib.compress(bytes(16 * 1024 * 1024), 9)
ZLIB = der.sequence(der.oid(algorithms.ZLIB))


def compressed(
    content: bytes | None = None,
    *,
    version: int = 0,
    algorithm: bytes = ZLIB,
    inner_type: str = algorithms.DATA,
    content_type: str = algorithms.COMPRESSED_DATA,
    more: bytes = b"",
) -> bytes:
    """A ContentInfo around octets that are, or claim to be, a zlib stream."""
    octets = zlib.compress(ENTITY) if content is None else content
    return der.sequence(
        der.oid(content_type),
        der.encode(
            der.context(0),
            der.sequence(
                der.integer(version),
                algorithm,
                der.sequence(
                    der.oid(inner_type), der.encode(der.context(0), der.octet_string(octets))
                ),
                more,
            ),
        ),
    )


@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.parametrize("size", [0, 1, 1000, 262_144, 262_145, 700_000])
def test_what_was_compressed_comes_out(level: int, size: int) -> None:
    """At every level; the edges of a piece are where sizes go wrong."""
    content = (b"Lettre de sortie, ligne %d.\r\n" % level * (size // 20 + 1))[:size]

    assert decompress(compressed(zlib.compress(content, level))) == content


def test_content_that_does_not_compress_comes_out() -> None:
    """More goes in than comes out."""
    content = bytes(x * x * 31 % 251 for x in range(600_000))
    stored = zlib.compress(content, 0)

    assert len(stored) > len(content)
    assert decompress(compressed(stored)) == content


def test_content_in_pieces_of_indefinite_length_comes_out() -> None:
    """BouncyCastle writes so."""
    octets = zlib.compress(ENTITY)
    half = len(octets) // 2
    pieces = der.octet_string(octets[:half]) + der.octet_string(octets[half:])
    string = b"\x24\x80" + pieces + b"\x00\x00"
    inner = (
        b"\x30\x80" + der.oid(algorithms.DATA) + b"\xa0\x80" + string + b"\x00\x00" + b"\x00\x00"
    )
    body = b"\x30\x80" + der.integer(0) + ZLIB + inner + b"\x00\x00"
    whole = b"\x30\x80" + der.oid(algorithms.COMPRESSED_DATA) + b"\xa0\x80" + body + bytes(4)

    assert decompress(whole) == ENTITY


@pytest.mark.parametrize(
    "limits",
    [
        pytest.param(Limits(octets=5_000_000), id="octets"),
        pytest.param(Limits(ratio=10), id="ratio"),
    ],
)
def test_a_bomb_is_refused_at_the_limit(limits: Limits) -> None:
    """In constant memory: what comes out is counted before more is asked for."""
    bomb = compressed(BOMB)
    tracemalloc.start()

    with pytest.raises(CmsSyntaxError) as refusal:
        decompress(bomb, limits=limits)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refusal.value.reason == "decompressed-too-large"
    assert peak < 8 * 1024 * 1024


def test_a_bomb_is_refused_by_default() -> None:
    """16 KiB that would become 16 MiB."""
    with pytest.raises(CmsSyntaxError) as refusal:
        decompress(compressed(BOMB))

    assert refusal.value.reason == "decompressed-too-large"


def test_a_small_content_may_have_any_ratio() -> None:
    """A form full of spaces is no bomb."""
    content = b" " * 500_000

    assert decompress(compressed(zlib.compress(content, 9))) == content


def test_what_is_allowed_has_three_bounds() -> None:
    """A floor for small ones, a ratio, and a ceiling."""
    limits = Limits(octets=1000, ratio=10, free_octets=100)

    assert [limits.allowed(each) for each in (1, 50, 5000)] == [100, 500, 1000]


STREAM = zlib.compress(ENTITY)


@pytest.mark.parametrize(
    ("octets", "error", "reason"),
    [
        pytest.param(compressed(version=1), CmsSyntaxError, "compressed-version", id="version"),
        pytest.param(
            compressed(algorithm=der.sequence(der.oid("1.2.3"))),
            UnsupportedAlgorithmError,
            "compression",
            id="algorithm",
        ),
        pytest.param(
            compressed(algorithm=der.sequence(der.oid(algorithms.ZLIB), der.integer(9))),
            CmsSyntaxError,
            "compression-parameters",
            id="parameters",
        ),
        pytest.param(
            compressed(inner_type=algorithms.SIGNED_DATA),
            CmsSyntaxError,
            "inner-content-type",
            id="inner type",
        ),
        pytest.param(
            compressed(content_type=algorithms.SIGNED_DATA),
            CmsSyntaxError,
            "content-type",
            id="outer type",
        ),
        pytest.param(compressed(more=der.null()), CmsSyntaxError, "unexpected-field", id="more"),
        pytest.param(
            compressed(STREAM[:-1]), CmsSyntaxError, "compressed-truncated", id="truncated"
        ),
        pytest.param(compressed(b""), CmsSyntaxError, "compressed-truncated", id="empty"),
        pytest.param(
            compressed(STREAM + b"x"), CmsSyntaxError, "compressed-trailing-octets", id="trailing"
        ),
        pytest.param(
            compressed(STREAM + STREAM),
            CmsSyntaxError,
            "compressed-trailing-octets",
            id="two streams",
        ),
        pytest.param(
            compressed(STREAM[:-1] + bytes((STREAM[-1] ^ 1,))),
            CmsSyntaxError,
            "compressed-content",
            id="checksum",
        ),
        pytest.param(compressed(ENTITY), CmsSyntaxError, "compressed-content", id="no stream"),
        pytest.param(b"", CmsSyntaxError, "truncated", id="nothing"),
        pytest.param(compressed() + b"\x00", CmsSyntaxError, "trailing-octets", id="after"),
    ],
)
def test_another_form_is_refused_with_its_reason(
    octets: bytes, error: type[CryptoError], reason: str
) -> None:
    """One reading for one message."""
    with pytest.raises(error) as refusal:
        decompress(octets)

    assert getattr(refusal.value, "reason", "") == reason


def test_a_preset_dictionary_is_refused() -> None:
    """It would make the content depend on something outside the message."""
    stream = zlib.compressobj(zdict=b"Lettre de sortie")
    octets = stream.compress(ENTITY) + stream.flush()

    with pytest.raises(CmsSyntaxError) as refusal:
        decompress(compressed(octets))

    assert refusal.value.reason == "compressed-content"
