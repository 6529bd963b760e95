"""Read the national identifiers of people and structures, and judge their check digits.

Each type is a `str` that has the right shape; leading zeros and the Corsican letters are kept.
`parse` judges the shape only, because national data hold numbers that fail their own check and must
still be found; `findings` then says so. `parse_checked` is for what a person types: a wrong check
digit is refused there, since it means a mistyped digit.

Errors
    `IdentifierSyntaxError` (shape) and, from `parse_checked` only, `IdentifierCheckError`.
Sources
    ANS, Annuaire Santé: identifiers RPPS, ADELI, FINESS, SIREN, SIRET and the prefixes of the
    national person and structure identifiers. INSEE: the SIRET rule of La Poste.
"""

import re
from typing import ClassVar, Final, Self

from directory.errors import IdentifierCheckError, IdentifierSyntaxError
from directory.findings import Finding, Severity

LA_POSTE: Final = "356000000"
_MAX_TEXT: Final = 64
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def is_luhn(digits: str) -> bool:
    """Apply the Luhn rule: from the right, every second digit doubled, the sum a multiple of 10."""
    return _luhn_sum(digits) % 10 == 0


def luhn_digit(digits: str) -> str:
    """Return the digit that makes *digits* pass the Luhn rule once appended."""
    return str(-_luhn_sum(digits + "0") % 10)


def _luhn_sum(digits: str) -> int:
    return sum(map(int, digits[::-2])) + sum(map(_DOUBLED.__getitem__, map(int, digits[-2::-2])))


class Identifier(str):
    """What all the identifiers share: a shape, a check, a name for messages."""

    __slots__ = ()

    kind: ClassVar[str] = "identifier"
    shape: ClassVar[re.Pattern[str]] = re.compile("(?!)")

    def __new__(cls, text: str) -> Self:
        """Keep the text if it has the shape; raises `IdentifierSyntaxError`."""
        if len(text) > _MAX_TEXT or not cls.shape.fullmatch(text):
            raise IdentifierSyntaxError(cls.kind, "shape")
        return super().__new__(cls, text)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an identifier from national data: the shape must be right, the check need not.

        Raises:
            IdentifierSyntaxError: The shape is wrong.
        """
        return cls(text)

    @classmethod
    def parse_checked(cls, text: str) -> Self:
        """Read an identifier that somebody typed; spaces between digits are allowed.

        Raises:
            IdentifierSyntaxError: The shape is wrong.
            IdentifierCheckError: The check digit is wrong.
        """
        value = cls("".join(text[:_MAX_TEXT].split()))
        if not value.is_checked:
            raise IdentifierCheckError(cls.kind)
        return value

    @property
    def is_checked(self) -> bool:
        """True if the check digit is right."""
        return is_luhn(self)

    def findings(self) -> list[Finding]:
        """Say what is odd about it; an empty list when nothing is."""
        if self.is_checked:
            return []
        text = f"The check digit of a {self.kind} is wrong."
        return [Finding(code="identifier-check", severity=Severity.WARNING, text=text)]


class RPPS(Identifier):
    """Number of a professional in the RPPS: 11 digits, Luhn over all of them."""

    __slots__ = ()
    kind = "RPPS"
    shape = re.compile(r"[0-9]{11}")


class ADELI(Identifier):
    """Older number of a professional: 9 characters beginning with the département."""

    __slots__ = ()
    kind = "ADELI"
    shape = re.compile(r"[0-9](?:[0-9]|[AB](?<=2[AB]))[0-9]{7}")

    @property
    def is_checked(self) -> bool:
        """True if the check digit is right; Corsica's letter counts as a digit."""
        return is_luhn(_without_corsica(self))


class FINESS(Identifier):
    """Number of a site or legal entity: 9 characters beginning with the département."""

    __slots__ = ()
    kind = "FINESS"
    shape = re.compile(r"[0-9](?:[0-9]|[AB](?<=2[AB]))[0-9]{7}")

    @property
    def is_checked(self) -> bool:
        """True if the check digit is right; Corsica's letter counts as a digit (A as 1, B as 2)."""
        return is_luhn(_without_corsica(self))


class SIREN(Identifier):
    """Number of a company: 9 digits."""

    __slots__ = ()
    kind = "SIREN"
    shape = re.compile(r"[0-9]{9}")


class SIRET(Identifier):
    """Number of an establishment: its SIREN and 5 digits."""

    __slots__ = ()
    kind = "SIRET"
    shape = re.compile(r"[0-9]{14}")

    @property
    def siren(self) -> SIREN:
        """The company that the establishment belongs to."""
        return SIREN(self[:9])

    @property
    def is_checked(self) -> bool:
        """True if the check holds; La Poste ran out of Luhn numbers and sums its digits to 5."""
        if is_luhn(self):
            return True
        return self.startswith(LA_POSTE) and sum(map(int, self)) % 5 == 0


class NationalPersonId(Identifier):
    """Identification nationale PP: a prefix that says the register, then the number.

    `8` + RPPS and `0` + ADELI are the two that matter. The other prefixes (a number given by a
    structure, a student number) have no published grammar and are kept as they come.
    """

    __slots__ = ()
    kind = "national person identifier"
    shape = re.compile(
        r"8[0-9]{11}|0[0-9](?:[0-9]|[AB](?<=2[AB]))[0-9]{7}|[1-79][0-9A-Za-z][0-9A-Za-z/ ._-]{0,58}"
    )

    @classmethod
    def of(cls, inner: RPPS | ADELI) -> Self:
        """Put the prefix before a number."""
        return cls(("8" if isinstance(inner, RPPS) else "0") + inner)

    @property
    def inner(self) -> RPPS | ADELI | None:
        """The number without its prefix, when its register is known to us."""
        match self[0]:
            case "8":
                return RPPS(self[1:])
            case "0":
                return ADELI(self[1:])
            case _:
                return None

    @property
    def rpps(self) -> RPPS | None:
        """The RPPS number, for those who have one."""
        return RPPS(self[1:]) if self[0] == "8" else None

    @property
    def is_checked(self) -> bool:
        """True if the inner number is right; the prefix is not part of the sum."""
        inner = self.inner
        return inner is None or inner.is_checked


class NationalStructureId(Identifier):
    """Identifiant national de structure: a prefix that says the register, then the number.

    `0` ADELI rank, `1` FINESS, `2` SIREN, `3` SIRET, `4` RPPS rank.
    """

    __slots__ = ()
    kind = "national structure identifier"
    shape = re.compile(
        r"0[0-9][0-9AB][0-9]{7,10}|1[0-9](?:[0-9]|[AB](?<=2[AB]))[0-9]{7}"
        r"|2[0-9]{9}|3[0-9]{14}|4[0-9]{13,14}"
    )

    @classmethod
    def of(cls, inner: FINESS | SIREN | SIRET) -> Self:
        """Put the prefix before a number."""
        match inner:
            case FINESS():
                return cls("1" + inner)
            case SIREN():
                return cls("2" + inner)
            case SIRET():
                return cls("3" + inner)

    @property
    def inner(self) -> FINESS | SIREN | SIRET | None:
        """The number without its prefix; `None` for a rank, which names a person's practice."""
        match self[0]:
            case "1":
                return FINESS(self[1:])
            case "2":
                return SIREN(self[1:])
            case "3":
                return SIRET(self[1:])
            case _:
                return None

    @property
    def is_checked(self) -> bool:
        """True if the inner number is right; for a rank, the number of the person it belongs to."""
        if self[0] == "4":
            return is_luhn(self[1:12])
        if self[0] == "0":
            return is_luhn(_without_corsica(self[1:10]))
        inner = self.inner
        return inner is None or inner.is_checked


def _without_corsica(text: str) -> str:
    return text.replace("A", "1").replace("B", "2")
