"""A gibibyte through the real application, in constant memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

MIB = 1024 * 1024
GROWTH_OCTETS = 64 * MIB
# Memory is measured in a process of its own, whose earlier life is not that of a whole test run.
PROGRAM = """
import asyncio, json, resource, sys
from pathlib import Path
import httpx
from api.app import create_app
from mss.cli.compose import open_operator
from mss.settings import load_settings
from tests.support.factories import HOSPITAL, make_homes
from tests.support.clock import FixedClock
from tests.support.pki import the_pki
from tests.support.uploading import OCTETS, TUS, begin, offset_of

SIZE, BLOCK = 1024**3, bytes(range(256)) * 1024


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def blocks(start, stop):
    while start < stop:
        block = BLOCK[: stop - start]
        yield block
        start += len(block)


async def main(folder):
    await make_homes(folder, the_pki().authority, urls={})
    settings = load_settings(folder / HOSPITAL.domain)
    async with open_operator(settings, clock=FixedClock()) as running:
        token = await running.services.accounts.issue_token("ward")
        app = create_app(running.services)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app),
            base_url="https://api.test",
            headers={"Authorization": f"Bearer {token}"},
        ) as client:
            some = 4 * 1024**2
            warm = await begin(client, some)
            fields = TUS | OCTETS | {"Upload-Offset": "0"}
            await client.patch(f"/v1/uploads/{warm}", headers=fields, content=blocks(0, some))
            before = peak()
            upload = await begin(client, SIZE)
            half = SIZE // 2 + 12345
            for start, stop in ((0, half), (half, SIZE)):
                fields = TUS | OCTETS | {"Upload-Offset": str(start)}
                answer = await client.patch(
                    f"/v1/uploads/{upload}", headers=fields, content=blocks(start, stop)
                )
                assert answer.status_code == 204, answer.text
            offset = await offset_of(client, upload)
            await client.delete(f"/v1/uploads/{upload}", headers=TUS)
            print(json.dumps({"offset": offset, "grown": peak() - before}))


asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_gibibyte_is_taken_in_constant_memory(tmp_path: Path) -> None:
    """Sealed and durable on the disk as it comes, whatever its size."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[3],
    )

    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout.splitlines()[-1])
    assert measured["offset"] == 1024 * MIB
    assert measured["grown"] < GROWTH_OCTETS
