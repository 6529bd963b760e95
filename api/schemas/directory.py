"""Directory search on the wire."""

from typing import Annotated, Final

from pydantic import Field

from api.paging import Cursor
from api.schemas.wire import Filter, View
from directory.search import SortBy

SearchText = Annotated[str, Field(max_length=200)]
NEAR: Final = (
    r"^(|[0-9AB]{5}|-?(90|[1-8]?[0-9])(\.[0-9]{1,9})?,"
    r"-?(180|1[0-7][0-9]|[1-9]?[0-9])(\.[0-9]{1,9})?)$"
)
"""A postcode, or a point as latitude and longitude in degrees."""


class CodedOut(View):
    """A code of a national list, and its label."""

    code: str
    label: str


class OrganizationOut(View):
    """A structure, as a line of a result shows it."""

    name: str
    trade_name: str
    finess: str | None
    siret: str | None
    street: str
    postcode: str
    city: str
    department: str
    phone: str
    latitude: float | None
    longitude: float | None


class RoleOut(View):
    """What a professional does, and where (situation d'exercice)."""

    profession: CodedOut | None
    mode: CodedOut | None
    organization: OrganizationOut | None


class PractitionerOut(View):
    """A professional of health."""

    rpps: str | None
    national_id: str
    family: str
    given: str
    title: str
    profession: CodedOut | None
    skills: list[CodedOut]
    roles: list[RoleOut]


class MailboxEntryOut(View):
    """A mailbox that the directory publishes."""

    address: str
    kind: str
    display_name: str
    service: str
    description: str


class DirectoryItem(View):
    """One line of a result: a person with the mailbox to prefer, or a structure's mailbox."""

    display_name: str
    match: str = Field(
        description="`identifier`, `exact`, `prefix`, `swapped`, `sound` or `approximate`: best "
        "first. The last three are not what was typed, but may be what was meant."
    )
    practitioner: PractitionerOut | None
    organization: OrganizationOut | None
    mailbox: MailboxEntryOut | None = Field(description="`null`: cannot be written to.")
    other_mailboxes: list[MailboxEntryOut]
    distance_km: float | None = Field(description="From the point that was asked for.")


class OrganizationSheetOut(View):
    """A structure, and the mailboxes by which its services are reached."""

    organization: OrganizationOut
    mailboxes: list[MailboxEntryOut]


class DirectoryPage(View):
    """One page of a result."""

    items: list[DirectoryItem]
    total: int
    total_is_exact: bool = Field(description="False: there are at least so many.")
    next: str | None


class DirectoryFilter(Filter):
    """What to look for; everything given must be met."""

    q: SearchText = Field(
        default="",
        description="One box: names in any order, town, postcode, speciality, structure, RPPS "
        "number, address.",
    )
    identifier: SearchText = Field(default="", description="RPPS number or national identifier.")
    family: SearchText = ""
    given: SearchText = ""
    job: SearchText = Field(
        default="", description="Words for a profession or a speciality: `cardiologue`, `kiné`."
    )
    city: SearchText = ""
    postcode: SearchText = Field(default="", description="Its beginning is enough.")
    department: SearchText = ""
    organization: SearchText = Field(default="", description="Name of the structure or service.")
    structure_identifier: SearchText = Field(default="", description="FINESS or SIRET.")
    street: SearchText = ""
    profession: SearchText = Field(default="", description="Code of TRE_G15.")
    speciality: SearchText = Field(default="", description="Code of TRE_R38, or a group's name.")
    mailbox_address: SearchText = Field(
        default="", description="Address of the mailbox, its beginning, or a domain."
    )
    mailbox_kind: SearchText = Field(default="", description="`PER`, `ORG`, `APP`, `CAB`.")
    with_mailbox: bool = Field(default=False, description="Only who can be written to.")
    near: Annotated[str, Field(max_length=50, pattern=NEAR)] = Field(
        default="",
        description="Only within `radius_km` of a point (`48.8566,2.3522`) or of a postcode.",
    )
    radius_km: Annotated[float, Field(gt=0, le=200)] = 20.0
    sort: SortBy = Field(default=SortBy.RANK, description="`distance` needs `near`.")
    limit: Annotated[int, Field(ge=1, le=100, description="Lines in one page.")] = 20
    cursor: Cursor = None
