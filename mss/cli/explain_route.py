"""`mss explain route`: where mail for somebody would go, and why.

The decision is the one that the submission door would take now, the recipient's operator asked
included; the steps beside it say what it rests on, where that comes from and how old it is.
"""

from dataclasses import asdict, dataclass
from datetime import datetime

import click

from directory import index_sql
from directory.address import MailAddress
from mss.cli.compose import Operator, open_operator
from mss.cli.explain import explain
from mss.cli.root import answer, run, settings_of
from mss.errors import MSSError
from mss.model.principal import SystemPrincipal
from mss.pipeline.submission import LocalRoute, RefusedRoute, RelayRoute, Route


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that the decision rests on.

    Attributes:
        source: Where it comes from: `settings`, `database`, `directory`, `trust-list`, `dns`…
        as_of: When that was known to be so; `None` for what is true right now.
    """

    question: str
    found: str
    source: str
    as_of: datetime | None = None


@explain.command("route")
@click.argument("address")
@click.pass_context
def route(context: click.Context, address: str) -> None:
    """Say where mail for ADDRESS would go, and why; status 1 when nowhere."""

    async def work() -> tuple[Route, str, list[Step], datetime]:
        async with open_operator(settings_of(context)) as operator:
            recipient = MailAddress.parse(address)
            acceptance = operator.services.acceptance
            found = await acceptance.route(SystemPrincipal(reason="explain"), recipient)
            protection, steps = "internal", await _steps(operator, recipient, found)
            if isinstance(found, RelayRoute):
                protection = await _protection(operator, recipient)
                steps.append(Step(question="protection", found=protection, source="directory"))
            return found, protection, steps, operator.services.clock.now()

    found, protection, steps, now = run(work())
    facts, sentences = _verdict(found, address, protection)
    answer(
        context,
        {**facts, "steps": [_facts(one, now) for one in steps]},
        *sentences,
        *(_line(one, now) for one in steps),
    )
    if isinstance(found, RefusedRoute):
        context.exit(1)


def _verdict(found: Route, address: str, protection: str) -> tuple[dict[str, object], list[str]]:
    if isinstance(found, LocalRoute):
        facts: dict[str, object] = {"way": "local", "mailbox": found.mailbox_id}
        sentences = [f"{address} is one of our mailboxes."]
    elif isinstance(found, RelayRoute):
        known = "the directory lists it" if found.is_listed else "the directory is silent"
        facts = {
            "way": "relay",
            "domain": found.domain,
            "listed": found.is_listed,
            "protection": protection,
        }
        sentences = [f"{address} goes to the operator of {found.domain} ({known}), {protection}."]
    else:
        facts = {"way": "refused", "code": found.error.code}
        text = f"{address} is refused: {found.error.public_text} [{found.error.code}]"
        sentences = [text, found.error.next_step]
    return {"address": address, **facts}, sentences


async def _steps(operator: Operator, recipient: MailAddress, found: Route) -> list[Step]:
    domain = str(recipient.domain)
    is_ours = domain in operator.services.settings.domains
    steps = [
        Step(question="our domain", found="yes" if is_ours else "no", source="settings: domains")
    ]
    if is_ours:
        state = "open" if isinstance(found, LocalRoute) else "none that takes mail"
        return [*steps, Step(question="mailbox", found=state, source="database")]
    steps.append(await _directory_step(operator, recipient))
    steps += await _trust_steps(operator, domain)
    if operator.services.trust.is_trusted_domain(domain):
        steps.append(await _hosts_step(operator, domain))
    return steps


async def _directory_step(operator: Operator, recipient: MailAddress) -> Step:
    is_known = await operator.database.read(lambda c: index_sql.has_mailbox(c, recipient))
    live = await operator.database.read(index_sql.find_live_generation)
    return Step(
        question="directory entry",
        found="listed" if is_known else "not listed: application mailbox, red list, or no mailbox",
        source="directory" if live is not None else "directory: none is imported",
        as_of=live.loaded_at if live is not None else None,
    )


async def _trust_steps(operator: Operator, domain: str) -> list[Step]:
    trust = operator.services.trust
    status = await trust.status()
    if trust.trust_list is None or status is None:
        return [Step(question="domain in the trust list", found="no list", source="trust-list")]
    operators = trust.trust_list.operators_of(domain)
    source = f"trust-list: {status.source}{', STALE' if status.is_stale else ''}"
    return [
        Step(
            question="domain in the trust list",
            found="yes" if operators else "no",
            source=source,
            as_of=status.confirmed_at,
        ),
        *(
            Step(
                question="certificate that its host must show",
                found=str(one.name),
                source=source,
                as_of=status.generated_at,
            )
            for one in operators
        ),
    ]


async def _hosts_step(operator: Operator, domain: str) -> Step:
    overrides = operator.services.settings.relay.hosts
    source = "settings: relay.hosts" if domain in overrides or "*" in overrides else "dns"
    try:
        hosts = ", ".join(map(str, await operator.hosts.find(domain)))
    except MSSError as error:
        hosts = f"none: {error.public_text} [{error.code}]"
    return Step(question="hosts", found=hosts, source=source)


async def _protection(operator: Operator, recipient: MailAddress) -> str:
    try:
        return await operator.services.acceptance.protection.foresee(recipient)
    except MSSError as error:
        return f"impossible: {error.code}"


def _facts(step: Step, now: datetime) -> dict[str, object]:
    age = None if step.as_of is None else int((now - step.as_of).total_seconds())
    return {**asdict(step), "age_seconds": age}


def _line(step: Step, now: datetime) -> str:
    age = ""
    if step.as_of is not None:
        hours = (now - step.as_of).total_seconds() / 3600
        age = f", {hours:.0f} h old" if hours < 72 else f", {hours / 24:.0f} days old"
    return f"  {step.question}: {step.found}  ({step.source}{age})"
