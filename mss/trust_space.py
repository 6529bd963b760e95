"""Whom does this operator believe: which certificates, and for which domains?

Two things are held together here: the anchors, issuing certificates and revocation lists that judge
a certificate (`crypto.trust`), and the trust list (liste blanche) that says which certificate
speaks for which domain. A peer must pass both, in either direction. The common name of an
operator's certificate is its mail host, rarely its domain; only the trust list ties them together.

The list in force lies in the database, signature included, so that every process of this operator
sees the same one; `refresh` notices a change cheaply.

Errors
    `PeerNotTrustedError` and its kinds, each with a code of its own; `TrustListMissingError` when
    no list was loaded; `TrustListRefusedError` when a list is not put in force.
Sources
    Référentiel socle MSSanté #1 (liste blanche); RFC 5280; docs/adr/0007.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Final

from crypto import trust, xml_signature
from crypto.certificates import Certificate, parse_certificates
from crypto.crl_index import load_list
from crypto.errors import CryptoError, IndeterminateError, UntrustedError
from crypto.evidence import iter_objects
from directory.address import Domain
from directory.distinguished_name import DistinguishedName
from directory.errors import DirectoryError
from directory.trust_list import (
    ListChange,
    TrustList,
    check_succession,
    compare_lists,
    parse_trust_list,
)
from mss.clock import Clock
from mss.errors import (
    MSSError,
    PeerNotListedError,
    PeerNotTrustedError,
    SettingsError,
    TrustListMissingError,
)
from mss.model.audit import AuditEvent, AuditName
from mss.model.principal import PeerPrincipal
from mss.model.trust import TrustListStatus
from mss.policy.peer import certificate_objection, name_objection
from mss.settings import Settings, TrustSettings
from mss.store import audit, revocation, trust_lists
from mss.store.engine import Connection, Database
from mss.store.revocation import KeptObject

MAX_KNOWN_EVIDENCE = 10_000  # digests that this process remembers having kept
INDEX_FOLDER = "trust/index"  # of large revocation lists; made again when it is lost

MAX_NAMED: Final = 50


@dataclass(eq=False)
class TrustListRefusedError(MSSError):
    """A trust list is not put in force; the last good one stays."""

    code: ClassVar[str] = "trust-list-refused"
    retryable: ClassVar[bool] = False
    public_text: ClassVar[str] = "The trust list is refused; the one in force stays."
    public_text_fr: ClassVar[str] = "La liste blanche est refusée ; celle en vigueur reste."
    next_step: ClassVar[str] = "Check the file, its signer and its date; see docs/operations.md."

    reason: str


@dataclass(slots=True, kw_only=True)
class TrustSpace:
    """The trust of one operator, asked by its doors, its relay and its pipeline."""

    database: Database
    clock: Clock
    settings: TrustSettings
    store: trust.TrustStore
    chain: str
    _list: TrustList | None = field(default=None, init=False)
    _digest: str | None = field(default=None, init=False)
    _kept: set[str] = field(default_factory=set, init=False)

    @property
    def trust_list(self) -> TrustList | None:
        """The list in force, as last seen."""
        return self._list

    def is_trusted_domain(self, domain: str) -> bool:
        """Tell whether the trust list names exactly this domain."""
        return self._list is not None and self._list.lists(domain)

    def profile(self, usage: trust.Usage) -> trust.Profile:
        """Build the rules for one use of a certificate, as the settings want them."""
        standard = trust.Profile(
            usage=usage, revocation=trust.RevocationMode(self.settings.revocation)
        )
        return (
            replace(standard, refused_policies=())
            if self.settings.allow_test_policies
            else standard
        )

    def judge_peer(
        self,
        certificate: Certificate,
        *,
        intermediates: Sequence[Certificate] = (),
        domain: str | None = None,
        host: str,
    ) -> PeerPrincipal:
        """Recognise the operator behind a client certificate.

        Args:
            certificate: What it showed.
            intermediates: What it sent along, hostile until proven.
            domain: The domain that it wants to speak for; `None` for the null sender, which any
                listed operator may use.
            host: Its network address, for the journal.

        Raises:
            PeerNotTrustedError: The certificate does not hold, or is not listed for the domain;
                each reason is a class of its own.
            TrustListMissingError: No list is in force.
        """
        usage = trust.Usage.TLS_CLIENT
        chain, name = self._judge(certificate, intermediates, usage=usage, domain=domain or "")
        domains = self._judge_name(name, domain=domain)
        return PeerPrincipal(
            subject=certificate.subject_text,
            fingerprint=certificate.fingerprint,
            domains=domains,
            host=host,
            serial=f"{certificate.serial:x}",
            issuer=chain.certificates[1].common_name or "" if chain.certificates[1:] else "",
            findings=chain.findings,
        )

    def judge_server(
        self,
        certificate: Certificate,
        *,
        intermediates: Sequence[Certificate] = (),
        domain: str,
        host: str,
    ) -> None:
        """Let pass a server certificate that the trust list allows for *domain*.

        Raises:
            PeerNotTrustedError: It does not hold, or is not listed for that very domain; each
                reason is a class of its own.
            TrustListMissingError: No list is in force.
        """
        del host  # the name of the host proves nothing here; see the module's first paragraph
        usage = trust.Usage.TLS_SERVER
        _, name = self._judge(certificate, intermediates, usage=usage, domain=domain)
        self._judge_name(name, domain=domain)

    def operator_structures(self, domain: str) -> frozenset[str]:
        """List the national structure identifiers (OU) that operate a domain."""
        if self._list is None:
            return frozenset()
        return frozenset(
            unit for name in self._list.names_of(domain) for unit in name.values_of("OU")
        )

    async def keep_evidence(self, chains: Iterable[trust.ValidatedChain]) -> None:
        """Keep what verdicts rest on, so that each can be proven later; once for each octets."""
        if len(self._kept) > MAX_KNOWN_EVIDENCE:
            self._kept.clear()
        new = {
            each.sha256: KeptObject(sha256=each.sha256, kind=each.kind, octets=each.octets)
            for chain in chains
            for each in iter_objects(chain, but=self._kept)
        }
        if new:
            now = self.clock.now()
            await self.database.write(lambda c: revocation.keep(c, new.values(), at=now))
            self._kept.update(new)

    async def refresh(self) -> None:
        """Take up the list in force if another process has changed it."""
        digest = await self.database.read(trust_lists.current_digest)
        if digest is None or digest == self._digest:
            return
        kept = await self.database.survey(trust_lists.find_current)
        if kept is not None:
            # A second of work for the national list: not on the loop that answers peers.
            fresh = await asyncio.to_thread(_read_kept, kept.xml)
            self._list, self._digest = fresh, kept.sha256

    async def status(self) -> TrustListStatus | None:
        """Tell what list is in force and how sure that is; `None` when there is none."""
        kept = await self.database.read(trust_lists.describe_current)
        if kept is None:
            return None
        age = self.clock.now() - kept.loaded_at
        return TrustListStatus(
            sha256=kept.sha256,
            generated_at=kept.generated_at,
            confirmed_at=kept.loaded_at,
            source=kept.source,
            entries=kept.entries,
            domains=len(self._list.domains) if self._list is not None else 0,
            age=age,
            is_stale=age > timedelta(seconds=self.settings.list_stale_seconds),
        )

    async def confirm(self) -> None:
        """Note that the source still publishes the list in force."""
        now = self.clock.now()
        await self.database.write(lambda c: trust_lists.confirm_current(c, at=now))

    async def load(
        self, xml: bytes, *, source: str, is_forced: bool = False, actor: str = "administrator"
    ) -> TrustList:
        """Judge a signed list and put it in force.

        Args:
            xml: The document as published, signature included.
            source: Where it came from, for the journal.
            is_forced: Put it in force although it is older or much shorter than the present one.
            actor: Who wants it, for the journal.

        Raises:
            TrustListRefusedError: Its signature, signer or succession does not hold.
        """
        await self.refresh()
        digest = hashlib.sha256(xml).hexdigest()
        try:
            fresh = await asyncio.to_thread(self._judge_list, xml, is_forced=is_forced)
        except TrustListRefusedError as error:
            name = AuditName.TRUST_LIST_REFUSED
            await self.note(name, actor=actor, reason=error.reason, source=source, sha256=digest)
            raise
        kept = trust_lists.KeptTrustList(
            sha256=digest,
            generated_at=fresh.generated_at,
            loaded_at=self.clock.now(),
            source=source,
            entries=len(fresh.entries),
            xml=xml,
        )
        event = AuditEvent(
            name=AuditName.TRUST_LIST_LOADED,
            actor=actor,
            facts=(
                ("sha256", kept.sha256),
                ("entries", str(kept.entries)),
                ("generated", kept.generated_at.isoformat()),
                ("source", source),
                ("forced", str(is_forced).lower()),
                *_facts_of(compare_lists(self._list, fresh)),
            ),
        )

        def change(connection: Connection) -> None:
            trust_lists.put_in_force(connection, kept)
            audit.append(connection, event, chain=self.chain, at=kept.loaded_at)

        await self.database.write(change)
        self._list, self._digest = fresh, kept.sha256
        return fresh

    def _judge_list(self, xml: bytes, *, is_forced: bool) -> TrustList:
        try:
            signed = xml_signature.verify_enveloped(xml)
            proof = trust.validate(
                signed.signer,
                intermediates=signed.intermediates,
                store=self.store,
                profile=self.profile(trust.Usage.DOCUMENT_SIGNING),
                at=self.clock.now(),
            )
            fresh = parse_trust_list(signed.content)
        except (CryptoError, DirectoryError) as error:
            raise TrustListRefusedError(reason=str(error)) from error
        self._check_signer(proof)
        if self._list is not None and not is_forced:
            found = check_succession(
                self._list, fresh, max_shrink=self.settings.list_shrink_percent / 100
            )
            objections = [one.code for one in found if one.severity == "error"]
            if objections:
                raise TrustListRefusedError(reason=", ".join(objections))
        return fresh

    def _check_signer(self, proof: trust.ValidatedChain) -> None:
        """The signer is known by name and issuer, never by fingerprint: it is renewed."""
        wanted_name = self.settings.list_signer_name
        wanted_unit = self.settings.list_signer_unit
        wanted_issuer = self.settings.list_signer_issuer
        units = [value for kind, value in proof.leaf.subject if kind == "OU"]
        if wanted_name and proof.leaf.common_name != wanted_name:
            raise TrustListRefusedError(reason="signer-name")
        if wanted_unit and units != [wanted_unit]:
            raise TrustListRefusedError(reason="signer-unit")
        if wanted_issuer and proof.certificates[1].common_name != wanted_issuer:
            raise TrustListRefusedError(reason="signer-issuer")

    def _judge(
        self,
        certificate: Certificate,
        intermediates: Sequence[Certificate],
        *,
        usage: trust.Usage,
        domain: str,
    ) -> tuple[trust.ValidatedChain, DistinguishedName]:
        try:
            chain = trust.validate(
                certificate,
                intermediates=intermediates,
                store=self.store,
                profile=self.profile(usage),
                at=self.clock.now(),
            )
            return chain, DistinguishedName.from_rdns(certificate.subject)
        except (UntrustedError, IndeterminateError) as error:
            raise certificate_objection(error, domain=domain) from error
        except DirectoryError as error:
            raise PeerNotTrustedError(domain=domain, reason="certificate-name") from error

    def _judge_name(self, name: DistinguishedName, *, domain: str | None) -> frozenset[str]:
        """Let a name pass that is listed for a domain, or for any; gives all its domains."""
        listed = self._require_list()
        domains = listed.domains_of(name)
        if domain is None:
            if not domains:
                raise PeerNotListedError(domain="", reason="name-unknown")
            return domains
        objection = name_objection(
            name,
            domain=domain,
            listed=listed.names_of(domain),
            is_listed_elsewhere=bool(domains),
        )
        if objection is not None:
            raise objection
        return domains

    def _require_list(self) -> TrustList:
        if self._list is None:
            raise TrustListMissingError
        return self._list

    async def note(self, name: AuditName, *, actor: str, **facts: str) -> None:
        """Write into the journal what happened to the list or to the certificates."""
        event = AuditEvent(name=name, actor=actor, facts=tuple(facts.items()))
        now = self.clock.now()
        await self.database.write(lambda c: audit.append(c, event, chain=self.chain, at=now))


def load_trust_store(settings: Settings) -> trust.TrustStore:
    """Read anchors, issuing certificates and revocation lists from the home.

    Raises:
        SettingsError: A file is missing or is not what it should be.
    """
    anchors = _certificates(settings.path(settings.trust.anchors), is_required=True)
    intermediates = _certificates(settings.path(settings.trust.intermediates), is_required=False)
    folder = settings.path(settings.trust.crls)
    index = settings.path(INDEX_FOLDER)
    try:
        lists = [
            load_list(file.read_bytes(), folder=index, signers=(*anchors, *intermediates))
            for file in sorted(folder.glob("*.crl"))
        ]
        return trust.TrustStore(anchors, intermediates, lists)
    except (OSError, CryptoError) as error:
        raise SettingsError(reason=f"{folder}: {error}") from error


def _certificates(file: Path, *, is_required: bool) -> tuple[Certificate, ...]:
    if not file.exists() and not is_required:
        return ()
    try:
        return parse_certificates(file.read_bytes())
    except (OSError, CryptoError) as error:
        raise SettingsError(reason=f"{file}: {error}") from error


def _read_kept(xml: bytes) -> TrustList:
    """Read the signed octets of a list that was judged when it was loaded."""
    return parse_trust_list(xml_signature.verify_enveloped(xml).content)


def _facts_of(change: ListChange) -> tuple[tuple[str, str], ...]:
    """Say for the journal what a list changes; of many domains the first ones, and how many."""
    return (
        ("added", str(len(change.added_domains))),
        ("removed", str(len(change.removed_domains))),
        ("added-pairs", str(change.added_pairs)),
        ("removed-pairs", str(change.removed_pairs)),
        ("added-domains", ",".join(change.added_domains[:MAX_NAMED])),
        ("removed-domains", ",".join(change.removed_domains[:MAX_NAMED])),
    )


def parse_domain(text: str) -> Domain:
    """Read a domain that an administrator typed."""
    try:
        return Domain(text)
    except DirectoryError as error:
        raise SettingsError(reason=f"{text!r} is not a domain") from error
