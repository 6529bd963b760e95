"""Look colleagues up in the practitioner directory."""

from dataclasses import dataclass

from directory import index_sql
from directory.search import SearchHit, SearchPage, SearchQuery
from mss.store.engine import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryLookup:
    """The directory's desk."""

    database: Database

    async def search(self, query: SearchQuery) -> SearchPage:
        """Search people and structures; the red list is invisible."""
        return await self.database.survey(lambda c: index_sql.search(c, query))

    async def find_practitioner(self, rpps: str) -> SearchHit | None:
        """Find one professional by number."""
        page = await self.search(SearchQuery(text=rpps, limit=1))
        hits = [one for one in page.hits if one.practitioner and one.practitioner.rpps == rpps]
        return hits[0] if hits else None
