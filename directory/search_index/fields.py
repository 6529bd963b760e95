"""Say what a search index holds of a person or of a structure's mailbox.

Shapes
    Text fields hold words between single spaces, made by `directory.folding`; the index splits at
    the spaces and changes nothing. Words of `code` are a letter and a national code: `pSM04`.
"""

from enum import StrEnum
from functools import cache
from typing import Final

import tantivy

VERSION: Final = 2
"""Part of the name of every index folder: other fields or other keys make another folder."""


class Field(StrEnum):
    """A field of the index."""

    ID = "id"
    """The subject: the number of a person, or minus the number of a mailbox."""
    WEIGHT = "weight"
    """Which of two equal answers comes first, from 0 to `MAX_WEIGHT`."""
    AT = "at"
    """Where the names of the subject stand in the file of names: offset and length."""
    CELL = "cell"
    """Where a subject can be found: squares of the map."""

    FAMILY = "family"
    GIVEN = "given"
    WHOLE = "whole"
    """Name, first name and towns, each written as one word: `f:legoff`, `g:jeanpaul`, `c:lepuy`."""
    FAMILY_SOUND = "family_sound"
    GIVEN_SOUND = "given_sound"
    BEGINNING = "beginning"
    """The first one, two and three letters of names; the first three of other words, after `~`."""
    WORDS = "words"
    """Whatever the one box finds beside names."""
    CITY = "city"
    STRUCTURE = "structure"
    STREET = "street"
    JOB = "job"
    POSTCODE = "postcode"
    NUMBER = "number"
    ADDRESS = "address"
    """Addresses of mailboxes, and `@` with their domains."""
    CODE = "code"


_WORDS: Final = tuple(Field)[list(Field).index(Field.CELL) :]
MAX_WEIGHT: Final = 0.042
"""log2(2 + weight) is at most 1.03, so that the weight never outdoes a better match."""


class CodeKind(StrEnum):
    """What a word of `Field.CODE` says."""

    DEPARTMENT = "d"
    HAS_MAILBOX = "b"
    MAILBOX_KIND = "m"
    PERSON = "n"
    PROFESSION = "p"
    SPECIALITY = "s"

    def word(self, code: str = "") -> str:
        """Write the word of a code; what no code holds is left out."""
        return self + "".join(c for c in code[:20].upper() if c.isascii() and c.isalnum())


@cache
def schema() -> tantivy.Schema:
    """Declare the fields to the index."""
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field(Field.ID, indexed=True, fast=True)
    builder.add_float_field(Field.WEIGHT, fast=True)
    builder.add_unsigned_field(Field.AT, fast=True)
    for name in _WORDS:
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="basic")
    return builder.build()
