"""Health of the server on the wire."""

from typing import Literal

from api.schemas.wire import View


class LiveOut(View):
    """The process answers."""

    status: Literal["live", "not-live"]


class ReadyOut(View):
    """Whether requests can be served, component by component."""

    status: Literal["ready", "not-ready"]
    components: dict[str, str]
