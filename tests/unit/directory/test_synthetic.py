from pathlib import Path

import pytest

from directory import synthetic
from directory.extraction import (
    Tally,
    find_sources,
    inspect_source,
    read_activities,
    read_mailboxes,
    read_skills,
)
from directory.model import MailboxEntry, MailboxKind
from tests.unit.directory.conftest import ANNE, HOSPITAL, STAMP, a_mailbox


def test_the_same_seed_gives_the_same_octets(tmp_path: Path) -> None:
    """Measurements and demonstrations must be repeatable."""
    first = synthetic.generate(tmp_path / "a", practitioners=40, seed=3, stamp=STAMP)
    second = synthetic.generate(tmp_path / "b", practitioners=40, seed=3, stamp=STAMP)
    other = synthetic.generate(tmp_path / "c", practitioners=40, seed=4, stamp=STAMP)

    assert first.activities.read_bytes() == second.activities.read_bytes()
    assert first.mailboxes.read_bytes() == second.mailboxes.read_bytes()
    assert first.activities.read_bytes() != other.activities.read_bytes()


def test_the_files_bear_their_national_names(tmp_path: Path) -> None:
    """The importer knows them by these names."""
    made = synthetic.generate(tmp_path, practitioners=1, seed=1, stamp=STAMP)

    assert made.activities.name == f"PS_LibreAcces_Personne_activite_{STAMP}.txt"
    assert made.skills.name == f"PS_LibreAcces_SavoirFaire_{STAMP}.txt"
    assert made.mailboxes.name == f"Extraction_Correspondance_MSSante_{STAMP}.txt"


def test_all_lines_are_read_without_a_reject_or_a_wrong_check_digit(tmp_path: Path) -> None:
    """Invented numbers pass the same checks as real ones, and begin with 99."""
    synthetic.generate(tmp_path, practitioners=200, seed=5, stamp=STAMP)
    activities, skills, mailboxes = find_sources(tmp_path)
    tally = Tally()
    people = {
        activity.practitioner.national_id: activity.practitioner
        for activity in read_activities(activities, inspect_source(activities).encoding, tally)
    }
    assert len(list(read_skills(skills, "utf-8", tally))) > 10
    addresses = [mailbox.address.key for mailbox in read_mailboxes(mailboxes, "utf-8", tally)]

    assert len(people) == 200
    assert all(number.startswith("899") for number in people)
    assert (tally.rejected, tally.odd) == (0, 0)
    assert len(addresses) == len(set(addresses))
    assert all(address.endswith("-essai.mssante.fr") for address in addresses)


def test_people_are_as_varied_as_the_real_ones(tmp_path: Path) -> None:
    """Hyphens, accents and particles are what breaks searches."""
    synthetic.generate(tmp_path, practitioners=400, seed=5, stamp=STAMP)
    (source, _, _) = find_sources(tmp_path)
    names = [a.practitioner.family for a in read_activities(source, "utf-8", Tally())]

    assert any("-" in name for name in names)
    assert any(name.startswith(("LE ", "DE ", "D'")) for name in names)
    assert any(not name.isascii() for name in names)


def test_forced_entries_come_out_as_they_went_in(tmp_path: Path) -> None:
    """The demonstration needs its own people in the directory."""
    ward = a_mailbox(
        "sortie.cardiologie@ch-demo.mssante.fr",
        kind=MailboxKind.ORG,
        place=HOSPITAL,
        service="CARDIOLOGIE",
    )
    synthetic.generate(
        tmp_path,
        practitioners=0,
        seed=1,
        stamp=STAMP,
        extra_practitioners=[ANNE],
        extra_mailboxes=[ward],
    )
    activities, _, mailboxes = find_sources(tmp_path)
    (activity,) = read_activities(activities, "utf-8", Tally())
    first = next(iter(read_mailboxes(mailboxes, "utf-8", Tally())))

    assert activity.role == ANNE.roles[0]
    assert activity.practitioner.national_id == ANNE.national_id
    assert activity.practitioner.skills == ANNE.skills
    assert first == ward


def test_the_liste_rouge_is_not_published(tmp_path: Path) -> None:
    """The open file holds no such mailbox, so neither does ours."""
    hidden = MailboxEntry(
        address=a_mailbox("hidden@x-demo.mssante.fr").address,
        kind=MailboxKind.PER,
        practitioner=ANNE,
        liste_rouge=True,
    )
    made = synthetic.generate(
        tmp_path, practitioners=0, seed=1, stamp=STAMP, extra_mailboxes=[hidden]
    )

    assert "hidden@" not in made.mailboxes.read_text("utf-8")


def test_a_separator_in_a_name_cannot_break_a_line(tmp_path: Path) -> None:
    """The format has no escape."""
    box = a_mailbox("x@x-demo.mssante.fr", kind="ORG", place=HOSPITAL, service="A|B\nC")
    synthetic.generate(tmp_path, practitioners=0, seed=1, stamp=STAMP, extra_mailboxes=[box])
    source = find_sources(tmp_path)[2]
    tally = Tally()

    assert next(iter(read_mailboxes(source, "utf-8", tally))).service == "A B C"
    assert tally.rejected == 0


@pytest.mark.parametrize(("stamp", "number"), [("2026", 1), ("20261123020x", 1), (STAMP, -1)])
def test_nonsense_is_refused(tmp_path: Path, stamp: str, number: int) -> None:
    """A file name is built from the stamp."""
    with pytest.raises(ValueError, match=r"AAAAMMJJhhmm|people"):
        synthetic.generate(tmp_path, practitioners=number, seed=1, stamp=stamp)
