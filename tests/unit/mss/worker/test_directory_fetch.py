"""Files of the national directory, from a publisher on loopback over real HTTPS."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from crypto.issuing import Authority, CertificateProfile, Subject, create_authority
from mss.clock import SystemClock
from mss.errors import DirectoryUnreachableError
from mss.worker.directory_fetch import DirectoryFetcher
from tests.support.http_server import Answer, HttpServer, Request, Writer, open_http_server, status

NAME = "PS_LibreAcces_202611230200.zip"


@pytest.fixture(scope="module")
def web() -> Authority:
    """The authority of the publisher's server, valid by the clock of the machine."""
    return create_authority("WEB", at=SystemClock().now() - timedelta(days=1), key="p256")


@asynccontextmanager
async def publishing(web: Authority, folder: Path, answer: Answer) -> AsyncIterator[HttpServer]:
    """Serve an answer over TLS."""
    subject = Subject(
        common_name="localhost", organization="WEB", structure_id="1", dns_names=("localhost",)
    )
    issued = web.issue(CertificateProfile.SERVER, subject, at=SystemClock().now())
    (folder / "web.pem").write_text(issued.chain_pem + issued.private_key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "web.pem")
    async with open_http_server(tls=context, file=answer) as publisher:
        yield publisher


def a_file(body: bytes, name: str = NAME) -> Answer:
    """Answer with a file whose name the server tells."""

    async def answer(request: Request, writer: Writer) -> None:
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
            f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'
        )
        writer.write(head.encode() + (b"" if request.method == "HEAD" else body))

    return answer


def a_fetcher(folder: Path, web: Authority | None, **changes: int) -> DirectoryFetcher:
    """The fetcher of an operator who believes an authority, or none."""

    def context() -> ssl.SSLContext:
        made = ssl.create_default_context()
        if web is not None:
            made.load_verify_locations(cadata=web.anchors_pem)
        return made

    limits = {"max_octets": 1_000, "seconds": 5} | changes
    return DirectoryFetcher(folder=folder / "files", context=context, **limits)


def at(publisher: HttpServer) -> str:
    """The address of the file."""
    return f"https://localhost:{publisher.port}/file"


async def test_a_file_is_fetched_once_and_known_by_its_name(web: Authority, tmp_path: Path) -> None:
    """The name carries the stamp: the second time, a header is enough."""
    fetcher = a_fetcher(tmp_path, web)
    async with publishing(web, tmp_path, a_file(b"octets")) as publisher:
        first = await fetcher.fetch(at(publisher))
        second = await fetcher.fetch(at(publisher))
        methods = [request.method for request in publisher.requests]

    assert (first.path.name, first.path.read_bytes()) == (NAME, b"octets")
    assert (first.is_new, second.is_new) == (True, False)
    assert methods == ["HEAD", "GET", "HEAD"]


async def test_a_name_cannot_lead_out_of_the_folder(web: Authority, tmp_path: Path) -> None:
    """A publisher who was broken into names a file of ours."""
    fetcher = a_fetcher(tmp_path, web)
    async with publishing(web, tmp_path, a_file(b"x", "../../mss.toml")) as publisher:
        fetched = await fetcher.fetch(at(publisher))

    assert fetched.path.parent.parent == tmp_path / "files"


async def test_a_server_that_nobody_vouches_for_is_refused(web: Authority, tmp_path: Path) -> None:
    """Verification has no switch."""
    fetcher = a_fetcher(tmp_path, None)
    async with publishing(web, tmp_path, a_file(b"x")) as publisher:
        with pytest.raises(DirectoryUnreachableError) as caught:
            await fetcher.fetch(at(publisher))

    assert caught.value.reason == "untrusted-server"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (status(404), "status-404"),
        (status(302, "Location: http://localhost/other"), "broken-off"),
        (a_file(b"x" * 1_001), "too-large"),
    ],
    ids=["absent", "leaves-https", "endless"],
)
async def test_an_answer_that_is_no_file_is_refused(
    web: Authority, tmp_path: Path, answer: Answer, reason: str
) -> None:
    """And nothing is left that an import could take for one."""
    async with publishing(web, tmp_path, answer) as publisher:
        with pytest.raises(DirectoryUnreachableError) as caught:
            await a_fetcher(tmp_path, web).fetch(at(publisher))

    assert caught.value.reason == reason
    assert not list((tmp_path / "files").rglob("*.zip"))


async def test_plain_http_is_not_asked(tmp_path: Path) -> None:
    """Who sits on the way could leave people out."""
    with pytest.raises(DirectoryUnreachableError) as caught:
        await a_fetcher(tmp_path, None).fetch("http://localhost/file")

    assert caught.value.reason == "not-https"
