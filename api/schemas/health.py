"""Health of the server on the wire."""

from typing import Literal

from pydantic import Field

from api.schemas.wire import View


class LiveOut(View):
    """The process answers."""

    status: Literal["live", "not-live"]


class ReadyOut(View):
    """Whether requests can be served, component by component."""

    status: Literal["ready", "not-ready"]
    components: dict[str, str]
    warnings: dict[str, str] = Field(
        default_factory=dict,
        description="Mail flows, but somebody should look: a trust list that is old, for instance.",
    )
