"""Where the bytes of a file go."""

import numpy as np
import pytest

from ganrev.coding.backends import Range
from ganrev.coding.latent_coder import LatentCoder
from ganrev.coding.level_bytes import level_bytes
from tests.tiny import TinyGridGenerator


def write(symbols):
    coder = LatentCoder(TinyGridGenerator(), Range("fitted"), True, "all")
    return coder, coder.write(symbols, 0.5)


@pytest.fixture
def symbols():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.integers(-9, 10, 16), rng.integers(-2, 3, 96)]).astype(np.int32)


def test_levels_add_up_to_the_file(symbols):
    coder, blob = write(symbols)
    parts = level_bytes(coder, blob)
    assert sum(parts.values()) == pytest.approx(len(blob))
    alone = level_bytes(*write(symbols * (np.arange(len(symbols)) < 16)))
    assert alone["grid"] == 0
    assert parts["header"] == alone["header"]
    assert parts["z"] == pytest.approx(alone["z"], abs=2)  # the byte of its width, and the stream's last one
    assert parts["grid"] > 10
