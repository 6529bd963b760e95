"""Run benchmarks by name: `python -m tests.performance [store|blobs|smime|…]`; all, if none."""

import sys

from tests.performance import (
    accept,
    blobs,
    directory,
    directory_load,
    documents,
    large,
    relay,
    slowdisk,
    smime,
    store,
    trust,
    trust_list,
)
from tests.support.debian import PeerMissingError

BENCHES = {
    "store": store.run,
    "blobs": blobs.run,
    "smime": smime.run,
    "accept": accept.run,
    "documents": documents.run,
    "large": large.run,
    "relay": relay.run,
    "slowdisk": slowdisk.run,
    "trust": trust.run,
    "trust-list": trust_list.run,
    "directory": directory.run,
    "directory-load": directory_load.run,
}


def main() -> None:
    """Run those that are named, or all; one whose peer is not here is left out, and said."""
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    left_out = []
    for name in names:
        try:
            BENCHES[name]()
        except PeerMissingError as error:
            left_out.append(f"{name}: {error}")
    if left_out:
        sys.exit("\n".join(left_out))


main()
