"""GAN reversal as a codec, over a generator of 16 latents."""

import numpy as np
import pytest
import torch
from hydra.utils import instantiate

from ganrev.codecs.base import CodecIdentity
from ganrev.coding import container
from ganrev.coding.backends import Bzip2, Range, Store
from ganrev.coding.quantiser import Quantiser, dequantise, quantise
from ganrev.paths import config_dir, weights_dir
from ganrev.pixels import to_images, to_x
from ganrev.reversal.device import Device
from ganrev.reversal.losses import L1, MSE, MSSSIM
from ganrev.reversal.settings import Reversal
from tests.tiny import OVERRIDES, FragileGenerator, TinyGenerator, compose_config, smooth_images, tiny_codec, traced


def seen_images(num_images):
    generator = TinyGenerator().freeze()
    return to_images(generator(generator.sample_prior(num_images, torch.Generator().manual_seed(0))))


def test_a_seen_picture_comes_back():
    images = seen_images(3)
    codec = tiny_codec(quant=Quantiser(None), reversal=Reversal(lr=0.1, steps=200), latent_scale=1)
    decoded = codec.decode(codec.encode(images))
    assert decoded.dtype == torch.uint8
    assert decoded.shape == (3, 3, 32, 32)
    mse = (decoded.float() - images.float()).square().mean(dim=(1, 2, 3))
    assert (10 * torch.log10(255**2 / mse) > 35).all()


def test_without_quantisation_the_file_holds_the_float32_latents():
    codec = tiny_codec(quant=Quantiser(None), entropy=Store())
    (blob,), trace = traced(codec, smooth_images(1))
    content = container.read(blob)
    assert content.step_size == 0
    stored = torch.from_numpy(np.frombuffer(content.payload, "<f4").copy())
    assert torch.equal(stored, trace.snapshots[0, 0, -1])


def test_small_steps_take_two_bytes_a_symbol():
    images = smooth_images(2)
    fine = tiny_codec(quant=Quantiser(1e-3), entropy=Store())
    blobs = fine.encode(images)
    assert [len(blob) for blob in blobs] == [12 + 2 * 16] * 2
    exact = tiny_codec(quant=Quantiser(None))
    difference = fine.decode(blobs).int() - exact.decode(exact.encode(images)).int()
    assert difference.abs().max() <= 1


@pytest.mark.parametrize(("restarts", "lanes"), [(1, "the lane"), (3, "all 3 lanes")])
def test_where_all_lanes_diverge_an_error_names_the_learning_rate(restarts, lanes):
    wild = Reversal("sgd", lr=1e30, steps=5, schedule="constant", restarts=restarts, halving=False)
    with pytest.raises(ValueError, match=rf"{lanes} of the picture diverged at reversal\.lr=1e\+30: loss or latents"):
        tiny_codec(reversal=wild).encode(smooth_images(1))
    with pytest.raises(ValueError, match=rf"{lanes} of each of 2 of 2 pictures diverged"):
        tiny_codec(reversal=wild).encode(smooth_images(2))


def test_a_picture_that_is_redrawn_from_the_start_has_not_diverged():
    class Flat(TinyGenerator):
        """Draws the same grey for whatever latents."""

        def forward(self, z):
            return super().forward(z) * 0

    grey = torch.full((1, 3, 32, 32), 127, dtype=torch.uint8)
    codec = tiny_codec(generator=Flat(), reversal=Reversal(lr=0.1, steps=20))
    assert (codec.decode(codec.encode(grey)).int() - grey.int()).abs().max() <= 1


# ---- the unit of z


def symbols_of(codec, images):
    blobs = codec.encode(images)
    return np.stack([Bzip2().decode(container.read(blob).payload, np.zeros(16, np.int64)) for blob in blobs])


@pytest.mark.parametrize(("latent_scale", "step"), [(None, 0.25), (1, 1.0), (10, 0.1), (2.5, 0.4)])
def test_latent_scale_sets_the_step_in_units_of_z(latent_scale, step):
    codec = tiny_codec(latent_scale=latent_scale)
    assert codec.step_size == float(np.float32(step))
    (blob,) = codec.encode(smooth_images(1))
    assert container.read(blob).step_size == codec.step_size


def test_seen_pictures_are_ternary_and_unseen_ones_have_more_levels():
    images = seen_images(4)
    reversal = Reversal(lr=0.1, steps=60, clip="hard")
    assert set(symbols_of(tiny_codec(latent_scale=1, reversal=reversal), images).flat) == {-1, 0, 1}
    assert abs(symbols_of(tiny_codec(latent_scale=8, reversal=reversal), images)).max() in (7, 8)


@pytest.mark.parametrize("latent_scale", [0, -1, float("nan"), float("inf"), "big"])
def test_a_latent_scale_must_be_a_positive_number(latent_scale):
    with pytest.raises(ValueError, match="latent_scale must be a positive number, or null, got"):
        tiny_codec(latent_scale=latent_scale)


# ---- restarts


def decoded_losses(codec, trace, images, loss):
    """Return the loss of the picture that each restart's file decodes to, [N, R], and those files."""
    num_images, restarts = trace.diverged.shape
    latents = trace.snapshots[:, :, -1].flatten(0, 1)
    mark = container.fingerprint(codec.generator.digest)
    blobs = [
        container.write(
            container.Container(1, codec.step_size, mark, Bzip2().encode(row, np.zeros(len(row), np.int64)))
        )
        for row in quantise(latents, codec.step_size).numpy()
    ]
    pictures = to_x(codec.decode(blobs))
    losses = loss(pictures, to_x(images).repeat_interleave(restarts, dim=0))
    return losses.view(num_images, restarts), np.array(blobs, object).reshape(num_images, restarts)


@pytest.mark.parametrize("loss", [MSE(), L1()], ids=["mse", "l1"])
def test_the_best_restart_is_that_of_the_best_decoded_picture(loss):
    images = smooth_images(8)
    codec = tiny_codec(loss=loss, latent_scale=1.5, reversal=Reversal(lr=0.1, steps=60, restarts=5, halving=False))
    blobs, trace = traced(codec, images)
    losses, candidates = decoded_losses(codec, trace, images, loss)
    best = losses.argmin(dim=1)
    assert torch.equal(trace.chosen, best)
    assert blobs == [candidates[i, restart] for i, restart in enumerate(best)]
    # It matters: before rounding another restart was ahead.
    assert (trace.losses[:, :, -1].argmin(dim=1) != best).any()


@pytest.mark.parametrize("halving", [True, False])
def test_a_diverged_restart_is_not_chosen(halving):
    reversal = Reversal(lr=0.01, steps=10, restarts=6, halving=halving)
    codec = tiny_codec(generator=FragileGenerator(), reversal=reversal)
    blobs, trace = traced(codec, smooth_images(4))
    diverged, chosen = trace.diverged, trace.chosen
    assert diverged.any()
    assert not diverged[torch.arange(4), chosen].any()
    assert codec.decode(blobs).float().std() > 0


def test_a_lane_without_a_gradient_never_wins_however_low_its_loss():
    class Tempting(MSE):
        """Next to nothing, but without a gradient, for pictures whose first pixel is dark."""

        def forward(self, x, target):
            corner = x[:, 0, 0, 0]
            cliff = torch.where(corner < 0, corner * 0, 1.0).sqrt()  # zero, with an infinite slope
            return torch.where(corner < 0, cliff, super().forward(x, target))

    codec = tiny_codec(loss=Tempting(), reversal=Reversal(lr=0.01, steps=10, restarts=6))
    _, trace = traced(codec, smooth_images(4))
    assert trace.diverged.any()
    assert not trace.diverged[torch.arange(4), trace.chosen].any()


def test_the_first_restart_is_the_same_however_many_follow():
    images = smooth_images(3)
    losses = []
    for restarts in (1, 4):
        codec = tiny_codec(reversal=Reversal(lr=0.1, steps=20, restarts=restarts, halving=False))
        blobs, trace = traced(codec, images)
        decoded = codec.decode(blobs)
        losses.append((trace.losses[:, 0], MSE()(to_x(decoded), to_x(images))))
    torch.testing.assert_close(losses[0][0], losses[1][0], atol=1e-6, rtol=1e-5)
    assert (losses[1][1] <= losses[0][1] + 1e-6).all()
    assert (losses[1][1] < losses[0][1] - 1e-6).any()


# ---- the same bytes


def test_the_same_bytes_twice_and_others_for_another_seed():
    images = smooth_images(3)
    first, second, other = (tiny_codec(seed=seed).encode(images) for seed in (0, 0, 1))
    assert first == second
    assert first != other


@pytest.mark.parametrize("clip", ["none", "stochastic"])
def test_a_picture_gives_the_same_bytes_alone_and_in_any_batch(clip):
    images = smooth_images(10)
    reversal = Reversal(lr=0.1, steps=40, restarts=2, clip=clip)
    blobs = tiny_codec(reversal=reversal).encode(images)
    assert len(set(blobs)) == 10
    for lanes in (1, 3, 100):
        codec = tiny_codec(reversal=reversal, device=Device("cpu", "float32", lanes))
        assert codec.encode(images) == blobs
    codec = tiny_codec(reversal=reversal)
    assert [codec.encode(image[None])[0] for image in images] == blobs
    assert codec.encode(images.flip(0)) == blobs[::-1]
    assert codec.encode(images[[4, 4]]) == [blobs[4]] * 2


def test_pictures_are_left_alone():
    images = smooth_images(2)
    before = images.clone()
    tiny_codec().encode(images)
    assert torch.equal(images, before)


# ---- what it tells of itself


def test_its_identity_is_what_can_change_its_results_beside_the_config():
    codec = tiny_codec(quant=Quantiser(0.1))
    assert codec.identity() == CodecIdentity("gancodec", float(np.float32(0.025)), "float32", TinyGenerator.digest)
    assert tiny_codec(quant=Quantiser(None)).identity().step_size == 0.0
    assert codec.has_learned
    assert codec.card is None


# ---- configs


PARTS = [
    f"{group}={path.stem}"
    for group in ("loss", "quant", "entropy", "reversal", "device")
    for path in sorted((config_dir() / group).glob("*.yaml"))
]


@pytest.mark.parametrize("part", PARTS)
def test_every_part_by_its_config(part):
    if part == "device=cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    # 96 pixels, since ms_ssim needs 88.
    priced = ["entropy=range", "entropy.model=fitted"] if part == "quant=rd" else []
    config = compose_config(*OVERRIDES, "+generator.size=96", "quant=standard", part, "reversal.steps=10", *priced)
    codec = instantiate(config.codec)
    images = smooth_images(2, 96)
    blobs, trace = traced(codec, images)
    assert codec.encode(images) == blobs
    assert codec.decode(blobs).shape == images.shape
    if part not in ("reversal=fast", "reversal=brief"):  # whose start is as good as the end here
        assert (trace.losses[:, :, -1] < trace.losses[:, :, 0]).all()


def test_finer_steps_take_more_bytes_and_draw_better():
    images = seen_images(4)
    sizes, losses = [], []
    for quant in ("extreme", "standard", "none"):
        part = instantiate(compose_config(f"quant={quant}").quant)
        codec = tiny_codec(quant=part, latent_scale=1, reversal=Reversal(lr=0.1, steps=150))
        blobs = codec.encode(images)
        sizes.append(sum(map(len, blobs)))
        losses.append(MSE()(to_x(codec.decode(blobs)), to_x(images)).mean().item())
    assert sizes == sorted(sizes)
    assert losses == sorted(losses, reverse=True)


@pytest.mark.skipif(not (weights_dir() / "embedded.safetensors").exists(), reason="the weights are not made yet")
def test_the_embedded_generator_in_a_few_steps():
    config = compose_config("device=cpu", "loss=mse", "reversal.steps=4")
    codec = instantiate(config.codec)
    images = smooth_images(2, size=codec.image_size)
    blobs, trace = traced(codec, images)
    assert codec.decode(blobs).shape == images.shape
    assert (trace.losses[:, 0, -1] < trace.losses[:, 0, 0]).all()
    content = container.read(blobs[0])
    symbols = torch.from_numpy(Bzip2().decode(content.payload, np.zeros(512, np.int64)))
    assert dequantise(symbols, content.step_size).isfinite().all()


def test_a_step_too_fine_for_the_symbols_is_refused_before_the_descent():
    with pytest.raises(ValueError, match=r"symbols of 16 bits would not reach .* take quant=none"):
        tiny_codec(quant=Quantiser(1e-5), latent_scale=1)


def test_float_latents_need_a_back_end_that_takes_them():
    with pytest.raises(ValueError, match="quant=none needs another, such as entropy=bz2"):
        tiny_codec(quant=Quantiser(None), entropy=Range())


def test_a_loss_that_cannot_take_the_size_says_so_at_once():
    with pytest.raises(ValueError, match="ms_ssim needs images of at least 88"):
        tiny_codec(loss=MSSSIM())


@pytest.mark.parametrize("seed", ["abc", 1.5, None])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ValueError, match="seed must be a whole number"):
        tiny_codec(seed=seed)
