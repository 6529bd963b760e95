"""The trust list at the size of the national one: loading, signature included, and asking."""

import time
from datetime import timedelta

from crypto import trust, xml_signature
from crypto.issuing import CertificateProfile, Subject
from directory.address import Domain
from directory.distinguished_name import DistinguishedName
from directory.trust_list import TrustListEntry, build_trust_list, parse_trust_list
from mss.policy.peer import name_objection
from tests.performance.compare import tell
from tests.support.pki import ISSUED_AT, NOW, the_pki

ENTRIES = 10_000
CERTIFICATES = 400
QUESTIONS = 50_000


def run() -> None:
    """Load ten thousand entries, then ask for all of them."""
    pki = the_pki()
    names = [
        DistinguishedName.parse(f"CN=mx{n}.essai.fr,OU=1{n:09},O=CH {n},ST=Paris (75),C=FR")
        for n in range(CERTIFICATES)
    ]
    entries = [
        TrustListEntry(
            domain=Domain(f"d{n}.essai.mssante.fr"),
            name=names[n % CERTIFICATES],
            description="Une structure d'essai, service des admissions",
            responsible_contact="dsi@exemple.example",
            support_contact="support@exemple.example",
            updated_at=ISSUED_AT,
        )
        for n in range(ENTRIES)
    ]
    subject = Subject(common_name="LISTE", organization="ESSAI", structure_id="1750000003")
    signer = pki.authority.issue(CertificateProfile.SIGNATURE, subject, at=ISSUED_AT, key="rsa2048")
    xml = xml_signature.sign_enveloped(
        build_trust_list(generated_at=NOW, entries=entries),
        private_key=signer.private_key,
        certificate=signer.certificate,
    )
    seconds = []
    listed = parse_trust_list(xml_signature.verify_enveloped(xml).content)
    for _ in range(5):
        started = time.perf_counter()
        signed = xml_signature.verify_enveloped(xml)
        trust.validate(
            signed.signer,
            store=pki.store(),
            profile=trust.DOCUMENT_SIGNING,
            at=NOW + timedelta(minutes=1),
        )
        listed = parse_trust_list(signed.content)
        seconds.append(time.perf_counter() - started)
    started = time.perf_counter()
    for n in range(QUESTIONS):
        entry = entries[n % ENTRIES]
        objection = name_objection(
            entry.name,
            domain=entry.domain,
            listed=listed.names_of(entry.domain),
            is_listed_elsewhere=bool(listed.domains_of(entry.name)),
        )
        assert objection is None
    asked = time.perf_counter() - started
    tell(
        bench="trust-list",
        case=f"{ENTRIES} entries, {len(xml)} octets",
        load_seconds={"median": round(sorted(seconds)[2], 3), "worst": round(max(seconds), 3)},
        goal_seconds=2.0,
        microseconds_per_answer=round(asked / QUESTIONS * 1e6, 2),
    )
