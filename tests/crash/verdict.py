"""Does what the operator holds agree with what everybody outside knows?

Nothing here believes the operator's word for what it did: its rows and bodies are compared with the
ledger of the senders and with the copies that the peer took.

Rules
    1. What was accepted is held exactly once; what was refused is not held; what got no answer is
       held at most once.
    2. Each recipient of a held letter has exactly one delivery, in a final state that is true: in
       the mailbox exactly once, or taken by the peer, or failed because the peer has nobody there.
    3. Each body is the sender's, octet for octet.
    4. A second copy at the peer has a cause: its 250 did not arrive, or we died after it.
    5. A sender is told exactly once of a recipient that could not be reached.
    6. The journal's chain holds; the database is sound; no body is too many; no scrap is left.
"""

import sqlite3
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from sqlalchemy import func, select

from mss.blobs.sweep import sweep
from mss.cli.compose import Operator, open_operator
from mss.store import audit, messages, tables
from mss.store.engine import Connection
from tests.crash.letters import Ledger, Letter, digest_of
from tests.crash.receiver import Copy, Receiver
from tests.crash.senders import LOCAL
from tests.support.operators import Home

FINAL_THERE = frozenset({"relayed", "delivered"})
DEATH_SLACK_SECONDS = 1.0
ORIGINS = {"submission": "submission", "api": "submission", "mx": "peer"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A message that the operator holds.

    Attributes:
        deliveries: Recipient and state, one pair a row.
        deposits: Mailboxes that received it.
    """

    id: str
    blob_ref: str
    origin: str
    deliveries: tuple[tuple[str, str], ...]
    deposits: tuple[str, ...]


@dataclass(slots=True, kw_only=True)
class Verdict:
    """What was found.

    Attributes:
        problems: Every broken rule, with the letter; none in a good campaign.
        states: Final states, counted.
        duplicates: Copies too many at the peer, by their cause.
    """

    problems: list[str] = field(default_factory=list)
    states: Counter[str] = field(default_factory=Counter)
    duplicates: Counter[str] = field(default_factory=Counter)
    reports: int = 0
    bodies: int = 0


async def judge(
    home: Home, ledger: Ledger, receiver: Receiver, *, killed_at: Sequence[float]
) -> Verdict:
    """Compare everything, after the operator has stopped."""
    verdict = Verdict()
    taken = dict(receiver.copies)
    async with open_operator(home.settings()) as operator:
        held = await operator.database.read(_held)
        failed: Counter[str] = Counter()
        for letter in ledger.letters.values():
            rows = held.pop(letter.internet_message_id, [])
            copies = taken.pop(letter.internet_message_id, [])
            _judge_count(verdict, letter, rows)
            for row in rows:
                await _judge_letter(verdict, operator, letter, row, copies)
                failed[letter.internet_message_id] += sum(
                    state == "failed" for _, state in row.deliveries
                )
            _judge_copies(verdict, letter, copies, killed_at)
        for name in (*held, *taken):
            verdict.problems.append(f"{name}: nobody has sent it")
        await _judge_reports(verdict, operator, +failed)
        await _judge_books(verdict, operator)
    _judge_files(verdict, home)
    return verdict


def count_open(connection: Connection) -> int:
    """Count what is still to be done."""
    queued = select(func.count()).select_from(tables.delivery)
    queued = queued.where(tables.delivery.c.state.in_(["queued", "held"]))
    owed = select(func.count()).select_from(tables.notice)
    return int(connection.execute(queued).scalar_one() + connection.execute(owed).scalar_one())


def _held(connection: Connection) -> dict[str, list[Held]]:
    """Read every letter, by Message-ID; what the operator wrote itself is none."""
    deliveries, deposits = _deliveries(connection), _deposits(connection)
    message = tables.message.c
    found: dict[str, list[Held]] = defaultdict(list)
    for row in connection.execute(
        select(message.id, message.internet_message_id, message.blob_ref, message.origin).where(
            message.origin != "system"
        )
    ):
        found[row.internet_message_id].append(
            Held(
                id=row.id,
                blob_ref=row.blob_ref,
                origin=row.origin,
                deliveries=tuple(deliveries[row.id]),
                deposits=tuple(deposits[row.id]),
            )
        )
    return found


def _deliveries(connection: Connection) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    delivery = tables.delivery.c
    for row in connection.execute(select(delivery.message_id, delivery.recipient, delivery.state)):
        found[row.message_id].append((row.recipient, row.state))
    return found


def _deposits(connection: Connection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    deposit, mailbox = tables.deposit, tables.mailbox
    for row in connection.execute(
        select(deposit.c.message_id, mailbox.c.address)
        .select_from(deposit.join(mailbox, deposit.c.mailbox_id == mailbox.c.id))
        .where(deposit.c.role != "sent")
    ):
        found[row.message_id].append(row.address)
    return found


def _judge_count(verdict: Verdict, letter: Letter, rows: Sequence[Held]) -> None:
    """Rule 1."""
    wanted = {1} if letter.is_accepted else {0, 1} if letter.is_open else {0}
    if len(rows) not in wanted:
        verdict.problems.append(
            f"{letter.internet_message_id}: answered {letter.answers}, held {len(rows)} times"
        )
    verdict.problems.extend(
        f"{letter.internet_message_id}: came by {letter.door}, held as {row.origin}"
        for row in rows
        if row.origin != ORIGINS[letter.door]
    )


async def _judge_letter(
    verdict: Verdict, operator: Operator, letter: Letter, row: Held, copies: Sequence[Copy]
) -> None:
    """Rules 2 and 3."""
    if sorted(one for one, _ in row.deliveries) != sorted(letter.recipients):
        verdict.problems.append(f"{letter.internet_message_id}: deliveries {row.deliveries}")
    for recipient, state in row.deliveries:
        verdict.states[state] += 1
        taken = sum(recipient in copy.recipients for copy in copies)
        if recipient in LOCAL:
            is_true = state == "delivered" and row.deposits.count(recipient) == 1
        elif recipient in letter.refused_there:
            is_true = state == "failed" and not taken
        else:
            is_true = state in FINAL_THERE and taken >= 1
        if not is_true:
            verdict.problems.append(
                f"{letter.internet_message_id}: {recipient} is {state}, deposited in "
                f"{row.deposits}, taken {taken} times by the peer"
            )
    raw = await operator.blobs.get(row.blob_ref)
    verdict.bodies += 1
    if digest_of(raw.partition(b"\r\n\r\n")[2]) != letter.digest:
        verdict.problems.append(f"{letter.internet_message_id}: another body is held")


def _judge_copies(
    verdict: Verdict, letter: Letter, copies: Sequence[Copy], killed_at: Sequence[float]
) -> None:
    """Rules 3 and 4."""
    for copy in copies:
        if copy.body != letter.digest:
            verdict.problems.append(f"{letter.internet_message_id}: another body was relayed")
    if len({copy.octets for copy in copies}) > 1:
        verdict.problems.append(f"{letter.internet_message_id}: copies differ")
    for recipient in letter.recipients:
        own = [copy for copy in copies if recipient in copy.recipients]
        for earlier, later in pairwise(own):
            cause = _cause(earlier, later, killed_at)
            verdict.duplicates[cause] += 1
            if cause == "none":
                verdict.problems.append(f"{letter.internet_message_id}: doubled for no reason")


def _cause(earlier: Copy, later: Copy, killed_at: Sequence[float]) -> str:
    if not earlier.is_answered:
        return "answer lost"
    death = bisect_left(killed_at, earlier.taken_at - DEATH_SLACK_SECONDS)
    if death < len(killed_at) and killed_at[death] <= later.taken_at:
        return "killed before the record"
    return "none"


async def _judge_reports(verdict: Verdict, operator: Operator, failed: Counter[str]) -> None:
    """Rule 5: one report for a letter whose recipients failed at once."""
    wanted = select(tables.message.c.blob_ref).where(
        tables.message.c.origin == "system", tables.message.c.report == "delivery"
    )
    refs = await operator.database.read(lambda c: list(c.execute(wanted).scalars()))
    told: Counter[str] = Counter()
    for ref in refs:
        raw = (await operator.blobs.get(ref)).decode("latin-1")
        told.update(name for name in failed if name in raw)
    verdict.reports = len(refs)
    for name, count in failed.items():
        if not 1 <= told[name] <= count:
            verdict.problems.append(f"{name}: {count} recipients failed, told {told[name]} times")


async def _judge_books(verdict: Verdict, operator: Operator) -> None:
    """Rule 6, the database and the bodies."""
    _, broken = await operator.database.read(audit.check_chains)
    verdict.problems.extend(f"journal: {one}" for one in broken)

    async def is_referenced(some: Sequence[str]) -> set[str]:
        return await operator.database.read(lambda c: messages.referenced_blobs(c, some))

    later = operator.services.clock.now() + timedelta(days=1)
    await sweep(operator.blobs, is_referenced, now=later, minimum_age=timedelta(0))
    left = [record.ref async for record in operator.blobs.iter_records()]
    if len(await is_referenced(left)) != len(left):
        verdict.problems.append("bodies that nothing refers to survive the sweep")


def _judge_files(verdict: Verdict, home: Home) -> None:
    """Rule 6, the files."""
    database = home.path / "mss.db"
    if database.exists():
        with sqlite3.connect(database) as connection:
            (said,) = connection.execute("PRAGMA integrity_check").fetchone()
        if said != "ok":
            verdict.problems.append(f"integrity_check: {said}")
    scraps = [one for one in Path(home.path, "spool").rglob("*") if one.is_file()]
    if scraps:
        verdict.problems.append(f"{len(scraps)} files are left in the spool")
