"""Migrates a database to the current tables. Several processes may do so at once."""

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
from deployments.storage.files import PRIVATE_FILE, make_folder
from deployments.wire.foreign import foreign

SCRIPTS = Path(__file__).parent / "migrations"
# The key of this application's advisory lock in PostgreSQL, 64 bits.
MIGRATION_LOCK = 0x70616E6F70746573


def migrate(url: str) -> None:
    """Create or upgrade the catalogue's tables in one transaction.

    Processes that migrate at the same time wait for each other. A SQLite file and its folder are created if missing.

    Raises:
        ValueError: `database_url` does not accept the URL.
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
    """The configuration with which Alembic's commands use an open connection."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return config


def _write_ahead(url: URL) -> None:
    """Create a SQLite file in WAL mode, so that it can be read while it is written. The file keeps the mode.

    Only its owner may read it: SQLite gives the log and the index beside it (`-wal`, `-shm`) the same permissions.
    Changing the mode needs exclusive access, for which SQLite itself does not wait: hence the loop.
    """
    path = Path(str(url.database))
    make_folder(path.parent, private=True)
    path.touch(PRIVATE_FILE)
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if time.monotonic() > deadline:
                raise CatalogueUnavailable(f"{path.name} cannot be used: {foreign(error)}") from error
            time.sleep(0.05)
        finally:
            connection.close()
