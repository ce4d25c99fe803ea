"""`python -m serve_app CONFIG`: run a Serve config on this machine, for this machine and this user alone.

It is `serve run CONFIG` where

- Ray listens on loopback. On Linux, Ray otherwise takes an address that other machines can reach for a cluster, which
  can have further machines. Here it is started as it starts on macOS and Windows, for one machine.
- what is written, also Ray's logs, can be read by its owner alone.
- the ports that are open are printed when the application is ready.

Where RAY_ADDRESS names a running cluster, the application runs there, and Ray listens as that cluster was started.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType

import httpx
import yaml

from configs.project import LOOPBACK_ONLY
from serve_app.listening import family, is_everywhere, listeners, table

HOOK = "deployments.machine.loopback.bind"
PRIVATE = 0o077
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REPORT_AFTER_S = 300.0
RAY_TOKEN = Path("~/.ray/auth_token")


def main() -> int:
    """Run until it ends or is asked to end by a signal; returns the exit code of `serve run`."""
    parser = argparse.ArgumentParser(prog="python -m serve_app", description="Run a Serve config on this machine.")
    parser.add_argument("config", type=Path, help="a Serve config, as `python -m configs --write` writes it")
    config: Path = parser.parse_args().config
    if not config.is_file():
        parser.error(f"there is no file {config}: `python -m configs --write {config}` writes one")
    url = health_url(config)
    os.umask(PRIVATE)
    _keep_token()
    # In a session of its own it gets a terminal's Ctrl-C once, from here.
    process = subprocess.Popen(command(config), env=environment(), start_new_session=True)

    def stop(number: int, _frame: FrameType | None) -> None:
        process.send_signal(signal.SIGTERM if number == signal.SIGHUP else number)

    for number in STOPPING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks for
            signal.signal(number, stop)
    threading.Thread(target=_report, args=(process, url), daemon=True).start()
    return process.wait()


def command(config: Path) -> list[str]:
    """How Serve is started; each of Ray's workers keeps its servers on loopback where its node is."""
    serve = str(Path(sys.executable).parent / "serve")
    return [serve, "run", "--runtime-env-json", json.dumps({"worker_process_setup_hook": HOOK}), str(config)]


def environment() -> dict[str, str]:
    """This process's environment, in which Ray starts for this machine alone; a value that is set is kept."""
    return {LOOPBACK_ONLY: "0"} | os.environ


def health_url(config: Path) -> str:
    """Where the application of a Serve config says that it is ready."""
    options = (yaml.safe_load(config.read_text(encoding="utf-8")) or {}).get("http_options") or {}
    host = options.get("host") or "::"  # Serve's default is every interface
    url = httpx.URL(scheme="http", host=host, port=options.get("port", 8000), path="/readyz")
    return str(url.copy_with(host="localhost") if is_everywhere(host) else url)


def _report(process: "subprocess.Popen[bytes]", url: str) -> None:
    """Print the table of ports as soon as the application is ready, or after REPORT_AFTER_S at the latest."""
    latest = time.monotonic() + REPORT_AFTER_S
    while process.poll() is None:
        time.sleep(0.5)
        if _answers(url) or time.monotonic() > latest:
            print(table(listeners(family(process.pid))), file=sys.stderr, flush=True)
            return


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10, trust_env=False).is_success
    except httpx.TransportError:
        return False


def _keep_token() -> None:
    """Take from others the right to read Ray's token, with which one can run code: Ray writes it as the umask says."""
    path = RAY_TOKEN.expanduser()
    if path.is_file() and path.stat().st_uid == os.getuid():
        path.chmod(0o600)


if __name__ == "__main__":
    sys.exit(main())
