"""Read FINESS: legal entities and their sites, where they are, and how to reach them.

FINESS+ is one JSON document of 750 MB, read as a stream, a legal entity with its sites at a time.
The older table (`etalab_cs1100502`, one line a site, no header) is read as well; it ended in 2026.

Shapes
    Positions are WGS 84. In FINESS+ they stand in either of two pairs of members, in either order,
    beside projected ones: the pair that lies on French ground is the one.
    The types of streets come in any case and padding; they are put in capitals.
Errors
    `ExtractionSyntaxError` when the document breaks off or is none. An entity that lacks its number
    is a reject, whose "line" is its rank in the document.
Sources
    docs/directory.md; the members as observed in the files of July to September 2026.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import ijson  # type: ignore[import-untyped]  # it ships no types

from directory.errors import ExtractionSyntaxError, IdentifierSyntaxError
from directory.extraction import Tally
from directory.identifiers import FINESS, SIREN, SIRET
from directory.layout import iter_lines
from directory.model import Coded, FinessKind, Organization, Position, PostalAddress
from directory.places import city_of_line
from directory.sources import Source, open_source

_GROUND: Final = (  # south, north, west, east of the French territories
    (41.0, 51.6, -5.6, 10.0),  # metropolitan France
    (14.3, 18.6, -63.3, -60.7),  # Antilles
    (2.0, 6.0, -55.0, -51.0),  # Guyane
    (-21.6, -20.7, 55.0, 56.0),  # La Réunion
    (-13.2, -12.4, 44.8, 45.5),  # Mayotte
    (46.6, 47.3, -56.6, -56.0),  # Saint-Pierre-et-Miquelon
    (-23.0, -19.0, 163.0, 168.6),  # Nouvelle-Calédonie
    (-28.0, -7.5, -155.0, -134.0),  # Polynésie française
    (-14.6, -13.0, -178.4, -175.9),  # Wallis-et-Futuna
)
_GEOGRAPHIC: Final = "03"
_OVERSEAS: Final = ("97", "98")
_CSV_WIDTH: Final = 32
_MAX_SITES: Final = 100_000

Node = Mapping[str, Any]


def read_finess(source: Source, encoding: str, tally: Tally) -> Iterator[Organization]:
    """Read every structure, a legal entity before its sites.

    Raises:
        ExtractionSyntaxError: It is not FINESS, or breaks off.
    """
    with open_source(source) as stream:
        start = stream.read(1)
    if start == b"{":
        yield from _read_json(source, tally)
    else:
        yield from _read_table(source, encoding, tally)


def _read_json(source: Source, tally: Tally) -> Iterator[Organization]:
    with open_source(source) as stream:
        try:
            entities = ijson.items(stream, "pmej.item", use_float=True)
            for rank, entity in enumerate(entities, start=1):
                yield from _entity(entity, rank, tally)
        except (ijson.JSONError, UnicodeDecodeError, ValueError, RecursionError) as error:
            raise ExtractionSyntaxError("broken-json", source.file_name) from error


def _entity(entity: object, rank: int, tally: Tally) -> Iterator[Organization]:
    """Yield a legal entity and its sites."""
    pmej = _node(entity)
    facts = _node(pmej.get("informationsGeneralesPMEJ"))
    number = _finess(_text(facts, "numFinessPm"))
    if number is None:
        tally.reject(rank, "finess-number")
    else:
        tally.rows += 1
        siren = _siren(_text(facts, "siren"))
        yield Organization(
            key="1" + number,
            name=_text(facts, "denominationLonguePmSmsse") or _text(facts, "denominationPm"),
            trade_name="",
            finess=number,
            finess_legal=number,
            siren=siren,
            kind=FinessKind.EJ,
            is_active=_is_active(pmej, facts),
            in_finess=True,
            legal_status=_code(facts, "statutJuridique"),
            ape=_text(facts, "codeApe"),
            **_contacts(pmej),
            **_where(pmej, number),
        )
    for site in _nodes(pmej.get("ege")):
        yield from _site(site, number, rank, tally)


def _site(site: Node, legal: FINESS | None, rank: int, tally: Tally) -> Iterator[Organization]:
    facts = _node(site.get("informationsGeneralesEGE"))
    number = _finess(_text(facts, "numFinessEge"))
    if number is None:
        tally.reject(rank, "finess-number")
        return
    tally.rows += 1
    name, short = _text(facts, "nomEgeLong"), _text(facts, "nomEgeCourt")
    yield Organization(
        key="1" + number,
        name=name or short,
        trade_name=short if name and short != name else "",
        finess=number,
        finess_legal=legal,
        siret=_siret(_text(facts, "siret")),
        kind=FinessKind.EG,
        parent_key="" if legal is None else "1" + legal,
        is_active=_is_active(site, facts),
        in_finess=True,
        category=_code(site, "categorieentiteGeographiqueExercice"),
        **_contacts(site),
        **_where(site, number),
    )


def _is_active(node: Node, facts: Node) -> bool:
    return _text(node, "etatObjet").upper() != "I" and not _text(facts, "dateFermeture")


def _contacts(node: Node) -> dict[str, Any]:
    """Find the first telephone numbers, fax and e-mail of all the contacts."""
    phones: list[str] = []
    fax = email = ""
    for contact in _nodes(node.get("contact")):
        telecom = _node(contact.get("telecom")) or contact
        for name, value in telecom.items():
            text = _plain(value)
            kind = name.casefold()
            if "phone" in kind and text and text not in phones:
                phones.append(text)
            elif "copie" in kind or "fax" in kind:
                fax = fax or text
            elif "@" in text:
                email = email or text
    phones += ["", ""]
    return {"phone": phones[0], "phone2": phones[1], "fax": fax, "email": email}


def _where(node: Node, number: FINESS) -> dict[str, Any]:
    addresses = _nodes(node.get("adresse"))
    geographic = [one for one in addresses if _text(one, "usageAdresse") == _GEOGRAPHIC]
    address = (geographic or addresses or [{}])[0]
    place: Position | None = None
    for one in [address, *addresses]:
        place = place or _position(_node(one.get("coordonneesGeographique")))
    street = (
        _text(address, "numeroVoie"),
        _text(address, "indiceRepetitionVoie"),
        _text(address, "typeVoie").upper(),
        _text(address, "libelleVoie"),
    )
    complement = (_text(address, "complementVoie"), _text(address, "lieuDit"))
    commune = _text(address, "cogCommune")
    return {
        "address": PostalAddress(
            street=_join(street) or _text(address, "ligneQuatre"),
            complement=_join(complement),
            postcode=_text(address, "codePostal"),
            city=city_of_line(_text(address, "ligneAcheminement") or _text(address, "ligneSix")),
            commune=commune,
            department=_department(commune or number),
            country="France",
        ),
        "position": place,
    }


def _position(node: Node) -> Position | None:
    """Choose the pair of numbers that lies on French ground."""
    for first, second in (
        ("directionLatitude", "directionLongitude"),
        ("coordonneeY", "coordonneeX"),
    ):
        one, other = _float(node.get(first)), _float(node.get(second))
        for latitude, longitude in ((one, other), (other, one)):
            if any(
                south <= latitude <= north and west <= longitude <= east
                for south, north, west, east in _GROUND
            ):
                return Position(latitude=latitude, longitude=longitude)
    return None


def _department(number: str) -> str:
    """Return the département of a commune or FINESS number."""
    return number[:3] if number[:2] in _OVERSEAS else number[:2]


# -- the older table ---------------------------------------------------------------------------


def _read_table(source: Source, encoding: str, tally: Tally) -> Iterator[Organization]:
    """Read lines of 32 fields that begin with `structureet`; there is no header."""
    seen: set[str] = set()
    with open_source(source) as stream:
        for line, octets in enumerate(iter_lines(stream), start=1):
            fields = octets.decode(encoding, "replace").rstrip("\r").split(";")
            if fields[0] != "structureet":
                continue  # the first line, and the positions (projected, in several ways)
            site = _table_site(fields)
            if site is None:
                tally.reject(line, "finess-line")
                continue
            tally.rows += 1
            legal = site.finess_legal
            if legal is not None and legal not in seen:
                seen.add(legal)
                # The table of sites says of a legal entity only that there is one.
                yield Organization(
                    key="1" + legal,
                    name="",
                    finess=legal,
                    finess_legal=legal,
                    kind=FinessKind.EJ,
                    in_finess=True,
                )
            yield site


def _table_site(fields: Sequence[str]) -> Organization | None:
    if len(fields) < _CSV_WIDTH - 1:
        return None
    text = [field.strip() for field in fields]
    number, legal = _finess(text[1]), _finess(text[2])
    if number is None:
        return None
    department = text[13] or _department(number)
    return Organization(
        key="1" + number,
        name=text[4] or text[3],
        trade_name=text[3] if text[4] and text[3] != text[4] else "",
        finess=number,
        finess_legal=legal,
        siret=_siret(text[22]),
        kind=FinessKind.EG,
        parent_key="" if legal is None else "1" + legal,
        in_finess=True,
        category=Coded.of(text[18], text[19]),
        ape=text[23],
        phone=text[16],
        fax=text[17],
        address=PostalAddress(
            street=_join((text[7], text[8].upper(), text[9], text[10])),
            complement=_join((text[5], text[6], text[11])),
            postcode=text[15][:5] if text[15][:5].isdecimal() else "",
            city=city_of_line(text[15]),
            commune=department[:2] + text[12] if len(text[12]) == 3 else "",
            department=department,
            country="France",
        ),
    )


# -- values ------------------------------------------------------------------------------------


def _node(value: object) -> Node:
    """Return an object; some members come as a list of one."""
    if isinstance(value, list):
        value = value[0] if value else None
    return value if isinstance(value, dict) else {}


def _nodes(value: object) -> list[Node]:
    values = value if isinstance(value, list) else [value]
    return [one for one in values[:_MAX_SITES] if isinstance(one, dict)]


def _text(node: Node, name: str) -> str:
    return _plain(node.get(name))


def _plain(value: object) -> str:
    """Return one line of text of a member, whatever it is."""
    if isinstance(value, list):
        value = value[0] if value else None
    if value is None or isinstance(value, dict | bool):
        return ""
    return " ".join(str(value).split())


def _code(node: Node, name: str) -> Coded | None:
    return Coded.of(_text(node, name), "")


def _float(value: object) -> float:
    try:
        return float(_plain(value).replace(",", ".") or "nan")
    except ValueError:
        return float("nan")


def _finess(text: str) -> FINESS | None:
    try:
        return FINESS(text)
    except IdentifierSyntaxError:
        return None


def _siret(text: str) -> SIRET | None:
    try:
        return SIRET(text)
    except IdentifierSyntaxError:
        return None


def _siren(text: str) -> SIREN | None:
    try:
        return SIREN(text)
    except IdentifierSyntaxError:
        return None


def _join(parts: Sequence[str]) -> str:
    return " ".join(part for part in parts if part)
