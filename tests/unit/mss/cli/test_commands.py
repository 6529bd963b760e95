"""The command line as a shell sees it: exit status, standard output, standard error."""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from crypto.issuing import CertificateProfile, create_authority
from mss.cli import main
from mss.cli.root import COMMANDS
from mss.clock import SystemClock
from mss.store import tables
from mss.store.engine import sync_engine
from tests.support.factories import a_signed_trust_list
from tests.support.pki import HOSPITAL
from tests.support.rows import a_delivery

ADDRESS = "sortie.cardiologie@ch-demo.mssante.fr"
PERSON = "anne.essai@ch-demo.mssante.fr"


@dataclass(frozen=True, slots=True)
class Result:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs `mss …` in this process, as its entry point does."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home = home
        self._patch = monkeypatch

    def __call__(self, *words: str, typed: str = "") -> Result:
        """Run a command on the home."""
        return self.bare("--home", str(self.home), *words, typed=typed)

    def bare(self, *words: str, typed: str = "") -> Result:
        """Run a command line exactly as given."""
        out, err = io.TextIOWrapper(io.BytesIO()), io.TextIOWrapper(io.BytesIO())
        with self._patch.context() as patch:
            patch.setattr(sys, "argv", ["mss", *words])
            patch.setattr(sys, "stdin", io.StringIO(typed))
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as end:
                main()
        status = end.value.code
        assert isinstance(status, int)
        return Result(status, _text(out), _text(err))


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@pytest.fixture(autouse=True)
def _no_home_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's environment does not decide."""
    monkeypatch.delenv("MSS_HOME", raising=False)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell whose home does not exist yet."""
    return Shell(tmp_path / "home", monkeypatch)


@pytest.fixture
def mss(empty: Shell) -> Shell:
    """A shell with a fresh home."""
    made = empty("init", "--domain", "ch-demo.mssante.fr")
    assert made.status == 0, made.err
    return empty


# Status


def test_a_home_is_made_once(empty: Shell) -> None:
    """Keys and settings of a running operator are never overwritten."""
    first = empty("init", "--domain", "CH-demo.mssante.fr")
    again = empty("init", "--domain", "ch-demo.mssante.fr")

    assert (first.status, again.status) == (0, 1)
    assert "ch-demo.mssante.fr" in first.out
    assert "[conflict" in again.err
    assert oct(empty.home.stat().st_mode)[-3:] == "700"
    assert oct((empty.home / "keys" / "sealing.json").stat().st_mode)[-3:] == "600"


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("init",), 2),
        (("init", "--domain", "not a domain"), 3),
        (("mailbox", "list"), 3),
        (("mailbox",), 2),
        (("nonsense",), 2),
        (("mailbox", "nonsense"), 2),
        (("mailbox", "open"), 2),
        (("--nonsense",), 2),
        (("--version",), 0),
        (("--help",), 0),
        (("serve", "--only", "nonsense"), 2),
        (("serve", "--only", "imap"), 2),
    ],
)
def test_without_a_home_each_line_has_its_status(
    empty: Shell, words: tuple[str, ...], status: int
) -> None:
    """2 for wrong usage, 3 for the server's own trouble: scripts rely on it."""
    result = empty(*words)

    assert result.status == status, result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("mailbox", "open", "nonsense", "--kind", "ORG"), 1),
        (("mailbox", "open", "a@elsewhere.fr", "--kind", "ORG"), 1),
        (("mailbox", "open", PERSON, "--kind", "PER"), 1),
        (("mailbox", "open", PERSON, "--kind", "PER", "--rpps", "99000000011"), 1),
        (("mailbox", "open", PERSON, "--kind", "XXX"), 2),
        (("mailbox", "show", ADDRESS), 1),
        (("mailbox", "close", ADDRESS), 1),
        (("mailbox", "quota", ADDRESS, "1"), 1),
        (("mailbox", "quota", ADDRESS, "0"), 2),
        (("mailbox", "delegate", ADDRESS, "nobody", "--right", "read"), 1),
        (("mailbox", "delegate", ADDRESS, "nobody", "--right", "all"), 2),
        (("account", "token", "nobody"), 1),
        (("account", "token", "nobody", "--days", "0"), 2),
        (("trust", "show", "ch-demo.mssante.fr"), 1),
        (("trust", "load", "absent.xml"), 2),
        (("directory", "search", "nobody"), 1),
        (("directory", "show", "99000000010"), 1),
        (("directory", "import", "absent"), 2),
        (("queue", "show", "absent"), 1),
        (("queue", "retry", "absent"), 1),
        (("queue", "drop", "absent", "--yes"), 1),
        (("explain", "route", "nonsense"), 1),
        (("explain", "route", "nobody@ch-demo.mssante.fr"), 1),
        (("explain", "route", "a@elsewhere.fr"), 1),
        (("audit", "list", "--limit", "0"), 2),
    ],
)
def test_a_no_is_told_apart_from_a_mistake(mss: Shell, words: tuple[str, ...], status: int) -> None:
    """1 when the answer is no, 2 when the question was none; never a traceback."""
    result = mss(*words)

    assert result.status == status, result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize("name", ["settings", "anchors", "sealing", "database"])
def test_a_damaged_home_is_the_servers_own_trouble(mss: Shell, name: str) -> None:
    """The sentence names the file, and says nothing of what is in it."""
    files = {
        "settings": "mss.toml",
        "anchors": "trust/anchors.pem",
        "sealing": "keys/sealing.json",
        "database": "mss.db",
    }
    for one in mss.home.glob("mss.db-*"):
        one.unlink()
    (mss.home / files[name]).write_bytes(b"damaged " * 512)

    result = mss("explain", "route", ADDRESS)

    assert result.status == 3, result.err
    assert "Traceback" not in result.err


def test_a_place_that_cannot_be_written_is_the_servers_own_trouble(mss: Shell) -> None:
    """A file stands where a folder is wanted."""
    result = mss("directory", "generate", "--practitioners", "1", "--out", "/dev/null/x")

    assert result.status in {2, 3}
    assert "Traceback" not in result.err


# Options that stand anywhere


def test_the_home_may_stand_anywhere(mss: Shell) -> None:
    """People type it where they think of it."""
    home = str(mss.home)
    lines = [
        ["--home", home, "mailbox", "list"],
        ["mailbox", "--home", home, "list"],
        ["mailbox", "list", "--home", home],
        ["mailbox", "list", f"--home={home}"],
    ]

    assert [mss.bare(*one).status for one in lines] == [0, 0, 0, 0]


def test_json_may_stand_anywhere(mss: Shell) -> None:
    """So does the wish for JSON."""
    lines = [
        ("--json", "mailbox", "list"),
        ("mailbox", "--json", "list"),
        ("mailbox", "list", "--json"),
    ]

    assert [mss(*one).json for one in lines] == [[], [], []]


def test_the_environment_names_the_home_and_the_line_wins(
    mss: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A command about one operator never touches another."""
    monkeypatch.setenv("MSS_HOME", str(mss.home))
    by_environment = mss.bare("config", "show", "--json")
    other = tmp_path / "other"
    mss.bare("--home", str(other), "init", "--domain", "other.mssante.fr")
    by_line = mss.bare("--home", str(other), "config", "show", "--json")

    assert by_environment.json["home"] == str(mss.home)
    assert by_line.json["home"] == str(other)
    assert (other / "mss.db").exists()


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(empty: Shell, name: str) -> None:
    """`-h` and `--help`, without a home and without doing anything."""
    result = empty(name, "-h")

    assert result.status == 0
    assert "--home" in result.out
    assert not empty.home.exists()


# The life of an operator


def test_an_operator_is_set_up_from_nothing(mss: Shell, tmp_path: Path) -> None:
    """Each step of the guide, as an administrator types it."""
    opened = mss("mailbox", "open", ADDRESS, "--kind", "org", "--finess", "750000002", "--json")
    assert opened.json["address"] == ADDRESS
    assert mss("mailbox", "open", ADDRESS, "--kind", "ORG").status == 1

    added = mss("account", "add", "his", "--password-stdin", typed="correct horse\n")
    assert added.status == 0
    assert mss("account", "add", "his", "--no-password").status == 1
    token = mss("account", "token", "his", "--days", "30", "--json").json["token"]
    assert token.startswith("mss_")

    assert mss("mailbox", "delegate", ADDRESS, "his", "--right", "send").status == 0
    assert mss("mailbox", "quota", ADDRESS, "1000000").status == 0
    assert mss("mailbox", "show", ADDRESS, "--json").json["quota_octets"] == 1_000_000
    assert [one["name"] for one in mss("account", "list", "--json").json] == ["his"]

    route = mss("explain", "route", ADDRESS, "--json")
    assert (route.status, route.json["way"]) == (0, "local")

    assert mss("mailbox", "close", ADDRESS).status == 0
    route = mss("explain", "route", ADDRESS, "--json")
    assert (route.status, route.json["code"]) == (1, "recipient-unknown")

    names = [one["name"] for one in mss("audit", "list", "--json", "--limit", "1000").json]
    assert {"account-added", "token-issued", "mailbox-opened", "mailbox-closed"} <= set(names)
    verified = mss("audit", "verify", "--json").json
    assert verified["broken"] == []
    assert verified["rows"] == len(names)
    assert mss("db", "upgrade").status == 0
    assert mss("db", "check", "--json").json["missing_revision"] is None


def test_no_secret_is_ever_printed_or_kept(mss: Shell) -> None:
    """A token is shown once, by the command that makes it; a password never."""
    mss("account", "add", "his", "--password-stdin", typed="hunter2-secret\n")
    token = mss("account", "token", "his").out.strip()
    said = [
        mss(*words).out
        for words in (
            ("account", "list", "--json"),
            ("audit", "list", "--json"),
            ("config", "show", "--json"),
            ("config", "show"),
        )
    ]
    kept = b"".join(one.read_bytes() for one in mss.home.rglob("*") if one.is_file())

    assert not any("hunter2" in one or token in one for one in said)
    assert b"hunter2" not in kept
    assert token.encode() not in kept


def test_an_empty_password_is_no_password(mss: Shell) -> None:
    """It is wrong usage, and nobody is added."""
    assert mss("account", "add", "his", "--password-stdin", typed="\n").status == 2
    assert mss("account", "list", "--json").json == []


def test_a_directory_is_generated_imported_and_searched(mss: Shell, tmp_path: Path) -> None:
    """Invented people in the national formats, as `make run` uses them."""
    out = tmp_path / "annuaire"
    made = mss("directory", "generate", "--practitioners", "30", "--out", str(out), "--json")
    assert len(made.json["files"]) == 3
    imported = mss("directory", "import", str(out), "--json").json
    journal = mss("audit", "list", "--json").json
    assert imported["practitioners"] == 30
    assert [row["name"] for row in journal][-1] == "directory-imported"
    assert journal[-1]["facts"]["generation"] == "1"
    assert mss("directory", "import", str(out), "--force").status == 0

    stats = mss("directory", "stats", "--json").json
    found = mss("directory", "search", "mssante", "--json")
    person = mss("directory", "search", "medecin", "--limit", "1", "--json").json[0]
    shown = mss("directory", "show", person["rpps"], "--json")

    assert stats["practitioners"] == 30
    assert found.status in {0, 1}
    assert shown.json["name"] == person["name"]


def test_a_trust_list_is_judged_before_it_is_in_force(mss: Shell, tmp_path: Path) -> None:
    """One from our authority is taken; one from a stranger's is not, and ours stays."""
    now = SystemClock().now()
    ours = create_authority("OURS", at=now)
    subject = "CN=mail.autre.mssante.fr,OU=1750000002,O=AUTRE,ST=Paris (75),C=FR"
    anchors = tmp_path / "anchors.pem"
    issuers = tmp_path / "issuers.pem"
    anchors.write_text(ours.anchors_pem, encoding="ascii")
    issuers.write_text("".join(one.pem for one in ours.intermediates), encoding="ascii")
    for number, crl in enumerate(ours.crls(now)):
        (mss.home / "trust" / "crls" / f"ours{number}.crl").write_bytes(crl)
    assert mss("trust", "anchors", str(anchors), "--intermediates", str(issuers)).status == 0

    good, bad = tmp_path / "good.xml", tmp_path / "bad.xml"
    listed = {"autre.mssante.fr": subject}
    good.write_bytes(a_signed_trust_list(ours, listed, at=now, issued_at=now))
    stranger = create_authority("OURS", at=now)
    bad.write_bytes(a_signed_trust_list(stranger, listed, at=now, issued_at=now))

    assert mss("trust", "load", str(bad)).status == 1
    assert mss("trust", "show", "autre.mssante.fr").status == 1
    assert mss("trust", "load", str(good), "--json").json["domains"] == 1
    assert mss("trust", "load", str(bad)).status == 1
    shown = mss("trust", "show", "autre.mssante.fr", "--json").json

    assert shown["certificates"] == [subject]
    names = [one["name"] for one in mss("audit", "list", "--json").json]
    assert names.count("trust-list-refused") == 2
    assert names.count("trust-list-loaded") == 1


def test_a_changed_journal_is_noticed(mss: Shell) -> None:
    """Status 1, with chain, row and reason; `db check` says so too."""
    mss("mailbox", "open", ADDRESS, "--kind", "ORG")
    assert mss("audit", "verify").status == 0
    engine = sync_engine(f"sqlite:///{mss.home}/mss.db").execution_options(writes=True)
    with engine.begin() as connection:
        connection.execute(tables.audit.update().values(actor="nobody"))
    engine.dispose()

    verified = mss("audit", "verify", "--json")

    assert verified.status == 1
    assert verified.json["broken"][0]["position"] == 1
    assert mss("db", "check").status == 1


def test_the_queue_is_listed_held_released_and_dropped(mss: Shell) -> None:
    """What an administrator does at three in the morning."""
    engine = sync_engine(f"sqlite:///{mss.home}/mss.db").execution_options(writes=True)
    with engine.begin() as connection:
        a_delivery(connection)
    engine.dispose()

    def state() -> str:
        return str(mss("queue", "show", "d1", "--json").json["state"])

    assert [one["id"] for one in mss("queue", "list", "--json").json] == ["d1"]
    assert (mss("queue", "hold", "d1").status, state()) == (0, "held")
    assert (mss("queue", "retry", "d1").status, state()) == (0, "queued")
    assert mss("queue", "drop", "d1", typed="n\n").status != 0
    assert state() == "queued"
    assert (mss("queue", "drop", "d1", "--yes").status, state()) == (0, "dropped")
    assert mss("queue", "retry", "d1").status == 1
    assert mss("queue", "list", "--json").json == []
    assert mss("queue", "list", "--state", "dropped", "--json").json[0]["id"] == "d1"


def test_a_key_is_made_requested_and_loaded(mss: Shell, tmp_path: Path) -> None:
    """The authority never sees the private key; the wrong pair is refused."""
    out = tmp_path / "new"
    made = mss(
        "keys", "create", "signing", "--organization", "CH", "--structure", "1750000002",
        "--department", "Paris (75)", "--out", str(out), "--json",
    )  # fmt: skip
    key, request = Path(made.json["key"]), Path(made.json["request"])
    assert oct(key.stat().st_mode)[-3:] == "600"
    assert "PRIVATE" not in request.read_text(encoding="ascii")

    issued = create_authority("OURS", at=SystemClock().now()).issue(
        CertificateProfile.SIGNATURE, HOSPITAL, at=SystemClock().now()
    )
    certificate, its_key = tmp_path / "c.pem", tmp_path / "k.pem"
    certificate.write_text(issued.chain_pem, encoding="ascii")
    its_key.write_text(issued.private_key_pem, encoding="ascii")
    load = ("keys", "load", "signing", "--certificate", str(certificate), "--key")

    assert mss(*load, str(key)).status == 1
    assert mss(*load, str(its_key)).status == 0
    listed = {one["purpose"]: one for one in mss("keys", "list", "--json").json}
    assert listed["signing"]["fingerprint"] == issued.certificate.fingerprint


def test_settings_are_checked(mss: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable is no setting: status 1, and its name."""
    assert mss("config", "check").status == 0
    monkeypatch.setenv("MSS_LISTN__MX", "x")

    checked = mss("config", "check", "--json")

    assert checked.status == 1
    assert checked.json["unknown_variables"] == ["MSS_LISTN__MX"]


def test_shown_settings_hide_secrets(mss: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """In both forms; an administrator pastes them into a ticket."""
    monkeypatch.setenv("MSS_BLOBS__S3_SECRET_KEY", "hunter2-secret")

    shown = [mss("config", "show", *words).out for words in ((), ("--json",))]

    assert all("s3_secret_key" in one and "hunter2" not in one for one in shown)
    assert json.loads(shown[1])["blobs"]["s3_secret_key"] == "**********"


def test_an_empty_queue_counts_nothing(mss: Shell) -> None:
    """A fresh home is in order."""
    assert mss("db", "check", "--json").json["deliveries"] == {}
