"""Are these kinds of attachments welcome? The built-in content policy.

Judged by what the sender says they are, name and media type; what they really are is the virus
scanner's business. A name counts by its last extension, after what file managers hide.

Errors
    None: every message has an answer.
"""

from dataclasses import dataclass

from mss.model.content import Action, Content, Objection
from mss.model.message import PartSummary
from mss.settings import ContentSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class AttachmentPolicy:
    """Objects to kinds of attachments that the settings name."""

    settings: ContentSettings

    def judge(self, content: Content) -> Objection | None:
        """Say what is not welcome in a message; `None` when all is."""
        if not any(self._is_blocked(part) for part in content.parts):
            return None
        return Objection(
            action=Action(self.settings.blocked),
            reason="attachment-type",
            text="An attachment is of a kind that is not welcome here.",
        )

    def _is_blocked(self, part: PartSummary) -> bool:
        kind = part.content_type.lower()
        family = f"{kind.partition('/')[0]}/*"
        types = {one.lower() for one in self.settings.blocked_types}
        extensions = {one.lower().lstrip(".") for one in self.settings.blocked_extensions}
        return bool({kind, family} & types) or extension_of(part.filename) in extensions


def extension_of(filename: str | None) -> str:
    """Tell the extension that a file manager would open a file by; empty when it has none."""
    if not filename:
        return ""
    # Windows drops dots and spaces at the end; a control for direction turns a name around.
    visible = "".join(one for one in filename if one.isprintable()).rstrip(". ")
    _, dot, extension = visible.rpartition(".")
    return extension.strip().lower() if dot else ""
