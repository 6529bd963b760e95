"""Run benchmarks by name: `python -m tests.performance [store|blobs|smime|accept]…`."""

import sys

from tests.performance import accept, blobs, smime, store

BENCHES = {"store": store.run, "blobs": blobs.run, "smime": smime.run, "accept": accept.run}


def main() -> None:
    """Run those that are named, or all."""
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        sys.exit(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHES)}")
    for name in names:
        BENCHES[name]()


main()
