"""Turn what a FHIR search looks for into conditions of SQL.

Each condition has two forms that mean the same. *As a set*, it is computed once and its members are
looked up: right when they are few. *As a test*, it is asked of each row that is met: right when
most rows pass. Whoever runs the search knows which; a test is never served by an index.

Texts are compared folded: accents, case, hyphens and apostrophes do not count. `:exact` compares
what the national file says, octet by octet.

Shapes
    A mailbox of the liste rouge meets no condition, unless the reader may manage it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Final, assert_never

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Table,
    and_,
    exists,
    false,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.expression import UnaryExpression

from directory.errors import IdentifierSyntaxError
from directory.fhir import vocabulary
from directory.fhir.criteria import (
    Chained,
    Condition,
    Criterion,
    Interval,
    Match,
    Missing,
    Near,
    NearMatch,
    ReferenceMatch,
    Reverse,
    TextMatch,
    TextMode,
    TimeMatch,
    Token,
    TokenMatch,
)
from directory.fhir.parameters import INCLUDES
from directory.folding import order_key
from directory.identifiers import NationalPersonId
from directory.index_sql import tables
from directory.index_sql.keys import practitioner_number

TABLES: Final[Mapping[str, Table]] = {
    "Organization": tables.organization,
    "Practitioner": tables.practitioner,
    "PractitionerRole": tables.role,
}
LINKS: Final[Mapping[tuple[str, str], tuple[str, str]]] = {
    ("PractitionerRole", "practitioner"): ("practitioner_id", "id"),
    ("PractitionerRole", "organization"): ("organization_key", "key"),
    ("Organization", "partof"): ("parent_key", "key"),
}
"""By type and reference: the column that refers, and the column that is referred to."""

KILOMETRES_PER_DEGREE: Final = 111.195
MAX_ID: Final = 2**63 - 1
_LAST: Final = "\U0010ffff"
_ESCAPE: Final = "\\"

Test = ColumnElement[bool]
Source = FromClause  # a table of ours, or its alias


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Whose mailboxes of the liste rouge somebody sees: their own.

    Attributes:
        managed: Keys of the addresses that the reader manages.
        domains: Domains that the reader publishes for.
    """

    managed: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()


STRANGER: Final = Reader()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a reader sees.

    Attributes:
        number: The generation.
        is_sqlite: Whether a test must be kept from being taken for an index look-up.
        ordered_by: Columns whose index gives the order, and so may serve a test as well.
    """

    number: int
    reader: Reader = STRANGER
    is_sqlite: bool = True
    ordered_by: frozenset[str] = field(default_factory=frozenset)

    def rows(self, table: Source) -> Test:
        """Return the condition that a version is one that the reader sees."""
        return tables.in_force(table, self.number)

    def mailboxes(self, mailbox: Source) -> Test:
        """Return the condition that a mailbox is one that the reader sees."""
        shown: Test = mailbox.c.liste_rouge.is_(False)
        if self.reader.managed:
            shown = or_(shown, mailbox.c.address_key.in_(sorted(self.reader.managed)))
        if self.reader.domains:
            shown = or_(shown, mailbox.c.domain.in_(sorted(self.reader.domains)))
        return and_(tables.in_force(mailbox, self.number), shown)


def as_set(condition: Condition, table: Source, scope: Scope) -> Test:
    """Return a condition on rows of *table* that is computed as a set."""
    match condition:
        case Criterion():
            if condition.parameter.startswith("mailbox-"):
                return _mailbox(condition, table, scope, correlated=False)
            own = TABLES[condition.resource].alias()
            key = _row_key(condition.resource)
            # Any version of the row may be in the set; the one in force is then tested.
            members = select(own.c[key]).where(_direct(condition, own, scope))
            return and_(table.c[key].in_(members), _direct(condition, table, scope, as_test=True))
        case Chained():
            local, remote = LINKS[condition.resource, condition.reference]
            target = TABLES[INCLUDES[condition.resource][condition.reference]].alias()
            inner = as_set(condition.inner, target, scope)
            return table.c[local].in_(select(target.c[remote]).where(scope.rows(target), inner))
        case Reverse():
            local, remote = LINKS[condition.source, condition.reference]
            source = TABLES[condition.source].alias()
            inner = as_set(condition.inner, source, scope)
            return table.c[remote].in_(select(source.c[local]).where(scope.rows(source), inner))
        case _:
            assert_never(condition)


def as_test(condition: Condition, table: Source, scope: Scope) -> Test:
    """Return a condition that is asked of each row of *table*."""
    match condition:
        case Criterion():
            if condition.parameter.startswith("mailbox-"):
                return _mailbox(condition, table, scope, correlated=True)
            return _direct(condition, table, scope, as_test=True)
        case Chained():
            local, remote = LINKS[condition.resource, condition.reference]
            target = TABLES[INCLUDES[condition.resource][condition.reference]].alias()
            inner = as_test(condition.inner, target, _unordered(scope))
            return exists().where(target.c[remote] == table.c[local], scope.rows(target), inner)
        case Reverse():
            local, remote = LINKS[condition.source, condition.reference]
            source = TABLES[condition.source].alias()
            inner = as_test(condition.inner, source, _unordered(scope))
            return exists().where(source.c[local] == table.c[remote], scope.rows(source), inner)
        case _:
            assert_never(condition)


def innermost(condition: Condition, scope: Scope) -> Select[Any]:
    """Select what the end of a chain selects: how many that are, tells which form is right."""
    while not isinstance(condition, Criterion):
        condition = condition.inner
    if condition.parameter.startswith("mailbox-"):
        mailbox = tables.mailbox.alias()
        if _is_negative(condition.match):
            return select(literal(1)).select_from(mailbox)  # nearly all
        return select(literal(1)).where(
            _mailbox_match(condition, mailbox), carried(condition.resource, mailbox)
        )
    own = aliased(condition.resource)
    # Versions that are over are counted as well: an index alone tells.
    return select(literal(1)).select_from(own).where(_direct(condition, own, scope))


def squared_distance(table: Source, near: Near) -> ColumnElement[float]:
    """Return the square of the distance in degrees of latitude; the earth is flat near a point."""
    from_north = table.c.latitude - near.latitude
    from_east = (table.c.longitude - near.longitude) * near.narrowing
    return from_north * from_north + from_east * from_east


def _unordered(scope: Scope) -> Scope:
    return Scope(number=scope.number, reader=scope.reader, is_sqlite=False)


def _row_key(resource: str) -> str:
    return "key" if resource == "Organization" else "id"


# Conditions on the row itself


def _direct(criterion: Criterion, table: Source, scope: Scope, *, as_test: bool = False) -> Test:
    columns = _Columns(table, scope, as_test=as_test)
    if criterion.parameter == "_lastUpdated":
        return _changed(criterion, columns)
    return _DIRECT[criterion.resource, criterion.parameter](criterion, columns)


class _Columns:
    """Columns of a table; for a test, ones that no index is used for."""

    def __init__(self, table: Source, scope: Scope, *, as_test: bool) -> None:
        self.table = table
        self.scope = scope
        self.as_test = as_test
        self.is_plain = not as_test or not scope.is_sqlite

    def __getitem__(self, name: str) -> ColumnElement[Any]:
        column: ColumnElement[Any] = self.table.c[name]
        if self.is_plain or name in self.scope.ordered_by:
            return column
        return UnaryExpression(column, operator=operators.custom_op("+"), type_=column.type)


def _changed(criterion: Criterion, columns: _Columns) -> Test:
    """A resource changed last when itself or a mailbox on it did."""
    match = criterion.match
    if isinstance(match, Missing):
        return _constant(is_true=not match.is_missing)
    assert isinstance(match, TimeMatch)
    return or_(*(_changed_in(criterion.resource, columns, one) for one in match.intervals))


def _changed_in(resource: str, columns: _Columns, interval: Interval) -> Test:
    bounds: list[Test] = []
    if interval.start is not None:
        bounds.append(_changed_since(resource, columns, interval.start))
    if interval.end is not None:
        bounds.append(not_(_changed_since(resource, columns, interval.end)))
    inside = and_(*bounds)
    return not_(inside) if interval.outside else inside


def _changed_since(resource: str, columns: _Columns, at: datetime) -> Test:
    mailbox = tables.mailbox.alias()
    column, own = CARRIER[resource]
    changed = and_(
        mailbox.c.changed_at >= at, columns.scope.mailboxes(mailbox), carried(resource, mailbox)
    )
    carriers = select(mailbox.c[column]).where(changed)
    return or_(columns["changed_at"] >= at, columns.table.c[own].in_(carriers))


def within(column: ColumnElement[Any], interval: Interval) -> Test:
    """Return the condition that an instant is in an interval, or outside of it."""
    bounds: list[Test] = []
    if interval.start is not None:
        bounds.append(column >= interval.start)
    if interval.end is not None:
        bounds.append(column < interval.end)
    inside = and_(*bounds)
    return not_(inside) if interval.outside else inside


def _text(folded: str, raw: str) -> "Compile":
    return _texts((folded, raw))


def _texts(*pairs: tuple[str, str]) -> "Compile":
    """Compile a text parameter that looks at some columns, each folded and raw."""

    def compile_text(criterion: Criterion, columns: _Columns) -> Test:
        match = criterion.match
        if isinstance(match, Missing):
            absent = and_(*(columns[raw] == "" for _, raw in pairs))
            return absent if match.is_missing else not_(absent)
        assert isinstance(match, TextMatch)
        return or_(
            *(
                _text_test(columns[folded], columns[raw], text, match.mode)
                for folded, raw in pairs
                for text in match.texts
            )
        )

    return compile_text


def _text_test(
    folded: ColumnElement[Any], raw: ColumnElement[Any], text: str, mode: TextMode
) -> Test:
    key = order_key(text)
    if mode is TextMode.EXACT:
        return and_(raw == text, folded == key)
    if not key:
        return false()  # nothing but marks: it is in no word
    if mode is TextMode.CONTAINS:
        return folded.contains(key, autoescape=True)
    return and_(folded >= key, folded < key + _LAST)


def _raw_text(*names: str) -> "Compile":
    """Compile a text parameter over columns that have no folded twin."""

    def compile_raw(criterion: Criterion, columns: _Columns) -> Test:
        match = criterion.match
        if isinstance(match, Missing):
            absent = and_(*(columns[name] == "" for name in names))
            return absent if match.is_missing else not_(absent)
        assert isinstance(match, TextMatch)
        return or_(
            *(_raw_test(columns[name], text, match.mode) for name in names for text in match.texts)
        )

    return compile_raw


def _raw_test(column: ColumnElement[Any], text: str, mode: TextMode) -> Test:
    if mode is TextMode.EXACT:
        return column == text
    # Streets are written in capitals or in small letters, with or without accents: each letter that
    # could carry one stands for any letter.
    pattern = "".join(_pattern(character) for character in " ".join(text.split()))
    start = "%" if mode is TextMode.CONTAINS else ""
    return column.ilike(f"{start}{pattern}%", escape=_ESCAPE)


def _pattern(character: str) -> str:
    if character in "%_\\":
        return _ESCAPE + character
    if not character.isascii() or character in "-' aceiouyACEIOUY":
        return "_"
    return character


def _prefix(name: str) -> "Compile":
    """Compile a text parameter over a column of digits."""

    def compile_prefix(criterion: Criterion, columns: _Columns) -> Test:
        match = criterion.match
        if isinstance(match, Missing):
            return columns[name] == "" if match.is_missing else columns[name] != ""
        assert isinstance(match, TextMatch)
        return or_(*(_prefix_test(columns[name], text, match.mode) for text in match.texts))

    return compile_prefix


def _prefix_test(column: ColumnElement[Any], text: str, mode: TextMode) -> Test:
    plain = "".join(text.split())
    if mode is TextMode.EXACT:
        return column == text
    if mode is TextMode.CONTAINS:
        return column.contains(plain, autoescape=True)
    return and_(column >= plain, column < plain + _LAST)


def _tokens(of_one: Callable[[Token, _Columns], Test]) -> "Compile":
    """Compile a token parameter from what one token means."""

    def compile_tokens(criterion: Criterion, columns: _Columns) -> Test:
        match = criterion.match
        if isinstance(match, Missing):
            present = _PRESENT.get((criterion.resource, criterion.parameter), "")
            has = columns[present] != "" if present else true()
            return not_(has) if match.is_missing else has
        assert isinstance(match, TokenMatch)
        found = or_(*(of_one(token, columns) for token in match.tokens))
        return not_(found) if match.negated else found

    return compile_tokens


def _reference(name: str) -> "Compile":
    def compile_reference(criterion: Criterion, columns: _Columns) -> Test:
        match = criterion.match
        if isinstance(match, Missing):
            if name == "practitioner_id":
                return _constant(is_true=not match.is_missing)
            return columns[name] == "" if match.is_missing else columns[name] != ""
        assert isinstance(match, ReferenceMatch)
        numbers = [number for number in map(parse_id, match.ids) if number is not None]
        if name == "practitioner_id":
            return columns[name].in_(numbers)
        place = tables.organization.alias()
        return columns[name].in_(select(place.c.key).where(place.c.id.in_(numbers)))

    return compile_reference


def parse_id(text: str) -> int | None:
    """Read a logical identifier of ours; `None` for what cannot be one."""
    is_plain = text.isascii() and text.isdecimal() and not text.startswith("0")
    number = int(text) if is_plain and len(text) < 20 else None
    return number if number is not None and number <= MAX_ID else None


def _constant(*, is_true: bool) -> Test:
    return true() if is_true else false()


def _id_token(token: Token, columns: _Columns) -> Test:
    number = parse_id(token.code)
    return false() if number is None or token.system else columns["id"] == number


def _always_active(token: Token, columns: _Columns) -> Test:  # noqa: ARG001 -- one shape for all
    return _constant(is_true=token.code == "true")


def _organization_active(token: Token, columns: _Columns) -> Test:
    return columns["is_active"].is_(token.code == "true")


def national_ids(token: Token) -> list[NationalPersonId]:
    """List the national identifiers that a token may mean."""
    system = None if token.system is None else vocabulary.identifier_system(token.system)
    code = token.code.strip()
    prefixes = {
        None: ("", "8", "0"),
        vocabulary.PERSON: ("", "8", "0"),
        vocabulary.RPPS: ("8", ""),
        vocabulary.ADELI: ("0",),
    }.get(system, ())
    found = []
    for prefix in prefixes:
        try:
            one = NationalPersonId(prefix + code)
        except IdentifierSyntaxError:
            continue
        if system != vocabulary.RPPS or one.rpps is not None:
            found.append(one)
    return found


def _person_identifier(token: Token, columns: _Columns) -> Test:
    if not token.code:
        system = vocabulary.identifier_system(token.system or "")
        begin = {vocabulary.PERSON: "", vocabulary.RPPS: "8", vocabulary.ADELI: "0"}.get(system)
        return false() if begin is None else columns["national_id"].startswith(begin)
    found = national_ids(token)
    if not found:
        return false()
    numbers = [practitioner_number(one) for one in found]
    return and_(columns["id"].in_(numbers), columns["national_id"].in_([str(one) for one in found]))


def _role_identifier(token: Token, columns: _Columns) -> Test:
    system = None if token.system is None else vocabulary.identifier_system(token.system)
    if system not in {None, vocabulary.RPPS}:
        return false()
    if not token.code:
        return true()
    number = parse_id(token.code)
    return false() if number is None else columns["id"] == number


def _place_identifier(token: Token, columns: _Columns) -> Test:
    system = None if token.system is None else vocabulary.identifier_system(token.system)
    if not token.code:
        names = _PLACE_COLUMNS.get(system or "", ())
        return or_(*(columns[name] != "" for name in names)) if names else false()
    tests = [
        _equal(columns, name, value) for name, value in _place_values(system, token.code.strip())
    ]
    return or_(*tests) if tests else false()


def _equal(columns: _Columns, name: str, value: str) -> Test:
    """Compare a number that few structures have; the index is of those that have one."""
    is_there = columns[name] != literal_column("''")
    return and_(is_there, columns[name] == value)


def _place_values(system: str | None, code: str) -> list[tuple[str, str]]:
    """List the columns, each with a value, by which a structure's identifier may be found."""
    found: list[tuple[str, str]] = []
    if system in {None, vocabulary.FINESS} and len(code) == 9:
        found.append(("finess", code))
    if system in {None, vocabulary.STRUCTURE, vocabulary.FINESS}:
        # The draft guide writes the national identifier under the FINESS system as well.
        found.append(("key", code))
        register = {"1": "finess", "2": "siren", "3": "siret"}.get(code[:1])
        if register is not None and len(code) > 9:
            found.append((register, code[1:]))
    if system in {None, vocabulary.SIRENE}:
        found += [("siret", code)] if len(code) == 14 else []
        found += [("siren", code)] if len(code) == 9 else []
    if system in {None, vocabulary.RPPS_RANK}:
        # `F` and the FINESS, `C` and the SIRET; of other structures it is the key.
        register = {"F": "finess", "C": "siret"}.get(code[:1])
        found.append((register, code[1:]) if register else ("key", code))
    return found


_PLACE_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    vocabulary.FINESS: ("finess",),
    vocabulary.STRUCTURE: ("finess", "siret"),
    vocabulary.SIRENE: ("siret", "siren"),
    vocabulary.RPPS_RANK: ("technical_id",),
}


def _person_identifier_type(token: Token, columns: _Columns) -> Test:
    begin = {"IDNPS": "", "RPPS": "8", "ADELI": "0"}.get(token.code)
    return false() if begin is None else columns["national_id"].startswith(begin)


def _role_identifier_type(token: Token, columns: _Columns) -> Test:  # noqa: ARG001 -- it has none
    return false()


def _place_identifier_type(token: Token, columns: _Columns) -> Test:
    match token.code:
        case "IDNST":
            return or_(columns["finess"] != "", columns["siret"] != "")
        case "FINEJ":
            return and_(columns["finess"] != "", columns["kind"] == "EJ")
        case "FINEG":
            return and_(columns["finess"] != "", columns["kind"] != "EJ")
        case "SIREN" | "SIRET":
            return columns[token.code.lower()] != ""
        case "RPPSRG" | "INTRN":
            return columns["technical_id"] != ""
        case _:
            return false()


def _qualification(token: Token, columns: _Columns) -> Test:
    """Find a code by its shape: professions are numbers, categories letters, skills longer."""
    code, system = token.code, token.system
    if code.isdecimal() and system in {None, vocabulary.profession_system(code)}:
        role = tables.role.alias()
        own = columns.table.c.id
        held = and_(role.c.profession == code, columns.scope.rows(role))
        if columns.as_test:
            has_role = exists().where(role.c.practitioner_id == own, held)
            return or_(columns["profession"] == code, has_role)
        person = tables.practitioner.alias()  # some have no situation, and a profession
        known = select(person.c.id).where(person.c.profession == code)
        return own.in_(select(role.c.practitioner_id).where(held).union_all(known))
    if len(code) == 1 and system in {None, vocabulary.CATEGORY}:
        return columns["category"] == code
    if len(code) > 1 and (system is None or system in vocabulary.SKILL_SYSTEMS.values()):
        return _skilled(code, system, columns)
    return false()


def _skilled(code: str, system: str | None, columns: _Columns) -> Test:
    skill = tables.skill.alias()
    conditions = [skill.c.code == code, columns.scope.rows(skill)]
    if system is not None:
        kinds = [
            kind for kind in vocabulary.SKILL_SYSTEMS if vocabulary.skill_system(kind) == system
        ]
        conditions.append(skill.c.kind.in_(kinds))
    own = columns.table.c.id
    if columns.as_test:
        return exists().where(skill.c.practitioner_id == own, *conditions)
    return own.in_(select(skill.c.practitioner_id).where(*conditions))


def _role_code(token: Token, columns: _Columns) -> Test:
    by_system = {
        vocabulary.ACTIVITY: "activity",
        vocabulary.MODE: "mode",
        vocabulary.FUNCTION: "function",
    }
    names = [name for system, name in by_system.items() if token.system in {None, system}]
    if not token.code:
        return or_(*(columns[name] != "" for name in names)) if names else false()
    return or_(*(columns[name] == token.code for name in names)) if names else false()


def _place_type(token: Token, columns: _Columns) -> Test:
    code, system = token.code, token.system
    found: list[Test] = []
    if system in {None, vocabulary.ORGANIZATION_TYPE}:
        kind = {"GEOGRAPHICAL-ENTITY": "EG", "LEGAL-ENTITY": "EJ"}.get(code)
        found += [columns["kind"] == kind] if kind else []
    for name, own in (
        ("sector", vocabulary.SECTOR),
        ("category", vocabulary.FINESS_CATEGORY),
        ("legal_status", vocabulary.LEGAL_STATUS),
    ):
        if system in {None, own}:
            found.append(columns[name] == code if code else columns[name] != "")
    return or_(*found) if found else false()


def _insee(token: Token, columns: _Columns) -> Test:
    if token.system not in {None, "", vocabulary.COMMUNE}:
        return false()
    return columns["commune"] == token.code if token.code else columns["commune"] != ""


def _near(criterion: Criterion, columns: _Columns) -> Test:
    match = criterion.match
    assert isinstance(match, NearMatch)
    return or_(*(_around(near, columns) for near in match.points))


def _around(near: Near, columns: _Columns) -> Test:
    degrees = near.kilometres / KILOMETRES_PER_DEGREE
    wide = degrees / near.narrowing
    return and_(
        columns["latitude"].between(near.latitude - degrees, near.latitude + degrees),
        columns["longitude"].between(near.longitude - wide, near.longitude + wide),
        squared_distance(columns.table, near) <= degrees * degrees,
    )


Compile = Callable[[Criterion, _Columns], Test]
_PRESENT: Final[Mapping[tuple[str, str], str]] = {
    ("Organization", "address-insee"): "commune",
    ("Organization", "type"): "sector",
    ("Practitioner", "qualification-code"): "profession",
    ("PractitionerRole", "role"): "activity",
}
_DIRECT: Final[Mapping[tuple[str, str], Compile]] = {
    ("Organization", "_id"): _tokens(_id_token),
    ("Organization", "active"): _tokens(_organization_active),
    ("Organization", "identifier"): _tokens(_place_identifier),
    ("Organization", "identifier-type"): _tokens(_place_identifier_type),
    ("Organization", "name"): _texts(("name_key", "name"), ("trade_name_key", "trade_name")),
    ("Organization", "address"): lambda criterion, columns: or_(
        _text("city_key", "city")(criterion, columns),
        _prefix("postcode")(criterion, columns),
        _raw_text("street", "complement")(criterion, columns),
    ),
    ("Organization", "address-city"): _text("city_key", "city"),
    ("Organization", "address-line"): _raw_text("street", "complement"),
    ("Organization", "address-postalcode"): _prefix("postcode"),
    ("Organization", "address-insee"): _tokens(_insee),
    ("Organization", "partof"): _reference("parent_key"),
    ("Organization", "type"): _tokens(_place_type),
    ("Organization", "near"): _near,
    ("Practitioner", "_id"): _tokens(_id_token),
    ("Practitioner", "active"): _tokens(_always_active),
    ("Practitioner", "identifier"): _tokens(_person_identifier),
    ("Practitioner", "identifier-type"): _tokens(_person_identifier_type),
    ("Practitioner", "family"): _text("family_key", "family"),
    ("Practitioner", "given"): _text("given_key", "given"),
    ("Practitioner", "name"): _texts(("family_key", "family"), ("given_key", "given")),
    ("Practitioner", "qualification-code"): _tokens(_qualification),
    ("PractitionerRole", "_id"): _tokens(_id_token),
    ("PractitionerRole", "active"): _tokens(_always_active),
    ("PractitionerRole", "identifier"): _tokens(_role_identifier),
    ("PractitionerRole", "identifier-type"): _tokens(_role_identifier_type),
    ("PractitionerRole", "organization"): _reference("organization_key"),
    ("PractitionerRole", "practitioner"): _reference("practitioner_id"),
    ("PractitionerRole", "role"): _tokens(_role_code),
}


# Conditions on mailboxes


def _mailbox(criterion: Criterion, table: Source, scope: Scope, *, correlated: bool) -> Test:
    mailbox = tables.mailbox.alias()
    match = criterion.match
    column, own = CARRIER[criterion.resource]
    is_negative = _is_negative(match)
    conditions = (
        scope.mailboxes(mailbox),
        carried(criterion.resource, mailbox),
        _mailbox_match(criterion, mailbox),
    )
    if correlated or is_negative:
        found: Test = exists().where(mailbox.c[column] == table.c[own], *conditions)
        if criterion.resource == "PractitionerRole":
            # The index is that of the person, who holds few.
            found = exists().where(
                mailbox.c.practitioner_id == table.c.practitioner_id,
                mailbox.c.role_id == table.c.id,
                *conditions,
            )
        return not_(found) if is_negative else found
    return table.c[own].in_(select(mailbox.c[column]).where(*conditions))


def _is_negative(match: Match) -> bool:
    if isinstance(match, TokenMatch):
        return match.negated
    return isinstance(match, Missing) and match.is_missing


CARRIER: Final[Mapping[str, tuple[str, str]]] = {
    "Organization": ("organization_key", "key"),
    "Practitioner": ("practitioner_id", "id"),
    "PractitionerRole": ("role_id", "id"),
}
"""By type of carrier: the column of the mailbox, and the carrier's own."""


def carried(resource: str, mailbox: Source) -> Test:
    """Return the condition that a mailbox hangs on a resource of this type."""
    match resource:
        case "PractitionerRole":
            return mailbox.c.role_id.is_not(None)
        case "Practitioner":
            return and_(mailbox.c.role_id.is_(None), mailbox.c.practitioner_id.is_not(None))
        case _:
            return and_(mailbox.c.role_id.is_(None), mailbox.c.practitioner_id.is_(None))


def _mailbox_match(criterion: Criterion, mailbox: Source) -> Test:
    match = criterion.match
    if isinstance(match, Missing):
        return true()
    if isinstance(match, TextMatch):
        return or_(*(_address(mailbox, text, match.mode) for text in match.texts))
    assert isinstance(match, TokenMatch)
    systems = {None, "", vocabulary.MAILBOX_KIND, vocabulary.MESSAGING}
    codes = sorted({token.code.upper() for token in match.tokens if token.system in systems})
    return mailbox.c.kind.in_(codes)


def _address(mailbox: Source, text: str, mode: TextMode) -> Test:
    key = text.strip().casefold()
    match mode:
        case TextMode.EXACT:
            return mailbox.c.address_key == key
        case TextMode.CONTAINS:
            return mailbox.c.address_key.contains(key, autoescape=True)
        case TextMode.STARTS:
            return and_(mailbox.c.address_key >= key, mailbox.c.address_key < key + _LAST)
        case _:
            assert_never(mode)


@cache
def aliased(resource: str, place: int = 0) -> Source:
    """Return the alias of the table of a type at a place of a statement.

    Making an alias costs as much as a look at the table. Conditions within others have their own.
    """
    del place
    return TABLES[resource].alias()
