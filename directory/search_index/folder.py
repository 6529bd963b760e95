"""Keep the search index of one generation in a folder of its own.

It is written once, beside its final place, and moved there when it is whole; nobody who opens a
folder sees half of one. The index of a following generation links the files of the one before,
which nothing ever changes, and adds what is new.

A builder that died leaves a draft behind. Each draft is locked by whoever writes it, so the next
builder removes those that are nobody's.

Shapes
    `names` is a file of lines in any order, one for each subject; a field of the index says where.
Errors
    `OSError` when a folder cannot be read or written.
"""

import fcntl
import mmap
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

import tantivy

from directory.search_index.fields import VERSION, Field, schema
from directory.search_index.subject import Subject, build_entry

NAMES: Final = "names"
HEAP_OCTETS: Final = 160_000_000
_DRAFT: Final = "search-draft-"
AT_BITS: Final = 16
_LENGTH_MASK: Final = (1 << AT_BITS) - 1


@dataclass(frozen=True, slots=True)
class IndexFolder:
    """The place of the index of one generation, whether it is there or not."""

    parent: Path
    generation: int

    @property
    def path(self) -> Path:
        """The folder itself."""
        return self.parent / f"search-{VERSION}-{self.generation}"

    @property
    def is_complete(self) -> bool:
        """True if the index can be opened."""
        return self.path.is_dir()

    def remove_older(self, keep: Iterable[int] = ()) -> None:
        """Remove the indexes of generations before this one, and so whoever vanished since.

        Args:
            keep: Generations whose pages may still be asked for.
        """
        kept = {self.path.name, *(IndexFolder(self.parent, n).path.name for n in keep)}
        for found in self.parent.glob("search-[0-9]*-[0-9]*"):
            _, version, number = found.name.split("-", 2)
            if not (version.isdigit() and number.isdigit()) or found.name in kept:
                continue
            if int(version) < VERSION or int(number) < self.generation:
                shutil.rmtree(found, ignore_errors=True)


def pack_place(offset: int, length: int) -> int:
    """Say in one number where a line of names stands."""
    return offset << AT_BITS | min(length, _LENGTH_MASK)


def unpack_place(at: int) -> tuple[int, int]:
    """Undo `pack_place`: where a line begins and where it ends."""
    offset = at >> AT_BITS
    return offset, offset + (at & _LENGTH_MASK)


class IndexBuilder:
    """Writes an index; a context manager that leaves a whole one, or none."""

    def __init__(self, target: IndexFolder, *, copy_of: IndexFolder | None = None) -> None:
        self._target = target
        self._draft = target.parent / f"{_DRAFT}{uuid4().hex}"
        self._lock = _begin_draft(self._draft)
        self.is_copy = copy_of is not None
        if copy_of is not None:
            shutil.copytree(copy_of.path, self._draft, copy_function=_link, dirs_exist_ok=True)
        self._index = tantivy.Index(schema(), path=str(self._draft))
        self._writer = self._index.writer(HEAP_OCTETS, 1)
        self._names = (self._draft / NAMES).open("ab")
        self._offset = self._names.tell()

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Put the index in its place, or throw it away."""
        try:
            self._names.close()
            if kind is None:
                self._writer.commit()
                self._writer.wait_merging_threads()
                del self._writer, self._index  # nothing may still write when the folder moves
                self._place()
        finally:
            shutil.rmtree(self._draft, ignore_errors=True)
            os.close(self._lock)

    def add(self, subjects: Iterable[Subject]) -> None:
        """Add subjects that are not in the index."""
        for subject in subjects:
            fields, names = build_entry(subject)
            fields[Field.AT] = pack_place(self._offset, len(names))
            self._offset += self._names.write(names)
            self._writer.add_document(tantivy.Document.from_dict(fields, schema()))

    def remove(self, ids: Iterable[int]) -> None:
        """Remove subjects; those that are not in the index do not matter."""
        for number in ids:
            self._writer.delete_documents_by_term(Field.ID, number)

    def _place(self) -> None:
        try:
            self._draft.rename(self._target.path)
        except OSError:
            if not self._target.is_complete:  # another process was first: its index is the same
                raise


class OpenIndex:
    """An index that is asked; immutable, and shared by threads."""

    def __init__(self, index: tantivy.Index, names: bytes | mmap.mmap) -> None:
        self.searcher = index.searcher()
        self._names = names

    @classmethod
    def open(cls, folder: IndexFolder) -> Self:
        """Open the index in a folder."""
        index = tantivy.Index.open(str(folder.path))
        with (folder.path / NAMES).open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            names = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
        return cls(index, names)

    @classmethod
    def of(cls, subjects: Iterable[Subject]) -> Self:
        """Make an index of a few subjects in memory."""
        index = tantivy.Index(schema())
        writer = index.writer(15_000_000, 1)
        names = bytearray()
        for subject in subjects:
            fields, line = build_entry(subject)
            fields[Field.AT] = pack_place(len(names), len(line))
            names += line
            writer.add_document(tantivy.Document.from_dict(fields, schema()))
        writer.commit()
        writer.wait_merging_threads()
        index.reload()
        return cls(index, bytes(names))

    def ids(self, found: list[tantivy.DocAddress]) -> list[int]:
        """Return the numbers of subjects."""
        return [int(number or 0) for number in self.searcher.fast_field_values(Field.ID, found)]

    def names(self, found: list[tantivy.DocAddress]) -> list[str]:
        """Return the names that ranking compares, one line for each subject."""
        places = self.searcher.fast_field_values(Field.AT, found)
        lines = (self._names[slice(*unpack_place(int(at or 0)))] for at in places)
        return [line.decode() for line in lines]


def _begin_draft(draft: Path) -> int:
    """Make a draft and lock it, after removing those of builders who died; return the lock."""
    draft.parent.mkdir(parents=True, exist_ok=True)
    with _locked(draft.parent):
        for left in draft.parent.glob(f"{_DRAFT}*"):
            _remove_if_left(left)
        draft.mkdir()
        lock = os.open(draft, os.O_RDONLY)
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _remove_if_left(draft: Path) -> None:
    try:
        lock = os.open(draft, os.O_RDONLY)
    except FileNotFoundError:
        return  # its builder has finished
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return  # its builder is at work
    else:
        shutil.rmtree(draft, ignore_errors=True)
    finally:
        os.close(lock)


def _link(source: str, target: str) -> None:
    """Link what never changes, copy what the copy will change."""
    name = Path(source).name
    if name == NAMES or name.startswith((".", "meta")):
        shutil.copy2(source, target)
    else:
        os.link(source, target)
