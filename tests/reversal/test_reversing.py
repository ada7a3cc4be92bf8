"""Descent to the latents of a picture; lanes share a batch and nothing else."""

import math

import pytest
import torch
from hydra.utils import instantiate
from torch import nn

from ganrev.generator.base import Generator
from ganrev.paths import config_dir
from ganrev.pixels import to_x
from ganrev.reversal.losses import MSE, SSIM
from ganrev.reversal.reversing import lane_rng, reverse
from ganrev.reversal.settings import Reversal
from tests.reversal.small_descents import drawn, run
from tests.tiny import TinyGenerator, compose_config, smooth_images


@pytest.mark.parametrize(
    "settings",
    [
        Reversal("sgd", lr=2, steps=400, schedule="constant"),
        Reversal("sgd", lr=1, steps=400, schedule="constant", momentum=0.9),
        Reversal("adam", lr=0.1, steps=200, schedule="cosine"),
        Reversal("adam", lr=0.1, steps=200, schedule="cosine", clip="hard"),
        Reversal("adam", lr=0.1, steps=400, schedule="cosine", clip="stochastic"),
    ],
    ids=lambda s: f"{s.optimizer}-{s.momentum}-{s.schedule}-{s.clip}",
)
def test_the_latents_of_seen_pictures_are_found(settings):
    z, targets = drawn(4)
    found = run(targets, settings, seeds=range(100, 104))
    assert found.z.shape == z.shape
    assert not found.diverged.any()
    assert (found.losses[:, -1] < 1e-3).all()
    assert (found.losses[:, 0] > 0.1).all()
    torch.testing.assert_close(found.z, z, atol=0.15, rtol=0)


def test_one_step_of_sgd_is_the_learning_rate_times_the_gradient_of_one_images_mean():
    _, targets = drawn(3)
    start = run(targets, Reversal("sgd", lr=1e-12, steps=1, schedule="constant")).z
    z = start.clone().requires_grad_(True)
    MSE()(TinyGenerator().freeze()(z[1:2]), targets[1:2]).sum().backward()
    found = run(targets, Reversal("sgd", lr=5, steps=1, schedule="constant")).z
    torch.testing.assert_close(found[1], start[1] - 5 * z.grad[1], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_scaled_latents_move_in_proportion_to_their_steps(optimizer):
    generator, targets = TinyGenerator().freeze(), drawn(3)[1]
    steps = torch.linspace(0.5, 2, generator.latent_dim)
    generator.set_latent_statistics(torch.ones(generator.latent_dim), 7 * steps)
    options = {"lr": 0.01, "steps": 1, "init": "linear"}
    start = generator.invert_linear_map(targets)
    rngs = [torch.Generator() for _ in targets]
    even, scaled = (
        reverse(generator, MSE(), targets, rngs, Reversal(optimizer, scaled=s, **options)).z for s in (False, True)
    )
    stride = steps / steps.log().mean().exp()  # whatever the unit of the table
    torch.testing.assert_close(scaled - start, (even - start) * stride, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("config", sorted(p.stem for p in (config_dir() / "reversal").glob("*.yaml")))
def test_every_config_lowers_the_loss(config):
    settings = instantiate(compose_config(f"reversal={config}", "reversal.steps=60").reversal)
    found = run(drawn(2)[1], settings, seeds=[7, 8])
    assert (found.losses[:, -1] < found.losses[:, 0]).all()


# ---- lanes


@pytest.mark.parametrize("clip", ["none", "stochastic"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_lane_is_the_same_alone_and_anywhere_in_a_batch(optimizer, clip):
    lr = {"sgd": 5.0, "adam": 0.1}[optimizer]
    settings = Reversal(optimizer, lr=lr, steps=60, schedule="constant", clip=clip)
    targets = drawn(5, scale=1.5)[1]
    together = run(targets, settings).z
    order = [3, 0, 4, 1, 2]
    shuffled = run(targets[order], settings, seeds=order).z
    torch.testing.assert_close(shuffled, together[order], atol=1e-5, rtol=1e-5)
    for lane in range(5):
        alone = run(targets[lane : lane + 1], settings, seeds=[lane]).z
        torch.testing.assert_close(alone[0], together[lane], atol=1e-5, rtol=1e-5)


class InfiniteIfBright(nn.Module):
    """MSE, but infinite for pictures whose mean is above 0.9."""

    def forward(self, x, target):
        bright = target.mean(dim=(1, 2, 3)) > 0.9
        return MSE()(x, target) * torch.where(bright, math.inf, 1.0)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("clip", ["none", "hard", "stochastic"])
def test_a_lane_without_a_finite_gradient_stays_where_it_was_and_disturbs_nobody(optimizer, clip):
    settings = Reversal(optimizer, lr=0.1, steps=30, clip=clip)
    targets = drawn(3)[1]
    spoilt = targets.clone()
    spoilt[1] = 1.0
    found = run(spoilt, settings, loss=InfiniteIfBright())
    assert found.diverged.tolist() == [False, True, False]
    start = TinyGenerator().sample_prior(1, torch.Generator().manual_seed(1))
    assert torch.equal(found.z[1:2], start)
    clean = run(targets, settings, loss=InfiniteIfBright())
    assert torch.equal(found.z[[0, 2]], clean.z[[0, 2]])
    assert not found.losses[1].isfinite().any()


class Exponential(Generator):
    """A picture of one latent whose brightness explodes with it."""

    latent_dim = 1
    image_size = 16

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, z):
        return (z.exp() * self.weight)[:, :, None, None].expand(-1, 3, 16, 16).float()


def test_a_lane_that_explodes_under_way_is_frozen_at_finite_latents_and_disturbs_nobody():
    targets = torch.tensor([1.5, 3000.0])[:, None, None, None].expand(-1, 3, 16, 16)
    settings = Reversal("sgd", lr=0.1, steps=50, schedule="constant")
    found = run(targets, settings, generator=Exponential())
    assert found.diverged.tolist() == [False, True]
    assert found.losses[1, 0].isfinite()
    assert found.losses[1, 1].isinf()  # the first step went too far
    assert found.z[1].isfinite().all()
    assert found.z[0].item() == pytest.approx(math.log(1.5), abs=1e-3)
    assert torch.equal(found.z[0], run(targets[:1], settings, generator=Exponential()).z[0])


class Linear(TinyGenerator):
    """The tiny generator without its tanh, so that no latent is too large to have a gradient."""

    def forward(self, z):
        return self.linear(z).view(-1, 3, 32, 32)


def test_momentum_does_not_carry_a_frozen_lane_on():
    targets = torch.full((1, 3, 16, 16), 3000.0)
    settings = Reversal("sgd", lr=0.1, steps=9, schedule="constant", momentum=0.9)
    under_way = []
    found = run(targets, settings, generator=Exponential(), on_step=lambda step, z: under_way.append(z.item()))
    assert found.diverged.all()
    assert under_way[0] != under_way[1]
    assert under_way[1:] == [found.z.item()] * 9


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("lr", [1e6, 1e37])
def test_a_huge_learning_rate_is_counted_and_leaves_finite_latents(optimizer, lr):
    settings = Reversal(optimizer, lr=lr, steps=20, schedule="constant")
    found = run(drawn(3)[1], settings, generator=Linear())
    assert found.diverged.all()
    assert found.z.isfinite().all()


def test_a_lane_that_ends_above_its_beginning_counts_as_diverged():
    targets = drawn(2)[1]
    found = run(targets, Reversal("sgd", lr=4000, steps=5, schedule="constant"))
    risen = found.losses[:, -1] > found.losses[:, 0]
    assert risen.any()
    assert torch.equal(found.diverged, risen)


def test_the_stream_of_a_lane_comes_from_seed_picture_and_restart_alone():
    images = smooth_images(2)

    def draw(*arguments):
        return torch.rand(4, generator=lane_rng(*arguments)).tolist()

    assert draw(0, images[0], 0) == draw(0, images[0].clone(), 0)
    others = [draw(1, images[0], 0), draw(0, images[1], 0), draw(0, images[0], 1)]
    assert draw(0, images[0], 0) not in others
    # A view of the same pixels, laid out in another way, is the same picture.
    permuted = images[0].permute(1, 2, 0).contiguous().permute(2, 0, 1)
    assert draw(0, permuted, 0) == draw(0, images[0], 0)
    # Seed 1, restart 11 is not seed 11, restart 1.
    assert draw(1, images[0], 11) != draw(11, images[0], 1)


# ---- where lanes start, and which leave


def test_a_linear_start_is_the_generators_guess_and_other_restarts_draw_from_the_prior():
    _, targets = drawn(2, scale=0.5)
    starts = []
    settings = Reversal(steps=1, init="linear", restarts=2)
    run(targets.repeat_interleave(2, dim=0), settings, on_step=lambda step, z: starts.append(z.clone()))
    generator = TinyGenerator()
    assert torch.equal(starts[0][[0, 2]], generator.invert_linear_map(targets))
    assert torch.equal(starts[0][1:2], generator.sample_prior(1, torch.Generator().manual_seed(1)))


def test_a_generator_without_a_linear_map_proposes_nothing():
    with pytest.raises(ValueError, match=r"Exponential has no linear map to invert; take reversal\.init=prior"):
        run(torch.zeros(1, 3, 16, 16), Reversal(steps=1, init="linear"), generator=Exponential())


def test_a_lane_leaves_when_it_has_ceased_to_fall():
    targets = to_x(smooth_images(3))
    settings = Reversal("sgd", lr=2, steps=2000, schedule="constant", plateau=0.05)
    under_way = []
    found = run(targets, settings, on_step=lambda step, z: under_way.append((step, z.clone())))
    taken = found.losses.isfinite().sum(dim=1)
    assert (taken < 2000).all()
    assert (taken % 25 == 0).all()
    assert not found.dropped.any()
    assert not found.diverged.any()
    assert [step for step, _ in under_way] == list(range(2001))
    assert torch.equal(under_way[-1][1], found.z)
    for lane in range(3):
        then, now = found.losses[lane, taken[lane] - 50 : taken[lane]].view(2, 25).mean(dim=1)
        assert now > 0.95 * then
        alone = run(targets[lane : lane + 1], settings, seeds=[lane])
        torch.testing.assert_close(alone.z[0], found.z[lane], atol=1e-5, rtol=1e-5)


# ---- what comes back


def test_the_trace_holds_the_loss_before_each_step_of_each_lane():
    _, targets = drawn(3)
    seen = []
    found = run(targets, Reversal(steps=7), on_step=lambda step, z: seen.append((step, z.clone())))
    assert found.z.shape == (3, 16)
    assert found.z.dtype == torch.float32
    assert not found.z.requires_grad
    assert found.losses.shape == (3, 7)
    assert found.diverged.shape == (3,)
    assert found.diverged.dtype == torch.bool
    assert [step for step, _ in seen] == list(range(8))
    assert torch.equal(seen[-1][1], found.z)
    generator = TinyGenerator().freeze()
    for step, z in seen[:-1]:
        torch.testing.assert_close(found.losses[:, step], MSE()(generator(z), targets))


def test_the_same_twice():
    targets = to_x(smooth_images(3))
    settings = Reversal("adam", lr=0.1, steps=30, clip="stochastic")
    first, second = (run(targets, settings, loss=SSIM()) for _ in range(2))
    assert torch.equal(first.z, second.z)
    assert torch.equal(first.losses, second.losses)


def test_the_start_is_the_prior():
    starts = []
    run(drawn(2)[1], Reversal(steps=1), on_step=lambda step, z: starts.append(z.clone()))
    expected = [TinyGenerator().sample_prior(1, torch.Generator().manual_seed(seed)) for seed in range(2)]
    assert torch.equal(starts[0], torch.cat(expected))


def test_the_generator_gets_no_gradient():
    generator = TinyGenerator()
    weight = generator.linear.weight.clone()
    run(drawn(1)[1], Reversal(steps=3), generator=generator)
    assert generator.linear.weight.grad is None
    assert torch.equal(generator.linear.weight, weight)
