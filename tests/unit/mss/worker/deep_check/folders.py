"""Write small folders of rules in the shape of the national one."""

from pathlib import Path

LDL_SES = "1.2.250.1.213.1.1.1.29"

_SCHEMA = """\
<schema xmlns="http://purl.oclc.org/dsdl/schematron" queryBinding="xslt2">
 <ns prefix="cda" uri="urn:hl7-org:v3"/>{content}
</schema>
"""
_PATTERN = """\
<pattern xmlns="http://purl.oclc.org/dsdl/schematron" id="{name}">{lets}
 <rule context="cda:ClinicalDocument">{tests}</rule>
</pattern>
"""


def schematron(content: str) -> str:
    """A set of rules."""
    return _SCHEMA.format(content=content)


def pattern(*tests: str, lets: str = "", name: str = "p") -> str:
    """A pattern of rules about the whole document."""
    return _PATTERN.format(name=name, lets=lets, tests="".join(tests))


def rule(test: str, words: str = "broken") -> str:
    """One rule."""
    return f'<assert test="{test}">{words}</assert>'


def write(folder: Path, files: dict[str, str]) -> Path:
    """Write files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder
