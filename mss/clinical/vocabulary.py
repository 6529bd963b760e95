"""Look up national codes: types of documents, their models, formats, classes and sections.

The lists live in `data/*.toml`, each with its source and date; they are read once. A code that no
list knows is not an error here: the lists of others may be newer than ours.

Errors
    None for codes read from outside (`find_…` returns `None`); `KeyError` for a name of ours that
    does not exist, which is a mistake in the program.
Sources
    ANS, Nomenclature des objets de santé (terminologies TRE, value sets JDV).
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from mss.clinical.people import Code

FIXED_TEMPLATES = ("2.16.840.1.113883.2.8.2.1", "1.2.250.1.213.1.1.1.1")
"""What every French document declares first: HL7 France, then the national minimal header."""

UNSTRUCTURED_TEMPLATE = "1.3.6.1.4.1.19376.1.2.20"


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentType:
    """One typeCode, with the class of documents that it belongs to, if that is known."""

    code: Code
    document_class: Code | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentModel:
    """One model of structured documents.

    Attributes:
        types: The types that may use it; none: any.
        formats: The format to write, then others that are accepted; none in a family of models
            whose formats share a prefix.
    """

    template: str
    name: str
    types: tuple[str, ...]
    formats: tuple[Code, ...]
    format_prefix: str = ""

    def accepts(self, format_code: str) -> bool:
        """Tell whether the metadata of such a document may carry this format."""
        if self.format_prefix and format_code.startswith(self.format_prefix):
            return True
        return any(one.code == format_code for one in self.formats)


@dataclass(frozen=True, slots=True, kw_only=True)
class SectionModel:
    """One kind of section of a discharge letter."""

    code: Code
    title: str
    templates: tuple[str, ...]


def find_type(code: str) -> DocumentType | None:
    """Find a document type by its code."""
    return document_types().get(code)


def find_class(type_code: str) -> Code | None:
    """Find the class of documents that a type belongs to."""
    known = find_type(type_code)
    if known is not None:
        return known.document_class
    former = _table("document_types")["former"].get(type_code)
    return _class(former) if former else None


def find_model(templates: tuple[str, ...]) -> DocumentModel | None:
    """Find the model among the templates that a document declares; the last one known wins."""
    return next(filter(None, map(_find_one_model, reversed(templates))), None)


def is_format_wrong(format_code: str, *, templates: tuple[str, ...], media_type: str) -> bool:
    """Tell whether a format contradicts the model, or the media type of a body in one file.

    What no table knows is not wrong.
    """
    if media_type:
        known = find_unstructured_format(media_type)
        return known is not None and known.code != format_code
    model = find_model(templates)
    return model is not None and not model.accepts(format_code)


def find_unstructured_format(media_type: str) -> Code | None:
    """Find the format code of a document whose body is one file of this media type."""
    row = _media_types().get(media_type.lower())
    if row is None:
        return None
    return Code(row["format"], _table("document_models")["unstructured"]["system"], row["display"])


def find_body_kind(media_type: str) -> str | None:
    """Find the short name of a media type: `pdf`, `text`, `jpeg`, `rtf` or `tiff`."""
    row = _media_types().get(media_type.lower())
    return row["body"] if row else None


@cache
def document_types() -> dict[str, DocumentType]:
    """List all document types by code."""
    table = _table("document_types")
    systems = table["systems"]
    return {
        code: DocumentType(
            code=Code(code, systems[row["system"]], row["display"]),
            document_class=_class(row["class"]) if row["class"] else None,
        )
        for code, row in table["types"].items()
    }


@cache
def document_models() -> dict[str, DocumentModel]:
    """List all models of structured documents by template."""
    table = _table("document_models")
    return {
        template: DocumentModel(
            template=template,
            name=row["name"],
            types=tuple(row["types"]),
            formats=tuple(Code(one, table["system"], row["display"]) for one in row["formats"]),
        )
        for template, row in table["models"].items()
    }


def section(name: str) -> SectionModel:
    """Get a section model of the discharge letter by our name for it."""
    table = _table("sections")
    row = table["sections"][name]
    return SectionModel(
        code=Code(row["code"], table["system"], row["display"]),
        title=row["title"],
        templates=tuple(row["templates"]),
    )


def code(value_set: str, value: str) -> Code:
    """Get a code of one of the short lists, with its label."""
    table = _table("codes")[value_set]
    return Code(value, table["system"], table[value])


def codes(value_set: str) -> Mapping[str, str]:
    """List one of the short lists: code to label."""
    return {name: text for name, text in _table("codes")[value_set].items() if name != "system"}


def is_facility(code: Code) -> bool:
    """Tell whether a code is a kind of facility (JDV_J02)."""
    return _is_listed(code, "facilities") or _is_listed(code, "general")


def is_practice_setting(code: Code) -> bool:
    """Tell whether a code is a practice setting (JDV_J04)."""
    return _is_listed(code, "practice_settings") or _is_listed(code, "general")


def is_specialty(code: Code) -> bool:
    """Tell whether a code is a profession or a speciality (JDV_J01)."""
    return find_specialty(code.code, code.system) is not None


def find_specialty(code: str, system: str) -> Code | None:
    """Find a profession or speciality with its official label."""
    rows = _table("specialties").get(system)
    if not isinstance(rows, dict) or code not in rows:
        return None
    return Code(code, system, rows[code])


def label(type_code: Code | None) -> str:
    """Say what a document is, in French: the official label, else the one it brought along."""
    if type_code is None:
        return "Document"
    known = find_type(type_code.code)
    return known.code.display if known else type_code.display or "Document"


def _is_listed(one: Code, value_set: str) -> bool:
    table = _table("codes")[value_set]
    return one.code in codes(value_set) and one.system in {"", table["system"]}


def _find_one_model(template: str) -> DocumentModel | None:
    exact = document_models().get(template)
    if exact is not None:
        return exact
    for prefix, row in _table("document_models")["families"].items():
        if template.startswith(prefix):
            return DocumentModel(
                template=template,
                name=row["name"],
                types=tuple(row["types"]),
                formats=(),
                format_prefix=row["format_prefix"],
            )
    return None


def _class(value: str) -> Code:
    table = _table("document_types")
    return Code(value, table["systems"]["class"], table["classes"][value])


def _media_types() -> dict[str, dict[str, str]]:
    rows: dict[str, dict[str, str]] = _table("document_models")["unstructured"]["media_types"]
    return rows


@cache
def _table(name: str) -> dict:  # type: ignore[type-arg]  # a TOML table has no narrower type
    text = files("mss.clinical").joinpath("data", f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
