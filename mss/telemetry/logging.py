"""One line of JSON for each thing worth knowing, on standard error.

Nothing written here names a patient, a subject, a document, a token or a whole address: code passes
identifiers, domains and codes. As a second line of defence, anything that looks like an address or
a bearer token is masked before it is written.
"""

import logging
import re
from datetime import UTC, datetime

import orjson

_ADDRESS = re.compile(r"[^\s<>\"'@]{1,64}@(?=[A-Za-z0-9-])")
_TOKEN = re.compile(r"(?i)\b(bearer\s+|mss_)[A-Za-z0-9_\-.=]{8,}")
_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def masked(text: str) -> str:
    """Hide the local part of addresses, and tokens."""
    return _TOKEN.sub(r"\1***", _ADDRESS.sub("***@", text))


class JsonFormatter(logging.Formatter):
    """Write a record as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Lay out one record, extra fields included."""
        at = datetime.fromtimestamp(record.created, UTC)
        line = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": masked(record.getMessage()),
        }
        extra = {key: value for key, value in vars(record).items() if key not in _KNOWN}
        line |= {key: masked(str(value)) for key, value in extra.items()}
        if record.exc_info and record.exc_info[0]:
            # The kind and the place, never the text of the error: it may repeat what it met.
            line["error"] = record.exc_info[0].__name__
            line["where"] = _place(record)
        return orjson.dumps(line).decode()


def _place(record: logging.LogRecord) -> str:
    trace = record.exc_info[2] if record.exc_info else None
    places = []
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return " > ".join(places[-6:])


def configure_logging(*, level: int = logging.INFO) -> None:
    """Send everything of this process to standard error as JSON lines."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # a library's account of each command
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
