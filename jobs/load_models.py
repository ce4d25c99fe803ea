"""Load every model that is switched on, one after the other, on the CPU: `python -m jobs.load_models`.

With WEIGHTS=hub this fills the caches in HF_HOME, TORCH_HOME and DEEPFACE_HOME: for an image that contains its weights,
or on a volume before the first pod starts. It needs no Ray. The exit status is 1 when a checkpoint cannot be loaded.
"""

import sys

from configs.settings import load_settings
from deployments.runtime.errors import WeightsNotFound
from deployments.specs import model_specs
from jobs.runtime.errors import command_line


def run() -> int:
    """Load the models; returns the exit status, 1 when weights are missing. SettingsError for invalid settings."""
    settings = load_settings()
    for name, spec in model_specs().items():
        if not settings.is_enabled(name):
            continue
        try:
            weights = spec.weights(settings)
            if not any(one.has_weights for one in weights):
                continue
            spec.load(settings, weights)
        except WeightsNotFound as error:
            print(f"{name.lower()}: {error}", file=sys.stderr)
            return 1
        print(f"{name.lower()} is loaded", flush=True)
    return 0


if __name__ == "__main__":
    command_line(run)
