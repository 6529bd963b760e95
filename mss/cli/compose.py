"""Build everything, once: the only constructor of adapters.

`open_operator(settings)` yields the services that doors call and the worker that carries mail; when
the block ends everything is closed in the opposite order. The type checker holds the adapters to
the Protocols of `mss/ports.py` here.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from crypto.sealing import Sealer
from directory.address import MailAddress
from directory.index_sql import SearchDesk
from mss.accounts.credentials import Accounts
from mss.accounts.oidc import IdentityProvider, KeyRing
from mss.accounts.provider_client import open_provider_client
from mss.antivirus import build_scanner
from mss.blobs.opening import open_blob_store
from mss.cli.compose_hospital import Hospital, build_hospital
from mss.clinical.check import Environment
from mss.clock import Clock, SystemClock
from mss.ldap.certificates import build_certificate_source
from mss.mailboxes.documents import DocumentDesk
from mss.mailboxes.drafting import Drafting
from mss.mailboxes.drafts import DraftDesk
from mss.mailboxes.fhir import CallRate, FhirDesk
from mss.mailboxes.fhir_export import ExportDesk
from mss.mailboxes.letters import LetterDesk
from mss.mailboxes.lifecycle import Mailboxes
from mss.mailboxes.lookup import DirectoryLookup
from mss.mailboxes.queue import QueueDesk
from mss.mailboxes.reading import Reading
from mss.mailboxes.tracking import TrackingDesk
from mss.mailboxes.uploads import Uploads
from mss.mime.addresses import NamedAddress
from mss.pipeline.accept import Acceptance
from mss.pipeline.certificate_finding import CertificateFinder
from mss.pipeline.commit import Committer
from mss.pipeline.deliver import LATE_CHECK, RENEWAL, Delivering
from mss.pipeline.hygiene import Hygiene
from mss.pipeline.inspection import Inspection
from mss.pipeline.key_files import KeyFiles, load_sealer
from mss.pipeline.notify import Notifier
from mss.pipeline.outcome import OutcomeRecorder
from mss.pipeline.own_keys import KeysInForce
from mss.pipeline.patients import PatientDesk
from mss.pipeline.protect import Protection
from mss.pipeline.quarantine import Quarantine
from mss.pipeline.rates import Rates
from mss.pipeline.record import Recorder
from mss.pipeline.route import Router
from mss.policy.attachments import AttachmentPolicy
from mss.policy.patients import PatientRules
from mss.ports import BlobStore, MailboxExporter, RecipientProbe, Relay
from mss.services import Services
from mss.settings import Settings
from mss.smtp.client import HostFinder, build_relay
from mss.smtp.contexts import RelayTls
from mss.store import migrate
from mss.store.engine import Database, open_database
from mss.telemetry.health import Health
from mss.trust_space import TrustSpace, load_trust_store
from mss.worker.directory_refresh import DirectoryRefresh
from mss.worker.endings import Endings
from mss.worker.fhir_publication import build_fhir_exporter
from mss.worker.jobs import Jobs
from mss.worker.list_fetch import build_fetcher
from mss.worker.list_poll import ListPoll
from mss.worker.loop import Worker
from mss.worker.own_certificates import OwnCertificates
from mss.worker.publication import EVERY as PUBLISHED_EVERY
from mss.worker.publication import FileExporter, Publishing
from mss.worker.revocation import RevocationNews
from mss.worker.schedule import Job, Schedule
from mss.worker.watch import Renewable


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """Everything of one operator that runs.

    Attributes:
        news: What keeps revocation known; each process follows it.
        renewables: What shows certificates, and takes up renewed ones.
        keys: What letters are signed and opened with, and takes up new ones.
        hosts: Finds where mail for a domain goes.
        hospital: What serves hospital software.
    """

    services: Services
    worker: Worker
    database: Database
    blobs: BlobStore
    news: RevocationNews
    renewables: tuple[Renewable, ...]
    keys: KeysInForce
    hosts: HostFinder
    hospital: Hospital


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a command needs that touches rows only: no keys, no doors, no blobs."""

    settings: Settings
    clock: Clock
    database: Database
    accounts: Accounts
    mailboxes: Mailboxes
    trust: TrustSpace
    poll: ListPoll
    directory: DirectoryLookup


@asynccontextmanager
async def open_desk(
    settings: Settings, *, clock: Clock | None = None, database: Database | None = None
) -> AsyncIterator[Desk]:
    """Open the database and what stands on it; a database that is given is closed as well."""
    clock = clock or SystemClock()
    database = database or open_database(
        settings.database_url, pool_size=settings.database.pool_size
    )
    chain = clock.new_id()
    try:
        trust = TrustSpace(
            database=database,
            clock=clock,
            settings=settings.trust,
            store=load_trust_store(settings),
            chain=chain,
        )
        yield Desk(
            settings=settings,
            clock=clock,
            database=database,
            accounts=Accounts(database=database, clock=clock, chain=chain, space=trust),
            mailboxes=Mailboxes(
                database=database,
                clock=clock,
                chain=chain,
                domains=frozenset(settings.domains),
                quota_octets=settings.limits.mailbox_octets,
            ),
            trust=trust,
            poll=ListPoll(
                trust=trust,
                database=database,
                clock=clock,
                settings=settings.trust,
                fetcher=build_fetcher(settings),
            ),
            directory=DirectoryLookup(
                database=database,
                index=SearchDesk(settings.path(settings.directory.search_folder)),
            ),
        )
    finally:
        await database.aclose()


@asynccontextmanager
async def open_operator(
    settings: Settings,
    *,
    clock: Clock | None = None,
    relay: Relay | None = None,
    blobs: BlobStore | None = None,
    database: Database | None = None,
    hosts: HostFinder | None = None,
) -> AsyncIterator[Operator]:
    """Open an operator.

    Args:
        settings: Its settings.
        clock: Another clock than the machine's.
        relay: Another relay than SMTP's.
        blobs: Another blob store than the one that the settings name.
        database: Another database than the one that the settings name; closed at the end.
        hosts: Another way to find the hosts of a domain than the settings' table and MX records.
    """
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(open_desk(settings, clock=clock, database=database))
        desk = replace(desk, accounts=await stack.enter_async_context(_with_provider(desk)))
        await desk.trust.refresh()
        sealer = load_sealer(settings.home)
        keys = KeysInForce(
            KeyFiles(home=settings.home, settings=settings.keys),
            post_quantum_domains=settings.protection.post_quantum_domains,
        )
        if blobs is None:
            blobs = await stack.enter_async_context(
                open_blob_store(settings, clock=desk.clock, sealer=sealer)
            )
        relay_tls = RelayTls(settings)
        smtp_relay = build_relay(settings, trust=desk.trust, tls=relay_tls)
        if hosts is not None:
            smtp_relay = replace(smtp_relay, hosts=hosts)
        stack.push_async_callback(smtp_relay.aclose)
        probe: RecipientProbe | None = smtp_relay if settings.directory.ask_peer else None
        protection = Protection(
            database=desk.database,
            trust=desk.trust,
            keys=keys,
            settings=settings.protection,
            clock=desk.clock,
            finder=_finder(desk),
        )
        acceptance = Acceptance(
            router=Router(
                database=desk.database,
                trust=desk.trust,
                domains=frozenset(settings.domains),
                probe=probe,
            ),
            protection=protection,
            hygiene=_hygiene(desk, blobs, sealer),
            committer=Committer(
                database=desk.database,
                blobs=blobs,
                recorder=Recorder(
                    sealer=sealer,
                    clock=desk.clock,
                    chain=desk.accounts.chain,
                    expires_after=timedelta(seconds=settings.queue.expires_after),
                ),
                clock=desk.clock,
                awake=asyncio.Event(),
            ),
            clock=desk.clock,
            limits=settings.limits,
            host_name=settings.host_name,
        )
        assembled = _assemble(desk, acceptance, blobs, relay or smtp_relay, smtp_relay.hosts)
        yield replace(assembled, renewables=(relay_tls,))


def _hygiene(desk: Desk, blobs: BlobStore, sealer: Sealer) -> Hygiene:
    settings, database, clock = desk.settings, desk.database, desk.clock
    return Hygiene(
        rates=Rates(database=database, clock=clock, limits=settings.limits),
        patients=PatientDesk(database=database, rules=PatientRules(settings=settings.patients)),
        refused_findings=frozenset(settings.documents.refuse),
        environment=_environment(settings),
        inspection=Inspection(
            scanner=build_scanner(settings.antivirus),
            policies=(AttachmentPolicy(settings=settings.content),),
            settings=settings.antivirus,
        ),
        quarantine=Quarantine(
            database=database,
            blobs=blobs,
            sealer=sealer,
            clock=clock,
            chain=desk.accounts.chain,
            host_name=settings.host_name,
            postmaster=_postmaster(settings),
        ),
        trust=desk.trust,
        domains=frozenset(settings.domains),
        host_name=settings.host_name,
    )


def _environment(settings: Settings) -> Environment:
    """Which identities are met here: those of living people, unless the operator says otherwise."""
    return Environment.TEST if settings.documents.test_identities else Environment.PRODUCTION


def _finder(desk: Desk) -> CertificateFinder | None:
    """Look for the certificates of recipients in the directories of the settings, if any."""
    source = build_certificate_source(desk.settings)
    if source is None:
        return None
    return CertificateFinder(
        database=desk.database,
        source=source,
        trust=desk.trust,
        settings=desk.settings.directory,
        clock=desk.clock,
    )


def _postmaster(settings: Settings) -> NamedAddress:
    return NamedAddress(
        address=MailAddress.parse(f"postmaster@{settings.domains[0]}"),
        display_name=settings.operator_name or settings.host_name,
    )


@asynccontextmanager
async def _with_provider(desk: Desk) -> AsyncIterator[Accounts]:
    """Let accounts believe the identity provider of the settings, if they name one."""
    oidc = desk.settings.oidc
    if not oidc.issuer:
        yield desk.accounts
        return
    client = open_provider_client(desk.settings)
    provider = IdentityProvider(
        client=client,
        clock=desk.clock,
        settings=oidc,
        keys=KeyRing(client=client, clock=desk.clock, settings=oidc),
    )
    async with provider.refreshing():
        session = timedelta(seconds=oidc.session_seconds)
        yield replace(desk.accounts, provider=provider, session=session)


def queue_desk(desk: Desk) -> QueueDesk:
    """Build the administrator's desk for the queue."""
    recorder = OutcomeRecorder(
        clock=desk.clock, settings=desk.settings.queue, chain=desk.accounts.chain
    )
    return QueueDesk(database=desk.database, clock=desk.clock, recorder=recorder)


def _assemble(
    desk: Desk, acceptance: Acceptance, blobs: BlobStore, relay: Relay, hosts: HostFinder
) -> Operator:
    settings, database, clock = desk.settings, desk.database, desk.clock
    chain = desk.accounts.chain
    delivering = Delivering(
        database=database,
        blobs=blobs,
        relay=relay,
        clock=clock,
        settings=settings.queue,
        recorder=OutcomeRecorder(clock=clock, settings=settings.queue, chain=chain),
        worker=chain,
        obstacle=acceptance.protection.find_obstacle,
    )
    ending = Endings(
        trust=desk.trust,
        keys=acceptance.protection.keys,
        database=database,
        settings=settings,
        clock=clock,
    )
    sealer, limits = acceptance.committer.recorder.sealer, acceptance.mime_limits
    reading = Reading(
        database=database,
        blobs=blobs,
        sealer=sealer,
        clock=clock,
        limits=limits,
        chain=chain,
        awake=acceptance.committer.awake,
    )
    hospital = build_hospital(
        settings=settings,
        database=database,
        blobs=blobs,
        acceptance=acceptance,
        clock=clock,
        name=chain,
    )
    uploads = Uploads(
        database=database,
        blobs=blobs,
        sealer=sealer,
        clock=clock,
        keep=timedelta(seconds=settings.retention.uploads),
        limit_octets=settings.limits.upload_octets,
        account_octets=settings.limits.account_upload_octets,
    )
    drafting = Drafting(database=database, acceptance=acceptance, clock=clock, uploads=uploads)
    drafts = DraftDesk(
        database=database,
        drafting=drafting,
        sealer=sealer,
        clock=clock,
        limit=settings.limits.mailbox_drafts,
        remember=timedelta(seconds=settings.retention.idempotency),
    )
    services = Services(
        settings=settings,
        clock=clock,
        accounts=desk.accounts,
        acceptance=acceptance,
        delivering=delivering,
        documents=DocumentDesk(
            database=database,
            sealer=sealer,
            reading=reading,
            limits=limits,
            environment=_environment(settings),
        ),
        directory=desk.directory,
        drafting=drafting,
        drafts=drafts,
        letters=LetterDesk(database=database, drafting=drafting, settings=settings),
        fhir=FhirDesk(
            database=database,
            clock=clock,
            settings=settings.directory,
            domains=frozenset(settings.domains),
            chain=chain,
            secret=acceptance.committer.recorder.sealer.secrets(b"fhir-page")[0],
            rate=CallRate(per_second=settings.directory.fhir_calls_per_second),
        ),
        fhir_exports=ExportDesk(
            database=database,
            clock=clock,
            chain=chain,
            folder=settings.home / "exports",
            keep=timedelta(hours=settings.directory.fhir_export_hours),
        ),
        health=Health(
            checks={
                "database": lambda: _check_database(database),
                "trust-list": lambda: _check_trust(desk.trust),
            },
            warnings={
                "trust-list": lambda: _check_age(desk.trust),
                "certificates": ending.check,
            },
        ),
        mailboxes=desk.mailboxes,
        queue=queue_desk(desk),
        reading=reading,
        tracking=TrackingDesk(database=database),
        trust=desk.trust,
        uploads=uploads,
        hospital=hospital.gateway,
    )
    news = RevocationNews(trust=desk.trust, settings=settings)
    worker = Worker(
        delivering=delivering,
        notifier=Notifier(
            database=database,
            blobs=blobs,
            acceptance=acceptance,
            clock=clock,
            host_name=settings.host_name,
            postmaster=_postmaster(settings),
        ),
        schedule=Schedule(
            clock=clock,
            jobs=(
                Job(name="claims", every=RENEWAL, run=delivering.renew),
                Job(name="late", every=LATE_CHECK, run=delivering.look_after_late),
                Job(name="endings", every=timedelta(days=1), run=ending.run),
                Job(name="exports", every=timedelta(hours=1), run=services.fhir_exports.forget),
                Job(name="scheduled", every=timedelta(seconds=5), run=drafts.send_due),
                Job(name="uploads", every=timedelta(minutes=10), run=uploads.forget_expired),
                Job(name="drafts-sent", every=timedelta(hours=1), run=drafts.forget_sent),
                *_publishing(desk, acceptance.protection.keys),
                *_forgetting(acceptance.protection),
                *Jobs(
                    database=database,
                    blobs=blobs,
                    poll=desk.poll,
                    news=news,
                    directory=DirectoryRefresh(database=database, clock=clock, settings=settings),
                    clock=clock,
                    settings=settings,
                ).table(),
            ),
        ),
        settings=settings.queue,
        clock=clock,
        awake=acceptance.committer.awake,
    )
    return Operator(
        services=services,
        worker=worker,
        database=database,
        blobs=blobs,
        news=news,
        renewables=(),
        keys=acceptance.protection.keys,
        hosts=hosts,
        hospital=hospital,
    )


def _publishing(desk: Desk, keys: KeysInForce) -> Iterator[Job]:
    """Publish our certificates here and, as the settings say, our mailboxes nationally."""
    settings = desk.settings
    own = OwnCertificates(
        database=desk.database,
        keys=keys,
        domains=frozenset(settings.domains),
        clock=desk.clock,
    )
    yield Job(name="own-certificates", every=PUBLISHED_EVERY, run=own.run)
    exporter: MailboxExporter
    match settings.directory.publish_to:
        case "file":
            exporter = FileExporter(
                database=desk.database,
                path=settings.path(settings.directory.publish_file),
                domains=frozenset(settings.domains),
            )
        case "fhir":
            exporter = build_fhir_exporter(settings)
        case _:
            return
    publishing = Publishing(database=desk.database, exporter=exporter, clock=desk.clock)
    yield Job(name="publication", every=PUBLISHED_EVERY, run=publishing.run)


def _forgetting(protection: Protection) -> Iterator[Job]:
    """Forget the certificates that were found elsewhere, if anybody looks for them."""
    if protection.finder is not None:
        yield Job(name="certificates", every=timedelta(hours=6), run=protection.finder.forget)


async def _check_database(database: Database) -> str:
    missing = await database.read(migrate.missing_revision)
    return "ok" if missing is None else f"schema is not current: run `mss db upgrade` ({missing})"


async def _check_age(trust: TrustSpace) -> str:
    status = await trust.status()
    if status is None or not status.is_stale:
        return "ok"
    return f"the trust list was not confirmed for {status.age / timedelta(hours=1):.0f} hours"


async def _check_trust(trust: TrustSpace) -> str:
    return "ok" if trust.trust_list is not None else "no trust list: run `mss trust load`"
