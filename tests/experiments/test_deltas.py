"""Bjontegaard's deltas of curves whose differences are known."""

import numpy as np
import pandas as pd
import pytest

from experiments.deltas import compare_curves, overlap, to_markdown


def curve(label, rates, offset=0.0, scale=1.0):
    """PSNR grows with the logarithm of the bytes."""
    rates = np.asarray(rates, dtype=float)
    psnr = 10 + 5 * np.log2(rates * scale / 100) + offset
    return pd.DataFrame({"curve": label, "num_bytes": rates, "psnr": psnr, "num_without": 0})


RATES = [100, 200, 300, 500, 800, 1300]


def test_half_of_the_bytes_at_equal_quality():
    frame = pd.concat([curve("anchor", RATES), curve("half", RATES, scale=2.0)], ignore_index=True)
    line = compare_curves(frame, ["anchor"]).iloc[0]
    assert (line["curve"], line["anchor"], line["measure"]) == ("half", "anchor", "psnr")
    assert line["bd_rate"] == pytest.approx(-50, abs=0.5)
    assert line["bd_quality"] == pytest.approx(5, abs=0.05)
    assert line["rate_overlap"] == pytest.approx(1)
    assert line["quality_overlap"] == pytest.approx(1 - 1 / np.log2(13))


def test_too_little_overlap_is_refused():
    frame = pd.concat([curve("anchor", RATES), curve("far", np.array(RATES) * 9)], ignore_index=True)
    found = compare_curves(frame, ["anchor"])
    assert found[["bd_rate", "bd_quality"]].isna().all(axis=None)
    assert (found["quality_overlap"] < 0.5).all()
    assert to_markdown(found).count("refused (") == 2


def test_points_that_some_picture_lacks_do_not_count():
    frame = pd.concat([curve("anchor", RATES), curve("other", RATES, 1.0)], ignore_index=True)
    frame.loc[frame["num_bytes"] < 300, "num_without"] = 1
    found = compare_curves(frame, ["anchor"])
    assert found["bd_quality"].iloc[0] == pytest.approx(1, abs=0.01)
    frame.loc[frame["num_bytes"] < 500, "num_without"] = 1
    assert compare_curves(frame, ["anchor"])["bd_rate"].isna().all()
    assert "too few points" in to_markdown(compare_curves(frame, ["anchor"]))


def test_an_anchor_that_was_not_measured_is_passed_over():
    assert compare_curves(curve("alone", RATES), ["nobody", "alone"]).empty


def test_points_that_cost_more_and_are_no_better_are_left_out():
    frame = pd.concat([curve("anchor", RATES), curve("other", [*RATES, 1301])], ignore_index=True)
    frame.loc[frame.index[-1], "psnr"] = 0.0
    assert compare_curves(frame, ["anchor"])["bd_rate"].iloc[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [([0, 2], [1, 3], 1 / 2), ([0, 1], [0, 9], 1), ([0, 1], [2, 3], 0), ([], [1], 0), ([1], [1], 0)],
)
def test_the_overlap_is_a_share_of_the_narrower_range(first, second, share):
    assert overlap(np.array(first, float), np.array(second, float)) == pytest.approx(share)
