import hashlib

import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from crypto import digests
from crypto.errors import PasswordHashSyntaxError

STORED = digests.hash_password("café au lait")


def test_the_right_password_is_recognised() -> None:
    """And only the right one."""
    assert digests.is_password("café au lait", STORED)
    assert not digests.is_password("cafe au lait", STORED)
    assert not digests.is_password("", STORED)


def test_the_same_password_is_stored_in_another_way_each_time() -> None:
    """Else two people of the same password would show."""
    assert digests.hash_password("x") != digests.hash_password("x")


def test_nobody_has_no_password() -> None:
    """Not even the one that the stand-in was made from."""
    assert not digests.is_password("", None)


def test_nobody_costs_as_much_as_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time taken must not tell who exists; the work is counted, as time depends on the day."""
    work: list[tuple[int, int, int]] = []
    derive = digests._argon2id

    def counted(password: str, salt: bytes, *, memory: int, passes: int, lanes: int) -> bytes:
        work.append((memory, passes, lanes))
        return derive(password, salt, memory=memory, passes=passes, lanes=lanes)

    monkeypatch.setattr(digests, "_argon2id", counted)
    digests.is_password("x", STORED)
    digests.is_password("x", None)

    assert work[0] == work[1]


def test_the_stored_text_is_that_of_the_standard() -> None:
    """Another implementation of the text form, with other parameters, is understood."""
    kdf = Argon2id(salt=b"somesaltsomesalt", length=32, iterations=2, lanes=1, memory_cost=8192)

    assert digests.is_password("password", kdf.derive_phc_encoded(b"password"))


def test_parameters_are_kept_with_the_hash() -> None:
    """So that they may be raised later."""
    assert not digests.needs_rehash(STORED)
    assert digests.needs_rehash(STORED.replace("m=47104", "m=8192"))


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "plain",
        "$argon2i$v=19$m=47104,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + "A" * 43,
        "$argon2id$v=19$m=9999999,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + "A" * 43,
        "$argon2id$v=19$m=47104,t=99,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + "A" * 43,
        "$argon2id$v=19$m=1,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$" + "A" * 43,
        "$argon2id$v=19$m=47104,t=1,p=1$AAAA$" + "A" * 43,
    ],
)
def test_a_stored_text_that_we_did_not_write_is_refused(stored: str) -> None:
    """Nor one whose parameters would keep us busy for minutes."""
    with pytest.raises(PasswordHashSyntaxError):
        digests.is_password("x", stored)


@pytest.mark.slow
def test_a_very_long_password_is_bounded_work() -> None:
    """And still one of its own."""
    stored = digests.hash_password("a" * 100_000)

    assert digests.is_password("a" * 100_000, stored)
    assert not digests.is_password("a" * 100_001, stored)


def test_tokens_are_random_and_say_what_they_are_for() -> None:
    """256 bits after the prefix."""
    first, second = digests.new_token("mss"), digests.new_token("mss")

    assert first != second
    assert first.startswith("mss_")
    assert len(first) == 4 + 43


def test_a_token_is_stored_as_its_digest() -> None:
    """Who reads the table cannot log in."""
    assert digests.token_digest("mss_x") == hashlib.sha256(b"mss_x").hexdigest()


def test_each_link_depends_on_all_before() -> None:
    """A row changed in the middle breaks every later link."""
    first = digests.chain_digest(digests.CHAIN_START, b"one")
    second = digests.chain_digest(first, b"two")

    assert second == hashlib.sha256(bytes.fromhex(first) + b"two").hexdigest()
    assert digests.chain_digest(digests.chain_digest(digests.CHAIN_START, b"0ne"), b"two") != second


def test_a_link_follows_a_link() -> None:
    """Anything else is a defect of the caller."""
    with pytest.raises(ValueError, match="64"):
        digests.chain_digest("abc", b"one")


def test_secrets_compare_by_value() -> None:
    """Text and octets alike."""
    assert digests.is_same("jeton", b"jeton")
    assert not digests.is_same("jeton", "jetom")
