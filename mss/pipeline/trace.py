"""The `Received` field that this host writes on top of what it takes.

It says which host took the message, from whom, when and under which identifier; it never names a
recipient, an account or a network address of a user.

Sources
    RFC 5321, 4.4 (trace information); RFC 3848 (ESMTPSA and its like).
"""

from datetime import datetime

from mss.mime.headers import Field, build_date
from mss.model.principal import PeerPrincipal, Principal


def received_field(
    *, principal: Principal, host_name: str, received_with: str, trace_id: str, at: datetime
) -> Field:
    """Write the trace of one hop, folded."""
    source = _source(principal)
    date = build_date("Date", at).split(b":", 1)[1].strip()
    text = f" from {source}\r\n by {host_name} with {received_with} id {trace_id};\r\n "
    return (b"Received", text.encode("ascii", "replace") + date)


def _source(principal: Principal) -> str:
    """Name the other side: an operator by its mail host, a user by nothing."""
    if isinstance(principal, PeerPrincipal):
        common_name = dict(
            pair.split("=", 1) for pair in principal.subject.split(",") if "=" in pair
        ).get("CN", "unknown")
        return "".join(one for one in common_name if one.isalnum() or one in ".-") or "unknown"
    return "localhost"
