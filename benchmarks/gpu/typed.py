"""Panoptes with its models in the type that the variable DTYPE names, instead of the one in configs/models.yaml."""

import os
from typing import Any
from unittest import mock

from ray.serve import Application

import serve_app.app
from configs import registry

DTYPE = "PANOPTES_BENCHMARK_DTYPE"
TYPED = ("clip", "tagger", "captioner")


def build(args: dict[str, Any]) -> Application:
    """The application of `serve_app.app.build`, its models in the type of `DTYPE` on a GPU."""
    entries = typed(registry.read_entries(), os.environ[DTYPE])
    with mock.patch.object(registry, "read_entries", return_value=entries):
        return serve_app.app.build(args)


def typed(entries: dict[str, Any], dtype: str) -> dict[str, Any]:
    """models.yaml with CLIP, tagger and captioner in this type on a GPU."""
    changed = {name: entries[name] | {"dtype": entries[name]["dtype"] | {"cuda": dtype}} for name in TYPED}
    return entries | changed
