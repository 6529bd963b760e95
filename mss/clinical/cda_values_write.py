"""Write what recurs all over a CDA header: identifiers, codes, times, names, places, people.

Elements are appended in the order of the schema. Empty values are left out, and characters that
XML forbids are dropped, so no text that was typed somewhere can break a document.

Errors
    None.
Sources
    HL7 v3 data types; HL7 CDA R2, POCD_MT000040, as extended for France (CDA_extended.xsd).
"""

import re
from collections.abc import Iterable
from typing import Final

from lxml import etree
from lxml.etree import _Element

from mss.clinical.cda_values_read import NOT_ASKED
from mss.clinical.narrative import CDA
from mss.clinical.people import (
    Actor,
    Address,
    Code,
    Device,
    Identifier,
    Organization,
    Period,
    PersonName,
    Telecom,
)
from mss.clinical.times import HL7Time

_ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PRACTICE_SETTINGS: Final = "practiceSettingCode"


def write_actor(made: _Element, actor: Actor, *, person: str, organization: str) -> None:
    """Write a professional, a device or the patient into a role.

    One without address or number has these marked as not asked for, as the national rules want.
    """
    write_identifiers(made, actor)
    write_code(made, "code", actor.specialty)
    write_contact(made, actor, default=NOT_ASKED)
    _write_who(made, actor, person=person, organization=organization)


def write_recipient(made: _Element, actor: Actor) -> None:
    """Write somebody whom a document was meant for."""
    write_identifiers(made, actor)
    write_contact(made, actor, default="")
    _write_who(made, actor, person="informationRecipient", organization="receivedOrganization")


def write_identifiers(made: _Element, who: Actor | Organization) -> None:
    """Write the first identifier, then the others."""
    write_identifier(made, "id", who.id)
    for other in who.other_ids:
        write_identifier(made, "id", other)


def write_contact(made: _Element, actor: Actor, *, default: str) -> None:
    """Write addresses and numbers, or why there is none."""
    addresses = [one for one in (actor.address, *actor.other_addresses) if one]
    for address in addresses:
        write_address(made, address)
    if not addresses and default:
        add(made, "addr", nullFlavor=default)
    write_telecoms(made, actor.telecoms, missing=actor.no_telecom or default)


def write_organization(parent: _Element, tag: str, organization: Organization) -> None:
    """Write a structure, and those that it belongs to."""
    made = add(parent, tag)
    write_identifiers(made, organization)
    if organization.name:
        add(made, "name", organization.name)
    write_telecoms(made, organization.telecoms, missing=organization.no_telecom)
    if organization.address:
        write_address(made, organization.address)
    if organization.practice_setting:
        code = write_code(made, "standardIndustryClassCode", organization.practice_setting)
        if code.get("codeSystemName") is None:
            code.set("codeSystemName", _PRACTICE_SETTINGS)
    if organization.part_of:
        whole = add(made, "asOrganizationPartOf")
        write_organization(whole, "wholeOrganization", organization.part_of)


def write_name(parent: _Element, name: PersonName) -> None:
    """Write a name."""
    made = add(parent, "name", nullFlavor=name.missing)
    parts = (
        ("prefix", name.prefix),
        ("given", name.given),
        ("family", name.family),
        ("suffix", name.suffix),
    )
    for tag, text in parts:
        if text or (tag == "family" and not name.missing):
            add(made, tag, text)


def write_address(parent: _Element, address: Address) -> None:
    """Write an address, or why there is none."""
    made = add(parent, "addr", use=address.use, nullFlavor=address.missing)
    for line in address.free_lines:
        add(made, "streetAddressLine", line)
    for tag, text in (
        ("houseNumber", address.house_number),
        ("streetName", address.street),
        ("unitID", address.unit),
        ("postBox", address.post_box),
        ("postalCode", address.postal_code),
        ("city", address.city),
        ("country", address.country),
        *address.others,
    ):
        if text:
            add(made, tag, text)


def write_telecoms(parent: _Element, telecoms: Iterable[Telecom], *, missing: str = "") -> None:
    """Write numbers and electronic addresses, or why there is none."""
    numbers = list(telecoms)
    for telecom in numbers:
        add(parent, "telecom", value=telecom.value, use=telecom.use)
    if not numbers and missing:
        add(parent, "telecom", nullFlavor=missing)


def write_interval(
    parent: _Element, start: HL7Time | None, stop: HL7Time | None, *, missing: str = ""
) -> None:
    """Write `effectiveTime` as an interval, or why it is not known; without either, nothing."""
    if start or stop:
        made = add(parent, "effectiveTime")
        write_time(made, "low", start)
        write_time(made, "high", stop)
    elif missing:
        add(parent, "effectiveTime", nullFlavor=missing)


def write_participation_time(parent: _Element, actor: Actor) -> None:
    """Write when somebody took part: a point, an interval, or why it is not known."""
    if actor.at:
        write_time(parent, "time", actor.at)
    elif actor.during:
        _write_period(parent, actor.during)


def write_time(parent: _Element, tag: str, time: HL7Time | None) -> None:
    """Write a point in time."""
    if time:
        add(parent, tag, value=time.text)


def write_identifier(parent: _Element, tag: str, identifier: Identifier | None) -> None:
    """Write an identifier."""
    if identifier:
        add(
            parent,
            tag,
            root=identifier.root,
            extension=identifier.extension or "",
            assigningAuthorityName=identifier.authority,
        )


def write_code(
    parent: _Element, tag: str, code: Code | None, translations: Iterable[Code] = ()
) -> _Element:
    """Append a code; without one the parent itself comes back, unchanged."""
    if code is None:
        return parent
    made = add(
        parent,
        tag,
        nullFlavor=code.missing,
        code=code.code,
        displayName=code.display,
        codeSystem=code.system,
        codeSystemName=code.system_name,
    )
    if code.text or code.reference:
        text = add(made, "originalText", code.text or None)
        if code.reference:
            add(text, "reference", value=code.reference)
    for name, value in code.qualifiers:
        qualifier = add(made, "qualifier")
        write_code(qualifier, "name", name)
        write_code(qualifier, "value", value)
    for translation in translations:
        write_code(made, "translation", translation)
    return made


def add(parent: _Element, tag: str, text: str | None = None, **attributes: str) -> _Element:
    """Append an element; empty attributes are left out, characters that XML forbids dropped."""
    made = etree.SubElement(parent, f"{{{CDA}}}{tag}")
    for name, value in attributes.items():
        if value:
            made.set(name, _ILLEGAL.sub("", value))
    if text is not None:
        made.text = _ILLEGAL.sub("", text)
    return made


def _write_who(made: _Element, actor: Actor, *, person: str, organization: str) -> None:
    if actor.name:
        write_name(add(made, person), actor.name)
    if actor.device:
        _write_device(add(made, "assignedAuthoringDevice"), actor.device)
    if actor.organization:
        write_organization(made, organization, actor.organization)


def _write_device(made: _Element, device: Device) -> None:
    write_code(made, "code", device.code)
    add(made, "manufacturerModelName", device.model)
    add(made, "softwareName", device.software)


def _write_period(parent: _Element, period: Period) -> None:
    made = add(parent, "time", nullFlavor=period.missing)
    write_time(made, "low", period.start)
    write_time(made, "high", period.stop)
