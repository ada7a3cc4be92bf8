"""What latents beyond z and automatic mode cost, on a tiny generator."""

import pandas as pd

from experiments.bench import benchmark, levels, points
from tests.tiny import OVERRIDES, smooth_images

GRID = [*OVERRIDES, "generator._target_=tests.tiny.TinyGridGenerator", "reversal.steps=4"]


def test_all_latents_are_compared_with_z_alone(monkeypatch):
    monkeypatch.setattr(levels, "_SIZES", (60,))
    monkeypatch.setattr(levels, "_CURVE", (40, 90))
    size = benchmark.make_codec(GRID).image_size
    frame = pd.DataFrame(levels.levels(benchmark.make_codec(GRID), GRID, smooth_images(2, size), points.QUICK))
    assert set(frame["point"]) == {"h"}
    seconds = frame[frame["measure"] == "seconds_to_encode"]
    assert seconds["variant"].tolist() == ["z", "all", "automatic, 60 bytes", "automatic, 2 sizes"]
    assert (seconds["median"] > 0).all()
    assert frame[frame["unit"] == "times"]["measure"].tolist() == ["encode", "decode_files"]


def test_without_a_grid_there_is_nothing_to_compare():
    assert levels.levels(benchmark.make_codec(OVERRIDES), OVERRIDES, smooth_images(1, 32), points.QUICK) == []
