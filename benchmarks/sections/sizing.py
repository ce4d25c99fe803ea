"""What each deployment needs: the memory of its replica, with a model of full size, before and after a load.

    python -m benchmarks.sections.sizing

Random weights in the published shapes (`testbed/checkpoints.py`); the emotion network is the bundled one. One after
the other is asked; docs/operations.md takes its table from here. About five minutes for all seven.
"""

from benchmarks import cli, report
from testbed import load, photos
from testbed.application import Application, only
from testbed.checkpoints import HF_HOME, TORCH_HOME, make_blip, make_clip, make_florence, make_levit, make_quality
from testbed.processes import free_port, within

# The route that asks a deployment, and of /v1/analyze the analyser.
ASKED = {
    "Clip": ("/v1/analyze", "embedding"),
    "Blur": ("/v1/analyze", "blur"),
    "Quality": ("/v1/analyze", "quality"),
    "Emotion": ("/v1/analyze", "emotion"),
    "Tagger": ("/v1/tags", ""),
    "Captioner": ("/v1/caption", ""),
    "Detector": ("/v1/objects", ""),
}
# A caption of full size takes a second or more, and 16 wait for theirs: their time is not what is measured.
PATIENCE_S = int(load.TIMEOUT)
LOADING_S = 120
OBJECTS_TOKENS = 30  # of the detector's answer: about five objects
MOST_CLIENTS = {"Detector": 4}  # each of its pictures takes seconds on two cores


def main() -> None:
    """Start the deployments, load one after the other, print their memory, and write it when it is of all of them."""
    parser = cli.parser(__doc__)
    parser.add_argument("--deployments", nargs="+", choices=ASKED, default=list(ASKED), help="(default: all)")
    parser.add_argument("--clients", type=int, default=16, help="of each load (default: 16)")
    parser.add_argument("--seconds", type=float, default=20, help="of each load (default: 20)")
    options = parser.parse_args()
    for make in (make_clip, make_levit, make_blip, make_florence):
        make(HF_HOME)
    make_quality(TORCH_HOME)
    env = only(*options.deployments) | {"WEIGHTS": "auto", "HF_HUB_OFFLINE": "1", "REQUEST_TIMEOUT_S": str(PATIENCE_S)}
    env |= {"HF_HOME": str(HF_HOME), "TORCH_HOME": str(TORCH_HOME), "DETECTOR_MAX_TOKENS": str(OBJECTS_TOKENS)}
    answered: dict[str, float] = {}
    with Application(free_port(), env) as panoptes:
        # /health does not wait for every model.
        if not within(LOADING_S, lambda: panoptes.processes().keys() >= set(options.deployments)):
            raise RuntimeError(f"not loaded after {LOADING_S} s: {', '.join(panoptes.processes())}")
        at_rest = panoptes.memory_by_kind()
        for name in options.deployments:
            route, analyzers = ASKED[name]
            clients = min(options.clients, MOST_CLIENTS.get(name, options.clients))
            seen = load.measure(panoptes.url + route, clients, options.seconds, analyzers)
            answered[name] = seen.throughput
        loaded = panoptes.memory_by_kind()
    lines = [
        "## Memory by deployment",
        "",
        f"{report.machine('torch', 'ray')}. `python -m benchmarks.sections.sizing --clients {options.clients} "
        f"--seconds {options.seconds:g} --deployments {' '.join(options.deployments)}`",
        "",
        f"Proportional set size, all of them in one application; each is asked by {options.clients} clients (the "
        f"detector by at most {MOST_CLIENTS['Detector']}) for {options.seconds:g} s while the others rest. "
        f"{photos.describe(photos.load())}.",
        "",
        "| deployment | GB at rest | GB after the loads | images/s |",
        "|---|--:|--:|--:|",
    ]
    for kind in sorted(loaded, key=lambda one: -loaded[one]):
        rate = f"{answered[kind]:.2f}" if kind in answered else "–"
        lines.append(f"| {kind} | {at_rest.get(kind, 0) / 1e9:.2f} | {loaded[kind] / 1e9:.2f} | {rate} |")
    lines.append(f"| all | {sum(at_rest.values()) / 1e9:.2f} | {sum(loaded.values()) / 1e9:.2f} | – |")
    print(section := "\n".join(lines))
    if set(options.deployments) == ASKED.keys():
        report.update_section("sizing", section)


if __name__ == "__main__":
    cli.run(main)
