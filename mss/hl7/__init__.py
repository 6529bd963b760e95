"""The door for hospital software that speaks HL7 v2 (docs/hl7.md, docs/adr/0026).

Requests come in over MLLP or HTTP and leave as letters; what becomes of them goes back as messages,
and so do the documents that arrive in an application mailbox.
"""
