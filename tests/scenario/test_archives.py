"""Each official archive arrives as it left, and the far end reads in it what it says of itself."""

import hashlib
import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from lxml import etree

from tests.support.operators import (
    HOSPITAL,
    PRACTICES,
    Ground,
    Home,
    Pair,
    accepted_id,
    both_operating,
    compose,
)

FOLDER = Path(__file__).parents[2] / ".." / "shared" / "data" / "xdm"
ARCHIVES = sorted(FOLDER.glob("*/IHE_XDM.ZIP"))
RIM = {"rim": "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"}
# Schemes of IHE ITI TF-3, table 4.2.5.2.
TYPE = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
CLASS = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
FORMAT = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
AUTHOR = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
UNIQUE_ID = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
PATIENT_ID = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"


@dataclass(frozen=True, slots=True)
class Described:
    """What a METADATA.XML says of its only document, read here by other means than the server's."""

    document: bytes
    entry: Any

    @classmethod
    def of(cls, archive: bytes) -> "Described":
        """Read the archive with the standard library, the metadata with XPath."""
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            files = {name.rpartition("/")[2]: opened.read(name) for name in opened.namelist()}
        (entry,) = etree.fromstring(files["METADATA.XML"]).iterfind(".//rim:ExtrinsicObject", RIM)
        described = cls(document=b"", entry=entry)
        return cls(document=files[described.slot("URI")], entry=entry)

    def slot(self, name: str) -> str:
        """The first value of a slot."""
        (found,) = self.slots(name)[:1] or ("",)
        return found

    def slots(self, name: str) -> list[str]:
        """Every value of a slot of the document itself."""
        path = f"rim:Slot[@name='{name}']/rim:ValueList/rim:Value/text()"
        return [str(one) for one in self.entry.xpath(path, namespaces=RIM)]

    def code(self, scheme: str) -> str:
        """A code by its classification scheme."""
        path = f"rim:Classification[@classificationScheme='{scheme}']/@nodeRepresentation"
        return str(self.entry.xpath(path, namespaces=RIM)[0])

    def identifier(self, scheme: str) -> str:
        """An external identifier by its scheme."""
        path = f"rim:ExternalIdentifier[@identificationScheme='{scheme}']/@value"
        return str(self.entry.xpath(path, namespaces=RIM)[0])

    def authors(self) -> list[tuple[str, str]]:
        """Family name (or model) and institution of each author, out of the HL7 v2 texts."""
        path = f"rim:Classification[@classificationScheme='{AUTHOR}']"
        found = []
        for author in self.entry.xpath(path, namespaces=RIM):
            values = {
                name: author.xpath(
                    f"string(rim:Slot[@name='{name}']/rim:ValueList/rim:Value)", namespaces=RIM
                ).split("^")
                for name in ("authorPerson", "authorInstitution")
            }
            found.append((values["authorPerson"][1], values["authorInstitution"][0]))
        return found

    def traits(self) -> dict[str, list[str]]:
        """Birth name and given names (PID-5, type L), date (PID-7) and sex (PID-8)."""
        found: dict[str, list[str]] = {}
        for line in self.slots("sourcePatientInfo"):
            name, _, value = line.partition("|")
            found.setdefault(name, value.split("^"))
        return found


@pytest.fixture(params=ARCHIVES, ids=[path.parent.name for path in ARCHIVES])
def archive(request: pytest.FixtureRequest) -> bytes:
    """One of the official archives."""
    path: Path = request.param
    return path.read_bytes()


@pytest.fixture(scope="module")
def homes(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Home]:
    """The homes of these tests."""
    folder = tmp_path_factory.mktemp("archives")
    return ground.copy(HOSPITAL, folder), ground.copy(PRACTICES, folder)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pair(homes: tuple[Home, Home]) -> AsyncIterator[Pair]:
    """Both operators, open for all of these tests."""
    async with both_operating(*homes) as opened:
        yield opened


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.skipif(not ARCHIVES, reason="the official archives are not here")
async def test_an_official_archive_arrives_as_it_says_of_itself(pair: Pair, archive: bytes) -> None:
    """Octets, and every fact of its METADATA.XML, signed, encrypted, relayed and opened."""
    said = Described.of(archive)
    raw = compose(pair.writer.mailbox, pair.reader.mailbox, archive=archive, with_pdf=False)

    before = len(await pair.reader.listed())
    accepted_id(await pair.writer.submit(raw, pair.reader.mailbox))
    item = (await pair.reader.await_inbox(before + 1))[0]

    message = await pair.reader.get(f"/v1/messages/{item['id']}")
    (part,) = [one for one in message["parts"] if one["filename"] == "IHE_XDM.ZIP"]
    assert await pair.reader.octets(part["href"]) == archive
    assert (item["verdict"], item["encrypted"], item["has_documents"]) == ("valid", True, True)
    documents = await pair.reader.get(f"/v1/messages/{item['id']}/documents")
    (document,) = documents["items"]
    assert await pair.reader.octets(document["href"]) == said.document
    assert_same_facts(document, said)


def assert_same_facts(document: dict[str, Any], said: Described) -> None:
    """Compare what the far end shows with what the archive says."""
    assert document["file"] == said.slot("URI")
    assert document["media_type"] == said.entry.get("mimeType")
    assert document["size_octets"] == int(said.slot("size")) == len(said.document)
    assert document["sha1"].lower() == said.slot("hash").lower()
    assert document["sha1"].lower() == hashlib.sha1(said.document).hexdigest()
    assert document["type_code"] == said.code(TYPE)
    assert document["class_code"] == said.code(CLASS)
    assert document["format_code"] == said.code(FORMAT)
    assert document["unique_id"] == said.identifier(UNIQUE_ID)
    assert document["creation_time"] == said.slot("creationTime")

    number, _, assigner = said.identifier(PATIENT_ID).partition("^^^&")
    patient, traits = document["patient"], said.traits()
    assert (patient["ins"], patient["oid"]) == (number, assigner.partition("&")[0])
    assert patient["birth_name"] == traits["PID-5"][0]
    assert patient["given_name"] in traits["PID-5"][1:3]
    assert patient["birth_date"] == traits["PID-7"][0]
    assert patient["sex"] == traits["PID-8"][0]

    assert len(document["authors"]) == len(said.authors())
    for shown, (family, institution) in zip(document["authors"], said.authors(), strict=True):
        assert family in shown["name"]
        assert (shown["organization"] or "") == institution
