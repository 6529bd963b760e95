"""Read and write the header fields of the resumable upload protocol.

Errors
    `TusVersionError`; `BadRequestError` for a field that cannot be read; `InvalidFieldsError` for a
    name or type that no attachment may have.
Sources
    tus resumable upload protocol 1.0.0: core, creation, creation-with-upload, expiration,
    checksum, termination.
"""

import binascii
import hashlib
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Final

import pybase64
from pydantic import ValidationError
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import BadRequestError, InvalidFieldsError, TusVersionError
from api.schemas.sending import AttachmentHead
from api.validation import field_errors
from mss.mailboxes.uploads import ALGORITHMS, Checksum, FileName, Upload

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,expiration,checksum,termination"
OCTET_STREAM: Final = "application/offset+octet-stream"
PATH: Final = "/v1/uploads"
MAX_METADATA: Final = 4096
_MAX_DIGITS: Final = 18


class TusFraming:
    """Names the version of the protocol in every answer about uploads, refusals included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, its answer framed."""
        if scope["type"] != "http" or not is_about_uploads(scope["path"]):
            await self.app(scope, receive, send)
            return

        async def frame(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Tus-Resumable", VERSION)
            await send(message)

        await self.app(scope, receive, frame)


def is_about_uploads(path: str) -> bool:
    """Tell whether a path is that of uploads, or of one of them."""
    return path == PATH or path.startswith(f"{PATH}/")


def require_version(said: str | None) -> None:
    """Let pass a request of our version of the protocol.

    Raises:
        TusVersionError: It is of another, or does not say.
    """
    if said != VERSION:
        raise TusVersionError


def parse_number(text: str | None) -> int:
    """Read an offset or a length."""
    if text is None or not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise BadRequestError
    return int(text)


def parse_metadata(text: str) -> FileName:
    """Read the name and the type of a file; clients spell them in several ways.

    Other metadata is not kept: nobody reads it.
    """
    if len(text) > MAX_METADATA:
        raise BadRequestError
    said: dict[str, str] = {}
    for pair in filter(None, (one.strip() for one in text.split(","))):
        name, _, value = pair.partition(" ")
        if name in said:
            raise BadRequestError
        said[name] = _decode(value.strip()).decode("utf-8", "replace")
    given = {
        "filename": said.get("filename") or said.get("name"),
        "content_type": said.get("filetype") or said.get("type") or said.get("content_type"),
    }
    wanted = {name: value for name, value in given.items() if value}
    try:
        # A name is needed by the model; one that was not said is left to the draft.
        AttachmentHead.model_validate({"filename": "document", **wanted})
    except ValidationError as error:
        findings = error.errors(include_url=False, include_input=False)
        raise InvalidFieldsError(field_errors(findings, prefix=("Upload-Metadata",))) from None
    return FileName(**wanted)


def parse_checksum(text: str | None) -> Checksum | None:
    """Read what the octets of a request must add up to."""
    if text is None:
        return None
    algorithm, _, value = text.strip().partition(" ")
    if algorithm not in ALGORITHMS:
        raise BadRequestError
    digest = _decode(value.strip())
    if len(digest) != hashlib.new(algorithm).digest_size:
        raise BadRequestError
    return Checksum(algorithm=algorithm, digest=digest)


def abilities(*, limit_octets: int) -> Mapping[str, str]:
    """Say what is spoken here."""
    return {
        "Tus-Version": VERSION,
        "Tus-Max-Size": str(limit_octets),
        "Tus-Extension": EXTENSIONS,
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }


def standing(upload: Upload) -> Mapping[str, str]:
    """Say how far an upload is."""
    return {
        "Upload-Offset": str(upload.offset_octets),
        "Upload-Length": str(upload.size_octets),
        "Upload-Expires": format_datetime(upload.expires_at, usegmt=True),
    }


def _decode(text: str) -> bytes:
    try:
        return pybase64.b64decode(text.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        raise BadRequestError from None
