"""Databases and stores for the catalogue: SQLite and a folder, and servers that are started once per run."""

import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from deployments.catalogue.sql.migrate import migrate
from jobs.runtime.output import Output
from testbed.doubles.koop import Drawings, KoopServer
from testbed.doubles.koop.faults import Faults
from testbed.doubles.postgres import PostgresServer
from testbed.doubles.s3 import BUCKET, S3Server
from tests.services.catalogue.opened import Backend, House, opened
from tests.services.koop.days import DECISIONS, FEW, SEED
from tests.services.koop.double import DAYS

TEMPLATE = "catalogue_template"
BACKENDS = ("sqlite+folder", "postgresql+folder", "postgresql+s3")


@pytest.fixture(scope="session")
def postgres_template(postgres: PostgresServer) -> str:
    """A migrated database to copy."""
    postgres.execute(f"CREATE DATABASE {TEMPLATE}")
    migrate(postgres.url(TEMPLATE))
    return TEMPLATE


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
def postgres_backend(postgres: PostgresServer, postgres_template: str, tmp_path: Path) -> Iterator[Backend]:
    name = f"test_{uuid.uuid4().hex}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield Backend(postgres.url(name), f"file://{tmp_path}/store")
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def s3_backend(postgres_backend: Backend, s3: S3Server) -> Backend:
    return Backend(postgres_backend.database_url, f"s3://{BUCKET}/{uuid.uuid4().hex}", s3.options)


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> Backend:
    fixture = {"sqlite+folder": "sqlite", "postgresql+folder": "postgres", "postgresql+s3": "s3"}[request.param]
    found: Backend = request.getfixturevalue(f"{fixture}_backend")
    return found


@pytest.fixture(params=["sqlite", "postgres"])
def folder_backend(request: pytest.FixtureRequest) -> Backend:
    """Each database with a folder, for tests in which the kind of store makes no difference."""
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


@pytest.fixture(scope="session")
def drawings() -> Drawings:
    """Few and small ones."""
    return Drawings(count=10, side=(64, 96))


@pytest.fixture
def small_koop(drawings: Drawings) -> Iterator[KoopServer]:
    """A double of KOOP with the few days that the ingestion's tests use; each test has its own."""
    with KoopServer(DECISIONS, seed=SEED, drawings=drawings, richness=FEW) as server:
        yield server


@pytest.fixture
def output(tmp_path: Path) -> Output:
    return Output(str(tmp_path / "koop"))


@pytest.fixture(scope="session")
def koop_days(drawings: Drawings) -> Iterator[KoopServer]:
    """KOOP's double with the publications of some days."""
    with KoopServer(DAYS, drawings=drawings) as server:
        yield server


@pytest.fixture
def koop_server(koop_days: KoopServer) -> Iterator[KoopServer]:
    """The double of KOOP without requests of other tests; faults that a test switches on end with the test."""
    koop_days.requests.clear()
    yield koop_days
    koop_days.faults = Faults()


@pytest.fixture
def koop(koop_server: KoopServer) -> Iterator[httpx.Client]:
    """A client of the double that accepts XML."""
    with httpx.Client(base_url=koop_server.address, headers={"Accept": "application/xml"}, timeout=120) as client:
        yield client
