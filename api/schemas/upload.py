"""Uploads on the wire, beside the fields of tus in the header."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from api.schemas.wire import View


class UploadOut(View):
    """A file on its way to a message."""

    id: Annotated[str, Field(examples=["0192f0c5a1b27c3d8e4f5a6b7c8d9e0f"])]
    filename: Annotated[str, Field(examples=["scanner-thoracique.zip"])]
    content_type: Annotated[str, Field(examples=["application/zip"])]
    size_octets: Annotated[int, Field(examples=[734003200])]
    offset_octets: int = Field(
        description="How many have arrived and are kept.", examples=[1048576]
    )
    is_complete: bool
    created_at: datetime
    expires_at: datetime = Field(description="When it is removed, unless it is in a draft.")
