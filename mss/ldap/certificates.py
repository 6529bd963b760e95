"""Find the certificates of a recipient in other directories, by LDAP.

The layout of the national directory of certificates is not public, so where to look and what for
are settings. Servers are asked in their order until one knows a certificate.

Errors
    `SettingsError` for settings that cannot be right; nothing out of `find`.
Sources
    RFC 4523, 2.1 and 4.1 (`userCertificate;binary`); RFC 2798, 2.8 (`userSMIMECertificate`).
"""

import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from crypto import tls
from crypto.certificates import parse_certificates
from crypto.errors import CryptoError
from directory.address import MailAddress
from mss.errors import SettingsError
from mss.ldap.client import LdapServer, LdapUnavailableError, Login, Question, search
from mss.ldap.filters import LdapSyntaxError, escape, parse_filter_text
from mss.ldap.message import attribute_values
from mss.settings import Settings

PLACEHOLDER: Final = "{address}"
_log = logging.getLogger("mss.ldap")


@dataclass(frozen=True, slots=True, kw_only=True)
class LdapCertificates:
    """Asks the servers of the settings.

    Attributes:
        context: Gives the TLS context, made anew so that renewed anchors count.
    """

    servers: tuple[LdapServer, ...]
    base: str
    filter_text: str
    attributes: tuple[str, ...]
    login: Login
    context: Callable[[], ssl.SSLContext]
    seconds: float
    max_octets: int

    async def find(self, address: MailAddress) -> Sequence[bytes] | None:
        """List certificates for one recipient; `None` if no server could tell."""
        text = self.filter_text.replace(PLACEHOLDER, escape(str(address)))
        question = Question(
            base=self.base, filter=parse_filter_text(text), attributes=self.attributes
        )
        has_answered = False
        for server in self.servers:
            try:
                entries = await search(
                    server,
                    question,
                    login=self.login,
                    context=self.context(),
                    seconds=self.seconds,
                    max_octets=self.max_octets,
                )
            except LdapUnavailableError as error:
                _log.warning("%s:%d does not answer: %s", server.host, server.port, error.reason)
                continue
            has_answered = True
            values = [v for one in entries for v in attribute_values(one, self.attributes)]
            found = [der for value in values for der in _certificates(value)]
            if found:
                return found
        return [] if has_answered else None


def _certificates(value: bytes) -> list[bytes]:
    """Read a value: a certificate, or several in a CMS object; whatever else is none."""
    try:
        return [one.der for one in parse_certificates(value)]
    except CryptoError:
        return []


def build_certificate_source(settings: Settings) -> LdapCertificates | None:
    """Build the source of an operator; `None` if the settings name no server.

    Raises:
        SettingsError: A server or the filter cannot be read.
    """
    wanted = settings.directory
    if not wanted.ldap_servers:
        return None
    try:
        servers = tuple(map(LdapServer.parse, wanted.ldap_servers))
        parse_filter_text(wanted.ldap_filter.replace(PLACEHOLDER, "x"))
    except LdapSyntaxError as error:
        name = "ldap_servers" if error.reason == "url" else "ldap_filter"
        raise SettingsError(reason=f"directory.{name}: {error.reason}") from error
    if PLACEHOLDER not in wanted.ldap_filter:
        raise SettingsError(reason=f"directory.ldap_filter must contain {PLACEHOLDER}")
    password = wanted.ldap_password
    return LdapCertificates(
        servers=servers,
        base=wanted.ldap_base,
        filter_text=wanted.ldap_filter,
        attributes=wanted.ldap_attributes,
        login=Login(
            name=wanted.ldap_user, password=password.get_secret_value() if password else ""
        ),
        context=lambda: _context(settings),
        seconds=wanted.ldap_seconds,
        max_octets=wanted.ldap_octets,
    )


def _context(settings: Settings) -> ssl.SSLContext:
    """Trust our anchors, the issuers that we know, and what the settings name besides."""
    names = [settings.trust.anchors, settings.directory.ldap_ca]
    files = [settings.path(name) for name in names if name]
    intermediates = settings.path(settings.trust.intermediates)
    files += [intermediates] if intermediates.exists() else []
    try:
        pem = "\n".join(file.read_text(encoding="ascii") for file in files)
        return tls.client_context(None, None, anchors_pem=pem, check_host=True)
    except (OSError, ValueError, CryptoError) as error:
        raise SettingsError(reason=f"directory.ldap_ca or trust.anchors: {error}") from error
