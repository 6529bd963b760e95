"""Apply a FHIR PATCH to the mailboxes of one resource: all of it, or nothing.

Pure: the mailboxes before in, the mailboxes after out. Who may publish what, and which addresses
are taken, is asked of the caller.

Errors
    `PatchRefusedError`, `MailboxForeignError`, `MailboxAbsentError`, `MailboxDuplicateError`; the
    first operation that fails is named, and the operations before it count for nothing.
Sources
    Draft guide of the secure mail interface: what may change after creation, by type; an address
    and a type never do.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

from directory.address import MailAddress
from directory.fhir.contact_points import (
    ContactPointError,
    MailboxInput,
    parse_contact_point,
    parse_rank,
    parse_text,
)
from directory.fhir.errors import (
    MailboxAbsentError,
    MailboxDuplicateError,
    MailboxForeignError,
    PatchRefusedError,
)
from directory.fhir.patch_reading import Operation, Verb
from directory.fhir.records import MailboxRecord

_TEXTS: Final = {"description", "responsible", "service"}
KINDS: Final[Mapping[str, frozenset[str]]] = {
    "Organization": frozenset({"ORG", "APP"}),
    "Practitioner": frozenset({"PER", "CAB"}),
    "PractitionerRole": frozenset({"PER"}),
}
"""Which types of mailbox each type of resource carries."""

CHANGEABLE: Final[Mapping[str, frozenset[str]]] = {
    "PER": frozenset({"listeRouge", "rank"}),
    "CAB": frozenset({"listeRouge", "rank", "description"}),
    "ORG": frozenset({"listeRouge", "rank", *_TEXTS}),
    "APP": frozenset({"listeRouge", "rank", *_TEXTS}),
}
_ANY: Final = frozenset({"listeRouge", "rank", *_TEXTS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the caller of a patch may do, and what stands in its way.

    Attributes:
        may_publish: Whether the caller may publish this address.
        is_taken: Whether a mailbox elsewhere in the directory has this address.
    """

    may_publish: Callable[[MailAddress], bool]
    is_taken: Callable[[MailAddress], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchResult:
    """What a patch comes to.

    Attributes:
        mailboxes: All that the resource has afterwards, in order.
        declared: Those that are new or changed.
        withdrawn: Addresses of those that are gone.
    """

    mailboxes: tuple[MailboxRecord, ...]
    declared: tuple[MailboxRecord, ...]
    withdrawn: tuple[MailAddress, ...]


def apply_patch(
    operations: Iterable[Operation],
    *,
    carrier: str,
    mailboxes: Sequence[MailboxRecord],
    rules: Rules,
) -> PatchResult:
    """Apply the operations in their order.

    Args:
        operations: As read.
        carrier: Type of the resource.
        mailboxes: What it has, as far as the caller may see.
        rules: What the caller may do.
    """
    before = {_key(mailbox): mailbox for mailbox in mailboxes}
    work = _Work(carrier=carrier, rules=rules, mailboxes=list(mailboxes), before=before)
    for operation in operations:
        work.run(operation)
    after = {_key(mailbox): mailbox for mailbox in work.mailboxes}
    return PatchResult(
        mailboxes=tuple(work.mailboxes),
        declared=tuple(box for key, box in after.items() if before.get(key) != box),
        withdrawn=tuple(
            MailAddress.parse(before[key].address) for key in before if key not in after
        ),
    )


@dataclass(slots=True, kw_only=True)
class _Work:
    carrier: str
    rules: Rules
    mailboxes: list[MailboxRecord]
    before: Mapping[str, MailboxRecord]

    def run(self, operation: Operation) -> None:
        """Apply one operation to what the ones before have left."""
        try:
            match operation.verb:
                case Verb.INSERT:
                    self._insert(operation)
                case Verb.REPLACE:
                    self._replace(operation)
                case Verb.DELETE:
                    self._delete(operation)
                case _:
                    assert_never(operation.verb)
        except ContactPointError as error:
            raise PatchRefusedError(operation=operation.number, reason=str(error)) from None

    def _insert(self, operation: Operation) -> None:
        wanted = parse_contact_point(operation.value)
        self._check_right(operation, wanted.address)
        if wanted.kind not in KINDS[self.carrier]:
            raise ContactPointError("type")
        key = wanted.address.key
        if any(_key(mailbox) == key for mailbox in self.mailboxes):
            raise MailboxDuplicateError(operation=operation.number)
        if key not in self.before and self.rules.is_taken(wanted.address):
            raise MailboxDuplicateError(operation=operation.number)
        index = len(self.mailboxes) if operation.index is None else operation.index
        if index > len(self.mailboxes):
            raise ContactPointError("index")
        made = MailboxRecord(
            address=str(wanted.address),
            kind=str(wanted.kind),
            liste_rouge=wanted.liste_rouge or False,
            rank=wanted.rank,
            description=wanted.description or "",
            responsible=wanted.responsible or "",
            service=wanted.service or "",
        )
        _check_texts(made, before=None)
        self.mailboxes.insert(index, made)

    def _replace(self, operation: Operation) -> None:
        place = self._find(operation)
        mailbox = self.mailboxes[place]
        if operation.member:
            _check_changeable(mailbox, operation.member)
            changed = _with_member(mailbox, operation.member, operation.value)
        else:
            changed = _rewritten(mailbox, parse_contact_point(operation.value))
        self.mailboxes[place] = changed

    def _delete(self, operation: Operation) -> None:
        place = self._find(operation)
        mailbox = self.mailboxes[place]
        if not operation.member:
            del self.mailboxes[place]
            return
        _check_changeable(mailbox, operation.member)
        if operation.member == "listeRouge":
            # Leaving it out would publish the address by an oversight: it is said, or it stays.
            raise ContactPointError("listeRouge")
        self.mailboxes[place] = _with_member(mailbox, operation.member, None)

    def _find(self, operation: Operation) -> int:
        """Find the mailbox that an operation names; who may not publish it learns nothing of it."""
        address = operation.address
        assert address is not None
        self._check_right(operation, address)
        for place, mailbox in enumerate(self.mailboxes):
            if _key(mailbox) == address.key:
                return place
        raise MailboxAbsentError(operation=operation.number)

    def _check_right(self, operation: Operation, address: MailAddress) -> None:
        if not self.rules.may_publish(address):
            raise MailboxForeignError(operation=operation.number)


def _check_changeable(mailbox: MailboxRecord, member: str) -> None:
    if member not in CHANGEABLE.get(mailbox.kind, _ANY):
        raise ContactPointError(member if member in {*_ANY, "type", "value"} else "path")


def _with_member(mailbox: MailboxRecord, member: str, value: object) -> MailboxRecord:
    match member:
        case "rank":
            return replace(mailbox, rank=None if value is None else parse_rank(value))
        case "listeRouge":
            if not isinstance(value, bool):
                raise ContactPointError("listeRouge")
            return replace(mailbox, liste_rouge=value)
        case "description":
            return replace(mailbox, description=_text(value, member))
        case "responsible":
            return replace(mailbox, responsible=_text(value, member))
        case _:
            return replace(mailbox, service=_text(value, member))


def _text(value: object, name: str) -> str:
    return "" if value is None else parse_text(value, name)


def _rewritten(mailbox: MailboxRecord, wanted: MailboxInput) -> MailboxRecord:
    """Replace a mailbox as a whole; a liste rouge that is not spoken of stays as it is."""
    if wanted.address.key != _key(mailbox):
        raise ContactPointError("value")
    if wanted.kind not in {None, mailbox.kind}:
        raise ContactPointError("type")
    liste_rouge = mailbox.liste_rouge if wanted.liste_rouge is None else wanted.liste_rouge
    changed = replace(
        mailbox,
        liste_rouge=liste_rouge,
        rank=wanted.rank,
        description=wanted.description or "",
        responsible=wanted.responsible or "",
        service=wanted.service or "",
    )
    _check_texts(changed, before=mailbox)
    return changed


def _check_texts(mailbox: MailboxRecord, *, before: MailboxRecord | None) -> None:
    """Refuse a text that mailboxes of this type do not have, unless it was there already."""
    allowed = CHANGEABLE.get(mailbox.kind, _ANY)
    for name in sorted(_TEXTS - allowed):
        text = getattr(mailbox, name)
        if text and (before is None or text != getattr(before, name)):
            raise ContactPointError(name)


def _key(mailbox: MailboxRecord) -> str:
    return MailAddress.parse(mailbox.address).key
