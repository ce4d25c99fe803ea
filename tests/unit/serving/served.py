"""The HTTP application with doubles of the models, as a server of its own: `python -m tests.unit.serving.served PORT`."""

import sys

import uvicorn
from fastapi import FastAPI

from configs.settings import settings_from
from serve_app.http.errors import InvalidVideo
from serve_app.ingress import make_api
from serve_app.inputs.fetch import Fetcher
from serve_app.inputs.images import Decoder
from serve_app.services import Services
from tests.unit.serving.api import Doubles


def application() -> FastAPI:
    """The application with default settings, without the rate limit. It finds no video readable."""
    settings = settings_from({"rate_limit_enabled": False})
    models = Doubles()
    models.video.fails = InvalidVideo("This is not a video.")
    fetcher = Fetcher(allow_private=[], max_bytes=settings.fetch.max_bytes, timeout_s=2)
    return make_api(Services(settings, models, Decoder(1, settings.limits.max_pixels), fetcher))


if __name__ == "__main__":
    uvicorn.run(application(), host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
