"""Sessions of `swaks` at both doors: what an administrator types to find out whether mail works."""

import asyncio
import os
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Callable
from pathlib import Path

import pytest

from crypto.issuing import Authority, CertificateProfile, create_authority
from mss.cli import home as homes
from mss.clock import SystemClock
from tests.interop.smtp.conftest import Note
from tests.support.debian import PeerMissingError, unpacked
from tests.support.operators import (
    ACCOUNT,
    HOSPITAL,
    PASSWORD,
    PRACTICES,
    Ground,
    Running,
)

pytestmark = [
    pytest.mark.interop,
    pytest.mark.slow,
    pytest.mark.asyncio(loop_scope="module"),
]
SWAKS = "swaks"
Shown = Callable[[Ground, Path], tuple[str, ...]]


def _issued(folder: Path, authority: Authority) -> tuple[str, ...]:
    issued = authority.issue(
        CertificateProfile.SERVER, PRACTICES.subject, at=SystemClock().now(), key="p256"
    )
    homes.install_pair(folder, "shown", issued)
    return ("--tls", "--tls-cert", f"{folder}/shown.crt", "--tls-key", f"{folder}/shown.key")


def good(ground: Ground, folder: Path) -> tuple[str, ...]:
    """The certificate of the practices."""
    return _issued(folder, ground.authority)


def foreign(ground: Ground, folder: Path) -> tuple[str, ...]:
    """The same name, from an authority that nobody believes."""
    return _issued(folder, create_authority("AUTRE", at=SystemClock().now(), key="p256"))


def no_certificate(ground: Ground, folder: Path) -> tuple[str, ...]:
    """TLS, and nobody in particular."""
    return ("--tls",)


def in_clear(ground: Ground, folder: Path) -> tuple[str, ...]:
    """No TLS at all."""
    return ()


async def swaks(*options: str) -> tuple[int, str]:
    """Hold a session; gives the exit status and the transcript."""
    try:
        root = unpacked("swaks", "libnet-ssleay-perl")
    except PeerMissingError as error:
        pytest.skip(str(error))
    perl = ":".join(str(one.parent) for one in root.glob("usr/lib/*/perl5/*/Net"))
    process = await asyncio.create_subprocess_exec(
        *("perl", str(root / "usr/bin/swaks"), "--helo", "poste.example.org", *options),
        env={**os.environ, "PERL5LIB": perl, "HOME": "/nonexistent"},
        stdout=PIPE,
        stderr=STDOUT,
    )
    async with asyncio.timeout(30):
        said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode("utf-8", "replace")


@pytest.mark.parametrize(
    ("shown", "options", "reply"),
    [
        (good, (), "250 2.0.0"),
        (good, ("--pipeline",), "250 2.0.0"),
        (good, ("--from", "<>", "--h-From", PRACTICES.mailbox), "250 2.0.0"),
        (good, ("--from", HOSPITAL.mailbox), "peer-not-listed"),
        (good, ("--h-From", HOSPITAL.mailbox), "peer-not-listed"),
        (good, ("--to", f"inconnu@{HOSPITAL.domain}"), "550 5.1.1"),
        (good, ("--to", "jemand@example.org"), "550 5.7"),
        (no_certificate, (), "550 5.7"),
        (in_clear, (), "530 5.7.0"),
        (foreign, (), "closed connection"),
    ],
    ids=[
        *("TLS", "pipelining", "null sender", "sender of others", "author of others"),
        *("unknown mailbox", "relaying", "no certificate", "in clear", "foreign certificate"),
    ],
)
async def test_a_session_at_the_door_for_operators(
    hospital: Running,
    ground: Ground,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    shown: Shown,
    options: tuple[str, ...],
    reply: str,
    note_case: Note,
) -> None:
    """What swaks prints is what the administrator of the other side reads."""
    note_case(SWAKS, "they to us", request.node.callspec.id)
    server = ("--server", f"127.0.0.1:{hospital.ports['mx']}")
    usual = ("--from", PRACTICES.mailbox, "--to", HOSPITAL.mailbox)
    before = (await hospital.count())["message"]

    status, said = await swaks(*server, *shown(ground, tmp_path), *usual, *options)

    is_taken = reply.startswith("250")
    assert (status == 0) is is_taken, said
    assert reply in said, said
    assert (await hospital.count())["message"] == before + is_taken


@pytest.mark.parametrize(
    ("options", "reply"),
    [
        (("--tls", "--auth", "PLAIN", "-au", ACCOUNT, "-ap", PASSWORD), "250 2.0.0"),
        (("--tls", "--auth", "PLAIN", "-au", ACCOUNT, "-ap", PASSWORD, "--pipeline"), "250 2.0.0"),
        (("--tls", "--auth", "PLAIN", "-au", ACCOUNT, "-ap", "faux"), "535 5.7.8"),
        (("--tls",), "530 5.7.0"),
        (("--auth", "PLAIN", "-au", ACCOUNT, "-ap", PASSWORD), "did not advertise authentication"),
    ],
    ids=["PLAIN", "PLAIN, pipelining", "wrong password", "no login", "login in clear"],
)
async def test_a_session_at_the_submission_door(
    hospital: Running,
    ground: Ground,
    request: pytest.FixtureRequest,
    options: tuple[str, ...],
    reply: str,
    note_case: Note,
) -> None:
    """A login inside TLS, the certificate checked, and no other way to send."""
    note_case(SWAKS, "submission", request.node.callspec.id)
    server = ("--server", f"127.0.0.1:{hospital.ports['submission']}")
    usual = ("--from", HOSPITAL.mailbox, "--to", HOSPITAL.red_list)
    before = (await hospital.count())["message"]

    status, said = await swaks(*server, *usual, *options)

    is_taken = reply.startswith("250")
    assert (status == 0) is is_taken, said
    assert reply in said, said
    assert (await hospital.count())["message"] == before + is_taken
