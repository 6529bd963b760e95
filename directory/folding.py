"""Bring names, towns and labels to the words by which they are found and sorted.

Accents, case, hyphens, apostrophes and ligatures do not count; `SAINT` and `SAINTE` are `ST` and
`STE`, also before what is written together with them: `SAINTPERRIN` is `STPERRIN`. What is stored
and what is typed go through the same function, so they meet.

Shapes
    A folded word is ASCII: lower-case letters and digits, at most `MAX_WORD` of them.
Errors
    None: every text has words, perhaps no word at all.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

MAX_WORD: Final = 40
PARTICLES: Final = frozenset({"de", "du", "des", "la", "le", "les", "d", "l", "et", "en"})
"""Words that people leave out of names, or add."""

_SPECIAL: Final = str.maketrans(
    {"œ": "oe", "æ": "ae", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"}
)
_NOT_WORD: Final = re.compile(r"[^a-z0-9]+")
_SAINT: Final = "saint"
_NO_CONTENT: Final = PARTICLES | {"option", "cedex", "arrondissement", "rue", "avenue", "av"}


@lru_cache(maxsize=65_536)  # an import folds the same towns, streets and labels all day
def fold(text: str) -> tuple[str, ...]:
    """Split a text into folded words."""
    plain = text.lower()
    if not plain.isascii():
        decomposed = unicodedata.normalize("NFKD", text.casefold().translate(_SPECIAL))
        plain = "".join(c for c in decomposed if not unicodedata.combining(c))
    words = _NOT_WORD.sub(" ", plain).split()
    if _SAINT in plain:
        words = ["st" + word[len(_SAINT) :] if word.startswith(_SAINT) else word for word in words]
    return tuple([word[:MAX_WORD] for word in words])


@lru_cache(maxsize=65_536)
def fold_content(text: str) -> tuple[str, ...]:
    """Split a text into the folded words that carry meaning, each once; single letters do not."""
    words = (word for word in fold(text) if word not in _NO_CONTENT and len(word) > 1)
    return tuple(dict.fromkeys(words))


def has_content(word: str) -> bool:
    """Say whether a folded word carries meaning: it is no particle and no word of an address."""
    return word not in _NO_CONTENT


def order_key(text: str) -> str:
    """Bring a name to the form by which it is sorted: its folded words between single spaces."""
    return " ".join(fold(text))
