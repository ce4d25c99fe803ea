"""One running application for all contract tests; the same Serve also runs a small guarded one and a second catalogue."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from configs.serving import SOURCE, read_config
from deployments.models.tagger.spec import TAGS
from deployments.specs import all_specs
from testbed.application import REPORT_INTERVAL, Application
from testbed.doubles.images import ImageServer
from testbed.doubles.llm import LlmServer
from testbed.doubles.postgres import PostgresServer
from testbed.doubles.s3 import BUCKET, S3Server
from testbed.processes import free_port
from tests.conftest import NO_POSTGRES

API_KEY = "the-key-of-the-guarded-application"
IMAGE_HOST = "127.0.0.2"
PROVIDER_KEY = "provider-key-0123456789-that-must-not-leak"

# The same code under /guarded: with an API key and a rate limit, without CLIP, for at most two requests at a time.
GUARDED = {
    "name": "guarded",
    "route_prefix": "/guarded",
    "import_path": "serve_app.app:build",
    "runtime_env": {"env_vars": {"API_KEY": API_KEY}},
    "args": {
        **{f"{name.lower()}_enabled": False for name in all_specs()},
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


# A killed worker costs each of its images an attempt, and these tests kill very many.
CATALOGUE = {"lease_s": 5, "max_attempts": 30, "rate_limit_enabled": False, "weights": "bundled"}
DATABASE = "contract"
# A test makes this deployment hang.
SOON_REPLACED = {"Blur": {"health_check_period_s": 1, "health_check_timeout_s": 2, "graceful_shutdown_timeout_s": 2}}
ON_SQLITE, ON_POSTGRES = "sqlite+folder", "postgresql+s3"


def shared(variables: dict[str, str]) -> dict[str, Any]:
    """The same code under /shared: the catalogue on PostgreSQL and S3, as on a cluster, with two ingress replicas."""
    kept = ("Clip", "Captioner", "Cataloguer")
    config = read_config(SOURCE)["applications"][0]
    deployments = [entry for entry in config["deployments"] if entry["name"] in {"Ingress", *kept}]
    for entry in deployments:
        entry["ray_actor_options"] = {"num_cpus": 0}
    ingress = next(entry for entry in deployments if entry["name"] == "Ingress")
    del ingress["autoscaling_config"]
    ingress["num_replicas"] = 2
    return {
        "name": "shared",
        "route_prefix": "/shared",
        "import_path": "serve_app.app:build",
        "runtime_env": {"env_vars": variables},
        "args": {
            **{f"{name.lower()}_enabled": name in kept for name in all_specs()},
            **CATALOGUE,
            "store_url": f"s3://{BUCKET}/contract",
        },
        "deployments": deployments,
    }


@pytest.fixture(scope="session")
def llm_server() -> Iterator[LlmServer]:
    with LlmServer() as server:
        yield server


@dataclass(frozen=True)
class Catalogued:
    """An application with a catalogue: its name in Serve, its URL, its database, and its number of tags per picture."""

    name: str
    url: str
    database_url: str
    tags: int


@pytest.fixture(scope="session")
def sqlite_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('catalogue') / 'catalogue.db'}"


@pytest.fixture(scope="session")
def pictures_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("pictures"))


# Scoped to this package, so that Ray has stopped before other tests start their own.
@pytest.fixture(scope="package")
def panoptes(
    llm_server: LlmServer,
    sqlite_url: str,
    pictures_folder: str,
    installed_postgres: PostgresServer | None,
    s3: S3Server,
) -> Iterator[Application]:
    arguments = {
        "fetch_allow_private": IMAGE_HOST,
        "fetch_timeout_s": 5,
        "max_fetch_mb": 5,
        "request_timeout_s": 30,
        "analyzer_timeout_s": 25,  # later than a hanging replica is replaced
        "llm_base_url": llm_server.url,
        "llm_model": "openai/good",
        "store_url": pictures_folder,
        **CATALOGUE,
    }
    # Ray's 10 s would make the tests of the metrics slow.
    env = {REPORT_INTERVAL: "1000", "OPENAI_API_KEY": PROVIDER_KEY, "DATABASE_URL": sqlite_url}
    beside = [GUARDED]
    if installed_postgres is not None:
        installed_postgres.execute(f"CREATE DATABASE {DATABASE}")
        beside.append(shared({"DATABASE_URL": installed_postgres.url(DATABASE), **s3.variables}))
    with Application(free_port(), env, SOON_REPLACED, arguments=arguments, beside=beside) as application:
        yield application


@pytest.fixture(scope="package", params=[ON_SQLITE, ON_POSTGRES])
def catalogued(
    request: pytest.FixtureRequest,
    panoptes: Application,
    sqlite_url: str,
    installed_postgres: PostgresServer | None,
) -> Catalogued:
    """Each application that has a catalogue, in turn."""
    if request.param == ON_SQLITE:
        return Catalogued("panoptes", panoptes.url, sqlite_url, TAGS)
    if installed_postgres is None:
        pytest.skip(NO_POSTGRES)
    return Catalogued("shared", f"{panoptes.url}/shared", installed_postgres.url(DATABASE), 0)


@pytest.fixture
def api(panoptes: Application) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=panoptes.url, timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def image_server() -> Iterator[ImageServer]:
    with ImageServer(IMAGE_HOST) as server:
        yield server


@pytest.fixture
def catalogue(catalogued: Catalogued) -> Iterator[httpx.Client]:
    """A client of each application that has a catalogue."""
    with httpx.Client(base_url=catalogued.url, timeout=60) as client:
        yield client
