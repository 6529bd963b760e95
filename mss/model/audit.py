"""What the journal records: a catalogue of event names, permanent and kebab-case.

An event carries facts that help an administrator or an auditor: identifiers, domains, codes,
certificate subjects. It never carries a subject line, a document, a patient, a token or a password
(CNIL and FAQ of ANS: author, time, action, answer; never content).
"""

from dataclasses import dataclass
from enum import StrEnum


class AuditName(StrEnum):
    """Every event there is."""

    ACCOUNT_ADDED = "account-added"
    CERTIFICATE_ENDING = "certificate-ending"
    CHAIN_STARTED = "chain-started"
    DELIVERY_DROPPED = "delivery-dropped"
    DELIVERY_FAILED = "delivery-failed"
    DELIVERY_HELD = "delivery-held"
    DELIVERY_RELAYED = "delivery-relayed"
    DELIVERY_REPORTED = "delivery-reported"
    DELIVERY_RETRIED = "delivery-retried"
    DIRECTORY_EXPORTED = "directory-exported"
    DIRECTORY_IMPORTED = "directory-imported"
    DIRECTORY_PUBLISHED = "directory-published"
    HL7_ROUTE_ADDED = "hl7-route-added"
    HL7_ROUTE_REMOVED = "hl7-route-removed"
    KEYS_REFUSED = "keys-refused"
    KEYS_RELOADED = "keys-reloaded"
    LOGIN_REFUSED = "login-refused"
    MAILBOX_CERTIFICATE_CHANGED = "mailbox-certificate-changed"
    MAILBOX_CLOSED = "mailbox-closed"
    MAILBOX_DELEGATED = "mailbox-delegated"
    MAILBOX_OPENED = "mailbox-opened"
    MESSAGE_ACCEPTED = "message-accepted"
    MESSAGE_DELETED = "message-deleted"
    MESSAGE_QUARANTINED = "message-quarantined"
    MESSAGE_READ = "message-read"
    MESSAGE_REFUSED = "message-refused"
    PEER_RECOGNISED = "peer-recognised"
    PEER_REFUSED = "peer-refused"
    QUARANTINE_DROPPED = "quarantine-dropped"
    QUARANTINE_RELEASED = "quarantine-released"
    REVOCATION_REFUSED = "revocation-refused"
    REVOCATION_RENEWED = "revocation-renewed"
    TOKEN_ISSUED = "token-issued"  # noqa: S105 -- the name of an event
    TLS_RELOADED = "tls-reloaded"
    TLS_REFUSED = "tls-refused"
    TRUST_LIST_LOADED = "trust-list-loaded"
    TRUST_LIST_REFUSED = "trust-list-refused"
    TRUST_LIST_STALE = "trust-list-stale"
    TRUST_LIST_UNREACHABLE = "trust-list-unreachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEvent:
    """One thing that happened, told by facts that may be kept."""

    name: AuditName
    actor: str
    facts: tuple[tuple[str, str], ...] = ()
