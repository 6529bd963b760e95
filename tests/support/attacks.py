"""Hostile letters, each with the verdict that it must end in: the negative corpus of signatures.

A `Stage` has the keys that an attacker does and does not hold; `attacks(stage)` makes a whole
message for each attack. The same corpus is run on the crypto island, through the door of a server,
and by whatever else claims to judge letters.

Sources
    Müller et al., Johnny, you are fired!, USENIX Security 2019 (C1 to C4, M1 to M4, I1 to I3);
    Poddebniak et al., Efail, 2018; Müller et al., Re: What's up Johnny? (REPLY), ACNS 2019;
    Davis, Defective sign and encrypt, USENIX 2001 (surreptitious forwarding).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from crypto import algorithms, der, signed_data, smime
from crypto.certificates import Certificate
from crypto.entity import read_entity, wrap_base64
from crypto.enveloped_data import EnvelopeProfile
from crypto.issuing import Issued
from crypto.layers import Judgement
from crypto.recipient_list import build_recipient_list
from mss.mime import entity as entities
from tests.unit.crypto import forging
from tests.unit.crypto.forging import Attributes

TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nDose : 1 mg.\r\n"
LIE = b"Content-Type: text/plain; charset=utf-8\r\n\r\nDose : 9 mg.\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Who is who.

    Attributes:
        author: The mailbox that *signer* signs for.
        colleague: A mailbox of the same operator, for whom *signer* does not sign.
        reader: The recipient, and the certificate whose key the judge holds.
        other: Somebody else who is trusted, with a key to sign.
        stranger: Has the signer's name from an authority that nobody trusts.
        server: A trusted certificate that is not for mail.
    """

    author: str
    colleague: str
    reader: str
    signer: Issued
    other: Issued
    stranger: Issued
    server: Issued
    recipient: Certificate
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One hostile letter.

    Attributes:
        threat: What it tries.
        judgement: What its cryptography is worth.
        reason: The code that must be among the reasons and findings of the cryptography.
        verdict: What the letter as a whole is worth, author and header included.
        door: `refused:` and the reason, or the verdict that the letter is deposited with.
        finding: A finding that the deposited letter must bear.
    """

    name: str
    threat: str
    octets: bytes
    judgement: Judgement
    reason: str = ""
    verdict: Judgement
    door: str
    finding: str = ""


def letter(stage: Stage, entity: bytes, *, author: str = "", more: bytes = b"") -> bytes:
    """Put the usual header over an entity."""
    head = (
        f"From: {author or stage.author}\r\nTo: {stage.reader}\r\nSubject: Lettre\r\n"
        "Date: Tue, 03 Nov 2026 10:59:00 +0100\r\nMessage-ID: <attack@his.example>\r\n"
    )
    return head.encode() + more + b"MIME-Version: 1.0\r\n" + entity


def attacks(stage: Stage) -> Iterator[Attack]:
    """Make every attack."""
    yield from _bad_structures(stage)
    yield from _bad_attributes(stage)
    yield from _bad_algorithms(stage)
    yield from _bad_signers(stage)
    yield from _confusing_parts(stage)
    yield from _hidden_parts(stage)
    yield from _ciphertexts(stage)
    yield from _false_headers(stage)


# --- Signatures that are bad -----------------------------------------------------------------


def _invalid(name: str, threat: str, octets: bytes, reason: str, code: str = "") -> Attack:
    return Attack(
        name=name,
        threat=threat,
        octets=octets,
        judgement=Judgement.INVALID,
        reason=reason,
        verdict=Judgement.INVALID,
        door=f"refused:{code or 'signature-invalid'}",
    )


def _bad_structures(stage: Stage) -> Iterator[Attack]:
    info = forging.signer_info(TEXT, stage.signer)
    certificates = [stage.signer.certificate]
    bare = forging.signed_data([info], certificates)
    whole = forging.signed_data([info], certificates, content=TEXT)
    damaged = forging.signer_info(TEXT, stage.signer, damage=True)
    others = forging.signer_info(TEXT, stage.other)
    both = [stage.signer.certificate, stage.other.certificate]
    clear = partial(forging.multipart, TEXT)
    cases = (
        ("c1-other-content-inside", "eContent confusion",
         forging.multipart(LIE, whole), "content-twice"),
        ("c1-same-content-inside", "eContent confusion", clear(whole), "content-twice"),
        ("c1-no-content", "eContent confusion", forging.opaque(bare), "content-missing"),
        ("c2-first-signer-damaged", "several signers",
         clear(forging.signed_data([damaged, others], both)), "signature-wrong"),
        ("c2-second-signer-damaged", "several signers",
         clear(forging.signed_data([others, damaged], both)), "signature-wrong"),
        ("c3-no-signer", "no signer", clear(forging.signed_data([], certificates)),
         "signer-missing"),
        ("c3-no-signer-opaque", "no signer",
         forging.opaque(forging.signed_data([], certificates, content=TEXT)), "signer-missing"),
        ("not-data-inside", "content of another type",
         clear(forging.signed_data([info], certificates, content_type=algorithms.SIGNED_DATA)),
         "content-type-not-data"),
        ("changed-content", "changed on the way", forging.multipart(LIE, bare), "content-changed"),
        ("blank-added", "changed on the way",
         forging.multipart(TEXT.replace(b" mg", b"  mg"), bare), "content-changed"),
        ("line-end-added", "changed on the way", forging.multipart(TEXT + b"\r\n", bare),
         "content-changed"),
    )  # fmt: skip
    for name, threat, entity, reason in cases:
        yield _invalid(name, threat, letter(stage, entity), reason)
    unreadable = (
        ("rubbish", b"rubbish", "base64"),
        ("rubbish-octets", wrap_base64(b"rubbish"), ""),
        ("truncated", wrap_base64(bare[:-1]), ""),
        ("appended", wrap_base64(bare + b"\x00"), "trailing-octets"),
        ("deep", wrap_base64(b"\x30\x80" * 5000 + bytes(10000)), ""),
        ("long", wrap_base64(b"\x30\x88" + b"\xff" * 8), ""),
        ("nine-signers", wrap_base64(forging.signed_data([info] * 9, certificates)),
         "too-many-signers"),
        ("thirty-three-certificates",
         wrap_base64(forging.signed_data([info], certificates * 33)), "too-many-certificates"),
    )  # fmt: skip
    for name, base64, reason in unreadable:
        entity = (
            clear(b"")
            .replace(wrap_base64(b""), b"")
            .replace(b"--edge--", base64.rstrip() + b"\r\n--edge--")
        )
        yield _invalid(
            f"structure-{name}", "BER abuse", letter(stage, entity), reason, "cms-syntax"
        )


def _bad_attributes(stage: Stage) -> Iterator[Attack]:
    named = signed_data._signing_certificate(stage.other.certificate)
    other_algorithms = der.sequence(
        der.sequence(der.oid(algorithms.SHA512)),
        der.encode(der.context(1), der.oid(algorithms.ECDSA_SHA256)),
    )
    changes: tuple[tuple[str, Callable[[Attributes], Attributes], str], ...] = (
        ("digest-twice", lambda a: [*a, a[1]], "attribute-repeated"),
        ("type-twice", lambda a: [*a, a[0]], "attribute-repeated"),
        ("two-digests-in-one", lambda a: [a[0], (a[1][0], a[1][1] * 2)], "attribute-repeated"),
        ("empty-digest", lambda a: [a[0], (a[1][0], [])], "attribute-repeated"),
        ("no-digest", lambda a: a[:1], "message-digest-missing"),
        ("no-type", lambda a: a[1:], "content-type-attribute"),
        ("other-type", lambda a: [(a[0][0], [der.oid(algorithms.SIGNED_DATA)]), a[1]],
         "content-type-attribute"),
        ("other-digest", lambda a: [a[0], (a[1][0], [der.octet_string(bytes(32))])],
         "content-changed"),
        ("time-of-nothing", lambda a: [*a, (algorithms.SIGNING_TIME, [der.null()])],
         "signing-time"),
        ("other-certificate", lambda a: [*a, (algorithms.SIGNING_CERTIFICATE_V2, [named])],
         "signing-certificate-mismatch"),
        ("other-algorithms",
         lambda a: [*a, (algorithms.CMS_ALGORITHM_PROTECTION, [other_algorithms])],
         "algorithm-protection"),
    )  # fmt: skip
    for name, change, reason in changes:
        info = forging.signer_info(TEXT, stage.signer, change=change)
        cms = forging.signed_data([info], [stage.signer.certificate])
        entity = forging.multipart(TEXT, cms)
        yield _invalid(f"attributes-{name}", "attributes", letter(stage, entity), reason)
    tbs = der.set_of(forging.encoded(forging.usual_attributes(TEXT)))
    bare = forging.signer_info(tbs, stage.signer, with_attributes=False)
    entity = forging.multipart(tbs, forging.signed_data([bare], [stage.signer.certificate]))
    yield _invalid(
        "attributes-as-content",
        "signed attributes of another letter",
        letter(stage, entity),
        "signed-attributes-missing",
        "message-syntax",  # octets of a structure are no lines of mail
    )


def _bad_algorithms(stage: Stage) -> Iterator[Attack]:
    def entity(digest: str, algorithm: bytes) -> bytes:
        info = forging.signer_info(
            TEXT, stage.signer, digest=der.sequence(der.oid(digest)), algorithm=algorithm
        )
        return forging.multipart(TEXT, forging.signed_data([info], [stage.signer.certificate]))

    sha1_with_rsa = der.sequence(der.oid("1.2.840.113549.1.1.5"), der.null())
    rsa = der.sequence(der.oid(algorithms.RSA_SHA256), der.null())
    cases = (
        ("md5", entity("1.2.840.113549.2.5", forging.ECDSA), "digest-refused"),
        ("sha1", entity(algorithms.SHA1, forging.ECDSA), "digest-refused"),
        ("sha1-with-rsa", entity(algorithms.SHA256, sha1_with_rsa), "signature-algorithm-refused"),
        ("pss-of-1998", entity(algorithms.SHA256, der.sequence(der.oid(algorithms.RSA_PSS))),
         "pss-parameters"),
        ("other-kind-of-key", entity(algorithms.SHA256, rsa), "key-of-another-kind"),
        ("other-digest", entity(algorithms.SHA512, forging.ECDSA), "digest-mismatch"),
    )  # fmt: skip
    for name, octets, reason in cases:
        yield _invalid(f"algorithm-{name}", "weak algorithm", letter(stage, octets), reason)


# --- Signers that are not believed -----------------------------------------------------------


def _bad_signers(stage: Stage) -> Iterator[Attack]:
    def signed(*signers: Issued, certificates: Sequence[Certificate] | None = None) -> bytes:
        infos = [forging.signer_info(TEXT, each) for each in signers]
        known = [each.certificate for each in signers] if certificates is None else certificates
        return letter(stage, forging.multipart(TEXT, forging.signed_data(infos, known)))

    untrusted = (
        ("c4-stranger", signed(stage.stranger)),
        ("c4-not-for-mail", signed(stage.server)),
        ("c2-stranger-beside", signed(stage.signer, stage.stranger)),
        ("c2-stranger-first", signed(stage.stranger, stage.signer)),
    )
    for name, octets in untrusted:
        yield Attack(
            name=name,
            threat="untrusted signer",
            octets=octets,
            judgement=Judgement.UNTRUSTED,
            verdict=Judgement.UNTRUSTED,
            door="untrusted",
            finding="signer",
        )
    yield Attack(
        name="certificate-left-out",
        threat="unknown signer",
        octets=signed(stage.other, certificates=()),
        judgement=Judgement.INDETERMINATE,
        reason="signer-certificate-missing",
        verdict=Judgement.INDETERMINATE,
        door="indeterminate",
        finding="signer",
    )


# --- Parts that confuse readers --------------------------------------------------------------


def _good(stage: Stage) -> bytes:
    return smime.sign(TEXT, keys=stage.signer.key_holder(), at=stage.at, chain=stage.signer.chain)


def _confusing_parts(stage: Stage) -> Iterator[Attack]:
    cms = forging.signed_data([forging.signer_info(TEXT, stage.signer)], [stage.signer.certificate])
    clear = partial(forging.multipart, TEXT, cms)
    third = b"\r\n--edge\r\nContent-Type: text/html\r\n\r\n<b>9 mg</b>"
    good = clear()
    cases = (
        ("text-before", clear(before=b"Dose : 9 mg.\r\n"), "text-before-signed-part"),
        ("text-after", clear(after=b"Dose : 9 mg.\r\n"), "text-after-signature"),
        ("third-part", clear(between=third), "part-superfluous"),
        ("fourth-part", good.replace(b"--edge--", third[2:] + b"\r\n--edge--"), "part-superfluous"),
        ("no-signature-part", good[: good.rindex(b"--edge\r\n")] + b"--edge--\r\n", "part-missing"),
        ("signature-is-text",
         good.replace(b"application/pkcs7-signature; name", b"text/plain; name"), "signature-part"),
        ("no-boundary", good.replace(b'boundary="edge"', b"x=y"), "boundary"),
        ("other-boundary", good.replace(b'"edge"', b'"hedge"'), "boundary-missing"),
    )  # fmt: skip
    for name, entity, reason in cases:
        # A boundary that is not there is found by the reader of mail, before any cryptography.
        code = "message-syntax" if "boundary" in reason else ""
        yield _invalid(f"m-{name}", "multipart confusion", letter(stage, entity), reason, code)


def _hidden_parts(stage: Stage) -> Iterator[Attack]:
    """Signed and encrypted entities that are not the whole letter."""
    lie = b"--o\r\n" + LIE + b"\r\n--o\r\n"
    ends = b"\r\n--o--\r\n"
    good = _good(stage)
    closed = smime.encrypt(TEXT, recipients=[stage.recipient])
    html = b"--o\r\nContent-Type: text/html\r\n\r\n<img src='http://x.example/\r\n--o\r\n"
    cases = (
        ("m1-lie-before", b"mixed", lie + good + ends, "signed-part-inside"),
        ("m2-lie-beside", b"alternative", lie + good + ends, "signed-part-inside"),
        ("m3-lie-around", b"related", lie + good + ends, "signed-part-inside"),
        ("m3-lie-after", b"mixed", b"--o\r\n" + good + b"\r\n" + lie[: -len(b"--o\r\n")] + ends[2:],
         "signed-part-inside"),
        ("exfiltration", b"mixed", html + closed + ends, "encrypted-part-inside"),
    )  # fmt: skip
    for name, subtype, body, finding in cases:
        entity = b"Content-Type: multipart/" + subtype + b"; boundary=o\r\n\r\n" + body
        yield _unsigned(name, letter(stage, entity), finding)
    forwarded = b"Content-Type: message/rfc822\r\n\r\n" + letter(stage, good)
    yield _unsigned("m4-forwarded", letter(stage, forwarded), "")


def _unsigned(name: str, octets: bytes, finding: str) -> Attack:
    return Attack(
        name=name,
        threat="hidden part",
        octets=octets,
        judgement=Judgement.NOT_SIGNED,
        verdict=Judgement.NOT_SIGNED,
        door="not-signed",
        finding=finding,
    )


# --- Ciphertexts -----------------------------------------------------------------------------


def _ciphertexts(stage: Stage) -> Iterator[Attack]:
    hard, soft = EnvelopeProfile.MODERN, EnvelopeProfile.COMPATIBLE
    good = _good(stage)
    cases = (
        ("tag-flipped", flipped(closed(stage, good, hard), -1)),
        ("content-flipped", flipped(closed(stage, good, hard), -40)),
        ("padding-flipped", flipped(closed(stage, good, soft), -17)),
        ("truncated", cut(closed(stage, good, hard), 5)),
        ("relabelled", relabelled(closed(stage, good, hard))),
    )
    for name, entity in cases:
        yield _undecryptable(f"closed-{name}", letter(stage, entity))
    # The last block but one garbles itself, and changes the last as wanted: a broken signature.
    gadget = flipped(closed(stage, good, soft), -100)
    yield Attack(
        name="efail-gadget-in-a-signed-letter",
        threat="CBC gadget",
        octets=letter(stage, gadget),
        judgement=Judgement.INVALID,
        verdict=Judgement.INVALID,
        door="refused:undecryptable",
    )
    unsigned = closed(stage, TEXT + b"x" * 64, soft)
    for name, entity in (("whole", unsigned), ("gadget", flipped(unsigned, -40))):
        yield Attack(
            name=f"efail-unsigned-{name}",
            threat="CBC gadget",
            octets=letter(stage, entity),
            judgement=Judgement.NOT_SIGNED,
            reason="content-malleable",
            verdict=Judgement.NOT_SIGNED,
            door="refused:undecryptable",
        )
    outside = smime.sign(closed(stage, TEXT, hard), keys=stage.signer.key_holder(), at=stage.at)
    yield Attack(
        name="ciphertext-of-another-signed",
        threat="REPLY",
        octets=letter(stage, outside),
        judgement=Judgement.VALID,
        reason="signed-outside-only",
        verdict=Judgement.VALID,
        door="untrusted",
        finding="signed-outside-only",
    )


def _undecryptable(name: str, octets: bytes) -> Attack:
    return Attack(
        name=name,
        threat="changed ciphertext",
        octets=octets,
        judgement=Judgement.UNDECRYPTABLE,
        verdict=Judgement.UNDECRYPTABLE,
        door="refused:undecryptable",
    )


def closed(stage: Stage, entity: bytes, profile: EnvelopeProfile) -> bytes:
    """Encrypt for the reader."""
    return smime.encrypt(entity, recipients=[stage.recipient], profile=profile)


def flipped(entity: bytes, at: int) -> bytes:
    """Flip a bit of the structure inside an entity."""
    header, octets = _inside(entity)
    changed = bytearray(octets)
    changed[at] ^= 0x40
    return header + wrap_base64(bytes(changed))


def cut(entity: bytes, count: int) -> bytes:
    """Take octets off the end of the structure."""
    header, octets = _inside(entity)
    return header + wrap_base64(octets[:-count])


def relabelled(entity: bytes) -> bytes:
    """Say of authenticated content that it is not."""
    header, octets = _inside(entity)
    gcm, cbc = der.oid(algorithms.AES256_GCM), der.oid(algorithms.AES256_CBC)
    return header + wrap_base64(octets.replace(gcm, cbc))


def _inside(entity: bytes) -> tuple[bytes, bytes]:
    read = read_entity(entity)
    return entity[: read.body_at], read.decoded_body()


# --- Headers ---------------------------------------------------------------------------------


def _false_headers(stage: Stage) -> Iterator[Attack]:
    """A good signature under a header that tells something else."""
    hard = EnvelopeProfile.MODERN
    honest = letter(stage, TEXT)
    protected = entities.protected_entity(honest, cipher=False)
    signed = smime.sign(protected, keys=stage.signer.key_holder(), at=stage.at)
    sent = entities.outer_message(honest, signed, obscure_subject=False)
    from_colleague = f"From: {stage.colleague}".encode()
    yield _doubtful(
        "i1-other-author-outside",
        sent.replace(f"From: {stage.author}".encode(), from_colleague, 1),
        "header-differs",
    )
    hidden = entities.protected_entity(honest, cipher=True)
    inner = smime.sign(hidden, keys=stage.signer.key_holder(), at=stage.at)
    reply = letter(stage, closed(stage, inner, hard), author=stage.colleague)
    yield _doubtful("reply-old-ciphertext", reply, "header-differs")
    elsewhere = build_recipient_list([("other@elsewhere.example", stage.other.certificate)])
    to_other = entities.protected_entity(
        honest.replace(stage.reader.encode(), b"other@elsewhere.example"), cipher=True
    )
    passed_on = smime.sign(
        to_other, keys=stage.signer.key_holder(), at=stage.at, attributes=[elsewhere]
    )
    outer = entities.outer_message(honest, closed(stage, passed_on, hard), obscure_subject=True)
    yield _doubtful("surreptitious-forwarding", outer, "recipient-not-listed")
    for name, before, after, finding in (
        ("subject", b"Subject: Lettre", b"Subject: Urgent", "header-differs"),
        ("recipient", f"To: {stage.reader}".encode(), b"To: eve@x.example", "header-differs"),
        ("date", b"10:59:00", b"10:58:00", "header-differs"),
    ):
        yield Attack(
            name=f"header-{name}-changed",
            threat="header not covered",
            octets=sent.replace(before, after, 1),
            judgement=Judgement.VALID,
            verdict=Judgement.VALID,
            door="valid",
            finding=finding,
        )
    yield Attack(
        name="i2-two-authors",
        threat="double From",
        octets=from_colleague + b"\r\n" + sent,
        judgement=Judgement.VALID,
        verdict=Judgement.INVALID,
        door="refused:message-syntax",
    )
    yield Attack(
        name="two-content-types",
        threat="header in two ways",
        octets=sent.replace(b"\r\n\r\n", b"\r\nContent-Type: text/plain\r\n\r\n", 1),
        judgement=Judgement.INVALID,
        reason="header-ambiguous",
        verdict=Judgement.INVALID,
        door="refused:message-syntax",
    )


def _doubtful(name: str, octets: bytes, finding: str) -> Attack:
    return Attack(
        name=name,
        threat="false header",
        octets=octets,
        judgement=Judgement.VALID,
        verdict=Judgement.UNTRUSTED,
        door="untrusted",
        finding=finding,
    )
