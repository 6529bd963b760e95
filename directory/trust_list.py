"""Tell which operator may speak for which domain: the trust list (liste blanche).

The list is the root of trust between operators: a peer is believed for a domain when the subject of
its certificate is one of the names listed for exactly that domain. A sub-domain is never implied.

This module reads and writes the content. The signature around it is checked first and elsewhere;
`parse_trust_list` must be given the octets that were proved to be signed, and nothing else.

Shapes
    A domain has several entries, one per certificate; a certificate name has several domains.
    Text fields hold 255 characters at most in the national editing tool; an entry with a field four
    times as long is left out.
Errors
    `TrustListSyntaxError` on any octets. What is wrong with one entry is a finding, and the entry
    is left out: one bad line must not cut off six thousand domains.
Sources
    Namespace `https://listeblanche.mssante.fr/schema`; the lists published by ANS in 2025.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from lxml import etree

from directory.address import Domain
from directory.distinguished_name import DistinguishedName
from directory.errors import AddressSyntaxError, DistinguishedNameSyntaxError, TrustListSyntaxError
from directory.findings import Finding, Severity
from directory.model import Operator

NAMESPACE: Final = "https://listeblanche.mssante.fr/schema"
MAX_OCTETS: Final = 64 * 1024 * 1024
MAX_ENTRIES: Final = 200_000
MAX_FIELD: Final = 1024
MAX_SHRINK: Final = 0.20
MAX_UNICODE_DOMAIN: Final = 253

_SIGNATURE: Final = "{http://www.w3.org/2000/09/xmldsig#}Signature"
_FIELDS: Final = (
    "Nom",
    "Description",
    "DNCertificatOperateur",
    "ResponsableContact",
    "SupportContact",
    "DateMAJ",
)


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustListEntry:
    """One domain and one certificate that may speak for it."""

    domain: Domain
    name: DistinguishedName
    description: str = ""
    responsible_contact: str = ""
    support_contact: str = ""
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustList:
    """The list of one generation, ready to be asked; each question costs one look-up.

    Attributes:
        generated_at: DateDeGeneration; a list that replaces this one must be younger.
        findings: What was odd or left out when it was read.
    """

    generated_at: datetime
    entries: tuple[TrustListEntry, ...]
    findings: tuple[Finding, ...] = ()
    _names: Mapping[str, frozenset[DistinguishedName]] = field(
        init=False, repr=False, compare=False
    )
    _domains: Mapping[DistinguishedName, frozenset[str]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        names: dict[str, set[DistinguishedName]] = {}
        domains: dict[DistinguishedName, set[str]] = {}
        for entry in self.entries:
            names.setdefault(str(entry.domain), set()).add(entry.name)
            domains.setdefault(entry.name, set()).add(str(entry.domain))
        frozen_names = {domain: frozenset(found) for domain, found in names.items()}
        frozen_domains = {name: frozenset(found) for name, found in domains.items()}
        object.__setattr__(self, "_names", frozen_names)
        object.__setattr__(self, "_domains", frozen_domains)

    def allows(self, domain: str, name: DistinguishedName) -> bool:
        """Say whether a certificate with this subject may speak for exactly this domain."""
        return name in self.names_of(domain)

    def lists(self, domain: str) -> bool:
        """Say whether the domain belongs to the trusted space."""
        return domain.lower() in self._names

    def names_of(self, domain: str) -> frozenset[DistinguishedName]:
        """List the certificate names that may speak for the domain; empty when it is unknown."""
        return self._names.get(domain.lower(), frozenset())

    def domains_of(self, name: DistinguishedName) -> frozenset[str]:
        """List the domains that a certificate with this subject may speak for."""
        return self._domains.get(name, frozenset())

    def operators_of(self, domain: str) -> tuple[Operator, ...]:
        """List the operators of a domain, in the order of their names."""
        names = sorted(self.names_of(domain), key=lambda name: name.key)
        return tuple(Operator(name=name, domains=self.domains_of(name)) for name in names)

    @property
    def domains(self) -> frozenset[str]:
        """All the domains of the trusted space."""
        return frozenset(self._names)


def parse_trust_list(xml: bytes) -> TrustList:
    """Read the signed content of a trust list.

    Args:
        xml: The octets that the signature covers (UTF-8). A signature element left at the end is
            skipped, not judged.

    Raises:
        TrustListSyntaxError: It is not a trust list, or it is one that only an attacker would
            write: a document type, another encoding, an absurd size.
    """
    root = _read_xml(xml)
    if root.tag != _tag("ListeBlancheMSSante"):
        raise TrustListSyntaxError("root-element")
    children = [child for child in root if child.tag != _SIGNATURE]
    if [child.tag for child in children] != [_tag("DateDeGeneration"), _tag("ListeDomaines")]:
        raise TrustListSyntaxError("structure")
    date, listed = children
    generated_at = _parse_instant(_text_of(date))
    if generated_at is None:
        raise TrustListSyntaxError("generation-date")
    if len(listed) > MAX_ENTRIES:
        raise TrustListSyntaxError("too-many-entries")
    findings: list[Finding] = []
    names: dict[str, DistinguishedName] = {}
    entries = tuple(
        entry for element in listed if (entry := _parse_entry(element, names, findings)) is not None
    )
    return TrustList(generated_at=generated_at, entries=entries, findings=tuple(findings))


def build_trust_list(*, generated_at: datetime, entries: Iterable[TrustListEntry]) -> bytes:
    """Write the content of a trust list, to be signed.

    Args:
        generated_at: Aware; written in UTC to the second, as the national list does.
        entries: In the order in which they are to be written.

    Raises:
        TrustListSyntaxError: A text holds a character that XML cannot.
    """
    root = etree.Element(_tag("ListeBlancheMSSante"), nsmap={None: NAMESPACE})
    etree.SubElement(root, _tag("DateDeGeneration")).text = _format_instant(generated_at)
    listed = etree.SubElement(root, _tag("ListeDomaines"))
    try:
        for entry in entries:
            element = etree.SubElement(listed, _tag("Domaine"))
            for name, value in zip(_FIELDS, _values_of(entry), strict=True):
                etree.SubElement(element, _tag(name)).text = value
    except ValueError:
        raise TrustListSyntaxError("character") from None
    etree.indent(root, space="  ")
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListChange:
    """What a new list changes: domains, and pairs of a domain and a certificate name."""

    added_domains: tuple[str, ...]
    removed_domains: tuple[str, ...]
    added_pairs: int
    removed_pairs: int


def compare_lists(old: TrustList | None, new: TrustList) -> ListChange:
    """Say what changes when *new* replaces *old*, in alphabetical order."""
    before = frozenset[str]() if old is None else old.domains
    pairs_before = set() if old is None else {(one.domain, one.name) for one in old.entries}
    pairs_after = {(one.domain, one.name) for one in new.entries}
    return ListChange(
        added_domains=tuple(sorted(new.domains - before)),
        removed_domains=tuple(sorted(before - new.domains)),
        added_pairs=len(pairs_after - pairs_before),
        removed_pairs=len(pairs_before - pairs_after),
    )


def check_succession(
    old: TrustList, new: TrustList, *, max_shrink: float = MAX_SHRINK
) -> list[Finding]:
    """Say whether *new* may replace *old*; a finding of severity error forbids it.

    Args:
        old: The list in force.
        new: The one that wants to follow.
        max_shrink: The part of the domains that may vanish at once.
    """
    findings = []
    if new.generated_at < old.generated_at:
        findings.append(
            Finding(
                code="trust-list-older",
                severity=Severity.ERROR,
                text=f"Generated on {_format_instant(new.generated_at)}, "
                f"before the list in force ({_format_instant(old.generated_at)}).",
            )
        )
    kept = math.ceil(len(old.domains) * (1 - max_shrink))
    if len(new.domains) < kept:
        findings.append(
            Finding(
                code="trust-list-shrinks",
                severity=Severity.ERROR,
                text=f"{len(new.domains)} domains instead of {len(old.domains)}: "
                f"more than {max_shrink:.0%} would vanish at once.",
            )
        )
    if new.generated_at == old.generated_at and set(new.entries) != set(old.entries):
        findings.append(
            Finding(
                code="trust-list-same-date",
                severity=Severity.WARNING,
                text="The list differs from the one in force but bears the same date.",
            )
        )
    return findings


def _read_xml(xml: bytes) -> etree._Element:
    if len(xml) > MAX_OCTETS:
        raise TrustListSyntaxError("too-large")
    # In UTF-8 a document type can hide nowhere else; with it go entities, XXE and their bombs.
    if not _is_utf_8(xml):
        raise TrustListSyntaxError("not-utf-8")
    if b"<!DOCTYPE" in xml:
        raise TrustListSyntaxError("document-type")
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(xml, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise TrustListSyntaxError("not-well-formed") from None
    if (root.getroottree().docinfo.encoding or "UTF-8").upper() not in ("UTF-8", "US-ASCII"):
        raise TrustListSyntaxError("not-utf-8")
    return root


def _is_utf_8(octets: bytes) -> bool:
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _parse_entry(
    element: etree._Element, names: dict[str, DistinguishedName], findings: list[Finding]
) -> TrustListEntry | None:
    """Read one Domaine, or add the reason why not; *names* remembers the few distinct names."""

    def remark(code: str, text: str) -> None:
        findings.append(
            Finding(code=code, severity=Severity.WARNING, text=text, line=element.sourceline)
        )

    values = _fields_of(element)
    if values is None:
        remark("trust-list-entry", "An entry lacks a field, or has it twice or too long.")
        return None
    try:
        domain = Domain(_ascii_form(values["Nom"]))
    except AddressSyntaxError as error:
        remark("trust-list-domain", f"A Nom is no domain ({error.reason}); it is left out.")
        return None
    text = values["DNCertificatOperateur"]
    try:
        name = names.get(text) or names.setdefault(text, DistinguishedName.parse(text))
    except DistinguishedNameSyntaxError as error:
        remark("trust-list-name", f"A name for {domain} is unreadable ({error.reason}).")
        return None
    if not values["Nom"].isascii():
        remark("trust-list-unicode", f"The domain {domain} is not written in its ASCII form.")
    elif domain != values["Nom"]:
        remark("trust-list-case", f"The domain {domain} is not written in lower case.")
    updated_at = _parse_instant(values["DateMAJ"])
    if updated_at is None:
        remark("trust-list-date", f"The update date of {domain} is unreadable.")
    return TrustListEntry(
        domain=domain,
        name=name,
        description=values["Description"],
        responsible_contact=values["ResponsableContact"],
        support_contact=values["SupportContact"],
        updated_at=updated_at,
    )


def _fields_of(element: etree._Element) -> dict[str, str] | None:
    """Return the texts of an entry; `None` unless the needed fields are there exactly once."""
    if element.tag != _tag("Domaine"):
        return None
    values: dict[str, str] = {}
    for child in element:
        name = etree.QName(child).localname
        if child.tag != _tag(name) or name not in _FIELDS:
            continue
        if name in values or len(child):
            return None
        values[name] = _text_of(child)
        if len(values[name]) > MAX_FIELD:
            return None
    if not values.get("Nom") or not values.get("DNCertificatOperateur"):
        return None
    return {name: values.get(name, "") for name in _FIELDS}


def _ascii_form(domain: str) -> str:
    """Write a domain with letters of the whole world as mail carries it (`xn--…`)."""
    if domain.isascii() or len(domain) > MAX_UNICODE_DOMAIN:
        return domain
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain  # and is refused as it stands


def _values_of(entry: TrustListEntry) -> tuple[str, ...]:
    return (
        entry.domain,
        entry.description,
        str(entry.name),
        entry.responsible_contact,
        entry.support_contact,
        _format_instant(entry.updated_at) if entry.updated_at else "",
    )


def _text_of(element: etree._Element) -> str:
    return (element.text or "").strip()


def _parse_instant(text: str) -> datetime | None:
    """Read an ISO 8601 instant with its zone; `None` when it is not one."""
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def _format_instant(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
