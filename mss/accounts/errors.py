"""Why credentials were refused, for the journal and for software that holds a genuine token.

A stranger learns nothing: doors answer every one of these as `not-authenticated`.
"""

from dataclasses import dataclass

from mss.errors import NotAuthenticatedError


@dataclass(eq=False)
class CredentialsRefusedError(NotAuthenticatedError):
    """The credentials do not open anything here.

    Attributes:
        reason: Kebab-case, never a value of the credentials: `token-expired`, `token-issuer`…
        identity: Whom a genuine token named, for the journal; empty when that was not proved.
        is_genuine: True if the provider made the token, which still opens nothing here: it is over,
            or for somebody else. Whoever holds it is guessing nothing.
    """

    reason: str
    identity: str = ""
    is_genuine: bool = False

    def __str__(self) -> str:
        """Say the code and the reason; the identity belongs to the journal."""
        return f"{self.code} ({self.reason})"
