"""How a message's summary is sealed into its row, and opened again.

The subject, the names and the security facts are health data: the database holds them encrypted
(AES-256-GCM, the message's identifier bound as context, so that rows cannot be swapped).
"""

import orjson
from pydantic import TypeAdapter
from pydantic.dataclasses import dataclass

from crypto.sealing import Sealer
from mss.model.message import Summary
from mss.model.security import Security


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedFacts:
    """What is inside the sealed column."""

    summary: Summary
    security: Security


_FACTS = TypeAdapter(SealedFacts)


def seal_facts(sealer: Sealer, *, message_id: str, summary: Summary, security: Security) -> bytes:
    """Seal the facts of one message for its row."""
    plain = orjson.dumps({"summary": summary, "security": security})
    return sealer.seal(plain, context=message_id.encode())


def open_facts(sealer: Sealer, *, message_id: str, sealed: bytes) -> SealedFacts:
    """Open what `seal_facts` made.

    Raises:
        SealError: It was altered, or belongs to another message or key.
    """
    return _FACTS.validate_json(sealer.open(sealed, context=message_id.encode()))
