"""Which mail servers play the practices' operator, and how is each told to?

Postfix, Exim and OpenSMTPD run from their unpacked packages with one and the same part: they take
mail for the practices' domain from whoever shows a certificate of the authority, keep it in a
Maildir, report what their senders asked for, and relay their own users' letters to the hospital,
showing the practices' certificate.

Shapes
    `port` is for other operators, TLS and a certificate asked for; `inside` is for the server's own
    users, in clear. Known is the mailbox of the cast; every other address of the domain is found
    unknown only after the letter was taken, so that a report has to be written.
Errors
    `PeerMissingError` when one cannot run here.
"""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from grp import getgrnam
from pathlib import Path
from pwd import getpwnam

from crypto.issuing import CertificateProfile
from mss.cli import home as homes
from mss.clock import SystemClock
from tests.support.daemons import apart, await_port, free_port, started, with_libraries, with_users
from tests.support.debian import PeerMissingError, unpacked
from tests.support.operators import HOSPITAL, PRACTICES, Ground
from tests.support.postfix import GROUP, OWNER, running_postfix

LOCAL_PART = PRACTICES.mailbox.partition("@")[0]
LARGEST = 50_000_000
EXIM_USER = "Debian-exim"
EXIM_LIBRARIES = ("libidn12", "libgnutls-dane0", "libunbound8", "libevent-2.1-7")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a server is told.

    Attributes:
        folder: Its own, below folders that every user may walk through; certificates lie in it.
        hospital: The port of the hospital's door.
        tls: The only version of TLS that it speaks, `1.2` or `1.3`; both if empty.
    """

    folder: Path
    hospital: int
    tls: str = ""

    @property
    def certificate(self) -> Path:
        """What it shows, both as server and as client."""
        return self.folder / "tls.crt"

    @property
    def key(self) -> Path:
        """The key of that."""
        return self.folder / "tls.key"

    @property
    def anchors(self) -> Path:
        """Whom it believes."""
        return self.folder / "anchors.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A mail server that plays the practices' operator.

    Attributes:
        maildir: Where the letters for the known mailbox end.
        logs: What it says it did.
    """

    name: str
    port: int
    inside: int
    maildir: Path
    logs: tuple[Path, ...]

    def letters(self) -> list[bytes]:
        """Read the letters that have come to the mailbox, oldest first."""
        found = sorted((self.maildir / "new").glob("*"), key=lambda one: one.stat().st_mtime_ns)
        return [one.read_bytes() for one in found]

    def said(self) -> str:
        """Read its log."""
        return "\n".join(one.read_text(errors="replace") for one in self.logs if one.exists())


def prepare(folder: Path, ground: Ground, *, hospital: int, tls: str = "") -> Part:
    """Give a server a certificate of the practices: for an RSA key, as national ones are."""
    part = Part(folder=folder, hospital=hospital, tls=tls)
    at = SystemClock().now() - timedelta(minutes=5)
    issued = ground.authority.issue(
        CertificateProfile.SERVER, PRACTICES.subject, at=at, key="rsa2048"
    )
    homes.install_pair(folder, "tls", issued)
    shutil.copy(ground.anchors, part.anchors)
    folder.chmod(0o711)
    return part


@contextmanager
def postfix(part: Part) -> Iterator[Server]:
    """Run Postfix in the part."""
    inside, way_back = free_port(), f"smtp:[127.0.0.1]:{part.hospital}"
    protocols = f">=TLSv{part.tls or '1.2'}, <=TLSv{part.tls or '1.3'}"
    chain = {
        "tls_cert_file": part.certificate,
        "tls_key_file": part.key,
        "tls_CAfile": part.anchors,
    }
    maildir = part.folder / "postfix/mail/box"
    settings = {
        **{
            f"{side}_{name}": str(file)
            for side in ("smtp", "smtpd")
            for name, file in chain.items()
        },
        "myhostname": PRACTICES.host_name,
        "smtpd_tls_security_level": "encrypt",
        "smtpd_tls_req_ccert": "yes",
        "smtpd_tls_mandatory_protocols": protocols,
        "smtpd_tls_loglevel": "1",
        "smtp_tls_security_level": "verify",
        "smtp_tls_verify_cert_match": HOSPITAL.host_name,
        "smtp_tls_mandatory_protocols": protocols,
        "smtp_tls_loglevel": "1",
        "smtpd_relay_restrictions": "permit_mynetworks, reject",
        "mynetworks": "127.0.0.0/8",
        "smtpd_client_connection_count_limit": "0",
        "smtpd_reject_unlisted_recipient": "no",
        "virtual_mailbox_domains": PRACTICES.domain,
        "virtual_mailbox_base": str(maildir.parent),
        "virtual_mailbox_maps": f"inline:{{ {{ {PRACTICES.mailbox} = box/ }} }}",
        "virtual_minimum_uid": "1",
        "virtual_uid_maps": f"static:{getpwnam(OWNER).pw_uid}",
        "virtual_gid_maps": f"static:{getgrnam(GROUP).gr_gid}",
        "transport_maps": f"inline:{{ {{ {HOSPITAL.domain} = {way_back} }} }}",
        "notify_classes": "",
        "minimal_backoff_time": "1s",
        "queue_run_delay": "1s",
    }
    line = (
        f"127.0.0.1:{inside} inet n - n - 20 smtpd"
        " -o smtpd_tls_security_level=none -o smtpd_tls_req_ccert=no\n"
        "virtual unix - n n - - virtual\n"
    )
    own = part.folder / "postfix"
    own.mkdir()
    maildir.mkdir(parents=True)
    for one in (maildir.parent, maildir):
        shutil.chown(one, OWNER, GROUP)
    with running_postfix(own, settings, services=line) as running:
        yield Server(
            name="postfix",
            port=running.port,
            inside=inside,
            maildir=maildir,
            logs=(running.log,),
        )


EXIM = """\
exim_path = {program}
primary_hostname = {host_name}
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port} : {inside}
spool_directory = {folder}/spool
log_file_path = {folder}/log-%s
pid_file_path = {folder}/pid
keep_environment =
message_size_limit = {largest}
queue_only
dsn_advertise_hosts = *
tls_advertise_hosts = *
tls_certificate = {part.certificate}
tls_privatekey = {part.key}
tls_verify_certificates = {part.anchors}
tls_verify_hosts = *
tls_require_ciphers = {versions}
log_selector = +tls_cipher +tls_peerdn
acl_smtp_rcpt = rcpt
begin acl
rcpt:
  accept condition = ${{if eq{{$received_port}}{{{inside}}}}}
         control = submission/sender_retain
  accept domains = {domain}
         encrypted = *
         verify = certificate
  deny
begin routers
out:
  driver = manualroute
  domains = {hospital}
  route_list = * 127.0.0.1 byname
  self = send
  transport = out
known:
  driver = accept
  domains = {domain}
  local_parts = {local_part}
  transport = box
unknown:
  driver = redirect
  allow_fail
  data = :fail: no such mailbox here
begin transports
out:
  driver = smtp
  port = {part.hospital}
  hosts_require_tls = *
  tls_certificate = {part.certificate}
  tls_privatekey = {part.key}
  tls_verify_certificates = {part.anchors}
  tls_verify_hosts = *
  tls_verify_cert_hostnames =
  tls_require_ciphers = {versions}
box:
  driver = appendfile
  maildir_format
  directory = {maildir}
  user = {user}
begin retry
* * F,1h,1s
"""


@contextmanager
def exim(part: Part) -> Iterator[Server]:
    """Run Exim in the part; its queue is run every second, as it is not installed setuid."""
    own = part.folder / "exim"
    # Its own user runs it again, and may not walk through the cache of root.
    root = Path(
        shutil.copytree(
            unpacked("exim4-daemon-light", *EXIM_LIBRARIES), own / "root", symlinks=True
        )
    )
    port, inside = free_port(), free_port()
    over = with_users(own, EXIM_USER)
    maildir = own / "box"
    for one in (own / "spool", maildir):
        one.mkdir()
        _own(one, over)
    _own(own, over)
    versions = "NORMAL" if not part.tls else f"NORMAL:-VERS-ALL:+VERS-TLS{part.tls}"
    program = str(root / "usr/sbin/exim4")
    text = EXIM.format(
        part=part,
        program=program,
        host_name=PRACTICES.host_name,
        port=port,
        inside=inside,
        folder=own,
        largest=LARGEST,
        versions=versions,
        domain=PRACTICES.domain,
        hospital=HOSPITAL.domain,
        local_part=LOCAL_PART,
        maildir=maildir,
        user=EXIM_USER,
    )
    (own / "exim.conf").write_text(text)
    for one in (part.key, part.certificate, part.anchors):
        _own(one, over)
    command = [program, "-C", f"{own}/exim.conf", "-bdf", "-q1s"]
    over |= with_libraries(own, *(root / "usr/lib").glob("*-linux-gnu*"))
    with started(apart(command, over), own):
        await_port(port, own)
        yield Server(
            name="exim",
            port=port,
            inside=inside,
            maildir=maildir,
            logs=(own / "log-main", own / "log-panic", own / "log-reject", own / "console"),
        )


OPENSMTPD = """\
pki practices cert "{part.certificate}"
pki practices key "{part.key}"
ca essai cert "{part.anchors}"
smtp max-message-size {largest}
queue ttl 1h
table anybody {{ "@" = "{owner}" }}
listen on 127.0.0.1 port {port} tls-require verify pki practices ca essai hostname {host_name}
listen on 127.0.0.1 port {inside} hostname {host_name}
action "box" maildir "{maildir}" virtual <anybody>
action "nobody" mda "exit 67" virtual <anybody>
action "out" relay host smtp+tls://localhost:{part.hospital} pki practices ca essai helo {host_name}
match from any for rcpt-to "{mailbox}" action "box"
match from any for domain "{domain}" action "nobody"
match from any for domain "{hospital}" action "out"
"""
OPENSSL = """\
openssl_conf = start
[start]
ssl_conf = parts
[parts]
system_default = all
[all]
MinProtocol = TLSv{version}
MaxProtocol = TLSv{version}
"""


@contextmanager
def opensmtpd(part: Part) -> Iterator[Server]:
    """Run OpenSMTPD in the part; its paths and users are its own in a mount namespace."""
    root = unpacked("opensmtpd", "libevent-2.1-7")
    port, inside = free_port(), free_port()
    own = part.folder / "opensmtpd"
    own.mkdir()
    own.chmod(0o711)
    over = with_users(own, "opensmtpd", "opensmtpq")
    for name, path in (("spool", "/var/spool"), ("run", "/run"), ("lib", "/var/lib")):
        (own / name).mkdir()
        over[own / name] = path
    (own / "lib/opensmtpd/empty").mkdir(parents=True)
    over[root / "usr/libexec"] = "/usr/libexec"
    maildir = own / "box"
    maildir.mkdir()
    shutil.chown(maildir, OWNER, GROUP)
    text = OPENSMTPD.format(
        part=part,
        largest=LARGEST,
        mailbox=PRACTICES.mailbox,
        owner=OWNER,
        port=port,
        inside=inside,
        host_name=PRACTICES.host_name,
        maildir=maildir,
        domain=PRACTICES.domain,
        hospital=HOSPITAL.domain,
    )
    (own / "smtpd.conf").write_text(text)
    over |= with_libraries(own, *(root / "usr/lib").glob("*-linux-gnu*"))
    variables = {"LD_PRELOAD": str(_mended_openssl(own))}
    if part.tls:
        (own / "openssl.cnf").write_text(OPENSSL.format(version=part.tls))
        variables["OPENSSL_CONF"] = f"{own}/openssl.cnf"
    command = [str(root / "usr/sbin/smtpd"), "-d", "-v", "-f", f"{own}/smtpd.conf"]
    with started(apart(command, over), own, variables):
        await_port(port, own)
        yield Server(
            name="opensmtpd", port=port, inside=inside, maildir=maildir, logs=(own / "console",)
        )


SERVERS: Mapping[str, Callable[[Part], AbstractContextManager[Server]]] = {
    "postfix": postfix,
    "exim": exim,
    "opensmtpd": opensmtpd,
}


# Debian 12's OpenSMTPD (6.8.0p2) loses its keys with OpenSSL 3, and neither serves TLS nor shows a
# certificate. The cure is that of its later versions: to put the key back after marking it.
MENDED_OPENSSL = """\
#define _GNU_SOURCE
#include <dlfcn.h>
int EVP_PKEY_set1_RSA(void *pkey, void *key);
void *EVP_PKEY_get1_RSA(void *pkey) {
    void *(*real)(void *) = (void *(*)(void *)) dlsym(RTLD_NEXT, "EVP_PKEY_get1_RSA");
    void *key = real(pkey);
    if (key)
        EVP_PKEY_set1_RSA(pkey, key);
    return key;
}
"""


def _mended_openssl(folder: Path) -> Path:
    """Compile what lies between OpenSMTPD and OpenSSL."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise PeerMissingError("Missing, as root: apt-get install gcc libc6-dev")
    source, library = folder / "mended.c", folder / "mended.so"
    source.write_text(MENDED_OPENSSL)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def _own(path: Path, users: Mapping[Path, str]) -> None:
    """Give a file to the first user that a server brings along."""
    passwd = next(one for one in users if one.name == "passwd")
    _, _, uid, gid, *_ = next(
        line.split(":") for line in passwd.read_text().splitlines() if line.startswith(EXIM_USER)
    )
    shutil.chown(path, int(uid), int(gid))
