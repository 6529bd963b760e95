import pytest

from crypto.errors import SealError
from crypto.sealing import FRAME_OCTETS, HEADER_OCTETS, TAG_OCTETS, Sealer, key_version, new_key

KEY = bytes(range(32))
SEALER = Sealer({1: KEY}, current=1)
FRAME = FRAME_OCTETS + TAG_OCTETS


@pytest.mark.parametrize("size", [0, 1, FRAME_OCTETS - 1, FRAME_OCTETS, FRAME_OCTETS + 1, 200_000])
def test_what_is_sealed_opens(size: int) -> None:
    """At each edge of a frame."""
    content = bytes(octet % 251 for octet in range(size))

    sealed = SEALER.seal(content, context=b"message/1")

    assert SEALER.open(sealed, context=b"message/1") == content


def test_what_is_sealed_does_not_show() -> None:
    """Not a line of it."""
    assert b"Compte rendu" not in SEALER.seal(b"Compte rendu de biologie", context=b"c")


def test_the_same_content_never_looks_the_same() -> None:
    """Each object has its own key."""
    assert SEALER.seal(b"x", context=b"a") != SEALER.seal(b"x", context=b"a")


def test_another_context_does_not_open() -> None:
    """The letter of one patient moved to the place of another."""
    sealed = SEALER.seal(b"letter", context=b"message/1")

    with pytest.raises(SealError, match="content"):
        SEALER.open(sealed, context=b"message/2")


THREE_FRAMES = SEALER.seal(bytes(2 * FRAME_OCTETS + 100), context=b"c")
BODY = THREE_FRAMES[HEADER_OCTETS:]
HEADER = THREE_FRAMES[:HEADER_OCTETS]


@pytest.mark.parametrize(
    "octets",
    [
        HEADER + BODY[: 2 * FRAME],
        HEADER + BODY[:FRAME],
        HEADER + BODY[: FRAME + 7],
        HEADER,
        HEADER + BODY[FRAME:],
        HEADER + BODY[FRAME : 2 * FRAME] + BODY[:FRAME] + BODY[2 * FRAME :],
        HEADER + BODY[:FRAME] + BODY,
        HEADER + BODY + bytes(16),
        HEADER + BODY[:-1],
        b"",
        b"MSS1",
    ],
    ids=[
        "last-frame-cut", "two-frames-cut", "cut-in-a-frame", "no-frame", "first-frame-cut",
        "frames-swapped", "frame-repeated", "tag-appended", "octet-cut", "empty", "magic-only",
    ],
)  # fmt: skip
def test_frames_cut_moved_or_repeated_do_not_open(octets: bytes) -> None:
    """Each frame is in its place, and the last is the last."""
    with pytest.raises(SealError):
        SEALER.open(octets, context=b"c")


@pytest.mark.parametrize("at", [0, 4, 7, 8, 20, HEADER_OCTETS - 1, HEADER_OCTETS, 100, -1])
def test_a_flipped_bit_does_not_open(at: int) -> None:
    """Magic, version, salt, content and tag."""
    octets = bytearray(SEALER.seal(bytes(200), context=b"c"))
    octets[at] ^= 1

    with pytest.raises(SealError):
        SEALER.open(bytes(octets), context=b"c")


def test_older_keys_still_open_after_a_rotation() -> None:
    """New seals have the new key; old ones stay readable."""
    sealed = SEALER.seal(b"old", context=b"c")
    rotated = Sealer({1: KEY, 2: new_key()}, current=2)

    assert rotated.open(sealed, context=b"c") == b"old"
    assert key_version(rotated.seal(b"new", context=b"c")) == 2


def test_a_key_that_is_gone_is_said_to_be() -> None:
    """Not damage, but a key to look for."""
    sealed = SEALER.seal(b"old", context=b"c")

    with pytest.raises(SealError, match="key-version"):
        Sealer({2: new_key()}, current=2).open(sealed, context=b"c")


@pytest.mark.parametrize(
    ("keys", "current"), [({}, 1), ({1: bytes(16)}, 1), ({1: bytes(32)}, 2), ({-1: bytes(32)}, -1)]
)
def test_a_sealer_without_a_proper_current_key_is_refused(
    keys: dict[int, bytes], current: int
) -> None:
    """At start, and not at the first letter."""
    with pytest.raises(SealError):
        Sealer(keys, current)


def test_keys_do_not_show_in_texts() -> None:
    """Not even by accident in a log."""
    assert KEY.hex() not in repr(SEALER)
    assert repr(KEY) not in repr(SEALER)


def test_content_in_any_buffer_is_sealed() -> None:
    """A slice of a larger message need not be copied first."""
    view = memoryview(b"0123456789")[2:5]

    assert SEALER.open(SEALER.seal(view, context=b"c"), context=b"c") == b"234"


def test_secrets_belong_to_a_context_and_a_key() -> None:
    """The current key's secret comes first; nothing can be learnt from one about another."""
    old, new = new_key(), new_key()
    sealer = Sealer({1: old, 2: new}, 2)

    assert sealer.secrets(b"a") == Sealer({2: new}, 2).secrets(b"a") + Sealer({1: old}, 1).secrets(
        b"a"
    )
    assert not set(sealer.secrets(b"a")) & set(sealer.secrets(b"b"))
