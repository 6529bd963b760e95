"""Read bounces that are written for people: what failed, for whom, and why, as far as words tell.

The patient space answers in French prose, old hosts in English prose; neither is a report that
software was meant to read. Only a message that presents itself as a bounce is looked at, only its
beginning, and what is found is a claim in words: the pipeline believes it from the recipient's
operator alone, and only when it fits exactly one letter.

Errors
    None: what cannot be read is ordinary mail.
Sources
    ANS, FAQ Mon espace santé, and CNAM's guide for senders ("Message non distribué"); Exim's
    `X-Failed-Recipients`; D. J. Bernstein, QSBMF; RFC 3834, 5.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

from directory.address import MailAddress
from directory.errors import AddressSyntaxError
from mss.mime.entity import split_entity
from mss.mime.errors import MessageSyntaxError
from mss.mime.headers import parse_message_id
from mss.mime.parse import ParsedMessage, Part, part_text

TEXT_OCTETS: Final = 64 * 1024
MAX_RECIPIENTS: Final = 20

_SUBJECT: Final = re.compile(
    r"message non (?:distribue|remis|delivre)|(?:non[ -])?remise impossible|non remis\b"
    r"|echec de (?:la )?(?:remise|distribution)|undelivered mail returned to sender"
    r"|mail delivery (?:failed|failure|system)|delivery status notification \(failure\)"
    r"|undeliverable\b|returned mail\b|failure notice|delivery (?:has )?failed"
    r"|mail could not be delivered"
)
_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"
)
_MESSAGE_ID: Final = re.compile(
    r"^[ \t>]{0,20}message-id:[ \t]*(<[^<>\s]{1,500}>)", re.IGNORECASE | re.MULTILINE
)
_STATUS: Final = re.compile(r"(?<![\d.])#?(5\.\d{1,3}\.\d{1,3})(?![\d.])")
# What the words are about, the most telling first.
_CAUSES: Final = (
    ("message-too-large", "5.3.4", re.compile(r"trop volumineux|taille maximale|too large|25 mo")),
    (
        "mailbox-closed",
        "5.2.1",
        re.compile(r"\b(?:ferme|close|cloture|desactive|inactive|suspendu|disabled)e?s?\b"),
    ),
    (
        "recipient-unknown",
        "5.1.1",
        re.compile(
            r"introuvable|inconnu|n'existe pas|n'a pas (?:ete|pu etre) trouve|non trouve"
            r"|unknown|no such|not found|does not exist|doesn't exist|adresse (?:\w+ )?"
            r"(?:invalide|incorrecte|erronee)|invalid (?:address|recipient)"
        ),
    ),
)
_UNTOLD: Final = ("peer-refused", "5.0.0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounce:
    """What a bounce in words says.

    Attributes:
        message_id: Identifier of the message that came back, when it is quoted.
        addresses: Those named before the copy of the message, without the bounce's own author.
        reason: Our permanent code for the cause.
        status: Enhanced status code, quoted or fitting.
    """

    message_id: str | None
    addresses: tuple[MailAddress, ...]
    reason: str
    status: str


def find_bounce(message: ParsedMessage) -> Bounce | None:
    """Read a message that presents itself as a bounce; `None` for any other."""
    named = _failed_recipients(message)
    if not named and _SUBJECT.match(_plain(message.subject.strip()[:200])) is None:
        return None
    text = _text(message)
    prose = _before_the_copy(text)
    reason, status = _cause(_plain(prose))
    quoted = _STATUS.search(prose)
    found = named or _addresses(prose)
    return Bounce(
        message_id=_returned_id(message, text) or _thread(message),
        addresses=tuple(one for one in found if one != message.author.address),
        reason=reason,
        status=quoted[1] if quoted else status,
    )


def _plain(text: str) -> str:
    """Take accents, case and typographic apostrophes away."""
    straight = text.casefold().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    bare = unicodedata.normalize("NFKD", straight)
    return "".join(one for one in bare if not unicodedata.combining(one))


def _failed_recipients(message: ParsedMessage) -> tuple[MailAddress, ...]:
    """Read Exim's own field."""
    values = (value for name, value in message.fields if name.lower() == b"x-failed-recipients")
    return _addresses(next(values, b"")[:4096].decode("ascii", "replace"))


def _addresses(text: str) -> tuple[MailAddress, ...]:
    found: dict[str, MailAddress] = {}
    for match in _ADDRESS.finditer(text):
        try:
            address = MailAddress.parse(match[0])
        except AddressSyntaxError:
            continue
        found.setdefault(address.key, address)
        if len(found) == MAX_RECIPIENTS:
            break
    return tuple(found.values())


def _text(message: ParsedMessage) -> str:
    """Decode the beginning of the first plain text."""
    for part in message.parts():
        if part.content_type == "text/plain" and part.disposition != "attachment":
            return _beginning(message.raw, part)
    return ""


def _beginning(raw: bytes, part: Part) -> str:
    try:
        return part_text(raw, part, TEXT_OCTETS)
    except MessageSyntaxError:
        return ""


# "--- Below this line is a copy of the message.", "------ This is a copy of the message …",
# "----- Message d'origine -----", "--- Original message ---"
_COPY: Final = re.compile(
    r"^[ \t]*-{2,40}.{0,80}(?:copy|copie|origin|returned message|renvoye)",
    re.IGNORECASE | re.MULTILINE,
)


def _before_the_copy(text: str) -> str:
    """Give what the host says, without the letter that it quotes: no word of that counts."""
    copy = _COPY.search(text)
    return text[: copy.start()] if copy else text


def _cause(prose: str) -> tuple[str, str]:
    for reason, status, pattern in _CAUSES:
        if pattern.search(prose):
            return reason, status
    return _UNTOLD


def _returned_id(message: ParsedMessage, text: str) -> str | None:
    """Find the identifier in the copy that comes with the bounce, attached or quoted."""
    for part in message.parts():
        if part.content_type in {"message/rfc822", "text/rfc822-headers"}:
            start, stop = part.body_span
            try:
                fields, _ = split_entity(message.raw[start : min(stop, start + TEXT_OCTETS)])
            except MessageSyntaxError:
                continue
            for name, value in fields:
                if name.lower() == b"message-id":
                    return _identifier(value)
    quoted = _MESSAGE_ID.search(text)
    return _identifier(quoted[1].encode("utf-8", "replace")) if quoted else None


def _thread(message: ParsedMessage) -> str | None:
    return message.in_reply_to or (message.references[-1] if message.references else None)


def _identifier(value: bytes) -> str | None:
    try:
        return parse_message_id(value)
    except MessageSyntaxError:
        return None
