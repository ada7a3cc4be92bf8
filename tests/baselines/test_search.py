"""The search for the best file within a size, over a codec whose files are known."""

import pytest
import torch

from baselines import JPEG
from baselines.search import Knobs, best_file
from ganrev.codecs import BelowFloorError

IMAGE = torch.full((3, 4, 4), 100, dtype=torch.uint8)


def make(size_of, error_of):
    """Return `write` and `read` of a codec: a file has the given size and draws a picture that is off by so much."""

    def write(quality, settings):
        return bytes([error_of(quality, settings)]).ljust(size_of(quality, settings), b"\0")

    return write, lambda blob: IMAGE + blob[0]


def search(target, knobs, size_of, error_of):
    return best_file(IMAGE, target, knobs, *make(size_of, error_of))


@pytest.mark.parametrize("target", [10, 11, 57, 109, 500])
def test_the_highest_quality_that_fits(target):
    blob = search(target, Knobs(range(100)), lambda quality, _: 10 + quality, lambda quality, _: 100 - quality)
    assert len(blob) == min(target, 109)


def test_a_quality_that_fits_again_above_one_that_does_not():
    sizes = {50: 999, 51: 999}
    blob = search(
        60, Knobs(range(100)), lambda quality, _: sizes.get(quality, 8 + quality), lambda quality, _: 100 - quality
    )
    assert len(blob) == 60


def test_the_better_setting_wins_though_its_file_is_smaller():
    knobs = Knobs(range(100), [[{"bias": 0}, {"bias": 20}, {"bias": 10}]])
    blob = search(50, knobs, lambda quality, s: 1 + quality + s["bias"], lambda quality, s: 100 - 2 * s["bias"])
    assert blob[0] == 60
    assert len(blob) <= 50


def test_of_two_equal_pictures_the_smaller_file_is_kept():
    knobs = Knobs([1], [[{"size": 30}, {"size": 20}, {"size": 25}]])
    assert len(search(40, knobs, lambda _, s: s["size"], lambda *_: 5)) == 20


def test_later_rounds_build_on_the_best_so_far_and_stay_near_its_quality():
    tried = []

    def size_of(quality, settings):
        tried.append((quality, settings))
        return 1 + quality - settings.get("b", 0)

    knobs = Knobs(range(100), [[{"a": 1}, {"a": 2}], [{"b": 3}]])
    blob = search(50, knobs, size_of, lambda quality, settings: 120 - quality - settings["a"])
    assert blob[0] == 120 - 52 - 2  # b saves three bytes, which buy three steps of quality
    later = [(quality, settings) for quality, settings in tried if "b" in settings]
    assert all(settings["a"] == 2 and 38 <= quality <= 60 for quality, settings in later)


def test_a_later_round_may_be_the_first_that_fits():
    knobs = Knobs(range(100), [[{"slow": 0}], [{"slow": 1}]])
    assert len(search(28, knobs, lambda quality, s: 30 + quality - 5 * s["slow"], lambda quality, _: 100)) <= 28


def test_below_the_floor_the_error_names_it():
    with pytest.raises(
        BelowFloorError, match=r"has 29 bytes or less: .*floor for it is 30 bytes; ask .*=30 or"
    ) as caught:
        search(29, Knobs(range(100), [[{"a": 9}, {"a": 0}]]), lambda q, s: 30 + q + s["a"], lambda *_: 1)
    assert isinstance(caught.value, ValueError)
    assert BelowFloorError.floor_in(str(caught.value)) == 30
    assert BelowFloorError.floor_in("a picture of another size") is None


def test_what_lies_below_the_floor_is_given_up_soon():
    count = 0

    def size_of(quality, settings):
        nonlocal count
        count += 1
        return 100 + quality

    with pytest.raises(BelowFloorError):
        search(50, Knobs(range(1000), [[{"a": 1}, {"a": 2}]]), size_of, lambda *_: 1)
    assert count == 6


@pytest.mark.parametrize("target", [0, -1, 2.5, "small", True, float("nan")])
def test_sizes_that_are_none(target):
    with pytest.raises(ValueError, match=r"codec\.target_bytes must be a whole number of at least 1, or null, got"):
        JPEG(50, target)


def test_sizes():
    assert JPEG(50).target_bytes is None
    assert JPEG(50, 445.0).target_bytes == 445
