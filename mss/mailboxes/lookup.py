"""Look colleagues and structures up in the practitioner directory."""

from dataclasses import dataclass

from directory import index_sql
from directory.errors import SearchNotReadyError
from directory.identifiers import NationalPersonId
from directory.search import OrganizationSheet, SearchHit, SearchPage, SearchQuery
from mss.errors import StoreUnavailableError
from mss.store.engine import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryLookup:
    """The directory's desk."""

    database: Database
    index: index_sql.SearchDesk

    async def search(self, query: SearchQuery) -> SearchPage:
        """Search people and structures; the red list is invisible.

        Raises:
            CursorSyntaxError: The cursor is not one of ours.
            CursorExpiredError: The directory has changed since the page before.
            StoreUnavailableError: The search index of this machine is still being made.
        """
        try:
            return await self.database.survey(lambda c: self.index.search(c, query))
        except SearchNotReadyError as error:
            raise StoreUnavailableError(reason=error.code) from None

    async def find_practitioner(self, rpps: str) -> SearchHit | None:
        """Find one professional by number."""
        person = NationalPersonId(f"8{rpps}")
        return await self.database.survey(lambda c: index_sql.find_line(c, person))

    async def find_organization(self, identifier: str) -> OrganizationSheet | None:
        """Find a structure by FINESS, SIRET or key, with the mailboxes that hang on it."""
        return await self.database.survey(lambda c: index_sql.find_sheet(c, identifier))
