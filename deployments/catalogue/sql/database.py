"""The database, SQLite or PostgreSQL, and the translation of its drivers' errors."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from deployments.catalogue.errors import CatalogueUnavailable, StoreFull

BUSY_TIMEOUT_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 5
STATEMENT_TIMEOUT_S: Final = 30
UNANSWERED_S: Final = 30
POOL_SIZE: Final = 10
# https://www.postgresql.org/docs/current/errcodes-appendix.html
DISK_FULL, READ_ONLY = "53100", "25006"
BEGIN: Final = "sqlite_begin"


def database_url(url: str) -> URL:
    """Parse a URL and set the driver that is used here.

    Accepts `sqlite:///relative`, `sqlite:////absolute`, `postgresql://…` and `postgres://…`, with or without a driver.

    Raises:
        ValueError: it is not a URL of a database that can hold a catalogue.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ValueError("not a database URL: write sqlite:///data/catalogue.db or postgresql://…") from None
    kind = parsed.drivername.partition("+")[0]
    if kind == "sqlite":
        if parsed.database in {None, "", ":memory:"}:
            raise ValueError("a catalogue needs a file, sqlite:///data/catalogue.db: nothing in memory outlives a kill")
        return parsed.set(drivername="sqlite+aiosqlite")
    if kind in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    raise ValueError(f"a catalogue is kept in SQLite or PostgreSQL, not in {kind}")


class Database:
    """The connections of one process to a database that `migrate` has brought up to date."""

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        """Prepare the connections without connecting.

        Args:
            url: a URL that `database_url` accepts.
            pool_size: how many connections are kept; up to half as many more may be opened for a while.
            busy_timeout_s: how long to wait for a connection, and on SQLite for the transaction of another process.
        """
        parsed = database_url(url)
        self._engine = create_async_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=pool_size // 2,
            pool_timeout=busy_timeout_s,
            pool_pre_ping=True,  # replaces a connection that a restarted server has closed before it is used
            connect_args=connect_arguments(parsed, busy_timeout_s, STATEMENT_TIMEOUT_S),
        )
        self.is_sqlite: Final = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            prepare_sqlite(self._engine.sync_engine)
        self._writer = self._engine.execution_options(**{BEGIN: "BEGIN IMMEDIATE"})
        # SQLite allows one writer, and polls with sleeps while another writes. In this process, writers queue instead.
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A transaction that only reads.

        Raises:
            CatalogueUnavailable: the database does not answer.
        """
        with translated():
            async with AsyncSession(self._engine) as session:
                yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A transaction that is committed durably at the end.

        Raises:
            CatalogueUnavailable: the database does not answer.
            StoreFull: the database has no room.
        """
        async with AsyncExitStack() as stack:
            if self.is_sqlite:
                await stack.enter_async_context(self._turn)
            with translated():
                async with AsyncSession(self._writer, expire_on_commit=False) as session, session.begin():
                    yield session

    def insert(self, table: type[Any]) -> "postgresql.Insert | sqlite.Insert":
        """An INSERT of the database's dialect, which supports ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


def connect_arguments(url: URL, busy_timeout_s: float, statement_timeout_s: int) -> Mapping[str, Any]:
    """The arguments for connecting, with timeouts so that a dead host or a lock does not block callers forever.

    A `statement_timeout_s` of 0 means no timeout.
    """
    if url.get_backend_name() == "sqlite":
        return {"timeout": busy_timeout_s}
    return {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "tcp_user_timeout": UNANSWERED_S * 1000,
        "options": f"-c statement_timeout={statement_timeout_s}s",
    }


def prepare_sqlite(engine: Engine) -> None:
    """Configure all connections of an engine, and let SQLAlchemy control how transactions begin."""

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # by default, the driver begins a transaction only before the first write
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        # FULL flushes the log to disk at each commit, so that committed uploads survive a power failure. NORMAL would
        # survive only a killed process.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that starts with a read cannot wait for the write lock later, so writers take it at the start.
        connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN"))


@contextmanager
def translated() -> Iterator[None]:
    """Translate drivers' errors: CatalogueUnavailable if the database does not answer, StoreFull if it is full."""
    try:
        yield
    except DBAPIError as error:
        if _is_full(error):
            raise StoreFull("The database has no room: free some space and try again.") from error
        if _is_away(error):
            raise CatalogueUnavailable("The catalogue's database does not answer: try again later.") from error
        raise
    except PoolTimeout as error:
        raise CatalogueUnavailable("The catalogue's database is busy: try again later.") from error


def _is_full(error: DBAPIError) -> bool:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return _code(cause) == sqlite3.SQLITE_FULL
    return getattr(cause, "sqlstate", None) == DISK_FULL


def _is_away(error: DBAPIError) -> bool:
    cause = error.orig
    if isinstance(cause, sqlite3.Error):  # SQLITE_ERROR means a wrong statement
        return isinstance(cause, sqlite3.OperationalError) and _code(cause) != sqlite3.SQLITE_ERROR
    return (
        isinstance(error, OperationalError)
        or error.connection_invalidated
        or getattr(cause, "sqlstate", None) == READ_ONLY
    )


def _code(error: sqlite3.Error) -> int:
    """The primary result code: the lower byte of the extended code."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF
