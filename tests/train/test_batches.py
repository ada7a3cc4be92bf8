"""Faces are dealt out in batches and sharpened."""

import pytest
import torch
import torch.nn.functional as F

from ganrev.evaluation.realism import laplacian_pyramid
from ganrev.pixels import to_x
from ganrev.train.batches import batch_at, deblur
from tests.tiny import smooth_images


def test_an_epoch_shows_every_face_once_and_the_next_one_in_another_order():
    epochs = [[batch_at(12, 4, 3 * epoch + step, seed=0) for step in range(3)] for epoch in range(2)]
    orders = [torch.cat([chosen for chosen, _ in epoch]).tolist() for epoch in epochs]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert orders[0] != orders[1]
    assert batch_at(12, 4, 4, seed=0)[0].tolist() == orders[1][4:8]
    assert batch_at(12, 4, 0, seed=1)[0].tolist() != orders[0][:4]
    flips = torch.cat([flips for epoch in epochs for _, flips in epoch])
    assert flips.dtype == torch.bool
    assert 4 <= flips.sum() <= 20


def test_faces_that_fill_no_last_batch_wait_for_the_next_epoch():
    chosen = [batch_at(11, 4, step, seed=0)[0] for step in range(4)]
    assert [len(indices) for indices in chosen] == [4, 4, 4, 4]
    assert len(set(torch.cat(chosen[:2]).tolist())) == 8
    with pytest.raises(ValueError, match="batch_size=4 needs at least that many faces, got 3"):
        batch_at(3, 4, 0, seed=0)


def fine_energy(x):
    return laplacian_pyramid(x)[0].square().mean(dim=(1, 2, 3))


def test_a_strength_of_0_leaves_a_picture_as_it_is():
    x = to_x(smooth_images(2, 64))
    assert torch.equal(deblur(x, torch.zeros(2)), x)


def test_sharpening_raises_fine_detail_and_leaves_the_rest():
    x = to_x(smooth_images(2, 64)) / 2
    weak, strong = (deblur(x, torch.full((2,), strength)) for strength in (0.5, 1.2))
    assert (fine_energy(x) < fine_energy(weak)).all()
    assert (fine_energy(weak) < fine_energy(strong)).all()
    assert (F.avg_pool2d(strong, 16) - F.avg_pool2d(x, 16)).abs().max() < 0.01


@pytest.mark.parametrize(("period", "gain"), [(2, 1.0), (4, 0.25), (8, ((1 - 0.5**0.5) / 2) ** 2)])
def test_waves_gain_by_what_the_blur_takes_away_squared(period, gain):
    # [1 2 1] / 4 leaves (1 + cos) / 2 of a wave.
    wave = 0.3 * torch.cos(2 * torch.pi * torch.arange(64.0) / period)
    x = wave.expand(1, 3, 64, 64)
    for picture in (x, x.mT):
        sharp = deblur(picture, torch.tensor([0.8]))
        inside = (..., slice(4, -4), slice(4, -4))
        assert torch.allclose(sharp[inside], (1 + 0.8 * gain) * picture[inside], atol=1e-5)


def test_sharpened_pictures_stay_in_range():
    noise = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    sharp = deblur(noise, torch.tensor([3.0, 0.5]))
    assert sharp.min() == -1
    assert sharp.max() == 1


def test_each_picture_has_its_own_strength():
    x = to_x(smooth_images(3, 32))
    together = deblur(x, torch.tensor([0.0, 0.4, 1.2]))
    for i, strength in enumerate((0.0, 0.4, 1.2)):
        assert torch.equal(together[i : i + 1], deblur(x[i : i + 1], torch.tensor([strength])))
    assert not torch.equal(together[1], x[1])
