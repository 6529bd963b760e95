"""Write a zip that any reader understands, and that is the same octets for the same files.

Shapes
    Paths use `/`; one that ends in it is an explicit folder. Files are deflated, folders stored;
    no flags, no owner, no mode, no comment, no extra field.
Errors
    None.
Sources
    PKWARE APPNOTE 6.3.10; ANS examples of archives (explicit folders, deflate, no flag bits).
"""

import io
import zipfile
from collections.abc import Mapping
from datetime import UTC, datetime


def build_zip(files: Mapping[str, bytes], at: datetime) -> bytes:
    """Write a zip whose octets depend on nothing but the files and the instant."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for path, octets in files.items():
            line = zipfile.ZipInfo(path, _dos_time(at.astimezone(UTC)))
            line.create_system = 0  # MS-DOS: no owner, no mode
            line.external_attr = 0x10 if path.endswith("/") else 0x20
            line.compress_type = zipfile.ZIP_STORED if path.endswith("/") else zipfile.ZIP_DEFLATED
            made.writestr(line, octets)
    return out.getvalue()


def _dos_time(at: datetime) -> tuple[int, int, int, int, int, int]:
    """Zip dates begin in 1980 and end in 2107."""
    year = min(max(at.year, 1980), 2107)
    return year, at.month, at.day, at.hour, at.minute, at.second
