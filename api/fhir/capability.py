"""Describe the FHIR door: exactly what it does, from the tables that it does it by.

Sources
    FHIR R4, CapabilityStatement; R5, CapabilityStatement.rest.resource.conditionalPatch, as the
    extension that R4 statements use for it.
"""

from typing import Final

from directory.fhir import vocabulary
from directory.fhir.parameters import INCLUDES, PARAMETERS, RESOURCES, REVINCLUDES, Parameter
from directory.fhir.resources import Resource

CONDITIONAL_PATCH: Final = (
    "http://hl7.org/fhir/5.0/StructureDefinition/"
    "extension-CapabilityStatement.rest.resource.conditionalPatch"
)
EXPORT: Final = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export"
DATE: Final = "2026-11-24"
INTERACTIONS: Final = ("read", "search-type", "patch")


def build_statement(base: str) -> Resource:
    """Write the CapabilityStatement of the door whose links begin with *base*."""
    return {
        "resourceType": "CapabilityStatement",
        "language": "fr",
        "status": "active",
        "date": DATE,
        "publisher": "mss",
        "kind": "instance",
        "software": {"name": "mss"},
        "implementation": {
            "description": "Annuaire des professionnels, structures et boîtes aux lettres MSSanté.",
            "url": base,
        },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "patchFormat": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "documentation": "Keyset paging in a fixed state of the directory: follow `next`.",
                "security": {
                    "cors": False,
                    "description": "A key as `ESANTE-API-KEY` or `Authorization: Bearer`.",
                },
                "resource": [_resource(name) for name in RESOURCES],
                "interaction": [{"code": "batch"}, {"code": "search-system"}],
                "operation": [{"name": "export", "definition": EXPORT}],
            }
        ],
    }


def _resource(name: str) -> Resource:
    return {
        "extension": [{"url": CONDITIONAL_PATCH, "valueBoolean": True}],
        "type": name,
        "profile": vocabulary.PROFILE[name],
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned",
        "readHistory": False,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalRead": "full-support",
        "conditionalUpdate": False,
        "conditionalDelete": "not-supported",
        **_includes(name),
        "searchParam": [_parameter(one) for one in PARAMETERS[name].values()],
        "operation": [{"name": "export", "definition": EXPORT}],
    }


def _includes(name: str) -> Resource:
    own = [f"{name}:{reference}" for reference in sorted(INCLUDES[name])]
    others = [f"{source}:{reference}" for source, reference in sorted(REVINCLUDES[name])]
    found: Resource = {}
    if own:
        found["searchInclude"] = ["*", *own]
    if others:
        found["searchRevInclude"] = ["*", *others]
    return found


def _parameter(parameter: Parameter) -> Resource:
    return {
        "name": parameter.name,
        "type": str(parameter.kind),
        "documentation": parameter.text,
    }
