"""Which sets of rules are in a folder, and which of them are for a document?

Sets below a folder `profils` are for every document (the header, IHE's and ANS's models of
content); any other set is for one model of documents, recognised by the template that it names and
by its file name, which ends with the version. A document whose body is one file has no set of its
own. Terminologies, and the skeleton that compiles rules, are no sets.

Errors
    None.
Sources
    ANS, TestContenuCDA: `schematrons/` and `schematrons/profils/`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mss.clinical import vocabulary
from mss.clinical.people import Identifier
from mss.worker.deep_check.mirror import Mirror

SVRL_MARK = "http://purl.oclc.org/dsdl/svrl"
SKELETON = ("iso_dsdl_include.xsl", "iso_abstract_expand.xsl", "iso_svrl_for_xslt2.xsl")

_COMMON = "profils"
_NO_SETS = frozenset({"terminologies", "moteur"})
_SCHEMA = re.compile(r"^\s*(?:<\?.*?\?>|<!--.*?-->|\s)*<(?:[\w.-]+:)?schema[\s>]", re.DOTALL)
_STYLE_SHEET = re.compile(r"<(?:[\w.-]+:)?(?:stylesheet|transform)[\s>]")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """One set of rules.

    Attributes:
        file: Its main file in the mirror.
        is_compiled: True for XSLT, which needs no skeleton.
        is_common: True if it is for every document.
        templates: The templates that it names.
        missing: Data files that it asks for and that are nowhere.
    """

    name: str
    file: Path
    is_compiled: bool
    is_common: bool
    templates: frozenset[str]
    missing: frozenset[str]


def find_rule_sets(mirror: Mirror) -> tuple[RuleSet, ...]:
    """List the sets in a mirrored folder; a compiled one goes before its own source."""
    found: dict[tuple[Path, str], RuleSet] = {}
    for file in sorted(mirror.root.rglob("*")):
        parts = {part.lower() for part in file.relative_to(mirror.root).parts[:-1]}
        suffix = file.suffix.lower()
        if suffix not in {".sch", ".xsl", ".xslt"} or parts & _NO_SETS or not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        is_compiled = suffix != ".sch"
        if is_compiled != _is_compiled(file, text) or not (is_compiled or _SCHEMA.match(text)):
            continue
        key = (file.parent, file.stem.lower())
        if key not in found or is_compiled:
            found[key] = _rule_set(mirror, file, is_common=_COMMON in parts)
    return tuple(found.values())


def choose(
    sets: Sequence[RuleSet], templates: tuple[Identifier, ...], *, is_file: bool
) -> tuple[list[RuleSet], RuleSet | None]:
    """Choose the sets for a document: those for all, and the one of its model, if there is one."""
    common = [one for one in sets if one.is_common]
    if is_file:
        return common, None
    for template in reversed(templates):
        if template.root in vocabulary.FIXED_TEMPLATES:
            break
        fitting = [one for one in sets if not one.is_common and _fit(one, template) > 0]
        if fitting:
            return common, max(fitting, key=lambda one: (_fit(one, template), one.name))
    return common, None


def find_skeleton(mirror: Mirror) -> tuple[Path, ...] | None:
    """Find the three style sheets that compile rules, if they are all there."""
    files = {one.name.lower(): one for one in sorted(mirror.root.rglob("*")) if one.is_file()}
    found = [files.get(name) for name in SKELETON]
    return tuple(one for one in found if one) if all(found) else None


def _fit(one: RuleSet, template: Identifier) -> int:
    """Judge how well a set fits a template: not at all, by name, by content; version counts."""
    model = vocabulary.find_model((template.root,))
    name = one.name.lower()
    is_named = model is not None and model.name.lower() in name
    if template.root not in one.templates and not is_named:
        return 0
    has_version = bool(template.extension) and str(template.extension).lower() in name
    return 4 * (template.root in one.templates) + 2 * has_version + is_named


def _is_compiled(file: Path, text: str) -> bool:
    is_skeleton = file.name.lower().startswith("iso_")
    return not is_skeleton and SVRL_MARK in text and _STYLE_SHEET.search(text) is not None


def _rule_set(mirror: Mirror, file: Path, *, is_common: bool) -> RuleSet:
    needed = list(mirror.needed_by(file))
    rules = [one for one in needed if one.suffix.lower() in {".sch", ".xsl", ".xslt"}]
    texts = [one.read_text(encoding="utf-8", errors="replace") for one in rules]
    known = {*vocabulary.document_models()}
    named = {word for text in texts for word in re.findall(r"\d+(?:\.\d+){5,}", text)}
    return RuleSet(
        name=file.stem,
        file=file,
        is_compiled=file.suffix.lower() != ".sch",
        is_common=is_common,
        templates=frozenset(named & known),
        missing=frozenset(name for one in needed for name in mirror.missing.get(one, ())),
    )
