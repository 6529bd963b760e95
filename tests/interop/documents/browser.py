"""Chromium with its scripts on, behind a proxy that sees every request it makes.

The browser reaches nothing but the proxy, which serves the page that is looked at and counts all
else. A page that runs a script marks its own document, which the DOM that comes back shows.
"""

import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

PAGE: Final = "http://documents.example/page"
SECONDS: Final = 60
_SWITCHES: Final = (
    "--headless",
    "--no-sandbox",  # it refuses to run as root otherwise
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--password-store=basic",
    "--proxy-bypass-list=<-loopback>",
    "--virtual-time-budget=3000",
)


# The browser tells its maker that it is there; the proxy lets none of that through.
_OWN_HOSTS: Final = ("google.com", "googleapis.com", "gvt1.com")


@dataclass(frozen=True, slots=True)
class Visit:
    """What came of looking at one page.

    Attributes:
        dom: The document as it was after its scripts.
        requests: What it asked for, itself first.
        objections: What the browser's console says that the policy of the page forbade.
    """

    dom: str
    requests: tuple[str, ...]
    objections: tuple[str, ...]


@dataclass(slots=True)
class Browser:
    """Looks at pages, one at a time; *folder* takes its profile."""

    folder: Path
    octets: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    port: int = 0

    def visit(self, octets: bytes, headers: Mapping[str, str]) -> Visit:
        """Load a page, let its scripts run, and bring back what it became."""
        done = self._run(octets, headers, "--dump-dom")
        return Visit(
            dom=done.stdout,
            requests=tuple(one for one in self.requests if not _is_own(one)),
            objections=tuple(one for one in done.stderr.splitlines() if "CONSOLE" in one),
        )

    def photograph(
        self, octets: bytes, headers: Mapping[str, str], *, size: tuple[int, int], to: Path
    ) -> None:
        """Keep what a person sees."""
        to.parent.mkdir(parents=True, exist_ok=True)
        self._run(octets, headers, f"--screenshot={to}", f"--window-size={size[0]},{size[1]}")

    def _run(
        self, octets: bytes, headers: Mapping[str, str], *switches: str
    ) -> subprocess.CompletedProcess[str]:
        self.octets, self.headers = octets, headers
        self.requests.clear()
        command = [
            str(shutil.which("chromium")),
            *_SWITCHES,
            f"--user-data-dir={self.folder}",
            f"--proxy-server=http://127.0.0.1:{self.port}",
            "--enable-logging=stderr",
            *switches,
            PAGE,
        ]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=SECONDS)


def _is_own(request: str) -> bool:
    host = (urlsplit(request).hostname or request) if "://" in request else request
    return host.partition(":")[0].endswith(_OWN_HOSTS)


@contextmanager
def open_browser(folder: Path) -> Iterator[Browser]:
    """Start the proxy that the browser depends on."""
    browser = Browser(folder)

    class Proxy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            browser.requests.append(self.path)
            if self.path != PAGE:
                self.send_error(404)
                return
            self.send_response(200)
            for name, value in browser.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(browser.octets)

        def do_CONNECT(self) -> None:
            browser.requests.append(self.path)
            self.send_error(403)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- as inherited
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    browser.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield browser
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
