"""The queue on the wire, for administrators."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.schemas.sending import TrackingEventOut
from api.schemas.wire import Filter, View
from mss.model.delivery import DeliveryState


class QueueFilter(Filter):
    """Which deliveries to list."""

    state: list[DeliveryState] = Field(
        default_factory=lambda: [DeliveryState.QUEUED, DeliveryState.HELD],
        max_length=len(DeliveryState),
    )
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class QueuedOut(View):
    """One delivery to another operator."""

    id: str
    message_id: str
    recipient: str
    domain: str
    state: DeliveryState
    attempts: int = Field(description="Begun so far.")
    queued_at: datetime
    next_attempt_at: datetime | None
    expires_at: datetime | None
    is_under_way: bool = Field(description="True while a worker is busy with it.")
    last_code: str | None = Field(description="What came of the last attempt.")
    last_status: str | None = Field(description="Enhanced status code (RFC 3463).")
    last_host: str | None
    last_detail: str | None


class QueueOut(View):
    """Deliveries, oldest first."""

    items: list[QueuedOut]


class DestinationOut(View):
    """A domain that cannot be reached."""

    domain: str
    failures: int = Field(description="In a row.")
    failing_since: datetime
    retry_at: datetime = Field(description="When one letter may try again.")
    code: str
    detail: str
    host: str | None


class DestinationsOut(View):
    """Domains that cannot be reached, the longest failing first."""

    items: list[DestinationOut]


class QueuedDetailsOut(QueuedOut):
    """One delivery with its timeline."""

    events: list[TrackingEventOut]
    destination: DestinationOut | None = Field(
        description="What is wrong with its destination; absent when it answers."
    )
