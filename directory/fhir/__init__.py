"""Speak of the directory in FHIR R4, as the French national directory does.

Values and pure functions: resources as plain dictionaries whose members stand in the order of FHIR
(so that JSON and XML come from the same value), the grammar of searches, and FHIR PATCH. What asks
a database is `directory.index_sql.fhir_…`; what answers HTTP is elsewhere.
"""
