"""Load every model that is switched on, one after the other, on the CPU: `python -m jobs.load_models`.

With WEIGHTS=hub that fills the caches that HF_HOME, TORCH_HOME and DEEPFACE_HOME name: in an image that is to hold its
weights, or on a volume before the first pod. It needs no Ray, and ends with 1 when a checkpoint is not to be had.
"""

import sys
from collections.abc import Callable

from configs.registry import PretrainedEntry, read_entry
from configs.settings import PretrainedGroup, Settings, load_settings
from deployments.models.captioner.settings import CaptionerSettings
from deployments.models.clip.settings import ClipEntry, ClipSettings
from deployments.models.detector.settings import DetectorSettings
from deployments.models.emotion.settings import EmotionEntry, EmotionSettings
from deployments.models.quality.settings import QualityEntry, QualitySettings
from deployments.models.tagger.settings import TaggerSettings
from deployments.runtime.devices import Device, select
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


def load_clip(settings: Settings) -> None:
    from deployments.models.clip.model import ClipModel  # each model's libraries only where it is switched on

    entry = read_entry("clip", ClipEntry)
    weights = choose_clip(entry, settings.of(ClipSettings).model_name, settings.service.weights)
    ClipModel(weights, select(entry.dtype, 0, 0))


def load_quality(settings: Settings) -> None:
    from deployments.models.quality.model import QualityModel

    entry, cache = read_entry("quality", QualityEntry), torch_home() / "hub" / "pyiqa"
    brisque = choose_file("pyiqa_brisque", entry.brisque, cache, settings.service.weights)
    technical = choose_file("pyiqa_nima_technical", entry.nima_technical, cache, settings.service.weights)
    aesthetic = choose_file("pyiqa_nima_aesthetic", entry.nima_aesthetic, cache, settings.service.weights)
    QualityModel(brisque, technical, aesthetic, select(entry.dtype, 0, 0), settings.of(QualitySettings).max_pixels)


def load_emotion(settings: Settings) -> None:
    from deployments.models.emotion.model import (
        WEIGHTS_FOLDER,
        EmotionModel,
    )

    entry = read_entry("emotion", EmotionEntry)
    weights = choose_file("deepface", entry.network, deepface_home() / WEIGHTS_FOLDER, settings.service.weights)
    chosen = settings.of(EmotionSettings)
    EmotionModel(weights, chosen.detector, entry.threads, chosen.max_side)


def load_tagger(settings: Settings) -> None:
    from deployments.models.tagger.model import TaggerModel

    TaggerModel(*_pretrained(settings, settings.of(TaggerSettings)))


def load_captioner(settings: Settings) -> None:
    from deployments.models.captioner.model import CaptionerModel

    chosen = settings.of(CaptionerSettings)
    CaptionerModel(*_pretrained(settings, chosen), chosen.max_tokens)


def load_detector(settings: Settings) -> None:
    from deployments.models.detector.model import DetectorModel

    chosen = settings.of(DetectorSettings)
    DetectorModel(*_pretrained(settings, chosen), chosen.max_tokens)


def _pretrained(settings: Settings, chosen: PretrainedGroup) -> tuple[PretrainedWeights, Device]:
    entry = read_entry(chosen.name, PretrainedEntry)
    weights = choose_pretrained(chosen.name, entry, chosen.model_name, settings.service.weights)
    return weights, select(entry.dtype, 0, 0)


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
        if not settings.is_enabled(name):
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
