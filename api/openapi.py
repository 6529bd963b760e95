"""Write the OpenAPI document beside this file: `python -m api.openapi`.

The document is committed, so that a change of the interface is seen in review; a test fails when it
is not up to date.
"""

from pathlib import Path
from typing import Final

import orjson

from api.app import bare_app
from api.description import describe

FILE: Final = Path(__file__).with_name("openapi.json")


def build_document() -> bytes:
    """Build the document as it is committed."""
    layout = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(describe(bare_app()), option=layout)


def main() -> None:
    """Write the file."""
    FILE.write_bytes(build_document())


if __name__ == "__main__":
    main()
