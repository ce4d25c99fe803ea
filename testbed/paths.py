"""Where pictures lie that the project does not hold itself: those beside the checkout, and scikit-learn's samples."""

import os
from importlib.util import find_spec
from pathlib import Path

from configs.project import PROJECT

# The folder beside the checkout, or another one by this variable; its files are read and never copied
SHARED = Path(os.environ.get("PANOPTES_SHARED", PROJECT.parent / "shared"))


def _samples() -> Path:
    spec = find_spec("sklearn")  # its photos are files of the wheel, so it need not be imported
    if spec is None or spec.origin is None:
        raise RuntimeError("the sample photos come with scikit-learn: run `make setup`")
    return Path(spec.origin).parent / "datasets" / "images"


SAMPLES = _samples()


def shared(name: str) -> Path:
    """A file of SHARED; without it the test that asks for it is skipped, with the reason."""
    import pytest

    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path.name} is not here: set PANOPTES_SHARED to the folder that holds {name}")
    return path
