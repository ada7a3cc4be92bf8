"""The same command gives the same bytes; other threads, batches and instructions change next to nothing.

How little: docs/robustness.md. With the shipped generator, and with a tiny one that has a grid, in processes of their
own, since threads and instructions are chosen when a process begins.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ganrev.coding import container

ROOT = Path(__file__).resolve().parents[2]
SHORT = ["codec=gan", "loss=ssim", "reversal.steps=25"]
GRID = [
    *("codec=gan", "generator._target_=tests.tiny.TinyGridGenerator", "latent=all", "device.dtype=float32"),
    *("quant=rd", "quant.lmbda=1e-5", "quant.steps=3", "quant.rounds=2", "entropy=range", "entropy.model=fitted"),
    *("loss=mse", "reversal.steps=10", "reversal.lr=0.2"),
]
# As on a processor without AVX, which has no bfloat16 either.
OLD_PROCESSOR = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}


def compute(folder, overrides, threads, batch, **environment):
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "tests.deterministic", str(folder), str(threads), str(batch), *overrides]
    environment = os.environ | {"TQDM_DISABLE": "1"} | environment
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module", params=[SHORT, GRID], ids=["z", "all"])
def overrides(request):
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory, overrides):
    return tmp_path_factory.mktemp("determinism")


@pytest.fixture(scope="module")
def first(folder, overrides):
    """Two pictures, encoded together by two threads and decoded."""
    return compute(folder / "first", overrides, 2, 2)


def test_files_of_all_latents_hold_a_grid(folder, overrides, first):
    with_grid = [container.read((folder / "first" / f"{n}.gr").read_bytes()).has_grid for n in range(2)]
    assert with_grid == [overrides is GRID] * 2


def test_the_same_command_gives_the_same_bytes(folder, overrides, first):
    again = compute(folder / "again", overrides, 2, 2)
    assert again["files"] == first["files"]
    assert again["decoded"] == first["decoded"]


def test_other_threads_and_batches_change_sizes_and_scores_by_next_to_nothing(folder, overrides, first):
    other = compute(folder / "other", overrides, 1, 1)
    assert np.allclose(other["sizes"], first["sizes"], rtol=0.01)
    assert np.allclose(other["ssim"], first["ssim"], rtol=0, atol=1e-3)


@pytest.mark.parametrize(("threads", "batch", "environment"), [(1, 1, {}), (2, 2, OLD_PROCESSOR)])
def test_symbols_decode_exactly_and_pixels_nearly_everywhere(folder, overrides, first, threads, batch, environment):
    found = compute(folder / "first", overrides, threads, batch, **environment)
    assert found["files"] == first["files"]
    assert found["latents"] == first["latents"]
    before, after = (np.load(one["pixels"]).astype(int) for one in (first, found))
    apart = np.abs(before - after)
    assert (apart <= 1).mean() >= 0.999
