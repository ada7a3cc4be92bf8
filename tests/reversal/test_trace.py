"""The trace of a reversal: losses, snapshots, the restart that was chosen."""

import torch

from ganrev.pixels import to_x
from ganrev.reversal.device import Device
from ganrev.reversal.losses import MSE
from ganrev.reversal.settings import Reversal
from ganrev.reversal.trace import NUM_SNAPSHOTS
from tests.tiny import TinyGenerator, smooth_images, tiny_codec, traced


def test_the_trace_has_the_documented_shapes():
    codec = tiny_codec(
        reversal=Reversal(lr=0.1, steps=50, restarts=3, halving=False), device=Device("cpu", "float32", 4)
    )
    _, trace = traced(codec, smooth_images(5))
    assert trace.losses.shape == (5, 3, 50)
    assert trace.diverged.shape == (5, 3)
    assert trace.chosen.shape == (5,)
    assert trace.snapshots.shape == (5, 3, len(trace.snapshot_steps), 16)
    steps = trace.snapshot_steps.tolist()
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, 50)
    assert len(steps) <= NUM_SNAPSHOTS
    assert (trace.losses[:, :, -1] < trace.losses[:, :, 0]).all()


def test_a_snapshot_is_the_latent_of_its_step():
    codec = tiny_codec(reversal=Reversal(lr=0.1, steps=30, restarts=2, halving=False))
    images = smooth_images(3)
    _, trace = traced(codec, images)
    generator = TinyGenerator().freeze()
    for index, step in enumerate(trace.snapshot_steps[:-1].tolist()):
        x = generator(trace.snapshots[:, 1, index])
        torch.testing.assert_close(MSE()(x, to_x(images)), trace.losses[:, 1, step], atol=1e-5, rtol=1e-4)


def test_a_trace_of_one_step():
    codec = tiny_codec(reversal=Reversal(lr=0.1, steps=1))
    _, trace = traced(codec, smooth_images(1))
    assert trace.snapshot_steps.tolist() == [0, 1]
