"""`mss explain message`: open a mail as the inbound door would, and say what holds.

With keys and anchors on the line no home is needed; what is not given comes from the home, if
there is one. Nothing is fetched and nothing is stored.
"""

import hashlib
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from crypto.canonical import canonical
from crypto.certificates import Certificate, parse_certificates
from crypto.crl import RevocationList, parse_revocation_list
from crypto.errors import CryptoError, KeySyntaxError
from crypto.keys import (
    CombinedKeyHolder,
    PrivateKey,
    SoftwareKeyHolder,
    parse_pkcs12,
    parse_private_key,
)
from crypto.ports import KeyHolder
from crypto.trust import Profile, RevocationMode, TrustStore, Usage
from mss.cli.explain import explain
from mss.cli.root import answer, home_of, settings_of
from mss.clock import SystemClock
from mss.mailboxes.explained_findings import ExplainedFinding, finding
from mss.mailboxes.explained_layers import ExplainedLayer
from mss.mailboxes.explanation import Examiner, Explanation, too_large
from mss.mailboxes.letter_file import (
    MAX_FILE_OCTETS,
    looks_like_cms,
    pem_blocks,
    read_cms,
    read_mail,
)
from mss.pipeline.key_files import KeyFiles
from mss.settings import SETTINGS_FILE, Settings
from mss.trust_space import load_trust_store

MAX_HELP_OCTETS: Final = 32 * 1024 * 1024  # a list, a key or a bundle that is given along
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_SUMMARIES: Final = {
    "valid": "Valid: signed by whom it says, and not changed.",
    "not-signed": "Not signed: nobody vouches for it.",
    "untrusted": "Untrusted: the signature holds, but its signer is not believed for this letter.",
    "indeterminate": "Indeterminate: not known to be bad, but the signer cannot be judged.",
    "undecryptable": "Undecryptable: it cannot be opened with the keys at hand.",
    "invalid": "Invalid: not what was signed, or not readable in one way.",
}


class _Instant(click.ParamType[datetime]):
    """An instant of ISO 8601; without an offset it is UTC."""

    name = "instant"

    def convert(
        self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read the instant."""
        try:
            at = value if isinstance(value, datetime) else datetime.fromisoformat(value)
            return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no instant such as 2026-11-03T10:00:00Z", param, ctx)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What stands on the line to judge with."""

    keys: tuple[Path, ...]
    password: Path | None
    certificates: tuple[Path, ...]
    anchors: tuple[Path, ...]
    lists: tuple[Path, ...]
    at: datetime
    allows_tests: bool


@explain.command("message")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@click.option("--raw", is_flag=True, help="FILE is a bare CMS object: DER, BER, PEM or base64.")
@click.option("--content", type=_FILE, help="The detached content of a bare signature.")
@click.option(
    "--key",
    "keys",
    multiple=True,
    type=_FILE,
    help="A private key to open with (PEM, DER, PKCS #12), found by its certificate or by trial.",
)
@click.option("--key-password-file", "password", type=_FILE, help="Its first line opens the keys.")
@click.option(
    "--cert",
    "certificates",
    multiple=True,
    type=_FILE,
    help="Certificates of keys, authorities or signers.",
)
@click.option(
    "--anchor", "anchors", multiple=True, type=_FILE, help="Whom to trust, in place of the home."
)
@click.option(
    "--crl", "lists", multiple=True, type=_FILE, help="A revocation list; makes revocation count."
)
@click.option("--at", type=_Instant(), help="The instant to judge at [default: now].")
@click.option(
    "--allow-test-policies", "allows_tests", is_flag=True, help="Accept TEST authorities."
)
@click.pass_context
def message(
    context: click.Context,
    path: str,
    *,
    raw: bool,
    content: Path | None,
    keys: tuple[Path, ...],
    password: Path | None,
    certificates: tuple[Path, ...],
    anchors: tuple[Path, ...],
    lists: tuple[Path, ...],
    at: datetime | None,
    allows_tests: bool,
) -> None:
    """Open the mail in FILE (- for standard input) as the inbound door would, and say what holds.

    Status 0 for what is valid or not signed, 1 for everything else.
    """
    given = _Given(
        keys=keys,
        password=password,
        certificates=certificates,
        anchors=anchors,
        lists=lists,
        at=at or SystemClock().now(),
        allows_tests=allows_tests,
    )
    examiner = _examiner(context, given)
    found = _explain(examiner, path, is_raw=raw, content=content)
    answer(context, _facts(found), *_lines(found))
    if not found.is_good:
        context.exit(1)


def _explain(examiner: Examiner, path: str, *, is_raw: bool, content: Path | None) -> Explanation:
    with click.open_file(path, "rb") as stream:
        octets: bytes = stream.read(MAX_FILE_OCTETS + 1)
    if len(octets) > MAX_FILE_OCTETS:
        return too_large()
    is_bare = is_raw or looks_like_cms(octets)
    if content is not None and not is_bare:
        raise click.UsageError("--content goes with a bare signature (--raw), not with a mail.")
    if not is_bare:
        return examiner.explain(read_mail(octets))
    beside = None if content is None else _read(content, MAX_FILE_OCTETS)
    found = _explain_bare(examiner, octets, beside)
    return found if is_raw else _with(found, "bare-cms")


def _explain_bare(examiner: Examiner, octets: bytes, beside: bytes | None) -> Explanation:
    """Explain a CMS object and the content given beside it, which may be saved or inside too."""
    found = examiner.explain(read_cms(octets, content=beside))
    if beside is None:
        return found
    reasons = {each.reason for each in found.findings}
    if "content-changed" in reasons and canonical(beside) != beside:
        again = examiner.explain(read_cms(octets, content=canonical(beside)))
        if all(each.reason != "content-changed" for each in again.findings):
            return _with(again, "content-line-ends")
    if "content-twice" in reasons:
        again = examiner.explain(read_cms(octets))
        same = {hashlib.sha256(one).hexdigest() for one in (beside, canonical(beside))}
        if again.content_sha256 in same:
            return _with(again, "content-inside-too")
    return found


def _with(found: Explanation, code: str) -> Explanation:
    return replace(found, findings=(*found.findings, finding(code)))


# --- What to judge with ----------------------------------------------------------------------


def _examiner(context: click.Context, given: _Given) -> Examiner:
    settings = _home_settings(context)
    certificates = [one for file in given.certificates for one in _certificates(file)]
    keys, chain = _keys(given)
    known = (*certificates, *chain)
    pairs = [pair for key in keys for pair in _pairs(key, known)]
    holder: KeyHolder = SoftwareKeyHolder(pairs)
    if not given.keys and settings is not None:
        files = KeyFiles(home=settings.home, settings=settings.keys)
        holder = CombinedKeyHolder((files.load_reading(),))
    store = _store(given, settings)
    return Examiner(
        keys=holder,
        loose_keys=tuple(keys),
        store=store,
        profile=_profile(given, settings, store),
        intermediates=known,
        at=given.at,
        is_revocation_judged=bool(store.crls),
    )


def _home_settings(context: click.Context) -> Settings | None:
    """Read the settings of the home, if there is one; one that was asked for must be there."""
    home = home_of(context)
    return settings_of(context) if (home / SETTINGS_FILE).exists() else None


def _store(given: _Given, settings: Settings | None) -> TrustStore:
    lists = [_list(file) for file in given.lists]
    if given.anchors or settings is None:
        anchors = [one for file in given.anchors for one in _certificates(file)]
        return TrustStore(anchors, (), [one for each in lists for one in each])
    store = load_trust_store(settings)
    return store.with_crls(one for each in lists for one in each) if lists else store


def _profile(given: _Given, settings: Settings | None, store: TrustStore) -> Profile:
    is_home = settings is not None and not given.anchors and not given.lists
    mode = RevocationMode.REQUIRE if store.crls else RevocationMode.IF_KNOWN
    if is_home and settings is not None and store.crls:
        mode = RevocationMode(settings.trust.revocation)
    profile = Profile(usage=Usage.MAIL_SIGNING, revocation=mode)
    allows = given.allows_tests or (
        settings is not None and not given.anchors and settings.trust.allow_test_policies
    )
    return replace(profile, refused_policies=()) if allows else profile


def _keys(given: _Given) -> tuple[list[PrivateKey], list[Certificate]]:
    password = None
    if given.password is not None:
        password = _read(given.password).partition(b"\n")[0].rstrip(b"\r")
    keys: list[PrivateKey] = []
    known: list[Certificate] = []
    for file in given.keys:
        found, chain = _key(file, password)
        keys += found
        known += chain
    return keys, known


def _key(file: Path, password: bytes | None) -> tuple[list[PrivateKey], list[Certificate]]:
    """Read a file with keys, and the certificates that it may hold."""
    octets = _read(file)
    blocks = [each for each in pem_blocks(octets) if b"PRIVATE KEY-----" in each[:64]]
    try:
        if blocks:
            found = [
                parse_private_key(each, password=password if b"ENCRYPTED" in each else None)
                for each in blocks
            ]
            has_chain = b"-----BEGIN CERTIFICATE-----" in octets
            return found, list(parse_certificates(octets)) if has_chain else []
        with suppress(KeySyntaxError):
            return [_der_key(octets, password)], []
        key, certificate, chain = parse_pkcs12(octets, password=password)
    except CryptoError as error:
        raise click.BadParameter(f"{file}: {error}", param_hint="--key") from error
    return [key], [certificate, *chain]


def _der_key(octets: bytes, password: bytes | None) -> PrivateKey:
    """Read a key in DER; a password is only taken by one that is encrypted."""
    try:
        return parse_private_key(octets, password=password)
    except KeySyntaxError as error:
        if error.reason != "password-missing-or-superfluous" or password is None:
            raise
        return parse_private_key(octets)


def _pairs(
    key: PrivateKey, certificates: tuple[Certificate, ...]
) -> list[tuple[Certificate, PrivateKey]]:
    found = []
    for certificate in certificates:
        with suppress(KeySyntaxError):
            SoftwareKeyHolder([(certificate, key)])
            found.append((certificate, key))
    return found


def _certificates(file: Path) -> tuple[Certificate, ...]:
    try:
        return parse_certificates(_read(file))
    except CryptoError as error:
        raise click.BadParameter(f"{file}: {error}", param_hint="--cert / --anchor") from error


def _list(file: Path) -> list[RevocationList]:
    octets = _read(file)
    try:
        return [parse_revocation_list(each) for each in pem_blocks(octets) or [octets]]
    except CryptoError as error:
        raise click.BadParameter(f"{file}: {error}", param_hint="--crl") from error


def _read(file: Path, most: int = MAX_HELP_OCTETS) -> bytes:
    with file.open("rb") as stream:
        octets = stream.read(most + 1)
    if len(octets) > most:
        raise click.BadParameter(f"{file} is larger than {most} octets.")
    return octets


# --- Saying it -------------------------------------------------------------------------------


def _facts(found: Explanation) -> dict[str, object]:
    return {
        "verdict": found.verdict.value,
        "encrypted": found.encrypted,
        "layers": [asdict(each) for each in found.layers],
        "findings": [asdict(each) for each in found.findings],
        "content_sha256": found.content_sha256,
    }


def _lines(found: Explanation) -> list[str]:
    lines = [_SUMMARIES[found.verdict.value]]
    for depth, layer in enumerate(found.layers):
        margin = "  " * (depth + 1)
        lines += [f"{margin}{each}" for each in _layer_lines(depth + 1, layer)]
    if found.content_sha256 is not None:
        margin = "  " * (len(found.layers) + 1)
        lines.append(f"{margin}content, SHA-256 {found.content_sha256}")
    for each in found.findings:
        lines += _finding_lines(each)
    return [_printable(each) for each in lines]


def _layer_lines(number: int, layer: ExplainedLayer) -> list[str]:
    state = "holds"
    if not layer.holds:
        told = "holds, but not its signer" if layer.signer else "does not hold"
        state = f"{told} [{layer.error}]"
    key = f", key by {layer.key_algorithm}" if layer.key_algorithm else ""
    lines = [f"{number} {layer.kind}, {layer.algorithm or 'unknown algorithm'}{key}: {state}"]
    if layer.signed_at is not None:
        lines.append(f"    signed at {layer.signed_at:%Y-%m-%dT%H:%M:%SZ} (as the signer says)")
    lines += [f"    signer {each}" for each in layer.signers]
    lines += [f"    issued by {each}" for each in layer.chain[1:]]
    if layer.opened_with is not None:
        lines.append(f"    opened with the key of {layer.opened_with}")
    elif layer.recipients:
        lines += [f"    for {each}" for each in layer.recipients]
    return lines


def _finding_lines(one: ExplainedFinding) -> list[str]:
    where = "" if one.layer is None else f" (layer {one.layer})"
    code = f"{one.code}: {one.reason}" if one.reason else one.code
    lines = [f"{one.severity}: {one.text}{where} [{code}]"]
    return [*lines, f"    -> {one.advice}"] if one.advice else lines


def _printable(line: str) -> str:
    """Keep what strangers wrote into certificates from steering the terminal."""
    return "".join(each if each.isprintable() else "?" for each in line)
