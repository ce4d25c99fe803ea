"""Faults during the analysis of a folder: models that are unavailable, refuse or hang, failed tasks, and kills."""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError, WorkerCrashedError
from ray.serve.exceptions import BackPressureError

from deployments.runtime.calls import JOBS
from deployments.runtime.errors import ModelFailed, PromptTooLong
from jobs.analyze import working
from jobs.analyze.plan import Part, parts_of
from jobs.analyze.source import SourceFile
from jobs.analyze.working import Done
from jobs.runtime.asking import ModelCaller, ModelUnavailable, Refused
from jobs.runtime.errors import JobRefused
from testbed.doubles.model_handles import Answer, handles
from testbed.replicas import raised_by_replica
from tests.unit.analyze.run import analyze, other_weights, picture, rows


class Sometimes:
    """Raises an error on the calls with the given numbers."""

    def __init__(self, error: Exception, *numbers: int, method: str = "analyze") -> None:
        self._error, self._numbers, self._method, self._count = error, numbers, method, 0

    def __call__(self, method: str, arguments: tuple[Any, ...]) -> Exception | None:
        if method != self._method:
            return None
        self._count += 1
        return self._error if self._count in self._numbers else None


@pytest.mark.parametrize(
    "error",
    [
        RayActorError(),
        BackPressureError(num_queued_requests=9, max_queued_requests=9),
        raised_by_replica(ModelFailed("CUDA error")),
    ],
)
def test_a_passing_error_is_retried(photos: Path, tmp_path: Path, error: Exception) -> None:
    models = handles()
    models["Blur"].fails = Sometimes(error, 1, 2, 5, 9)
    models["Clip"].fails = Sometimes(error, 1, method="embed_images")
    assert analyze(photos, tmp_path / "out", models=models) == 0
    assert sum(row["error"] is None for row in rows(tmp_path / "out")) == 11
    assert models["Blur"].calls["analyze"] == 11 + 4


def test_a_model_that_stays_unavailable_fails_its_images(photos: Path, tmp_path: Path) -> None:
    models = handles()
    models["Blur"].fails = lambda method, arguments: (
        RayActorError() if method == "analyze" and arguments[0].shape[1] == 40 else None
    )
    assert analyze(photos, tmp_path / "out", models=models) == 1
    found = [row for row in rows(tmp_path / "out") if row["path"] != "album 2/05.jpg"]
    for row in found:
        assert (row["error"] is not None) == (row["width"] == 40) == (row["blur_variance"] is None)
        assert row["embedding"] is not None
    failed = next(row["error"] for row in found if row["error"])
    assert failed.startswith("blur: Blur gave no answer in 6 attempts (RayActorError: ")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["complete"], manifest["failed"]) == (False, 5)
    models["Blur"].fails = None  # the same command again completes the part
    assert analyze(photos, tmp_path / "out", models=models) == 0
    assert sum(row["error"] is None for row in rows(tmp_path / "out")) == 11


def test_an_image_that_clip_refuses_fails_alone(photos: Path, tmp_path: Path) -> None:
    def red(method: str, arguments: tuple[Any, ...]) -> Exception | None:
        refused = method == "embed_images" and (arguments[0].mean(axis=(1, 2))[:, 0] > 200).any()
        return raised_by_replica(PromptTooLong("no", 1), "embed_images") if refused else None

    models = handles()
    models["Clip"].fails = red
    assert analyze(photos, tmp_path / "out", "embedding", models=models) == 1
    for row in rows(tmp_path / "out"):
        assert (row["embedding"] is None) == (row["path"] == "album 2/05.jpg" or row["path"].startswith("album 0"))
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["complete"] is True


def test_a_missing_application_ends_the_job(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(60):
        (tmp_path / "in" / f"{number}.png").write_bytes(picture(number))
    models = handles()
    models["Blur"].fails = lambda method, _: RayActorError() if method == "analyze" else None
    with pytest.raises(JobRefused, match="Blur does not answer any more"):
        analyze(tmp_path / "in", tmp_path / "out", "blur", models=models)
    assert models["Blur"].calls["analyze"] < 60 * 6
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_weights_that_change_during_the_job_end_it(photos: Path, tmp_path: Path) -> None:
    models = handles()

    def change(method: str, arguments: tuple[Any, ...]) -> None:
        if method == "embed_images" and models["Clip"].calls["embed_images"] == 2:
            models["Clip"].served = (other_weights(models["Clip"].served[0]),)

    models["Clip"].fails = change
    with pytest.raises(JobRefused, match="serves other weights since part=0000"):
        analyze(photos, tmp_path / "out", "embedding", "--part-size=5", "--in-flight=1", models=models)
    models["Clip"].fails = None
    assert analyze(photos, tmp_path / "out", "embedding", "--part-size=5", models=models) == 0
    assert {row["embedding_weights"] for row in rows(tmp_path / "out")} == {"test/other", None}


class Cluster:
    """The part of Ray's API that the tasks use: a task runs when its result is requested."""

    def __init__(self, outcomes: dict[int, Any]) -> None:
        self.outcomes, self.most, self._running = outcomes, 0, 0

    def remote(self, **options: Any) -> Any:
        assert 0 < options["num_cpus"] < 0.1
        return lambda function: SimpleNamespace(remote=self._start)

    def _start(self, plan: None, part: Part) -> Part:
        self._running += 1
        self.most = max(self.most, self._running)
        return part

    def wait(self, references: list[Part], num_returns: int) -> tuple[list[Part], list[Part]]:
        return references[:1], references[1:]

    def get(self, part: Part) -> Done:
        self._running -= 1
        outcome = self.outcomes.get(part.number, Done(len(part.images), 1, 0))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[no-any-return]


def as_tasks(monkeypatch: pytest.MonkeyPatch, cluster: Cluster) -> tuple[list[Done], list[tuple[int, int]], list[int]]:
    """Run seven parts of two images: the parts done, (images, errors) of each, and the numbers of failed parts."""
    monkeypatch.setattr(working, "ray", cluster)
    seen, failed = list[tuple[int, int]](), list[int]()
    parts = parts_of([SourceFile(str(number), 1) for number in range(14)], 2)
    done = working.do_as_tasks(
        None,  # type: ignore[arg-type]
        parts,
        3,
        lambda images, errors: seen.append((images, errors)),
        lambda part, error: failed.append(part.number),
    )
    return done, seen, failed


def test_tasks_are_bounded_and_a_failed_one_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster({4: WorkerCrashedError()})
    done, seen, failed = as_tasks(monkeypatch, cluster)
    assert (len(done), failed, cluster.most) == (6, [4], 3)
    assert sum(images for images, _ in seen) == 14
    assert sum(errors for _, errors in seen) == 6 + 2


def test_a_refused_task_ends_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = raised_by_replica(JobRefused("Clip does not answer any more."), "do")
    with pytest.raises(JobRefused, match=r"^Clip does not answer any more\.$"):
        as_tasks(monkeypatch, Cluster({2: refused}))


async def test_a_call_of_a_hanging_model_times_out() -> None:
    calls: list[Answer] = []

    def hang() -> Answer:
        calls.append(Answer(lambda: asyncio.sleep(60)))
        return calls[-1]

    with pytest.raises(ModelUnavailable, match="TimeoutError"):
        await ModelCaller(replace(JOBS, timeout_s=0.01, pause_s=0)).ask("Clip", hang)
    assert len(calls) == JOBS.attempts
    assert all(call.cancelled for call in calls)


async def test_pauses_grow_and_end() -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def gone() -> None:
        raise RayActorError

    with pytest.raises(ModelUnavailable):
        await ModelCaller(replace(JOBS, pause_s=1.0), sleep).ask("Clip", lambda: Answer(gone))
    for pause, middle in zip(pauses, (1, 2, 4, 8, 10), strict=True):
        assert middle / 2 <= pause <= middle * 1.5


async def test_a_refusal_is_not_retried() -> None:
    calls = 0

    async def refuse() -> None:
        nonlocal calls
        calls += 1
        raise raised_by_replica(PromptTooLong("word", 77), "score", "Traceback: File /srv/x.py")

    with pytest.raises(Refused, match="at most 77 tokens") as refused:
        await ModelCaller().ask("Clip", lambda: Answer(refuse))
    assert calls == 1
    assert "Traceback" not in str(refused.value)


def test_a_killed_job_run_again_gives_the_same_rows(tmp_path: Path) -> None:
    folder, seed = tmp_path / "in", random.randrange(10**6)
    folder.mkdir()
    for number in range(120):
        (folder / f"{number:03d}.png").write_bytes(b"broken" if number == 60 else picture(number))
    flags = ("blur,embedding,classification", "--part-size=7", "--in-flight=16")
    analyze(folder, tmp_path / "whole", *flags)
    rng = random.Random(seed)
    with subprocess.Popen(
        [sys.executable, "-m", "testbed.doubles.model_handles", f"--input={folder}", f"--output={tmp_path}/killed",
         f"--analyses={flags[0]}", *flags[1:]],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as job:  # fmt: skip
        assert job.stdin is not None
        assert job.stdout is not None
        kills, status = 0, -1
        for run in range(21):
            print("go", file=job.stdin, flush=True)
            pid = int(_line(job.stdout))
            if run < 20:
                time.sleep(rng.random() * 0.25)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            status = int(_line(job.stdout))
            kills += status == -signal.SIGKILL
            with contextlib.suppress(FileNotFoundError):
                found = [row["path"] for row in rows(tmp_path / "killed")]
                assert len(found) == len(set(found)), f"seed {seed}"
        job.stdin.close()
    assert status == 0
    assert kills > 3
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole"), f"seed {seed}"
    assert not [path for path in (tmp_path / "killed").rglob("*.parquet") if path.name != "images.parquet"]


def _line(lines: Any) -> str:
    """The next line that is a number; the job prints other lines between."""
    for line in lines:
        if line.strip().lstrip("-").isdigit():
            return str(line)
    raise AssertionError("the job has ended")
