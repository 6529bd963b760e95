"""Asking an LDAP server: over verified TLS, within bounds, whatever it answers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from crypto import tls
from mss.ldap.client import LdapServer, LdapUnavailableError, Login, Question, search
from mss.ldap.filters import Equal, LdapSyntaxError
from mss.ldap.framing import read_message
from mss.ldap.message import Code, Entry, Response, build_message, parse_message, search_done
from tests.support.pki import Pki, write_pem

QUESTION = Question(base="o=x", filter=Equal("mail", "a@b.fr"), attributes=("userCertificate",))
FOUND = Entry(dn="cn=a", attributes=(("userCertificate", (b"x",)),))
Script = Callable[[int], Sequence[bytes]]


def says(*answers: Response) -> Script:
    """Answer a request with these, under its number."""
    return lambda number: [build_message(number, one) for one in answers]


@asynccontextmanager
async def a_server(folder: Path, pki: Pki, script: Script) -> AsyncIterator[int]:
    """Listen with TLS from the start; answer the first request as told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        octets = await read_message(reader, max_octets=10_000)
        writer.writelines(script(parse_message(octets or b"").id))
        await writer.drain()
        writer.close()

    context = tls.server_context(*write_pem(folder, pki.hospital_server, "server"))
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


async def ask(port: int, anchors: str, *, check_host: bool = False) -> list[Entry]:
    context = tls.client_context(None, None, anchors_pem=anchors, check_host=check_host)
    return await search(
        LdapServer(host="127.0.0.1", port=port, starts_with_tls=True),
        QUESTION,
        login=Login(),
        context=context,
        seconds=5,
        max_octets=4096,
    )


def anchors_of(pki: Pki) -> str:
    authority = pki.authority
    return "".join(one.pem for one in (*authority.anchors, *authority.intermediates))


async def test_entries_are_found(tmp_path: Path, pki: Pki) -> None:
    """The story in small."""
    async with a_server(tmp_path, pki, says(FOUND, search_done(Code.SUCCESS))) as port:
        assert await ask(port, anchors_of(pki)) == [FOUND]


async def test_a_server_of_another_name_is_told_nothing(tmp_path: Path, pki: Pki) -> None:
    """Its certificate is good, and not for the host that the settings name."""
    async with a_server(tmp_path, pki, says(search_done(Code.SUCCESS))) as port:
        with pytest.raises(LdapUnavailableError, match="untrusted-server"):
            await ask(port, anchors_of(pki), check_host=True)


async def test_a_server_of_a_strange_authority_is_told_nothing(tmp_path: Path, pki: Pki) -> None:
    """Verification is always on."""
    anchor = pki.stranger.anchors[0].pem
    async with a_server(tmp_path, pki, says(search_done(Code.SUCCESS))) as port:
        with pytest.raises(LdapUnavailableError, match="untrusted-server"):
            await ask(port, anchor)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (lambda number: [build_message(number + 1, search_done(Code.SUCCESS))], "protocol"),
        (lambda number: [b"HTTP/1.1 400\r\n"], "protocol"),
        (lambda number: [b"\x30\x84\x7f\xff\xff\xff"], "protocol"),
        (says(FOUND), "protocol"),
        (says(search_done(Code.BUSY)), "search-refused-51"),
        (says(*[FOUND] * 30), "too-many-entries"),
    ],
    ids=["other number", "no LDAP", "too large", "broken off", "refused", "too many"],
)
async def test_another_answer_is_none(
    tmp_path: Path, pki: Pki, script: Script, reason: str
) -> None:
    """One error, with its reason for the log."""
    async with a_server(tmp_path, pki, script) as port:
        with pytest.raises(LdapUnavailableError, match=reason):
            await ask(port, anchors_of(pki))


@pytest.mark.parametrize(
    ("url", "port", "starts_with_tls"),
    [("ldaps://a.fr", 636, True), ("ldap://a.fr/", 389, False), ("ldaps://a.fr:1636", 1636, True)],
)
def test_an_address_says_how_tls_begins(url: str, port: int, *, starts_with_tls: bool) -> None:
    """Both ways have TLS."""
    expected = LdapServer(host="a.fr", port=port, starts_with_tls=starts_with_tls)
    assert LdapServer.parse(url) == expected


@pytest.mark.parametrize(
    "url", ["", "a.fr", "http://a.fr", "ldap://", "ldap://a:x", "ldap://a/b?c"]
)
def test_another_address_is_refused(url: str) -> None:
    """When the server starts, and not at the first letter."""
    with pytest.raises(LdapSyntaxError):
        LdapServer.parse(url)
