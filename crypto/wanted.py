"""What would have helped to judge certificates, for somebody who fetches at another time?

Judging never waits for a network. It notes here where the issuers of what it judged say that lists,
responders and certificates are; a job takes the notes and decides what to fetch. Bounded: a crowd
of certificates makes no crowd of notes, and the same note is kept once.

Errors
    None.
Sources
    RFC 5280, 4.2.1.13 (distribution points), 4.2.1.15 (freshest list), 4.2.2.1 (authority access).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from threading import Lock
from typing import Final

from crypto.certificates import Certificate

MAX_WANTED: Final = 512
MAX_URLS: Final = 4
MAX_URL_OCTETS: Final = 1024


class WantedKind(StrEnum):
    """What lies at a URL."""

    CRL = "crl"
    DELTA_CRL = "delta-crl"
    OCSP = "ocsp"
    ISSUER = "issuer"


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSource:
    """Something to fetch.

    Attributes:
        certificate: For OCSP, the one to ask about; else the one that names the URL.
        issuer: Its issuer; None if it is the issuer that is wanted.
    """

    kind: WantedKind
    url: str
    certificate: Certificate
    issuer: Certificate | None

    @property
    def key(self) -> tuple[str, ...]:
        """What makes two notes the same: for lists the URL, for OCSP the certificate as well."""
        if self.kind is WantedKind.OCSP:
            return (self.kind, self.url, self.certificate.fingerprint)
        return (self.kind, self.url)


class Wanted:
    """Notes of what to fetch, shared by the stores that succeed each other."""

    def __init__(self) -> None:
        self._sources: dict[tuple[str, ...], WantedSource] = {}
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._sources)

    def note(self, source: WantedSource) -> None:
        """Keep a note, if there is room and it is not kept already."""
        with self._lock:
            if len(self._sources) < MAX_WANTED:
                self._sources.setdefault(source.key, source)

    def take(self) -> tuple[WantedSource, ...]:
        """Take all notes away."""
        with self._lock:
            taken = tuple(self._sources.values())
            self._sources.clear()
        return taken


def lists_about(certificate: Certificate, issuer: Certificate) -> Iterator[WantedSource]:
    """Name the lists that may speak about a certificate."""
    for kind, urls in (
        (WantedKind.CRL, certificate.crl_urls),
        (WantedKind.DELTA_CRL, certificate.delta_crl_urls),
    ):
        for url in _fetchable(urls):
            yield WantedSource(kind=kind, url=url, certificate=certificate, issuer=issuer)


def answers_about(certificate: Certificate, issuer: Certificate) -> Iterator[WantedSource]:
    """Name the responders that may speak about a certificate."""
    for url in _fetchable(certificate.ocsp_urls):
        yield WantedSource(kind=WantedKind.OCSP, url=url, certificate=certificate, issuer=issuer)


def issuer_of(certificate: Certificate) -> Iterator[WantedSource]:
    """Name where the issuer of a certificate may be found."""
    for url in _fetchable(certificate.issuer_urls):
        yield WantedSource(kind=WantedKind.ISSUER, url=url, certificate=certificate, issuer=None)


def _fetchable(urls: tuple[str, ...]) -> Iterator[str]:
    """Pass on what HTTP can fetch: IGC-Santé names LDAP as well."""
    for url in urls[:MAX_URLS]:
        if len(url) <= MAX_URL_OCTETS and url.lower().startswith(("http://", "https://")):
            yield url
