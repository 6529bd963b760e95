"""The TLS contexts of doors and relay: made from the files that the settings name.

A context serves the connections that begin while it is in force, so certificates are renewed by
`reload`, without closing anything.

Errors
    `SettingsError` for files that cannot be used; what was in force stays in force.
"""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crypto import tls
from crypto.errors import CryptoError
from mss.errors import SettingsError
from mss.pipeline.key_files import KeyFiles
from mss.settings import Settings


class DoorTls:
    """The TLS contexts in force, one per kind of door; `reload` reads the files again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.mx: ssl.SSLContext
        self.submission: ssl.SSLContext
        self.reload()

    def reload(self) -> None:
        """Read certificate, key and anchors; connections that are open keep what they have.

        Raises:
            SettingsError: A file is missing or cannot be used; the contexts in force stay.
        """
        settings = self._settings
        certificate = settings.path(settings.tls.certificate)
        key = settings.path(settings.tls.key)
        ciphers = settings.tls.ciphers or tls.CIPHERS
        password = key_password(settings)
        with _as_settings_error(certificate):
            # A client without a certificate, or with one of last year, gets as far as an SMTP
            # reply that tells it so; the trust space judges the dates (docs/adr/0018).
            mx = tls.server_context(
                certificate,
                key,
                client_anchors_pem=read_authorities(settings),
                check_time=False,
                ciphers=ciphers,
                password=password,
            )
            # A certificate is asked for and never required: software logs in with it.
            submission = tls.server_context(
                certificate,
                key,
                client_anchors_pem=read_authorities(settings)
                if settings.tls.ask_software
                else None,
                ciphers=ciphers,
                password=password,
            )
        self.mx, self.submission = mx, submission


class RelayTls:
    """The context of the relay; call it for the one in force, `reload` reads the files again."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context: ssl.SSLContext
        self.reload()

    def __call__(self) -> ssl.SSLContext:
        """Give the context in force."""
        return self._context

    def reload(self) -> None:
        """Read certificate, key and anchors; raises `SettingsError`, and keeps the old ones."""
        settings = self._settings
        certificate = settings.path(settings.tls.certificate)
        with _as_settings_error(certificate):
            self._context = tls.client_context(
                certificate,
                settings.path(settings.tls.key),
                anchors_pem=read_authorities(settings),
                check_time=False,  # the trust space judges the dates, and says so by their name
                ciphers=settings.tls.ciphers or tls.CIPHERS,
                password=key_password(settings),
            )


def key_password(settings: Settings) -> bytes | None:
    """Find what opens the key of the doors; `None` if it lies in clear."""
    files = KeyFiles(home=settings.home, settings=settings.keys)
    return files.password_of(settings.path(settings.tls.key))


def read_authorities(settings: Settings) -> str:
    """Read what a peer's certificate may lead to: our anchors, and the issuers that we know.

    The issuers spare operators that forget to send them; OpenSSL still wants an anchor at the end.
    """
    anchors = settings.path(settings.trust.anchors).read_text(encoding="ascii")
    intermediates = settings.path(settings.trust.intermediates)
    return anchors + (intermediates.read_text(encoding="ascii") if intermediates.exists() else "")


@contextmanager
def _as_settings_error(file: Path) -> Iterator[None]:
    """Say which setting is to be mended."""
    try:
        yield
    except (OSError, ValueError, CryptoError) as error:
        raise SettingsError(reason=f"{file}: {error}") from error
