"""Make links to further pages that nobody but this server can write, and read them back.

A link carries the search itself, the generation that it reads, the sort values of the last match
and the total: so it needs no memory here, works in every process, and says the same whatever is
imported meanwhile. It grants nothing: who follows it shows their own key.

Errors
    `ParameterValueError` for a link that is not ours.
"""

import base64
import binascii
import hashlib
import hmac
import zlib
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import orjson

from directory.fhir.errors import ParameterValueError
from directory.fhir.parameters import RESOURCES

NAME: Final = "_page"
_SIGNATURE_OCTETS: Final = 16
_MAX_OCTETS: Final = 64 * 1024
_MAX_TEXT: Final = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class PageLink:
    """What a link to a page says.

    Attributes:
        types: The types searched, one after another.
        place: Which of them the page begins with.
        pairs: The parameters of the search.
        after: Sort values of the last match before; empty for the first of the type.
    """

    types: tuple[str, ...]
    place: int
    pairs: tuple[tuple[str, str], ...]
    generation: int
    after: tuple[object, ...]
    total: int | None


def build_link(link: PageLink, *, secret: bytes) -> str:
    """Write a link as one opaque word."""
    content = [
        link.types,
        link.place,
        link.pairs,
        link.generation,
        link.after,
        link.total,
    ]
    body = zlib.compress(orjson.dumps(content))
    return base64.urlsafe_b64encode(_signature(body, secret) + body).rstrip(b"=").decode()


def parse_link(text: str, *, secret: bytes) -> PageLink:
    """Read a link back.

    Raises:
        ParameterValueError: It is not one of ours.
    """
    try:
        octets = base64.b64decode(
            text[:_MAX_TEXT].encode() + b"=" * (-len(text[:_MAX_TEXT]) % 4), b"-_", validate=True
        )
    except (binascii.Error, ValueError):
        raise ParameterValueError(parameter=NAME, reason="not a link of this server") from None
    signature, body = octets[:_SIGNATURE_OCTETS], octets[_SIGNATURE_OCTETS:]
    if not hmac.compare_digest(signature, _signature(body, secret)):
        raise ParameterValueError(parameter=NAME, reason="not a link of this server")
    types, place, pairs, generation, after, total = orjson.loads(
        zlib.decompressobj().decompress(body, _MAX_OCTETS)
    )
    return PageLink(
        types=tuple(one for one in RESOURCES if one in types),
        place=place,
        pairs=tuple((name, value) for name, value in pairs),
        generation=generation,
        after=tuple(after),
        total=total,
    )


def page_address(base: str, word: str, form: str | None) -> str:
    """Write the address of a page."""
    pairs = [("id", word), *([("_format", form)] if form else [])]
    return f"{base}/{NAME}?{urlencode(pairs)}"


def _signature(body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, b"fhir-page\x00" + body, hashlib.sha256)[:_SIGNATURE_OCTETS]
