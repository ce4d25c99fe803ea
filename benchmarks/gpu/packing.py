"""All models on one card, each with its share in the cluster's config, and how much memory each adds."""

import json
import math
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from benchmarks.gpu.scale import FOLDERS, Scale
from benchmarks.gpu.serving import Server, batches, server
from benchmarks.sections.sizing import ASKED
from configs.serving import cluster_config
from testbed import load
from testbed.checkpoints import TORCH_HOME, make_quality
from testbed.processes import fetch

CLIENTS = 8  # that ask each model


@dataclass(frozen=True)
class Packed:
    """One model on the card.

    Attributes:
        share: of the card in the cluster's config, 0–1.
        at_rest, loaded: bytes that it added to the card's used memory, when it was ready and after its load.
        alone, among_all: images/s while it alone was asked, and while all models were.
    """

    name: str
    share: float
    at_rest: float
    loaded: float
    alone: float
    among_all: float


def shares() -> dict[str, float]:
    """The share of a GPU of each model in the cluster's config."""
    [application] = cluster_config()["applications"]
    given = {one["name"]: one.get("ray_actor_options", {}).get("num_gpus", 0) for one in application["deployments"]}
    return {name: share for name, share in given.items() if share}


def measure(scale: Scale) -> tuple[list[str], list[Packed]]:
    """Add one model after another and ask it, and at the end ask all of them at once.

    Returns:
        The ids of the weights, and the figures of each model.
    """
    for name in FOLDERS:
        scale.weights(name)
    if scale.full_size:
        make_quality(TORCH_HOME)
    given, served = shares(), dict[str, float]()
    memory, alone = dict[str, tuple[float, float]](), dict[str, load.Load]()
    with server(scale, batches(scale.batches)) as node:
        for name, share in given.items():
            print(f"packing: {name} ...", file=sys.stderr, flush=True)
            before = used_bytes()
            served[name] = share
            node.serve(served)
            at_rest = used_bytes() - before
            alone[name] = _asked(node, name, scale)
            memory[name] = at_rest, used_bytes() - before
        together = _all_at_once(node, given, scale)
        weights = [model["id"] for model in json.loads(fetch(f"{node.url}/v1/models"))["data"]]
    return weights, [
        Packed(name, share, *memory[name], alone[name].throughput, together[name].throughput)
        for name, share in given.items()
    ]


def used_bytes() -> float:
    """The card's used memory, over all processes; not a number without a card."""
    if not torch.cuda.is_available():
        return math.nan
    free, total = torch.cuda.mem_get_info(0)
    return total - free


def _asked(node: Server, name: str, scale: Scale) -> load.Load:
    route, analyzers = ASKED[name]
    return load.measure(node.url + route, min(CLIENTS, scale.clients), scale.seconds, analyzers)


def _all_at_once(node: Server, given: Mapping[str, float], scale: Scale) -> dict[str, load.Load]:
    with ThreadPoolExecutor(len(given)) as pool:
        return dict(zip(given, pool.map(lambda name: _asked(node, name, scale), given), strict=True))


def lines(scale: Scale, weights: list[str], packed: list[Packed]) -> list[str]:
    """The section's body; `weights` are the ids of what is served."""
    total = torch.cuda.mem_get_info(0)[1] if torch.cuda.is_available() else math.nan
    clients = min(CLIENTS, scale.clients)
    rows = [
        f"| {one.name} | {one.share:g} | {_gb(one.share * total)} | {_gb(one.at_rest)} | {_gb(one.loaded)} "
        f"| {one.alone:.1f} | {one.among_all:.1f} |"
        for one in packed
    ]
    whole = [sum(getattr(one, name) for one in packed) for name in ("share", "at_rest", "loaded")]
    return [
        f"Weights: {', '.join(weights)}. Shares as in configs/serve_cluster.yaml. A model's memory is what "
        "the card's grew by when it was added: weights, activations, and the CUDA context of its process, which no cap "
        f"counts. Each was asked by {clients} clients over HTTP, then all at once by {clients} each.",
        "",
        "| model | share | cap GB | GB ready | GB after its load | images/s alone | images/s among all |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *rows,
        f"| all | {whole[0]:g} | {_gb(whole[0] * total)} | {_gb(whole[1])} | {_gb(whole[2])} | – | – |",
    ]


def _gb(size: float) -> str:
    return "–" if math.isnan(size) else f"{size / 1e9:.2f}"
