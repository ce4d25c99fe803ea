"""The engine of GPUs, on torch's CPU: what it finds is what the BLAS of this process finds."""

import numpy as np
import pytest
import torch

from deployments.clustering.growth import Growth
from jobs.clustering.cuda import CudaEngine
from jobs.clustering.rows import HostEngine, SearchPlan, Threshold, search_row
from tests.unit.clustering.test_job import blocks, with_noise

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
def test_torch_finds_the_same(device: str) -> None:
    points = with_noise(np.random.default_rng(2), 3000, 32, 0.4).astype(np.float32)
    plan = SearchPlan(len(points), 1500, (Threshold(0.25, 5), Threshold(0.05, 2)))
    known = [Growth(plan.count, one.min_samples).known() for one in plan.thresholds]
    given = blocks(points, 1500)
    for row in range(plan.rows):
        ours = search_row(plan, row, given, known, CudaEngine(device))
        theirs = search_row(plan, row, given, known, HostEngine())
        for one, other in zip(ours.found, theirs.found, strict=True):
            assert one.counts.tolist() == other.counts.tolist()
            assert sorted(one.open.tolist()) == sorted(other.open.tolist())
        assert ours.found[1].counts.any()
