"""Tell how a French name sounds, so that those who only heard it find it.

Spellings that a French ear cannot tell apart have one key: `Phillipot`, `Filipeau`; `Lefebvre`,
`Lefèvre`, `Lefaivre`; `Gaultier`, `Gautier`, `Gothié`. The key is lenient on purpose (one letter
for `s`, `ss`, `c`, `ç`, `x` and `z`; no vowel at the end for `-e`, `-er`, `-ez`, `-et` alike): it
makes candidates, and spelling ranks them.

Shapes
    A key is letters. Lower-case letters stand for themselves; `A`, `I`, `O` are the nasal vowels of
    *an*, *in*, *on*; `U` is *ou*, `C` is *ch*, `N` is *gn*, `W` is *oi*. A word without letters, or
    of which nothing is heard, is its own key.
Sources
    The rules are ours, from the correspondence of sounds and letters in French names. Known keys
    (Soundex, Phonex, Phonetic) are not used: they keep the first letter or few sounds.
"""

import re
from functools import lru_cache
from typing import Final


def _rules(*pairs: tuple[str, str]) -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), letters) for pattern, letters in pairs)


# In this order: each rule sees what the ones before have left.
_RULES: Final = _rules(
    # Groups of consonants.
    (r"ph", "f"),
    (r"tz", "s"),
    (r"(?<!s)ch(?=[rlnt])", "k"),  # Christian, but Schneider
    (r"s?ch|sh", "C"),
    (r"ck|[ck]?qu?", "k"),
    (r"h", ""),
    (r"bv", "v"),  # Lefebvre
    (r"ti(?=on)", "si"),
    (r"(?:ign|gn)i?(?=[aeiouy])|n[iy](?=[aeou])|gn", "N"),
    (r"s?c(?=[eiy])", "s"),
    (r"c", "k"),
    (r"gu(?=[eiy])", "G"),
    (r"ge(?=[aou])|je(?=[aou])", "j"),  # Georges, Jean
    (r"g+(?=[eiy])", "j"),
    (r"G", "g"),
    (r"x(?=.)", "s"),  # Texier
    (r"w", "v"),
    # Endings that are written and not heard.
    (r"(?<=[aeiou]m)[bp]?[stx]*$", ""),  # Colomb, Deschamps
    (r"(?<=n)[kgdt]?[sxz]*$", ""),  # Leblanc, Durand
    (r"(?<=r)[gdt]?[sxz]*$", ""),  # Bourg, Girard
    (r"(?<=..)[dtsxzp]+$", ""),
    (r"(?<=..)er$", "e"),
    # Vowels written with several letters.
    (r"e?aul(?=[^aeiouyl])|e?au", "o"),  # Gaultier is Gautier
    (r"ou|oo", "U"),
    (r"oin(?![aeiouyn])", "WI"),
    (r"o[iy]", "W"),
    (r"oeu|oe|eu", "e"),
    # Nasal vowels: at the end, and before a consonant other than n and m.
    (r"(?:ai|ei|i|y|u)[nm](?![aeiouynmAIOUW])", "I"),
    (r"(?<=[iy])en(?![aeiouynmAIOUW])", "I"),  # Bastien
    (r"[ae][nm](?![aeiouynmAIOUW])", "A"),
    (r"o[nm](?![aeiouynmAIOUW])", "O"),
    (r"[ae][iy]l+", "ei"),
    (r"ill(?=[aeou]|$)", "i"),
    (r"[ae][iy]", "e"),
    # One letter for one sound; an e at the end may be mute (-e), or not (-er, -ez, -é).
    (r"y", "i"),
    (r"z", "s"),
    (r"(.)\1+", r"\1"),
    (r"(?<=..)e+$", ""),
)


@lru_cache(maxsize=131_072)  # surnames and first names repeat
def sound_key(word: str) -> str:
    """Return the key of how a folded word sounds."""
    key = word
    for pattern, letters in _RULES:
        key = pattern.sub(letters, key)
    return key or word
