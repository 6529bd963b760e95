"""Answer searches: of one type, of several at the root, and their further pages.

Sources
    FHIR R4, 3.1.1 (search), 2.36.1.2 (searchset bundles), 3.1.1.5.1 (what a server says of itself).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote, urlencode

from starlette.datastructures import QueryParams

from api.bodies import read_octets
from api.errors import UnsupportedMediaTypeError
from api.fhir.calls import Call
from api.fhir.links import PageLink, build_link, page_address, parse_link
from api.fhir.outcomes import build_outcome
from directory.fhir.criteria import FhirSearch
from directory.fhir.errors import ParameterValueError
from directory.fhir.parameters import RESOURCES
from directory.fhir.records import Record
from directory.fhir.resources import Resource, build_resource, select_elements
from directory.fhir.search import parse_search, parse_system_search
from directory.index_sql.fhir_search import FhirPage, Position

FORM: Final = "application/x-www-form-urlencoded"
MAX_FORM_OCTETS: Final = 256 * 1024

Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A page of a search of some types, gathered.

    Attributes:
        following: Where the next page begins, if there is one.
    """

    queries: tuple[FhirSearch, ...]
    matches: tuple[Record, ...]
    included: tuple[Record, ...]
    total: int | None
    following: PageLink | None
    is_cut: bool


async def search_type(call: Call, resource: str, pairs: Pairs) -> Resource:
    """Answer the first page of a search of one type."""
    query = parse_search(resource, pairs, lenient=call.lenient)
    answer = await _gather(call, (query,), pairs=query.understood)
    return _bundle(call, answer, self_address=_address(call, resource, query))


async def search_system(call: Call, pairs: Pairs) -> Resource:
    """Answer the first page of a search of several types, which `_type` names."""
    types = _types(pairs)
    queries = tuple(parse_system_search(types, pairs, lenient=call.lenient))
    answer = await _gather(call, queries, pairs=queries[0].understood)
    own = replace(queries[0], understood=(("_type", ",".join(types)), *queries[0].understood))
    return _bundle(call, answer, self_address=_address(call, "", own))


async def search_page(call: Call, pairs: Pairs) -> Resource:
    """Answer a further page."""
    word = dict(pairs).get("id", "")
    link = parse_link(word, secret=call.desk.secret)
    queries = tuple(parse_system_search(link.types, link.pairs, lenient=True))
    if len(link.types) == 1:
        queries = (parse_search(link.types[0], link.pairs, lenient=True),)
    answer = await _gather(call, queries, pairs=link.pairs, link=link)
    form = call.request.query_params.get("_format")
    return _bundle(call, answer, self_address=page_address(call.base, word, form))


async def read_form(call: Call) -> list[tuple[str, str]]:
    """Read the parameters of a POST search, those of its address first.

    Raises:
        UnsupportedMediaTypeError: The body is no form.
    """
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    octets = await read_octets(call.request, limit_octets=MAX_FORM_OCTETS)
    if octets and kind != FORM:
        raise UnsupportedMediaTypeError(accepted=(FORM,))
    return [*call.pairs(), *parse_form(octets)]


def parse_form(octets: bytes) -> list[tuple[str, str]]:
    """Read a form, which is written like a query."""
    return QueryParams(octets.decode("utf-8", "replace")).multi_items()


def _types(pairs: Pairs) -> tuple[str, ...]:
    named = [one for name, value in pairs if name == "_type" for one in value.split(",") if one]
    unknown = set(named) - set(RESOURCES)
    if unknown:
        raise ParameterValueError(parameter="_type", reason="no such type here")
    return tuple(one for one in RESOURCES if not named or one in named)


async def _gather(
    call: Call, queries: tuple[FhirSearch, ...], *, pairs: Pairs, link: PageLink | None = None
) -> Answer:
    """Fill a page from one type after another, all in the same generation."""
    matches: list[Record] = []
    included: list[Record] = []
    wanted = queries[0].count
    is_cut = False
    following: PageLink | None = None
    generation = link.generation if link else None
    after = link.after if link else ()
    total = link.total if link else await _total(call, queries)
    for place in range(link.place if link else 0, len(queries)):
        left = wanted - len(matches)
        if left <= 0 and wanted:
            following = _link(queries, place, pairs, generation, (), total)
            break
        page = await _page(call, queries[place], left, generation, after)
        generation, after = page.generation, ()
        matches += page.matches
        included += page.included
        is_cut = is_cut or page.is_cut
        total = page.total if len(queries) == 1 and link is None else total
        if page.after is not None:
            following = _link(queries, place, pairs, generation, page.after, total)
            break
    shown = {(type(one), one.id) for one in matches}
    return Answer(
        queries=queries,
        matches=tuple(matches),
        included=tuple(one for one in included if (type(one), one.id) not in shown),
        total=total,
        following=following,
        is_cut=is_cut,
    )


async def _total(call: Call, queries: tuple[FhirSearch, ...]) -> int | None:
    """Count the matches of several types; of one type the page itself says how many."""
    if len(queries) == 1:
        return None
    totals = [
        (await call.desk.search(replace(query, count=0), principal=call.caller)).total
        for query in queries
    ]
    return None if None in totals else sum(number or 0 for number in totals)


async def _page(
    call: Call,
    query: FhirSearch,
    count: int,
    generation: int | None,
    after: tuple[object, ...],
) -> FhirPage:
    position = Position(generation=generation, after=after) if generation else None
    wanted = query if count == query.count else replace(query, count=count)
    return await call.desk.search(wanted, principal=call.caller, position=position)


def _link(
    queries: tuple[FhirSearch, ...],
    place: int,
    pairs: Pairs,
    generation: int | None,
    after: tuple[object, ...],
    total: int | None,
) -> PageLink:
    return PageLink(
        types=tuple(query.resource for query in queries),
        place=place,
        pairs=tuple(pairs),
        generation=generation or 0,
        after=after,
        total=total,
    )


def _bundle(call: Call, answer: Answer, *, self_address: str) -> Resource:
    links = [{"relation": "self", "url": self_address}]
    if answer.following is not None:
        word = build_link(answer.following, secret=call.desk.secret)
        form = call.request.query_params.get("_format")
        links.append({"relation": "next", "url": page_address(call.base, word, form)})
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset"}
    if answer.total is not None:
        bundle["total"] = answer.total
    bundle["link"] = links
    elements = answer.queries[0].elements
    entries = [
        *_entries(call, answer.matches, "match", elements),
        *_entries(call, answer.included, "include", frozenset()),
        *_outcomes(answer),
    ]
    if entries:
        bundle["entry"] = entries
    return bundle


def _entries(
    call: Call, records: Iterable[Record], mode: str, elements: frozenset[str]
) -> Iterable[Resource]:
    for record in records:
        resource = build_resource(record)
        if elements:
            resource = select_elements(resource, elements)
        yield {
            "fullUrl": f"{call.base}/{resource['resourceType']}/{record.id}",
            "resource": resource,
            "search": {"mode": mode},
        }


def _outcomes(answer: Answer) -> Iterable[Resource]:
    ignored = sorted({name for query in answer.queries for name in query.ignored})
    if ignored:
        yield _outcome(
            "not-supported",
            "Ces paramètres n'existent pas ici et ont été ignorés.",
            f"Parameters that do not exist here were ignored: {', '.join(ignored)}.",
        )
    if answer.is_cut:
        yield _outcome(
            "too-costly",
            "Trop de ressources liées : toutes ne sont pas jointes.",
            "Too many resources refer to these matches: not all of them come along.",
        )


def _outcome(issue: str, french: str, english: str) -> Resource:
    return {
        "resource": build_outcome("warning", issue, french, english),
        "search": {"mode": "outcome"},
    }


def _address(call: Call, resource: str, query: FhirSearch) -> str:
    """Write the address of a search, with what was understood of it."""
    path = f"{call.base}/{resource}" if resource else call.base
    if not query.understood:
        return path
    return f"{path}?{urlencode(query.understood, safe=':,|', quote_via=quote)}"
