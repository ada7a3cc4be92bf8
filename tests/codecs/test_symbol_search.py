"""Symbols weighed against their bytes: never worse than rounding, cheaper where bytes are dear."""

import numpy as np
import pytest
import torch

from ganrev.codecs.polishing import cheapest_moves, polish
from ganrev.codecs.problem import Problem
from ganrev.codecs.symbol_search import search
from ganrev.coding import container, range_coder
from ganrev.coding.backends import Bzip2, Range
from ganrev.coding.latent_coder import CodeLengths
from ganrev.coding.quantiser import (
    Effort,
    Quantiser,
    RateDistortion,
    ScaledQuantiser,
    dequantise,
    quantise,
    step_size_for,
)
from ganrev.pixels import to_x
from ganrev.reversal.losses import MSE, SSIM
from ganrev.reversal.reversing import lane_rng
from ganrev.reversal.settings import Reversal
from tests.codecs.told_generator import STEPS, drawn_images, told_generator
from tests.tiny import TinyGenerator, smooth_images, tiny_codec

REVERSAL = Reversal(lr=0.1, steps=40)


def rd_codec(lmbda, **changes):
    quant = RateDistortion(lmbda, step=0.2, steps=20, rounds=15)
    return tiny_codec(
        **{"generator": told_generator(), "quant": quant, "entropy": Range("fitted"), "reversal": REVERSAL} | changes
    )


def problem_of(images, lmbda, step=0.2):
    scales = range_coder.scale_codes(np.full(16, 0.5, np.float32), step * STEPS.numpy())
    return Problem(
        told_generator(),
        MSE(),
        to_x(images),
        (step * STEPS).expand(len(images), -1),
        torch.full((len(images),), lmbda),
        lambda symbols: np.broadcast_to(scales, symbols.shape),
    )


def cost(problem, symbols):
    with torch.no_grad():
        return problem.distortion(symbols.float()) + problem.lmbda * problem.lengths(symbols).num_bytes(symbols)


def test_rates_are_the_code_lengths_of_the_tables():
    symbols = torch.tensor([[0, 1, -3], [2, 0, 0]], dtype=torch.int32)
    codes = np.array([[0, 8, 16], [8, 8, -32]])
    bits = CodeLengths(codes, 5, symbols.device).bits(symbols)
    lengths = [[range_coder.code_lengths(code, 5) for code in row] for row in codes.tolist()]
    rows = zip(symbols.tolist(), lengths, strict=True)
    expected = [[table[symbol + 5] for symbol, table in zip(*row, strict=True)] for row in rows]
    torch.testing.assert_close(bits, torch.tensor(expected, dtype=torch.float32))


@pytest.mark.parametrize("lmbda", [1e-5, 1e-3, 1e-2])
def test_polishing_and_searching_never_raise_the_cost_of_a_lane(lmbda):
    images = smooth_images(5)
    problem = problem_of(images, lmbda)
    z = torch.randn(5, 16, generator=torch.Generator().manual_seed(0))
    plain = quantise(z, problem.step_sizes)
    polished = polish(problem, plain, num_rounds=30)
    assert polished.dtype == torch.int32
    assert polished.shape == (5, 16)
    assert (cost(problem, polished) <= cost(problem, plain) + 1e-6).all()
    assert (cost(problem, polished) < cost(problem, plain) - 1e-4).all()  # random latents leave much to win
    _, found, _ = search(problem, z, Effort(30, 0.05, 10), [lane_rng(0, image, 0) for image in images])
    assert (cost(problem, found) < cost(problem, plain)).all()


def test_a_file_is_never_worse_than_one_of_plain_rounding():
    images = smooth_images(6)
    for lmbda in (1e-5, 1e-3, 1e-2):
        codec = rd_codec(lmbda)
        plain = tiny_codec(
            generator=told_generator(), quant=ScaledQuantiser(0.2), entropy=Range("fitted"), reversal=REVERSAL
        )
        costs = []
        for each in (codec, plain):
            blobs = each.encode(images)
            drawn = to_x(each.decode(blobs))
            costs.append(MSE()(drawn, to_x(images)) + lmbda * torch.tensor([float(len(blob)) for blob in blobs]))
        assert (costs[0] <= costs[1] + lmbda).all()  # the last byte of a file is whole
        assert costs[0].sum() < costs[1].sum()


def test_dearer_bytes_are_fewer():
    images = drawn_images(4)
    sizes = [sum(map(len, rd_codec(lmbda).encode(images))) for lmbda in (1e-6, 5e-2, 1.0)]
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[2] <= 4 * 14  # next to nothing but headers


def test_files_are_the_same_again_and_decode_in_a_fresh_codec():
    images = smooth_images(3)
    blobs = rd_codec(1e-3).encode(images)
    assert rd_codec(1e-3).encode(images) == blobs
    content = container.read(blobs[0])
    assert content.scaled
    other = tiny_codec(generator=told_generator(), quant=ScaledQuantiser(3.0), entropy=Bzip2())
    assert torch.equal(other.decode(blobs), rd_codec(1e-3).decode(blobs))


def test_a_picture_does_not_depend_on_its_neighbours():
    images = smooth_images(4)
    together, alone = rd_codec(1e-3).encode(images)[2], rd_codec(1e-3).encode(images[2:3])[0]
    assert abs(len(together) - len(alone)) <= 1
    codec = rd_codec(1e-3)
    drawn = to_x(codec.decode([together, alone]))
    distances = MSE()(drawn, to_x(images[2:3]).expand(2, -1, -1, -1))
    assert float(distances[0]) == pytest.approx(float(distances[1]), rel=0.02)


def test_restarts_are_chosen_by_distortion_and_bytes_together():
    images = smooth_images(3)
    one = rd_codec(1e-3).encode(images)
    four = rd_codec(1e-3, reversal=Reversal(lr=0.1, steps=40, restarts=4)).encode(images)
    codec = rd_codec(1e-3)
    costs = [
        MSE()(to_x(codec.decode(blobs)), to_x(images)) + 1e-3 * torch.tensor([float(len(b)) for b in blobs])
        for blobs in (one, four)
    ]
    assert costs[1].mean() <= costs[0].mean()
    assert (costs[1] <= costs[0] + 2e-3).all()  # two bytes: another lane may have seemed the best before the search


def test_recoding_latents_gives_what_encoding_gives():
    images = smooth_images(3)
    codec = rd_codec(1e-3)
    floats = tiny_codec(generator=told_generator(), quant=Quantiser(None), reversal=REVERSAL)
    z = floats.latents(floats.encode(images))
    sizes = [len(blob) for blob in codec.recode(z, images)]
    assert sizes == pytest.approx([len(blob) for blob in codec.encode(images)], abs=1)


# ---- steps of their own


def test_scaled_steps_multiply_each_latents_own():
    codec = tiny_codec(generator=told_generator(), quant=ScaledQuantiser(0.25), entropy=Range("prior"))
    (blob,) = codec.encode(smooth_images(1))
    content = container.read(blob)
    assert (content.step_size, content.scaled) == (0.25, True)
    (z,) = codec.latents([blob])
    symbols = z / (0.25 * STEPS)
    torch.testing.assert_close(symbols, symbols.round())
    assert symbols.abs().max() >= 1


def test_a_scaled_step_is_stored_in_sixteen_bits_and_ignores_latent_scale():
    assert (
        ScaledQuantiser(0.1).stored_step_size(7.6, 1.0)
        == ScaledQuantiser(0.1).stored_step_size(1.0, 1.0)
        == 0.10009765625
    )
    z = torch.tensor([[0.24, 0.26]])
    steps = torch.tensor([0.5, 0.5])
    assert quantise(z, steps).tolist() == [[0, 1]]
    assert dequantise(quantise(z, steps), steps).tolist() == [[0.0, 0.5]]


def test_wide_steps_cost_nothing():
    generator = TinyGenerator()
    generator.set_latent_statistics(torch.full((16,), 0.5), torch.tensor([1.0] * 8 + [100.0] * 8))
    codec = tiny_codec(generator=generator, quant=ScaledQuantiser(0.1), entropy=Range("prior"), loss=SSIM())
    assert (codec.latents(codec.encode(smooth_images(2)))[:, 8:] == 0).all()


def test_the_step_grows_with_the_price():
    assert step_size_for(4e-4, 1.0) == 2 * step_size_for(1e-4, 1.0) == step_size_for(1e-4, 0.25)


@pytest.mark.parametrize(
    ("deviations", "steps"),
    [
        (torch.ones(15), torch.ones(16)),
        (torch.ones(16), torch.zeros(16)),
        (torch.full((16,), torch.inf), torch.ones(16)),
    ],
)
def test_a_table_of_latents_must_fit(deviations, steps):
    with pytest.raises(ValueError, match=r"of latents must be 16 positive numbers"):
        TinyGenerator().set_latent_statistics(deviations, steps)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"lmbda": 0}, r"quant\.lmbda must be a positive number, got 0"),
        ({"lmbda": "much"}, r"quant\.lmbda must be a positive number, got 'much'"),
        ({"lmbda": 1e-4, "lr": -1}, r"quant\.lr must be a positive number"),
        ({"lmbda": 1e-4, "steps": 1.5}, r"quant\.steps must be a whole number"),
        ({"lmbda": 1e-4, "rounds": -1}, r"quant\.rounds must be a whole number"),
        ({"lmbda": 1e-4, "step": 0}, r"quant\.step must be a positive number"),
    ],
)
def test_bad_options_are_refused(options, match):
    with pytest.raises(ValueError, match=match):
        RateDistortion(**options)


def test_scaled_needs_a_step():
    with pytest.raises(ValueError, match=r"quant\.step must be a positive number \(quant=none"):
        ScaledQuantiser(None)


@pytest.mark.parametrize("entropy", [Bzip2(), Range("flat"), Range("adaptive")])
def test_bytes_that_cannot_be_priced_are_refused(entropy):
    with pytest.raises(ValueError, match=r"quant=rd needs entropy"):
        rd_codec(1e-3, entropy=entropy)


def test_trimming_saves_bytes_and_loses_least_first():
    images = drawn_images(3)
    problem = problem_of(images, 1e-6, step=0.05)
    _, symbols, _ = search(
        problem, torch.zeros(3, 16), Effort(60, 0.1, 20), [lane_rng(0, image, 0) for image in images]
    )
    order = cheapest_moves(problem, symbols, torch.full((3,), 1e-4))
    sizes = problem.lengths(symbols).num_bytes(symbols)
    for lane, moves in enumerate(order):
        assert symbols[lane][moves].abs().min() > 0
        few = len(moves) // 3
        trials = symbols[lane].repeat(2, 1)
        for trial, chosen in zip(trials, (moves[:few], moves[-few:]), strict=True):
            trial[chosen] -= trial[chosen].sign()
        assert (problem.lengths(trials).num_bytes(trials) < sizes[lane]).all()
        with torch.no_grad():
            first, last = MSE()(told_generator()(trials * problem.step_sizes[:1]), to_x(images[lane : lane + 1]))
        assert first < last
