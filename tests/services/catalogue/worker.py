"""A process that uploads and processes until it is killed, and prints what was confirmed to it."""

import asyncio
import contextlib
import json
import random
import sys
import uuid

from deployments.catalogue.errors import LeaseLost
from deployments.catalogue.records import Result
from tests.services.catalogue.opened import Backend, House, opened

LEASE_S = 1.0


async def upload(house: House) -> None:
    while True:
        content = random.choice([b"shared by many", uuid.uuid4().bytes])
        image = await house.add(content)
        print("added", image.id, flush=True)


async def process(house: House) -> None:
    while True:
        for lease in await house.queue.lease("worker", 3, LEASE_S):
            await asyncio.sleep(random.random() * 0.02)
            with contextlib.suppress(LeaseLost):  # on a slow machine another process may hold the lease by now
                await house.queue.complete(lease, Result(0.01, caption=lease.holder))
                print("completed", lease.image_id, flush=True)
        await asyncio.sleep(0.005)


async def main(backend: Backend) -> None:
    async with opened(backend, real_time=True) as house:
        await asyncio.gather(upload(house), upload(house), process(house))


if __name__ == "__main__":
    asyncio.run(main(Backend(**json.loads(sys.argv[1]))))
