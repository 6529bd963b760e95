"""Older and restricted editions of the national files, known by their columns or their place."""

from pathlib import Path

import pytest

from directory import columns
from directory.dossiers import Dossier, iter_dossiers
from directory.layout import read_layout
from directory.model import PostalAddress
from directory.places import arrondissement
from directory.sources import ExtractionKind, Source, find_sources, open_source
from directory.survey import Survey, survey_sources

PERSON = {
    "Type d'identifiant PP": "8",
    "Identifiant PP": "99000000010",
    "Identification nationale PP": "899000000010",
    "Nom d'exercice": "ESSAI-LEROUX",
    "Prénom d'exercice": "ANNE",
    "Prénoms": "ANNE'MARIE'",
    "Code profession": "10",
    "Libellé profession": "Médecin",
    "Code savoir-faire": "SM54",
    "Code type savoir-faire": "S",
    "Code mode exercice": "L",
    "Numéro FINESS site": "750000002",
    "Raison sociale site": 'CH "EXEMPLE',
    "Adresse BAL": "anne.essai-leroux@exemple.mssante.fr",
    "Date de naissance": "01/02/1970",
}


def silent(_stage: str, _done: int, _total: int) -> None:
    """Report to nobody."""


def a_line(names: tuple[str, ...], separator: str = "|", **more: str) -> str:
    values = PERSON | more
    return separator.join(values.get(name, "") for name in names)


def dossiers_in(path: Path) -> tuple[list[Dossier], Survey]:
    survey = survey_sources(find_sources(path), silent)
    return list(iter_dossiers(survey, progress=silent)), survey


def test_the_first_edition_with_48_columns_is_read(tmp_path: Path) -> None:
    """Eight columns were appended since; none of them is needed."""
    names = columns.ACTIVITY[:48]
    path = tmp_path / "PS_LibreAcces_Personne_activite_201807310200.txt"
    path.write_text("|".join(names) + "\n" + a_line(names) + "\n", "utf-8")
    (dossier,), _ = dossiers_in(path)

    assert dossier.practitioner.roles[0].organization is not None
    assert dossier.practitioner.roles[0].activity is None


def test_the_old_single_table_gives_people_and_mailboxes(tmp_path: Path) -> None:
    """CAT18: semicolons, quotes, and the address of the mailbox in the last column."""
    header = ";".join(f'"{name}"' for name in columns.MONO[:-1]) + ';"Adresse BAL MSSanté"'
    line = ";".join(f'"{PERSON.get(name, "")}"'.replace('H "E', 'H ""E') for name in columns.MONO)
    path = tmp_path / "renamed.csv"
    path.write_text(f"{header}\n{line}\n", "utf-8")
    (dossier,), survey = dossiers_in(path)

    assert survey.files[0].source.kind is ExtractionKind.MONO
    assert dossier.practitioner.family == "ESSAI-LEROUX"
    assert [box.address.key for box in dossier.mailboxes] == [PERSON["Adresse BAL"]]
    place = dossier.mailboxes[0].organization
    assert place is not None
    assert place.name == 'CH "EXEMPLE'


@pytest.mark.parametrize("has_header", [True, False])
def test_the_restricted_edition_is_read_by_place_and_labelled_by_us(
    tmp_path: Path, *, has_header: bool
) -> None:
    """Fifty columns whose names we do not know; the birth date is not taken over."""
    header = "|".join(f"colonne {n}" for n in range(50)) + "|\n" if has_header else ""
    path = tmp_path / "Extraction_ProSanteConnect_Personne_activite_202611230200.txt"
    path.write_text(header + a_line(columns.CONNECT) + "|\n", "utf-8")
    (dossier,), survey = dossiers_in(path)

    person = dossier.practitioner
    assert person.profession is not None
    assert person.profession.label == "Médecin"
    assert person.skills[0].label == "Médecine générale"
    assert "1970" not in repr(dossier)
    assert survey.files[0].tally.rejected == 0


def test_a_renamed_file_is_known_by_its_header(tmp_path: Path) -> None:
    """Mirrors give names of their own."""
    path = tmp_path / "ps-libreacces-personne-activite.txt"
    path.write_text("|".join(columns.ACTIVITY) + "|\n", "utf-8")
    other = tmp_path / "bal.csv"
    other.write_text("|".join(columns.MAILBOX) + "\n", "utf-8")

    kinds = [source.kind for source in find_sources(tmp_path)]
    assert kinds == [ExtractionKind.ACTIVITY, ExtractionKind.MAILBOX]


def test_scattered_lines_of_a_person_meet(tmp_path: Path) -> None:
    """The file is sorted, as a rule; a rule of others."""
    other = "8" + "99000000028"
    lines = [
        a_line(columns.ACTIVITY),
        a_line(columns.ACTIVITY, **{"Identification nationale PP": other}),
        a_line(columns.ACTIVITY, **{"Code savoir-faire": "SM26"}),
    ]
    path = tmp_path / "PS_LibreAcces_Personne_activite_202611230200.txt"
    path.write_text("\n".join(["|".join(columns.ACTIVITY), *lines]) + "\n", "utf-8")
    found, survey = dossiers_in(path)

    assert len(survey.scattered) == 1
    people = {dossier.practitioner.national_id: dossier.practitioner for dossier in found}
    assert [skill.code for skill in people["899000000010"].skills] == ["SM54", "SM26"]  # type: ignore[index]
    assert len(found) == 2


def test_the_files_are_read_in_parts_when_too_much_would_be_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody comes once, whatever the number of parts."""
    numbers = ["99000000010", "99000000028", "99000000036", "99000000044"]
    lines = [a_line(columns.ACTIVITY, **{"Identification nationale PP": "8" + n}) for n in numbers]
    path = tmp_path / "PS_LibreAcces_Personne_activite_202611230200.txt"
    path.write_text("\n".join(["|".join(columns.ACTIVITY), *lines]) + "\n", "utf-8")
    monkeypatch.setattr(Survey, "parts", property(lambda _: 3))  # as if memory were short
    found, _ = dossiers_in(path)

    assert sorted(dossier.number for dossier in found) == [int(number) for number in numbers]


def test_columns_are_known_without_accents_or_case(tmp_path: Path) -> None:
    """Header lines have been through many hands."""
    path = tmp_path / "Extraction_Correspondance_MSSante_202611230200.txt"
    path.write_text("|".join(columns.MAILBOX).upper() + "\n", "utf-8")
    source = Source(kind=ExtractionKind.MAILBOX, path=path)
    with open_source(source) as stream:
        layout = read_layout(stream, source, "utf-8")

    assert layout.width == 31
    assert "Dématérialisation" in layout.places


@pytest.mark.parametrize(
    ("commune", "postcode", "city", "expected"),
    [
        ("75056", "75003", "Paris", ("75103", "Paris 3e Arrondissement")),
        ("75056", "75116", "Paris", ("75116", "Paris 16e Arrondissement")),
        ("69123", "69001", "Lyon", ("69381", "Lyon 1er Arrondissement")),
        ("13055", "13016", "Marseille", ("13216", "Marseille 16e Arrondissement")),
        ("75056", "75999", "Paris", ("75056", "Paris")),
        ("69266", "69100", "Villeurbanne", ("69266", "Villeurbanne")),
    ],
)
def test_a_district_is_known_by_its_postcode(
    commune: str, postcode: str, city: str, expected: tuple[str, str]
) -> None:
    """Practices in Paris carry the commune of the whole town."""
    found = arrondissement(PostalAddress(commune=commune, postcode=postcode, city=city))

    assert (found.commune, found.city) == expected
