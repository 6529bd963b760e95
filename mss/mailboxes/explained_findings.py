"""What can be said about a letter's protection, how serious it is, and what to do about it.

The one table behind `mss explain message`: what the command prints and what docs/explain-message.md
lists. Codes are permanent. An error of the cryptography has its own code as in docs/errors.md, and
a finer `reason`; what is not in the table is told by its code.

Sources
    RFC 8551; docs/adr/0016.
"""

from dataclasses import dataclass
from typing import Final

from crypto.errors import CryptoError


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedFinding:
    """One thing to know, for an administrator.

    Attributes:
        severity: `error`, `warning` or `info`.
        text: What is so; no content of the message.
        advice: What to do; empty if nothing.
        reason: The finer code of an error; empty if there is none.
        layer: Number of the layer that it is about, the outermost being 1; None for the whole.
    """

    code: str
    severity: str
    text: str
    advice: str = ""
    reason: str = ""
    layer: int | None = None


_ERROR, _WARNING, _INFO = "error", "warning", "info"

FINDINGS: Final[dict[str, tuple[str, str, str]]] = {
    # The file
    "byte-order-mark": (_INFO, "A byte order mark stood before the mail; it was left out.", ""),
    "mbox-line": (_INFO, "The line of an mbox stood before the mail; it was left out.", ""),
    "line-ends-converted": (
        _INFO,
        "The file has line ends of a text file; they were made those of mail again.",
        "Save the message as it was received, to be sure of what is judged.",
    ),
    "line-ends-mixed": (
        _WARNING,
        "The file mixes line ends; a door refuses such a message.",
        "Save the message as it was received.",
    ),
    "line-ends-inside": (
        _WARNING,
        "A layer inside has line ends of a text file; a door takes it for plain text.",
        "The sender's software must write CRLF before it signs or encrypts.",
    ),
    "bare-cms": (_INFO, "The file is a bare cryptographic message, and no mail.", ""),
    "pem": (_INFO, "The message was in PEM.", ""),
    "base64": (_INFO, "The message was in base64.", ""),
    "content-inside-too": (
        _INFO,
        "The content file is what the signature holds inside as well; the inner one was judged.",
        "",
    ),
    "content-line-ends": (
        _INFO,
        "The signature holds over the content file with CRLF line ends, not as it was saved.",
        "",
    ),
    "file-too-large": (
        _ERROR,
        "The file is larger than any message that is accepted; it was not read.",
        "Give the message alone, not an archive.",
    ),
    # The letter
    "author-missing": (
        _WARNING,
        "No author (From) is given, so the signer was compared with nobody.",
        "",
    ),
    "author-repeated": (
        _ERROR,
        "There is more than one author (From): readers may show different ones.",
        "Refuse it; the sender's software is faulty, or somebody is cheating.",
    ),
    "message-syntax": (
        _ERROR,
        "The mail can be read in two ways or in none; a door refuses it.",
        "The software that wrote the message must be corrected.",
    ),
    "cms-not-understood": (
        _ERROR,
        "A layer claims to be cryptography, but is of no kind that is read.",
        "Ask the sender which software wrote it.",
    ),
    "signed-part-inside": (
        _WARNING,
        "Part of the letter is signed; it was not believed: text can be put around it.",
        "",
    ),
    "encrypted-part-inside": (
        _WARNING,
        "Part of the letter is encrypted; it was not opened: text can be put around it.",
        "",
    ),
    # Header and author
    "header-not-protected": (
        _INFO,
        "Subject, date and addresses are not signed; anybody on the way could change them.",
        "",
    ),
    "header-differs": (_WARNING, "A header field is not what was signed", ""),
    "header-not-inside": (_WARNING, "A header field was added to what was signed", ""),
    "header-not-outside": (_WARNING, "A signed header field is missing outside", ""),
    "signature-not-kept": (_INFO, "The whole mail is inside the signature (older form).", ""),
    "signer-not-bound": (
        _ERROR,
        "The signature holds, but the certificate is for another address than the author's (From).",
        "Ask the author, by another way, whether the letter is theirs.",
    ),
    "signer-without-address": (
        _INFO,
        "The certificate names a structure and no address: the structure signed, not a mailbox.",
        "Whether the mailbox is of that structure, the directory says: `mss directory search`.",
    ),
    "recipient-not-listed": (
        _ERROR,
        "The signer wrote to others; somebody passed the letter on.",
        "Do not take it for a letter to this recipient.",
    ),
    "recipient-not-named": (
        _WARNING,
        "The signed header names other recipients: a blind copy, or a letter passed on.",
        "",
    ),
    "recipients-not-signed": (
        _INFO,
        "The signature does not say for whom the letter was written.",
        "",
    ),
    # Encryption
    "content-malleable": (
        _WARNING,
        ("The content is encrypted but not protected against change, and no valid signature covers "
        "it: anybody on the way could have changed it."),
        "The sender should sign, or use AES-GCM. Doors refuse it unless the settings allow it.",
    ),
    "content-not-authenticated": (
        _INFO,
        "The cipher (CBC) does not authenticate; a valid signature makes up for it.",
        "",
    ),
    "signed-outside-only": (
        _WARNING,
        "The ciphertext is signed; its signer need not have known the content.",
        "",
    ),
    "legacy-rsa-pkcs1": (_WARNING, "The key was wrapped with the old RSA padding (v1.5).",
                         "The sender should use RSA-OAEP with SHA-256."),
    "legacy-oaep-sha1": (_WARNING, "The key was wrapped with SHA-1 inside OAEP.",
                         "The sender should use SHA-256 for both hashes."),
    "legacy-sha1kdf": (_WARNING, "The key was derived with SHA-1.",
                       "The sender should use SHA-256 or HKDF."),
    "short-tag": (_WARNING, "The tag is shorter than 16 octets.",
                  "The sender should write whole tags."),
    "recipient-repeated": (_INFO, "The same certificate is named as recipient more than once.", ""),
    "key-found-by-trial": (
        _INFO,
        "No certificate at hand is named as recipient; the key was found by trying.",
        "",
    ),
    # Signatures
    "several-signers": (_INFO, "There are several signers; all of them must hold.", ""),
    "preamble-ignored": (_INFO, "A known remark of mail software before the parts was ignored.",
                         ""),
    "certificate-unreadable": (_WARNING, "A certificate that came along cannot be read.", ""),
    "attributes-not-sorted": (_INFO, "The signed attributes are not in the order that DER asks.",
                              ""),
    "signing-certificate-not-named": (
        _INFO, "The signature does not name its certificate among what is signed.", ""),
    "signing-time-missing": (_INFO, "The signer does not say when.", ""),
    "signing-time-in-future": (
        _WARNING, "The signer states a time after the instant that is judged.",
        "Compare the clocks; see --at."),
    "revocation-not-judged": (
        _INFO,
        "Whether a certificate was revoked was not judged: no list (--crl) tells.",
        "Give the revocation lists of every authority of the chain with --crl.",
    ),
}  # fmt: skip

_ADVICE: Final = {
    "no-matching-key": "Give the recipient's key with --key; the layer says for whom it is.",
    "undecryptable": "Wrong key, or the message was changed or cut on the way: nobody can tell "
    "which. Ask for it to be sent again.",
    "unsupported-algorithm": "Ask the sender for AES and RSA-OAEP or ECDH; see docs/operations.md.",
    "signature-invalid": "The message is not what was signed, or its form allows to cheat: ask for "
    "it to be sent again, and look at what changes mail on the way.",
    "cms-syntax": "The structure is damaged, cut, or beyond what is accepted.",
    "certificate-untrusted": "Give the anchor with --anchor and authorities with --cert; or the "
    "sender's certificate is not for this use.",
    "certificate-expired": "Judge at the time of receipt with --at; a certificate that had ended "
    "then must be renewed by its holder.",
    "certificate-revoked": "Do not believe it; tell the sender.",
    "certificate-indeterminate": "Give the missing certificate (--cert) or revocation list (--crl) "
    "and ask again; the message is not known to be bad.",
}
_REASONS: Final = {
    "content-changed": "the content is not what was signed: it was changed on the way",
    "signature-wrong": "the signature does not hold with the key of its certificate",
    "content-twice": "there is content both beside and inside the signature",
    "content-missing": "the signed content is not there (--content gives it to a bare signature)",
    "signer-missing": "nobody signed",
    "signed-attributes-missing": "the signature has no signed attributes, so it can be replayed",
    "digest-refused": "the digest (SHA-1, MD5, or unknown) is refused",
    "signature-algorithm-refused": "the signature algorithm is refused",
    "weak-key": "a key is too short, or of a kind that is refused (DSA)",
    "header-ambiguous": "the header can be read in two ways",
    "text-before-signed-part": "text stands before the signed part",
    "text-after-signature": "text stands after the signature",
    "no-path": "no path leads from the certificate to an anchor",
    "policy-refused": "the certificate is of a TEST authority",
    "expired": "a certificate of the chain has ended",
    "not-yet-valid": "a certificate of the chain has not begun",
    "key-usage": "a key usage does not allow it",
    "extended-key-usage": "a certificate is not for mail",
    "path-invalid": "the path breaks a rule of RFC 5280",
    "authority-as-leaf": "the signer's certificate is that of an authority",
    "signer-certificate-missing": "the signer's certificate is not at hand",
    "revocation-no-list": "no revocation list of an authority of the chain is at hand",
    "revocation-stale-list": "a revocation list has lapsed",
    "revocation-unusable-list": "a revocation list is not signed by whom it should be, or not "
    "understood",
    "weak-cipher": "the cipher is too weak",
    "tag-length": "the tag is too short",
    "decompressed-too-large": "more comes out of the compression than is accepted",
    "too-many-layers": "there are more layers than are taken off",
}


def finding(code: str, *, layer: int | None = None, more: str = "") -> ExplainedFinding:
    """Make a finding of the table; a code that it does not know is told as it is."""
    severity, text, advice = FINDINGS.get(code, (_INFO, code.replace("-", " ") + ".", ""))
    return ExplainedFinding(
        code=code,
        severity=severity,
        text=f"{text}: {more}." if more else text,
        advice=advice,
        layer=layer,
    )


def finding_of(error: CryptoError, *, layer: int) -> ExplainedFinding:
    """Say of an error of the cryptography what it means and what to do."""
    reason = getattr(error, "reason", "")
    told = _REASONS.get(reason, reason.replace("-", " "))
    algorithm = getattr(error, "algorithm", "")
    detail = ", ".join(each for each in (algorithm, told) if each)
    text = error.public_text.rstrip(".")
    return ExplainedFinding(
        code=error.code,
        severity="error",
        text=f"{text}: {detail}." if detail else f"{text}.",
        advice=_ADVICE.get(error.code, ""),
        reason=reason,
        layer=layer,
    )
