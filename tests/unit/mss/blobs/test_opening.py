from pathlib import Path
from typing import Any

import pytest

from crypto.sealing import Sealer
from mss.blobs.opening import open_blob_store
from mss.blobs.sealed import SealedBlobStore
from mss.clock import SystemClock
from mss.errors import SettingsError, StoreUnavailableError
from mss.ports import BlobStore
from mss.settings import Settings
from tests.support.s3 import running_s3

CLOCK = SystemClock()
SEALER = Sealer({1: bytes(32)}, current=1)


def settings(home: Path, **blobs: Any) -> Settings:
    return Settings(home=home, domains=("hopital.mssante.fr",), blobs=blobs)


async def test_without_a_setting_bodies_are_kept_sealed_in_the_home(tmp_path: Path) -> None:
    """An administrator who sets nothing gets durable, private, encrypted storage."""
    async with open_blob_store(settings(tmp_path), clock=CLOCK, sealer=SEALER) as store:
        ref = await store.put(CLOCK.new_id(), b"clear text")
        assert await store.get(ref) == b"clear text"

    (segment,) = (tmp_path / "blobs").glob("*.segment")
    assert b"clear text" not in segment.read_bytes()


async def test_the_store_is_closed_on_leaving(tmp_path: Path) -> None:
    """Nothing is accepted by what nobody watches over."""
    async with open_blob_store(settings(tmp_path), clock=CLOCK, sealer=SEALER) as store:
        await store.put(CLOCK.new_id(), b"body")

    with pytest.raises(StoreUnavailableError):
        await store.put(CLOCK.new_id(), b"body")


@pytest.mark.parametrize("folder", ["plain", "with space", "100%25", "été#1?x"])
async def test_a_folder_is_taken_as_it_is_written(tmp_path: Path, folder: str) -> None:
    """The default is built from the home, which may have any name."""
    url = f"file://{tmp_path}/{folder}"
    async with open_blob_store(settings(tmp_path, url=url), clock=CLOCK, sealer=SEALER):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o700


async def test_a_setting_reaches_the_segments(tmp_path: Path) -> None:
    """Their size is the administrator's."""
    small = settings(tmp_path, segment_octets=1024)
    async with open_blob_store(small, clock=CLOCK, sealer=SEALER) as store:
        await store.put(CLOCK.new_id(), bytes(2000))
        await store.put(CLOCK.new_id(), bytes(2000))

    assert len(list((tmp_path / "blobs").iterdir())) == 2


@pytest.mark.parametrize(
    "blobs",
    [
        {"url": "blobs"},
        {"url": "file://"},
        {"url": "file://blobs"},
        {"url": "http://127.0.0.1/bucket"},
        {"url": "s3://"},
        {"url": "s3:///prefix"},
        {"url": "s3://b", "s3_endpoint": "http://storage.example"},
        {"url": "s3://b", "s3_endpoint": "http://127.0.0.1.example"},
        {"url": "s3://b", "s3_endpoint": "http://10.0.0.1:9000"},
        {"url": "s3://b", "s3_endpoint": "http://"},
        {"url": "s3://b", "s3_endpoint": "https://"},
        {"url": "s3://b", "s3_endpoint": "storage.example"},
        {"url": "s3://b", "s3_endpoint": "HTTP://storage.example"},
        {"url": "s3://b", "s3_endpoint": "http://[::1"},
        {"url": "s3://b", "s3_access_key": "only the one"},
        {"url": "s3://b", "s3_secret_key": "only the other"},
    ],
)
async def test_settings_that_name_no_safe_store_are_refused(
    tmp_path: Path, blobs: dict[str, str]
) -> None:
    """Plain HTTP would show keys and traffic; a typing slip must not choose another store."""
    with pytest.raises(SettingsError):
        async with open_blob_store(settings(tmp_path, **blobs), clock=CLOCK, sealer=SEALER):
            raise AssertionError("opened")


@pytest.mark.slow
async def test_a_bucket_is_opened_by_its_address(tmp_path: Path) -> None:
    """The prefix separates installations that share a bucket."""
    with running_s3(tmp_path) as service:
        values = service.settings().model_dump() | {"url": "s3://bodies/operator/one/"}
        async with open_blob_store(
            settings(tmp_path, **values), clock=CLOCK, sealer=SEALER
        ) as store:
            ref = await store.put(name := CLOCK.new_id(), b"clear text")
            assert await store.get(ref) == b"clear text"
        (found,) = service.folder.rglob(name)

    assert found.relative_to(service.folder).parts[:2] == ("operator", "one")


def test_what_is_opened_is_a_blob_store() -> None:
    """The type checker holds the implementation to the port, here and in the composition."""
    opened: type[BlobStore] = SealedBlobStore

    assert opened is SealedBlobStore
