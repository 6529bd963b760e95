"""Build what serves hospital software, beside the rest of `mss/cli/compose.py`."""

from dataclasses import dataclass
from datetime import timedelta

from mss.clock import Clock
from mss.hl7.client import Caller
from mss.hl7.courier import Courier
from mss.hl7.gateway import Gateway
from mss.hl7.intake import Intake
from mss.hl7.integration import Integration
from mss.hl7.notices import Notices
from mss.pipeline.accept import Acceptance
from mss.ports import BlobStore
from mss.settings import Settings
from mss.store.engine import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Hospital:
    """What serves hospital software: requests come in, and messages go out."""

    gateway: Gateway
    courier: Courier


def build_hospital(
    *,
    settings: Settings,
    database: Database,
    blobs: BlobStore,
    acceptance: Acceptance,
    clock: Clock,
    name: str,
) -> Hospital:
    """Build it; *name* is that of the process, for what it is busy with."""
    return Hospital(
        gateway=Gateway(
            database=database,
            acceptance=acceptance,
            clock=clock,
            settings=settings.hl7,
            patient_domain=settings.patients.domain,
        ),
        courier=Courier(
            database=database,
            clock=clock,
            settings=settings.hl7,
            caller=Caller(settings=settings),
            notices=Notices(database=database, clock=clock, settings=settings.hl7),
            intake=Intake(
                database=database,
                blobs=blobs,
                clock=clock,
                settings=settings,
                limits=acceptance.mime_limits,
            ),
            integration=Integration(
                database=database,
                blobs=blobs,
                acceptance=acceptance,
                sealer=acceptance.committer.recorder.sealer,
                clock=clock,
                settings=settings.hl7,
            ),
            name=name,
            keep=timedelta(seconds=settings.retention.tracking),
        ),
    )
