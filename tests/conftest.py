"""Servers that several kinds of tests use, each started once per run."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from testbed.doubles.postgres import PostgresServer, find_binaries

if TYPE_CHECKING:
    from testbed.doubles.s3 import S3Server

NO_POSTGRES = "PostgreSQL is not installed: apt-get install postgresql, or name its bin/ in PANOPTES_POSTGRES_BIN"


@pytest.fixture(scope="session")
def installed_postgres() -> Iterator[PostgresServer | None]:
    """A running PostgreSQL; None if it is not installed."""
    binaries = find_binaries()
    if binaries is None:
        yield None
        return
    server = PostgresServer(binaries)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgres(installed_postgres: PostgresServer | None) -> PostgresServer:
    """A running PostgreSQL."""
    if installed_postgres is None:
        pytest.skip(NO_POSTGRES)
    return installed_postgres


@pytest.fixture(scope="session")
def s3() -> Iterator["S3Server"]:
    """An S3 with a bucket."""
    from testbed.doubles.s3 import S3Server

    with S3Server() as server:
        yield server
