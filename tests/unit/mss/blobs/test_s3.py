"""What an object storage may answer, and what we make of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr

from mss.blobs.errors import BlobDamagedError, BlobMissingError
from mss.blobs.records import HEADER_OCTETS
from mss.blobs.s3 import S3BlobStore
from mss.clock import SystemClock
from mss.errors import StoreFullError, StoreUnavailableError
from mss.settings import BlobSettings
from tests.support.s3 import BUCKET, running_s3

CLOCK = SystemClock()
NAME = "0193a5c0e0007abc8def0123456789ab"
REF = f"s3:{NAME}"


def a_store(endpoint: str, *, bucket: str = BUCKET) -> S3BlobStore:
    keys = SecretStr("access-key-of-the-tests"), SecretStr("secret-key-of-the-tests")
    settings = BlobSettings(s3_endpoint=endpoint, s3_access_key=keys[0], s3_secret_key=keys[1])
    return S3BlobStore(bucket=bucket, prefix="", settings=settings, clock=CLOCK)


@asynccontextmanager
async def answering(status: str, body: str = "") -> AsyncIterator[str]:
    """Serve HTTP that answers every request alike; the address is what is yielded."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write((head + body).encode())
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield "http://{}:{}".format(*server.sockets[0].getsockname())


async def put(store: S3BlobStore) -> object:
    return await store.put(NAME, b"x")


async def get(store: S3BlobStore) -> object:
    return await store.get(REF)


async def delete(store: S3BlobStore) -> object:
    await store.delete(REF)
    return None


async def listing(store: S3BlobStore) -> object:
    return [record async for record in store.iter_records()]


Call = Callable[[S3BlobStore], Awaitable[object]]
CALLS = pytest.mark.parametrize("call", [put, get, delete, listing])


def xml(code: str) -> str:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>"


@pytest.mark.slow
@CALLS
@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("403 Forbidden", "SignatureDoesNotMatch"),
        ("401 Unauthorized", "InvalidAccessKeyId"),
        ("404 Not Found", "NoSuchBucket"),
        ("503 Slow Down", "SlowDown"),
    ],
)
async def test_a_storage_that_refuses_is_unavailable(call: Call, status: str, code: str) -> None:
    """Never missing, never deleted: we cannot tell, and the message must be kept."""
    async with answering(status, xml(code)) as endpoint:
        with pytest.raises(StoreUnavailableError) as caught:
            await call(a_store(endpoint))

    assert endpoint not in str(caught.value)


@pytest.mark.slow
@CALLS
async def test_a_storage_that_nobody_serves_is_unavailable(call: Call) -> None:
    """The calls end, and say so."""
    async with answering("200 OK") as endpoint:
        pass
    with pytest.raises(StoreUnavailableError):
        await call(a_store(endpoint))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("507 Insufficient Storage", "XMinioStorageFull"),
        ("507 Insufficient Storage", "InsufficientStorage"),
        ("403 Forbidden", "QuotaExceeded"),
    ],
)
async def test_a_storage_without_room_is_a_full_store(status: str, code: str) -> None:
    """The peer hears 452 and the administrator sees the reason."""
    async with answering(status, xml(code)) as endpoint:
        with pytest.raises(StoreFullError):
            await put(a_store(endpoint))


async def test_digits_in_a_name_are_no_status() -> None:
    """Names are hexadecimal, and the client's texts hold them."""
    name = "507" * 10 + "50"
    async with answering("403 Forbidden", xml("AccessDenied")) as endpoint:
        with pytest.raises(StoreUnavailableError):
            await a_store(endpoint).put(name, b"x")


@pytest.mark.parametrize("body", ["", "x" * HEADER_OCTETS, "<html>Please log in</html>" * 9])
async def test_an_answer_that_is_no_record_is_damage(body: str) -> None:
    """A proxy's page must not become a letter."""
    async with answering("200 OK", body) as endpoint:
        with pytest.raises(BlobDamagedError):
            await get(a_store(endpoint))


async def test_an_object_that_is_not_there_is_missing() -> None:
    """As opposed to a bucket that is not there."""
    async with answering("404 Not Found", xml("NoSuchKey")) as endpoint:
        with pytest.raises(BlobMissingError):
            await get(a_store(endpoint))


@pytest.mark.slow
async def test_variables_do_not_lead_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The settings say where bodies go; a variable meant for another program must not."""
    async with answering("404 Not Found", xml("NoSuchKey")) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "false")
        with pytest.raises(BlobMissingError):
            await get(a_store(endpoint))


@pytest.mark.slow
async def test_objects_spread_by_the_end_of_the_name(tmp_path: Path) -> None:
    """Names begin with the time: by their beginning, all of a year would share one folder."""
    with running_s3(tmp_path) as service:
        await put(a_store(service.endpoint))
        (found,) = service.folder.rglob(NAME)

    assert found.relative_to(service.folder) == Path("ab/89") / NAME


@pytest.mark.slow
async def test_other_objects_of_the_bucket_are_left_alone(tmp_path: Path) -> None:
    """A sweep lists what is ours, and nothing else."""
    with running_s3(tmp_path) as service:
        (service.folder / "readme.txt").write_bytes(b"not ours")
        (service.folder / NAME).write_bytes(b"a name, but not our place")
        await put(store := a_store(service.endpoint))
        listed = [record.ref async for record in store.iter_records()]

    assert listed == [REF]
