"""Principal components: the right ones, fitted once; faces and caches that cannot be used are named."""

import io
import json
import tarfile
from functools import partial

import pytest
import torch
from torch import Tensor

from baselines import components
from baselines.components import Basis, fit, load_basis
from ganrev.contamination.hashes import hashes_path, load_hashes
from ganrev.pixels import to_png
from tests.tiny import smooth_images

SIDE = 16


@pytest.fixture(scope="module")
def faces() -> Tensor:
    return smooth_images(200, SIDE)


@pytest.fixture(scope="module")
def basis(faces) -> Basis:
    return fit(faces, 60)


def orthonormal(basis: Basis) -> Tensor:
    """Return the components as rows of pixels, float64 [K, 3 * H * H]."""
    blank = torch.zeros(basis.even.shape[1])
    pictures = [components._unfold(row.float(), blank, basis.image_size) for row in basis.even]
    pictures += [components._unfold(blank, row.float(), basis.image_size) for row in basis.odd]
    return torch.stack(pictures).flatten(1).double()


# ---- the basis


def test_shapes_and_dtypes(basis):
    num_even, num_odd = len(basis.even), len(basis.odd)
    assert basis.image_size == SIDE
    assert num_even + num_odd == 60
    assert min(num_even, num_odd) > 10
    assert {name: (tuple(value.shape), value.dtype) for name, value in basis.tensors.items()} == {
        "mean": ((3, SIDE, SIDE), torch.float32),
        "even": ((num_even, 3 * SIDE * SIDE // 2), torch.float16),
        "odd": ((num_odd, 3 * SIDE * SIDE // 2), torch.float16),
        "deviations": ((60,), torch.float32),
    }


def test_components_are_orthonormal_and_mirrored_onto_themselves(basis):
    rows = orthonormal(basis)
    assert torch.allclose(rows @ rows.T, torch.eye(60, dtype=torch.float64), atol=2e-3)  # float16
    mirrored = rows.view(-1, 3, SIDE, SIDE).flip(-1).flatten(1)
    signs = torch.cat((torch.ones(len(basis.even), 1), -torch.ones(len(basis.odd), 1)))
    assert torch.equal(mirrored, signs * rows)


def test_no_other_basis_of_as_many_components_is_nearer_to_faces_and_mirror_images(faces, basis):
    both = torch.cat((faces, faces.flip(-1)))
    rows = both.flatten(1).double()
    singular = torch.linalg.svdvals(rows - rows.mean(0))
    kept = basis.coefficients(both).double().square().sum()
    assert kept == pytest.approx(float(singular[:60].square().sum()), rel=1e-4)
    assert torch.allclose(basis.mean.flatten(), rows.mean(0).float(), atol=1e-3)


def test_coefficients_are_projections(basis):
    unseen = smooth_images(6, SIDE, seed=1)
    expected = (unseen.double() - basis.mean).flatten(1) @ orthonormal(basis).T
    assert torch.allclose(basis.coefficients(unseen).double(), expected, atol=0.05)


def test_a_drawing_is_the_sum_of_its_components(basis):
    coefficients = torch.randn(60, generator=torch.Generator().manual_seed(0)) * 100
    expected = basis.mean + (coefficients.double() @ orthonormal(basis)).view(basis.mean.shape)
    assert (basis.draw(coefficients) - expected.clamp(0, 255)).abs().max() < 0.51


def test_deviations_are_those_of_the_most_likely_laplace_laws(faces, basis):
    magnitudes = basis.coefficients(faces).abs().mean(0)
    assert torch.allclose(basis.deviations, magnitudes * 2**0.5, rtol=0.01, atol=0.05)


def test_the_same_faces_and_seed_give_the_same_basis(faces, basis):
    assert fit(faces, 60).digest == basis.digest
    assert fit(faces.contiguous(memory_format=torch.channels_last), 60).digest == basis.digest
    assert fit(faces[1:], 60).digest != basis.digest
    assert fit(faces, 59).digest != basis.digest


def test_more_components_than_faces_are_refused(faces):
    with pytest.raises(ValueError, match=r"5 faces of 16 pixels cannot give 6 components: .*codec\.components="):
        fit(faces[:5], 6)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": torch.zeros(3, SIDE, SIDE - 2)},
        {"mean": torch.zeros(3, SIDE - 1, SIDE - 1)},
        {"mean": torch.zeros(3, SIDE, SIDE, dtype=torch.float64)},
        {"odd": torch.zeros(30, 383, dtype=torch.float16)},
        {"even": torch.zeros(30, 384)},
        {"deviations": torch.ones(59)},
    ],
    ids=["oblong", "odd side", "float64", "too narrow", "float32", "too few"],
)
def test_tensors_that_do_not_fit_each_other_are_refused(basis, change):
    with pytest.raises(ValueError, match="do not make a basis: shapes"):
        Basis(**(basis.tensors | change))


# ---- faces from files, and the cache


@pytest.fixture
def load_small(face_folder):
    return partial(load_basis, [face_folder], num_components=8)


def test_the_fit_is_kept_and_not_repeated(load_small, monkeypatch):
    first = load_small()
    monkeypatch.setattr(components, "fit", None)  # calling it would fail
    again = load_small()
    assert all(torch.equal(again.tensors[name], value) for name, value in first.tensors.items())
    (kept,) = (components.cache_dir() / "pca").glob("*.safetensors")
    assert not list(kept.parent.glob("*.partial"))


def test_the_card_lists_faces_that_are_named_as_celeba_names_its_own(load_small, face_folder):
    (face_folder / "00.png").rename(face_folder / "182638.png")
    (face_folder / "01.png").rename(face_folder / "000007.png")
    card = load_small().card
    assert json.loads(card.read_text()) == {"celeba_ids": [7, 182638]}
    assert len(load_hashes(hashes_path(card))) == 12
    assert load_small().card == card


def test_a_card_that_is_missing_is_made_again(load_small):
    first = load_small()
    first.card.unlink()
    assert load_small().card.is_file()
    assert load_small().digest == first.digest


def test_faces_by_other_names_have_a_card_of_their_own(load_small, face_folder):
    first = load_small().card
    (face_folder / "00.png").rename(face_folder / "000000.png")
    assert load_small().card != first


def test_a_cache_that_cannot_be_written_can_be_read(load_small, monkeypatch):
    basis = load_small()
    monkeypatch.setattr(components, "locked", None)  # calling it would fail
    assert load_small().digest == basis.digest


def test_other_faces_components_or_seeds_are_fitted_afresh(load_small, face_folder):
    digests = {load_small().digest, load_small(num_components=7).digest, load_small(seed=1).digest}
    (face_folder / "more.png").write_bytes(to_png(smooth_images(1, 128, seed=2)[0]))
    digests.add(load_small().digest)
    assert len(digests) == 4
    assert len(list((components.cache_dir() / "pca").glob("*.safetensors"))) == 4


def test_a_folder_by_another_name_is_the_same_faces(load_small, face_folder, monkeypatch):
    digest = load_small().digest
    moved = face_folder.rename(face_folder.with_name("moved"))
    monkeypatch.setattr(components, "fit", None)
    assert load_basis([str(moved)], 8).digest == digest


def test_a_tar_shard_gives_the_same_basis_as_its_folder(load_small, face_folder, tmp_path):
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        for path in sorted(face_folder.iterdir()):
            data = path.read_bytes()
            entry = tarfile.TarInfo(path.name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    assert load_basis([shard], 8).digest == load_small().digest


def test_a_damaged_cache_is_named(load_small):
    load_small()
    (kept,) = (components.cache_dir() / "pca").glob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"safetensors is damaged .*delete it, and it is fitted again"):
        load_small()


def test_faces_of_another_size_are_refused(load_small, face_folder):
    (face_folder / "small.png").write_bytes(to_png(smooth_images(1, 64)[0]))
    with pytest.raises(ValueError, match=r"small.* is 64 x 64; training faces must be 128 x 128"):
        load_small()
    assert not list((components.cache_dir() / "pca").glob("*.safetensors"))


@pytest.mark.parametrize("faces", [[], "train-0.tar", 3])
def test_faces_must_be_a_list(faces):
    with pytest.raises(ValueError, match=r"codec\.faces must be a list of tar shards or folders .*got .*: for example"):
        load_basis(faces, 8)


def test_missing_faces_are_named(face_folder):
    with pytest.raises(ValueError, match=r"no training faces at .*absent\.tar, .*gone: give tar shards .*codec\.faces"):
        load_basis([face_folder, face_folder / "absent.tar", face_folder / "gone"], 8)


def test_as_many_components_as_faces_at_most(load_small):
    with pytest.raises(ValueError, match="12 faces of 128 pixels cannot give 13 components"):
        load_small(num_components=13)


def test_without_faces_the_error_says_what_to_give():
    with pytest.raises(
        ValueError, match=r"name some by codec\.faces=\[train-0\.tar,more/\], .*none of which is a test"
    ):
        load_basis(None, 8)
