"""Mailboxes on the wire."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from api.schemas.wire import View


class MailboxOut(View):
    """A mailbox (boîte aux lettres) as the caller may use it."""

    address: str
    kind: str = Field(description="National code: `PER`, `ORG`, `APP`, `CAB`; others may appear.")
    display_name: str
    rpps: str | None = Field(description="The professional who holds it, when it is one person's.")
    finess: str | None = Field(description="The structure it hangs on.")
    rights: list[str] = Field(description="What the caller may do: `read`, `send`, `manage`.")
    messages: int
    unread: int
    used_octets: int
    quota_octets: int
    size_limit_octets: int = Field(description="Largest message that may be sent from here.")
    opened_at: datetime
    is_open: bool
    key_held_by: Literal["server", "client"] = Field(
        description="`client`: what lies in it can only be read by the software with its key."
    )


class MailboxList(View):
    """Every mailbox that the caller may open."""

    items: list[MailboxOut]
