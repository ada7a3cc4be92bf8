"""Options are checked in one way, and a mistake is told in one line."""

import re
from typing import Annotated, Literal

import hydra
import pytest
from omegaconf import OmegaConf
from pydantic import Field

from ganrev.configuration.options import (
    BelowOne,
    Count,
    CountOrZero,
    NotNegative,
    Number,
    Positive,
    Several,
    Share,
    Whole,
    check_option,
    checked_options,
)


class Oven:
    """A class with an option of each kind, and what is none."""

    @checked_options("oven.")
    def __init__(
        self,
        heat: Positive,
        trays: Count = 1,
        fan: bool = False,
        mode: Literal["top", "bottom"] = "top",
        door: Share | None = None,
        label: str = "",
    ) -> None:
        self.heat, self.trays, self.fan, self.mode, self.door, self.label = heat, trays, fan, mode, door, label


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heat": -1}, "oven.heat must be a positive number, got -1"),
        ({"heat": "hot"}, "oven.heat must be a positive number, got 'hot'"),
        ({"heat": 1, "trays": 1.5}, "oven.trays must be a whole number of at least 1, got 1.5"),
        ({"heat": 1, "fan": 1}, "oven.fan must be true or false, got 1"),
        ({"heat": 1, "mode": "side"}, "oven.mode must be one of top, bottom, got 'side'"),
        ({"heat": 1, "mode": ["top"]}, "oven.mode must be one of top, bottom, got ['top']"),
        ({"heat": 1, "door": 1}, "oven.door must be a number between 0 and 1, or null, got 1"),
        ({"heat": None}, "oven.heat must be a positive number, got None"),
    ],
)
def test_a_mistake_names_the_option_what_was_expected_and_what_came(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Oven(**options)


def test_values_are_converted_and_the_rest_is_left_alone():
    oven = Oven(3, 1e3, mode="bottom", door=None, label=7)
    assert (oven.heat, oven.trays, oven.mode, oven.door, oven.label) == (3.0, 1000, "bottom", None, 7)
    assert isinstance(oven.heat, float)
    assert isinstance(oven.trays, int)


def test_the_first_of_two_mistakes_is_told():
    with pytest.raises(ValueError, match=r"^oven\.heat must"):
        Oven(door=2, trays=0, heat=0)


def test_missing_and_unknown_options_are_told_as_python_does():
    with pytest.raises(TypeError, match=r"Oven.__init__\(\) missing 1 required positional argument: 'heat'"):
        Oven()
    with pytest.raises(TypeError, match=r"Oven.__init__\(\) got an unexpected keyword argument 'heet'"):
        Oven(1, heet=2)


def test_hydra_builds_what_is_checked():
    oven = hydra.utils.instantiate({"_target_": Oven, "heat": 2, "trays": 3.0})
    assert (oven.heat, oven.trays) == (2.0, 3)


@pytest.mark.parametrize("kind", [Number, Positive, NotNegative, Share, BelowOne, Whole, Count, CountOrZero])
@pytest.mark.parametrize("value", [True, "0.5", "1", None, float("nan"), float("inf"), -float("inf"), 1j, [1], {}])
def test_what_is_no_number_is_of_no_kind_of_numbers(kind, value):
    with pytest.raises(ValueError, match=r"^train\.x must be a "):
        check_option(kind, "train.x", value)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Number, [0, -1.5, 2], []),
        (Positive, [1e-300, 1, 2.5], [0, -1, 10**400]),
        (NotNegative, [0, 0.5], [-1e-9]),
        (Share, [0.5], [0, 1, -0.1]),
        (BelowOne, [0, 0.999], [1, -0.1]),
        (Whole, [-3, 1e3, 2**70], [0.5]),
        (Count, [1, 2.0], [0, -1, 1.5]),
        (CountOrZero, [0, 3], [-1, 0.5]),
    ],
)
def test_each_kind_has_its_range(kind, good, bad):
    assert [check_option(kind, "x", value) for value in good] == good
    for value in bad:
        with pytest.raises(ValueError, match=r"^x must be a (positive |whole )?number"):
            check_option(kind, "x", value)


def test_lists_may_be_those_of_omegaconf():
    pair = Annotated[tuple[BelowOne, BelowOne], Several, Field(description="two numbers in [0, 1)")]
    assert check_option(pair, "x", OmegaConf.create([0.9, 0])) == (0.9, 0.0)
    for value in ([0.9], [0.9, 1], "99", 0.9, [0.1, True]):
        with pytest.raises(ValueError, match=r"^x must be two numbers in \[0, 1\), got"):
            check_option(pair, "x", value)
