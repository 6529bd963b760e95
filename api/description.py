"""Describe the API to software: the OpenAPI 3.1 document, completed where FastAPI cannot know.

FastAPI describes what it parses itself. Request bodies are read by `api.bodies` (after the caller
is known), so their models are added here, with the shape of problems.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import orjson
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.problems import MethodsAtPath
from api.schemas.draft import SavedDraftIn, SendIn
from api.schemas.letter import LetterIn
from api.schemas.message import MarkRequest
from api.schemas.problem import Problem
from api.schemas.sending import DraftIn, RecipientsIn

SUMMARY: Final = "Secure health mail (MSSanté): mailboxes, messages, documents, directory."
ABOUT: Final = """\
JSON in UTF-8 over HTTPS. Instants are RFC 3339 in UTC; sizes are octets.
Send a token as `Authorization: Bearer …`.
Refusals are `application/problem+json` (RFC 9457) with a permanent `code`.
Lists give `next`, and the same as a `Link` field; hand it back as `cursor`, with the same filters.
Fields may be added to what is received: ignore those that you do not know.
Unknown fields and parameters in what is sent are refused, so that a misspelt one is noticed.
"""
TAGS: Final = (
    {"name": "Mailboxes", "description": "What the caller may open, and the messages inside."},
    {"name": "Messages", "description": "Send; read whole, and part by part."},
    {
        "name": "Drafts",
        "description": "What is still being written: kept, changed by version, sent once, at once "
        "or at its hour.",
    },
    {
        "name": "Uploads",
        "description": "Files of any size, before the message that carries them: tus 1.0.0, "
        "continued where the line broke.",
    },
    {
        "name": "Documents",
        "description": "The health documents of a message: what they are, which replaces which, "
        "and each as XML, PDF or a safe page.",
    },
    {
        "name": "Hospital software",
        "description": "HL7 v2 requests of hospital software; the same as over MLLP.",
    },
    {"name": "Tracking", "description": "What became of what was sent."},
    {"name": "Recipients", "description": "Who can be reached, before sending."},
    {"name": "Directory", "description": "Professionals, structures and their mailboxes."},
    {"name": "Health", "description": "For load balancers and supervisors; no token."},
)
READ_BY_HAND: Final[list[tuple[type[BaseModel], Literal["validation", "serialization"]]]] = [
    (DraftIn, "validation"),
    (LetterIn, "validation"),
    (MarkRequest, "validation"),
    (RecipientsIn, "validation"),
    (SavedDraftIn, "validation"),
    (SendIn, "validation"),
    (Problem, "serialization"),
]
FILE: Final = Path(__file__).with_name("openapi.json")
REFERENCE: Final = "#/components/schemas/{model}"


def describe(app: FastAPI) -> dict[str, Any]:
    """Build the OpenAPI document of an application."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=SUMMARY,
        description=ABOUT,
        routes=app.routes,
        tags=[dict(tag) for tag in TAGS],
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    _, added = models_json_schema(READ_BY_HAND, ref_template=REFERENCE)
    schemas.update(added["$defs"])
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def build_document(app: FastAPI) -> bytes:
    """Build the document as it is committed."""
    return orjson.dumps(describe(app), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def load_document() -> dict[str, Any]:
    """Read the committed document: what is served is what was reviewed, and it costs nothing."""
    document: dict[str, Any] = orjson.loads(FILE.read_bytes())
    return document


def methods_by_path(document: Mapping[str, Any]) -> tuple[MethodsAtPath, ...]:
    """List the methods that each described path answers to; whatever gives also answers HEAD."""
    return tuple(
        MethodsAtPath(
            pattern=re.compile("[^/]+".join(map(re.escape, re.split(r"\{[^}]+\}", path)))),
            methods=frozenset(name.upper() for name in operations)
            | ({"HEAD"} if "get" in operations else set()),
        )
        for path, operations in document["paths"].items()
    )
