"""The GPU benchmark on the CPU: what needs no Ray of its own. `python -m benchmarks.gpu --rehearse` runs the rest."""

import asyncio
import math
import sys
import time

import pytest
import torch
from ray.serve.schema import ServeDeploySchema

from benchmarks.gpu import __main__ as command
from benchmarks.gpu import packing
from benchmarks.gpu.handles import measure
from benchmarks.gpu.models import GpuMeasurements, lines
from benchmarks.gpu.networks import Limit, limit, load, replica
from benchmarks.gpu.pictures import pictures
from benchmarks.gpu.scale import FOLDERS, REHEARSAL
from benchmarks.gpu.serving import config
from benchmarks.gpu.typed import typed
from benchmarks.sections.sizing import ASKED
from configs.registry import read_entries
from deployments.machine.devices import select
from testbed.load import Load

CPU = torch.device("cpu")


@pytest.mark.parametrize("name", FOLDERS)
def test_a_raw_limit_and_a_replica_s_work(name: str) -> None:
    network = load(name, REHEARSAL.weights(name), CPU, torch.float32)
    with torch.inference_mode():
        assert len(network.compute(torch.zeros(2, *network.shape))) == 2
    measured = limit(network, 2, CPU, torch.float32, 0.01)
    assert (measured.batch, measured.peak_bytes) == (2, 0)
    assert measured.throughput > 0
    assert replica(name, "bundled", select({"cpu": "float32"}, 1, 0), 2, 0.01) > 0


def test_the_network_computes_in_the_type_that_is_asked_for() -> None:
    network = load("Clip", REHEARSAL.weights("Clip"), CPU, torch.bfloat16)
    with torch.inference_mode():
        assert network.compute(torch.zeros(1, *network.shape, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_pictures_are_what_a_deployment_is_given() -> None:
    assert next(pictures("Clip", 64)).shape == (64, 64, 3)
    assert min(next(pictures("Captioner")).shape[:2]) > 64


def test_served_in_another_type_on_a_gpu_alone() -> None:
    entries = typed(read_entries(), "bfloat16")
    for name in ("clip", "tagger", "captioner"):
        assert entries[name]["dtype"] == {"cpu": "float32", "cuda": "bfloat16"}
    assert entries["quality"] == read_entries()["quality"]


def test_the_config_serves_what_is_measured_and_serve_accepts_it() -> None:
    made = config(8123, {"Clip": 0.2, "Tagger": 0.1}, 3, "benchmarks.gpu.typed:build")
    ServeDeploySchema.model_validate(made)
    [application] = made["applications"]
    deployed = {one["name"]: one for one in application["deployments"]}
    assert deployed.keys() == {"Ingress", "Clip", "Tagger"}
    assert deployed["Clip"]["ray_actor_options"]["num_gpus"] == 0.2
    assert deployed["Ingress"]["autoscaling_config"]["max_replicas"] == 3
    assert "api_key" not in application["args"]


def test_every_model_with_a_share_of_the_gpu_has_a_route_and_together_they_fit() -> None:
    shares = packing.shares()
    assert shares.keys() <= ASKED.keys()
    assert 0.5 < sum(shares.values()) <= 1


def test_answers_are_counted_within_the_seconds() -> None:
    async def call() -> None:
        await asyncio.sleep(0.001)

    now = time.time()
    answered = asyncio.run(measure(call, 8, 4, now, 0.1))
    assert answered > 0
    assert answered % 8 == 0
    assert asyncio.run(measure(call, 8, 4, now + 60, -59.8)) == 0


def test_shares_are_of_the_best_limit_and_of_the_replica() -> None:
    http = Load(64, 100, 250.0, 0.1, 0.2)
    figures = GpuMeasurements("float16", [Limit(1, 200.0, 10), Limit(32, 1000.0, 20)], 800.0, 500.0, http)
    row = lines("Clip", REHEARSAL, [figures])[-1]
    assert row == "| float16 | 1000 | 800 | 500 | 0.50 | 0.62 | 250 | 0.25 | 0.31 | 100 | 200 |"


def test_memory_is_not_told_where_there_is_no_card() -> None:
    packed = [packing.Packed("Clip", 0.2, math.nan, math.nan, 3.0, 2.0)]
    if not torch.cuda.is_available():
        assert math.isnan(packing.used_bytes())
        assert packing.lines(REHEARSAL, ["a"], packed)[-2] == "| Clip | 0.2 | – | – | – | 3.0 | 2.0 |"


def test_without_a_device_it_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu"])
    before = command.RESULTS.read_text()
    assert command.main() == 2
    assert capsys.readouterr().err == command.NO_DEVICE + "\n"
    assert command.RESULTS.read_text() == before
