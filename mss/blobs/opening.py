"""Which blob store do the settings name, opened and closed.

Shapes
    `file:///folder` (the path as it is written, without percent-encoding) or `s3://bucket/prefix`.
Errors
    `SettingsError` for any other address; `StoreUnavailableError` if the folder cannot be used.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from crypto.sealing import Sealer
from mss.blobs.local import LocalBlobStore
from mss.blobs.sealed import SealedBlobStore
from mss.clock import Clock
from mss.errors import SettingsError
from mss.settings import Settings

if TYPE_CHECKING:
    from mss.blobs.s3 import S3BlobStore

_FILE = "file://"
_S3 = "s3://"


@asynccontextmanager
async def open_blob_store(
    settings: Settings, *, clock: Clock, sealer: Sealer
) -> AsyncIterator[SealedBlobStore]:
    """Open the store that the settings name; whatever it is, bodies are sealed before it."""
    store = SealedBlobStore(_build_store(settings, clock), sealer)
    try:
        yield store
    finally:
        await store.aclose()


def _build_store(settings: Settings, clock: Clock) -> "LocalBlobStore | S3BlobStore":
    url = settings.blobs_url
    if url.startswith(_FILE):
        folder = Path(url.removeprefix(_FILE))
        if not folder.is_absolute():
            raise SettingsError(reason="blobs.url: file:// is followed by an absolute path")
        return LocalBlobStore(folder, clock=clock, segment_octets=settings.blobs.segment_octets)
    if url.startswith(_S3):
        from mss.blobs.s3 import S3BlobStore  # noqa: PLC0415 -- its client takes 4 MB

        bucket, _, prefix = url.removeprefix(_S3).partition("/")
        if not bucket:
            raise SettingsError(reason="blobs.url: s3:// is followed by the name of a bucket")
        return S3BlobStore(
            bucket=bucket, prefix=prefix.strip("/"), settings=settings.blobs, clock=clock
        )
    raise SettingsError(reason="blobs.url: file:///folder or s3://bucket/prefix")
