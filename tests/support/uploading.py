"""What a tus client does."""

import base64
import hashlib
from typing import Any

import httpx

TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = {"Content-Type": "application/offset+octet-stream"}


def metadata(**said: str) -> str:
    """Write names and types as clients do."""
    return ",".join(
        f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in said.items()
    )


def sha256_of(octets: bytes) -> str:
    """Write a checksum."""
    return "sha256 " + base64.b64encode(hashlib.sha256(octets).digest()).decode()


async def begin(client: httpx.AsyncClient, size: int, **fields: str) -> str:
    """Begin an upload and tell its identifier."""
    answer = await client.post("/v1/uploads", headers=TUS | {"Upload-Length": str(size)} | fields)
    assert answer.status_code == 201, answer.text
    identifier: str = answer.headers["Location"].rpartition("/")[2]
    return identifier


async def patch(
    client: httpx.AsyncClient, upload: str, octets: Any, *, offset: int, **fields: str
) -> httpx.Response:
    """Send octets."""
    headers = TUS | OCTETS | {"Upload-Offset": str(offset)} | fields
    return await client.patch(f"/v1/uploads/{upload}", headers=headers, content=octets)


async def offset_of(client: httpx.AsyncClient, upload: str) -> int:
    """Ask where to go on."""
    answer = await client.head(f"/v1/uploads/{upload}", headers=TUS)
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


async def uploaded(client: httpx.AsyncClient, octets: bytes, **said: str) -> str:
    """Upload a file in one request."""
    named = {"Upload-Metadata": metadata(**said)} if said else {}
    headers = TUS | OCTETS | {"Upload-Length": str(len(octets))} | named
    answer = await client.post("/v1/uploads", headers=headers, content=octets)
    assert answer.status_code == 201, answer.text
    identifier: str = answer.json()["id"]
    return identifier
