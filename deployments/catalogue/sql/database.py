"""The database by its URL, SQLite or PostgreSQL, with one error for one that is away."""

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
    """The URL with the driver that is used here; ValueError for one that cannot hold a catalogue.

    `sqlite:///relative`, `sqlite:////absolute`, `postgresql://…` and `postgres://…` are understood, with or without a
    driver.
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
        """Nothing is connected yet.

        Args:
            url: one that `database_url` takes.
            pool_size: most connections, and half as many again for a moment.
            busy_timeout_s: how long to wait for a connection, and on SQLite for another process's transaction.
        """
        parsed = database_url(url)
        self._engine = create_async_engine(
            parsed,
            pool_size=pool_size,
            max_overflow=pool_size // 2,
            pool_timeout=busy_timeout_s,
            pool_pre_ping=True,  # a connection that a restarted server has closed is replaced before it is used
            connect_args=connect_arguments(parsed, busy_timeout_s, STATEMENT_TIMEOUT_S),
        )
        self.is_sqlite: Final = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            prepare_sqlite(self._engine.sync_engine)
        self._writer = self._engine.execution_options(**{BEGIN: "BEGIN IMMEDIATE"})
        # SQLite has one writer, and waits for another by sleeping: within the process they queue instead.
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A transaction that only reads; CatalogueUnavailable when the database is away."""
        with translated():
            async with AsyncSession(self._engine) as session:
                yield session

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        """A transaction that is committed at the end, and on disk then; as `reading`, and StoreFull."""
        async with AsyncExitStack() as stack:
            if self.is_sqlite:
                await stack.enter_async_context(self._turn)
            with translated():
                async with AsyncSession(self._writer, expire_on_commit=False) as session, session.begin():
                    yield session

    def insert(self, table: type[Any]) -> "postgresql.Insert | sqlite.Insert":
        """An INSERT that can say ON CONFLICT."""
        return sqlite.insert(table) if self.is_sqlite else postgresql.insert(table)

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


def connect_arguments(url: URL, busy_timeout_s: float, statement_timeout_s: int) -> Mapping[str, Any]:
    """What the driver is connected with, so that neither a dead host nor a lock holds a caller for ever.

    A `statement_timeout_s` of 0 is none.
    """
    if url.get_backend_name() == "sqlite":
        return {"timeout": busy_timeout_s}
    return {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "tcp_user_timeout": UNANSWERED_S * 1000,
        "options": f"-c statement_timeout={statement_timeout_s}s",
    }


def prepare_sqlite(engine: Engine) -> None:
    """Give every connection its settings, and its transactions a beginning that SQLAlchemy decides."""

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver would begin only before the first write
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        # An answered upload outlives a killed process with NORMAL too, whose commits are with the kernel; FULL also
        # brings the log to the disk at each commit, so that it outlives the machine's power.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A transaction that reads first and writes then cannot wait for its turn: writers take it at once.
        connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN"))


@contextmanager
def translated() -> Iterator[None]:
    """CatalogueUnavailable or StoreFull for what a database that is away or full makes its driver raise."""
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
    if isinstance(cause, sqlite3.Error):  # SQLITE_ERROR is a statement that is wrong
        return isinstance(cause, sqlite3.OperationalError) and _code(cause) != sqlite3.SQLITE_ERROR
    return (
        isinstance(error, OperationalError)
        or error.connection_invalidated
        or getattr(cause, "sqlstate", None) == READ_ONLY
    )


def _code(error: sqlite3.Error) -> int:
    """The primary code: the lower byte of the extended one."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF
