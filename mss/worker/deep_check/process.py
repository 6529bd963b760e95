"""The process of the deep check: documents in, findings out, until the pipe closes.

`python -m mss.worker.deep_check.process FD`. The first message says where the files are and how
much memory may be used; each further one is a document, answered with its findings as JSON.

Memory is limited by RLIMIT_DATA: the XSLT engine reserves 32 GiB of address space that it never
touches, so RLIMIT_AS would stop it at any useful value.
"""

import json
import resource
import sys
import tempfile
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path

from mss.worker.deep_check.engine import Engine

OUT_OF_MEMORY = (77, 99)
"""Exit statuses that tell the parent why: ours, and that of the XSLT engine."""


def main() -> None:
    """Serve one parent."""
    connection = Connection(int(sys.argv[1]))
    told = json.loads(connection.recv_bytes())
    resource.setrlimit(resource.RLIMIT_DATA, (told["memory"], told["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        with tempfile.TemporaryDirectory(prefix="mss-deep-check-") as folder:
            engine = Engine(
                schemas=Path(told["schemas"]) if told["schemas"] else None,
                schematrons=Path(told["schematrons"]) if told["schematrons"] else None,
                workspace=Path(folder),
            )
            _serve(connection, engine)
    except MemoryError:
        sys.exit(OUT_OF_MEMORY[0])


def _serve(connection: Connection, engine: Engine) -> None:
    while True:
        try:
            octets = connection.recv_bytes()
        except EOFError:
            return
        found = [asdict(one) for one in engine.check(octets)]
        connection.send_bytes(json.dumps(found).encode("utf-8"))


if __name__ == "__main__":
    main()
