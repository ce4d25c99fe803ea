"""The one place where deployments are bound together: `serve run serve_config.yaml` calls `build`.

A deployment's module is imported when it is switched on: what is off needs neither its library nor its extra.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, cast

from ray.serve import Application

from configs import tracing
from configs.prompts import served_texts
from configs.registry import PretrainedEntry, Registry, load_registry
from configs.settings import Settings, SettingsError, load_settings
from deployments.runtime.weights import (
    ClipWeights,
    Weights,
    choose_clip,
    choose_file,
    choose_pretrained,
    deepface_home,
    torch_home,
)
from serve_app.clients.handles import Deployed
from serve_app.features.cataloguing import catalogue_config
from serve_app.ingress import Ingress

Bind = Callable[..., Deployed]


@dataclass(frozen=True)
class Part:
    """A deployment that can be switched on: the module it needs, the extra which brings that, and how it is bound.

    `bind` gets the settings and the registry, and where there is `asks`, a dict of those of these parts, all of which
    stand before it, that are switched on.
    """

    module: str
    extra: str
    bind: Bind
    asks: tuple[str, ...] = ()


def build(args: dict[str, Any]) -> Application:
    """Bind the application.

    Args:
        args: settings by their names in lower case, as in `configs/settings.py`; the environment is stronger.

    Raises:
        SettingsError: a setting is unknown or impossible, or needs an extra that is not installed.
    """
    settings, registry = load_settings(args), load_registry()
    tracing.check()
    deployed: dict[str, Deployed] = {}
    for name, part in PARTS.items():
        switch = f"{name}_enabled".lower()
        if not getattr(settings, switch):
            continue
        if find_spec(part.module) is None:
            raise SettingsError(
                f"Cannot start: {name} needs the extra {part.extra!r} (`uv pip install -e '.[{part.extra}]'` in the "
                f"project's folder); {switch.upper()}=false runs without."
            )
        asked = {other: deployed[other] for other in part.asks if other in deployed}
        deployed[name] = part.bind(settings, registry, *([asked] if part.asks else []))
    return Ingress.bind(settings, deployed)  # type: ignore[no-any-return,attr-defined]


def _clip(settings: Settings, registry: Registry) -> Deployed:
    from deployments.models.clip.deployment import Clip

    entry = registry.clip
    weights = choose_clip(entry, settings.clip_model_name, settings.weights)
    threads = entry.threads if settings.clip_threads is None else settings.clip_threads
    texts = served_texts(settings.prompt_set)
    return _bound(Clip, (weights,), weights, entry.dtype, threads, settings.clip_max_batch, texts)


def _blur(settings: Settings, registry: Registry) -> Deployed:
    from deployments.models.blur.deployment import Blur
    from deployments.models.blur.model import BLUR

    return _bound(Blur, (BLUR,), registry.blur.threads)


def _quality(settings: Settings, registry: Registry) -> Deployed:
    from deployments.models.quality.deployment import Quality

    entry, cache = registry.quality, torch_home() / "hub" / "pyiqa"
    weights = (
        choose_file("pyiqa_brisque", entry.brisque, cache, settings.weights),
        choose_file("pyiqa_nima_technical", entry.nima_technical, cache, settings.weights),
        choose_file("pyiqa_nima_aesthetic", entry.nima_aesthetic, cache, settings.weights),
    )
    threads = entry.threads if settings.quality_threads is None else settings.quality_threads
    return _bound(Quality, weights, weights, entry.dtype, threads, settings.quality_max_pixels)


def _emotion(settings: Settings, registry: Registry) -> Deployed:
    from deployments.models.emotion.deployment import Emotion
    from deployments.models.emotion.model import WEIGHTS_FOLDER

    entry = registry.emotion
    weights = choose_file("deepface", entry.network, deepface_home() / WEIGHTS_FOLDER, settings.weights)
    return _bound(
        Emotion, (weights,), weights, settings.deepface_detector, entry.threads, settings.emotion_max_side
    )  # fmt: skip


def _tagger(settings: Settings, registry: Registry) -> Deployed:
    from deployments.models.tagger.deployment import Tagger

    return _pretrained(Tagger, settings, registry.tagger)


def _captioner(settings: Settings, registry: Registry) -> Deployed:
    from deployments.models.captioner.deployment import Captioner

    return _pretrained(Captioner, settings, registry.captioner, settings.caption_max_tokens)


def _detector(settings: Settings, registry: Registry) -> Deployed:
    from deployments.models.detector.deployment import Detector

    return _pretrained(Detector, settings, registry.detector, settings.detector_max_tokens)


def _pretrained(deployment: Any, settings: Settings, entry: PretrainedEntry, *arguments: Any) -> Deployed:
    """A model of transformers, whose settings all begin with its name."""
    name = deployment.name.lower()
    weights = choose_pretrained(name, entry, getattr(settings, f"{name}_model_name"), settings.weights)
    chosen = getattr(settings, f"{name}_threads")
    threads = entry.threads if chosen is None else chosen
    most = getattr(settings, f"{name}_max_batch")
    return _bound(deployment, (weights,), weights, entry.dtype, threads, most, *arguments)


def _work(settings: Settings, registry: Registry) -> Deployed:
    from deployments.work.deployment import WORK, Work

    return _bound(Work, (WORK,))


def _video(settings: Settings, registry: Registry) -> Deployed:
    from deployments.video.deployment import VIDEO, Video

    entry = registry.video
    return _bound(Video, (VIDEO,), entry.threads, settings.max_video_seconds, entry.parallel)


def _clusterer(settings: Settings, registry: Registry) -> Deployed:
    from deployments.clustering.deployment import CLUSTERER, Clusterer

    return _bound(Clusterer, (CLUSTERER,), settings.max_cluster_embeddings, settings.clusterer_threads)


def _llm(settings: Settings, registry: Registry) -> Deployed:
    from deployments.models.llm.deployment import Llm
    from deployments.models.llm.engine import LlmConfig

    keys = {
        "anthropic": settings.anthropic_api_key.get_secret_value(),
        "openai": settings.openai_api_key.get_secret_value(),
        "gemini": settings.gemini_api_key.get_secret_value(),
    }
    config = LlmConfig(
        settings.llm_model, settings.llm_fallbacks, keys, settings.llm_base_url, settings.llm_timeout_s
    )  # fmt: skip
    weights = Weights("llm", "photo assessment by a vision language model", settings.llm_model, "provider")
    return _bound(Llm, (weights,), config)


def _cataloguer(settings: Settings, registry: Registry, asked: dict[str, Deployed]) -> Deployed:
    from deployments.catalogue.deployment import CATALOGUER, Cataloguer
    from deployments.catalogue.errors import StoreUnavailable
    from deployments.catalogue.preparing import CatalogueInputs
    from deployments.catalogue.sql.database import database_url
    from deployments.catalogue.store.opening import open_store
    from deployments.catalogue.worker import Pace

    config = catalogue_config(settings)
    try:
        database_url(config.database_url)
        with suppress(StoreUnavailable):  # one that is away may come back
            open_store(config.store_url)
    except ValueError as error:
        raise SettingsError(f"Cannot start: DATABASE_URL or STORE_URL: {error}") from None
    handles = {name: deployed.handle for name, deployed in asked.items()}
    clip = cast("ClipWeights", asked["Clip"].models[0]) if "Clip" in asked else None
    size = clip.image.size if clip else None
    wanted = CatalogueInputs(size, "Captioner" in asked, "Tagger" in asked, settings.exif_gps, settings.max_pixels)
    pace = Pace(settings.cataloguer_parallel, settings.lease_s, settings.cataloguer_poll_s)
    return _bound(Cataloguer, (CATALOGUER,), config, handles, clip, wanted, pace)


def _bound(deployment: Any, models: tuple[Weights, ...], *arguments: Any) -> Deployed:
    return Deployed(deployment.bind(*arguments), models)


# By their names in the Serve config; `<NAME>_ENABLED` switches each.
PARTS = {
    "Clip": Part("open_clip", "clip", _clip),
    "Blur": Part("cv2", "opencv", _blur),
    "Quality": Part("pyiqa", "quality", _quality),
    "Emotion": Part("deepface", "emotion", _emotion),
    "Tagger": Part("transformers", "transformers", _tagger),
    "Captioner": Part("transformers", "transformers", _captioner),
    "Detector": Part("transformers", "transformers", _detector),
    "Video": Part("av", "video", _video),
    "Clusterer": Part("numpy", "", _clusterer),
    "Llm": Part("litellm", "llm", _llm),
    "Work": Part("ray", "", _work),
    "Cataloguer": Part("sqlalchemy", "catalogue", _cataloguer, asks=("Clip", "Captioner", "Tagger")),
}
