"""Pictures that the generator draws itself as data source."""

import pytest
import torch

from ganrev.data.seen import Seen, seen_latent
from ganrev.generator.base import Generator
from ganrev.generator.face_prior import FacePrior


class Plain(Generator):
    """Paints each channel in one latent's value, and beyond the range of pixels."""

    latent_dim, image_size, prior = 3, 8, "uniform"

    def forward(self, z):
        return 1.5 * z[:, :, None, None].expand(-1, -1, 8, 8)


def test_seen_pictures_are_the_generator_s_own():
    pictures = Seen(Plain(), limit=10).load()
    assert pictures.images.shape == (10, 3, 8, 8)
    assert pictures.names[:2] == ["seen_000", "seen_001"]
    assert pictures.celeba_ids == [None] * 10
    z = torch.cat([seen_latent(Plain(), 0, i) for i in range(10)])
    x = (1.5 * z).clamp(-1, 1)
    assert (x.abs() == 1).any()  # the clamp is at work
    assert torch.equal(pictures.images[:, :, 3, 5], ((x + 1) * 127.5).round().to(torch.uint8))


def test_seen_pictures_are_seeded_one_by_one():
    three, ten = Seen(Plain(), limit=3).load(), Seen(Plain(), limit=10).load()
    assert torch.equal(three.images, ten.images[:3])
    assert ten.digest == Seen(Plain(), limit=10).load().digest
    assert ten.digest != Seen(Plain(), limit=10, seed=1).load().digest
    assert len(ten.images[:, :, 0, 0].unique(dim=0)) == 10
    direct = Plain().sample_prior(1, torch.Generator().manual_seed(0))
    assert not torch.equal(seen_latent(Plain(), 0, 0), direct)  # a start drawn with the seed itself is no answer


def test_seen_pictures_may_come_from_a_density_of_faces():
    generator = Plain()
    with pytest.raises(ValueError, match="no density of faces"):
        Seen(generator, limit=1, prior="faces").load()
    point = {"shares": torch.ones(1), "means": torch.tensor([[0.25, -0.25]]), "factors": torch.zeros(1, 2, 2)}
    rest = {"slope": torch.zeros(1, 2), "offset": torch.tensor([0.5]), "rest_factor": torch.zeros(1, 1)}
    rest |= {"stretch": torch.zeros(2), "rest_stretch": torch.zeros(6)}
    generator.face_prior = FacePrior(leading=torch.tensor([0, 2]), **point, **rest)
    (image,) = Seen(generator, limit=1, prior="faces").load().images
    assert image[:, 0, 0].tolist() == [175, 223, 80]
    with pytest.raises(ValueError, match=r"data\.prior must be one of cube, faces, got 'sphere'"):
        Seen(generator, prior="sphere")


@pytest.mark.parametrize("limit", [0, None])
def test_seen_limit_is_checked(limit):
    with pytest.raises(ValueError, match=r"data\.limit must be"):
        Seen(Plain(), limit=limit)
