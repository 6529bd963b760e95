"""`mss directory search`: find people and the mailboxes of structures."""

import click

from directory.model import Position
from directory.search import SearchHit, SearchPage, SearchQuery, SortBy
from mss.cli.compose import open_desk
from mss.cli.root import Command, answer, run, settings_of, tell


class NearType(click.ParamType[Position | str]):
    """A point (`48.85,2.35`) or a postcode (`69003`) to be near to."""

    name = "near"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Position | str:
        """Read what was typed."""
        text = str(value).strip()
        latitude, comma, longitude = text.partition(",")
        if not comma:
            return text
        try:
            found = Position(latitude=float(latitude), longitude=float(longitude))
        except ValueError:
            self.fail("a point is LATITUDE,LONGITUDE", param, ctx)
        if not (-90 <= found.latitude <= 90 and -180 <= found.longitude <= 180):
            self.fail("there is no such point", param, ctx)
        return found


@click.command("search", cls=Command)
@click.argument("text", default="")
@click.option("--id", "identifier", default="", help="RPPS number of the person.")
@click.option("--family", default="", help="Name.")
@click.option("--given", default="", help="First name.")
@click.option("--job", default="", help="Words for a profession or a speciality.")
@click.option("--profession", default="", help="Code of TRE_G15.")
@click.option("--speciality", default="", help="Code of TRE_R38, or the name of a group.")
@click.option("--organization", default="", help="Name of the structure or of the service.")
@click.option("--structure-id", "structure_identifier", default="", help="FINESS or SIRET.")
@click.option("--street", default="")
@click.option("--postcode", default="", help="Its beginning is enough.")
@click.option("--city", default="")
@click.option("--department", default="", help="Code of the département.")
@click.option("--address", "mailbox_address", default="", help="Of a mailbox; or a domain.")
@click.option("--kind", "mailbox_kind", default="", help="PER, ORG, APP or CAB.")
@click.option("--near", type=NearType(), help="LATITUDE,LONGITUDE, or a postcode.")
@click.option("--radius", "radius_km", type=click.FloatRange(0.1, 200), default=20.0, help="In km.")
@click.option("--limit", type=click.IntRange(1, 100), default=20)
@click.option("--with-mailbox", is_flag=True, help="Only whom one can write to.")
@click.pass_context
def search(context: click.Context, /, near: Position | str | None, **wanted: object) -> None:
    """Search people and structures: names, town, postcode, speciality, RPPS, address."""
    query = SearchQuery(
        **wanted,  # type: ignore[arg-type]  # the options are the fields, of their types
        near=near if isinstance(near, Position) else None,
        near_postcode=near if isinstance(near, str) else "",
        sort=SortBy.DISTANCE if near else SortBy.RANK,
    )

    async def work() -> SearchPage:
        async with open_desk(settings_of(context)) as desk:
            return await desk.directory.search(query)

    page = run(work())
    answer(context, [hit_facts(one) for one in page.hits], *map(_line, page.hits))
    if not page.hits:
        tell("Nobody found.")
        context.exit(1)


def hit_facts(hit: SearchHit) -> dict[str, object]:
    """Say what a line of a result shows, for people and for programs."""
    person = hit.practitioner
    place = hit.organization
    distance = {} if hit.distance_km is None else {"distance_km": round(hit.distance_km, 1)}
    return {
        "name": hit.display_name,
        "rpps": str(person.rpps) if person and person.rpps else None,
        "profession": person.profession.label if person and person.profession else None,
        "specialities": [skill.label for skill in person.skills] if person else [],
        "structure": (place.trade_name or place.name) if place else None,
        "postcode": place.address.postcode if place else None,
        "city": place.address.city if place else None,
        "mailbox": str(hit.mailbox.address) if hit.mailbox else None,
        "others": [str(one.address) for one in hit.others],
        **distance,
    }


def _line(hit: SearchHit) -> str:
    person, place = hit.practitioner, hit.organization
    skill = person.skills[0].label if person and person.skills else ""
    profession = person.profession.label if person and person.profession else ""
    structure = (place.trade_name or place.name) if place else ""
    city = place.address.city if place else ""
    address = str(hit.mailbox.address) if hit.mailbox else "-"
    distance = "" if hit.distance_km is None else f" · {hit.distance_km:.1f} km"
    what = skill or profession or structure
    return f"{hit.display_name} · {what} · {city or '-'} · {address}{distance}"
