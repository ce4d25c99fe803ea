"""One model alone on the GPU: its raw limit, one replica's throughput, and that through handles and over HTTP."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass

from benchmarks.gpu.networks import Limit
from benchmarks.gpu.scale import Scale
from benchmarks.gpu.serving import Server, batches, measuring, server
from benchmarks.gpu.typed import DTYPE, build
from benchmarks.sections.descriptions import TOKENS
from benchmarks.sections.sizing import ASKED
from configs.project import PROJECT
from testbed import load

# Enough for every process that asks through handles to import, join, decode its pictures and ask once
HANDLES_READY_S = 60.0
WARM_UP_S = 3.0


@dataclass(frozen=True)
class GpuMeasurements:
    """Of one model in one type, in images/s.

    Attributes:
        limits: the raw limit by batch size.
        replica: of Panoptes' model in one process, without Serve.
        handles: of the served model, asked through its handle.
        http: of the served model, over HTTP.
    """

    dtype: str
    limits: list[Limit]
    replica: float
    handles: float
    http: load.Load

    @property
    def best(self) -> Limit:
        """The limit at the batch size with the highest throughput."""
        return max(self.limits, key=lambda one: one.throughput)


def measure(name: str, scale: Scale) -> list[GpuMeasurements]:
    """Measure a model in each type: first without a server, then in an application that serves nothing else."""
    folder, weights = scale.weights(name), "hub" if scale.full_size else "bundled"
    figures = []
    for dtype in scale.dtypes:
        print(f"{name}, {dtype}: without a server ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks.gpu.networks", name, str(folder), f"--device={scale.device}"]
        command += [f"--dtype={dtype}", f"--seconds={scale.seconds}", "--batches", *map(str, scale.batches[name])]
        command.append(f"--weights={weights}")
        done = subprocess.run(command, cwd=PROJECT, env=measuring(), check=True, stdout=subprocess.PIPE)
        alone = json.loads(done.stdout)
        print(f"{name}, {dtype}: served ...", file=sys.stderr, flush=True)
        env = batches({name: scale.batches[name]}) | {DTYPE: dtype, "CAPTION_MAX_TOKENS": str(TOKENS)}
        env["WEIGHTS"] = weights
        with server(scale, env) as served:
            served.serve({name: 1.0}, f"{build.__module__}:{build.__name__}")
            handles = through_handles(name, scale, served)
            http = over_http(name, scale, served)
        limits = [Limit(**one) for one in alone["limits"]]
        figures.append(GpuMeasurements(dtype, limits, alone["replica"], handles, http))
    return figures


def through_handles(name: str, scale: Scale, served: Server) -> float:
    """Images/s of several processes that ask through the deployment's handle."""
    command = [sys.executable, "-m", "benchmarks.gpu.handles", name, f"--under-way={scale.under_way}"]
    command += [f"--seconds={scale.seconds}", f"--at={time.time() + HANDLES_READY_S}"]
    env = measuring() | served.nodes.joining
    asking = [
        subprocess.Popen(command, cwd=PROJECT, env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(scale.processes)
    ]
    try:
        answers = [process.communicate(timeout=HANDLES_READY_S + 120)[0] for process in asking]
    finally:
        for process in asking:
            process.kill()
            process.wait()
    if any(process.returncode for process in asking):
        raise RuntimeError("a process that asks through handles failed: see above")
    return sum(int(answer) for answer in answers) / scale.seconds


def over_http(name: str, scale: Scale, served: Server) -> load.Load:
    """The load of clients that send photos to the model's route."""
    route, analyzers = ASKED[name]
    load.measure(served.url + route, scale.clients, WARM_UP_S, analyzers)
    return load.measure(served.url + route, scale.clients, scale.seconds, analyzers)


def lines(name: str, scale: Scale, figures: list[GpuMeasurements]) -> list[str]:
    """The section's body: a table of raw limits, and one of what is reached through handles and over HTTP."""
    rows = [
        f"| {one.dtype} | {limit.batch} | {limit.throughput:.0f} | {limit.peak_bytes / 1e6:.0f} |"
        for one in figures
        for limit in one.limits
    ]
    left = [
        f"| {one.dtype} | {one.best.throughput:.0f} | {one.replica:.0f} | {one.handles:.0f} "
        f"| {one.handles / one.best.throughput:.2f} | {one.handles / one.replica:.2f} | {one.http.throughput:.0f} "
        f"| {one.http.throughput / one.best.throughput:.2f} | {one.http.throughput / one.replica:.2f} "
        f"| {one.http.p50 * 1000:.0f} | {one.http.p99 * 1000:.0f} |"
        for one in figures
    ]
    return [
        f"Images/s of {'random weights of full size' if scale.full_size else 'bundled weights'}. Raw limit: the "
        "library's network alone, its input on the device. Memory: the most that torch held there at that batch.",
        "",
        "| type | batch | raw limit | MB |",
        "|---|--:|--:|--:|",
        *rows,
        "",
        f"One replica: Panoptes' model in one process, pictures in and results out, batches of up to "
        f"{scale.batches[name][-1]}. Handles: {scale.processes} processes with {scale.under_way} images under way "
        f"each. HTTP: {scale.clients} clients that send JPEGs, {scale.ingresses} replicas of the ingress.",
        "",
        "| type | raw, best | one replica | handles | ÷ raw | ÷ replica | HTTP | ÷ raw | ÷ replica | p50 ms | p99 ms |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        *left,
    ]
