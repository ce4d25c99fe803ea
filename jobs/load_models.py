"""Load every model that is switched on, one after the other, on the CPU: `python -m jobs.load_models`.

With WEIGHTS=hub that fills the caches that HF_HOME, TORCH_HOME and DEEPFACE_HOME name: in an image that is to hold its
weights, or on a volume before the first pod. It needs no Ray, and ends with 1 when a checkpoint is not to be had.
"""

import sys
from collections.abc import Callable

from configs.registry import PretrainedEntry, load_registry
from configs.settings import Settings, load_settings
from deployments.runtime.devices import select
from deployments.runtime.errors import WeightsNotFound
from deployments.runtime.weights import (
    PretrainedWeights,
    choose_clip,
    choose_file,
    choose_pretrained,
    deepface_home,
    torch_home,
)
from jobs.runtime.errors import command_line

REGISTRY = load_registry()


def load_clip(settings: Settings) -> None:
    from deployments.models.clip.model import ClipModel  # each model's libraries only where it is switched on

    ClipModel(choose_clip(REGISTRY.clip, settings.clip_model_name, settings.weights), select(REGISTRY.clip.dtype, 0, 0))


def load_quality(settings: Settings) -> None:
    from deployments.models.quality.model import QualityModel

    entry, cache = REGISTRY.quality, torch_home() / "hub" / "pyiqa"
    brisque = choose_file("pyiqa_brisque", entry.brisque, cache, settings.weights)
    technical = choose_file("pyiqa_nima_technical", entry.nima_technical, cache, settings.weights)
    aesthetic = choose_file("pyiqa_nima_aesthetic", entry.nima_aesthetic, cache, settings.weights)
    QualityModel(brisque, technical, aesthetic, select(entry.dtype, 0, 0), settings.quality_max_pixels)


def load_emotion(settings: Settings) -> None:
    from deployments.models.emotion.model import (
        WEIGHTS_FOLDER,
        EmotionModel,
    )

    entry = REGISTRY.emotion
    weights = choose_file("deepface", entry.network, deepface_home() / WEIGHTS_FOLDER, settings.weights)
    EmotionModel(weights, settings.deepface_detector, entry.threads, settings.emotion_max_side)


def load_tagger(settings: Settings) -> None:
    from deployments.models.tagger.model import TaggerModel

    TaggerModel(_pretrained("tagger", REGISTRY.tagger, settings), select(REGISTRY.tagger.dtype, 0, 0))


def load_captioner(settings: Settings) -> None:
    from deployments.models.captioner.model import CaptionerModel

    weights = _pretrained("captioner", REGISTRY.captioner, settings)
    CaptionerModel(weights, select(REGISTRY.captioner.dtype, 0, 0), settings.caption_max_tokens)


def load_detector(settings: Settings) -> None:
    from deployments.models.detector.model import DetectorModel

    weights = _pretrained("detector", REGISTRY.detector, settings)
    DetectorModel(weights, select(REGISTRY.detector.dtype, 0, 0), settings.detector_max_tokens)


def _pretrained(name: str, entry: PretrainedEntry, settings: Settings) -> PretrainedWeights:
    return choose_pretrained(name, entry, getattr(settings, f"{name}_model_name"), settings.weights)


# By their switches, `<NAME>_ENABLED`.
LOADERS: dict[str, Callable[[Settings], None]] = {
    "clip": load_clip,
    "quality": load_quality,
    "emotion": load_emotion,
    "tagger": load_tagger,
    "captioner": load_captioner,
    "detector": load_detector,
}


def run() -> int:
    """The exit status: 1 when weights are missing. SettingsError when the settings cannot work."""
    settings = load_settings()
    for name, load in LOADERS.items():
        if not getattr(settings, f"{name}_enabled"):
            continue
        try:
            load(settings)
        except WeightsNotFound as error:
            print(f"{name}: {error}", file=sys.stderr)
            return 1
        print(f"{name} is loaded", flush=True)
    return 0


if __name__ == "__main__":
    command_line(run)
