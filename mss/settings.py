"""What an administrator may set, and what each setting means.

One TOML file (`mss.toml` in the home) overridden by `MSS_…` variables, section and key joined by
two underscores: `MSS_LISTEN__MX=0.0.0.0:25`. Read once, frozen; each part of the server receives
its own section. docs/settings.md is generated from this file.

Units
    Sizes in octets, durations in seconds, instants never.
Errors
    `SettingsError` for anything that does not fit, with the key that is wrong.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableVariableError

from mss.errors import SettingsError

SETTINGS_FILE = "mss.toml"
ENV_PREFIX = "MSS_"
# Variables of ours that are no settings: they choose the home, or belong to the demonstration.
OTHER_VARIABLES = frozenset({"MSS_HOME", "MSS_DEMO_EXIT", "MSS_DEMO_PORT_BASE"})


class Section(BaseModel):
    """One section: frozen, and strict about names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DirectorySettings(Section):
    """How the directory is used to route."""

    ask_peer: bool = Field(
        default=True,
        description="When the directory does not know an address (red list, application mailbox), "
        "ask its operator whether it exists before the sender's message is accepted.",
    )
    ask_peer_seconds: float = Field(
        default=5, gt=0, description="Longest wait for that answer; without one, mail is queued."
    )
    search_folder: str = Field(
        default="search",
        description="Folder of the search indexes, one for each directory in force; each machine "
        "that searches has its own, and makes what is missing from the database.",
    )
    sources: tuple[str, ...] = Field(
        default=(),
        description="Addresses (`https://…`) of the national files that are imported by "
        "themselves: activities, mailboxes, FINESS+.",
    )
    refresh_hours: float = Field(
        default=24,
        ge=0,
        description="Age at which the directory in force is renewed from its sources; 0 for never.",
    )
    source_ca: str = Field(
        default="",
        description="Certificates (PEM) that the sources' servers may be certified by, beside the "
        "machine's own and `trust.anchors`: the roots of the IGC-Santé.",
    )
    source_folder: str = Field(
        default="directory-files", description="Folder of the files that were fetched last."
    )
    source_octets: int = Field(
        default=2_147_483_648, gt=0, description="Largest file that is fetched from a source."
    )
    source_seconds: float = Field(
        default=3600, gt=0, description="Longest transfer of one file from a source."
    )
    snapshot_seconds: float = Field(
        default=3600,
        ge=0,
        description="How long the directory before stays readable for those who page through it.",
    )
    fhir_open: bool = Field(
        default=False,
        description="Answer questions under `/fhir` to callers without a key; publishing and "
        "exports need one all the same.",
    )
    fhir_base_url: str = Field(
        default="",
        description="Address that links in FHIR answers begin with (`https://…/fhir`); empty: the "
        "one that the client called.",
    )
    fhir_calls_per_second: float = Field(
        default=17,
        ge=0,
        description="FHIR calls of one key, or of one network without a key, in a second; "
        "0 for no limit.",
    )
    fhir_export_hours: float = Field(
        default=24, gt=0, description="How long the files of a FHIR export can be fetched."
    )
    publishers: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Accounts that may publish any mailbox of some of our domains by FHIR PATCH "
        "(`{his = ['ch-demo.mssante.fr']}`); others, the mailboxes that they manage.",
    )

    ldap_servers: tuple[str, ...] = Field(
        default=(),
        description="Directories of certificates that are asked for a recipient of whom none is "
        "known here: `ldaps://host[:port]`, or `ldap://host[:port]` for StartTLS; tried in order.",
    )
    ldap_base: str = Field(default="", description="Where in these directories to look: base DN.")
    ldap_filter: str = Field(
        default="(mail={address})",
        description="What to look for there; `{address}` stands for the recipient's address.",
    )
    ldap_attributes: tuple[str, ...] = Field(
        default=("userCertificate;binary", "userCertificate", "userSMIMECertificate;binary"),
        min_length=1,
        description="Attributes that hold certificates there.",
    )
    ldap_ca: str = Field(
        default="",
        description="Certificates (PEM) that these servers may be certified by, beside "
        "`trust.anchors`; the authorities of the machine do not count.",
    )
    ldap_user: str = Field(default="", description="DN to log in with there; empty: anonymous.")
    ldap_password: SecretStr | None = Field(default=None, description="Password of that DN.")
    ldap_seconds: float = Field(
        default=5, gt=0, description="Longest wait for them, for all recipients of a message."
    )
    ldap_octets: int = Field(default=1_048_576, ge=1024, description="Largest answer of a server.")
    ldap_found_seconds: float = Field(
        default=86_400,
        gt=0,
        description="Age at which a certificate found there is looked up again.",
    )
    ldap_absent_seconds: float = Field(
        default=3_600, gt=0, description="How long it is believed that there is none."
    )
    publish_to: Literal["", "file", "fhir"] = Field(
        default="",
        description="How the national directory is told of our mailboxes: a `file` in the format "
        "of its extraction, its `fhir` interface (PATCH), or not at all.",
    )
    publish_file: str = Field(
        default="publication/Extraction_Correspondance_MSSante.txt",
        description="The file that `file` writes anew whenever something has changed.",
    )
    publish_url: str = Field(
        default="", description="Base of the FHIR interface that `fhir` writes to (`https://…`)."
    )
    publish_key: SecretStr | None = Field(
        default=None, description="Key (`ESANTE-API-KEY`) for that interface."
    )
    publish_ca: str = Field(
        default="",
        description="Certificates (PEM) that its server may be certified by, beside the machine's "
        "own and `trust.anchors`.",
    )
    publish_seconds: float = Field(
        default=30, gt=0, description="Longest wait for one answer of that interface."
    )


class KeySettings(Section):
    """Private keys: what their files are encrypted under, and the hardware token."""

    password_file: str = Field(
        default="",
        description="File with the password that key files are encrypted under; without it, the "
        "password is derived from the sealing key of the home.",
    )
    module: str = Field(
        default="", description="PKCS #11 library of the hardware token (`/usr/lib/…/lib….so`)."
    )
    token: str = Field(default="", description="Label of the token.")
    pin_file: str = Field(default="", description="File with the PIN of the token.")
    pin: SecretStr | None = Field(
        default=None, description="The PIN itself, for `MSS_KEYS__PIN`; goes before the file."
    )
    warn_days: tuple[Annotated[int, Field(ge=1, le=3650)], ...] = Field(
        default=(60, 30, 7),
        description="Days before the end of a certificate at which the journal and the log warn.",
    )


class DatabaseSettings(Section):
    """Where rows live."""

    url: SecretStr = Field(
        default=SecretStr(""),
        description="`sqlite+aiosqlite:///path` (default: `mss.db` in the home) or "
        "`postgresql+psycopg://user:password@host/name`.",
    )
    pool_size: int = Field(default=10, ge=1, le=200, description="Connections to PostgreSQL.")


class BlobSettings(Section):
    """Where message bodies live."""

    url: str = Field(
        default="",
        description="`file:///folder` (default: `blobs` in the home) or `s3://bucket/prefix`.",
    )
    s3_endpoint: str | None = Field(
        default=None, description="Address of an S3-compatible service, when it is not AWS's own."
    )
    s3_region: str = Field(default="us-east-1", description="Region to sign requests for.")
    s3_access_key: SecretStr | None = Field(default=None, description="S3 access key.")
    s3_secret_key: SecretStr | None = Field(default=None, description="S3 secret key.")
    segment_octets: int = Field(
        default=64 * 1024 * 1024, ge=1024, description="Size at which a segment file is closed."
    )


class ListenSettings(Section):
    """Addresses the doors listen on, `host:port`; empty closes the door."""

    mx: str = Field(default="127.0.0.1:2525", description="Door for other operators (STARTTLS).")
    submission: str = Field(default="127.0.0.1:2587", description="Submission with STARTTLS.")
    submissions: str = Field(default="", description="Submission with TLS from the first octet.")
    imap: str = Field(default="", description="Reserved for the IMAP door.")
    imaps: str = Field(default="", description="Reserved for the IMAP door, TLS from the start.")
    api: str = Field(default="127.0.0.1:2443", description="REST API (HTTPS).")
    admin: str = Field(default="127.0.0.1:2481", description="Administration: metrics, HTTP.")
    mllp: str = Field(default="", description="HL7 v2 of hospital software (MLLP), in clear.")
    mllps: str = Field(default="", description="HL7 v2 of hospital software (MLLP over TLS).")
    processes: int = Field(
        default=0,
        ge=0,
        le=64,
        description="Processes behind the mail doors; 0: one for each core. The API and the worker "
        "are in the first of them.",
    )


class TlsSettings(Section):
    """Certificate and key that the doors show; relative paths start at the home."""

    certificate: str = Field(default="keys/tls.crt", description="PEM, leaf first, then its CA.")
    key: str = Field(default="keys/tls.key", description="PEM private key of that certificate.")
    ask_software: bool = Field(
        default=True,
        description="Ask users' software for a client certificate at the submission doors: "
        "application mailboxes log in with it (EXTERNAL), and tokens may be bound to it.",
    )
    ciphers: str = Field(
        default="", description="OpenSSL cipher string for TLS 1.2; empty for the built-in list."
    )
    watch_seconds: float = Field(
        default=30,
        gt=0,
        description="Pause between two looks at certificate, anchors and trust list by each "
        "process; SIGHUP looks at once.",
    )


class TrustSettings(Section):
    """Whom this operator believes."""

    anchors: str = Field(default="trust/anchors.pem", description="PEM file of root certificates.")
    intermediates: str = Field(
        default="trust/intermediates.pem", description="PEM file of known issuing certificates."
    )
    crls: str = Field(default="trust/crls", description="Folder of revocation lists (.crl).")
    fetch_hosts: tuple[str, ...] = Field(
        default=("igc-sante.esante.gouv.fr", "ocsp.esante.gouv.fr"),
        description="Hosts (`host` or `host:port`) that revocation lists, OCSP answers and issuing "
        "certificates may be fetched from, whatever a certificate says; empty: none is fetched.",
    )
    fetch_every: float = Field(
        default=3600, ge=60, description="Seconds between two visits to a revocation source."
    )
    fetch_seconds: float = Field(
        default=60, gt=0, description="Longest time to fetch one list, answer or certificate."
    )
    fetch_octets: int = Field(
        default=64 * 1024 * 1024,
        ge=1024,
        le=256 * 1024 * 1024,
        description="Largest revocation list.",
    )
    fetch_private: bool = Field(
        default=False,
        description="Also fetch from hosts whose addresses are private or local: for test systems.",
    )
    revocation: Literal["require", "if-known"] = Field(
        default="require",
        description="`require`: a certificate whose revocation status is unknown is not believed.",
    )
    allow_test_policies: bool = Field(
        default=False, description="Believe certificates issued under IGC-Santé's TEST policies."
    )
    list_signer_name: str = Field(
        default="", description="Common name that the trust list's signer must have; empty: any."
    )
    list_signer_issuer: str = Field(
        default="", description="Common name of the CA that must have issued the list's signer."
    )
    list_signer_unit: str = Field(
        default="", description="Structure identifier (OU) of the trust list's signer; empty: any."
    )
    list_shrink_percent: int = Field(
        default=20, ge=0, le=100, description="A new list that lost more domains is refused."
    )
    list_url: str = Field(
        default="",
        description="Where the trust list is polled from (`https://…`); empty: only "
        "`mss trust load`. The national one is "
        "`https://espacedeconfiance.mssante.fr/listeblanchemssante.xml`.",
    )
    list_ca: str = Field(
        default="",
        description="PEM file of more authorities for that server's certificate; without it the "
        "anchors alone count. The authorities of the machine never do.",
    )
    list_poll_seconds: float = Field(default=3600, gt=0, description="Pause between two polls.")
    list_fetch_seconds: float = Field(default=60, gt=0, description="Longest time of one poll.")
    list_octets: int = Field(
        default=32 * 1024 * 1024,
        ge=1024,
        le=64 * 1024 * 1024,
        description="Largest trust list that is fetched.",
    )
    list_stale_seconds: float = Field(
        default=86400,
        gt=0,
        description="Seconds without a confirmation of the list in force, after which an alert is "
        "raised; the list stays in force.",
    )


class LimitSettings(Section):
    """Bounds on what strangers and users may ask for."""

    message_octets: int = Field(
        default=35 * 1024 * 1024, ge=1024, description="Largest message, encoded."
    )
    recipients: int = Field(default=100, ge=1, description="Recipients of one message.")
    parts: int = Field(default=1000, ge=1, description="MIME parts of one message.")
    depth: int = Field(default=20, ge=1, description="Nesting of MIME parts.")
    header_octets: int = Field(default=256 * 1024, ge=1024, description="Header of one message.")
    command_seconds: float = Field(default=300, gt=0, description="Longest wait for a command.")
    handshake_seconds: float = Field(
        default=30, gt=0, description="Longest TLS handshake, from its first octet to its last."
    )
    stranger_seconds: float = Field(
        default=120,
        gt=0,
        description="Longest stay of a client that has neither logged in nor been recognised.",
    )
    data_seconds: float = Field(default=600, gt=0, description="Longest transfer of one message.")
    connections: int = Field(default=500, ge=1, description="Simultaneous connections to a door.")
    connections_per_host: int = Field(
        default=50, ge=1, description="Simultaneous connections from one address."
    )
    unknown_recipients: int = Field(
        default=200,
        ge=1,
        description="Unknown recipients of one operator in an hour; further ones must wait.",
    )
    mailbox_octets: int = Field(
        default=2 * 1024 * 1024 * 1024, ge=1, description="Quota of a new mailbox."
    )
    upload_octets: int = Field(
        default=2 * 1024 * 1024 * 1024,
        ge=1,
        description="Largest file that may be uploaded, in as many requests as it takes; a message "
        "it is attached to is still bounded by `message_octets`.",
    )
    account_upload_octets: int = Field(
        default=4 * 1024 * 1024 * 1024,
        ge=1,
        description="What the uploads of one account may take together until they are sent.",
    )
    mailbox_drafts: int = Field(default=1000, ge=1, description="Drafts in one mailbox.")
    account_messages: int = Field(
        default=100_000, ge=0, description="Messages of one account in an hour; 0: no limit."
    )
    account_recipients: int = Field(
        default=200_000, ge=0, description="Recipients of one account in an hour; 0: no limit."
    )
    peer_messages: int = Field(
        default=500_000, ge=0, description="Messages of one operator in an hour; 0: no limit."
    )
    peer_recipients: int = Field(
        default=1_000_000, ge=0, description="Recipients of one operator in an hour; 0: no limit."
    )
    failed_logins: int = Field(
        default=20,
        ge=1,
        description="Failed logins from one address, or to one account from anywhere new, in "
        "`failed_logins_seconds`; further ones must wait.",
    )
    failed_logins_seconds: float = Field(
        default=300, gt=0, description="Seconds after which failed logins are forgotten."
    )


class ProtectionSettings(Section):
    """What is signed and encrypted."""

    sign: bool = Field(default=True, description="Sign what goes to other operators.")
    without_certificate: Literal["sign-only", "refuse"] = Field(
        default="sign-only",
        description="What to do when no certificate is known to encrypt for the recipient: rely on "
        "the mutually authenticated TLS between operators, or refuse the message.",
    )
    broken_signature: Literal["refuse", "deposit"] = Field(
        default="refuse",
        description="A message whose octets do not match its signature: refuse it (its operator "
        "tells the sender), or deposit it marked.",
    )
    malleable_content: Literal["refuse", "deposit"] = Field(
        default="refuse",
        description="A message encrypted with a cipher that does not authenticate (CBC), without a "
        "signature inside that holds: refuse it as one that cannot be decrypted, or deposit it "
        "marked. Either way the other side cannot tell whether it was decrypted.",
    )
    unlisted_recipient: Literal["mark", "refuse"] = Field(
        default="mark",
        description="A message whose signer lists its recipients, and ours is not among them: it "
        "was passed on by somebody else. Deposit it marked, never as valid; or refuse it.",
    )
    profiles: dict[str, Literal["modern", "compatible", "legacy"]] = Field(
        default_factory=dict,
        description="How to encrypt for a domain or an address, where it must not be found out: "
        "`modern` (AES-256-GCM), `compatible` (AES-256-CBC inside which the letter is signed), "
        "`legacy` (the same, with RSA PKCS #1 v1.5; for single addresses only). From a domain set "
        "to `modern`, content that is not authenticated is not accepted either.",
    )
    triple_wrap: tuple[str, ...] = Field(
        default=(),
        description="Domains for which an encrypted letter is signed a second time, outside.",
    )

    post_quantum_domains: tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")], ...] = Field(
        default=(),
        description="Domains whose letters get a second envelope for ML-KEM keys, so that mail "
        "recorded today stays closed to the computers of tomorrow. Agreed with their operator, "
        "whose certificates are in `trust/post-quantum/<domain>.pem`; nothing is sent without.",
    )

    @field_validator("profiles")
    @classmethod
    def _legacy_is_for_one(cls, value: dict[str, str]) -> dict[str, str]:
        for name, profile in value.items():
            if profile == "legacy" and "@" not in name:
                raise ValueError(f"legacy is for single addresses, and {name!r} is a domain")
        return {name.lower(): profile for name, profile in value.items()}

    @field_validator("triple_wrap", "post_quantum_domains")
    @classmethod
    def _domains_in_lower_case(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.lower() for name in value)


class QueueSettings(Section):
    """How deliveries to other operators are tried."""

    delays: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(60, 300, 900, 1800, 3600, 7200, 14400),
        min_length=1,
        description="Seconds before each further attempt, counted for a destination while it "
        "cannot be reached, else for the letter; the last one repeats until expiry.",
    )
    spread: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Part of a delay by which it may be longer, so that letters which failed "
        "together are not all tried again at one instant.",
    )
    expires_after: float = Field(
        default=2 * 86400, gt=0, description="Seconds after which a delivery is given up."
    )
    delayed_after: float = Field(
        default=4 * 3600, gt=0, description="Seconds after which the sender is told of a delay."
    )
    per_destination: int = Field(
        default=5,
        ge=1,
        description="Simultaneous transfers to one domain, once it has answered; before, one.",
    )
    concurrency: int = Field(
        default=20,
        ge=1,
        description="Simultaneous transfers; a quarter is kept for domains that answer.",
    )
    poll_seconds: float = Field(
        default=1.0, gt=0, description="Longest pause between two looks at the queue."
    )


class RelaySettings(Section):
    """Where the hosts of other domains are."""

    hosts: dict[str, str] = Field(
        default_factory=dict,
        description="Domain to `host:port`, instead of the MX look-up; `*` for all others.",
    )
    port: int = Field(default=25, ge=1, le=65535, description="Port of hosts found by MX.")
    private_hosts: bool = Field(
        default=False,
        description="Connect to hosts found by MX whose address is private or this machine's own. "
        "Hosts of `relay.hosts` may have any address.",
    )
    connect_seconds: float = Field(default=30, gt=0, description="Longest wait to connect.")
    command_seconds: float = Field(default=300, gt=0, description="Longest wait for a reply.")
    data_seconds: float = Field(default=600, gt=0, description="Longest wait after the data.")


class OidcSettings(Section):
    """Identity provider (Pro Santé Connect) whose tokens open mailboxes at every door.

    Each address is its own setting, because providers put them on different hosts and under names
    of their own; what is left empty is taken from the discovery document.
    """

    issuer: str = Field(default="", description="Issuer; empty: no identity provider.")
    discovery_uri: str = Field(
        default="",
        description="Discovery document; empty: the issuer and "
        "`/.well-known/openid-configuration`. Pro Santé Connect names it "
        "`…/.well-known/wallet-openid-configuration`.",
    )
    jwks_uri: str = Field(default="", description="Signing keys; empty: as discovered.")
    introspection_uri: str = Field(
        default="", description="Introspection (RFC 7662); empty: as discovered."
    )
    verification: Literal["signature", "introspection", "both"] = Field(
        default="signature",
        description="How a token is verified: by its signature here, by asking the provider, "
        "or both (a session that was ended is then noticed at once).",
    )
    algorithms: tuple[Literal["RS256", "PS256", "ES256"], ...] = Field(
        default=("RS256",),
        min_length=1,
        description="Signature algorithms of this issuer; a token with another is refused.",
    )
    audiences: tuple[str, ...] = Field(
        default=(), description="A token must name one of these in `aud`; empty: any."
    )
    clients: tuple[str, ...] = Field(
        default=(),
        description="A token must have been issued to one of these (`azp` or `client_id`); "
        "empty: any client of the provider.",
    )
    identity_claim: str = Field(
        default="SubjectNameID", description="Claim that holds the national identifier."
    )
    leeway_seconds: float = Field(
        default=60, ge=0, le=300, description="Difference of clocks that is tolerated."
    )
    session_seconds: float = Field(
        default=4 * 3600,
        gt=0,
        description="Longest use of an SMTP connection after a login by token, which itself is "
        "over after two minutes.",
    )
    certificate_binding: Literal["require", "when-shown"] = Field(
        default="require",
        description="A token bound to a certificate (RFC 8705) is good only with it; "
        "`when-shown` accepts it on connections without a client certificate.",
    )
    client_id: str = Field(default="", description="Our name at the provider, to introspect.")
    client_secret: SecretStr | None = Field(default=None, description="Our secret there.")
    client_certificate: bool = Field(
        default=False, description="Show `tls.certificate` to the provider (mutual TLS)."
    )
    ca_file: str = Field(
        default="", description="PEM file of the provider's authorities; empty: the system's."
    )
    refresh_seconds: float = Field(
        default=600, ge=10, description="Seconds between two looks at the provider's keys."
    )
    keys_kept_seconds: float = Field(
        default=86400, ge=60, description="Longest use of keys that could not be fetched again."
    )
    timeout_seconds: float = Field(
        default=5, gt=0, le=60, description="Longest wait for the provider."
    )
    introspection_kept_seconds: float = Field(
        default=15,
        ge=0,
        le=120,
        description="Seconds for which the provider's answer about a token is remembered, "
        "by the token's digest and in memory only.",
    )


class AntivirusSettings(Section):
    """Virus scanner that speaks ClamAV's protocol; what it finds goes to the quarantine."""

    address: str = Field(
        default="", description="`host:port` or `unix:/path`; empty: nothing is scanned."
    )
    timeout_seconds: float = Field(default=60, gt=0, description="Longest wait for a verdict.")
    max_octets: int = Field(
        default=25 * 1024 * 1024,
        ge=1024,
        description="Larger messages are not sent to the scanner (its `StreamMaxLength`).",
    )
    when_unavailable: Literal["defer", "accept"] = Field(
        default="defer",
        description="When there is no verdict: ask the sender to try again, or accept the "
        "message and note that it was not scanned.",
    )
    when_too_large: Literal["refuse", "accept"] = Field(
        default="accept", description="What becomes of messages above `max_octets`."
    )
    found: Literal["quarantine", "refuse"] = Field(
        default="quarantine", description="What becomes of a message with a virus."
    )


class ContentSettings(Section):
    """What kinds of attachments are welcome."""

    blocked_extensions: tuple[str, ...] = Field(
        default=(),
        description='File name extensions that are not welcome, such as `["exe", "js"]`.',
    )
    blocked_types: tuple[str, ...] = Field(
        default=(), description="Media types that are not welcome; `image/*` for a whole kind."
    )
    blocked: Literal["refuse", "quarantine", "mark"] = Field(
        default="refuse",
        description="What becomes of a message with such an attachment: refused, put aside for "
        "an administrator, or deposited with a warning.",
    )


class DocumentSettings(Section):
    """Health documents: what is refused, and what the deep check uses and may cost.

    The files are those of the ANS and are not shipped; each operator downloads them. The folders
    are read, never written.
    """

    schemas: str = Field(
        default="",
        description="XSD that CDA documents must be valid against: the file `CDA_extended.xsd`, or "
        "the folder that holds it; empty: documents are not checked against a schema.",
    )
    schematrons: str = Field(
        default="",
        description="Folder of the national schematrons (`.sch` with their skeleton beside them, "
        "or compiled `.xsl`); empty: documents are not checked against them.",
    )
    refuse: tuple[str, ...] = Field(
        default=(),
        description="Codes of findings for which a message is refused "
        "(docs/document-findings.md); none by default: a fault of content is told to the reader "
        "and never holds up a letter.",
    )
    test_identities: bool = Field(
        default=False,
        description="The patients are invented ones: an INS given without its authority is of the "
        "test authority, and one of production is remarked upon in letters to be sent and in "
        "documents that arrive. Where they are real, one of test is remarked upon.",
    )
    deep_check_seconds: float = Field(
        default=60, gt=0, le=3600, description="Longest time that one deep check may take."
    )
    deep_check_memory_octets: int = Field(
        default=3 * 1024**3,
        ge=256 * 1024**2,
        description="Memory that the process of the deep check may allocate; the whole national "
        "set needs about one gibibyte.",
    )


class PatientSettings(Section):
    """Exchanges with patients (Mon espace santé)."""

    domain: str = Field(
        default="patient.mssante.fr",
        description="Domain of the patients' mailboxes; empty: patients have none.",
    )
    services: tuple[str, ...] = Field(
        default=("reponse.automatique-test",),
        description="Local parts in that domain that are no patients: robots and services.",
    )
    only_answers: bool = Field(
        default=True,
        description="A patient's mail is taken only as answer to a letter that may be answered.",
    )
    open_to: tuple[str, ...] = Field(
        default=(),
        description="Mailboxes that a patient may write to first (pharmacies).",
    )


class AdministrationSettings(Section):
    """Who may administer over HTTP; commands need no account."""

    accounts: tuple[str, ...] = Field(
        default=(),
        description="Names of the accounts that may use `/v1/admin` on the administration "
        "listener.",
    )


class HL7Settings(Section):
    """Hospital software that speaks HL7 v2; each piece has a route (`mss hl7 route add`)."""

    application: str = Field(
        default="MSS", max_length=180, description="What this server calls itself (MSH-3)."
    )
    facility: str = Field(
        default="", max_length=180, description="Whose it is (MSH-4); empty: the host name."
    )
    product: str = Field(
        default="", description="`X-MSS-NIL` of the letters that it writes; empty: none."
    )
    processing_ids: tuple[Literal["P", "T", "D"], ...] = Field(
        default=("P",),
        min_length=1,
        description="Processing identifiers (MSH-11) whose requests are carried out.",
    )
    strict: bool = Field(
        default=False,
        description="Refuse what the guide forbids and software does all the same: combinations of "
        "masking and destinations that its matrix leaves out, requests without ORC-1, sender or "
        "some of the metadata.",
    )
    client_certificates: Literal["require", "ask", "none"] = Field(
        default="require",
        description="Whether software shows a certificate at `listen.mllps`; a route that names a "
        "certificate is served with it only.",
    )
    networks: tuple[str, ...] = Field(
        default=("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        description="Networks that software may connect from without a certificate.",
    )
    frame_octets: int = Field(
        default=32 * 1024 * 1024, ge=1024, description="Largest message over MLLP."
    )
    connections: int = Field(default=64, ge=1, description="Simultaneous connections over MLLP.")
    idle_seconds: float = Field(
        default=600, gt=0, description="Longest pause between two messages of a connection."
    )
    frame_seconds: float = Field(
        default=60, gt=0, description="Longest time for a message to come in, or an answer to go."
    )
    answer_seconds: float = Field(
        default=60, gt=0, description="Longest wait for the answer of software that we call."
    )
    connect_seconds: float = Field(default=10, gt=0, description="Longest wait to connect to it.")
    delays: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(5, 30, 60, 300, 900),
        min_length=1,
        description="Seconds before each further attempt to reach it; the last one repeats.",
    )
    expires_after: float = Field(
        default=2 * 86400, gt=0, description="Seconds after which a message for it is given up."
    )
    poll_seconds: float = Field(
        default=1.0, gt=0, description="Pause between two looks at what is to be sent."
    )
    tell_failures: bool = Field(
        default=True,
        description="Tell software that a letter did not arrive or was not taken in, even if it "
        "asked for no receipt.",
    )
    results_mailbox: str = Field(
        default="",
        description="Mailbox that is told by ordinary mail when a document that arrived could not "
        "be taken in and its sender asked for no receipt; empty: nobody.",
    )


class RetentionSettings(Section):
    """How long things are kept."""

    evidence: float = Field(
        default=3653 * 86400,
        gt=0,
        description="Seconds for which lists, answers and certificates that a verdict rested on "
        "are kept, so that it can be proven later.",
    )
    duplicates: float = Field(
        default=7 * 86400, gt=0, description="Seconds in which a repeated message is recognised."
    )
    idempotency: float = Field(
        default=86400, gt=0, description="Seconds for which an Idempotency-Key is remembered."
    )
    uploads: float = Field(
        default=86400,
        gt=0,
        description="Seconds after its last octet for which an upload is kept that is in no draft.",
    )
    tracking: float = Field(
        default=366 * 86400,
        gt=0,
        description="Seconds for which a sender may ask what became of a letter; it is told for "
        "longer while the letter lies in a mailbox.",
    )


class Settings(BaseSettings):
    """The whole tree; read it with `load_settings`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_nested_delimiter="__"
    )

    home: Path = Field(description="The folder that relative paths start at; not set in the file.")
    domains: Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        description="The domains whose mailboxes this operator hosts."
    )
    hostname: str = Field(
        default="", description="Name in SMTP greetings; empty: `mta.` and the first domain."
    )
    operator_name: str = Field(default="", description="Name in notifications; empty: host name.")
    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    blobs: BlobSettings = Field(default_factory=BlobSettings)
    listen: ListenSettings = Field(default_factory=ListenSettings)
    tls: TlsSettings = Field(default_factory=TlsSettings)
    keys: KeySettings = Field(default_factory=KeySettings)
    directory: DirectorySettings = Field(default_factory=DirectorySettings)
    trust: TrustSettings = Field(default_factory=TrustSettings)
    limits: LimitSettings = Field(default_factory=LimitSettings)
    protection: ProtectionSettings = Field(default_factory=ProtectionSettings)
    queue: QueueSettings = Field(default_factory=QueueSettings)
    relay: RelaySettings = Field(default_factory=RelaySettings)
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    antivirus: AntivirusSettings = Field(default_factory=AntivirusSettings)
    content: ContentSettings = Field(default_factory=ContentSettings)
    documents: DocumentSettings = Field(default_factory=DocumentSettings)
    patients: PatientSettings = Field(default_factory=PatientSettings)
    administration: AdministrationSettings = Field(default_factory=AdministrationSettings)
    hl7: HL7Settings = Field(default_factory=HL7Settings)
    retention: RetentionSettings = Field(default_factory=RetentionSettings)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 -- the library calls it by these names
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let variables override the file, which arrives as the initial values."""
        return env_settings, init_settings

    @property
    def host_name(self) -> str:
        """The name this operator greets with."""
        return self.hostname or f"mta.{self.domains[0]}"

    @property
    def database_url(self) -> str:
        """The database's address, with the default filled in."""
        return self.database.url.get_secret_value() or f"sqlite+aiosqlite:///{self.home}/mss.db"

    @property
    def blobs_url(self) -> str:
        """The blob store's address, with the default filled in."""
        return self.blobs.url or f"file://{self.home}/blobs"

    def path(self, relative: str) -> Path:
        """Resolve a path of the settings against the home."""
        return self.home / relative


def load_settings(home: Path) -> Settings:
    """Read the settings of a home, variables last.

    Raises:
        SettingsError: There is no settings file, or a key or value does not fit.
    """
    home = home.absolute()
    file = home / SETTINGS_FILE
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(reason=f"{file} does not exist: run `mss init`") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(reason=f"{file}: {error}") from error
    try:
        settings = Settings(**{**values, "home": home})
    except ValidationError as error:
        raise SettingsError(reason=_sentence(error)) from error
    except UnreadableVariableError as error:  # its text names the setting, never the value
        raise SettingsError(reason=f"{error}; lists and sections are written as JSON") from error
    # MSS_HOME says which home is meant when nobody says so, never where another home's files are.
    return settings.model_copy(update={"home": home})


def unknown_variables(environment: dict[str, str] | None = None) -> list[str]:
    """List `MSS_…` variables that no setting answers to: usually a slip of the pen."""
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    names = os.environ if environment is None else environment
    return sorted(
        name
        for name in names
        if name.startswith(ENV_PREFIX)
        and name not in OTHER_VARIABLES
        and name.split("__", 1)[0] not in known
    )


def _sentence(error: ValidationError) -> str:
    """Say which keys are wrong and why, without repeating any value (it may be a secret)."""
    return "; ".join(
        f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}"
        for one in error.errors(include_input=False, include_url=False)
    )
