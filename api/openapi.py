"""Write the OpenAPI document beside this file: `python -m api.openapi`.

The document is committed, so that a change of the interface is seen in review; a test fails when it
is not up to date.
"""

from api.app import bare_app
from api.description import FILE, build_document


def main() -> None:
    """Write the file."""
    FILE.write_bytes(build_document(bare_app()))


if __name__ == "__main__":
    main()
