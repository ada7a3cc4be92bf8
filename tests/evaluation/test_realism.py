"""Measures of samples: the Laplacian pyramid, the sliced Wasserstein distance, the face detector, their table."""

import cv2
import numpy as np
import pytest
import torch
from skimage.data import astronaut

from experiments import samples
from ganrev.cli import main
from ganrev.contamination.hashes import hash_faces, hashes_path
from ganrev.evaluation.realism import laplacian_pyramid, share_of_faces, sliced_wasserstein
from ganrev.pixels import to_images, to_pillow
from tests.tiny import TinyGenerator, smooth_images


def blurred(images, sigma):
    """Blur each picture of uint8 [N, 3, S, S] by a Gaussian."""
    pictures = [cv2.GaussianBlur(image.permute(1, 2, 0).numpy(), (0, 0), sigma) for image in images]
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous()


def noise(num_images, seed, size=32):
    """Return uint8 [N, 3, size, size]: each pixel by itself."""
    rng = torch.Generator().manual_seed(seed)
    return to_images(torch.randn(num_images, 3, size, size, generator=rng) * 0.4)


@pytest.fixture(scope="module")
def textures():
    """Pictures of one texture, grains of about two pixels."""
    return blurred(noise(256, seed=0), 0.8)


@pytest.fixture(scope="module")
def between_halves(textures):
    return sliced_wasserstein(textures[:128], textures[128:])


# ---- the pyramid


@pytest.mark.parametrize(("size", "sides"), [(16, [16]), (32, [32, 16]), (128, [128, 64, 32, 16])])
def test_the_pyramid_has_its_documented_levels(size, sides):
    levels = laplacian_pyramid(torch.zeros(2, 3, size, size))
    assert [tuple(level.shape) for level in levels] == [(2, 3, side, side) for side in sides]


def test_the_levels_of_a_pyramid_add_up_to_the_picture():
    x = smooth_images(2, 64).float()
    *details, picture = laplacian_pyramid(x)
    for detail in reversed(details):
        # Burt and Adelson's expansion, written another way: zeros in between, the same blur, four times as bright.
        wide = torch.zeros_like(detail)
        wide[..., ::2, ::2] = picture
        kernel = np.array([1, 4, 6, 4, 1]) / 16
        expanded = [
            cv2.sepFilter2D(4 * channel.numpy(), -1, kernel, kernel, borderType=cv2.BORDER_REFLECT_101)
            for channel in wide.flatten(0, 1)
        ]
        picture = torch.from_numpy(np.stack(expanded)).view_as(detail) + detail
    assert torch.allclose(picture, x, atol=1e-3)


def test_a_smooth_picture_has_no_fine_detail():
    ramp = torch.linspace(0, 255, 64).expand(1, 3, 64, 64)
    finest, *_ = laplacian_pyramid(ramp)
    assert finest[..., 4:-4, 4:-4].abs().max() < 1e-3
    assert laplacian_pyramid(noise(1, seed=0).float())[0].abs().mean() > 10


# ---- the distance


def test_two_halves_of_one_texture_are_near_at_every_level(between_halves):
    assert list(between_halves) == [32, 16]
    assert 0 < between_halves[32] < 20
    assert 0 < between_halves[16] < 35


@pytest.mark.parametrize("fake", ["blurred", "noise"])
def test_other_detail_is_far_at_the_finest_level(fake, textures, between_halves):
    others = blurred(textures[128:], 1.0) if fake == "blurred" else noise(128, seed=1)
    distances = sliced_wasserstein(textures[:128], others)
    assert distances[32] > 2.5 * between_halves[32]
    assert distances[16] < 1.5 * between_halves[16]  # the coarse level hardly sees the grain


def test_the_distance_is_the_same_for_the_same_seed(textures, between_halves):
    assert sliced_wasserstein(textures[:128], textures[128:]) == between_halves
    other = sliced_wasserstein(textures[:128], textures[128:], seed=1)
    assert other != between_halves
    assert other == pytest.approx(between_halves, abs=5)


def test_brightness_and_contrast_do_not_count(textures, between_halves):
    dull = (textures[128:] // 2) + 20
    assert sliced_wasserstein(textures[:128], dull) == pytest.approx(between_halves, abs=1)


def test_sets_of_different_shapes_are_refused(textures):
    with pytest.raises(ValueError, match=r"same shape, got \(128, 3, 32, 32\) and \(127, 3, 32, 32\)"):
        sliced_wasserstein(textures[:128], textures[128:255])
    with pytest.raises(ValueError, match="same shape"):
        sliced_wasserstein(textures[:2], smooth_images(2, 64))


# ---- the detector


def test_a_face_is_found_and_noise_holds_none():
    face = torch.from_numpy(cv2.resize(astronaut()[20:200, 135:315], (128, 128), interpolation=cv2.INTER_AREA))
    face = face.permute(2, 0, 1)[None]
    assert share_of_faces(face) == 1
    assert share_of_faces(noise(1, seed=0, size=128)) == 0
    assert share_of_faces(torch.cat((face, smooth_images(1, 128), face, noise(1, seed=1, size=128)))) == 0.5


# ---- the table


@pytest.fixture
def faces(tmp_path):
    """A folder of four pictures."""
    for i, image in enumerate(smooth_images(4, 128)):
        to_pillow(image).save(tmp_path / f"face{i}.png")
    return tmp_path


def test_samples_come_from_the_prior_and_the_seed():
    drawn = [samples.draw(TinyGenerator(), 9, seed) for seed in (0, 0, 1)]
    assert (drawn[0].shape, drawn[0].dtype) == ((9, 3, 32, 32), torch.uint8)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_the_table_has_a_line_for_real_faces_and_one_for_each_generator(faces, monkeypatch, capsys):
    monkeypatch.setattr(samples, "load_embedded", lambda path, unseen_scale: TinyGenerator(size=128))
    main(["realism", "pca.safetensors", "final.safetensors", "--real", str(faces), "-n", "2"])
    header, *lines = (line.split() for line in capsys.readouterr().out.splitlines())
    assert header[:3] == ["pictures", "n", "faces"]
    assert [line[-8:-6] for line in lines] == [["faces", "2"], *[["redrawn", "2"], ["cube", "2"]] * 2]
    assert [line[0] for line in lines] == ["other", "pca,", "pca,", "final,", "final,"]
    assert [line[1:] for line in lines[1:3]] == [line[1:] for line in lines[3:5]]
    levels = np.array([line[-5:] for line in lines], dtype=float)
    assert np.allclose(levels[:, :4].mean(axis=1), levels[:, 4], rtol=0.02)


@pytest.mark.parametrize(("number", "folder"), [(3, "."), (0, "."), (1, "nowhere")])
def test_too_few_real_faces_end_with_one_line(number, folder, faces, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["realism", "--real", str(faces / folder), "-n", str(number)])
    assert stopped.value.code == 2
    complaint = capsys.readouterr().err.strip()
    assert complaint.startswith("error: ")
    assert len(complaint.splitlines()) == 1


def test_samples_of_the_density_of_faces_have_a_line_and_are_compared_with_training_faces(
    faces, monkeypatch, capsys, tmp_path
):
    class WithDensity(TinyGenerator):
        card = tmp_path / "tiny.json"

        def sample(self, num_samples, rng, drawn_from="cube"):
            return self.sample_prior(num_samples, rng) * (0.5 if drawn_from == "faces" else 1)

    generator = WithDensity(size=128)
    generator.face_prior = object()
    monkeypatch.setattr(samples, "load_embedded", lambda path, unseen_scale: generator)
    drawn = samples.draw(generator, 2, 0, "faces")
    hash_faces(torch.cat((drawn[:1], smooth_images(20, 128, seed=3)))).save(hashes_path(generator.card))
    main(["realism", "--real", str(faces), "-n", "2"])
    header, *lines = (line.split() for line in capsys.readouterr().out.splitlines())
    assert header[3:5] == ["trained", "on"]
    assert [line[-8] for line in lines] == ["2", "2", "2", "2"]
    shares = [line[-6] for line in lines]
    assert shares[:2] == ["NaN", "NaN"]
    assert float(shares[3]) == 0.5
