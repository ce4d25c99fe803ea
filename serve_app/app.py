"""The one place where deployments are bound together: `serve run serve_config.yaml` calls `build`."""

import logging
from typing import Any

from ray.serve import Application

from configs.registry import load_registry
from configs.settings import load_settings
from deployments.clip import Clip
from deployments.weights import choose_clip
from serve_app.ingress import Ingress

logger = logging.getLogger("ray.serve.panoptes.app")


def build(args: dict[str, Any]) -> Application:
    """Bind the application.

    Args:
        args: settings by their names in lower case, as in `configs/settings.py`; the environment is stronger.

    Raises:
        SettingsError: a setting is unknown or impossible; the message names it.
    """
    settings = load_settings(args)
    if not settings.clip_enabled:
        return Ingress.bind(settings, None, None)  # type: ignore[no-any-return,attr-defined]
    entry = load_registry().clip
    weights = choose_clip(entry, settings.clip_model_name, settings.weights)
    clip = Clip.bind(weights, entry.dtype, settings.clip_threads, settings.clip_max_batch)  # type: ignore[attr-defined]
    return Ingress.bind(settings, clip, weights)  # type: ignore[no-any-return,attr-defined]
