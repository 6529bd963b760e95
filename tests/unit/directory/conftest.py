"""A small directory on each engine, with people whose names are known to the tests."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Connection, Engine, create_engine, text

from directory import index_sql, synthetic
from directory.address import MailAddress
from directory.identifiers import FINESS, NationalPersonId
from directory.model import (
    Coded,
    MailboxEntry,
    MailboxKind,
    Organization,
    PostalAddress,
    PracticeRole,
    Practitioner,
    Skill,
)
from directory.search import SearchPage, SearchQuery

AT = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
STAMP = "202611230200"
ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]

PRACTICE = Organization(
    key="R99000000000001",
    name="CABINET DU DR ESSAI-LEROUX",
    technical_id="R99000000000001",
    sector=Coded(code="SA07", label="Cabinet individuel"),
    phone="0199000000",
    address=PostalAddress(
        street="12 Rue DES TILLEULS",
        postcode="69003",
        city="Lyon 3e Arrondissement",
        commune="69383",
        department="69",
        country="France",
    ),
)
HOSPITAL = Organization(
    key="1750000002",
    name="CH DEMO",
    finess=FINESS("750000002"),
    technical_id="",
    address=PostalAddress(
        street="1 Avenue DE LA FICTION", postcode="75099", city="PARIS", department="75"
    ),
)
MEDICINE = Coded(code="10", label="Médecin")
CIVIL = Coded(code="C", label="Civil")
ORDINAL = Coded(code="S", label="Spécialité ordinale")


def a_person(
    number: str,
    family: str,
    given: str,
    *,
    skill: tuple[str, str] = ("SM54", "Médecine générale"),
    place: Organization | None = PRACTICE,
) -> Practitioner:
    """Return a physician, at a place unless told otherwise."""
    role = PracticeRole(
        profession=MEDICINE,
        category=CIVIL,
        mode=Coded(code="L", label="Libéral, indépendant, artisan, commerçant"),
        activity=Coded(code="GENR01", label="Activité standard de soin ou de pharmacien"),
        organization=place,
    )
    return Practitioner(
        national_id=NationalPersonId("8" + number),
        family=family,
        given=given,
        civility="MME",
        title="DR",
        profession=MEDICINE,
        category=CIVIL,
        skills=(Skill(kind=ORDINAL, code=skill[0], label=skill[1]),),
        roles=() if place is None else (role,),
    )


def a_mailbox(
    address: str,
    *,
    kind: MailboxKind | str = MailboxKind.PER,
    holder: Practitioner | None = None,
    place: Organization | None = None,
    service: str = "",
) -> MailboxEntry:
    """Return a mailbox as the national file describes it."""
    return MailboxEntry(
        address=MailAddress.parse(address),
        kind=kind,
        practitioner=holder,
        organization=place,
        service=service,
        paperless="O",
    )


ANNE = a_person("99000000010", "ESSAI-LEROUX", "ANNE")
CARDIOLOGIST = a_person(
    "99000000028", "LE GOFF", "HÉLÈNE", skill=("SM04", "Cardiologie et maladies vasculaires")
)
SWAPPED = a_person("99000000036", "MARTIN", "PAUL", place=HOSPITAL)
HOMONYM = a_person("99000000044", "PAUL", "MARTIN", place=None)
UNREACHABLE = a_person("99000000051", "DUPONT", "ZOÉ", place=None)
PEOPLE = (ANNE, CARDIOLOGIST, SWAPPED, HOMONYM, UNREACHABLE)

ANNE_ADDRESS = "anne.essai-leroux@cabinets-demo.mssante.fr"
WARD_ADDRESS = "sortie.cardiologie@ch-demo.mssante.fr"
MAILBOXES = (
    a_mailbox(ANNE_ADDRESS, holder=ANNE),
    a_mailbox("a.essai-leroux@second-demo.mssante.fr", holder=ANNE),
    a_mailbox("helene.legoff@cabinets-demo.mssante.fr", holder=CARDIOLOGIST),
    a_mailbox("paul.martin@ch-demo.mssante.fr", holder=SWAPPED, place=HOSPITAL),
    a_mailbox("martin.paul@pro-demo.mssante.fr", holder=HOMONYM),
    a_mailbox(WARD_ADDRESS, kind=MailboxKind.ORG, place=HOSPITAL, service="CARDIOLOGIE"),
)


def write_snapshot(
    folder: Path,
    *,
    stamp: str = STAMP,
    people: tuple[Practitioner, ...] = PEOPLE,
    mailboxes: tuple[MailboxEntry, ...] = MAILBOXES,
    others: int = 0,
) -> Path:
    """Write the national files for these people."""
    synthetic.generate(
        folder,
        practitioners=others,
        seed=7,
        stamp=stamp,
        extra_practitioners=people,
        extra_mailboxes=mailboxes,
    )
    return folder


@contextmanager
def open_engine(name: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Engine]:
    """Open an empty database with the tables; on PostgreSQL, in a schema of its own."""
    if name == "sqlite":
        engine = create_engine(f"sqlite:///{folder / 'directory.db'}")
    else:
        url = str(request.getfixturevalue("postgresql_url"))
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        schema = f"directory_{uuid.uuid4().hex}"
        owner = create_engine(url)
        with owner.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        owner.dispose()
        engine = create_engine(url, connect_args={"options": f"-csearch_path={schema}"})
    try:
        with engine.begin() as connection:
            index_sql.create_tables(connection)
        yield engine
    finally:
        engine.dispose()


@pytest.fixture(params=ENGINES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """A connection to a directory that holds nothing yet."""
    with (
        open_engine(request.param, tmp_path, request) as engine,
        engine.connect() as connection,
    ):
        yield connection


@pytest.fixture(scope="package", params=ENGINES)
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    """A connection to the small directory, for reading only."""
    folder = tmp_path_factory.mktemp("filled")
    write_snapshot(folder, others=60)
    with (
        open_engine(request.param, folder, request) as engine,
        engine.connect() as connection,
    ):
        index_sql.import_snapshot(connection, folder, at=AT, search_folder=folder / "search")
        connection.info["desk"] = index_sql.SearchDesk(folder / "search")
        yield connection


def search(connection: Connection, query: SearchQuery) -> SearchPage:
    """Search with the desk of the connection, or with an index made for this question."""
    desk = connection.info.get("desk")
    if isinstance(desk, index_sql.SearchDesk):
        return desk.search(connection, query)
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        return index_sql.SearchDesk(Path(folder), patience=60.0).search(connection, query)
