"""The one place where deployments are bound together: `serve run serve_config.yaml` calls `build`."""

from importlib.util import find_spec
from typing import Any

from ray.serve import Application

from configs.prompts import served_texts
from configs.registry import load_registry
from configs.settings import SettingsError, load_settings
from deployments.clip import Clip
from deployments.weights import choose_clip
from serve_app.ingress import Ingress


def build(args: dict[str, Any]) -> Application:
    """Bind the application.

    Args:
        args: settings by their names in lower case, as in `configs/settings.py`; the environment is stronger.

    Raises:
        SettingsError: a setting is unknown or impossible, or needs an extra that is not installed.
    """
    settings = load_settings(args)
    if not settings.clip_enabled:
        return Ingress.bind(settings, None, None)  # type: ignore[no-any-return,attr-defined]
    if find_spec("open_clip") is None:
        raise SettingsError("Cannot start: CLIP needs `pip install 'panoptes[clip]'`; CLIP_ENABLED=false runs without.")
    entry = load_registry().clip
    weights = choose_clip(entry, settings.clip_model_name, settings.weights)
    threads = entry.threads if settings.clip_threads is None else settings.clip_threads
    texts = served_texts(settings.prompt_set)
    clip = Clip.bind(weights, entry.dtype, threads, settings.clip_max_batch, texts)  # type: ignore[attr-defined]
    return Ingress.bind(settings, clip, weights)  # type: ignore[no-any-return,attr-defined]
