"""The FHIR R4 door of the directory, under `/fhir`: HTTP in, resources out.

What it answers is described by itself at `/fhir/metadata`, and for people in docs/fhir.md.
"""
