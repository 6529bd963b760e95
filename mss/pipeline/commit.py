"""Step 4: make the message ours. Bodies first, then one transaction.

After `commit` returns, the message survives any crash; before, it does not exist. A crash between
the bodies and the transaction leaves bodies that no row refers to, which the sweeper removes.
Deposits in our own mailboxes are rows of the same transaction. What else must happen together with
the message (an Idempotency-Key, a notice that is being sent) joins it as `also`.

Errors
    `StoreFullError`, `StoreUnavailableError`: nothing was accepted, nothing is half-stored.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from mss.clock import Clock
from mss.errors import MSSError, StoreUnavailableError
from mss.pipeline.record import Also, Ready, Recorder, RepeatError, Stored, state_of
from mss.pipeline.submission import Accepted, AcceptedDelivery, Submission
from mss.ports import BlobStore
from mss.store import deliveries, messages
from mss.store.engine import Connection, Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Committer:
    """Writes what is ready.

    Attributes:
        awake: Set when something was queued, so that the worker of this process looks at once.
    """

    database: Database
    blobs: BlobStore
    recorder: Recorder
    clock: Clock
    awake: asyncio.Event

    async def find_repeat(self, keys: Mapping[str, str]) -> Accepted | None:
        """Find the message that these very octets became before, if every recipient has it.

        Args:
            keys: As `acceptance_keys` names them.
        """
        wanted = list(keys.values())
        found = await self.database.read(lambda c: messages.find_accepted(c, wanted))
        if not found or len(found) < len(wanted):
            return None
        return await self.accepted(next(iter(found.values())), is_repeat=True)

    async def commit(self, ready: Ready, *, also: Also | None = None) -> Accepted:
        """Take responsibility for a message."""
        message_id = self.clock.new_id()
        stored = await self._store_bodies(ready)
        letter = self.recorder.prepare(ready, message_id=message_id, stored=stored, also=also)
        try:
            await self.database.write_together(self.recorder.record, letter)
        except RepeatError:
            return await self._repeat(ready, stored)
        except StoreUnavailableError:
            # Perhaps it was committed and only the answer was lost: a row may need these bodies.
            raise
        except Exception:
            await self._forget(stored)
            raise
        self.awake.set()
        return Accepted(
            message_id=message_id,
            internet_message_id=ready.internet_message_id,
            accepted_at=letter.row.accepted_at,
            deliveries=tuple(
                AcceptedDelivery(recipient=str(one.address), state=state_of(one).value)
                for one in ready.routes
            ),
        )

    async def _repeat(self, ready: Ready, stored: Stored) -> Accepted:
        """Tell what became of a message that somebody else handed over while this one came."""
        await self._forget(stored)
        repeat = await self.find_repeat(ready.keys)
        if repeat is None:
            raise StoreUnavailableError(reason="what was a repeat is gone again")
        return repeat

    async def _store_bodies(self, ready: Ready) -> Stored:
        """Make every distinct body durable; they share their syncs."""
        copies = {key: one.raw for key, one in ready.copies.items()}
        every = (ready.kept, *ready.leaving.values(), *copies.values())
        bodies = {id(one): one for one in every}
        if len(bodies) == 1:  # most letters; tasks cost more than the body
            return self._all_at(await self.blobs.put(self.clock.new_id(), ready.kept), ready)
        done = await asyncio.gather(
            *(self.blobs.put(self.clock.new_id(), body) for body in bodies.values()),
            return_exceptions=True,
        )
        refs = dict(zip(bodies, done, strict=True))
        for one in done:
            if isinstance(one, BaseException):
                await self._forget_all(one for one in done if isinstance(one, str))
                raise one
        return Stored(
            kept=str(refs[id(ready.kept)]),
            leaving={key: str(refs[id(body)]) for key, body in ready.leaving.items()},
            copies={key: str(refs[id(body)]) for key, body in copies.items()},
        )

    @staticmethod
    def _all_at(ref: str, ready: Ready) -> Stored:
        """Say of every body that it is at *ref*."""
        leaving, copies = dict.fromkeys(ready.leaving, ref), dict.fromkeys(ready.copies, ref)
        return Stored(kept=ref, leaving=leaving, copies=copies)

    async def _forget(self, stored: Stored) -> None:
        await self._forget_all({stored.kept, *stored.leaving.values(), *stored.copies.values()})

    async def _forget_all(self, refs: Iterable[str]) -> None:
        """Remove bodies that no row will refer to; the sweeper takes what this misses."""
        for ref in refs:
            with suppress(MSSError):
                await self.blobs.delete(ref)

    async def accepted(self, message_id: str, *, is_repeat: bool) -> Accepted:
        """Tell what became of a message that has a row."""

        def ask(connection: Connection) -> Accepted:
            row = messages.find_message(connection, message_id)
            assert row is not None, "a message that was accepted has a row"
            return Accepted(
                message_id=row.id,
                internet_message_id=row.internet_message_id,
                accepted_at=row.accepted_at,
                deliveries=tuple(
                    AcceptedDelivery(recipient=one.recipient, state=one.state.value)
                    for one in deliveries.deliveries_of(connection, row.id)
                ),
                is_repeat=is_repeat,
            )

        return await self.database.read(ask)


def acceptance_keys(submission: Submission) -> dict[str, str]:
    """Name each (message, recipient) of a submission, by the recipient's normalised address."""
    sender = submission.envelope.sender
    body_digest = hashlib.sha256(submission.raw).digest()
    return {
        one.address.key: messages.acceptance_key(
            sender=sender.key if sender else None,
            body_digest=body_digest,
            recipient_key=one.address.key,
        )
        for one in submission.envelope.recipients
    }
