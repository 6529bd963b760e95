"""Check documents against a schema and sets of rules; runs in a process of its own.

Rules are compiled when a document first needs them, and kept. What a rule would quote from the
document is cut out when it is compiled, so that findings hold no value from a document; messages
of the schema are cut likewise.

Errors
    None about a document or the rules: all are findings. `MemoryError` goes to the process.
Sources
    ISO/IEC 19757-3; ISO skeleton (include, expand, SVRL), in three steps.
"""

import os
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from lxml import etree, isoschematron

from mss.clinical import finding
from mss.clinical.cda_read import clinical_document, parse_cda
from mss.clinical.document import BodyKind, CdaDocument, CdaSyntaxError
from mss.clinical.finding import Finding
from mss.clinical.safe_xml import XMLRefusedError, parse_xml
from mss.clinical.svrl import SVRL, parse_svrl
from mss.worker.deep_check.mirror import Mirror, make_mirror
from mss.worker.deep_check.rules import RuleSet, choose, find_rule_sets, find_skeleton

SCHEMA_FILE = "CDA_extended.xsd"
MAX_SCHEMA_ERRORS = 50

_XSL = "http://www.w3.org/1999/XSL/Transform"
_VALUE = re.compile(r"(: |The value |value )'.*' (is not|has a length)")
_NAMESPACE = re.compile(r"\{[^}]*\}")
_ERROR_CODE = re.compile(r"\b[A-Z]{4}\d{4}\b")
_OWN_SKELETON = Path(isoschematron.__file__).parent.joinpath(
    "resources", "xsl", "iso-schematron-xslt1"
)
_OWN_STEPS = ("iso_dsdl_include.xsl", "iso_abstract_expand.xsl", "iso_svrl_for_xslt1.xsl")


class Engine:
    """Holds what was compiled; one document after the other."""

    def __init__(self, *, schemas: Path | None, schematrons: Path | None, workspace: Path) -> None:
        """Prepare the mirrors; nothing is compiled yet.

        Args:
            schemas: `CDA_extended.xsd` or its folder.
            schematrons: The folder of the rules.
            workspace: An empty folder to work in.
        """
        self._notes: list[Finding] = []
        self._schema = self._load_schema(schemas, workspace / "schemas") if schemas else None
        self._rules = _Rules(schematrons, workspace / "rules") if schematrons else None

    def check(self, octets: bytes) -> list[Finding]:
        """Say what schema and rules say about a document."""
        try:
            cda = parse_cda(octets)
            document = clinical_document(octets)
        except CdaSyntaxError as error:
            return [finding.of("document-not-cda", name=error.reason)]
        found = list(self._notes)
        if self._schema is not None:
            found += _against_schema(self._schema, document)
        if self._rules is not None:
            found += self._rules.check(cda, document)
        return found

    def _load_schema(self, source: Path, workspace: Path) -> etree.XMLSchema | None:
        folder = source if source.is_dir() else source.parent
        wanted = SCHEMA_FILE if source.is_dir() else source.name
        try:
            mirror = make_mirror(folder, workspace)
            file = next(one for one in _files(mirror) if one.name.lower() == wanted.lower())
            return etree.XMLSchema(etree.parse(file, etree.XMLParser(no_network=True)))
        except StopIteration:
            reason = "file-missing"
        except (etree.XMLSyntaxError, etree.XMLSchemaParseError):
            reason = "not-a-schema"
        except OSError:
            reason = "folder-unreadable"
        self._notes.append(finding.of("schema-unusable", name=reason))
        return None


def _files(mirror: Mirror) -> list[Path]:
    """The files of a mirror, the outermost first."""
    found = (one for one in mirror.root.rglob("*") if one.is_file())
    return sorted(found, key=lambda one: (len(one.parts), one.name))


def _against_schema(schema: etree.XMLSchema, document: bytes) -> Iterator[Finding]:
    if schema.validate(parse_xml(document)):
        return
    for entry in list(schema.error_log)[:MAX_SCHEMA_ERRORS]:
        yield finding.of(
            "schema-invalid", name=readable_schema_error(entry.message), where=f"line {entry.line}"
        )


def readable_schema_error(message: str) -> str:
    """Take values of the document and long namespaces out of a message of the schema."""
    return _NAMESPACE.sub("", _VALUE.sub(r"\1'…' \2", message)).rstrip(".")[:400]


class _Rules:
    """The sets of a folder, compiled one by one."""

    def __init__(self, source: Path, workspace: Path) -> None:
        self._notes: list[Finding] = []
        self._sets: tuple[RuleSet, ...] = ()
        self._compiled: dict[str, Any] = {}
        try:
            saxonche: Any = import_module("saxonche")  # an extra; only this process needs it
        except ImportError:
            self._notes.append(finding.of("deep-check-unavailable", name="saxonche"))
            return
        self._saxon: Any = saxonche.PySaxonProcessor(license=False)
        self._failure: type[Exception] = saxonche.PySaxonApiError
        try:
            mirror = make_mirror(source, workspace)
        except OSError:
            self._notes.append(finding.of("schematron-unusable", name="folder-unreadable"))
            return
        self._sets = find_rule_sets(mirror)
        self._steps = find_skeleton(mirror)

    def check(self, cda: CdaDocument, document: bytes) -> Iterator[Finding]:
        yield from self._notes
        if not self._sets:
            return
        is_file = cda.body is not BodyKind.STRUCTURED
        common, own = choose(self._sets, cda.header.templates, is_file=is_file)
        if own is None and not is_file:
            yield finding.of("schematron-missing")
        node = self._saxon.parse_xml(xml_text=document.decode("utf-8"))
        for one in (*common, own) if own else common:
            for name in sorted(one.missing):
                yield finding.of("value-set-missing", name=name, where=one.name)
            yield from self._apply(one, node)

    def _apply(self, one: RuleSet, node: object) -> list[Finding]:
        try:
            if one.name not in self._compiled:
                self._compiled[one.name] = self._compile(one)
            report = self._compiled[one.name].transform_to_string(xdm_node=node)
            return parse_svrl(report.encode("utf-8"), rules=one.name)
        except (self._failure, etree.LxmlError, XMLRefusedError, AttributeError, OSError) as error:
            code = _ERROR_CODE.search(str(error))
            return [
                finding.of(
                    "schematron-unusable",
                    name=f"{one.name}: {code[0] if code else type(error).__name__}",
                )
            ]

    def _compile(self, one: RuleSet) -> object:
        """Compile a set into the folder of its source: value sets are found relative to it."""
        text = one.file.read_bytes() if one.is_compiled else self._expand(one.file)
        place = one.file.with_name(f"{one.file.stem}-{os.getpid()}-compiled.xsl")
        place.write_bytes(_without_quotations(text))
        return self._saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(place))

    def _expand(self, file: Path) -> bytes:
        steps = self._steps or tuple(_OWN_SKELETON / name for name in _OWN_STEPS)
        included = self._step(steps[0], source_file=str(file))
        if self._steps is None:  # the skeleton at hand refuses the language that it still can write
            root = etree.fromstring(included.encode("utf-8"))
            root.set("queryBinding", "xslt")
            included = etree.tostring(root, encoding="unicode")
        expanded = self._step(steps[1], xdm_node=self._saxon.parse_xml(xml_text=included))
        compiled = self._step(steps[2], xdm_node=self._saxon.parse_xml(xml_text=expanded))
        return compiled.encode("utf-8")

    def _step(self, sheet: Path, **source: object) -> str:
        compiler = self._saxon.new_xslt30_processor()
        made: str = compiler.compile_stylesheet(stylesheet_file=str(sheet)).transform_to_string(
            **source
        )
        return made


def _without_quotations(sheet: bytes) -> bytes:
    """Let rules speak of the document without quoting it, and in the language they are written in.

    A set compiled by a skeleton for XSLT 1 calls functions of XSLT 2 all the same.
    """
    root = etree.fromstring(sheet)
    for text in root.iter(f"{{{SVRL}}}text", f"{{{SVRL}}}diagnostic-reference"):
        for quoted in list(text.iter(f"{{{_XSL}}}value-of")):
            quoted.set("select", "'…'")
    root.set("version", "2.0")
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)
