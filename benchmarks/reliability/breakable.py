"""Panoptes with a CLIP that can be broken while it runs, as a GPU breaks: every pass then fails, also its test pass."""

import os
from pathlib import Path
from typing import Any
from unittest import mock

from ray import serve
from ray.serve import Application as BoundApplication

import deployments.models.clip.deployment
import serve_app.app
from deployments.runtime.errors import ModelFailed
from testbed.application import Application
from testbed.replicas import replica_class

# Names a file; once the file holds a pid, the replica with that pid is broken
BROKEN = "PANOPTES_BENCHMARK_BROKEN"


class BreakableApplication(Application):
    """An Application whose CLIP is Breakable; its environment must set BROKEN."""

    def configured(self) -> dict[str, Any]:
        """The Serve config that is run."""
        config = super().configured()
        config["applications"][0]["import_path"] = f"{__name__}:build"
        return config


def build(args: dict[str, Any]) -> BoundApplication:
    """The application of `serve_app.app.build` with a CLIP that can be broken."""
    with mock.patch.object(deployments.models.clip.deployment, "Clip", serve.deployment(name="Clip")(Breakable)):
        return serve_app.app.build(args)


class Breakable(replica_class(deployments.models.clip.deployment.Clip)):  # type: ignore[misc]
    """CLIP, whose device fails once its pid stands in the file that BROKEN names."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        forward = self._model._forward

        def breakable(encode: Any) -> Any:
            _fail_if_broken()
            return forward(encode)

        self._model._forward = breakable


def _fail_if_broken() -> None:
    broken = Path(os.environ[BROKEN])
    if broken.exists() and broken.read_text() == str(os.getpid()):
        raise ModelFailed("broken for a benchmark")
