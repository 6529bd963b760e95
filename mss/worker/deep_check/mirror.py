"""Make the files of the rules findable under every name that they call each other by.

The national rules were written on machines that do not tell capitals from small letters, and open
value sets by paths relative to where the compiled rules lie. A mirror is a folder of links to the
administrator's files, which stay untouched: names that differ in letter case get a link of their
own, a value set that is not there is replaced by an empty one and remembered, and compiled rules
can be written beside their sources.

Errors
    `OSError` if the folder cannot be read.
Sources
    ANS, TestContenuCDA (the folder of schematrons and how its files refer to each other).
"""

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

MAX_FILES = 20_000
CLIMBS = 3
"""How far above its folder a file may refer: value sets often lie beside the rules."""

_SCANNED = frozenset({".sch", ".xsl", ".xslt", ".xsd"})
_MAX_SCANNED_OCTETS = 32 * 1024 * 1024
_REFERENCE = re.compile(
    r"""["']([^"'<>\s:][^"'<>\n:]{0,250}\.(?:xml|sch|rdf|xslt?|xsd))["']""", re.IGNORECASE
)
_SCHEMA_ROOT = re.compile(r"<(?:[\w.-]+:)?schema[\s>]")
_EMPTY = b"<missing/>\n"
_DATA = (".xml", ".rdf")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirror:
    """A folder of links.

    Attributes:
        root: Where the mirrored folder is.
        references: For each scanned file, the files of the mirror that it refers to.
        missing: For each scanned file, the data files that it asks for and that are nowhere.
    """

    root: Path
    references: dict[Path, set[Path]] = field(default_factory=dict)
    missing: dict[Path, set[str]] = field(default_factory=dict)

    def needed_by(self, file: Path) -> Iterator[Path]:
        """List a file and all those that it includes, and so on."""
        waiting, seen = [file], {file}
        while waiting:
            one = waiting.pop()
            yield one
            fresh = self.references.get(one, set()) - seen
            seen |= fresh
            waiting += sorted(fresh)


def make_mirror(source: Path, workspace: Path) -> Mirror:
    """Mirror a folder below an empty one.

    Raises:
        OSError: The folder cannot be read, or the links cannot be made.
    """
    source = source.resolve()
    depth = min(CLIMBS, len(source.parts) - 1)
    root = workspace.joinpath(*("up" for _ in range(depth)), source.name or "root")
    root.mkdir(parents=True)
    mirror = Mirror(root=root)
    files = list(islice(_walk(source), MAX_FILES))
    for path in files:
        link = root / path.relative_to(source)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    texts = {root / one.relative_to(source): _text(one) for one in files if _is_scanned(one)}
    bases = {path.parent for path, text in texts.items() if _SCHEMA_ROOT.search(text)}
    names = _Names(source=source, root=root)
    for path, text in texts.items():
        for reference in dict.fromkeys(_REFERENCE.findall(text)):
            _link(mirror, names, path, reference.replace("\\", "/"), bases)
    return mirror


@dataclass(slots=True, kw_only=True)
class _Names:
    """What is in the real folders, by names in small letters."""

    source: Path
    root: Path
    listed: dict[Path, dict[str, str]] = field(default_factory=dict)

    def find(self, place: Path) -> Path | None:
        """Find the real file that a place in the mirror stands for, whatever the letter case."""
        relative = posixpath.relpath(place.as_posix(), self.root.as_posix())
        real = self.source
        for part in relative.split("/"):
            if part == "..":
                real = real.parent
                continue
            if real not in self.listed:
                inside = sorted(real.iterdir()) if real.is_dir() else []
                self.listed[real] = {one.name.lower(): one.name for one in inside}
            name = part if (real / part).exists() else self.listed[real].get(part.lower())
            if name is None:
                return None
            real /= name
        return real if real.is_file() else None

    def link_of(self, real: Path) -> Path | None:
        """Find the link that a real file has in the mirror, under its own name."""
        if not real.is_relative_to(self.source):
            return None
        return self.root / real.relative_to(self.source)


def _link(mirror: Mirror, names: _Names, holder: Path, reference: str, bases: set[Path]) -> None:
    """Make sure that a reference leads somewhere: from its file, and from the compiled rules."""
    found = False
    places = []
    for base in dict.fromkeys((holder.parent, *sorted(bases))):
        place = Path(posixpath.normpath((base / reference).as_posix()))
        if not _is_inside(place, mirror.root):
            continue
        places.append(place)
        real = names.find(place)
        if real is None:
            continue
        found = True
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(real)
        if base == holder.parent:
            mirror.references.setdefault(holder, set()).add(names.link_of(real) or place)
    if not found and reference.lower().endswith(_DATA):
        mirror.missing.setdefault(holder, set()).add(reference.rpartition("/")[2])
        for place in places:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(_EMPTY)


def _is_inside(place: Path, root: Path) -> bool:
    top = root.parents[CLIMBS - 1] if len(root.parents) >= CLIMBS else root
    return place.is_relative_to(top)


def _walk(source: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(source):
        folders.sort()
        for path in (Path(folder) / name for name in sorted(names)):
            if path.is_file():  # no pipe, no device, no link to nowhere
                yield path


def _is_scanned(path: Path) -> bool:
    return path.suffix.lower() in _SCANNED and path.stat().st_size <= _MAX_SCANNED_OCTETS


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")
