"""Look up national codes: professions, specialities, and the everyday words for them.

The lists are dated data files in `directory/data`. They serve search and display only: a code that
they do not know is kept, with the label that the national file gives.

Sources
    TRE_G15, TRE_R95, TRE_R38 and the lists named in `lists.toml`, of the ANS (Nomenclatures des
    Objets de Santé).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialityGroup:
    """One clinical speciality, which the national list spreads over several codes."""

    name: str
    label: str
    codes: frozenset[str]
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeLists:
    """The lists that the package ships.

    Attributes:
        professions: Label by TRE_G15 or TRE_R95 code.
        profession_words: What people type instead, by code.
        specialities: Label by TRE_R38 code.
        groups: Speciality groups by name.
        others: The small lists, by our name of the list: label by code.
    """

    professions: Mapping[str, str]
    profession_words: Mapping[str, tuple[str, ...]]
    specialities: Mapping[str, str]
    groups: Mapping[str, SpecialityGroup]
    others: Mapping[str, Mapping[str, str]]


@cache
def code_lists() -> CodeLists:
    """Load the lists, once."""
    professions = _load("professions.toml")["profession"]
    specialities = _load("specialities.toml")
    groups = {
        name: SpecialityGroup(
            name=name,
            label=group["label"],
            codes=frozenset(group["codes"]),
            words=tuple(group["words"]),
        )
        for name, group in specialities["group"].items()
    }
    return CodeLists(
        professions={code: entry["label"] for code, entry in professions.items()},
        profession_words={
            code: tuple(entry.get("words", ())) for code, entry in professions.items()
        },
        specialities=specialities["speciality"],
        groups=groups,
        others={name: entry["codes"] for name, entry in _load("lists.toml")["list"].items()},
    )


@cache
def speciality_words(code: str) -> tuple[str, ...]:
    """List the everyday words for a speciality code, from all the groups that it is in."""
    groups = code_lists().groups.values()
    found = (
        word for group in groups if code in group.codes for word in (group.label, *group.words)
    )
    return tuple(dict.fromkeys(found))


@cache
def label_of(name: str, code: str) -> str:
    """Return the label of a code for a file that gives none; empty if the list is not known.

    Args:
        name: Of the list: `profession`, `skill`, `skill-kind`, `category`, `mode`, `activity`,
            `sector`, `title`, `civility`, `mailbox-kind`, `messaging`, `identifier`.
        code: As the national files have it.
    """
    lists = code_lists()
    match name:
        case "profession":
            return lists.professions.get(code, "")
        case "skill":
            return lists.specialities.get(code, "")
        case _:
            return lists.others.get(name, {}).get(code, "")


# The shapes of the shipped files are checked by the tests, not by the type checker.
def _load(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("directory.data").joinpath(name).read_text("utf-8"))
