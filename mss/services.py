"""What the doors may call: one frozen collection of the server's use cases.

A door (SMTP, HTTP, worker) receives this value, translates its protocol to these calls and the
answers back, and decides nothing. `mss/cli/compose.py` is the only place that builds it.
"""

from dataclasses import dataclass

from mss.accounts.credentials import Accounts
from mss.clock import Clock
from mss.mailboxes.documents import DocumentDesk
from mss.mailboxes.drafting import Drafting
from mss.mailboxes.drafts import DraftDesk
from mss.mailboxes.fhir import FhirDesk
from mss.mailboxes.fhir_export import ExportDesk
from mss.mailboxes.letters import LetterDesk
from mss.mailboxes.lifecycle import Mailboxes
from mss.mailboxes.lookup import DirectoryLookup
from mss.mailboxes.queue import QueueDesk
from mss.mailboxes.reading import Reading
from mss.mailboxes.tracking import TrackingDesk
from mss.mailboxes.uploads import Uploads
from mss.pipeline.accept import Acceptance
from mss.pipeline.deliver import Delivering
from mss.ports import HospitalDesk
from mss.settings import Settings
from mss.telemetry.health import Health
from mss.trust_space import TrustSpace


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The use cases of one operator."""

    settings: Settings
    clock: Clock
    accounts: Accounts
    acceptance: Acceptance
    delivering: Delivering
    documents: DocumentDesk
    directory: DirectoryLookup
    drafting: Drafting
    drafts: DraftDesk
    fhir: FhirDesk
    fhir_exports: ExportDesk
    health: Health
    letters: LetterDesk
    mailboxes: Mailboxes
    queue: QueueDesk
    reading: Reading
    tracking: TrackingDesk
    trust: TrustSpace
    uploads: Uploads
    hospital: HospitalDesk | None = None
