"""Bring a database up to date; safe when several processes start at once."""

import sqlite3
import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, NullPool, create_engine, text

from deployments.catalogue.errors import CatalogueUnavailable
from deployments.catalogue.sql.database import (
    BEGIN,
    BUSY_TIMEOUT_S,
    connect_arguments,
    database_url,
    prepare_sqlite,
    translated,
)

SCRIPTS = Path(__file__).parent / "migrations"
# One number for this application, of the 64 bits that PostgreSQL's advisory locks have.
MIGRATION_LOCK = 0x70616E6F70746573


def migrate(url: str) -> None:
    """Create the catalogue's tables, or change them to what this version needs, in one transaction.

    Processes that do it at the same time wait for each other. A SQLite file and its folder are created.

    Raises:
        ValueError: the URL is none that `database_url` takes.
        CatalogueUnavailable: the database does not answer, or another process does not finish.
    """
    parsed = database_url(url)
    is_sqlite = parsed.get_backend_name() == "sqlite"
    if is_sqlite:
        _write_ahead(parsed)
    engine = create_engine(
        parsed.set(drivername="sqlite") if is_sqlite else parsed,
        poolclass=NullPool,
        connect_args=connect_arguments(parsed, BUSY_TIMEOUT_S, statement_timeout_s=0),
        execution_options={BEGIN: "BEGIN IMMEDIATE"},
    )
    if is_sqlite:
        prepare_sqlite(engine)
    with translated(), engine.begin() as connection:
        if not is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        command.upgrade(configuration(connection), "head")


def configuration(connection: Connection) -> Config:
    """Alembic's configuration for its commands over an open connection."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def _write_ahead(url: URL) -> None:
    """Make a SQLite file, readable while it is written; it remembers that.

    Nobody else may use the file at that moment, and SQLite does not wait for them by itself.
    """
    path = Path(str(url.database))
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if time.monotonic() > deadline:
                raise CatalogueUnavailable(f"{path.name} cannot be used: {error}") from error
            time.sleep(0.05)
        finally:
            connection.close()
