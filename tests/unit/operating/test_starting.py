"""How `python -m serve_app` starts Serve: for this machine and this user, and it ends as Serve ends."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from configs.project import LOOPBACK_ONLY, PROJECT
from serve_app.__main__ import command, environment, health_url

# What runs instead of `serve run`: it says how it was started, and ends with 7 when it is asked to end.
CHILD = f"""
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
umask = os.umask(0)
print(oct(umask), os.environ["{LOOPBACK_ONLY}"], os.getsid(0) == os.getpid(), flush=True)
time.sleep(60)
"""
LAUNCHER = f"""
import sys
import serve_app.__main__ as launcher
launcher.command = lambda config: [sys.executable, "-c", {CHILD!r}]
sys.exit(launcher.main())
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "serve_config.yaml"
    path.write_text("http_options: {host: 127.0.0.1, port: 9}")
    return path


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGHUP])
def test_serve_is_private_and_ends_when_it_is_asked_to(tmp_path: Path, config: Path, asked: signal.Signals) -> None:
    token = tmp_path / ".ray" / "auth_token"
    token.parent.mkdir()
    token.write_text("a secret")
    token.chmod(0o644)
    with subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(config)],
        cwd=PROJECT, env=os.environ | {"HOME": str(tmp_path)}, stdout=subprocess.PIPE, text=True,
    ) as started:  # fmt: skip
        assert started.stdout is not None
        assert started.stdout.readline().split() == ["0o77", "0", "True"]
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        started.send_signal(asked)
        assert started.wait(20) == 7


def test_each_worker_keeps_its_servers_on_loopback(config: Path) -> None:
    serve, run, option, hook, path = command(config)
    assert (Path(serve).name, run, option, path) == ("serve", "run", "--runtime-env-json", str(config))
    assert json.loads(hook) == {"worker_process_setup_hook": "deployments.machine.loopback.bind"}


def test_what_the_operator_sets_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LOOPBACK_ONLY, raising=False)
    assert environment()[LOOPBACK_ONLY] == "0"
    monkeypatch.setenv(LOOPBACK_ONLY, "1")
    assert environment()[LOOPBACK_ONLY] == "1"


@pytest.mark.parametrize(
    ("host", "asked"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "localhost"), ("'::'", "localhost"), ("'::1'", "[::1]")]
)
def test_readiness_is_asked_where_http_listens(config: Path, host: str, asked: str) -> None:
    config.write_text(f"http_options: {{host: {host}, port: 8123}}")
    assert health_url(config) == f"http://{asked}:8123/readyz"


def test_readiness_is_asked_at_serve_s_defaults(config: Path) -> None:
    config.write_text("applications: []")
    assert health_url(config) == "http://localhost:8000/readyz"


def test_a_config_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    started = subprocess.run(
        [sys.executable, "-m", "serve_app", str(missing)], cwd=PROJECT, check=False, capture_output=True, text=True
    )
    assert started.returncode == 2
    assert started.stderr.splitlines()[-1].endswith(
        f"there is no file {missing}: `python -m configs --write {missing}` writes one"
    )
