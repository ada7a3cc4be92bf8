"""Plots of many runs."""

import pandas as pd

from experiments.drawing.plots import draw_seeds


def test_error_bars_of_two_pictures_stay_within_ssim():
    frame = pd.DataFrame({seed: [0.7 + 0.01 * number, 0.9] for number, seed in enumerate("012")})
    right = draw_seeds(frame, "ssim", "SSIM").axes[1]
    ends = [segment[:, 1] for bars in right.collections for segment in bars.get_segments()]
    assert len(ends) == 3
    assert max(end.max() for end in ends) == 1.0
    assert min(end.min() for end in ends) < 0
