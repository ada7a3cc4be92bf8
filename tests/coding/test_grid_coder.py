"""The symbols of a grid: files, their size, and the same symbols on every machine."""

import contextlib
import hashlib
import os
import subprocess
import sys
import time
import tracemalloc
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ganrev.coding import container, range_coder
from ganrev.coding.backends import Bzip2, Range
from ganrev.coding.frame import ContainerError, CorruptFileError
from ganrev.coding.grid_coder import GridCoder, codes_of_deviations
from ganrev.coding.latent_coder import LatentCoder
from ganrev.generator.base import Generator
from ganrev.generator.grid import Grid
from ganrev.generator.grid_prior import GridPrior
from tests.tiny import TinyGenerator, TinyGridGenerator

FITTED = Range("fitted")
STEP = 0.25


def symbols_like(seed: int, spread: float, num_latents: int = 112) -> np.ndarray:
    """Return symbols as a search leaves them: most of them zero, a few large; int32."""
    rng = np.random.default_rng(seed)
    return np.round(rng.laplace(size=num_latents) * spread * np.linspace(1, 0.2, num_latents)).astype(np.int32)


@pytest.fixture(scope="module")
def coder() -> LatentCoder:
    return LatentCoder(TinyGridGenerator(), FITTED, True, "all")


@pytest.mark.parametrize("spread", [0.3, 1.0, 20.0, 3000.0])
def test_files_hold_every_symbol(coder: LatentCoder, spread: float) -> None:
    symbols = symbols_like(1, spread)
    blob = coder.write(symbols, STEP)
    content = container.read(blob)
    assert (content.version, content.has_grid) == (3, True)
    expected = torch.from_numpy(symbols).float() * (STEP * coder.generator.relative_step_sizes(112))
    assert torch.equal(coder.read(blob), expected)
    assert coder.write(symbols, STEP) == blob


@settings(max_examples=60, deadline=None)
@given(
    grid=st.lists(st.integers(-300, 300) | st.integers(-32767, 32767) | st.just(0), min_size=96, max_size=96),
    z=st.lists(st.integers(-50, 50), min_size=16, max_size=16),
    step=st.sampled_from([2.0**-9, 0.25, 1.0, 300.0]),
)
def test_any_symbols_come_back(coder: LatentCoder, grid: list[int], z: list[int], step: float) -> None:
    symbols = np.array(z + grid, dtype=np.int32)
    read = coder.read(coder.write(symbols, step))
    sizes = step * coder.generator.relative_step_sizes(len(read))
    assert torch.equal(read, torch.from_numpy(symbols[: len(read)]).float() * sizes)
    assert len(read) == (112 if any(grid) else 16)


def test_a_grid_of_zeros_costs_nothing(coder: LatentCoder) -> None:
    symbols = symbols_like(2, 3.0)
    symbols[16:] = 0
    blob = coder.write(symbols, STEP)
    assert blob == LatentCoder(coder.generator, FITTED, True).write(symbols[:16], STEP)
    assert container.read(blob).version == 2
    assert coder.read(blob).shape == (16,)


@pytest.mark.parametrize("spread", [0.5, 5.0])
def test_code_lengths_are_those_of_the_file(coder: LatentCoder, spread: float) -> None:
    symbols = symbols_like(3, spread)
    payload = len(container.read(coder.write(symbols, STEP)).payload)
    ideal = float(coder.num_bytes(torch.from_numpy(symbols)[None], torch.tensor([STEP])))
    assert ideal < payload < ideal + 3  # the offset's byte, and what the coder's end takes


def test_codes_in_whole_numbers_agree_with_the_prior_in_floats(coder: LatentCoder) -> None:
    generator = coder.generator
    grid = generator.grid
    assert grid is not None
    symbols, z = symbols_like(4, 1.5)[16:].reshape(grid.shape), torch.randn(16)
    exact = GridCoder(generator).scale_codes(symbols, z, STEP)
    assert exact.dtype == np.int64
    weight, bias = generator.thumbnail_map(4)
    thumbnail = (weight @ z.double() + bias).detach().float().view(1, 3, 4, 4)
    log2_step = grid.log2_step(torch.tensor([STEP]))
    near = codes_of_deviations(grid.prior(torch.from_numpy(symbols)[None].float(), thumbnail, log2_step))[0].numpy()
    assert np.abs(exact - near).max() <= 1
    assert (exact == near).mean() > 0.9
    assert len(np.unique(exact)) > 5


def test_files_read_together_are_those_read_one_by_one(coder: LatentCoder) -> None:
    rows = [symbols_like(seed, 0.5 + seed % 5) for seed in range(20)]
    for row in rows[::3]:
        row[16:] = 0  # of z alone, between the others
    blobs = [coder.write(row, 2.0 ** -(seed % 4)) for seed, row in enumerate(rows)]
    together = coder.read_several(blobs)
    assert [len(latents) for latents in together] == [16 if seed % 3 == 0 else 112 for seed in range(20)]
    for latents, blob in zip(together, blobs, strict=True):
        assert torch.equal(latents, coder.read(blob))
    assert coder.read_several([]) == []
    content = container.read(blobs[1])
    blobs[1] = container.write(container.Container(8, content.step_size, content.fingerprint, b"", True, True))
    with pytest.raises(CorruptFileError, match="payload is empty"):
        coder.read_several(blobs)


def test_weights_change_the_codes(coder: LatentCoder) -> None:
    generator, symbols = TinyGridGenerator(), symbols_like(5, 1.5)[16:].reshape(6, 4, 4)
    before = GridCoder(generator).scale_codes(symbols, torch.zeros(16), STEP)
    assert generator.grid is not None
    prior: GridPrior = generator.grid.prior
    prior.place.data[0] += 1
    after = GridCoder(generator).scale_codes(symbols, torch.zeros(16), STEP)
    assert np.array_equal(after[0], np.minimum(before[0] + 8, 64))


def test_codes_stay_where_the_tables_end() -> None:
    codes = codes_of_deviations(torch.tensor([-1e3, 0.0, 0.5, 1e3]))
    assert codes.dtype == torch.int64
    assert codes.tolist() == [range_coder.LOWEST, 0, 0.5 * range_coder.CODES_PER_OCTAVE, range_coder.HIGHEST]


def test_step_sizes_of_their_own_come_back_and_change_what_symbols_cost() -> None:
    generator = TinyGridGenerator()
    own = torch.linspace(0.25, 4.0, 16)
    generator.set_latent_statistics(torch.full((16,), 0.5), own)
    coder = LatentCoder(generator, FITTED, True, "all")
    symbols = symbols_like(8, 2.0)
    latents = coder.read(coder.write(symbols, STEP))
    torch.testing.assert_close(latents[:16], torch.from_numpy(symbols[:16]) * STEP * own)
    of_z = coder.z_codes(torch.from_numpy(symbols[None, :16]), torch.tensor([STEP]))
    assert np.array_equal(of_z, coder.codes(torch.from_numpy(symbols[None]), torch.tensor([STEP]))[:, :16])
    before_offset = range_coder.scale_codes(np.full(16, 0.5), STEP * own.numpy())
    assert np.ptp(of_z[0] - before_offset) == 0


def test_what_cannot_hold_a_grid_says_so() -> None:
    for back_end, scaled in ((Bzip2(), True), (Range("prior"), True), (FITTED, False)):
        with pytest.raises(ValueError, match=r"latent=all needs quant=rd or quant=scaled, entropy=range and"):
            LatentCoder(TinyGridGenerator(), back_end, scaled, "all")
    with pytest.raises(ValueError, match="no latents beyond z; take latent=z"):
        LatentCoder(TinyGenerator(), FITTED, True, "all")


def test_damaged_files_raise_what_is_documented(coder: LatentCoder) -> None:
    good = coder.write(symbols_like(6, 2.0), STEP)
    content = container.read(good)
    rng = np.random.default_rng(0)
    for _ in range(300):
        payload = bytearray(content.payload)
        for _ in range(rng.integers(1, 4)):
            payload[rng.integers(len(payload))] = rng.integers(256)
        payload = payload[: rng.integers(1, len(payload) + 1)]
        other = container.Container(8, content.step_size, content.fingerprint, bytes(payload), True, True)
        with contextlib.suppress(ContainerError):
            assert coder.read(container.write(other)).shape in {(16,), (112,)}
    for code, payload, said in ((1, content.payload, "do not have"), (8, b"", "payload is empty")):
        broken = container.Container(code, content.step_size, content.fingerprint, payload, True, True)
        with pytest.raises(CorruptFileError, match=said):
            coder.read(container.write(broken))
    without = LatentCoder(TinyGenerator(), FITTED, True)
    with pytest.raises(CorruptFileError, match="beyond z"):
        without.read(good)


def test_damaged_files_of_the_real_size_take_little_time_and_memory() -> None:
    generator = RealSizeGenerator()
    coder = LatentCoder(generator, FITTED, True, "all")
    good = container.read(coder.write(symbols_like(7, 1.0, 12800), 2.0**-5))
    rng = np.random.default_rng(0)
    hostile = {  # long files of nothing but escapes, of the widest and the narrowest spreads of z, and short ones
        "ones": b"\xff" * 200_000,
        "narrow": b"\x00" + b"\xff" * 200_000,
        "noise": rng.bytes(200_000),
        "altered": good.payload[:100] + rng.bytes(20) + good.payload[120:],
        "cut": good.payload[:100],
        "offset alone": good.payload[:1],
    }
    for (name, payload), step in product(hostile.items(), (2.0**-20, 2.0**-5, 2.0**20)):
        blob = container.write(container.Container(8, step, good.fingerprint, payload, True, True))
        began = time.process_time()
        tracemalloc.start()
        try:
            assert coder.read(blob).shape == (12800,)
        except ContainerError:
            pass
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert time.process_time() - began < 2, (name, step)  # one second, and another where memory is traced
        assert peak < 16 << 20, (name, step)


class RealSizeGenerator(Generator):
    """512 latents and a grid of 48 x 16 x 16, as the embedded generator has, of random weights; it draws nothing.

    The weights come from NumPy, since PyTorch's random numbers are others without vector instructions.
    """

    latent_dim, image_size = 512, 128
    digest = "7265616c" * 8

    def __init__(self) -> None:
        super().__init__()
        rng = np.random.default_rng(0)
        prior = GridPrior(48, 16)
        for weight in prior.parameters():
            weight.data = torch.from_numpy(rng.normal(scale=0.05, size=weight.shape)).float()
        prior.place.data -= 1
        prior.round_weights()
        self.grid = Grid((48, 16, 16), prior, unit_step=0.023)
        self.map = torch.from_numpy(rng.normal(scale=0.05, size=(768, 512))).half().double()

    def thumbnail_map(self, side: int) -> tuple[Tensor, Tensor]:
        return self.map, torch.zeros(len(self.map), dtype=torch.float64)


_CHILD = """
from tests.coding.test_grid_coder import digest_of_codes, digest_of_real_files
print(digest_of_codes(), digest_of_real_files())
"""


def digest_of_real_files() -> str:
    """Return the SHA-256 of two files of the real size, and of the latents that they decode to."""
    coder, sha = LatentCoder(RealSizeGenerator(), FITTED, True, "all"), hashlib.sha256()
    for seed, step in enumerate((2.0**-6, 2.0**-4)):
        blob = coder.write(symbols_like(seed, 1.0, 12800), step)
        sha.update(blob)
        sha.update(coder.read(blob).numpy().tobytes())
    return sha.hexdigest()


def digest_of_codes() -> str:
    """Return the SHA-256 of the scale codes of a hundred grids of random weights."""
    generator = TinyGridGenerator()
    coder, sha = GridCoder(generator), hashlib.sha256()
    for seed in range(100):
        symbols = symbols_like(seed, 2.0)[16:].reshape(coder.shape)
        z = torch.from_numpy(np.random.default_rng(seed).normal(size=16).astype(np.float32))
        sha.update(coder.scale_codes(symbols, z, 2.0 ** -(seed % 9)).tobytes())
    return sha.hexdigest()


@pytest.mark.parametrize(
    "environment",
    [
        {"OMP_NUM_THREADS": "1"},
        {"OMP_NUM_THREADS": "2", "ATEN_CPU_CAPABILITY": "default", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    ],
)
def test_codes_are_the_same_on_other_threads_and_without_vector_instructions(environment: dict[str, str]) -> None:
    child = subprocess.run(
        [sys.executable, "-c", _CHILD], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    assert child.stdout.split() == [digest_of_codes(), digest_of_real_files()]
