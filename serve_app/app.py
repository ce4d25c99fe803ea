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
from configs.consistency import check_bound
from configs.prompts import served_texts
from configs.registry import PretrainedEntry, read_entry
from configs.settings import PretrainedGroup, Settings, SettingsError, load_settings
from deployments.models.blur.settings import BlurEntry
from deployments.models.captioner.settings import CaptionerSettings
from deployments.models.clip.settings import ClipEntry, ClipSettings
from deployments.models.detector.settings import DetectorSettings
from deployments.models.emotion.settings import EmotionEntry, EmotionSettings
from deployments.models.llm.settings import LlmSettings
from deployments.models.quality.settings import QualityEntry, QualitySettings
from deployments.models.tagger.settings import TaggerSettings
from deployments.runtime.weights import (
    ClipWeights,
    Weights,
    choose_clip,
    choose_file,
    choose_pretrained,
    deepface_home,
    torch_home,
)
from deployments.video.entry import VideoEntry
from serve_app.clients.handles import Deployed
from serve_app.features.cataloguing import catalogue_config
from serve_app.ingress import Ingress
from serve_app.running import request_timeout_s

Bind = Callable[..., Deployed]


@dataclass(frozen=True)
class Part:
    """A deployment that can be switched on: the module it needs, the extra which brings that, and how it is bound.

    `bind` gets the settings, and where there is `asks`, a dict of those of these parts, all of which stand before it,
    that are switched on.
    """

    module: str
    extra: str
    bind: Bind
    asks: tuple[str, ...] = ()


def build(args: dict[str, Any]) -> Application:
    """Bind the application.

    Args:
        args: settings by the names of their variables in lower case; the environment is stronger.

    Raises:
        SettingsError: a setting is unknown or impossible, contradicts the running Serve, or needs an extra that is not
            installed.
    """
    settings = load_settings(args)
    tracing.check()
    check_bound(settings, request_timeout_s())
    deployed: dict[str, Deployed] = {}
    for name, part in PARTS.items():
        switch = f"{name}_enabled".lower()
        if not settings.is_enabled(name):
            continue
        if find_spec(part.module) is None:
            raise SettingsError(
                f"Cannot start: {name} needs the extra {part.extra!r} (`uv pip install -e '.[{part.extra}]'` in the "
                f"project's folder); {switch.upper()}=false runs without."
            )
        asked = {other: deployed[other] for other in part.asks if other in deployed}
        deployed[name] = part.bind(settings, *([asked] if part.asks else []))
    return Ingress.bind(settings, deployed)  # type: ignore[no-any-return,attr-defined]


def _clip(settings: Settings) -> Deployed:
    from deployments.models.clip.deployment import Clip

    entry, chosen = read_entry("clip", ClipEntry), settings.of(ClipSettings)
    weights = choose_clip(entry, chosen.model_name, settings.service.weights)
    threads = entry.threads if chosen.threads is None else chosen.threads
    texts = served_texts(chosen.prompt_set)
    return _bound(Clip, (weights,), weights, entry.dtype, threads, chosen.max_batch, texts)


def _blur(settings: Settings) -> Deployed:
    from deployments.models.blur.deployment import Blur
    from deployments.models.blur.model import BLUR

    return _bound(Blur, (BLUR,), read_entry("blur", BlurEntry).threads)


def _quality(settings: Settings) -> Deployed:
    from deployments.models.quality.deployment import Quality

    entry, cache = read_entry("quality", QualityEntry), torch_home() / "hub" / "pyiqa"
    weights = (
        choose_file("pyiqa_brisque", entry.brisque, cache, settings.service.weights),
        choose_file("pyiqa_nima_technical", entry.nima_technical, cache, settings.service.weights),
        choose_file("pyiqa_nima_aesthetic", entry.nima_aesthetic, cache, settings.service.weights),
    )
    chosen = settings.of(QualitySettings)
    threads = entry.threads if chosen.threads is None else chosen.threads
    return _bound(Quality, weights, weights, entry.dtype, threads, chosen.max_pixels)


def _emotion(settings: Settings) -> Deployed:
    from deployments.models.emotion.deployment import Emotion
    from deployments.models.emotion.model import WEIGHTS_FOLDER

    entry, chosen = read_entry("emotion", EmotionEntry), settings.of(EmotionSettings)
    weights = choose_file("deepface", entry.network, deepface_home() / WEIGHTS_FOLDER, settings.service.weights)
    return _bound(Emotion, (weights,), weights, chosen.detector, entry.threads, chosen.max_side)


def _tagger(settings: Settings) -> Deployed:
    from deployments.models.tagger.deployment import Tagger

    return _pretrained(Tagger, settings, settings.of(TaggerSettings))


def _captioner(settings: Settings) -> Deployed:
    from deployments.models.captioner.deployment import Captioner

    chosen = settings.of(CaptionerSettings)
    return _pretrained(Captioner, settings, chosen, chosen.max_tokens)


def _detector(settings: Settings) -> Deployed:
    from deployments.models.detector.deployment import Detector

    chosen = settings.of(DetectorSettings)
    return _pretrained(Detector, settings, chosen, chosen.max_tokens)


def _pretrained(deployment: Any, settings: Settings, chosen: PretrainedGroup, *arguments: Any) -> Deployed:
    """A model of transformers, and what is chosen for it."""
    entry = read_entry(chosen.name, PretrainedEntry)
    weights = choose_pretrained(chosen.name, entry, chosen.model_name, settings.service.weights)
    threads = entry.threads if chosen.threads is None else chosen.threads
    return _bound(deployment, (weights,), weights, entry.dtype, threads, chosen.max_batch, *arguments)


def _work(settings: Settings) -> Deployed:
    from deployments.work.deployment import WORK, Work

    return _bound(Work, (WORK,))


def _video(settings: Settings) -> Deployed:
    from deployments.video.deployment import VIDEO, Video

    entry = read_entry("video", VideoEntry)
    return _bound(Video, (VIDEO,), entry.threads, settings.video.max_seconds, entry.parallel)


def _clusterer(settings: Settings) -> Deployed:
    from deployments.clustering.deployment import CLUSTERER, Clusterer

    return _bound(Clusterer, (CLUSTERER,), settings.clustering.max_embeddings, settings.clustering.threads)


def _llm(settings: Settings) -> Deployed:
    from deployments.models.llm.deployment import Llm, LlmConfig

    chosen = settings.of(LlmSettings)
    keys = {
        "anthropic": chosen.anthropic_api_key.get_secret_value(),
        "openai": chosen.openai_api_key.get_secret_value(),
        "gemini": chosen.gemini_api_key.get_secret_value(),
    }
    config = LlmConfig(chosen.model, chosen.fallbacks, keys, chosen.base_url, chosen.timeout_s)
    weights = Weights("llm", "photo assessment by a vision language model", chosen.model, "provider")
    return _bound(Llm, (weights,), config)


def _cataloguer(settings: Settings, asked: dict[str, Deployed]) -> Deployed:
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
    chosen, most = settings.catalogue, settings.limits.max_pixels
    wanted = CatalogueInputs(size, "Captioner" in asked, "Tagger" in asked, chosen.exif_gps, most)
    pace = Pace(chosen.parallel, chosen.lease_s, chosen.poll_s)
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
