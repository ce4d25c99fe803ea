"""One process that asks a deployment of the running application through its handle, as jobs do.

It prints how many images were answered within a period that starts at a given time. Several such processes count over
the same period, so that their numbers can be added up.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from benchmarks import cli
from benchmarks.gpu.pictures import pictures
from jobs.analyze.looking import CLIP_BATCH
from jobs.runtime.running import APPLICATION, connect

TAGS = 5


async def asked(name: str, handle: Any) -> tuple[Callable[[], Any], int]:
    """A call of the deployment, and its number of images: CLIP_BATCH for CLIP, as in jobs, and one for the others."""
    if name == "Clip":
        size = (await handle.weights.remote()).image.size
        images = np.stack(list(islice(pictures(name, size), CLIP_BATCH)))
        return lambda: handle.embed_images.remote(images), CLIP_BATCH
    shown = pictures(name)
    more = (TAGS,) if name == "Tagger" else ()
    return lambda: handle.analyze.remote(next(shown), *more), 1


async def measure(call: Callable[[], Any], images: int, callers: int, at: float, seconds: float) -> int:
    """Images answered within `seconds` from the time `at` (of time.time()); the calls begin before that."""
    answered, ends = 0, at + seconds

    async def ask() -> None:
        nonlocal answered
        while time.time() < ends:
            await call()
            answered += images * (at <= time.time() < ends)

    await asyncio.gather(*(ask() for _ in range(callers)))
    return answered


async def _main(options: argparse.Namespace) -> int:
    handle = connect(APPLICATION).handle(options.name).options(_by_reference=True)
    call, images = await asked(options.name, handle)
    await call()
    if time.time() > options.at:
        raise SystemExit(f"ready {time.time() - options.at:.0f} s too late: choose a later --at")
    callers = max(1, options.under_way // images)
    return await measure(call, images, callers, options.at, options.seconds)


def main() -> None:
    """Print the number of images as JSON."""
    parser = cli.parser(__doc__)
    parser.add_argument("name", choices=("Clip", "Tagger", "Captioner"))
    parser.add_argument("--under-way", type=int, required=True, help="images in flight")
    parser.add_argument("--at", type=float, required=True, help="when the counting begins, in seconds of time.time()")
    parser.add_argument("--seconds", type=float, required=True)
    print(json.dumps(asyncio.run(_main(parser.parse_args()))))


if __name__ == "__main__":
    main()
