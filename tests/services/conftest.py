"""Databases and stores for the catalogue: SQLite and a folder, and servers that are started once a run."""

import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from deployments.catalogue.migrate import migrate
from tests.doubles.postgres import PostgresServer, find_binaries
from tests.services.catalogue import Backend, House, opened

TEMPLATE = "catalogue_template"
BUCKET = "pictures"
KEYS = {"key": "key", "secret": "secret"}
BACKENDS = ("sqlite+folder", "postgresql+folder", "postgresql+s3")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL with a migrated database to copy."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip(
            "PostgreSQL is not installed: apt-get install postgresql, or name its bin/ in PANOPTES_POSTGRES_BIN"
        )
    server = PostgresServer(binaries)
    try:
        server.start()
        server.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(server.url(TEMPLATE))
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The endpoint of an S3 on loopback, with a bucket."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        fsspec.filesystem("s3", endpoint_url=endpoint, **KEYS).mkdir(BUCKET)
        yield endpoint
    finally:
        server.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "catalogue.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_backend(sqlite_template: Path, tmp_path: Path) -> Backend:
    shutil.copy(sqlite_template, tmp_path / "catalogue.db")
    return Backend(f"sqlite:///{tmp_path}/catalogue.db", f"{tmp_path}/store")


@pytest.fixture
def postgres_backend(postgres: PostgresServer, tmp_path: Path) -> Iterator[Backend]:
    name = f"test_{uuid.uuid4().hex}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield Backend(postgres.url(name), f"file://{tmp_path}/store")
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def s3_backend(postgres_backend: Backend, s3: str) -> Backend:
    return Backend(postgres_backend.database_url, f"s3://{BUCKET}/{uuid.uuid4().hex}", KEYS | {"endpoint_url": s3})


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    fixture = {"sqlite+folder": "sqlite", "postgresql+folder": "postgres", "postgresql+s3": "s3"}[request.param]
    found: Backend = request.getfixturevalue(f"{fixture}_backend")
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def folder_backend(request: pytest.FixtureRequest) -> Backend:
    """Each database with a folder, where the kind of store makes no difference."""
    found: Backend = request.getfixturevalue(f"{request.param}_backend")
    return found


@pytest.fixture
async def house(backend: Backend) -> AsyncIterator[House]:
    async with opened(backend) as found:
        yield found


@pytest.fixture
async def folder_house(folder_backend: Backend) -> AsyncIterator[House]:
    async with opened(folder_backend) as found:
        yield found


@pytest.fixture
async def sqlite_house(sqlite_backend: Backend) -> AsyncIterator[House]:
    async with opened(sqlite_backend) as found:
        yield found
