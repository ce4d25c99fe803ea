"""One running application for the whole run, and beside it in the same Serve a small, guarded one."""

from collections.abc import Iterator

import httpx
import pytest

from benchmarks.application import REPORT_INTERVAL, Application
from benchmarks.processes import free_port
from serve_app.app import PARTS
from tests.doubles.images import ImageServer
from tests.doubles.llm import LlmServer

API_KEY = "the-key-of-the-guarded-application"
IMAGE_HOST = "127.0.0.2"
PROVIDER_KEY = "provider-key-0123456789-that-must-not-leak"

# The same code under /guarded: with a key and a rate, without CLIP, with room for two requests.
GUARDED = {
    "name": "guarded",
    "route_prefix": "/guarded",
    "import_path": "serve_app.app:build",
    "runtime_env": {"env_vars": {"API_KEY": API_KEY}},
    "args": {
        **{f"{name.lower()}_enabled": False for name in PARTS},
        "max_concurrent_requests": 2,
        "rate_limit_burst": 4,
        "rate_limit_per_minute": 8,
        "fetch_allow_private": IMAGE_HOST,
        "fetch_timeout_s": 4,
    },
    "deployments": [
        {
            "name": "Ingress",
            "max_ongoing_requests": 16,
            "max_queued_requests": 64,
            "ray_actor_options": {"num_cpus": 0.1},
        }
    ],
}


@pytest.fixture(scope="session")
def llm_server() -> Iterator[LlmServer]:
    with LlmServer() as server:
        yield server


@pytest.fixture(scope="session")
def panoptes(llm_server: LlmServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    catalogue = tmp_path_factory.mktemp("catalogue")
    arguments = {
        "weights": "bundled",
        "rate_limit_enabled": False,
        "fetch_allow_private": IMAGE_HOST,
        "fetch_timeout_s": 5,
        "max_fetch_mb": 5,
        "request_timeout_s": 30,
        "llm_base_url": llm_server.url,
        "llm_model": "openai/good",
        "store_url": str(catalogue / "pictures"),
        "lease_s": 5,  # what a killed worker held is due again soon
    }
    # Ray's 10 s would make the tests of the metrics slow.
    env = {
        REPORT_INTERVAL: "1000",
        "OPENAI_API_KEY": PROVIDER_KEY,
        "DATABASE_URL": f"sqlite:///{catalogue / 'catalogue.db'}",
    }
    with Application(free_port(), env, arguments=arguments, beside=[GUARDED]) as application:
        yield application


@pytest.fixture
def api(panoptes: Application) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=panoptes.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def image_server() -> Iterator[ImageServer]:
    with ImageServer(IMAGE_HOST) as server:
        yield server
