"""Tell a national FHIR directory of our mailboxes, by PATCH.

For each mailbox the carriers that may hold it are read first; then one operation inserts, replaces
or deletes, or none if all is as declared. So a call may be repeated, and whoever changed the same
thing in between is not undone. One mailbox is one request: a refusal concerns nobody else.

Shapes
    A personal mailbox hangs on the situation (person and structure) if exactly one is there, else
    on the person; any other on its structure.
Errors
    None out of `export`; trouble is an outcome.
Sources
    ANS, draft guide of the secure mail interface (FHIR PATCH, `ESANTE-API-KEY`); FHIR R4,
    3.1.0.7.3; RFC 9110, 10.2.3 (Retry-After).
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import httpx
import orjson

from directory.fhir import vocabulary
from directory.fhir.contact_points import (
    ContactPointError,
    build_contact_point,
    parse_contact_point,
)
from directory.fhir.records import MailboxRecord
from directory.index_sql import DeclaredMailbox
from directory.model import MailboxKind
from mss.errors import SettingsError
from mss.model.publication import (
    ExportDelayed,
    Exported,
    ExportOutcome,
    ExportRefused,
    MailboxChange,
)
from mss.settings import Settings

MAX_ANSWER_OCTETS: Final = 4 * 1024 * 1024
MAX_PAUSE: Final = timedelta(days=1)
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
_FHIR: Final = "application/fhir+json"
_SERVER_TROUBLE: Final = 500
_UNTOLD: Final = frozenset({401, 408, 429})  # ours to mend, or to wait for: told again later

Search = tuple[str, Mapping[str, str]]


@dataclass(eq=False)
class _DelayError(Exception):
    outcome: ExportDelayed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Carrier:
    """A resource that may hold the mailbox, and the mailbox in it as it stands."""

    path: str
    point: Mapping[str, object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirExporter:
    """Speaks to one FHIR interface.

    Attributes:
        client: Opens a client whose base is the interface, with the key in its headers.
        seconds: Longest wait for one answer.
    """

    client: Callable[[], AbstractAsyncContextManager[httpx.AsyncClient]]
    seconds: float

    async def export(self, changes: Sequence[MailboxChange]) -> Sequence[ExportOutcome]:
        """Tell one mailbox after the other; stop where the server is in trouble."""
        outcomes: list[ExportOutcome] = []
        async with self.client() as client:
            for change in changes:
                outcomes.append(await self._tell(client, change))
                last = outcomes[-1]
                if isinstance(last, ExportDelayed) and last.stops:
                    break
        return outcomes

    async def _tell(self, client: httpx.AsyncClient, change: MailboxChange) -> ExportOutcome:
        try:
            return await self._reconcile(client, change)
        except _DelayError as error:
            return error.outcome
        except (TimeoutError, httpx.TimeoutException):
            return ExportDelayed(reason="timeout")
        except httpx.ConnectError as error:
            is_certificate = "CERTIFICATE_VERIFY_FAILED" in str(error)
            return ExportDelayed(reason="untrusted-server" if is_certificate else "unreachable")
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError):
            return ExportDelayed(reason="broken-off")

    async def _reconcile(self, client: httpx.AsyncClient, change: MailboxChange) -> ExportOutcome:
        mailbox = change.mailbox
        searches = list(_searches(mailbox))
        if not searches:
            return ExportRefused(reason="no-carrier")
        carrier = await self._find(client, searches, str(mailbox.address))
        if carrier is None:
            # The person or the structure may come with a later edition of the national register.
            is_gone = mailbox.is_closed
            delayed = ExportDelayed(reason="carrier-unknown", stops=False)
            return Exported() if is_gone else delayed
        operation = _operation(carrier, mailbox, is_there=change.is_there)
        if operation is None:
            return Exported()
        response = await self._send(client, "PATCH", carrier.path, body=_parameters(operation))
        if response.status_code == httpx.codes.OK:
            return Exported()
        return ExportRefused(reason=_reason(response))

    async def _find(
        self, client: httpx.AsyncClient, searches: Sequence[Search], address: str
    ) -> _Carrier | None:
        """Find who holds the mailbox, or else the first who may."""
        first = None
        for resource, criteria in searches:
            response = await self._send(client, "GET", resource, params=criteria)
            if response.status_code != httpx.codes.OK:
                raise _DelayError(ExportDelayed(reason=_reason(response), stops=False))
            found = list(_matches(response, resource, address))
            holder = next((one for one in found if one.point is not None), None)
            if holder is not None:
                return holder
            if first is None and len(found) == 1:
                first = found[0]
        return first

    async def _send(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> httpx.Response:
        headers = {"Accept": _FHIR} | ({"Content-Type": _FHIR} if body is not None else {})
        request = client.build_request(method, path, params=params, content=body, headers=headers)
        async with asyncio.timeout(self.seconds):
            response = await client.send(request, stream=True)
            try:
                octets = bytearray()
                async for chunk in response.aiter_bytes():
                    octets += chunk
                    if len(octets) > MAX_ANSWER_OCTETS:
                        raise _DelayError(ExportDelayed(reason="answer-too-large", stops=False))
            finally:
                await response.aclose()
        response._content = bytes(octets)  # noqa: SLF001 -- read within a bound, which httpx lacks
        if response.status_code >= _SERVER_TROUBLE or response.status_code in _UNTOLD:
            raise _DelayError(
                ExportDelayed(reason=f"status-{response.status_code}", after=_retry_after(response))
            )
        return response


def _searches(mailbox: DeclaredMailbox) -> Iterator[Search]:
    """Say where the mailbox may hang, the closest first."""
    place = f"{vocabulary.STRUCTURE}|{mailbox.organization_key}"
    if mailbox.holder is None:
        if mailbox.organization_key:
            yield "Organization", {"identifier": place}
        return
    person = f"{vocabulary.PERSON}|{mailbox.holder}"
    if mailbox.organization_key:
        yield (
            "PractitionerRole",
            {"practitioner.identifier": person, "organization.identifier": place},
        )
    yield "Practitioner", {"identifier": person}


def _matches(response: httpx.Response, resource: str, address: str) -> Iterator[_Carrier]:
    """Read the resources of a searchset, as far as this job cares."""
    try:
        bundle = orjson.loads(response.content)
        for entry in bundle.get("entry", []):
            found = entry["resource"]
            if found.get("resourceType") != resource or found.get("active") is False:
                continue
            points = [one for one in found.get("telecom", []) if _is_of(one, address)]
            if not _ID.fullmatch(found["id"]):
                raise ValueError(resource)  # noqa: TRY301 -- one answer for all that is unreadable
            yield _Carrier(path=f"{resource}/{found['id']}", point=points[0] if points else None)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise _DelayError(ExportDelayed(reason="answer-unreadable", stops=False)) from None


def _is_of(point: Mapping[str, object], address: str) -> bool:
    return str(point.get("value", "")).lower() == address.lower()


def _operation(
    carrier: _Carrier, mailbox: DeclaredMailbox, *, is_there: bool
) -> dict[str, object] | None:
    """Say what makes the other side the same; `None` if it is."""
    kind = carrier.path.partition("/")[0]
    quoted = str(mailbox.address).replace("\\", "\\\\").replace("'", "\\'")
    own = f"{kind}.telecom.where(value = '{quoted}')"
    # A mailbox of the liste rouge may be kept from us as well: then what we know of it counts.
    stands = carrier.point is not None or (is_there and mailbox.liste_rouge)
    if mailbox.is_closed:
        return {"type": "delete", "path": own} if stands else None
    wanted = build_contact_point(_record(mailbox))
    if not stands:
        return {"type": "insert", "path": f"{kind}.telecom", "index": 0, "value": wanted}
    if carrier.point is not None and _is_same(carrier.point, wanted):
        return None
    return {"type": "replace", "path": own, "value": wanted}


def _is_same(there: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    try:
        return parse_contact_point(there) == parse_contact_point(wanted)
    except ContactPointError:
        return False


def _record(mailbox: DeclaredMailbox) -> MailboxRecord:
    """Write what a mailbox of its kind may say nationally."""
    is_personal = mailbox.kind is MailboxKind.PER
    is_shared = mailbox.kind in (MailboxKind.ORG, MailboxKind.APP)
    return MailboxRecord(
        address=str(mailbox.address),
        kind=str(mailbox.kind),
        service=mailbox.service if is_shared else "",
        responsible=mailbox.responsible if is_shared else "",
        description="" if is_personal else mailbox.description,
        liste_rouge=mailbox.liste_rouge,
        rank=mailbox.rank,
    )


def _parameters(operation: Mapping[str, object]) -> bytes:
    kinds = {"type": "valueCode", "path": "valueString", "index": "valueInteger"}
    parts = [
        {"name": name, kinds.get(name, "valueContactPoint"): value}
        for name, value in operation.items()
    ]
    return orjson.dumps(
        {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": parts}]}
    )


def _reason(response: httpx.Response) -> str:
    """Name a refusal by its status and the code of the first issue; no free text of a server."""
    try:
        code = str(orjson.loads(response.content)["issue"][0]["code"])
    except (ValueError, KeyError, TypeError, IndexError):
        code = ""
    plain = code if code.replace("-", "").isalnum() and len(code) <= 40 else ""
    return f"status-{response.status_code}" + (f" {plain}" if plain else "")


def _retry_after(response: httpx.Response) -> timedelta | None:
    value = response.headers.get("Retry-After", "")
    if not value.isascii() or not value.isdigit() or len(value) > 9:
        return None
    return min(timedelta(seconds=int(value)), MAX_PAUSE)


def build_fhir_exporter(settings: Settings) -> FhirExporter:
    """Build the exporter of an operator.

    Raises:
        SettingsError: There is no address to write to, or it is not HTTPS.
    """
    url = settings.directory.publish_url
    if not url.startswith("https://"):
        raise SettingsError(reason="directory.publish_url must begin with https://")
    key = settings.directory.publish_key
    headers = {} if key is None else {"ESANTE-API-KEY": key.get_secret_value()}
    return FhirExporter(
        client=lambda: httpx.AsyncClient(
            base_url=f"{url.rstrip('/')}/",
            headers=headers,
            verify=_context(settings),
            trust_env=False,
            follow_redirects=False,
            timeout=settings.directory.publish_seconds,
        ),
        seconds=settings.directory.publish_seconds,
    )


def _context(settings: Settings) -> ssl.SSLContext:
    """Trust the roots of the machine, our anchors, and those that the settings name besides."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        for name in (settings.trust.anchors, settings.directory.publish_ca):
            if name and (settings.path(name).exists() or name == settings.directory.publish_ca):
                pem = settings.path(name).read_text(encoding="ascii")
                context.load_verify_locations(cadata=pem)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise SettingsError(reason=f"directory.publish_ca or trust.anchors: {error}") from error
    return context
