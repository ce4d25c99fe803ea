"""What each deployment needs: the memory of its replica, with a model of full size, before and after a load.

Random weights in the published shapes (`benchmarks/checkpoints.py`); the emotion network is the bundled one. The
detector has neither and is left out. It prints a table for docs/operations.md; about five minutes for all six.
"""

import argparse
import os

from benchmarks import load
from benchmarks.analysis import TORCH_HOME
from benchmarks.application import Application
from benchmarks.checkpoints import make_blip, make_clip, make_levit, make_quality
from benchmarks.processes import free_port
from benchmarks.run import HF_HOME
from serve_app.app import PARTS

# The route that asks a deployment, and of /v1/analyze the analyser.
ASKED = {
    "Clip": ("/v1/analyze", "embedding"),
    "Blur": ("/v1/analyze", "blur"),
    "Quality": ("/v1/analyze", "quality"),
    "Emotion": ("/v1/analyze", "emotion"),
    "Tagger": ("/v1/tags", ""),
    "Captioner": ("/v1/caption", ""),
}


def main() -> None:
    """Start the deployments, load one after the other, and print their memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deployments", nargs="+", choices=ASKED, default=list(ASKED), help="(default: all)")
    parser.add_argument("--clients", type=int, default=16, help="of each load (default: 16)")
    parser.add_argument("--seconds", type=float, default=20, help="of each load (default: 20)")
    options = parser.parse_args()
    for make in (make_clip, make_levit, make_blip):
        make(HF_HOME)
    make_quality(TORCH_HOME)
    env = {f"{name.upper()}_ENABLED": str(name in options.deployments).lower() for name in PARTS}
    env |= {"HF_HOME": str(HF_HOME), "HF_HUB_OFFLINE": "1", "TORCH_HOME": str(TORCH_HOME), "WEIGHTS": "auto"}
    with Application(free_port(), env | {"RATE_LIMIT_ENABLED": "false", "API_KEY": ""}) as panoptes:
        at_rest = panoptes.memory_by_kind()
        for name in options.deployments:
            route, analyzers = ASKED[name]
            load.measure(panoptes.url + route, options.clients, options.seconds, analyzers)
        loaded = panoptes.memory_by_kind()
    print(f"{len(os.sched_getaffinity(0))} cores; proportional set size after loads of {options.clients} clients.\n")
    print("| deployment | GB at rest | GB after the load |\n|---|--:|--:|")
    for kind in sorted(loaded, key=lambda one: -loaded[one]):
        print(f"| {kind} | {at_rest.get(kind, 0) / 1e9:.2f} | {loaded[kind] / 1e9:.2f} |")
    print(f"| all | {sum(at_rest.values()) / 1e9:.2f} | {sum(loaded.values()) / 1e9:.2f} |")


if __name__ == "__main__":
    main()
