"""Write a zip that any reader understands, and that is the same octets for the same files.

Shapes
    Paths use `/`; one that ends in it is an explicit folder. Files are deflated, folders stored;
    no flags, no owner, no mode, no comment, no extra field. A file that would shrink as a
    bomb does (a scan of white pages) is stored: receivers refuse such ratios, `zip_reader` among
    them.
Errors
    None.
Sources
    PKWARE APPNOTE 6.3.10; ANS examples of archives (explicit folders, deflate, no flag bits).
"""

import io
import zipfile
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime

_SUSPECT_OCTETS = 16 * 1024
_SUSPECT_RATIO = 50
"""Half of what `ArchiveLimits` allows."""


def build_zip(files: Mapping[str, bytes], at: datetime) -> bytes:
    """Write a zip whose octets depend on nothing but the files and the instant."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for path, octets in files.items():
            line = zipfile.ZipInfo(path, _dos_time(at.astimezone(UTC)))
            line.create_system = 0  # MS-DOS: no owner, no mode
            line.external_attr = 0x10 if path.endswith("/") else 0x20
            is_stored = path.endswith("/") or _looks_like_a_bomb(octets)
            line.compress_type = zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED
            made.writestr(line, octets)
    return out.getvalue()


def _looks_like_a_bomb(octets: bytes) -> bool:
    """Tell whether a file would be deflated to next to nothing."""
    is_worth_it = len(octets) > _SUSPECT_OCTETS
    return is_worth_it and len(zlib.compress(octets, 1)) * _SUSPECT_RATIO < len(octets)


def _dos_time(at: datetime) -> tuple[int, int, int, int, int, int]:
    """Zip dates begin in 1980 and end in 2107."""
    year = min(max(at.year, 1980), 2107)
    return year, at.month, at.day, at.hour, at.minute, at.second
