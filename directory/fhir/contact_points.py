"""Turn a mailbox into a FHIR ContactPoint and back.

Writing follows the profile as-mailbox-mss. Reading forgives what the national drafts do themselves:
the type as `valueCode`, as a CodeableConcept of TRE_R257 or under TRE_R256, the `emailType` left
out, `digitization` and `phone` of older editions.

Errors
    `ContactPointError`, with the name of what is wrong.
Sources
    ANS, Annuaire Santé FHIR guide 1.2.0 (as-mailbox-mss, as-ext-mailbox-mss-metadata); draft guide
    of the secure mail interface, writing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from directory.address import MailAddress
from directory.errors import AddressSyntaxError
from directory.fhir import vocabulary
from directory.fhir.records import MailboxRecord

MAX_TEXT: Final = 1000
MAX_RANK: Final = 9999
TEXTS: Final = ("description", "responsible", "service")
_MEMBERS: Final = frozenset({"id", "extension", "system", "value", "use", "rank"})
_EMAIL_EXTENSIONS: Final = frozenset({vocabulary.EMAIL_TYPE, vocabulary.MAILBOX_METADATA})


class ContactPointError(ValueError):
    """Why a value is not a mailbox; `str()` is a name like `listeRouge`, never content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxInput:
    """A mailbox as somebody wrote it; `None` for what was not said."""

    address: MailAddress
    kind: str | None = None
    liste_rouge: bool | None = None
    description: str | None = None
    responsible: str | None = None
    service: str | None = None
    rank: int | None = None


def build_contact_point(mailbox: MailboxRecord) -> dict[str, object]:
    """Write a mailbox as the profile as-mailbox-mss wants it."""
    metadata: list[object] = [
        {
            "url": "type",
            "valueCodeableConcept": {
                "coding": [{"system": vocabulary.MAILBOX_KIND, "code": mailbox.kind}]
            },
        }
    ]
    metadata += [
        {"url": name, "valueString": value}
        for name, value in (
            ("description", mailbox.description),
            ("responsible", mailbox.responsible),
            ("service", mailbox.service),
        )
        if value
    ]
    metadata.append({"url": "listeRouge", "valueBoolean": mailbox.liste_rouge})
    point: dict[str, object] = {
        "extension": [
            {
                "url": vocabulary.EMAIL_TYPE,
                "valueCoding": {"system": vocabulary.MESSAGING, "code": "MSSANTE"},
            },
            {"extension": metadata, "url": vocabulary.MAILBOX_METADATA},
        ],
        "system": "email",
        "value": mailbox.address,
    }
    if mailbox.rank is not None and mailbox.rank > 0:
        point["rank"] = mailbox.rank
    return point


def parse_contact_point(value: object) -> MailboxInput:
    """Read a ContactPoint that should be a mailbox.

    Raises:
        ContactPointError: It is none, or says what a mailbox cannot have.
    """
    point = _mapping(value, "value")
    if not point.keys() <= _MEMBERS or point.get("system", "email") != "email":
        raise ContactPointError("system" if "system" in point else "value")
    metadata: dict[str, object] = {}
    for extension in _list(point.get("extension", []), "extension"):
        url = _mapping(extension, "extension").get("url")
        if url not in _EMAIL_EXTENSIONS:
            raise ContactPointError("extension")
        if url == vocabulary.EMAIL_TYPE:
            _check_email_type(_mapping(extension, "extension"))
        else:
            metadata |= _parse_metadata(_mapping(extension, "extension"))
    kind = metadata.get("type")
    return MailboxInput(
        address=_address(point.get("value")),
        kind=None if kind is None else str(kind),
        liste_rouge=_flag(metadata.get("listeRouge")),
        rank=parse_rank(point["rank"]) if "rank" in point else None,
        **{name: _maybe_text(metadata.get(name), name) for name in TEXTS},
    )


def parse_rank(value: object) -> int:
    """Read a rank: 1 and up.

    Raises:
        ContactPointError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_RANK:
        raise ContactPointError("rank")
    return value


def parse_text(value: object, name: str) -> str:
    """Read one line of text.

    Raises:
        ContactPointError: It is something else, empty or too long.
    """
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT:
        raise ContactPointError(name)
    if not value.isprintable():
        raise ContactPointError(name)
    return value.strip()


def _parse_metadata(extension: Mapping[str, object]) -> dict[str, object]:
    found: dict[str, object] = {}
    for child in _list(extension.get("extension", []), "extension"):
        entry = _mapping(child, "extension")
        name = entry.get("url")
        if not isinstance(name, str) or name in found:
            raise ContactPointError("extension")
        found[name] = _metadata_value(name, entry)
    return found


def _metadata_value(name: str, entry: Mapping[str, object]) -> object:
    match name:
        case "type":
            return _kind(entry)
        case "description" | "responsible" | "service":
            return parse_text(entry.get("valueString"), name)
        case "listeRouge" | "digitization":
            if not isinstance(entry.get("valueBoolean"), bool):
                raise ContactPointError(name)
            return entry["valueBoolean"]
        case "phone":
            return parse_text(entry.get("valueString"), name)
        case _:
            raise ContactPointError("extension")


def _kind(entry: Mapping[str, object]) -> str:
    """Read the type, in any of the three ways that the drafts write it."""
    code = entry.get("valueCode")
    if code is None and "valueCoding" in entry:
        code = _mapping(entry["valueCoding"], "type").get("code")
    if code is None:
        concept = _mapping(entry.get("valueCodeableConcept"), "type")
        codings = [_mapping(one, "type") for one in _list(concept.get("coding"), "type")]
        known = [
            one.get("code")
            for one in codings
            if one.get("system") in {None, vocabulary.MAILBOX_KIND, vocabulary.MESSAGING}
        ]
        code = known[0] if known else None
    if not isinstance(code, str) or not code.isalnum() or len(code) > 16:
        raise ContactPointError("type")
    return code


def _check_email_type(extension: Mapping[str, object]) -> None:
    coding = _mapping(extension.get("valueCoding"), "emailType")
    if coding.get("code") != "MSSANTE":
        raise ContactPointError("emailType")


def _address(value: object) -> MailAddress:
    if not isinstance(value, str):
        raise ContactPointError("value")
    try:
        return MailAddress.parse(value)
    except AddressSyntaxError:
        raise ContactPointError("value") from None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _maybe_text(value: object, name: str) -> str | None:
    return None if value is None else parse_text(value, name)


def _mapping(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise ContactPointError(name)
    return value


def _list(value: object, name: str) -> list[object]:
    if not isinstance(value, list):
        raise ContactPointError(name)
    return value
