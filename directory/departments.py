"""Name the départements, as people type them, and say where a postcode lies.

Sources
    Code officiel géographique of INSEE, 2026; the names only, which do not change with it.
"""

from typing import Final

_METROPOLE: Final = (
    "Ain|Aisne|Allier|Alpes-de-Haute-Provence|Hautes-Alpes|Alpes-Maritimes|Ardèche|Ardennes|Ariège|"
    "Aube|Aude|Aveyron|Bouches-du-Rhône|Calvados|Cantal|Charente|Charente-Maritime|Cher|Corrèze|"
    "Corse|Côte-d'Or|Côtes-d'Armor|Creuse|Dordogne|Doubs|Drôme|Eure|Eure-et-Loir|Finistère|Gard|"
    "Haute-Garonne|Gers|Gironde|Hérault|Ille-et-Vilaine|Indre|Indre-et-Loire|Isère|Jura|Landes|"
    "Loir-et-Cher|Loire|Haute-Loire|Loire-Atlantique|Loiret|Lot|Lot-et-Garonne|Lozère|"
    "Maine-et-Loire|Manche|Marne|Haute-Marne|Mayenne|Meurthe-et-Moselle|Meuse|Morbihan|Moselle|"
    "Nièvre|Nord|Oise|Orne|Pas-de-Calais|Puy-de-Dôme|Pyrénées-Atlantiques|Hautes-Pyrénées|"
    "Pyrénées-Orientales|Bas-Rhin|Haut-Rhin|Rhône|Haute-Saône|Saône-et-Loire|Sarthe|Savoie|"
    "Haute-Savoie|Paris|Seine-Maritime|Seine-et-Marne|Yvelines|Deux-Sèvres|Somme|Tarn|"
    "Tarn-et-Garonne|Var|Vaucluse|Vendée|Vienne|Haute-Vienne|Vosges|Yonne|Territoire de Belfort|"
    "Essonne|Hauts-de-Seine|Seine-Saint-Denis|Val-de-Marne|Val-d'Oise"
)

DEPARTMENTS: Final[dict[str, str]] = {
    **{f"{number:02d}": name for number, name in enumerate(_METROPOLE.split("|"), start=1)},
    "2A": "Corse-du-Sud",
    "2B": "Haute-Corse",
    "971": "Guadeloupe",
    "972": "Martinique",
    "973": "Guyane",
    "974": "La Réunion",
    "975": "Saint-Pierre-et-Miquelon",
    "976": "Mayotte",
    "977": "Saint-Barthélemy",
    "978": "Saint-Martin",
    "987": "Polynésie française",
    "988": "Nouvelle-Calédonie",
}
"""Name by code; `20` is what Corsica had before it was two, and still has in postcodes."""

_CORSICA: Final = "20"
_OVERSEAS: Final = ("97", "98")
_ARRONDISSEMENTS: Final = {"75": 20, "69": 9, "13": 16}


def department_of(postcode: str) -> str:
    """Return the code of the département that a postcode lies in, or an empty text."""
    if len(postcode) != 5 or not postcode.isascii() or not postcode.isdigit():
        return ""
    begun = postcode[:2]
    if begun == _CORSICA:
        return "2A" if postcode[:3] in {"200", "201"} else "2B"
    return postcode[:3] if begun in _OVERSEAS else begun


def arrondissement_of(postcode: str) -> int | None:
    """Return the arrondissement of Paris, Lyon or Marseille that a postcode stands for."""
    begun, end = postcode[:2], postcode[2:]
    if begun not in _ARRONDISSEMENTS or not (end.isascii() and end.isdigit()) or len(end) != 3:
        return None
    if postcode == "75116":
        return 16
    number = int(end)
    return number if 1 <= number <= _ARRONDISSEMENTS[begun] else None
