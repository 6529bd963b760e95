"""FINESS: entities and sites, wherever the members of the document put them."""

import gzip
import json
from pathlib import Path

import pytest

from directory.errors import ExtractionSyntaxError
from directory.extraction import Tally
from directory.finess import read_finess
from directory.model import FinessKind, Organization, Position
from directory.sources import ExtractionKind, find_sources

SITE = {
    "informationsGeneralesEGE": {
        "numFinessEge": "750000002",
        "nomEgeCourt": "CH EXEMPLE",
        "nomEgeLong": "CENTRE HOSPITALIER EXEMPLE",
        "siret": "12345678200010",
    },
    "categorieentiteGeographiqueExercice": "355",
    "adresse": [
        {"usageAdresse": "06", "codePostal": "99999"},
        {
            "usageAdresse": "03",
            "numeroVoie": "1",
            "typeVoie": " av ",
            "libelleVoie": "DE LA FICTION",
            "codePostal": "75013",
            "cogCommune": "75113",
            "ligneAcheminement": "75013 PARIS",
            "coordonneesGeographique": {"coordonneeX": "2.36", "coordonneeY": "48.83"},
        },
    ],
    "contact": [{"telecom": {"telephone": "0100000000", "courriel": "a@ch-exemple.fr"}}],
    "etatObjet": "A",
}
ENTITY = {
    "informationsGeneralesPMEJ": {
        "numFinessPm": "750000010",
        "denominationLonguePmSmsse": "CENTRE HOSPITALIER EXEMPLE",
        "siren": "123456782",
        "statutJuridique": "13",
    },
    "etatObjet": "A",
    "ege": [SITE],
}
TABLE = (
    "structureet;750000002;750000010;CH EXEMPLE;CENTRE HOSPITALIER EXEMPLE;;;1;AV;DE LA FICTION;;;"
    "099;75;PARIS;75099 PARIS;0100000000;;355;Centre Hospitalier (C.H.);1102;"
    "Centres Hospitaliers;12345678200010;8610Z;03;ARS établissements Publics;1;"
    "Etablissement public de santé;1970-01-01;1970-01-01;2026-01-01;"
)


def a_document(*entities: object) -> bytes:
    document = {"schemaVersion": "v1.0.0", "generatedAt": "x", "gco": [], "pmej": entities}
    return json.dumps(document).encode()


def read(folder: Path, octets: bytes, name: str) -> tuple[list[Organization], Tally]:
    path = folder / name
    path.write_bytes(octets)
    (source,) = find_sources(path)
    tally = Tally()
    return list(read_finess(source, "utf-8", tally)), tally


def test_an_entity_and_its_site_are_read_from_the_compressed_document(tmp_path: Path) -> None:
    """The site has its own address, place and telephone, and knows its legal entity."""
    octets = gzip.compress(a_document(ENTITY))
    (legal, site), tally = read(tmp_path, octets, "finess-structures-journalier-20261101.json.gz")

    assert (legal.kind, site.kind) == (FinessKind.EJ, FinessKind.EG)
    assert site.parent_key == legal.key == "1750000010"
    assert site.name == "CENTRE HOSPITALIER EXEMPLE"
    assert site.address.street == "1 AV DE LA FICTION"
    assert (site.address.city, site.address.department) == ("PARIS", "75")
    assert site.position == Position(latitude=48.83, longitude=2.36)
    assert (site.phone, site.email) == ("0100000000", "a@ch-exemple.fr")
    assert site.category is not None
    assert site.category.code == "355"
    assert tally.rows == 2


@pytest.mark.parametrize(
    "coordinates",
    [
        {"coordonneeX": "2.36", "coordonneeY": "48.83"},
        {"coordonneeX": "48.83", "coordonneeY": "2.36"},
        {
            "coordonneeX": "653000.1",
            "coordonneeY": "6858000.2",
            "directionLatitude": "48.83",
            "directionLongitude": "2.36",
        },
        {"coordonneeX": "653000", "directionLatitude": "2,36", "directionLongitude": "48,83"},
    ],
    ids=range(4),
)
def test_the_pair_on_french_ground_is_the_position(
    tmp_path: Path, coordinates: dict[str, str]
) -> None:
    """The members change their meaning between editions; the numbers do not."""
    address = {"codePostal": "75013", "coordonneesGeographique": coordinates}
    (_, site), _ = read(
        tmp_path, a_document({**ENTITY, "ege": [{**SITE, "adresse": [address]}]}), "finess.json"
    )

    assert site.position == Position(latitude=48.83, longitude=2.36)


def test_projected_coordinates_alone_are_no_position(tmp_path: Path) -> None:
    """A wrong place is worse than none."""
    lambert = {"coordonneeX": "653000.1", "coordonneeY": "6858000.2"}
    address = {"codePostal": "75013", "coordonneesGeographique": lambert}
    (_, site), _ = read(
        tmp_path, a_document({**ENTITY, "ege": [{**SITE, "adresse": [address]}]}), "finess.json"
    )

    assert site.position is None


def test_a_closed_site_is_known_as_closed(tmp_path: Path) -> None:
    """Mail may still come from it."""
    (_, site), _ = read(
        tmp_path, a_document({**ENTITY, "ege": [{**SITE, "etatObjet": "I"}]}), "finess.json"
    )

    assert not site.is_active


def test_the_older_table_is_read(tmp_path: Path) -> None:
    """Without a header; its legal entities are known by their number only."""
    text = f"finess;etalab;101;2026-05-01\n{TABLE}\ngeolocalisation;750000002;1;2;x;y\n"
    (legal, site), tally = read(tmp_path, text.encode(), "etalab-cs1100502-stock-20260501.csv")

    assert legal.key == site.parent_key
    assert (site.name, site.trade_name) == ("CENTRE HOSPITALIER EXEMPLE", "CH EXEMPLE")
    assert (site.address.postcode, site.address.commune) == ("75099", "75099")
    assert site.siret == "12345678200010"
    assert (tally.rows, tally.rejected) == (1, 0)


@pytest.mark.parametrize(
    "entity", [None, 1, "x", [], {}, {"ege": 1}, {"ege": [None, {"adresse": "x"}]}, {"ege": [[]]}]
)
def test_an_odd_entity_is_a_reject(tmp_path: Path, entity: object) -> None:
    """The document goes on after it."""
    found, tally = read(tmp_path, a_document(entity, ENTITY), "finess.json")

    assert len(found) == 2
    assert tally.rejected >= 1


@pytest.mark.parametrize(
    "octets",
    [b'{"pmej": [', b'{"pmej": [{]}', b'{"pmej": "\xff"}', b"{" * 100_000],
    ids=range(4),
)
def test_a_broken_document_is_refused(tmp_path: Path, octets: bytes) -> None:
    """A transfer that broke off must not make half a directory."""
    path = tmp_path / "finess-structures-journalier-20261101.json"
    path.write_bytes(octets)
    (source,) = find_sources(path)

    assert source.kind is ExtractionKind.FINESS
    assert source.stamp == "202611010000"
    with pytest.raises(ExtractionSyntaxError):
        list(read_finess(source, "utf-8", Tally()))
