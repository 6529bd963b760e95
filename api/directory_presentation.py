"""Turn what the directory knows into wire models; nothing on the liste rouge arrives here."""

from api.schemas import directory as shapes
from directory.model import Coded, MailboxEntry, Organization, PracticeRole, Practitioner, Skill
from directory.search import OrganizationSheet, SearchHit, SearchPage


def page_out(page: SearchPage) -> shapes.DirectoryPage:
    """Show one page of a result."""
    return shapes.DirectoryPage(
        items=[item_out(hit) for hit in page.hits],
        total=page.total,
        total_is_exact=page.total_is_exact,
        next=page.next_cursor,
    )


def item_out(hit: SearchHit) -> shapes.DirectoryItem:
    """Show one line of a result."""
    return shapes.DirectoryItem(
        display_name=hit.display_name,
        match=hit.match.name.lower(),
        practitioner=hit.practitioner and _practitioner(hit.practitioner),
        organization=hit.organization and _organization(hit.organization),
        mailbox=hit.mailbox and _mailbox(hit.mailbox),
        other_mailboxes=[_mailbox(one) for one in hit.others],
        distance_km=None if hit.distance_km is None else round(hit.distance_km, 1),
    )


def sheet_out(sheet: OrganizationSheet) -> shapes.OrganizationSheetOut:
    """Show one structure."""
    return shapes.OrganizationSheetOut(
        organization=_organization(sheet.organization),
        mailboxes=[_mailbox(one) for one in sheet.mailboxes],
    )


def _practitioner(person: Practitioner) -> shapes.PractitionerOut:
    return shapes.PractitionerOut(
        rpps=person.rpps,
        national_id=person.national_id,
        family=person.family,
        given=person.given,
        title=person.title,
        profession=_coded(person.profession),
        skills=[_skill(skill) for skill in person.skills],
        roles=[_role(role) for role in person.roles],
    )


def _role(role: PracticeRole) -> shapes.RoleOut:
    return shapes.RoleOut(
        profession=_coded(role.profession),
        mode=_coded(role.mode),
        organization=role.organization and _organization(role.organization),
    )


def _organization(organization: Organization) -> shapes.OrganizationOut:
    address = organization.address
    return shapes.OrganizationOut(
        name=organization.name,
        trade_name=organization.trade_name,
        finess=organization.finess,
        siret=organization.siret,
        street=address.street,
        postcode=address.postcode,
        city=address.city,
        department=address.department,
        phone=organization.phone,
        latitude=organization.position and organization.position.latitude,
        longitude=organization.position and organization.position.longitude,
    )


def _mailbox(entry: MailboxEntry) -> shapes.MailboxEntryOut:
    return shapes.MailboxEntryOut(
        address=str(entry.address),
        kind=str(entry.kind),
        display_name=entry.display_name,
        service=entry.service,
        description=entry.description,
    )


def _coded(coded: Coded | None) -> shapes.CodedOut | None:
    return shapes.CodedOut(code=coded.code, label=coded.label) if coded else None


def _skill(skill: Skill) -> shapes.CodedOut:
    return shapes.CodedOut(code=skill.code, label=skill.label)
