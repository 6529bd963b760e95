import zipfile
from pathlib import Path

import pytest

from directory import columns
from directory.errors import ExtractionSyntaxError
from directory.extraction import (
    MAX_REJECTS_KEPT,
    ExtractionKind,
    Source,
    Tally,
    find_sources,
    inspect_source,
    read_activities,
    read_mailboxes,
    read_skills,
    structure_id,
)
from directory.identifiers import FINESS, SIREN, SIRET
from directory.model import MailboxEntry, MailboxKind

ACTIVITY = (
    "8|99000000010|899000000010|DR|Docteur|MME|Madame|ESSAI-LEROUX|ANNE|10|Médecin|C|Civil|S|"
    "Spécialité ordinale|SM54|Médecine générale|L|Libéral, indépendant, artisan, commerçant|"
    "12345678200010|123456782|||R10100000099999|CABINET DU DR ESSAI-LEROUX||||12|B|R|Rue|"
    "DES TILLEULS||69003 LYON|69003|69383|Lyon 3e Arrondissement|||0400000000||||69|Rhône|"
    "499000000010001|CNOM/CNOM/CNOM|SA07|Cabinet individuel|||||GENR01|"
    "Activité standard de soin ou de pharmacien|"
)
PER = (
    "PER|anne.essai-leroux@exemple.mssante.fr|8|99000000010|899000000010||||DR|ESSAI-LEROUX|ANNE|"
    "C|Civil|10|Médecin|SM54|Médecine générale|O|||||||||||||"
)
ORG = (
    "ORG|secretariat.cardio@ch-exemple.mssante.fr||||1|750000002|CARDIOLOGIE||||||||||O|"
    "CH EXEMPLE||||1||AV|DE LA FICTION||75099 PARIS|75099|75|France"
)
ACTIVITY_HEADER = "|".join(columns.ACTIVITY) + "|"
MAILBOX_HEADER = "|".join(columns.MAILBOX)


def a_file(
    folder: Path, *lines: str | bytes, kind: ExtractionKind = ExtractionKind.MAILBOX
) -> Source:
    octets = b"".join(
        (line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines
    )
    path = folder / f"{kind}_202611230200.txt"
    path.write_bytes(octets)
    (source,) = find_sources(path)
    return source


def mailboxes_in(source: Source) -> tuple[list[MailboxEntry], Tally]:
    tally = Tally()
    found = list(read_mailboxes(source, inspect_source(source).encoding, tally))
    return found, tally


def test_the_published_activity_sample_is_understood(tmp_path: Path) -> None:
    """One row is a person, a role, a skill and a place; one extra separator ends it."""
    source = a_file(tmp_path, ACTIVITY_HEADER, ACTIVITY, kind=ExtractionKind.ACTIVITY)
    (activity,) = read_activities(source, "utf-8", Tally())

    person, role = activity.practitioner, activity.role
    assert role is not None
    assert role.organization is not None
    assert person.display_name == "Dr Anne ESSAI-LEROUX"
    assert person.rpps == "99000000010"
    assert [skill.code for skill in person.skills] == ["SM54"]
    assert role.organization.key == "312345678200010"
    assert role.organization.address.street == "12 B Rue DES TILLEULS"
    assert role.organization.address.postcode == "69003"
    assert role.activity is not None
    assert role.activity.code == "GENR01"


def test_a_person_without_a_place_is_kept(tmp_path: Path) -> None:
    """Students and the retired exist, and may be written to."""
    fields = ACTIVITY.split("|")
    bare = "|".join([*fields[:13], *[""] * (len(fields) - 13)])
    source = a_file(tmp_path, ACTIVITY_HEADER, bare, kind=ExtractionKind.ACTIVITY)
    (activity,) = read_activities(source, "utf-8", Tally())

    assert activity.role is None
    assert activity.practitioner.family == "ESSAI-LEROUX"


def test_a_skill_row_is_understood(tmp_path: Path) -> None:
    """The second file of the national archive."""
    row = "|".join([*ACTIVITY.split("|")[:3], *ACTIVITY.split("|")[7:17], ""])
    header = "|".join(columns.SKILL)
    source = a_file(tmp_path, header, row, kind=ExtractionKind.SKILL)
    (person,) = read_skills(source, "utf-8", Tally())

    assert person.skills[0].label == "Médecine générale"
    assert person.skills[0].kind.code == "S"


def test_the_published_mailbox_samples_are_understood(tmp_path: Path) -> None:
    """A mailbox hangs on a person, or on a structure and its service."""
    (per, org), tally = mailboxes_in(a_file(tmp_path, MAILBOX_HEADER, PER, ORG))

    assert (per.kind, org.kind) == (MailboxKind.PER, MailboxKind.ORG)
    assert per.practitioner is not None
    assert per.practitioner.rpps == "99000000010"
    assert org.organization is not None
    assert org.organization.finess == "750000002"
    assert org.organization.address.city == "PARIS"
    assert org.service == "CARDIOLOGIE"
    assert (tally.rows, tally.rejected) == (2, 0)


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    """The files have grown at the end before, and may change their order."""
    header = "Nouveau|" + "|".join(reversed(columns.MAILBOX))
    row = "x|" + "|".join(reversed(PER.split("|")))
    (per,), _ = mailboxes_in(a_file(tmp_path, header, row))

    assert per.address.key == "anne.essai-leroux@exemple.mssante.fr"


def test_a_kind_that_is_not_known_is_kept_as_it_is(tmp_path: Path) -> None:
    """CAB came in 2023; the next one must not lose mailboxes."""
    (entry,), _ = mailboxes_in(a_file(tmp_path, MAILBOX_HEADER, "ZZZ" + PER[3:]))

    assert entry.kind == "ZZZ"


def test_a_quote_is_a_character(tmp_path: Path) -> None:
    """A reader with quoting on merges lines at the first stray quote."""
    quoted = ORG.replace("CH EXEMPLE", 'CH "EXEMPLE')
    (first, second), _ = mailboxes_in(a_file(tmp_path, MAILBOX_HEADER, quoted, ORG))

    assert first.organization is not None
    assert first.organization.name == 'CH "EXEMPLE'
    assert second.service == "CARDIOLOGIE"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("PER|only|three", "field-count: 3 instead of 31"),
        (PER + "||", "field-count: 33 instead of 31"),
        (PER + "|x", "field-count: 32 instead of 31"),
        (PER.replace("@", " at "), "address: no-at-sign"),
        (PER.replace("899000000010", "8ABC"), "person-identifier"),
        (ORG[3:], "no-mailbox-kind"),
        (PER.replace("ANNE", "AN\x00NE"), "control-character"),
        (PER.replace("ANNE", "A" * 70_000), "line-too-long"),
        ("", "field-count: 1 instead of 31"),
    ],
    ids=range(9),
)
def test_a_bad_line_is_left_out_and_numbered(tmp_path: Path, line: str, reason: str) -> None:
    """The administrator finds the line again; the others are read."""
    found, tally = mailboxes_in(a_file(tmp_path, MAILBOX_HEADER, PER, line, ORG))

    assert len(found) == 2
    assert [(reject.line, reject.reason) for reject in tally.rejects] == [(3, reason)]


def test_an_identifier_that_fails_its_check_is_counted_not_refused(tmp_path: Path) -> None:
    """The examples of the national agency fail theirs."""
    found, tally = mailboxes_in(
        a_file(tmp_path, MAILBOX_HEADER, PER.replace("99000000010", "98000000010"))
    )

    assert (len(found), tally.odd) == (1, 1)


def test_one_latin_octet_makes_the_whole_file_windows_1252(tmp_path: Path) -> None:
    """Never two encodings in one file, and never in silence."""
    row = PER.replace("ANNE", "ZOÉ").encode("cp1252")
    source = a_file(tmp_path, MAILBOX_HEADER.encode("cp1252"), row)
    inspection = inspect_source(source)
    (entry,) = read_mailboxes(source, inspection.encoding, Tally())

    assert inspection.encoding == "cp1252"
    assert [finding.code for finding in inspection.findings] == ["extraction-encoding"]
    assert entry.practitioner is not None
    assert entry.practitioner.given == "ZOÉ"


def test_an_octet_without_meaning_costs_its_line_only(tmp_path: Path) -> None:
    """Five octets mean nothing in Windows-1252."""
    row = PER.replace("ANNE", "ANNE?").encode("cp1252").replace(b"?", b"\x81")
    found, tally = mailboxes_in(a_file(tmp_path, MAILBOX_HEADER.encode("cp1252"), row, ORG))

    assert len(found) == 1
    assert [reject.reason for reject in tally.rejects] == ["undecodable"]


def test_inspection_tells_digest_and_size(tmp_path: Path) -> None:
    """The provenance of the directory is shown to the administrator."""
    source = a_file(tmp_path, MAILBOX_HEADER, PER, ORG)
    inspection = inspect_source(source)

    assert inspection.lines == 2
    assert inspection.size_octets == source.path.stat().st_size
    assert len(inspection.sha256) == 64
    assert inspection.encoding == "utf-8"


def test_a_missing_column_is_found_before_anything_is_read(tmp_path: Path) -> None:
    """Otherwise it would be found after two million lines of another file."""
    source = a_file(tmp_path, MAILBOX_HEADER.replace("Adresse BAL", "Adresse"), PER)

    with pytest.raises(ExtractionSyntaxError) as caught:
        inspect_source(source)

    assert caught.value.reason == "missing-column: Adresse BAL"


@pytest.mark.parametrize("octets", [b"", b"\n", b"\x00" * 100, b"|" * 1000])
def test_a_file_that_is_nothing_is_refused(tmp_path: Path, octets: bytes) -> None:
    """The name alone does not make an extraction."""
    path = tmp_path / "Extraction_Correspondance_MSSante_202611230200.txt"
    path.write_bytes(octets)
    (source,) = find_sources(path)

    with pytest.raises(ExtractionSyntaxError):
        inspect_source(source)


def test_files_inside_the_national_archive_are_found(tmp_path: Path) -> None:
    """PS_LibreAcces holds three files, one of which is not needed."""
    path = tmp_path / "PS_LibreAcces_202611230200.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("PS_LibreAcces_Dipl_AutExerc_202611230200.txt", "x")
        archive.writestr("PS_LibreAcces_SavoirFaire_202611230200.txt", "|".join(columns.SKILL))
        archive.writestr(
            "PS_LibreAcces_Personne_activite_202611230200.txt", f"{ACTIVITY_HEADER}\n{ACTIVITY}\n"
        )
    activities, skills, diplomas = find_sources(tmp_path)
    (activity,) = read_activities(activities, inspect_source(activities).encoding, Tally())

    assert (activities.kind, skills.kind) == (ExtractionKind.ACTIVITY, ExtractionKind.SKILL)
    assert diplomas.kind is ExtractionKind.DIPLOMA
    assert activities.stamp == "202611230200"
    assert activity.practitioner.family == "ESSAI-LEROUX"


def test_the_youngest_file_of_a_folder_wins(tmp_path: Path) -> None:
    """Downloads gather in one folder."""
    for stamp in ("202611230200", "202611240200", "202611220200"):
        (tmp_path / f"Extraction_Correspondance_MSSante_{stamp}.txt").touch()
    (source,) = find_sources(tmp_path)

    assert source.stamp == "202611240200"


def test_an_archive_with_two_of_a_kind_is_refused(tmp_path: Path) -> None:
    """There is no telling which one counts."""
    path = tmp_path / "Extraction_Correspondance_MSSante_202611230200.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/Extraction_Correspondance_MSSante_202611230200.txt", "x")
        archive.writestr("b/Extraction_Correspondance_MSSante_202611230300.txt", "x")

    with pytest.raises(ExtractionSyntaxError) as caught:
        find_sources(path)

    assert caught.value.reason == "several-of-a-kind"


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    """A broken transfer must not look like an empty directory."""
    path = tmp_path / "Extraction_Correspondance_MSSante_202611230200.zip"
    name = "Extraction_Correspondance_MSSante_202611230200.txt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, f"{MAILBOX_HEADER}\n{PER}\n" * 50)
    octets = bytearray(path.read_bytes())
    octets[120:140] = b"\xff" * 20
    path.write_bytes(octets)

    with pytest.raises(ExtractionSyntaxError):
        inspect_source(Source(kind=ExtractionKind.MAILBOX, path=path, member=name))


@pytest.mark.parametrize("name", ["nothing-here", "readme.txt"])
def test_a_path_without_extraction_is_refused(tmp_path: Path, name: str) -> None:
    """A wrong path is said at once."""
    (tmp_path / "readme.txt").write_text("hello")

    with pytest.raises(ExtractionSyntaxError):
        find_sources(tmp_path / name)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("1", "750000002", FINESS("750000002")),
        ("3", "750000002", FINESS("750000002")),
        ("", "1750000002", FINESS("750000002")),
        ("3", "12345678200010", SIRET("12345678200010")),
        ("5", "312345678200010", SIRET("12345678200010")),
        ("2", "123456782", SIREN("123456782")),
        ("", "2123456782", SIREN("123456782")),
        ("1", "2A0000014", FINESS("2A0000014")),
        ("1", "R10100000099999", None),
        ("1", "", None),
    ],
)
def test_the_number_of_a_structure_is_known_by_its_shape(
    kind: str, text: str, expected: str | None
) -> None:
    """Two code lists give the same digit different meanings."""
    found = structure_id(kind, text)

    assert found == expected
    assert type(found) is type(expected)


def test_only_the_first_rejects_are_remembered() -> None:
    """A file of another format must not fill the memory."""
    tally = Tally()
    for line in range(MAX_REJECTS_KEPT + 1):
        tally.reject(line, "x")

    assert (tally.rejected, len(tally.rejects)) == (MAX_REJECTS_KEPT + 1, MAX_REJECTS_KEPT)
