"""Panoptes with doubles of the models and a real catalogue, served to a browser from a thread of the test."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from configs.settings import settings_from
from deployments.catalogue.preparing import Prepared
from deployments.catalogue.records import Result
from deployments.models.tagger.answers import Tag
from serve_app.clients.models import Models
from serve_app.ingress import make_api
from serve_app.inputs.fetch import Fetcher
from serve_app.inputs.images import Decoder
from serve_app.services import Services
from tests.unit.catalogue.in_process import Eyes, located, working
from tests.unit.serving.api import Doubles

START_S = 20


class Captions(Eyes):
    """Gives each picture the next of `captions`; the last one is repeated."""

    def __init__(self, *captions: str) -> None:
        super().__init__()
        self.captions = list(captions)

    async def look(self, prepared: Prepared) -> Result:
        seen = await super().look(prepared)
        caption = self.captions.pop(0) if len(self.captions) > 1 else self.captions[0]
        return Result(0.0, caption=caption, tags=(Tag("cup", 0.75), Tag("table", 0.25)), vectors=seen.vectors)


@dataclass
class Served:
    """A running server. `hold` makes its worker wait until `release`."""

    url: str
    eyes: Eyes
    loop: asyncio.AbstractEventLoop
    asked: list[str] = field(default_factory=list)

    def hold(self) -> None:
        self.loop.call_soon_threadsafe(self.eyes.wait.clear)

    def release(self) -> None:
        self.loop.call_soon_threadsafe(self.eyes.wait.set)


@contextmanager
def serving(folder: Path, eyes: Eyes | None = None, models: Models | None = None, **settings: Any) -> Iterator[Served]:
    """A server on a free port of this machine; its catalogue is in `folder`."""
    eyes, ready, found = eyes or Captions("a cup on a table"), threading.Event(), list[Served]()
    stop = list[uvicorn.Server]()

    async def run() -> None:
        chosen = settings_from({"rate_limit_enabled": False, **located(folder), **settings})
        services = Services(
            settings=chosen,
            models=models or Doubles(),
            decoder=Decoder(1, chosen.limits.max_pixels),
            fetcher=Fetcher(allow_private=[], max_bytes=chosen.fetch.max_bytes, timeout_s=2),
        )
        config = uvicorn.Config(
            make_api(services), host="127.0.0.1", port=0, log_config=None, timeout_graceful_shutdown=2
        )
        server = uvicorn.Server(config)
        stop.append(server)
        async with AsyncExitStack() as stack:
            if services.models.cataloguer.enabled:
                await stack.enter_async_context(working(folder, eyes))
            serve = asyncio.create_task(server.serve())
            while not server.started and not serve.done():
                await asyncio.sleep(0.01)
            port = server.servers[0].sockets[0].getsockname()[1]
            found.append(Served(f"http://127.0.0.1:{port}/", eyes, asyncio.get_running_loop()))
            ready.set()
            await serve

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert ready.wait(START_S), "the server does not start"
        yield found[0]
    finally:
        if found:
            found[0].release()
        for server in stop:
            server.should_exit = True
        thread.join()
