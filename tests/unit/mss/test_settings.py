from pathlib import Path

import pytest

from mss.errors import SettingsError
from mss.settings import Settings, load_settings, unknown_variables

MINIMAL = 'domains = ["ch-demo.mssante.fr"]\n'
SECRET = "hunter2-the-secret"


@pytest.fixture(autouse=True)
def _no_variables_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the machine's environment not decide."""
    monkeypatch.delenv("MSS_HOME", raising=False)


def load(home: Path, text: str = MINIMAL) -> Settings:
    (home / "mss.toml").write_text(text, encoding="utf-8")
    return load_settings(home)


def test_one_line_is_enough(tmp_path: Path) -> None:
    """Everything but the domains has a default that works."""
    settings = load(tmp_path)

    assert settings.domains == ("ch-demo.mssante.fr",)
    assert settings.host_name == "mta.ch-demo.mssante.fr"
    assert settings.database_url == f"sqlite+aiosqlite:///{tmp_path}/mss.db"
    assert settings.blobs_url == f"file://{tmp_path}/blobs"
    assert settings.path("keys/tls.crt") == tmp_path / "keys/tls.crt"


def test_variables_override_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container is set up by its environment; the rest of the section stays."""
    monkeypatch.setenv("MSS_LISTEN__MX", "0.0.0.0:25")
    monkeypatch.setenv("MSS_DOMAINS", '["other.mssante.fr"]')

    settings = load(tmp_path, MINIMAL + '[listen]\nmx = "127.0.0.1:1"\napi = "127.0.0.1:2"\n')

    assert settings.listen.mx == "0.0.0.0:25"
    assert settings.listen.api == "127.0.0.1:2"
    assert settings.domains == ("other.mssante.fr",)


def test_the_home_is_the_one_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--home B` with `MSS_HOME=A` set must not read B's settings and write into A."""
    monkeypatch.setenv("MSS_HOME", "/elsewhere")

    assert load(tmp_path).home == tmp_path
    assert load(tmp_path, f'home = "/nowhere"\n{MINIMAL}').home == tmp_path


def test_a_relative_home_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server may change its folder; its files do not."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mss.toml").write_text(MINIMAL, encoding="utf-8")

    assert load_settings(Path()).home == tmp_path


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "domains"),
        ("domains = []", "domains"),
        (MINIMAL + "domian = 1", "domian"),
        (MINIMAL + "[listn]\nmx = ''", "listn"),
        (MINIMAL + "[listen]\nmxx = ''", "listen.mxx"),
        (MINIMAL + "[limits]\nmessage_octets = 0", "limits.message_octets"),
        (MINIMAL + "[limits]\nmessage_octets = 'many'", "limits.message_octets"),
        (MINIMAL + "[trust]\nrevocation = 'never'", "trust.revocation"),
        (MINIMAL + "[queue]\ndelays = []", "queue.delays"),
        (MINIMAL + "[queue]\ndelays = [0]", "queue.delays"),
        (MINIMAL + "[queue]\nexpires_after = -1", "queue.expires_after"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, text: str, key: str) -> None:
    """A slip of the pen stops the start, and the sentence says where it is."""
    with pytest.raises(SettingsError) as refusal:
        load(tmp_path, text)

    assert key in refusal.value.reason


@pytest.mark.parametrize(
    ("name", "value", "key"),
    [
        ("MSS_LISTEN__MXX", "x", "listen.mxx"),
        ("MSS_LIMITS__PARTS", "many", "limits.parts"),
        ("MSS_DOMAINS", "ch-demo.mssante.fr", "domains"),
        ("MSS_QUEUE__DELAYS", "60", "queue"),
        ("MSS_LISTEN", "x", "listen"),
    ],
)
def test_a_variable_that_does_not_fit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, key: str
) -> None:
    """In the same words as a line of the file."""
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as refusal:
        load(tmp_path)

    assert key in refusal.value.reason


@pytest.mark.parametrize(
    "text", ["domains = [", "domains = 1\ndomains = 2", "\x00", 'a = "\\q"'], ids=repr
)
def test_a_file_that_is_no_toml_says_so(tmp_path: Path, text: str) -> None:
    """With the place of the mistake, from the parser."""
    with pytest.raises(SettingsError):
        load(tmp_path, text)


def test_a_file_in_another_encoding_says_so(tmp_path: Path) -> None:
    """Windows editors still exist."""
    (tmp_path / "mss.toml").write_bytes('operator_name = "Hôpital"'.encode("cp1252"))

    with pytest.raises(SettingsError):
        load_settings(tmp_path)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    """The first command of a newcomer is `mss init`."""
    with pytest.raises(SettingsError) as refusal:
        load_settings(tmp_path)

    assert "mss init" in refusal.value.reason


@pytest.mark.parametrize(
    "text",
    [
        f'[database]\nurl = ["{SECRET}"]',
        f'[blobs]\ns3_secret_key = ["{SECRET}"]',
        f'[blobs]\ns3_secret_keys = "{SECRET}"',
        f'[trust]\nrevocation = "{SECRET}"',
    ],
)
def test_a_refused_value_is_not_repeated(tmp_path: Path, text: str) -> None:
    """The sentence goes to a terminal and a log; the value may be a password."""
    with pytest.raises(SettingsError) as refusal:
        load(tmp_path, MINIMAL + text)

    assert SECRET not in str(refusal.value)


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """Neither when printed, nor when written as JSON."""
    settings = load(
        tmp_path,
        MINIMAL
        + f'[database]\nurl = "postgresql+psycopg://u:{SECRET}@h/d"\n'
        + f'[blobs]\ns3_access_key = "{SECRET}"\ns3_secret_key = "{SECRET}"\n',
    )

    assert SECRET not in repr(settings)
    assert SECRET not in settings.model_dump_json()
    assert SECRET in settings.database_url


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    """They are read once."""
    settings = load(tmp_path)

    with pytest.raises(ValueError, match="frozen"):
        settings.listen.mx = "elsewhere"  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("name", "is_unknown"),
    [
        ("MSS_LISTEN__MX", False),
        ("MSS_HOME", False),
        ("MSS_DEMO_EXIT", False),
        ("MSS_DOMAINS", False),
        ("MSS_LISTN__MX", True),
        ("MSS_DATABASE_URL", True),
        ("PATH", False),
    ],
)
def test_a_variable_that_nothing_answers_to_is_listed(name: str, *, is_unknown: bool) -> None:
    """The settings library ignores it in silence: `mss config check` does not."""
    assert unknown_variables({name: "x"}) == ([name] if is_unknown else [])
