"""The software on both sides of the story: what a hospital and a practice would write themselves.

It knows nothing of the server but its public doors: SMTP submission (RFC 6409) and the REST API.
"""

import smtplib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from directory.address import MailAddress
from mss.cli.demo.operators import DemoOperator
from mss.cli.demo.stage import StepFailedError
from mss.clinical.sample import Letter
from mss.clock import SystemClock
from mss.mime.addresses import NamedAddress
from mss.mime.build import Attachment, Draft, build_message

PATIENCE_SECONDS = 30
TEXT = """\
Bonjour,

Veuillez trouver ci-joint la lettre de liaison de sortie de votre patiente (document IHE_XDM et \
copie PDF).

Confraternellement,
Service de cardiologie
"""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a server said no."""

    code: int
    text: str


class HospitalSoftware:
    """A hospital's patient record: writes letters, follows what becomes of them."""

    def __init__(self, operator: DemoOperator, anchors: str) -> None:
        self.operator = operator
        self._tls = tls_context(operator, anchors)
        self._http = client(operator, anchors)

    def compose(self, letter: Letter, *, to: str) -> bytes:
        """Write the mail of a letter, read receipt asked for."""
        author = NamedAddress(
            address=MailAddress.parse(self.operator.mailbox),
            display_name=self.operator.display_name,
        )
        draft = Draft(
            author=author,
            to=(NamedAddress(address=MailAddress.parse(to)),),
            subject=letter.subject,
            text=TEXT,
            attachments=(
                Attachment(
                    filename="IHE_XDM.ZIP", content_type="application/zip", octets=letter.archive
                ),
                Attachment(
                    filename=letter.pdf_name, content_type="application/pdf", octets=letter.pdf
                ),
            ),
            disposition_notification_to=(author,),
            mss_fields={**letter.headers, "X-MSS-NIL": "DEMO000001"},
        )
        clock = SystemClock()
        message_id = f"<{clock.new_id()}@{self.operator.domain}>"
        return build_message(draft, message_id=message_id, at=clock.now())

    def submit(self, raw: bytes, *, to: str) -> str | Refusal:
        """Hand a message over by SMTP; gives our identifier of it, or the refusal."""
        with smtplib.SMTP("localhost", self.operator.ports["submission"], timeout=30) as smtp:
            smtp.starttls(context=self._tls)
            smtp.login(self.operator.account, self.operator.password)
            smtp.mail(self.operator.mailbox)
            code, text = smtp.rcpt(to)
            if code >= 400:
                return Refusal(code, text.decode())
            code, text = smtp.data(raw)
            if code >= 400:
                return Refusal(code, text.decode())
            # "2.0.0 <our identifier> accepted": the word that both sides find in their logs.
            return text.decode().split()[1]

    def post(self, raw: bytes) -> dict[str, Any] | httpx.Response:
        """Hand a message over by REST; gives what was accepted, or the refusal."""
        response = self._http.post(
            f"/v1/mailboxes/{self.operator.mailbox}/messages",
            content=raw,
            headers={"Content-Type": "message/rfc822", "Idempotency-Key": SystemClock().new_id()},
        )
        return dict(response.json()) if response.status_code == httpx.codes.ACCEPTED else response

    def stations(self, message_id: str) -> list[str]:
        """Read the timeline of a message's only recipient."""
        response = self._http.get(f"/v1/messages/{message_id}/tracking")
        response.raise_for_status()
        return [event["station"] for event in response.json()["recipients"][0]["events"]]

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()


class PracticeSoftware:
    """A GP's software: reads the mailbox and the documents."""

    def __init__(self, operator: DemoOperator, anchors: str) -> None:
        self.operator = operator
        self._http = client(operator, anchors)

    def inbox(self) -> list[dict[str, Any]]:
        """List the inbox, newest first."""
        return list(self._get(f"{self._mailbox}?folder=inbox").json()["items"])

    def message(self, message_id: str) -> dict[str, Any]:
        """Read one message."""
        return dict(self._get(f"/v1/messages/{message_id}").json())

    def documents(self, message_id: str) -> dict[str, Any]:
        """Read the documents of a message, as the server opened them."""
        return dict(self._get(f"/v1/messages/{message_id}/documents").json())

    def octets(self, path: str) -> bytes:
        """Fetch a part or a document."""
        return self._get(path).content

    def mark_read(self, message_ids: list[str]) -> None:
        """Mark messages as read and send the receipts that their author asked for."""
        response = self._http.patch(
            self._mailbox, json={"ids": message_ids, "add_flags": ["seen"], "send_receipt": True}
        )
        response.raise_for_status()

    def close(self) -> None:
        """Let go of connections."""
        self._http.close()

    @property
    def _mailbox(self) -> str:
        return f"/v1/mailboxes/{self.operator.mailbox}/messages"

    def _get(self, path: str) -> httpx.Response:
        response = self._http.get(path)
        response.raise_for_status()
        return response


def client(operator: DemoOperator, anchors: str) -> httpx.Client:
    """Build an HTTP client that believes the demonstration's root only."""
    return httpx.Client(
        base_url=f"https://localhost:{operator.ports['api']}",
        headers={"Authorization": f"Bearer {operator.token}"},
        verify=tls_context(operator, anchors),
        timeout=30,
        trust_env=False,
    )


def tls_context(operator: DemoOperator, anchors: str) -> ssl.SSLContext:
    """Believe the demonstration's root only, and have the software's own certificate ready."""
    context = ssl.create_default_context(cafile=anchors)
    stem = operator.client_stem
    context.load_cert_chain(stem.with_suffix(".crt"), stem.with_suffix(".key"))
    return context


def await_until(question: Callable[[], bool], otherwise: str) -> None:
    """Ask again and again until it is so, for a bounded time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not question():
        if time.monotonic() > deadline:
            raise StepFailedError(otherwise)
        time.sleep(0.1)
