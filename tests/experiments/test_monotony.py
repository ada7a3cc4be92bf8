"""How often the loss rises with the size."""

import pandas as pd

from experiments.monotony import count_rises


def rows(**psnr):
    return pd.DataFrame({"name": list(psnr), "ssim": 0.9, "psnr": list(psnr.values())})


def test_rises_are_counted_by_picture_and_on_average():
    points = [rows(a=30.0, b=24.0, c=28.0), rows(b=25.0, a=29.0, d=1.0), rows(a=29.5, b=25.0)]
    both = {"_target_": "ganrev.reversal.WeightedSum", "weights": {"ssim": 1.0, "mse": 14.0}}
    for loss, words in ((both, "(1 - SSIM) + 14 MSE"), ({"_target_": "ganrev.reversal.MSE"}, "MSE")):
        assert count_rises(points, loss) == (
            f"the loss it minimises, {words}, is higher at the larger of two neighbouring sizes in 2 of 4 pairs of "
            "single pictures' files, and in 2 of 2 on average."
        )
    better = [rows(a=30.0), rows(a=29.0)]
    assert "in 0 of 1 pairs" in count_rises(better, both)
    assert "in 0 of 1 pairs" in count_rises(better, {"_target_": "ganrev.reversal.SSIM"})  # equal


def test_nothing_is_said_of_other_losses_and_of_one_size():
    assert count_rises([rows(a=30.0)] * 2, {"_target_": "ganrev.reversal.STLPIPS"}) == ""
    assert count_rises([rows(a=30.0)] * 2, {"weights": {"ssim": 1.0, "stlpips": 1.0}}) == ""
    assert count_rises([rows(a=30.0)], {"_target_": "ganrev.reversal.MSE"}) == ""
