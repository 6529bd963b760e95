"""Move header fields in and out of a protected MIME entity, and leave bodies untouched.

A signature or an encryption covers one MIME entity. Going out, `protected_entity` copies the
message's fields into that entity, and `outer_message` writes the transport message around the
result. Coming in, `restored_message` puts the protected fields back on top and says where the
transport header told something else. All are pure functions on octets: a body is cut and joined,
never parsed or encoded again, so what was signed stays what was signed.

Shapes
    A finding has a code and the name of a field, never a value: values are addresses and subjects.
Errors
    `MessageSyntaxError`, when a header block cannot be read.
Sources
    RFC 9788 (header protection; 2.2 `HP-Outer`, 3.2.1 the baseline policy, 5 composing);
    RFC 8551, 3.1 (wrapping in `message/rfc822`, still read); RFC 5321, 4.4 (trace fields).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from functools import lru_cache

from mss.mime.addresses import parse_addresses
from mss.mime.errors import MessageSyntaxError
from mss.mime.headers import (
    Field,
    decode_text,
    header_end,
    join_fields,
    parse_date,
    split_fields,
    unfold,
)
from mss.mime.limits import DEFAULT_LIMITS
from mss.mime.parameters import parse_parameters

OBSCURED_SUBJECT = b" [...]"
_OBSCURED_SUBJECTS = (
    [b"[...]"],  # RFC 9788, 3.2.1
    [b"..."],  # older software
    [b"KOM-LE-Nachricht"],  # KOM-LE-A_2102
    [b"KIM-Nachricht"],
)

# What hosts on the way have written: true of the transport, never of what the author wrote.
_TRACE = frozenset(
    b"received return-path authentication-results received-spf dkim-signature "
    b"arc-seal arc-message-signature arc-authentication-results delivered-to x-original-to".split()
)
# What must not survive protection: blind copies, and marks that only a protected payload may bear.
_DROPPED = frozenset((b"bcc", b"resent-bcc", b"hp-outer"))
# What a transport header may show of an encrypted message. Everything else stays inside: a field
# that we do not know may hold anything.
_SHOWN = frozenset(
    b"from sender reply-to to cc date message-id in-reply-to references auto-submitted "
    b"disposition-notification-to subject".split()
)


# Header and body


def split_entity(octets: bytes) -> tuple[tuple[Field, ...], int]:
    """Split an entity into its header fields and the offset of its body."""
    stop, body = header_end(octets, ceiling=DEFAULT_LIMITS.header_octets)
    return split_fields(octets[:stop]), body


def join_entity(fields: Iterable[Field], body: bytes | memoryview, *, above: bytes = b"") -> bytes:
    """Put an entity together again, with its body copied once.

    Args:
        fields: Its header fields.
        body: A view where a slice would be one more copy.
        above: Further fields, written already.
    """
    return b"".join((above, join_fields(fields), b"\r\n", body))


def prepend_fields(raw: bytes, fields: Iterable[Field]) -> bytes:
    """Write *fields* on top of a message, as a host does with its trace."""
    return join_fields(fields) + raw


def without_fields(raw: bytes, names: Iterable[str], *, above: bytes = b"") -> bytes:
    """Remove every field with one of *names*, and write what is *above* on top."""
    unwanted = {name.lower().encode("ascii") for name in names}
    fields, body = split_entity(raw)
    kept = (item for item in fields if item[0].lower() not in unwanted)
    return join_entity(kept, memoryview(raw)[body:], above=above)


class _Kind(Enum):
    """What a field is to header protection."""

    TRACE = auto()
    STRUCTURAL = auto()
    DROPPED = auto()
    STATED = auto()  # what the author says


@lru_cache(maxsize=512)
def _kind(name: bytes) -> _Kind:
    """Tell what fields of a name are; each field of each letter is asked about several times."""
    name = name.lower()
    if name in _TRACE or name.startswith(b"resent-"):
        return _Kind.TRACE
    if name == b"mime-version" or name.startswith(b"content-"):
        return _Kind.STRUCTURAL
    return _Kind.DROPPED if name in _DROPPED else _Kind.STATED


def _is_trace(item: Field) -> bool:
    return _kind(item[0]) is _Kind.TRACE


def _is_structural(item: Field) -> bool:
    return _kind(item[0]) is _Kind.STRUCTURAL


def _is_stated(item: Field) -> bool:
    """True for what the author says, and header protection protects."""
    return _kind(item[0]) is _Kind.STATED


# Going out


def protected_entity(
    raw: bytes,
    *,
    cipher: bool,
    obscure_subject: bool | None = None,
    blind_copy_to: str | None = None,
) -> bytes:
    """Make the entity to sign or encrypt, the message's own header fields inside it.

    Args:
        raw: The message as its author wrote it.
        cipher: True if it will be encrypted, so that the outer header may say less.
        obscure_subject: As it will be given to `outer_message`; by default, as *cipher*.
        blind_copy_to: The address that this copy is for, if no field names it: only this copy
            names it, in a Bcc field of its own (RFC 5322, 3.6.3), so that the recipient can see
            that the letter was meant for them.
    """
    fields, body = split_entity(raw)
    stated = [item for item in fields if _is_stated(item)]
    if blind_copy_to is not None:
        stated.append((b"Bcc", b" " + blind_copy_to.encode("ascii")))
    structural = [item for item in fields if _is_structural(item)]
    kept = [item for item in structural if item[0].lower() != b"content-type"]
    mark = b"cipher" if cipher else b"clear"
    outer: list[Field] = []
    if cipher:
        obscured = cipher if obscure_subject is None else obscure_subject
        shown = outer_fields(raw, cipher=True, obscure_subject=obscured)
        outer = list(map(_hp_outer, shown))
    content_type = (b"Content-Type", _marked(_content_type(structural), mark))
    return join_entity([*kept, *stated, *outer, content_type], memoryview(raw)[body:])


def named_recipients(raw: bytes) -> frozenset[str] | None:
    """List whom To and Cc of a message name, normalised; None if that cannot be read."""
    fields, _ = split_entity(raw)
    return _recipients(item for item in fields if item[0].lower() != b"bcc")


def _hp_outer(item: Field) -> Field:
    """Say what stands outside; a first line that would grow too long is folded."""
    name, value = item
    first_line = value.partition(b"\r\n")[0]
    fold = b"" if len(first_line) < _FOLD_COLUMNS or not value.startswith(b" ") else b"\r\n"
    return b"HP-Outer", b" %b:%b%b" % (name, fold, value)


def _marked(content_type: bytes, mark: bytes) -> bytes:
    last_line = content_type.rpartition(b"\r\n")[2]
    fold = b"" if len(last_line) < _FOLD_COLUMNS else b"\r\n"
    return b'%b;%b hp="%b"' % (content_type, fold, mark)


def outer_fields(raw: bytes, *, cipher: bool, obscure_subject: bool) -> list[Field]:
    """Choose what the transport header shows of the author's fields, in their order.

    The `X-MSS-…` fields are shown: operators count them and software sorts mail by them.
    """
    fields, _ = split_entity(raw)
    stated = [item for item in fields if _is_stated(item)]
    if cipher:
        stated = [
            item
            for item in stated
            if item[0].lower() in _SHOWN or item[0].lower().startswith(b"x-mss-")
        ]
    if obscure_subject:
        stated = [
            (name, OBSCURED_SUBJECT) if name.lower() == b"subject" else (name, value)
            for name, value in stated
        ]
    return stated


def outer_message(
    raw: bytes, entity: bytes, *, obscure_subject: bool, cipher: bool | None = None
) -> bytes:
    """Write the transport message around a signed or encrypted *entity*.

    Args:
        raw: The message as its author wrote it, with the trace that it has so far.
        entity: The protected entity, header included; its octets are not changed.
        obscure_subject: True to show `[...]` in place of the subject.
        cipher: As it was given to `protected_entity`; by default, as *obscure_subject*.
    """
    hidden = obscure_subject if cipher is None else cipher
    fields, _ = split_entity(raw)
    shown = outer_fields(raw, cipher=hidden, obscure_subject=obscure_subject)
    head = [*filter(_is_trace, fields), *shown, (b"MIME-Version", b" 1.0")]
    return _bare_entity(entity, above=join_fields(head))


def _bare_entity(entity: bytes, *, above: bytes) -> bytes:
    """Keep the `Content-…` fields of an entity, as they are, and its body, with fields above."""
    fields, body = split_entity(entity)
    content = [item for item in fields if item[0].lower().startswith(b"content-")]
    return join_entity(content, memoryview(entity)[body:], above=above)


_FOLD_COLUMNS = 60

# A quoted string is taken whole, so that nothing inside it looks like the parameter.
_HP_PARAMETER = re.compile(
    rb'("(?:[^"\\]++|\\.)*+")|;\s*hp\s*=\s*(?:"[^"]*"|[^\s;"]*)', re.IGNORECASE | re.DOTALL
)


def _content_type(structural: Iterable[Field]) -> bytes:
    """Give the value of `Content-Type`, folded as it was, without an `hp` parameter."""
    for name, value in structural:
        if name.lower() == b"content-type":
            return _HP_PARAMETER.sub(_quoted_string, value).rstrip(b" \t\r\n;")
    return b" text/plain; charset=us-ascii"  # what no Content-Type means (RFC 2045, 5.2)


def _quoted_string(match: re.Match[bytes]) -> bytes:
    return match[1] or b""


# Coming in


class HeaderFindingCode(StrEnum):
    """What may be said about a header that was protected, or should have been."""

    NOT_PROTECTED = "header-not-protected"
    DIFFERS = "header-differs"
    NOT_INSIDE = "header-not-inside"
    NOT_OUTSIDE = "header-not-outside"
    SIGNATURE_NOT_KEPT = "signature-not-kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderFinding:
    """One thing to know about the header; *field* is empty when it is about the whole."""

    code: HeaderFindingCode
    field: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The message as its author wrote it.

    Attributes:
        raw: Complete octets; the trace of the transport on top.
        header_protected: True if the fields come from inside the protected entity.
        recipients: Addresses in the protected To, Cc and Bcc, normalised; None if the fields are
            not protected, or cannot be read.
        findings: Where transport and author do not agree.
    """

    raw: bytes = field(repr=False)
    header_protected: bool
    recipients: frozenset[str] | None = None
    findings: tuple[HeaderFinding, ...]


def restored_message(
    outer_raw: bytes, payload_entity: bytes, *, evidence: bytes | None = None
) -> Restored:
    """Put a message together from its transport header and its protected payload.

    The protected fields win. Where there are none (a peer that does not protect headers), those of
    the transport stay, and a finding says so.

    Args:
        outer_raw: The message as it was received.
        payload_entity: What was inside the signature and the encryption.
        evidence: The signed entity to keep as the body, its octets untouched, so that the signature
            can be checked again; without it, the payload's content becomes the body. So it does
            when the payload is a whole message (the older form): as a forwarded message inside a
            signature nobody could read it, and a finding says that the signature is not kept.
    """
    outer, _ = split_entity(outer_raw)
    wrapped = _unwrapped(payload_entity, outer)
    inner, body = split_entity(wrapped or payload_entity)
    mark = "clear" if wrapped is not None else _protection(inner)
    trace = [item for item in outer if _is_trace(item)]
    stated_outer = [item for item in outer if _is_stated(item)]
    stated_inner = [item for item in inner if _is_stated(item)]
    if mark is None:
        stated, findings = stated_outer, [HeaderFinding(code=HeaderFindingCode.NOT_PROTECTED)]
    else:
        said = _said_outside(inner) if mark == "cipher" else None
        stated, findings = stated_inner, _differences(stated_outer, stated_inner, said)
    head = [*trace, *stated, (b"MIME-Version", b" 1.0")]
    if wrapped is not None and evidence is not None:
        findings = [*findings, HeaderFinding(code=HeaderFindingCode.SIGNATURE_NOT_KEPT)]
        evidence = None
    if evidence is None:
        rest = memoryview(wrapped or payload_entity)[body:]
        raw = join_entity(_plain_structure(inner), rest, above=join_fields(head))
    else:
        raw = _bare_entity(evidence, above=join_fields(head))
    return Restored(
        raw=raw,
        header_protected=mark is not None,
        recipients=None if mark is None else _recipients(inner),
        findings=tuple(findings),
    )


def _protection(fields: Iterable[Field]) -> str | None:
    """Say how the payload claims to protect its header: `cipher`, `clear` or not at all.

    Older software marks a payload with `protected-headers="v1"`, and does not say what it meant to
    show outside.
    """
    value = next((v for name, v in fields if name.lower() == b"content-type"), b"")
    parameters = parse_parameters(value)[1]
    mark = parameters.get("hp", "").lower()
    if mark in ("cipher", "clear"):
        return mark
    return "clear" if parameters.get("protected-headers", "").lower() == "v1" else None


def _recipients(fields: Iterable[Field]) -> frozenset[str] | None:
    """List whom a protected header names; one field that cannot be read makes the list unknown."""
    try:
        return frozenset[str]().union(
            *(_keys(unfold(v)) for name, v in fields if name.lower() in (b"to", b"cc", b"bcc"))
        )
    except MessageSyntaxError:
        return None


def _plain_structure(fields: Sequence[Field]) -> list[Field]:
    structural = [item for item in fields if _is_structural(item)]
    return [
        (name, _content_type([(name, value)]) if name.lower() == b"content-type" else value)
        for name, value in structural
        if name.lower() != b"mime-version"
    ]


def _said_outside(fields: Iterable[Field]) -> list[Field]:
    """Read the `HP-Outer` fields: what the author put in the transport header."""
    said: list[Field] = []
    for name, value in fields:
        if name.lower() == b"hp-outer":
            said += split_fields(unfold(value))
    return said


def _unwrapped(payload: bytes, outer: Sequence[Field]) -> bytes | None:
    """Open the older form of protection: the whole message as the payload (RFC 8551, 3.1).

    A forwarded message looks the same, so the wrapped message must be the one outside: it says
    `forwarded=no`, or bears the same Message-ID.
    """
    fields, body = split_entity(payload)
    value = next((v for n, v in fields if n.lower() == b"content-type"), b"")
    content_type, parameters = parse_parameters(value)
    if content_type != "message/rfc822" or "hp" in parameters:
        return None
    wrapped = payload[body:]
    try:
        inner, _ = split_entity(wrapped)
    except MessageSyntaxError:
        return None
    same = _first(inner, b"message-id")
    if parameters.get("forwarded", "").lower() == "no":
        return wrapped
    return wrapped if same is not None and same == _first(outer, b"message-id") else None


def _first(fields: Iterable[Field], name: bytes) -> bytes | None:
    return next((unfold(value) for key, value in fields if key.lower() == name), None)


# Where transport and author do not agree

_COMPARED = (
    b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Date", b"Message-ID", b"Subject",
    b"In-Reply-To", b"Disposition-Notification-To",
)  # fmt: skip


def _differences(
    outer: Sequence[Field], inner: Sequence[Field], said: Sequence[Field] | None
) -> list[HeaderFinding]:
    """Compare what the transport shows with what the author meant it to show.

    Args:
        outer: Fields of the transport.
        inner: Fields that were protected.
        said: Content of `HP-Outer`; without it the transport must show what was protected.
    """
    meant = inner if said is None else said
    findings = []
    for name in _COMPARED:
        code = _difference(name.lower(), outer, meant)
        if code is None and name == b"From":
            # Whatever was meant, a reader must never be shown another author outside.
            code = _difference(b"from", outer, inner)
        if code is not None:
            findings.append(HeaderFinding(code=code, field=name.decode("ascii")))
    return findings


def _difference(
    name: bytes, outer: Iterable[Field], meant: Iterable[Field]
) -> HeaderFindingCode | None:
    seen = [unfold(value) for key, value in outer if key.lower() == name]
    wanted = [unfold(value) for key, value in meant if key.lower() == name]
    if seen and not wanted:
        return HeaderFindingCode.NOT_INSIDE
    if name == b"subject" and seen in _OBSCURED_SUBJECTS:
        return None
    if wanted and not seen:
        return HeaderFindingCode.NOT_OUTSIDE
    compare = _READERS.get(name, decode_text)
    if len(seen) != len(wanted) or _read_all(compare, seen) != _read_all(compare, wanted):
        return HeaderFindingCode.DIFFERS
    return None


def _read_all(reader: Callable[[bytes], object], values: Iterable[bytes]) -> list[object]:
    """Read values for comparison; one that cannot be read is compared as it is."""
    read: list[object] = []
    for value in values:
        try:
            read.append(reader(value))
        except MessageSyntaxError:
            read.append(value)
    return read


def _keys(value: bytes) -> frozenset[str]:
    return frozenset(item.address.key for item in parse_addresses(value))


_READERS: dict[bytes, Callable[[bytes], object]] = {
    b"from": _keys,
    b"sender": _keys,
    b"reply-to": _keys,
    b"to": _keys,
    b"cc": _keys,
    b"disposition-notification-to": _keys,
    b"date": parse_date,
}
