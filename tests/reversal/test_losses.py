"""The losses against their definitions, scikit-image among them."""

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from skimage.metrics import structural_similarity

from ganrev.paths import config_dir
from ganrev.pixels import to_images, to_x
from ganrev.reversal.losses import L1, MSE, MSSSIM, SSIM, WeightedSum, gaussian_window
from tests.tiny import compose_config, smooth_images

CONFIGS = sorted(path.stem for path in (config_dir() / "loss").glob("*.yaml"))


def noisy(images, sigma, seed=1):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(seed)) * sigma
    return to_images(to_x(images) + noise)


def reference_ssim(a, b):
    a, b = (picture.permute(1, 2, 0).numpy() for picture in (a, b))
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    return structural_similarity(a, b, channel_axis=2, data_range=255, **options)


def flat(value, size=32):
    return torch.full((1, 3, size, size), value, dtype=torch.uint8)


PAIRS = {
    "a little noise": (smooth_images(1, 48), noisy(smooth_images(1, 48), 0.05)),
    "much noise": (smooth_images(1, 48, seed=2), noisy(smooth_images(1, 48, seed=2), 0.7)),
    "other pictures": (smooth_images(1, 64, seed=3), smooth_images(1, 64, seed=4)),
    "negative": (smooth_images(1, 40, seed=5), 255 - smooth_images(1, 40, seed=5)),
    "black and nearly": (flat(0), flat(3)),
    "white and black": (flat(255), flat(0)),
    "not square": (smooth_images(1, 48)[..., :30], noisy(smooth_images(1, 48), 0.2)[..., :30]),
    "equal": (smooth_images(1), smooth_images(1)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_ssim_agrees_with_scikit_image(name):
    a, b = PAIRS[name]
    ours = 1 - SSIM()(to_x(a), to_x(b))
    assert ours.item() == pytest.approx(reference_ssim(a[0], b[0]), abs=1e-4)


def test_ssim_agrees_with_scikit_image_on_faces(sample):
    images = sample.images[:4]
    blurred = noisy(images, 0.1)
    ours = 1 - SSIM()(to_x(images), to_x(blurred))
    expected = [reference_ssim(a, b) for a, b in zip(images, blurred, strict=True)]
    np.testing.assert_allclose(ours, expected, atol=1e-4)


def test_mse_and_l1_are_means_over_the_pixels_of_one_image():
    x = torch.zeros(2, 3, 4, 4)
    target = torch.zeros(2, 3, 4, 4)
    target[1, 0] = 0.5  # one channel of three
    torch.testing.assert_close(MSE()(x, target), torch.tensor([0.0, 0.25 / 3]))
    torch.testing.assert_close(L1()(x, target), torch.tensor([0.0, 0.5 / 3]))


def test_the_window_is_wangs():
    window = gaussian_window(11, 1.5)
    assert window.shape == (11,)
    assert window.sum().item() == pytest.approx(1, abs=1e-6)
    assert torch.equal(window, window.flip(0))
    assert (window[5] / window[4]).item() == pytest.approx(np.exp(1 / 4.5), rel=1e-5)


def test_ms_ssim_falls_with_noise_and_starts_at_zero():
    a = smooth_images(1, 128)
    losses = [MSSSIM()(to_x(a), to_x(noisy(a, sigma))).item() for sigma in (0.0, 0.1, 0.3, 1.0)]
    assert losses[0] == pytest.approx(0, abs=1e-4)
    assert losses == sorted(losses)
    assert losses[-1] < 1


def test_ms_ssim_forgives_fine_noise_more_than_ssim_does():
    a = to_x(smooth_images(1, 128))
    b = to_x(noisy(smooth_images(1, 128), 0.3))
    assert MSSSIM()(a, b) < SSIM()(a, b)


def test_ms_ssim_says_what_size_it_needs():
    x = torch.zeros(1, 3, 88, 87)
    with pytest.raises(ValueError, match=r"at least 88 pixels per side, got 88 x 87; use loss=ssim"):
        MSSSIM()(x, x)
    assert MSSSIM()(torch.zeros(1, 3, 88, 88), torch.zeros(1, 3, 88, 88)).shape == (1,)


def test_weighted_sum_is_the_sum_of_its_weighted_terms():
    a, b = (to_x(smooth_images(3, seed=seed)) for seed in (0, 1))
    both = WeightedSum({"ssim": SSIM(), "l1": L1()}, {"ssim": 0.7, "l1": 2.0})
    torch.testing.assert_close(both(a, b), 0.7 * SSIM()(a, b) + 2 * L1()(a, b))


@pytest.mark.parametrize("weights", [{"ssim": 1.0}, {"ssim": 1.0, "l1": 1.0, "mse": 1.0}, {}])
def test_weighted_sum_needs_a_weight_for_each_term(weights):
    with pytest.raises(ValueError, match="one weight per term"):
        WeightedSum({"ssim": SSIM(), "l1": L1()}, weights)
    with pytest.raises(ValueError, match="one weight per term"):
        WeightedSum({}, {})


def test_weights_come_from_the_config():
    a, b = (to_x(smooth_images(1, seed=seed)) for seed in (0, 1))
    light, heavy = (instantiate(compose_config("loss=ssim_l1", f"loss.weights.l1={weight}").loss) for weight in (0, 3))
    torch.testing.assert_close(light(a, b), SSIM()(a, b))
    torch.testing.assert_close(heavy(a, b) - light(a, b), 3 * L1()(a, b))


@pytest.mark.parametrize("config", CONFIGS)
class TestEveryLoss:
    """What reversal asks of a loss."""

    @pytest.fixture
    def loss(self, config):
        return instantiate(compose_config(f"loss={config}").loss)

    @pytest.fixture
    def pair(self):
        target = smooth_images(4, 96)
        return to_x(noisy(target, 0.3)), to_x(target)

    def test_one_number_an_image(self, loss, pair):
        values = loss(*pair)
        assert values.shape == (4,)
        assert values.dtype == torch.float32
        assert (values > 0).all()

    def test_nothing_between_equal_pictures(self, loss, pair):
        torch.testing.assert_close(loss(pair[1], pair[1]), torch.zeros(4), atol=1e-4, rtol=0)

    def test_neighbours_do_not_matter(self, loss, pair):
        together = loss(*pair)
        alone = torch.cat([loss(x[None], target[None]) for x, target in zip(*pair, strict=True)])
        torch.testing.assert_close(together, alone, atol=1e-6, rtol=1e-5)

    def test_a_gradient_reaches_its_own_image_only(self, loss, pair):
        x = pair[0].clone().requires_grad_(True)
        loss(x, pair[1])[2].backward()
        assert x.grad[2].abs().max() > 0
        assert x.grad[[0, 1, 3]].abs().max() == 0

    @pytest.mark.parametrize("value", [-1.0, 0.0, 1.0, 3.0])
    def test_gradients_are_finite_for_flat_and_for_equal_pictures(self, loss, pair, value):
        flat_x = torch.full_like(pair[1], value, requires_grad=True)
        loss(flat_x, pair[1]).sum().backward()
        assert flat_x.grad.isfinite().all()
        same = pair[1].clone().requires_grad_(True)
        loss(same, pair[1]).sum().backward()
        assert same.grad.isfinite().all()

    def test_descending_it_lowers_it(self, loss, pair):
        x = pair[0].clone().requires_grad_(True)
        before = loss(x, pair[1])
        before.sum().backward()
        after = loss(x.detach() - 1e-3 * x.grad.sign(), pair[1])
        assert (after < before).all()
