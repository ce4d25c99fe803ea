"""What is installed and locked is what the project means: one OpenCV, exact pins, no index in the lock."""

import re
from importlib.metadata import distributions, requires
from pathlib import Path

import cv2.data
import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

from configs.project import PROJECT

LOCK = (PROJECT / "requirements.lock").read_text()
LINES = [Requirement(line) for line in LOCK.splitlines() if line and not line.startswith("#")]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_exactly_one_opencv_is_installed() -> None:
    installed = [normal(dist.name) for dist in distributions()]
    assert [name for name in installed if name.startswith("opencv")] == ["opencv-python-headless"]
    owners = {normal(dist.name) for dist in distributions() for file in dist.files or [] if file.parts[0] == "cv2"}
    assert owners == {"opencv-python-headless"}
    assert cv2.__version__.startswith("4.14.")
    assert Path(cv2.data.haarcascades, "haarcascade_frontalface_default.xml").is_file()


def pins() -> dict[str, str]:
    """What the lock installs on this machine, by name."""
    here = [line for line in LINES if line.marker is None or line.marker.evaluate()]
    return {normal(line.name): next(iter(line.specifier)).version for line in here}


def test_the_lock_holds_one_opencv_and_pins_everything() -> None:
    assert [line.name for line in LINES if "opencv" in line.name] == ["opencv-python-headless"]
    assert all([pin.operator for pin in line.specifier] == ["=="] for line in LINES)
    assert "://" not in LOCK
    assert "--index" not in LOCK


def test_the_lock_fits_the_ranges_of_the_project() -> None:
    for line in requires("panoptes") or []:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins()[normal(requirement.name)]), line


def test_what_is_installed_is_what_is_locked() -> None:
    installed = {normal(dist.name): dist.version for dist in distributions()}
    assert {name: installed.get(name) for name in pins()} == pins()


@pytest.mark.parametrize("builder", [WheelBuilder, SdistBuilder])
def test_only_an_editable_checkout_can_be_installed(builder: type[WheelBuilder | SdistBuilder], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="installed only from its checkout"):
        next(builder(str(PROJECT)).build(directory=str(tmp_path), versions=["standard"]))
    assert list(tmp_path.iterdir()) == []


def test_an_editable_checkout_is_not_refused(tmp_path: Path) -> None:
    WheelBuilder(str(PROJECT)).get_build_hooks(str(tmp_path))["custom"].initialize("editable", {})
