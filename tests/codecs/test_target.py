"""Lambda follows a target within a descent: up where files are too large or too good, down where they are not."""

import numpy as np
import pytest
import torch

from ganrev.codecs.problem import Problem
from ganrev.codecs.rounding import descend
from ganrev.codecs.target import LAMBDAS, Target
from ganrev.coding import range_coder
from ganrev.coding.quantiser import Effort
from ganrev.pixels import to_x
from ganrev.reversal.losses import MSE, SSIM
from ganrev.reversal.reversing import lane_rng
from tests.codecs.told_generator import STEPS, drawn_images, told_generator


def problem_of(images, lmbda, step=0.2):
    scales = range_coder.scale_codes(np.full(16, 0.5, np.float32), step * STEPS.numpy())
    sizes = (step * STEPS).expand(len(images), -1)
    codes = lambda symbols: np.broadcast_to(scales, symbols.shape)  # noqa: E731
    return Problem(told_generator(), MSE(), to_x(images), sizes, torch.full((len(images),), lmbda), codes)


@pytest.fixture
def problem():
    return problem_of(drawn_images(2), 1e-3)


def follow(target, problem, symbols):
    return target.follow(problem, problem.prices(symbols.to(torch.int32)), symbols)


def test_bytes_get_dearer_where_a_file_is_too_large_and_cheaper_where_it_is_too_small(problem):
    symbols = torch.stack((torch.full((16,), 40.0), torch.zeros(16)))
    large, small = follow(Target(30), problem, symbols)
    assert 1e-3 < large <= 2e-3
    assert 5e-4 <= small < 1e-3
    assert follow(Target(30), problem, symbols[:1])[0] == large  # whatever lies beside it


def test_bytes_get_dearer_where_a_picture_is_better_than_asked_for(problem):
    symbols = torch.zeros(2, 16)
    ssim = 1 - float(problem.distortion(symbols, SSIM()).detach().max())
    for quality, dearer in ((ssim - 0.3, True), (ssim + 0.3, False)):
        lmbda = follow(Target(judge=SSIM(), limit=1 - quality), problem, symbols)
        assert ((lmbda > problem.lmbda) == dearer).all()


def test_lambda_stays_within_bounds():
    for lmbda, size in ((LAMBDAS[0], 10_000), (LAMBDAS[1], 16)):
        problem = problem_of(drawn_images(1), lmbda)
        assert follow(Target(size), problem, torch.full((1, 16), 40.0)).item() == pytest.approx(lmbda)


def test_a_descent_goes_on_at_the_same_latents_when_its_steps_change():
    images = drawn_images(2)
    seen = []

    def halve(problem, prices, symbols):
        seen.append(symbols * problem.step_sizes)
        return problem_of(images, float(problem.lmbda[0]) / 2, float(problem.step_sizes[0, 0] / STEPS[0]) / 2)

    z = torch.full((2, 16), 1.0)
    rngs = [lane_rng(0, image, 0) for image in images]
    problem, positions = descend(problem_of(images, 1e-9), z, Effort(12, 1e-6, 0), rngs, halve)
    assert len(seen) == 1  # at the sixth of twelve steps: after the ninth lambda stays
    torch.testing.assert_close(positions * problem.step_sizes, z, atol=1e-3, rtol=0)
    torch.testing.assert_close(problem.step_sizes, (0.1 * STEPS).expand(2, -1))
