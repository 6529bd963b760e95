"""The blob store in an object storage that speaks S3.

Shapes
    The body of the name `…aabb` is the object `prefix/bb/aa/name`, in the form of `records.py`, so
    that a body that is not what was stored is noticed. (Names begin with the time: only their ends
    spread evenly.) Reference: `s3:<name>`.
Errors
    As promised by `BlobStore`; every call may raise `StoreUnavailableError`, and every call ends:
    the client's deadlines are below.
"""

import ipaddress
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from mss.blobs.errors import BlobDamagedError, BlobMissingError
from mss.blobs.offload import run_by_size
from mss.blobs.records import (
    HEADER_OCTETS,
    RecordSyntaxError,
    build_header,
    is_name,
    parse_body,
    parse_header,
    require_name,
)
from mss.clock import Clock
from mss.errors import SettingsError, StoreFullError, StoreUnavailableError
from mss.ports import BlobRecord
from mss.settings import BlobSettings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

_SCHEME = "s3:"
# Up to here a checksum is quick enough for the event loop.
_INLINE_OCTETS = 256 * 1024
_CONNECT = timedelta(seconds=5)
_REQUEST = timedelta(seconds=60)
_RETRIES = 3
# How services say that a bucket or a disk is full: by HTTP status (RFC 4918, 11.5), Ceph, MinIO.
_FULL = re.compile(r"status code: 507|<Code>(?:QuotaExceeded|XMinioStorageFull)</Code>")
_NO_BUCKET = "<Code>NoSuchBucket</Code>"


class S3BlobStore:
    """Bodies as objects of one bucket."""

    def __init__(self, *, bucket: str, prefix: str, settings: BlobSettings, clock: Clock) -> None:
        self._clock = clock
        self._bucket = S3Store(
            bucket,
            prefix=prefix or None,
            config=_build_config(settings),
            client_options=_build_client_options(settings),
            retry_config=_build_retry_config(),
        )

    async def put(self, name: str, octets: bytes) -> str:
        """Store *octets*, return the reference to find them by; durable when it returns."""
        require_name(name)
        header = await run_by_size(
            partial(build_header, name, octets, self._clock.now()),
            len(octets),
            inline_octets=_INLINE_OCTETS,
        )
        with _translated():
            await obstore.put_async(self._bucket, _key(name), [header, octets], use_multipart=False)
        return f"{_SCHEME}{name}"

    async def get(self, ref: str) -> bytes:
        """Fetch what is behind *ref*."""
        name = _find_name(ref)
        if name is None:
            raise BlobMissingError(ref=ref)
        try:
            with _translated(ref):
                answer = await obstore.get_async(self._bucket, _key(name))
                record = (await answer.bytes_async()).to_bytes()
            return await run_by_size(
                partial(_parse_record, name, record), len(record), inline_octets=_INLINE_OCTETS
            )
        except RecordSyntaxError as error:
            raise BlobDamagedError(ref=ref, reason=str(error)) from error

    async def delete(self, ref: str) -> None:
        """Remove what is behind *ref*; removing what is not there is no error."""
        name = _find_name(ref)
        if name is not None:
            with suppress(BlobMissingError), _translated(ref):
                await obstore.delete_async(self._bucket, _key(name))

    async def iter_records(self) -> AsyncIterator[BlobRecord]:
        """Stream every stored body; other objects under the prefix are none of our business."""
        with _translated():
            async for page in obstore.list(self._bucket):
                for one in page:
                    name = one["path"].rpartition("/")[2]
                    if is_name(name) and one["path"] == _key(name):
                        yield BlobRecord(
                            ref=f"{_SCHEME}{name}",
                            stored_at=one["last_modified"],
                            size_octets=max(one["size"] - HEADER_OCTETS, 0),
                        )

    async def aclose(self) -> None:
        """Do nothing: the client's connections end with the object."""


def _parse_record(name: str, record: bytes) -> bytes:
    return parse_body(parse_header(record), name, record[HEADER_OCTETS:])


def _key(name: str) -> str:
    return f"{name[-2:]}/{name[-4:-2]}/{name}"


def _find_name(ref: str) -> str | None:
    name = ref.removeprefix(_SCHEME)
    return name if ref.startswith(_SCHEME) and is_name(name) else None


@contextmanager
def _translated(ref: str = "") -> Iterator[None]:
    """Turn the client's errors into ours; one object is missing only if we asked for *ref*."""
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        text = str(error)
        if ref and isinstance(error, FileNotFoundError) and _NO_BUCKET not in text:
            raise BlobMissingError(ref=ref) from None
        if _FULL.search(text):
            raise StoreFullError(where="blobs") from error
        # The text holds addresses and the service's words; it stays attached as the cause.
        raise StoreUnavailableError(reason=f"blobs: {type(error).__name__}") from error


def _build_config(settings: BlobSettings) -> "S3Config":
    """Say what the client would otherwise take from `AWS_…` variables, wherever we know it."""
    config: S3Config = {
        "region": settings.s3_region,
        "skip_signature": False,
        "virtual_hosted_style_request": settings.s3_endpoint is None,
    }
    if settings.s3_endpoint is not None:
        config["aws_endpoint_url_s3"] = settings.s3_endpoint
    access, secret = settings.s3_access_key, settings.s3_secret_key
    if (access is None) != (secret is None):
        raise SettingsError(reason="blobs: s3_access_key and s3_secret_key go together")
    if access is not None and secret is not None:
        config["access_key_id"] = access.get_secret_value()
        config["secret_access_key"] = secret.get_secret_value()
    return config


def _build_client_options(settings: BlobSettings) -> "ClientConfig":
    return {
        "allow_http": _is_plain(settings.s3_endpoint) if settings.s3_endpoint else False,
        "connect_timeout": _CONNECT,
        "timeout": _REQUEST,
    }


def _build_retry_config() -> "RetryConfig":
    return {"max_retries": _RETRIES, "retry_timeout": _REQUEST}


def _is_plain(endpoint: str) -> bool:
    """Say whether *endpoint* is plain HTTP, which it may be on this machine only.

    Raises:
        SettingsError: It is neither that nor HTTPS.
    """
    try:
        parts = urlsplit(endpoint)
        host = parts.hostname or ""
    except ValueError as error:
        raise SettingsError(reason=f"blobs.s3_endpoint: {error}") from error
    if host and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host))):
        return parts.scheme == "http"
    raise SettingsError(reason="blobs.s3_endpoint: https:// only, or http:// to this machine")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
