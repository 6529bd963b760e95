"""A certificate found in OpenLDAP, over TLS from the start and by StartTLS."""

import base64
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crypto import tls
from crypto.issuing import CertificateProfile, create_authority
from mss.ldap.client import LdapServer, Login, Question, search
from mss.ldap.filters import parse_filter_text
from tests.support.pki import HOSPITAL, write_pem

pytestmark = [pytest.mark.interop, pytest.mark.slow]
SLAPD = "/usr/sbin/slapd"
CONFIGURATION = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
TLSCertificateFile {folder}/server.crt
TLSCertificateKeyFile {folder}/server.key
security tls=1
database mdb
suffix o=x
directory {folder}/db
"""
ENTRIES = """\
dn: o=x
objectClass: organization
o: x

dn: cn=a,o=x
objectClass: inetOrgPerson
cn: a
sn: a
mail: a@b.fr
userCertificate;binary:: {certificate}
"""


class Slapd:
    """A running server, and what its one entry holds."""

    def __init__(self, folder: Path) -> None:
        at = datetime.now(UTC) - timedelta(hours=1)  # noqa: TID251 -- OpenSSL reads the real clock
        authority = create_authority("LDAP", at=at, key="p256")
        subject = replace(HOSPITAL, dns_names=("localhost",))
        issued = authority.issue(CertificateProfile.SERVER, subject, at=at, key="p256")
        write_pem(folder, issued, "server")
        self.certificate = issued.certificate.der
        self.anchors = "".join(one.pem for one in (*authority.anchors, *authority.intermediates))
        (folder / "db").mkdir()
        self.configuration = folder / "slapd.conf"
        self.configuration.write_text(CONFIGURATION.format(folder=folder), encoding="ascii")
        data = folder / "data.ldif"
        text = base64.b64encode(self.certificate).decode()
        data.write_text(ENTRIES.format(certificate=text), encoding="ascii")
        add = [SLAPD, "-T", "add", "-f", str(self.configuration), "-l", str(data)]
        subprocess.run(add, check=True, capture_output=True)
        self.ports = {"ldap": _free_port(), "ldaps": _free_port()}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """OpenLDAP with one entry, which answers nobody without TLS."""
    if shutil.which(SLAPD) is None:
        pytest.skip("slapd is not installed")
    server = Slapd(tmp_path_factory.mktemp("slapd"))
    urls = " ".join(f"{scheme}://127.0.0.1:{port}" for scheme, port in server.ports.items())
    command = [SLAPD, "-f", str(server.configuration), "-h", urls, "-d", "0"]
    with subprocess.Popen(command) as process:
        for port in server.ports.values():
            _await(port, process)
        yield server
        process.terminate()


def _await(port: int, process: "subprocess.Popen[bytes]") -> None:
    """Knock until somebody opens."""
    while process.poll() is None:
        with socket.socket() as knocking:
            if knocking.connect_ex(("127.0.0.1", port)) == 0:
                return
    raise AssertionError(f"slapd ended with {process.returncode}")


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
async def test_a_certificate_is_found(slapd: Slapd, scheme: str) -> None:
    """Octet for octet."""
    found = await search(
        LdapServer.parse(f"{scheme}://localhost:{slapd.ports[scheme]}"),
        Question(
            base="o=x",
            filter=parse_filter_text("(&(objectClass=inetOrgPerson)(mail=a@b.fr))"),
            attributes=("userCertificate;binary",),
        ),
        login=Login(),
        context=tls.client_context(None, None, anchors_pem=slapd.anchors, check_host=True),
        seconds=10,
        max_octets=100_000,
    )

    assert [one.attributes for one in found] == [
        (("userCertificate;binary", (slapd.certificate,)),)
    ]
