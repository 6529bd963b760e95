"""Chapter one: two operators come up, each with its own home, keys, trust, directory and users."""

import asyncio
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from crypto import xml_signature
from crypto.certificates import Certificate
from crypto.issuing import Authority, CertificateProfile, Subject, create_authority
from directory import index_sql, synthetic
from directory.address import Domain, MailAddress
from directory.distinguished_name import DistinguishedName
from directory.identifiers import FINESS, NationalPersonId
from directory.model import (
    Coded,
    MailboxEntry,
    MailboxKind,
    Organization,
    PostalAddress,
    Practitioner,
    Skill,
)
from directory.trust_list import TrustListEntry, build_trust_list
from mss.cli import home
from mss.cli.compose import Desk, open_desk
from mss.cli.demo.stage import Stage, StepFailedError, verify
from mss.cli.directory import import_files
from mss.clock import SystemClock
from mss.model.principal import Right
from mss.settings import load_settings
from mss.store import migrate

READY_SECONDS = 60
PEOPLE = 300
HOSPITAL_DOMAIN = "ch-demo.mssante.fr"
PRACTICES_DOMAIN = "cabinets-demo.mssante.fr"
HOSPITAL_MAILBOX = f"sortie.cardiologie@{HOSPITAL_DOMAIN}"
GP_MAILBOX = f"karim.modele@{PRACTICES_DOMAIN}"
GP_RPPS = "99000000028"
FINESS_HOSPITAL = "750000002"
FINESS_PRACTICES = "690123450"


@dataclass(slots=True, kw_only=True)
class DemoOperator:
    """One operator of the story, and the software that uses it."""

    domain: str
    organization: str
    structure_id: str
    mailbox: str
    kind: MailboxKind
    display_name: str
    account: str
    home: Path
    ports: dict[str, int]
    password: str = ""
    token: str = ""
    reading: Certificate | None = None
    process: subprocess.Popen[str] | None = field(default=None, repr=False)

    @property
    def host_name(self) -> str:
        """The name of its mail host."""
        return f"mta.{self.domain}"

    @property
    def client_stem(self) -> Path:
        """Where its software's certificate (`.crt`) and key (`.key`) are."""
        return self.home.parent / "software" / self.account

    @property
    def subject_name(self) -> DistinguishedName:
        """The subject of its server certificate, as the trust list writes it."""
        return DistinguishedName.parse(
            f"CN={self.host_name},OU={self.structure_id},O={self.organization},ST=Paris (75),C=FR"
        )


@dataclass(slots=True, kw_only=True)
class Operators:
    """Both, and the public roots."""

    hospital: DemoOperator
    practices: DemoOperator
    anchors: Path

    def both(self) -> tuple[DemoOperator, DemoOperator]:
        """Name them in the order of the story."""
        return self.hospital, self.practices

    def stop(self) -> None:
        """End both processes, gracefully first."""
        running = [one.process for one in self.both() if one.process is not None]
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(timeout=10)


def prepare(folder: Path, stage: Stage, *, port_base: int) -> Operators:
    """Make both operators and start them."""
    stage.chapter("Two operators come up")
    now = SystemClock().now()
    operators = _cast(folder, port_base)
    with stage.step(
        "Test PKI issued: root → organisations CA → server, signing, confidentiality, client"
    ):
        authority = create_authority("DEMO ELEMENTAIRE", at=now - timedelta(minutes=5))
        operators.anchors.write_text(authority.anchors_pem, encoding="ascii")
        for one in operators.both():
            _make_home(one, operators, authority, at=now - timedelta(minutes=5))
    with stage.step("Trust list (liste blanche) signed, and both operators are in it"):
        signed = _trust_list(operators, authority, at=now)
        (folder / "liste-blanche.xml").write_bytes(signed)
    with stage.step(f"Directory generated in the national formats: {PEOPLE + 1} invented people"):
        made = _generate_directory(folder / "annuaire", now)
        verify(made.mailbox_count > 1, "no mailboxes were generated")
    for one in operators.both():
        with stage.step(f"{one.domain}: home, keys, trust list, directory, mailbox, account"):
            asyncio.run(_fill(one, operators, signed))
            import_files(load_settings(one.home), (folder / "annuaire",), force=False)
            asyncio.run(_check_filled(one, operators))
    with stage.step("Both servers are ready (SMTP between operators, SMTP for users, REST)"):
        for one in operators.both():
            _start(one)
        for one in operators.both():
            _await_ready(one)
    return operators


def _cast(folder: Path, port_base: int) -> Operators:
    def ports(first: int) -> dict[str, int]:
        names = ("mx", "submission", "api", "admin")
        return {name: first + number for number, name in enumerate(names)}

    return Operators(
        hospital=DemoOperator(
            domain=HOSPITAL_DOMAIN,
            organization="CENTRE HOSPITALIER DE DEMONSTRATION",
            structure_id=f"1{FINESS_HOSPITAL}",
            mailbox=HOSPITAL_MAILBOX,
            kind=MailboxKind.ORG,
            display_name="CH Démonstration - Cardiologie",
            account="dossier-patient",
            home=folder / "ch-demo",
            ports=ports(port_base),
        ),
        practices=DemoOperator(
            domain=PRACTICES_DOMAIN,
            organization="CABINETS DE DEMONSTRATION",
            structure_id=f"1{FINESS_PRACTICES}",
            mailbox=GP_MAILBOX,
            kind=MailboxKind.PER,
            display_name="Dr Karim MODELE",
            account="logiciel-cabinet",
            home=folder / "cabinets-demo",
            ports=ports(port_base + 10),
        ),
        anchors=folder / "anchors.pem",
    )


def _make_home(
    one: DemoOperator, operators: Operators, authority: Authority, *, at: datetime
) -> None:
    """Make a home whose certificates come from the common authority."""
    home.create_home(one.home, settings_text=_settings(one, operators))
    one.reading = home.install_identity(
        one.home,
        authority,
        identity=home.Identity(
            host_name=one.host_name,
            organization=one.organization,
            structure_id=one.structure_id,
        ),
        at=at,
    ).certificate
    # What the software shows when a door asks: the API and submission doors do not ask yet.
    client = authority.issue(
        CertificateProfile.CLIENT,
        Subject(
            common_name=one.account,
            organization=one.organization,
            structure_id=one.structure_id,
        ),
        at=at,
    )
    one.client_stem.parent.mkdir(mode=0o700, exist_ok=True)
    home.install_pair(one.client_stem.parent, one.client_stem.name, client)
    migrate.upgrade(load_settings(one.home).database_url)


def _settings(one: DemoOperator, operators: Operators) -> str:
    """Write the settings: loopback addresses, and where the other operator's door is."""
    other = next(each for each in operators.both() if each is not one)
    return f"""\
domains = ["{one.domain}"]
hostname = "{one.host_name}"
operator_name = "{one.organization}"

[listen]
mx = "127.0.0.1:{one.ports["mx"]}"
submission = "127.0.0.1:{one.ports["submission"]}"
submissions = ""
api = "127.0.0.1:{one.ports["api"]}"
admin = "127.0.0.1:{one.ports["admin"]}"

[documents]
test_identities = true

[relay.hosts]
"{other.domain}" = "127.0.0.1:{other.ports["mx"]}"

[trust]
list_signer_name = "liste-blanche.demo"
"""


def _trust_list(operators: Operators, authority: Authority, *, at: datetime) -> bytes:
    """Write and sign the list that names both operators."""
    listed = build_trust_list(
        generated_at=at,
        entries=[
            TrustListEntry(
                domain=Domain(one.domain),
                name=one.subject_name,
                description=one.organization,
                responsible_contact=f"postmaster@{one.domain}",
                support_contact=f"postmaster@{one.domain}",
                updated_at=at,
            )
            for one in operators.both()
        ],
    )
    signer = authority.issue(
        CertificateProfile.SIGNATURE,
        Subject(common_name="liste-blanche.demo", organization="DEMO", structure_id="1750000002"),
        at=at - timedelta(minutes=5),
    )
    return xml_signature.sign_enveloped(
        listed, private_key=signer.private_key, certificate=signer.certificate
    )


def _generate_directory(folder: Path, at: datetime) -> synthetic.Generated:
    """Write the national files: invented people, and the two mailboxes of the story."""
    practice = Organization(
        key=f"1{FINESS_PRACTICES}",
        name="CABINET MEDICAL DES TILLEULS",
        finess=FINESS.parse(FINESS_PRACTICES),
        address=PostalAddress(
            street="12 place des Tilleuls", postcode="69003", city="69003 LYON", department="69"
        ),
    )
    hospital = Organization(
        key=f"1{FINESS_HOSPITAL}",
        name="CENTRE HOSPITALIER DE DEMONSTRATION",
        finess=FINESS.parse(FINESS_HOSPITAL),
        address=PostalAddress(
            street="1 rue de l'Exemple", postcode="75013", city="75013 PARIS", department="75"
        ),
    )
    gp = Practitioner(
        national_id=NationalPersonId(f"8{GP_RPPS}"),
        family="MODELE",
        given="KARIM",
        civility="M",
        title="DR",
        profession=Coded(code="10", label="Médecin"),
        category=Coded(code="C", label="Civil"),
        skills=(
            Skill(
                kind=Coded(code="S", label="Spécialité ordinale"),
                code="SM54",
                label="Médecine générale",
            ),
        ),
    )
    return synthetic.generate(
        folder,
        practitioners=PEOPLE,
        seed=2026,
        stamp=f"{at:%Y%m%d%H%M}",
        extra_practitioners=[gp],
        extra_mailboxes=[
            MailboxEntry(
                address=MailAddress.parse(GP_MAILBOX),
                kind=MailboxKind.PER,
                practitioner=gp,
                organization=practice,
            ),
            MailboxEntry(
                address=MailAddress.parse(HOSPITAL_MAILBOX),
                kind=MailboxKind.ORG,
                organization=hospital,
                service="CARDIOLOGIE",
            ),
        ],
    )


async def _fill(one: DemoOperator, operators: Operators, signed_list: bytes) -> None:
    """Load the trust list, open the mailbox, give software its account, publish certificates."""
    settings = load_settings(one.home)
    async with open_desk(settings) as desk:
        await desk.trust.load(signed_list, source="liste-blanche.xml")
        address = MailAddress.parse(one.mailbox)
        is_person = one.kind is MailboxKind.PER
        await desk.mailboxes.open(
            address,
            kind=one.kind,
            display_name=one.display_name,
            rpps=GP_RPPS if is_person else None,
            finess=None if is_person else FINESS_HOSPITAL,
        )
        one.password = desk.clock.new_id()[-12:]
        await desk.accounts.add(one.account, password=one.password)
        one.token = await desk.accounts.issue_token(one.account)
        await desk.mailboxes.delegate(address, one.account, frozenset(Right))
        for each in operators.both():
            await _publish(desk, each)


async def _publish(desk: Desk, one: DemoOperator) -> None:
    """Publish the certificate to encrypt with for every mailbox of a domain."""
    certificate = one.reading
    assert certificate is not None, "a home has a confidentiality certificate"
    await desk.database.write(
        lambda c: index_sql.publish_certificate(
            c,
            subject=Domain(one.domain),
            der=certificate.der,
            fingerprint=certificate.fingerprint,
            not_after_at=certificate.not_after_at,
            published_at=desk.clock.now(),
        )
    )


async def _check_filled(one: DemoOperator, operators: Operators) -> None:
    """See that the directory answers with the other operator's mailbox."""
    other = next(each for each in operators.both() if each is not one)
    async with open_desk(load_settings(one.home)) as desk:
        found = await desk.database.read(
            lambda c: index_sql.find_mailbox(c, MailAddress.parse(other.mailbox))
        )
    verify(found is not None, f"the directory of {one.domain} does not know {other.mailbox}")


def _start(one: DemoOperator) -> None:
    """Start `mss serve` as a process of its own; its log goes to the home."""
    log = (one.home / "serve.log").open("w", encoding="utf-8")
    one.process = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
        [sys.executable, "-m", "mss", "--home", str(one.home), "serve", "--processes", "1"],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    log.close()


def _await_ready(one: DemoOperator) -> None:
    """Wait for the line `ready` of a process, for a bounded time."""
    process = one.process
    assert process is not None, "it was started"
    assert process.stdout is not None, "its output is a pipe"
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        readable, _, _ = select.select([process.stdout], [], [], 0.2)
        if readable and process.stdout.readline().startswith("ready"):
            return
        if process.poll() is not None:
            break
    log = (one.home / "serve.log").read_text(encoding="utf-8")[-2000:]
    raise StepFailedError(f"{one.domain} did not start; the end of its log:\n{log}")
