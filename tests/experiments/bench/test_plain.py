"""The plain loop that the benchmark compares with."""

import torch

from experiments.bench.plain import plain_generator, plain_reverse
from ganrev.pixels import to_x
from ganrev.reversal.losses import MSE
from tests.tiny import TinyGenerator, smooth_images


def run_plainly(network, steps, lr=0.1, noted=None):
    target = to_x(smooth_images(1))
    latents = [] if noted is None else noted
    rng = torch.Generator().manual_seed(0)
    return plain_reverse(network, MSE(), target, rng, lr, steps, lambda step, z: latents.append((step, z.clone())))


def test_the_plain_loop_computes_weight_gradients_in_float32():
    network = plain_generator(TinyGenerator().freeze().to(torch.bfloat16))
    run_plainly(network, 2)
    weight = network.linear.weight
    assert weight.dtype == weight.grad.dtype == torch.float32
    assert weight.grad.abs().sum() > 0


def test_a_frozen_plain_loop_computes_none_and_finds_the_same():
    generator = TinyGenerator().freeze()
    frozen, usual = plain_generator(generator, frozen=True), plain_generator(generator)
    torch.testing.assert_close(run_plainly(frozen, 5), run_plainly(usual, 5))
    assert frozen.linear.weight.grad is None
    assert not generator.linear.weight.requires_grad, "the codec's own generator stays frozen"


def test_the_plain_loop_is_adam_at_a_constant_rate():
    latents = []
    run_plainly(plain_generator(TinyGenerator()), 3, lr=0.25, noted=latents)
    assert [step for step, _ in latents] == [0, 1, 2, 3]
    start = TinyGenerator().sample_prior(1, torch.Generator().manual_seed(0))
    torch.testing.assert_close(latents[0][1], start)
    moved = (latents[1][1] - start).abs()  # Adam's first step is its rate, whatever the gradient
    torch.testing.assert_close(moved, torch.full_like(moved, 0.25), rtol=1e-3, atol=0)
