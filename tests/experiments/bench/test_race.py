"""The race of descents to the plain loop's last SSIM."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from experiments.bench import points
from experiments.bench.benchmark import with_linear_start
from experiments.bench.plain import plain_generator
from experiments.bench.race import TimedDescent, curves, noted, race, ratio_of_each, scores
from ganrev.coding.quantiser import Quantiser
from ganrev.evaluation.metrics import distortion
from ganrev.reversal.device import Device
from tests.experiments.bench.small import Convolutional, clock_of
from tests.tiny import smooth_images, tiny_codec


def race_of(plain_ssim, our_ssim):
    """Return a race of two pictures in two rounds; the second round is twice as slow for both."""
    pace = np.array([1.0, 2.0])
    plain = np.outer(pace, [0, 10, 20])
    ours = np.outer(pace, [0, 1, 2])
    each = np.tile(np.median(ours, axis=0), (2, 1))
    return {
        "ganrev": TimedDescent(2, [0, 5, 10], ours, each, np.array(our_ssim)),
        "plain": TimedDescent(1, [0, 5, 10], plain, plain, np.array(plain_ssim)),
    }


def seconds(found, name):
    return found[name].seconds_to(found["plain"].ssim[:, -1].mean())


def test_seconds_until_the_plain_loops_last_ssim_are_those_of_the_first_step_that_has_it():
    found = race_of([[0.1, 0.7, 0.8], [0.1, 0.5, 0.6]], [[0.1, 0.9, 0.9], [0.1, 0.5, 0.9]])
    assert [found[name].step_to(0.7) for name in ("plain", "ganrev")] == [10, 5]  # means 0.7, and 0.1, 0.7, 0.9
    assert (seconds(found, "plain"), seconds(found, "ganrev")) == ([20, 40], [1, 2])
    # Of each picture: ours takes the median of both rounds.
    assert ratio_of_each(found["plain"], found["ganrev"]) == pytest.approx([20 / 1.5, 40 / 3])


def test_a_plain_loop_that_was_there_before_its_last_step_is_credited_with_it():
    found = race_of([[0.1, 0.8, 0.8]] * 2, [[0.1, 0.2, 0.8]] * 2)
    assert (seconds(found, "plain"), seconds(found, "ganrev")) == ([10, 20], [2, 4])


def test_an_ssim_that_is_never_reached_takes_for_ever():
    found = race_of([[0.1, 0.2, 0.9]] * 2, [[0.1, 0.2, 0.3]] * 2)
    assert seconds(found, "ganrev") == [math.inf, math.inf]
    assert ratio_of_each(found["plain"], found["ganrev"]) == [0, 0]
    rows = pd.DataFrame(points.to_plain_ssim(found)).set_index(["measure", "variant"])
    assert rows.loc[("ssim_apart", "ganrev - plain"), "median"] == pytest.approx(-0.6)
    assert "plain - plain" not in rows.index.get_level_values("variant")
    assert rows.loc[("time_to_plain_ssim", "plain / ganrev"), "median"] == 0
    assert rows.loc[("time_to_near", "plain / ganrev"), "median"] == 0


def test_a_thousandth_below_the_plain_loops_end_is_near_enough():
    found = race_of([[0.1, 0.8995, 0.9]] * 2, [[0.1, 0.8992, 0.8]] * 2)
    rows = pd.DataFrame(points.to_plain_ssim(found)).set_index(["measure", "variant"])["median"]
    assert rows["time_to_plain_ssim", "plain / ganrev"] == 0
    assert rows["time_to_near", "plain / ganrev"] == 20
    assert rows["time_of_both_to_near", "plain / ganrev"] == 10


def test_after_an_early_end_the_last_step_stands():
    seconds, latents = noted(clock_of({0: 1.0, 5: 2.0}), [0, 5, 10])
    assert seconds.tolist() == [1, 2, 2]
    assert latents[:, 0, 0].tolist() == [0, 5, 5]


def test_pictures_are_scored_as_the_decoder_draws_them():
    codec = tiny_codec(quant=Quantiser(None))
    image, z = smooth_images(1)[0], torch.linspace(-2, 2, 3 * 16).view(3, 16)
    drawn = codec.decode([codec.coder.write(row, 0.0) for row in z.numpy()])
    expected = [distortion(image, picture)["ssim"] for picture in drawn]
    np.testing.assert_allclose(scores(codec, z, image), expected)


def test_a_race_covers_every_picture_at_every_step_of_the_grids():
    codec = tiny_codec(device=Device("cpu", "float32", 2))
    fast, slower = with_linear_start(codec, points.QUICK).values()
    assert slower.reversal.steps == points.QUICK.num_more_steps
    found = race({"ganrev": codec, "fast": fast}, plain_generator(codec.generator), smooth_images(3), 2, 30)
    assert {name: (d.lanes, len(d.grid)) for name, d in found.items()} == {
        "ganrev": (2, 21),
        "fast": (2, fast.reversal.steps + 1),
        "plain": (1, 31),
    }
    for descent in found.values():
        assert descent.ssim.shape == descent.seconds.shape == (3, len(descent.grid))
        assert descent.rounds.shape == (2, len(descent.grid))
        assert (np.diff(descent.rounds, axis=1) > 0).all()
    np.testing.assert_allclose(found["plain"].ssim[:, 0], found["ganrev"].ssim[:, 0], atol=1e-3)
    assert (found["fast"].ssim[:, 0] > found["plain"].ssim[:, 0]).all()
    table = curves(found)
    assert list(table.columns) == ["variant", "step", "seconds_per_image", "ssim"]
    assert table.groupby("variant")["ssim"].last().min() > table.groupby("variant")["ssim"].first().min()


def test_a_generator_without_a_linear_map_races_from_the_prior_alone():
    codec = tiny_codec()
    codec.generator = Convolutional()
    assert with_linear_start(codec, points.QUICK) == {}
