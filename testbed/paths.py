"""Where the tests find pictures: those beside the project, which are read and never copied, and scikit-learn's own."""

import os
from pathlib import Path

import pytest
from sklearn import datasets

from configs.project import PROJECT

SHARED = Path(os.environ.get("PANOPTES_SHARED", PROJECT.parent / "shared"))
SAMPLES = Path(datasets.__file__).parent / "images"


def shared(name: str) -> Path:
    """A file beside the project; skips the test, saying so, when it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path.name} is not here: set PANOPTES_SHARED to the folder that holds {name}")
    return path
