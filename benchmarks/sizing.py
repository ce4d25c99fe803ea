"""What each deployment needs: the memory of its replica, of a model of full size, after a load. Writes no section.

Random weights in the published shapes, where they are made (`benchmarks/checkpoints.py`); the detector has none and is
left out. `python -m benchmarks.sizing`, about four minutes.
"""

import argparse

from benchmarks import load
from benchmarks.analysis import FOUR, TORCH_HOME
from benchmarks.application import Application
from benchmarks.checkpoints import make_blip, make_clip, make_levit, make_quality
from benchmarks.processes import free_port
from benchmarks.run import HF_HOME
from serve_app.app import PARTS

SERVED = ("Clip", "Blur", "Quality", "Emotion", "Tagger", "Captioner")
CLIENTS = 8


def main() -> None:
    """Start the six, ask each of them, and print their memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="of the load of each (default: 20)")
    options = parser.parse_args()
    for make in (make_clip, make_levit, make_blip):
        make(HF_HOME)
    make_quality(TORCH_HOME)
    env = {f"{name.upper()}_ENABLED": str(name in SERVED).lower() for name in PARTS}
    env |= {"HF_HOME": str(HF_HOME), "HF_HUB_OFFLINE": "1", "TORCH_HOME": str(TORCH_HOME), "WEIGHTS": "auto"}
    with Application(free_port(), env | {"RATE_LIMIT_ENABLED": "false", "API_KEY": ""}) as panoptes:
        at_rest = panoptes.memory_by_kind()
        for analyzer in FOUR:
            load.measure(f"{panoptes.url}/v1/analyze", CLIENTS, options.seconds, analyzer)
        for route in ("/v1/tags", "/v1/caption"):
            load.measure(panoptes.url + route, CLIENTS, options.seconds, "")
        loaded = panoptes.memory_by_kind()
    print("| deployment | GB at rest | GB after 8 clients |\n|---|--:|--:|")
    for kind in sorted(loaded, key=lambda one: -loaded[one]):
        print(f"| {kind} | {at_rest.get(kind, 0) / 1e9:.2f} | {loaded[kind] / 1e9:.2f} |")
    print(f"| all | {sum(at_rest.values()) / 1e9:.2f} | {sum(loaded.values()) / 1e9:.2f} |")


if __name__ == "__main__":
    main()
