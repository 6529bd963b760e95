"""Order what was forgiven: the nearest spelling first.

Shapes
    The cost of an answer is a sum over the words of the query: nothing for a word that is there,
    more for one that begins, for a letter wrong, for one that only sounds alike, for two letters.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from rapidfuzz.distance import OSA

from directory.phonetics import sound_key

_BEGUN: Final = 1
_ONE_EDIT: Final = 2
_SOUND: Final = 3
_SOUND_ONE_EDIT: Final = 1
_TWO_EDITS: Final = 4
_ELSEWHERE: Final = 5
"""For a word that is in none of the compared ones: it was met in another field."""


def costs(words: Sequence[str], names: Sequence[str]) -> list[int]:
    """Say how far each line of names (name, first name, town) is from the words of a query."""
    return [_cost(words, line.rpartition("|")[0].replace("|", " ").split()) for line in names]


def _cost(words: Sequence[str], parts: Sequence[str]) -> int:
    return sum(min((_distance(word, part) for part in parts), default=_ELSEWHERE) for word in words)


@lru_cache(maxsize=16_384)
def _distance(word: str, part: str) -> int:
    if part == word:
        return 0
    if part.startswith(word):
        return _BEGUN
    edits = OSA.distance(word, part, score_cutoff=2)
    sounds_alike = edits <= _TWO_EDITS and sound_key(word) == sound_key(part)
    if edits == 1:
        return _SOUND_ONE_EDIT if sounds_alike else _ONE_EDIT
    if sounds_alike:
        return _SOUND
    return _TWO_EDITS if edits == 2 else _ELSEWHERE
