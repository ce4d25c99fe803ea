"""Panoptes with its models in the type that the variable DTYPE names, instead of the one in configs/models.yaml."""

import os
from typing import Any
from unittest import mock

from ray.serve import Application

import serve_app.app
from configs.registry import Registry, load_registry

DTYPE = "PANOPTES_BENCHMARK_DTYPE"


def build(args: dict[str, Any]) -> Application:
    """The application of `serve_app.app.build`, its models in the type of `DTYPE` on a GPU."""
    registry = typed(load_registry(), os.environ[DTYPE])
    with mock.patch.object(serve_app.app, "load_registry", return_value=registry):
        return serve_app.app.build(args)


def typed(registry: Registry, dtype: str) -> Registry:
    """The registry with CLIP, tagger and captioner in this type on a GPU."""
    entries = {name: getattr(registry, name) for name in ("clip", "tagger", "captioner")}
    return registry.model_copy(
        update={
            name: entry.model_copy(update={"dtype": entry.dtype | {"cuda": dtype}}) for name, entry in entries.items()
        }
    )
