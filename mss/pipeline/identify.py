"""Step 1: who sends, and may they?

The rules are in `mss/policy/identity.py`; this step asks them about the envelope, the author
(`From`) and the actual sender (`Sender`), which must all belong to whoever is connected.
"""

from directory.address import MailAddress
from mss.errors import SenderNotAllowedError
from mss.mime.parse import ParsedMessage
from mss.model.principal import AccountPrincipal, Principal
from mss.pipeline.submission import Submission
from mss.policy.identity import author_objection, sender_objection


def identify(submission: Submission, message: ParsedMessage) -> None:
    """Let pass a message whose envelope and header both belong to its principal.

    Raises:
        SenderNotAllowedError: A user writes as a mailbox that is not theirs.
        PeerNotTrustedError: A peer writes for a domain that is not its own.
    """
    principal, sender = submission.principal, submission.envelope.sender
    check_sender(principal, sender)
    check_author(principal, sender=sender, message=message)


def check_sender(principal: Principal, sender: MailAddress | None) -> None:
    """Let pass an envelope sender, or raise the objection."""
    objection = sender_objection(principal, sender)
    if objection is not None:
        raise objection


def check_author(
    principal: Principal, *, sender: MailAddress | None, message: ParsedMessage
) -> None:
    """Let pass the author and the actual sender of a header, or raise the objection."""
    author = message.author.address
    objection = author_objection(principal, sender=sender, author=author)
    if objection is not None:
        raise objection
    actual = message.sender
    if actual is None:
        return
    if isinstance(principal, AccountPrincipal) and actual.address.key != author.key:
        raise SenderNotAllowedError(address=str(actual.address))
    objection = author_objection(principal, sender=sender, author=actual.address)
    if objection is not None:
        raise objection
