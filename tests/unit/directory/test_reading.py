"""Tests of reading people in a process beside the writing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from directory import synthetic
from directory.errors import ExtractionSyntaxError
from directory.index_sql import tables
from directory.index_sql.reading import PeopleRows, read_people
from directory.sources import find_sources
from directory.survey import Survey, survey_sources

VERSION = (1, tables.FOREVER, 1)
PEOPLE = 40


def quiet(_stage: str, _done: int, _total: int) -> None:
    """Tell nobody."""


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    """Return what is in some invented files."""
    synthetic.generate(tmp_path, practitioners=PEOPLE, seed=3, stamp="202611230000")
    return survey_sources(find_sources(tmp_path), quiet)


def beside(survey: Survey, wanted: set[int] | None = None) -> Iterator[PeopleRows]:
    """Read in another process, however few the people are."""
    return read_people(survey, wanted=wanted, version=VERSION, progress=quiet, many=0)


@pytest.mark.slow
def test_another_process_reads_the_same(survey: Survey) -> None:
    """Where people are read is a matter of speed alone."""
    here = list(read_people(survey, wanted=None, version=VERSION, progress=quiet))
    there = list(beside(survey))

    assert sum(len(rows.people) for rows in there) == PEOPLE
    assert there == here


@pytest.mark.slow
def test_another_process_reads_only_who_is_wanted(survey: Survey) -> None:
    """A daily file is read for its changes."""
    some = set(sorted(survey.digests)[:3])
    told: list[str] = []

    def note(stage: str, _done: int, _total: int) -> None:
        told.append(stage)

    found = list(read_people(survey, wanted=some, version=VERSION, progress=note, many=0))

    assert {number for rows in found for number in rows.numbers} == some
    assert told


@pytest.mark.slow
def test_a_file_that_vanished_is_the_same_error_from_there(survey: Survey) -> None:
    """The import is refused as ever, and the directory in force stays."""
    for each in survey.files:  # all of them go at once
        each.source.path.unlink()

    with pytest.raises(ExtractionSyntaxError):
        list(beside(survey))


@pytest.mark.slow
def test_a_process_that_cannot_start_is_an_error(
    survey: Survey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end before the end never looks like the end of the files."""
    monkeypatch.setattr("sys.executable", "/bin/false")

    with pytest.raises(ExtractionSyntaxError, match="reader-ended"):
        list(beside(survey))
