"""How does the mail server that people run today do? A private Postfix, with Dovecot behind it.

Postfix runs from its unpacked package (it asks for root, and needs no installation); Dovecot only
runs where it is installed. Both have configurations, queues and mailboxes of their own below one
folder, and listen on loopback only.

Shapes
    Mail for any address of `DOMAIN` ends in `mail/<local part>/Maildir/new`, one file a letter.
Errors
    `PeerMissingError` when they cannot run here.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.daemons import await_file, free_port, started
from tests.support.debian import PeerMissingError, unpacked

DOMAIN = "exemple.test"
OWNER, GROUP = "daemon", "mail"  # every Debian has them
QUEUES = (
    "active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private",
    "saved", "trace",
)  # fmt: skip
# Service: type, private, unprivileged, chroot, wakeup, processes, program (master(5)).
SERVICES = """\
127.0.0.1:{port} inet n - n - {smtpd} smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
DOVECOT = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = lmtp
ssl = no
mail_location = maildir:~/Maildir
mail_fsync = optimized
first_valid_uid = 1
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mail}/%n allow_all_users=yes
}}
service lmtp {{
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Postfix:
    """A running Postfix.

    Attributes:
        port: Where it takes mail, on loopback.
        folder: Configuration, queue, log, and the mailboxes if Dovecot is behind it.
        pids: The processes it started from, to account for the whole tree.
    """

    port: int
    folder: Path
    pids: tuple[int, ...]

    @property
    def log(self) -> Path:
        """What it says it did."""
        return self.folder / "log"

    def delivered(self) -> int:
        """Count the letters in all mailboxes."""
        boxes = (self.folder / "mail").glob("*/Maildir/new")
        return sum(1 for box in boxes for _ in box.iterdir())

    def queued(self) -> int:
        """Count the letters that it still has to deliver."""
        queue = self.folder / "queue"
        return sum(
            len(files)
            for name in ("incoming", "active", "deferred")
            for _, _, files in os.walk(queue / name)
        )


@contextmanager
def running_postfix(
    folder: Path,
    settings: Mapping[str, str],
    *,
    smtpd_processes: int = 100,
    services: str = "",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Postfix]:
    """Run a private Postfix until the end of the block.

    Args:
        folder: An empty folder of its own, below folders that every user may walk through.
        settings: What `main.cf` says beside the paths.
        smtpd_processes: How many connections it serves at once.
        services: More lines of `master.cf`.
        environment: Variables for its processes, such as a library to load first.
    """
    if os.geteuid() != 0:
        raise PeerMissingError("Postfix asks to be started by root.")
    root = unpacked("postfix")
    port = free_port()
    _make_folders(folder)
    libraries = root / "usr/lib/postfix"
    own = {
        "compatibility_level": "3.6",
        "queue_directory": f"{folder}/queue",
        "data_directory": f"{folder}/data",
        "command_directory": f"{root}/usr/sbin",
        "daemon_directory": f"{libraries}/sbin",
        "shlib_directory": str(libraries),
        "mail_owner": OWNER,
        "setgid_group": GROUP,
        "default_privs": "nobody",
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "mydestination": "",
        "alias_maps": "",
        "alias_database": "",
        "maillog_file": f"{folder}/log",
        "maillog_file_prefixes": str(folder),
        "message_size_limit": "0",
        "mailbox_size_limit": "0",
        "virtual_mailbox_limit": "0",
        "import_environment": " ".join(
            ["MAIL_CONFIG", "LD_LIBRARY_PATH", *sorted(environment or {})]
        ),
    }
    text = "".join(f"{name} = {value}\n" for name, value in {**own, **settings}.items())
    (folder / "etc/main.cf").write_text(text)
    (folder / "etc/master.cf").write_text(
        SERVICES.format(port=port, smtpd=smtpd_processes) + services
    )
    variables = {
        **os.environ,
        **(environment or {}),
        "MAIL_CONFIG": f"{folder}/etc",
        "LD_LIBRARY_PATH": str(libraries),
    }
    command = [str(libraries / "sbin/master"), "-c", f"{folder}/etc", "-d"]
    with started(command, folder, variables) as pid:
        await_file(folder / "queue/public/qmgr", folder / "log")
        yield Postfix(port=port, folder=folder, pids=(pid,))


@contextmanager
def running_postfix_and_dovecot(
    folder: Path,
    settings: Mapping[str, str] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Postfix]:
    """Run a Postfix that drains into Dovecot's mailboxes over LMTP."""
    dovecot = shutil.which("dovecot")
    if dovecot is None or not Path("/usr/lib/dovecot/lmtp").exists():
        raise PeerMissingError("Missing, as root: apt-get install dovecot-lmtpd")
    own = folder / "dovecot"
    own.mkdir()
    mail = folder / "mail"
    mail.mkdir()
    shutil.chown(mail, OWNER, GROUP)
    uid, gid = mail.stat().st_uid, mail.stat().st_gid
    (own / "dovecot.conf").write_text(DOVECOT.format(folder=own, mail=mail, uid=uid, gid=gid))
    variables = {**os.environ, **(environment or {})}
    wanted = {
        "myhostname": f"mta.{DOMAIN}",
        "virtual_mailbox_domains": DOMAIN,
        "virtual_mailbox_maps": "static:ok",
        "virtual_transport": f"lmtp:unix:{own}/lmtp",
        "mynetworks": "127.0.0.0/8",
        "smtpd_recipient_restrictions": "permit_mynetworks, reject",
        "smtpd_client_connection_count_limit": "0",
        **(settings or {}),
    }
    with ExitStack() as stack:
        pid = stack.enter_context(
            started([dovecot, "-F", "-c", f"{own}/dovecot.conf"], own, variables)
        )
        await_file(own / "lmtp", own / "log")
        postfix = stack.enter_context(running_postfix(folder, wanted, environment=environment))
        yield Postfix(port=postfix.port, folder=folder, pids=(*postfix.pids, pid))


def _make_folders(folder: Path) -> None:
    """Make what Postfix expects, owned as it checks."""
    for name in ("etc", "data", "queue"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", OWNER)
    for name in QUEUES:
        one = folder / "queue" / name
        one.mkdir(mode=0o700)
        shutil.chown(one, OWNER)
    for name, mode in (("maildrop", 0o730), ("public", 0o710), ("pid", 0o755)):
        one = folder / "queue" / name
        one.mkdir()
        if name != "pid":
            shutil.chown(one, OWNER, GROUP)
        one.chmod(mode)
    folder.chmod(0o711)  # its own users walk through
