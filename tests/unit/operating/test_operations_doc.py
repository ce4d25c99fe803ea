"""The proxy that docs/operations.md puts in front is one that nginx accepts."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from configs.project import PROJECT
from configs.settings import load_settings


def snippet() -> str:
    (found,) = re.findall(r"```nginx\n(.*?)```", (PROJECT / "docs" / "operations.md").read_text(), re.DOTALL)
    return str(found)


def test_its_limits_are_those_of_the_service() -> None:
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", snippet())
    assert int(megabytes) * 1024**2 > load_settings({}).limits.max_request_bytes


def test_nginx_accepts_it(tmp_path: Path) -> None:
    nginx = shutil.which("nginx")
    if nginx is None:
        pytest.skip("The snippet is NOT checked: there is no nginx.")
    # Else nginx keeps these in folders of the system.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {tmp_path}/{kind};\n" for kind in kinds)
    site = snippet().replace("listen 80", "listen 8080")
    config = tmp_path / "nginx.conf"
    config.write_text(f"pid {tmp_path}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{folders}{site}}}\n")
    checked = subprocess.run(
        [nginx, "-t", "-p", str(tmp_path), "-c", str(config)], check=False, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stderr
