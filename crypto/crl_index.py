"""Where is a large revocation list kept, so that no process reads it twice?

A list of half a million entries takes a second to verify and sort. That is done once for each issue
and each machine: the list, its sorted table (`crypto.crl_entries`) and the outcome of the signature
check go into one file, which every process of the machine maps. A look-up then costs microseconds
and no memory of its own, and a restart costs one pass of SHA-256 over the file.

The folder is ours alone, like the anchors beside it: who can write there can do anything. A file
that is torn or damaged is found out by its digest, and made again.

Shapes
    `MSSCRLX1`, the length of the heading (4 octets), the heading (JSON), the list in DER, the
    table, and the SHA-256 of all before it. The name is the SHA-256 of the list, with `.crlx`.
Errors
    `RevocationSyntaxError` for octets that are not a list; `OSError` as it comes.
"""

import fcntl
import json
import mmap
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final

from crypto.certificates import Certificate
from crypto.crl import RevocationList, parse_revocation_list, read_head
from crypto.crl_entries import Entries
from crypto.errors import RevocationSyntaxError

INDEXED_FROM_OCTETS: Final = 256 * 1024
"""Shorter lists are simply kept in memory."""

_MAGIC: Final = b"MSSCRLX1"
_SUFFIX: Final = ".crlx"
_DIGEST_OCTETS: Final = 32
_LENGTH_OCTETS: Final = 4


def load_list(octets: bytes, *, folder: Path, signers: Iterable[Certificate]) -> RevocationList:
    """Read a list, through the index of its folder if it is large.

    Args:
        octets: The list in DER or PEM.
        folder: Where indexes are; made if it is not there.
        signers: Authorities that may have signed it: they are tried now, once for all processes.
    """
    if len(octets) < INDEXED_FROM_OCTETS:
        return parse_revocation_list(octets)
    known = find_list(sha256(octets).hexdigest(), folder=folder)
    if known is not None:
        return known
    with _one_at_a_time(folder):
        known = find_list(sha256(octets).hexdigest(), folder=folder)
        if known is not None:  # another process was at it while we waited
            return known
        parsed = parse_revocation_list(octets)
        for signer in signers:
            parsed.is_signed_by(signer)
        if not any(parsed.signed_by.values()):
            return parsed  # what nobody signed is not worth sorting
        if find_list(parsed.fingerprint, folder=folder) is None:  # it may have come in PEM
            _save(parsed, folder)
    found = find_list(parsed.fingerprint, folder=folder)
    if found is None:
        raise RevocationSyntaxError("index")
    return found


def find_list(fingerprint: str, *, folder: Path) -> RevocationList | None:
    """Open the index of a list, if there is one that is whole."""
    try:
        with (folder / f"{fingerprint}{_SUFFIX}").open("rb") as file:
            mapped = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (FileNotFoundError, ValueError):
        return None
    return _open(mapped)


def forget_lists(folder: Path, *, but: Iterable[str]) -> None:
    """Remove the indexes of all lists but some; who has one open keeps it."""
    kept = {f"{fingerprint}{_SUFFIX}" for fingerprint in but}
    for file in folder.glob(f"*{_SUFFIX}"):
        if file.name not in kept:
            file.unlink(missing_ok=True)


def _open(mapped: memoryview) -> RevocationList | None:
    """Read an index; None if it is not whole."""
    whole = mapped[:-_DIGEST_OCTETS]
    if bytes(mapped[: len(_MAGIC)]) != _MAGIC:
        return None
    if sha256(whole).digest() != bytes(mapped[-_DIGEST_OCTETS:]):
        return None
    start = len(_MAGIC) + _LENGTH_OCTETS
    end = start + int.from_bytes(mapped[len(_MAGIC) : start], "big")
    heading = json.loads(bytes(mapped[start:end]))
    octets = whole[end : end + heading["list-octets"]]
    found = read_head(octets, fingerprint=heading["fingerprint"])
    found.signed_by.update(heading["signed-by"])
    # The property would sort the entries again.
    vars(found)["entries"] = Entries(
        octets=octets,
        table=whole[end + heading["list-octets"] :],
        issuers=tuple(bytes.fromhex(each) for each in heading["issuers"]),
        is_understood=heading["is-understood"],
    )
    return found


def _save(parsed: RevocationList, folder: Path) -> None:
    """Write an index under another name, then give it its own: nobody sees half of one."""
    entries = parsed.entries
    heading = json.dumps(
        {
            "fingerprint": parsed.fingerprint,
            "list-octets": len(parsed.octets),
            "issuers": [each.hex() for each in entries.issuers],
            "is-understood": entries.is_understood,
            "signed-by": parsed.signed_by,
        }
    ).encode("ascii")
    digest = sha256()
    name = folder / f"{parsed.fingerprint}{_SUFFIX}"
    unfinished = name.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        length = len(heading).to_bytes(_LENGTH_OCTETS, "big")
        for piece in (_MAGIC, length, heading, parsed.octets, entries.table):
            file.write(piece)
            digest.update(piece)
        file.write(digest.digest())
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(name)


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process sort while the others wait: they want the same lists."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
