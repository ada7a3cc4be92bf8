"""Symbols to files and back, without a picture."""

import numpy as np
import pytest
import torch

from ganrev.coding import container
from ganrev.coding.backends import Bzip2, Range, Store
from ganrev.coding.frame import CorruptFileError, WrongGeneratorError
from ganrev.coding.latent_coder import CodeLengths, LatentCoder
from tests.tiny import TinyGenerator

STEP_SIZES = torch.linspace(0.5, 2.0, 16)
SYMBOLS = np.array([3, -2, 1, 0] * 4, np.int32)


def coder(back_end, scaled=True, **changes):
    generator = TinyGenerator(**changes)
    generator.set_latent_statistics(torch.full((16,), 0.5), STEP_SIZES)
    return LatentCoder(generator, back_end, scaled)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("back_end", [Bzip2(), Range("fitted"), Range("adaptive")], ids=lambda b: type(b).__name__)
def test_latents_come_back(back_end, scaled):
    blob = coder(back_end, scaled).write(SYMBOLS, 0.25)
    z = coder(Store(), not scaled).read(blob)  # the file says how it is to be read
    assert z.shape == (16,)
    assert z.dtype == torch.float32
    torch.testing.assert_close(z, torch.from_numpy(SYMBOLS) * 0.25 * (STEP_SIZES if scaled else 1))


def test_without_a_step_size_the_file_holds_the_latents():
    z = np.linspace(-1, 1, 16, dtype=np.float32)
    blob = coder(Store(), scaled=False).write(z, 0.0)
    assert torch.equal(coder(Bzip2()).read(blob), torch.from_numpy(z))


def test_step_sizes_are_those_of_all_latents_or_each_latents_own():
    assert coder(Store(), scaled=False).step_sizes(0.5) == 0.5
    assert torch.equal(torch.as_tensor(coder(Store()).step_sizes(0.5)), 0.5 * STEP_SIZES)
    of_lanes = torch.as_tensor(coder(Store()).step_sizes(torch.tensor([0.5, 2.0])))
    assert of_lanes.shape == (2, 16)


def test_the_ideal_size_is_within_a_byte_or_so_of_the_file():
    symbols = torch.from_numpy(np.stack([SYMBOLS, 0 * SYMBOLS]))
    one = coder(Range("fitted"))
    sizes = one.num_bytes(symbols, torch.tensor([0.25, 0.25]))
    assert sizes.shape == (2,)
    payloads = [container.payload_bytes(one.write(row, 0.25)) for row in symbols.numpy()]
    assert all(payload - 1 <= size + 1.5 for payload, size in zip(payloads, sizes.tolist(), strict=True))
    assert sizes[1] < sizes[0]


def test_files_of_other_weights_and_contradictions_are_refused():
    blob = coder(Store()).write(SYMBOLS, 0.25)
    with pytest.raises(WrongGeneratorError, match="made with generator 012345"):
        coder(Store(), digest="ff" * 32).read(blob)
    floats = coder(Store()).write(np.ones(16, np.float32), 0.25)
    with pytest.raises(CorruptFileError, match="contradict each other"):
        coder(Store()).read(floats)


def test_step_sizes_that_cannot_be_coded_are_refused():
    with pytest.raises(ValueError, match="quant=none needs another"):
        coder(Range()).check(0.0)
    with pytest.raises(ValueError, match=r"the step is 5e-06 in units of z, .* at least 28"):
        coder(Store()).check(1e-5)
    with pytest.raises(ValueError, match="quant=rd needs entropy"):
        coder(Bzip2()).check(0.25, prices=True)
    coder(Range("fitted")).check(0.25, prices=True)


def test_symbols_beyond_the_table_of_lengths_count_like_its_ends():
    lengths = CodeLengths(np.zeros((1, 3), np.int64), 2, torch.device("cpu"))
    inside = lengths.bits(torch.tensor([[-2, 0, 2]]))
    assert torch.equal(lengths.bits(torch.tensor([[-7, 0, 9]])), inside)
    assert inside[0, 0] == inside[0, 2] > inside[0, 1]
