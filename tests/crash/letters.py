"""What was sent, and what was each sender told? The ledger, kept outside the operator.

A letter is recognised by its Message-ID and by its body, which is random text: a letter that was
lost, doubled, cut or mixed up with another cannot look right by accident. What a sender was told is
appended in order; only what was said by the operator counts as an acceptance.

Shapes
    An answer is `accepted`, `refused <code>`, or `lost` (none came, and nobody can know).
"""

import random
from base64 import b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

ACCEPTED = "accepted"
LOST = "lost"
REFUSED = "refused"


@dataclass(slots=True, kw_only=True)
class Letter:
    """One letter, and what became of it as far as its sender knows.

    Attributes:
        door: Where it was handed over: `submission`, `api` or `mx`.
        body: The text after the header, octet for octet; empty once its sender is done with it.
        digest: What the body is recognised by.
        insists: Whether its sender tries again when no answer came.
    """

    internet_message_id: str
    door: str
    sender: str
    recipients: tuple[str, ...]
    body: bytes
    insists: bool
    digest: str
    answers: list[str] = field(default_factory=list)

    def settle(self) -> None:
        """Forget the text: nobody will send it again, and its digest is enough."""
        self.body = b""

    @property
    def raw(self) -> bytes:
        """The message, CRLF line ends."""
        lines = (
            f"From: <{self.sender}>",
            f"To: {', '.join(f'<{one}>' for one in self.recipients)}",
            "Subject: essai",
            f"Message-ID: {self.internet_message_id}",
            "Date: Mon, 23 Nov 2026 12:00:00 +0000",
            "MIME-Version: 1.0",
            "Content-Type: text/plain; charset=us-ascii",
            "",
            "",
        )
        return "\r\n".join(lines).encode("ascii") + self.body

    @property
    def refused_there(self) -> frozenset[str]:
        """Recipients whom the peer does not have."""
        return frozenset(one for one in self.recipients if one.startswith("inconnu@"))

    @property
    def is_accepted(self) -> bool:
        """Whether the operator has taken responsibility, in so many words."""
        return ACCEPTED in self.answers

    @property
    def is_open(self) -> bool:
        """Whether nobody told its sender what became of it, who then does not know."""
        return not self.is_accepted and LOST in self.answers


@dataclass(slots=True)
class Ledger:
    """Every letter, by Message-ID."""

    seed: int
    letters: dict[str, Letter] = field(default_factory=dict)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def write(self, door: str, sender: str, recipients: tuple[str, ...]) -> Letter:
        """Write a letter of some size, that nobody has handed over yet."""
        size = self._random.choices((300, 20_000, 150_000, 1_500_000), weights=(50, 35, 13, 2))[0]
        octets = self._random.randbytes(self._random.randrange(size // 2, size))
        text = b64encode(octets)
        lines = [text[start : start + 76] for start in range(0, len(text), 76)]
        name = UUID(bytes=self._random.randbytes(16)).hex
        body = b"\r\n".join([*lines, b""])
        letter = Letter(
            internet_message_id=f"<{name}@{sender.partition('@')[2]}>",
            door=door,
            sender=sender,
            recipients=recipients,
            body=body,
            digest=digest_of(body),
            insists=self._random.random() < 0.8,
        )
        self.letters[letter.internet_message_id] = letter
        return letter

    def choose(self, *choices: tuple[str, ...]) -> tuple[str, ...]:
        """Choose recipients."""
        return self._random.choice(choices)

    def count(self) -> dict[str, int]:
        """Count letters by what their senders know."""
        known = [_knowledge(one) for one in self.letters.values()]
        return {name: known.count(name) for name in sorted(set(known))}


def digest_of(octets: bytes) -> str:
    """Give what octets are recognised by."""
    return sha256(octets).hexdigest()


def _knowledge(letter: Letter) -> str:
    if letter.is_accepted:
        return ACCEPTED
    return LOST if letter.is_open else REFUSED
