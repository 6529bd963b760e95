"""Write an invented FINESS+ document: legal entities, their sites, where they are.

One entity a line, so that a document of national size is written as a stream. Every third site
lacks its position, coordinates stand in either of the two pairs of members, and the types of
streets come in any case: as in the real one.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from directory.model import Organization

Town = Sequence[str]
_CATEGORIES: Final = ("620", "124", "603", "156", "354", "500", "611")
_KINDS: Final = {"620": "PHARMACIE", "124": "CENTRE DE SANTE", "603": "MAISON DE SANTE",
                 "156": "CMP", "354": "SSIAD", "500": "EHPAD", "611": "LABORATOIRE"}  # fmt: skip


def write_finess(
    path: Path,
    *,
    hospitals: Iterable[Organization],
    sites: int,
    towns: Sequence[Town],
    positions: Mapping[str, Sequence[float]],
    number: Any,  # noqa: ANN401 - gives the FINESS number of a rank
    seed: int,
) -> int:
    """Write the document; return how many sites are in it.

    Args:
        path: Where to.
        hospitals: Sites that other files mention.
        sites: How many others to invent.
        towns: Postcode, commune, name and département of each.
        positions: Latitude and longitude by commune.
        number: Returns the FINESS number of a rank.
        seed: Another seed gives other sites.
    """
    random = Random(seed)  # noqa: S311 - reproducible data, not a secret
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write('{"schemaVersion":"v1.0.0","generatedAt":"2026-11-23T02:00:00Z","gco":[],')
        file.write('"gcc":[],"pmej":[\n')
        rank = 0
        for hospital in hospitals:
            site = _site(hospital.finess or "", hospital.name, "355", random)
            site["adresse"] = [_hospital_address(hospital, positions, random)]
            file.write(",\n" if written else "")
            file.write(_line(_entity(number(rank), hospital.name, [site])))
            rank += 1
            written += 1
        while sites > 0:
            count = min(sites, 1 + int(random.random() * 3))
            town = towns[int(random.random() * len(towns))]
            found = []
            for _ in range(count):
                category = random.choice(_CATEGORIES)
                name = f"{_KINDS[category]} ESSAI {rank}"
                site = _site(number(rank), name, category, random)
                site["adresse"] = [_address(town, positions, random)]
                found.append(site)
                rank += 1
            file.write(",\n" if written else "")
            file.write(_line(_entity(number(rank), f"GROUPE ESSAI {rank}", found)))
            rank += 1
            sites -= count
            written += count
        file.write("\n]}\n")
    return written


def _line(entity: dict[str, object]) -> str:
    return json.dumps(entity, ensure_ascii=False, separators=(",", ":"))


def _entity(number: str, name: str, sites: list[dict[str, object]]) -> dict[str, object]:
    return {
        "informationsGeneralesPMEJ": {
            "pmSmsseId": number,
            "numFinessPm": number,
            "denominationPm": name[:38],
            "denominationLonguePmSmsse": name,
            "statutJuridique": "13",
        },
        "adresse": [],
        "contact": [],
        "ege": sites,
        "etatObjet": "A",
    }


def _site(number: str, name: str, category: str, random: Random) -> dict[str, object]:
    phone = f"0198{int(random.random() * 1_000_000):06d}"
    return {
        "informationsGeneralesEGE": {
            "egeId": number,
            "numFinessEge": number,
            "nomEgeCourt": name[:38],
            "nomEgeLong": name,
        },
        "categorieentiteGeographiqueExercice": category,
        "contact": [{"typeContact": {"roleContact": "01"}, "telecom": {"telephone": phone}}],
        "etatObjet": "A" if random.random() < 0.95 else "I",
    }


def _hospital_address(
    hospital: Organization, positions: Mapping[str, Sequence[float]], random: Random
) -> dict[str, object]:
    address = hospital.address
    town = (address.postcode, address.commune, address.city, address.department)
    return _address(town, positions, random)


def _address(
    town: Town, positions: Mapping[str, Sequence[float]], random: Random
) -> dict[str, object]:
    postcode, commune, city, _ = town
    address: dict[str, object] = {
        "usageAdresse": "03",
        "numeroVoie": str(1 + int(random.random() * 150)),
        "typeVoie": random.choice((" RUE", "Rue", "AV ", "BD")),
        "libelleVoie": "DE LA FICTION",
        "codePostal": postcode,
        "cogCommune": commune,
        "ligneAcheminement": f"{postcode} {city.upper()}",
    }
    centre = positions.get(commune)
    if centre is not None and random.random() < 0.9:
        latitude = f"{centre[0] + (random.random() - 0.5) / 10:.6f}"
        longitude = f"{centre[1] + (random.random() - 0.5) / 10:.6f}"
        address["coordonneesGeographique"] = (
            {"coordonneeX": longitude, "coordonneeY": latitude}
            if random.random() < 0.5
            else {
                "coordonneeX": "653000.1",
                "coordonneeY": "6858000.2",
                "directionLatitude": latitude,
                "directionLongitude": longitude,
            }
        )
    return address
