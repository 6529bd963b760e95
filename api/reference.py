"""Render the description of the API as pages for people: plain HTML, no script, no outside asset.

Pure: the OpenAPI document in, HTML out. Every text is escaped, whatever its source.

Sources
    OpenAPI 3.1; RFC 9457, 3.1.1 (the `type` of a problem points to its row on this page).
"""

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from api.problems import STATUS_OF_ERROR

Node = Mapping[str, Any]

# What is said of a value beside its type, in these words.
BOUNDS: Final = {
    "minimum": "from",
    "maximum": "to",
    "maxLength": "length up to",
    "maxItems": "items up to",
    "default": "default",
}

STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --link: #0b62a8; }
@media (prefers-color-scheme: dark) { :root { --link: #7cc0ff; } }
body { font: 16px/1.55 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem; }
h1, h2, h3 { line-height: 1.25; } h2 { border-bottom: 1px solid var(--line); margin-top: 3rem; }
h3 { margin-top: 2.2rem; font-weight: 600; overflow-wrap: anywhere; }
a { color: var(--link); } code { font: 0.92em ui-monospace, monospace; }
.method { border: 1px solid var(--line); border-radius: 0.3rem; padding: 0.05rem 0.4rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
caption { text-align: left; font-weight: 600; padding: 0.5rem 0; }
th, td { border-top: 1px solid var(--line); padding: 0.35rem 0.6rem; text-align: left;
  vertical-align: top; }
thead th { background: var(--soft); } nav li { margin: 0.15rem 0; }
"""


def render_front(document: Node) -> str:
    """Render the page at the root of the server."""
    info = document["info"]
    body = [
        f"<h1>{_text(info['title'])}</h1>",
        f"<p>{_text(info['summary'])}</p>",
        '<p><a href="/docs">How to use this interface</a></p>',
    ]
    return _page(info["title"], body)


def render_reference(document: Node) -> str:
    """Render the whole reference on one page."""
    info = document["info"]
    body = [
        f"<h1>{_text(info['title'])} API, version {_text(info['version'])}</h1>",
        f"<p>{_text(info['summary'])}</p>",
        "<ul>",
        *(f"<li>{_text(line)}</li>" for line in info["description"].splitlines()),
        "</ul>",
        '<p>For software: <a href="/openapi.json">OpenAPI 3.1 document</a>.</p>',
        *_contents(document),
        *_resources(document),
        *_shapes(document),
        *_problems(),
    ]
    return _page(f"{info['title']} API", body)


def _page(title: str, body: Iterable[str]) -> str:
    return "\n".join(
        (
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{_text(title)}</title>",
            f"<style>{STYLE}</style></head><body><main>",
            *body,
            "</main></body></html>",
        )
    )


def _operations(document: Node, tag: str) -> Iterator[tuple[str, str, Node]]:
    """List method, path and operation of one chapter, in the order of the document."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation.get("tags", ()):
                yield method.upper(), path, operation


def _contents(document: Node) -> Iterator[str]:
    yield '<nav aria-label="Contents"><h2>Contents</h2><ul>'
    for tag in document["tags"]:
        for method, path, operation in _operations(document, tag["name"]):
            line = f"<code>{method} {_text(path)}</code>"
            yield f'<li><a href="#{operation["operationId"]}">{line}</a></li>'
    yield '<li><a href="#shapes">Shapes</a></li><li><a href="#problems">Problems</a></li>'
    yield "</ul></nav>"


def _resources(document: Node) -> Iterator[str]:
    for tag in document["tags"]:
        operations = list(_operations(document, tag["name"]))
        if operations:
            yield f"<h2>{_text(tag['name'])}</h2><p>{_text(tag['description'])}</p>"
        for method, path, operation in operations:
            yield f'<h3 id="{operation["operationId"]}"><code class="method">{method}</code> '
            yield f"<code>{_text(path)}</code></h3>"
            yield f"<p>{_text(operation.get('description', ''))}</p>"
            yield from _parameters(operation)
            yield from _body(operation)
            yield from _responses(operation)


def _parameters(operation: Node) -> Iterator[str]:
    rows = [
        (
            f"<code>{_text(one['name'])}</code>",
            _text(one["in"]) + (", required" if one.get("required") else ""),
            _type(one["schema"]) + _bounds(one["schema"]),
            _text(one.get("description", one["schema"].get("description", ""))),
        )
        for one in operation.get("parameters", ())
    ]
    yield from _table("Parameters", ("name", "where", "type", "meaning"), rows)


def _body(operation: Node) -> Iterator[str]:
    content = operation.get("requestBody", {}).get("content", {})
    rows = [
        (
            f"<code>{_text(kind)}</code>",
            _type(one["schema"]),
            _text(one["schema"].get("description", "")),
        )
        for kind, one in content.items()
    ]
    yield from _table("Request body", ("media type", "shape", "meaning"), rows)


def _responses(operation: Node) -> Iterator[str]:
    rows = []
    for status, response in sorted(operation["responses"].items()):
        kinds = " ".join(
            f"<code>{_text(kind)}</code> {_type(one['schema'])}"
            for kind, one in response.get("content", {}).items()
        )
        rows.append((status, _text(response["description"]), kinds))
    yield from _table("Answers", ("status", "meaning", "body"), rows)


def _shapes(document: Node) -> Iterator[str]:
    yield '<h2 id="shapes">Shapes</h2>'
    for name, schema in document["components"]["schemas"].items():
        yield f'<h3 id="shape-{_text(name)}"><code>{_text(name)}</code></h3>'
        yield f"<p>{_text(schema.get('description', ''))}</p>"
        if "enum" in schema:
            yield f"<p>{_type(schema)}</p>"
        required = schema.get("required", ())
        rows = [
            (
                f"<code>{_text(field)}</code>" + (" *" if field in required else ""),
                _type(one) + _bounds(one),
                _text(one.get("description", "")),
            )
            for field, one in schema.get("properties", {}).items()
        ]
        yield from _table("Fields (* always there)", ("field", "type", "meaning"), rows)


def _problems() -> Iterator[str]:
    yield '<h2 id="problems">Problems</h2>'
    known = {error.code: (status, error) for error, status in STATUS_OF_ERROR.items()}
    rows = [
        (
            f'<code id="problem-{_text(code)}">{_text(code)}</code>',
            str(status),
            _text(error.public_text) + f'<br><span lang="fr">{_text(error.public_text_fr)}</span>',
            _text(error.next_step),
        )
        for code, (status, error) in sorted(known.items())
    ]
    yield from _table("Codes", ("code", "status", "meaning", "next step"), rows)


def _table(caption: str, heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Render a table of cells that are HTML already; nothing when there is no row."""
    lines = ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows]
    if lines:
        head = "".join(f'<th scope="col">{one}</th>' for one in heads)
        yield f'<div class="scroll"><table><caption>{caption}</caption>'
        yield f"<thead><tr>{head}</tr></thead><tbody>"
        yield from lines
        yield "</tbody></table></div>"


def _type(schema: Node) -> str:
    """Say in a few words what a schema allows."""
    if "$ref" in schema:
        name = _text(schema["$ref"].rpartition("/")[2])
        return f'<a href="#shape-{name}">{name}</a>'
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " or ".join(_type(one) for one in schema[several])
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    if values:
        return " ".join(f"<code>{_text(str(value))}</code>" for value in values)
    return _plain_type(schema)


def _bounds(schema: Node) -> str:
    """Say between which bounds a value lies, and what stands for a missing one."""
    said = [
        f"{word} {_text(orjson.dumps(schema[name]).decode())}"
        for name, word in BOUNDS.items()
        if schema.get(name) not in (None, "", [])
    ]
    return "".join(f", {one}" for one in said)


def _plain_type(schema: Node) -> str:
    match schema:
        case {"type": "array", "items": items}:
            return f"list of {_type(items)}"
        case {"type": "object", "properties": properties}:
            return ", ".join(f"{_text(name)}: {_type(one)}" for name, one in properties.items())
        case {"type": kind}:
            detail = schema.get("format") or schema.get("contentEncoding")
            return f"{kind} ({_text(detail)})" if detail else str(kind)
        case _:
            return "any"


def _text(text: str) -> str:
    """Escape a text, and set what stands between backquotes as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
