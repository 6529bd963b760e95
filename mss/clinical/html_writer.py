"""Write HTML so that no text can become markup, and no page can become endless.

Shapes
    An `HtmlWriter` is given tags and attributes by our own code and text by strangers. Text is
    stripped of what nobody sees (controls, signs that turn the reading order around) and escaped.
    Every page has a budget; what is open when it runs out is closed, and the page says so.
Errors
    `PageFullError`, which never leaves the rendering.
Sources
    Unicode UAX 9 and TR 36 (signs that reorder text); HTML, 13.3 (escaping a string).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Final

MAX_TEXT_OCTETS: Final = 4 * 1024 * 1024  # markup and text of one page, images not counted
MAX_ELEMENTS: Final = 60_000

_REORDERING: Final = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_INVISIBLE: Final = (
    0x00AD,
    0x200B,
    0x2060,
    0xFEFF,
    *range(0xFFF9, 0xFFFC),
    *range(0xE0000, 0xE0080),
)
_CONTROLS: Final = (*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), *range(0x7F, 0xA0))
_REMOVED: Final = dict.fromkeys((*_REORDERING, *_INVISIBLE, *_CONTROLS)) | {
    0x2028: " ",
    0x2029: " ",
}
_MISLEADING: Final = frozenset(map(chr, _REORDERING))


class PageFullError(Exception):
    """The page has reached its budget; what is open is to be closed."""


class HtmlWriter:
    """Collects the markup of one page.

    Attributes:
        has_misleading_text: Signs were taken out that make text read in another order.
    """

    def __init__(
        self, *, max_octets: int = MAX_TEXT_OCTETS, max_elements: int = MAX_ELEMENTS
    ) -> None:
        self._pieces: list[str] = []
        self._open: list[str] = []
        self._octets_left = max_octets
        self._elements_left = max_elements
        self.has_misleading_text = False

    @contextmanager
    def element(self, tag: str, **attributes: str | None) -> Iterator[None]:
        """Write an element around what is written inside the block.

        Attribute names are given with `_` for `-`, and with a trailing one for words of Python.
        """
        self._start(tag, attributes)
        self._open.append(tag)
        yield
        self._end()

    def line(self, tag: str, text: str, **attributes: str | None) -> None:
        """Write an element that holds text only."""
        with self.element(tag, **attributes):
            self.text(text)

    def void(self, tag: str, **attributes: str | None) -> None:
        """Write an element that has no content."""
        self._start(tag, attributes)

    def picture(self, data: str, *, alt: str) -> None:
        """Write an image that is in the page; it has a budget of its own."""
        self._count_element()
        self._pieces.append(f'<img src="{data}" alt="{escape(self.clean(alt))}">')

    def text(self, text: str) -> None:
        """Write text of the document."""
        if text:
            self._add(escape(self.clean(text)))

    def clean(self, text: str) -> str:
        """Take out what nobody sees."""
        cleaned = text.translate(_REMOVED)
        if len(cleaned) != len(text) and not _MISLEADING.isdisjoint(text):
            self.has_misleading_text = True
        return cleaned

    def close_all(self) -> None:
        """Close what is still open, after the budget ran out."""
        while self._open:
            self._end()

    def html(self) -> str:
        """What was written."""
        return "".join(self._pieces)

    def _start(self, tag: str, attributes: dict[str, str | None]) -> None:
        self._count_element()
        written = "".join(
            f' {name.rstrip("_").replace("_", "-")}="{escape(self.clean(value))}"'
            for name, value in attributes.items()
            if value is not None
        )
        self._add(f"<{tag}{written}>")

    def _end(self) -> None:
        # Not counted: what is open may always be closed.
        self._pieces.append(f"</{self._open.pop()}>")

    def _count_element(self) -> None:
        self._elements_left -= 1
        if self._elements_left < 0:
            raise PageFullError

    def _add(self, piece: str) -> None:
        self._octets_left -= len(piece)
        if self._octets_left < 0:
            raise PageFullError
        self._pieces.append(piece)
