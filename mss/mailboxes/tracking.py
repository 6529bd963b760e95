"""What became of a letter, for the one who sent it."""

from dataclasses import dataclass

from mss.errors import NotFoundError
from mss.model.delivery import Tracking
from mss.model.principal import AccountPrincipal, Right
from mss.store import deliveries, messages
from mss.store.engine import Connection, Database


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingDesk:
    """Answers senders."""

    database: Database

    async def get_tracking(
        self, principal: AccountPrincipal, message_id: str
    ) -> tuple[Tracking, ...]:
        """Tell the timeline of a message, recipient by recipient.

        Raises:
            NotFoundError: There is no such message, or the principal does not hold its sender.
        """

        def ask(connection: Connection) -> tuple[Tracking, ...] | None:
            row = messages.find_message(connection, message_id)
            if row is None or row.sender_key is None:
                return None
            if not (
                principal.has_right(row.sender_key, Right.SEND)
                or principal.has_right(row.sender_key, Right.READ)
            ):
                return None
            return tuple(deliveries.trackings_of(connection, message_id))

        found = await self.database.read(ask)
        if found is None:
            raise NotFoundError(what="message")
        return found
