"""Choose the form of a document: named in the address, else by what the client accepts.

Errors
    `NotAcceptableError`: the client excludes every form.
Sources
    RFC 9110, 12.5.1 (Accept: the most specific range decides, `q=0` excludes).
"""

from typing import Final, Literal

from api.errors import NotAcceptableError

Form = Literal["xml", "pdf", "html", "file"]

# Of two forms that are accepted equally, the first one here is given.
_MEDIA_TYPES: Final[dict[Form, tuple[str, ...]]] = {
    "xml": ("application/xml", "text/xml"),
    "pdf": ("application/pdf",),
    "html": ("text/html",),
}
_MAX_RANGES: Final = 50


def choose_form(named: Form | None, accept: str | None) -> Form:
    """Decide between XML, PDF and a page; the bare body must be asked for by its name."""
    if named is not None:
        return named
    ranges = parse_accept(accept or "*/*")
    best: Form = max(_MEDIA_TYPES, key=lambda form: _quality(form, ranges))
    if not _quality(best, ranges):
        raise NotAcceptableError
    return best


def _quality(form: Form, ranges: dict[str, float]) -> float:
    return max(quality_of(kind, ranges) for kind in _MEDIA_TYPES[form])


def quality_of(kind: str, ranges: dict[str, float]) -> float:
    """Tell how much a client wants a media type."""
    family = kind.partition("/")[0]
    for candidate in (kind, f"{family}/*", "*/*"):
        if candidate in ranges:
            return ranges[candidate]
    return 0


def parse_accept(accept: str) -> dict[str, float]:
    """Read the ranges of an Accept field; what is not understood weighs nothing."""
    ranges: dict[str, float] = {}
    for item in accept.lower().split(",")[:_MAX_RANGES]:
        kind, *parameters = (piece.strip() for piece in item.split(";"))
        weights = [value[2:] for value in parameters if value.startswith("q=")]
        ranges[kind] = _weight(weights[0]) if weights else 1
    return ranges


def _weight(text: str) -> float:
    """Read a qvalue: `0` to `1` with at most three decimals."""
    whole, _, decimals = text.partition(".")
    if whole not in {"0", "1"} or len(decimals) > 3 or not (decimals or "0").isdecimal():
        return 0
    return min(1.0, float(text))
