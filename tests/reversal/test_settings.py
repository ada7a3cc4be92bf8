"""Options of the reversal."""

import math

import pytest
from hydra.utils import instantiate

from ganrev.reversal.settings import Reversal
from tests.tiny import compose_config


def test_the_paper_preset_is_plain_descent_at_a_constant_rate():
    settings = instantiate(compose_config("reversal=paper").reversal)
    assert (settings.optimizer, settings.schedule, settings.momentum) == ("sgd", "constant", 0)
    assert 1 <= settings.lr <= 10


def test_schedules():
    constant = Reversal(lr=2, steps=100, schedule="constant")
    cosine = Reversal(lr=2, steps=100, schedule="cosine")
    assert {constant.lr_at(step) for step in range(100)} == {2}
    rates = [cosine.lr_at(step) for step in range(100)]
    assert rates[0] == 2
    assert rates[50] == pytest.approx(1)
    assert rates == sorted(rates, reverse=True)
    assert 0 < rates[-1] < 0.01


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "lbfgs"}, r"reversal\.optimizer must be one of sgd, adam, got 'lbfgs'"),
        ({"schedule": "linear"}, r"reversal\.schedule must be one of constant, cosine, got 'linear'"),
        ({"clip": "soft"}, r"reversal\.clip must be one of none, hard, stochastic, got 'soft'"),
        ({"clip": None}, r"reversal\.clip must be one of .* got None"),
        ({"steps": 0}, r"reversal\.steps must be a whole number of at least 1, got 0"),
        ({"steps": 2.5}, r"reversal\.steps must be a whole number of at least 1, got 2\.5"),
        ({"steps": "many"}, r"reversal\.steps must be a whole number of at least 1, got 'many'"),
        ({"steps": math.inf}, r"reversal\.steps must be a whole number of at least 1, got inf"),
        ({"restarts": 0}, r"reversal\.restarts must be a whole number of at least 1, got 0"),
        ({"restarts": True}, r"reversal\.restarts must be a whole number of at least 1, got True"),
        ({"lr": 0}, r"reversal\.lr must be a positive number, got 0"),
        ({"lr": -1.0}, r"reversal\.lr must be a positive number, got -1\.0"),
        ({"lr": math.nan}, r"reversal\.lr must be a positive number, got nan"),
        ({"lr": math.inf}, r"reversal\.lr must be a positive number, got inf"),
        ({"lr": "fast"}, r"reversal\.lr must be a positive number, got 'fast'"),
        (
            {"optimizer": "sgd", "momentum": 1.0},
            r"reversal\.momentum must be a number of at least 0 and below 1, got 1",
        ),
        (
            {"optimizer": "sgd", "momentum": -0.1},
            r"reversal\.momentum must be a number of at least 0 and below 1, got -",
        ),
        ({"init": "encoder"}, r"reversal\.init must be one of prior, linear, got 'encoder'"),
        ({"betas": (0.9, 1.0)}, r"reversal\.betas must be two numbers in \[0, 1\), such as .* got \(0\.9, 1\.0\)"),
        ({"betas": (0.9,)}, r"reversal\.betas must be two numbers"),
        ({"betas": 0.9}, r"reversal\.betas must be two numbers"),
        ({"halving": 1}, r"reversal\.halving must be true or false, got 1"),
        ({"scaled": "yes"}, r"reversal\.scaled must be true or false, got 'yes'"),
        ({"plateau": 0.0, "schedule": "constant"}, r"reversal\.plateau must be a number between 0 and 1, or null"),
        ({"plateau": 0.01}, r"reversal\.plateau belongs to reversal\.schedule=constant"),
        ({"optimizer": "adam", "momentum": 0.9}, r"reversal\.momentum belongs to optimizer=sgd"),
    ],
)
def test_a_bad_option_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Reversal(**options)


def test_whole_floats_pass_for_numbers():
    settings = Reversal(steps=1e2, restarts=2.0)  # YAML reads 1e2 as a float
    assert (settings.steps, settings.restarts) == (100, 2)
