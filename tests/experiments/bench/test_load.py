"""Several jobs at once, each in a process of its own."""

import pytest

from experiments.bench import load
from tests.tiny import OVERRIDES


def test_jobs_of_one_machine_add_up():
    assert load.throughput(2, 3, OVERRIDES) > 0


def test_a_job_that_fails_is_reported():
    with pytest.raises(RuntimeError, match="a job of the benchmark under load failed"):
        load.throughput(1, 3, [*OVERRIDES, "reversal.lr=0"])


def test_throughput_is_compared_with_one_job(monkeypatch):
    rates = {(1, load.LONG_SPIN): 20.0, (1, None): 19.0, (2, None): 17.1}
    monkeypatch.setattr(load, "throughput", lambda num, steps, overrides, spin: rates[num, spin])
    rows = {(row["measure"], row["variant"]): row["median"] for row in load.load([1, 2], 10, 3, [])}
    assert rows["throughput", "2 at once / 1"] == pytest.approx(0.9)
    assert rows["throughput", "1 / 1 with a long spin"] == pytest.approx(0.95)
    assert rows["steps_under_load", "1 at once, long spin"] == 20


def test_the_spin_is_short_unless_another_is_asked_for(monkeypatch):
    seen = []

    class Job:
        def __init__(self, command, env, **pipes):
            seen.append(env.get(load.SPIN))
            raise OSError("enough")

    monkeypatch.setenv(load.SPIN, "500")
    monkeypatch.setattr(load.subprocess, "Popen", Job)
    for spin in (None, load.LONG_SPIN):
        with pytest.raises(OSError, match="enough"):
            load.throughput(1, 3, [], spin)
    assert seen == [None, load.LONG_SPIN]
