"""The migrations create the tables that the code declares, also when many processes run them at once."""

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, NullPool, create_engine, inspect

from deployments.catalogue.errors import CatalogueUnavailable
from deployments.catalogue.sql.database import database_url
from deployments.catalogue.sql.migrate import configuration, migrate
from deployments.catalogue.sql.tables import Base
from testbed.doubles.postgres import PostgresServer

PROCESSES = 2


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database; for SQLite even the folder does not exist yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/new/folder/catalogue.db"
        return
    server = request.getfixturevalue("postgres")
    assert isinstance(server, PostgresServer)
    name = f"test_{uuid.uuid4().hex}"
    server.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def engine_of(url: str) -> Engine:
    parsed = database_url(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    return create_engine(parsed.set(drivername="sqlite") if is_sqlite else parsed, poolclass=NullPool)


def test_the_migrations_make_the_tables_of_the_code(url: str) -> None:
    migrate(url)
    migrate(url)
    with engine_of(url).begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        made = {table: inspect(connection).get_check_constraints(table) for table in Base.metadata.tables}
    assert [each["name"] for each in made["images"]] == ["ck_images_status"]


def test_the_migrations_can_be_reverted_and_run_again(url: str) -> None:
    migrate(url)
    with engine_of(url).begin() as connection:
        command.downgrade(configuration(connection), "base")
    with engine_of(url).begin() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    migrate(url)
    with engine_of(url).begin() as connection:
        assert set(Base.metadata.tables) < set(inspect(connection).get_table_names())


def test_processes_that_start_together_wait_for_each_other(url: str) -> None:
    code = "import sys; from deployments.catalogue.sql.migrate import migrate; input(); migrate(sys.argv[1])"
    command_line = [sys.executable, "-W", "error", "-c", code, url]
    starts = [subprocess.Popen(command_line, stdin=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(PROCESSES)]
    for process in starts:
        assert process.stdin is not None
        process.stdin.write(b"\n")
        process.stdin.flush()
    assert [(process.communicate(timeout=60)[1], process.returncode) for process in starts] == [(b"", 0)] * PROCESSES
    with engine_of(url).begin() as connection:
        assert set(Base.metadata.tables) < set(inspect(connection).get_table_names())


def test_a_database_that_is_away_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueUnavailable):
        migrate(f"postgres://nobody@/none?host={tmp_path}")


@pytest.mark.parametrize(
    ("given", "understood"),
    [
        ("sqlite:///data/catalogue.db", "sqlite+aiosqlite:///data/catalogue.db"),
        ("sqlite:////srv/c.db", "sqlite+aiosqlite:////srv/c.db"),
        ("postgres://me:secret@db/c", "postgresql+psycopg://me:secret@db/c"),
        ("postgresql://db:5433/c?sslmode=require", "postgresql+psycopg://db:5433/c?sslmode=require"),
        ("postgresql+asyncpg://db/c", "postgresql+psycopg://db/c"),
    ],
)
def test_urls_as_users_write_them(given: str, understood: str) -> None:
    assert database_url(given).render_as_string(hide_password=False) == understood


@pytest.mark.parametrize("given", ["", "catalogue.db", "sqlite://", "sqlite:///:memory:", "mysql://db/c"])
def test_urls_that_cannot_hold_a_catalogue_are_refused(given: str) -> None:
    with pytest.raises(ValueError, match=r"catalogue|database URL"):
        database_url(given)
