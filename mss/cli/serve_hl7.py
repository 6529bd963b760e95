"""The HL7 part of a process: listeners over MLLP, and what goes to hospital software."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mss.cli.compose import Operator
from mss.hl7.listener import Listener, ListenerTls, open_listeners
from mss.worker.watch import Renewable


@asynccontextmanager
async def open_hl7(
    operator: Operator, renewables: list[Renewable]
) -> AsyncIterator[dict[str, int]]:
    """Serve hospital software while the block lasts; gives the ports that are bound."""
    services, hospital = operator.services, operator.hospital
    settings = services.settings
    context = ListenerTls(settings) if settings.listen.mllps else None
    if context is not None:
        renewables.append(context)
    listener = Listener(
        gateway=hospital.gateway,
        trust=services.trust,
        settings=settings.hl7,
        clock=services.clock,
    )
    task = asyncio.get_running_loop().create_task(hospital.courier.run())
    try:
        async with open_listeners(settings, listener, context=context) as ports:
            yield ports
    finally:
        hospital.courier.stop()
        await task
