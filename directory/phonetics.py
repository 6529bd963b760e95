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

_Rule = tuple[str, re.Pattern[str], str]


def _rules(*rules: tuple[str, str, str]) -> tuple[_Rule, ...]:
    return tuple((sign, re.compile(pattern), letters) for sign, pattern, letters in rules)


# In this order: each rule sees what the ones before have left. A rule begins with letters without
# which it has nothing to do, since most words need few rules.
_RULES: Final = _rules(
    # Groups of consonants.
    ("ph", r"ph", "f"),
    ("tz", r"tz", "s"),
    ("ch", r"(?<!s)ch(?=[rlnt])", "k"),  # Christian, but Schneider
    ("h", r"s?ch|sh", "C"),
    ("ck", r"ck", "k"),
    ("q", r"[ck]?qu?", "k"),
    ("h", r"h", ""),
    ("bv", r"bv", "v"),  # Lefebvre
    ("tion", r"ti(?=on)", "si"),
    ("n", r"(?:ign|gn)i?(?=[aeiouy])|n[iy](?=[aeou])|gn", "N"),
    ("c", r"s?c(?=[eiy])", "s"),
    ("c", r"c", "k"),
    ("gu", r"gu(?=[eiy])", "G"),
    ("e", r"ge(?=[aou])|je(?=[aou])", "j"),  # Georges, Jean
    ("g", r"g+(?=[eiy])", "j"),
    ("G", r"G", "g"),
    ("x", r"x(?=.)", "s"),  # Texier
    ("w", r"w", "v"),
    # Endings that are written and not heard.
    ("m", r"(?<=[aeiou]m)[bp]?[stx]*$", ""),  # Colomb, Deschamps
    ("n", r"(?<=n)[kgdt]?[sxz]*$", ""),  # Leblanc, Durand
    ("r", r"(?<=r)[gdt]?[sxz]*$", ""),  # Bourg, Girard
    ("", r"(?<=..)[dtsxzp]+$", ""),
    ("er", r"(?<=..)er$", "e"),
    # Vowels written with several letters.
    ("au", r"e?aul(?=[^aeiouyl])|e?au", "o"),  # Gaultier is Gautier
    ("o", r"ou|oo", "U"),
    ("oin", r"oin(?![aeiouyn])", "WI"),
    ("o", r"o[iy]", "W"),
    ("e", r"oeu|oe|eu", "e"),
    # Nasal vowels: at the end, and before a consonant other than n and m.
    ("", r"(?:ai|ei|i|y|u)[nm](?![aeiouynmAIOUW])", "I"),
    ("en", r"(?<=[iy])en(?![aeiouynmAIOUW])", "I"),  # Bastien
    ("", r"[ae][nm](?![aeiouynmAIOUW])", "A"),
    ("o", r"o[nm](?![aeiouynmAIOUW])", "O"),
    ("l", r"[ae][iy]l+", "ei"),
    ("ill", r"ill(?=[aeou]|$)", "i"),
    ("", r"[ae][iy]", "e"),
    # One letter for one sound; an e at the end may be mute (-e), or not (-er, -ez, -é).
    ("y", r"y", "i"),
    ("z", r"z", "s"),
    ("", r"(.)\1+", r"\1"),
    ("e", r"(?<=..)e+$", ""),
)


@lru_cache(maxsize=131_072)  # surnames and first names repeat
def sound_key(word: str) -> str:
    """Return the key of how a folded word sounds."""
    key = word
    for sign, pattern, letters in _RULES:
        if sign in key:
            key = pattern.sub(letters, key)
    return key or word
