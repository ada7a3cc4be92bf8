"""Memory at work, measured in a process of its own."""

import mmap

import pytest

from experiments.bench import memory
from tests.experiments.bench.small import CPU
from tests.tiny import OVERRIDES


@pytest.mark.parametrize("variant", memory.VARIANTS)
def test_memory_at_work_is_more_than_what_was_loaded(variant):
    found = memory.measure(variant, 2, OVERRIDES)
    assert found["peak"] >= found["baseline"] > 50  # MiB; torch alone takes more


def test_memory_that_was_given_back_before_does_not_count():
    with mmap.mmap(-1, 190 * 2**20) as gone:  # not from the heap, which may keep what was freed
        gone.write(b"1" * len(gone))
    baseline = memory._start(CPU)
    with mmap.mmap(-1, 40 * 2**20) as kept:
        kept.write(b"1" * len(kept))
        assert 30 * 2**20 < memory._peak(CPU) - baseline < 100 * 2**20
