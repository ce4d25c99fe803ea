"""A step of every training: its learning rate, and how far it goes."""

import pytest
import torch

from training.steps import descend, learning_rate


@pytest.mark.parametrize(("progress", "rate"), [(0, 0.2), (0.05, 1.19261), (0.5, 1.0), (1, 0.0)])
def test_the_rate_rises_and_falls_along_half_a_cosine(progress: float, rate: float) -> None:
    assert learning_rate(2.0, progress, warm_up=0.1, first=0.1) == pytest.approx(rate, abs=1e-5)
    assert learning_rate(2.0, 0.0) == 2.0


@pytest.mark.parametrize(("limited", "moved"), [(True, 0.5), (False, 2.0)])
def test_a_step_goes_down_the_gradient_and_no_further_than_its_limit(limited: bool, moved: float) -> None:
    weight = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = torch.optim.SGD([weight], lr=99.0)
    for _ in range(2):  # the gradients of the step before are forgotten
        weight.data.fill_(3.0)
        assert descend(optimizer, 0.5, 4 * weight.sum(), [weight] if limited else []) == 12.0
        assert 3.0 - weight.item() == pytest.approx(moved, abs=1e-5)
