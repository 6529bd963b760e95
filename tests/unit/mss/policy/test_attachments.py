import pytest

from mss.model.content import Action, Content
from mss.model.message import Origin, PartSummary
from mss.policy.attachments import AttachmentPolicy, extension_of
from mss.settings import ContentSettings

POLICY = AttachmentPolicy(
    settings=ContentSettings(
        blocked_extensions=("exe", ".JS"), blocked_types=("application/x-sh", "audio/*")
    )
)


def content(content_type: str, filename: str | None = None) -> Content:
    """Show the policy a text and one attachment."""
    parts = tuple(
        PartSummary(path=path, content_type=kind, filename=name, disposition=None, size_octets=1)
        for path, kind, name in (("1", "text/plain", None), ("2", content_type, filename))
    )
    return Content(
        origin=Origin.PEER, author_domain="ch-demo.mssante.fr", size_octets=1, parts=parts
    )


@pytest.mark.parametrize(
    ("content_type", "filename"),
    [
        ("application/octet-stream", "letter.exe"),
        ("application/pdf", "LETTER.EXE"),
        ("application/pdf", "letter.pdf.js"),
        ("application/pdf", "letter.exe. . "),
        ("application/pdf", "fdp.\u202eexe"),
        ("application/x-sh", None),
        ("Application/X-SH", "notes.txt"),
        ("audio/mpeg", "voice.mp3"),
    ],
)
def test_what_is_not_welcome(content_type: str, filename: str | None) -> None:
    """By name as a file manager reads it, by type, or by family of types."""
    objection = POLICY.judge(content(content_type, filename))

    assert objection is not None
    assert (objection.action, objection.reason) == (Action.REFUSE, "attachment-type")


@pytest.mark.parametrize(
    ("content_type", "filename"),
    [
        ("application/zip", "IHE_XDM.ZIP"),
        ("application/pdf", "exe.pdf"),
        ("application/pdf", "exe"),
        ("application/pdf", None),
        ("application/pdf", ""),
    ],
)
def test_what_is_welcome(content_type: str, filename: str | None) -> None:
    """Health documents, and names that only look alike."""
    assert POLICY.judge(content(content_type, filename)) is None


def test_by_default_everything_is_welcome() -> None:
    """Which kinds are not is a decision of the administrator."""
    assert AttachmentPolicy(settings=ContentSettings()).judge(content("a/b", "x.exe")) is None


@pytest.mark.parametrize(
    ("filename", "extension"),
    [("a.b.c", "c"), ("a", ""), (None, ""), ("...", ""), ("a.C ", "c"), (".profile", "profile")],
)
def test_the_extension_that_counts(filename: str | None, extension: str) -> None:
    """The last one, after what file managers drop."""
    assert extension_of(filename) == extension
