"""PCA as a codec: the components are the right ones, files are exact and small, bad input is named."""

import binascii
import io
import tarfile
from functools import partial

import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from torch import Tensor

from baselines import pca
from baselines.pca import PCA, Basis, fit, load
from ganrev import rangecoder
from ganrev.container import CorruptFileError, NotAContainerError, WrongGeneratorError
from ganrev.pixels import to_png
from tests.tiny import compose_config, smooth_images

SIDE = 16
STEP = 20.0


@pytest.fixture(scope="module")
def faces() -> Tensor:
    return smooth_images(200, SIDE)


@pytest.fixture(scope="module")
def unseen() -> Tensor:
    return smooth_images(6, SIDE, seed=1)


@pytest.fixture(scope="module")
def basis(faces) -> Basis:
    return fit(faces, 60)


def symmetric_basis(mean: float = 128.0) -> Basis:
    """Return a basis whose every number is exact in float16: two components that are even, two that are odd."""
    signs = torch.ones(4, 96)
    signs[1, ::2] = -1
    signs[2:] = signs[:2]
    rows = (signs / 8).half()  # of length sqrt(96) / 8; the codec does not ask for unit length
    return Basis(torch.full((3, 8, 8), mean), rows[:2], rows[2:], torch.tensor([300.0, 40.0, 5.0, 0.5]))


def orthonormal(basis: Basis) -> Tensor:
    """Return the components as rows of pixels, float64 [K, 3 * H * H]."""
    blank = torch.zeros(basis.even.shape[1])
    pictures = [pca._unfold(row.float(), blank, basis.image_size) for row in basis.even]
    pictures += [pca._unfold(blank, row.float(), basis.image_size) for row in basis.odd]
    return torch.stack(pictures).flatten(1).double()


def mean_squared_error(a: Tensor, b: Tensor) -> float:
    return float((a.float() - b.float()).square().mean())


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


def test_coefficients_are_projections(basis, unseen):
    expected = (unseen.double() - basis.mean).flatten(1) @ orthonormal(basis).T
    assert torch.allclose(basis.coefficients(unseen).double(), expected, atol=0.05)


def test_deviations_are_those_of_the_most_likely_laplace_laws(faces, basis):
    magnitudes = basis.coefficients(faces).abs().mean(0)
    assert torch.allclose(basis.deviations, magnitudes * 2**0.5, rtol=0.01, atol=0.05)


def test_the_same_faces_and_seed_give_the_same_basis(faces, basis):
    assert fit(faces, 60).digest == basis.digest
    assert fit(faces.contiguous(memory_format=torch.channels_last), 60).digest == basis.digest
    assert fit(faces[1:], 60).digest != basis.digest
    assert fit(faces, 59).digest != basis.digest


def test_faces_that_are_all_alike_have_components_that_cost_nothing():
    faces = torch.full((8, 3, SIDE, SIDE), 77, dtype=torch.uint8)
    codec = PCA(fit(faces, 8), STEP)
    (blob,) = codec.encode(faces[:1])
    assert len(blob) <= pca.HEADER.size + 1
    assert torch.equal(codec.decode([blob]), faces[:1])


def test_more_components_than_faces_are_refused(faces):
    with pytest.raises(ValueError, match=r"5 faces of 16 pixels cannot give 6 components: .*codec\.components="):
        fit(faces[:5], 6)


@pytest.mark.parametrize(
    "change",
    [
        {"mean": torch.zeros(3, 8, 6)},
        {"mean": torch.zeros(3, 7, 7)},
        {"mean": torch.zeros(3, 8, 8, dtype=torch.float64)},
        {"odd": torch.zeros(2, 95, dtype=torch.float16)},
        {"even": torch.zeros(2, 96)},
        {"deviations": torch.ones(3)},
    ],
    ids=["oblong", "odd side", "float64", "too narrow", "float32", "too few"],
)
def test_tensors_that_do_not_fit_each_other_are_refused(change):
    with pytest.raises(ValueError, match="do not make a basis: shapes"):
        Basis(**(symmetric_basis().tensors | change))


# ---- files


def test_what_comes_back_is_the_picture_rounded_in_the_basis(basis, unseen):
    codec = PCA(basis, STEP)
    decoded = codec.decode(codec.encode(unseen))
    assert (decoded.dtype, decoded.shape) == (torch.uint8, unseen.shape)
    symbols = (basis.coefficients(unseen) / STEP).round().double()
    expected = basis.mean + (symbols * STEP @ orthonormal(basis)).view(unseen.shape)
    assert (decoded - expected.clamp(0, 255)).abs().max() < 0.51


def test_an_error_in_a_coefficient_is_the_same_error_in_the_picture(basis, faces):
    # The error of rounding is step^2 / 12 for each component, spread over the pixels.
    fine, coarse = (mean_squared_error(PCA(basis, s).decode(PCA(basis, s).encode(faces)), faces) for s in (1.0, 24.0))
    assert coarse - fine == pytest.approx(24**2 / 12 * 60 / faces[0].numel(), rel=0.25)


def test_a_larger_step_takes_fewer_bytes_and_errs_more(basis, unseen):
    sizes, errors = [], []
    for step in (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0):
        codec = PCA(basis, step)
        blobs = codec.encode(unseen)
        sizes.append(sum(map(len, blobs)))
        errors.append(mean_squared_error(codec.decode(blobs), unseen))
    assert sizes == sorted(sizes, reverse=True)
    assert errors == sorted(errors)
    assert sizes[0] > 3 * sizes[-1]
    assert errors[-1] > 5 * errors[0]


def test_files_are_as_short_as_the_laplace_laws_allow(basis, unseen):
    codec = PCA(basis, STEP)
    deviations = basis.deviations.double()
    law = torch.distributions.Laplace(torch.zeros_like(deviations), deviations / 2**0.5)
    symbols = (basis.coefficients(unseen).double() / STEP).round()
    mass = law.cdf((symbols + 0.5) * STEP) - law.cdf((symbols - 0.5) * STEP)
    for blob, bits in zip(codec.encode(unseen), -mass.log2().sum(1), strict=True):
        assert len(blob) - pca.HEADER.size < 1.03 * float(bits) / 8 + 2


def test_two_thousand_components_that_nobody_sees_cost_less_than_a_bit():
    table = rangecoder.frequencies(rangecoder.LOWEST)
    assert -2048 * np.log2(table.max() / table.sum()) < 0.05


def test_deterministic_and_alone_as_among_others(basis, unseen):
    blobs = PCA(basis, STEP).encode(unseen)
    codec = PCA(Basis(**basis.tensors), STEP)
    assert [codec.encode(image[None])[0] for image in unseen] == blobs
    assert torch.equal(torch.cat([codec.decode([blob]) for blob in blobs]), codec.decode(blobs))


def test_the_file_says_its_own_step(basis, unseen):
    blobs = PCA(basis, 3 * STEP).encode(unseen)
    assert torch.equal(PCA(basis, STEP).decode(blobs), PCA(basis, 3 * STEP).decode(blobs))


def test_the_step_is_the_one_that_the_file_can_hold(basis):
    assert PCA(basis, 33.3).step == float(np.float16(33.3)) != 33.3


def test_golden_file():
    picture = torch.full((1, 3, 8, 8), 128, dtype=torch.uint8)
    picture[:, 0, :4] = 255
    picture[:, 1, :, 5:] = 0
    codec = PCA(symmetric_basis(), 16.0)
    (blob,) = codec.encode(picture)
    assert blob.hex() == "504301004cbb452e52adf86f82779c3034f9"
    row = torch.tensor([159, 159, 159, 159, 128, 94, 128, 94], dtype=torch.uint8)
    assert torch.equal(codec.decode([blob])[0], row.expand(3, 8, 8))


# ---- damaged and foreign files


def forged(blob: bytes, **fields: object) -> bytes:
    """Return the file with other fields of the header, its checksum right."""
    names = ("magic", "version", "step", "mark")
    values = dict(zip(names, pca.HEADER.unpack_from(blob)[:-1], strict=True)) | fields
    head = pca.HEADER.pack(*values.values(), 0)[:-2]
    payload = blob[pca.HEADER.size :]
    return head + binascii.crc_hqx(payload, binascii.crc_hqx(head, 0xFFFF)).to_bytes(2, "little") + payload


@pytest.fixture(scope="module")
def blob(basis, unseen) -> bytes:
    return PCA(basis, STEP).encode(unseen[:1])[0]


def test_forging_nothing_changes_nothing(blob):
    assert forged(blob) == blob


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        (lambda b: b"", NotAContainerError, r"not a \.pca file: it begins with b''"),
        (lambda b: b"GR" + b[2:], NotAContainerError, r"not a \.pca file: it begins with b'GR"),
        (lambda b: b[:8], CorruptFileError, "truncated .pca file: 8 bytes, the header alone takes 9"),
        (lambda b: b[:-1], CorruptFileError, "checksum does not match"),
        (lambda b: b + b"\0", CorruptFileError, "checksum does not match"),
        (lambda b: forged(b, version=2), NotAContainerError, "version 2, this program reads version 1; update"),
        (lambda b: forged(b, step=0.0), CorruptFileError, r"impossible step 0\.0"),
        (lambda b: forged(b, step=-STEP), CorruptFileError, r"impossible step -20\.0"),
        (lambda b: forged(b, step=float("nan")), CorruptFileError, "impossible step nan"),
        (lambda b: forged(b, step=float("inf")), CorruptFileError, "impossible step inf"),
    ],
    ids=["empty", "foreign", "header", "truncated", "longer", "newer", "zero", "negative", "nan", "inf"],
)
def test_damaged_files_are_named(basis, blob, damage, error, message):
    with pytest.raises(error, match=message):
        PCA(basis, STEP).decode([blob, damage(blob)])


def test_any_altered_byte_is_noticed(basis, blob):
    for place in range(len(blob)):
        altered = bytearray(blob)
        altered[place] ^= 0x55
        with pytest.raises((CorruptFileError, NotAContainerError)):
            PCA(basis, STEP).decode([bytes(altered)])


def test_a_payload_that_no_encoder_wrote_is_refused_or_drawn(basis, blob):
    refused = 0
    rng = np.random.default_rng(0)
    for _ in range(30):
        payload = rng.integers(0, 256, 40, dtype=np.uint8).tobytes()
        try:
            decoded = PCA(basis, STEP).decode([forged(blob[: pca.HEADER.size] + payload)])
        except CorruptFileError:
            refused += 1
        else:
            assert decoded.shape == (1, 3, SIDE, SIDE)
    assert refused < 30  # nearly any bytes are some symbols


def test_a_file_of_another_basis_is_refused(faces, blob):
    with pytest.raises(WrongGeneratorError, match=rf"made with basis {blob[5:7].hex()}, this one is .*faces, "):
        PCA(fit(faces[1:], 60), STEP).decode([blob])


def test_pictures_of_another_size_are_refused(basis):
    with pytest.raises(ValueError, match="draws 16 x 16 pictures, got 24 x 24"):
        PCA(basis, STEP).encode(smooth_images(1, 24))


@pytest.mark.parametrize("step", [0, -1, 0.2, 1e5, float("nan"), float("inf"), "fine", None, True])
def test_steps_that_cannot_be_used_are_refused(basis, step):
    with pytest.raises(ValueError, match=r"codec\.step must be a number from 0\.216 to 7\.07e\+03 grey levels, got"):
        PCA(basis, step)


def test_the_smallest_step_reaches_the_largest_coefficient(basis):
    codec = PCA(basis, 0.22)
    noise = torch.randint(0, 2, (1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).to(torch.uint8) * 255
    images = torch.cat((noise, noise * 0, noise * 0 + 255))
    symbols = (basis.coefficients(images) / codec.step).round()
    assert symbols.abs().max() > 8_000
    expected = basis.draw(symbols[1] * codec.step)
    assert torch.equal(codec.decode(codec.encode(images))[1], expected)


# ---- faces from files, and the cache


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder of twelve faces of 128 x 128, with an empty cache beside it."""
    monkeypatch.setenv("GANREV_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "faces"
    root.mkdir()
    for number, image in enumerate(smooth_images(12, 128)):
        (root / f"{number:02}.png").write_bytes(to_png(image))
    return root


@pytest.fixture
def load_small(folder):
    return partial(load, [folder], step=100.0, components=8)


def test_the_fit_is_kept_and_not_repeated(load_small, monkeypatch):
    images = smooth_images(2, 128, seed=1)
    codec = load_small()
    blobs = codec.encode(images)
    monkeypatch.setattr(pca, "fit", None)  # calling it would fail
    again = load_small(step=50.0)
    assert again.digest == codec.digest
    assert torch.equal(again.decode(blobs), codec.decode(blobs))
    (kept,) = (pca.cache_dir() / "pca").glob("*.safetensors")
    assert not list(kept.parent.glob("*.partial"))


def test_a_cache_that_cannot_be_written_can_be_read(load_small, monkeypatch):
    codec = load_small()
    monkeypatch.setattr(pca, "FileLock", None)  # calling it would fail
    assert load_small().digest == codec.digest


def test_other_faces_components_or_seeds_are_fitted_afresh(load_small, folder):
    digests = {load_small().digest, load_small(components=7).digest, load_small(seed=1).digest}
    (folder / "more.png").write_bytes(to_png(smooth_images(1, 128, seed=2)[0]))
    digests.add(load_small().digest)
    assert len(digests) == 4
    assert len(list((pca.cache_dir() / "pca").glob("*.safetensors"))) == 4


def test_a_folder_by_another_name_is_the_same_faces(load_small, folder, monkeypatch):
    digest = load_small().digest
    moved = folder.rename(folder.with_name("moved"))
    monkeypatch.setattr(pca, "fit", None)
    assert load([str(moved)], 100.0, 8).digest == digest


def test_a_tar_shard_gives_the_same_basis_as_its_folder(load_small, folder, tmp_path):
    shard = tmp_path / "shard.tar"
    with tarfile.open(shard, "w") as tar:
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            entry = tarfile.TarInfo(path.name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    assert load([shard], 100.0, 8).digest == load_small().digest


def test_a_damaged_cache_is_named(load_small):
    load_small()
    (kept,) = (pca.cache_dir() / "pca").glob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"safetensors is damaged .*delete it, and it is fitted again"):
        load_small()


def test_faces_of_another_size_are_refused(load_small, folder):
    (folder / "small.png").write_bytes(to_png(smooth_images(1, 64)[0]))
    with pytest.raises(ValueError, match=r"small.* is 64 x 64; training faces must be 128 x 128"):
        load_small()
    assert not list((pca.cache_dir() / "pca").glob("*.safetensors"))


@pytest.mark.parametrize("faces", [None, [], "train-0.tar", 3])
def test_faces_must_be_a_list(faces):
    with pytest.raises(ValueError, match=r"codec\.faces must be a list of tar shards or folders .*got .*: for example"):
        load(faces, 100.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"components": 0}, r"codec\.components must be a whole number of at least 1, got 0"),
        ({"components": 2.5}, r"codec\.components must be a whole number of at least 1, got 2\.5"),
        ({"components": 13}, "12 faces of 128 pixels cannot give 13 components"),
        ({"seed": "x"}, r"codec\.seed must be a whole number, got 'x'"),
        ({"step": 1}, r"codec\.step must be a number from 1\.73 to 5\.65e\+04 grey levels, got 1"),
    ],
    ids=["no component", "half a component", "too many", "seed", "step"],
)
def test_bad_options_are_refused(load_small, changes, message):
    with pytest.raises(ValueError, match=message):
        load_small(**changes)


def test_bad_options_are_refused_before_the_fit(load_small, monkeypatch):
    monkeypatch.setattr(pca, "load_corpus", None)  # calling it would fail
    for changes in ({"step": 1}, {"components": 0}, {"seed": None}):
        with pytest.raises(ValueError, match=r"codec\."):
            load_small(**changes)


def test_missing_faces_are_named(folder):
    with pytest.raises(ValueError, match=r"no training faces at .*absent\.tar, .*gone: give tar shards .*codec\.faces"):
        load([folder, folder / "absent.tar", folder / "gone"], 100.0)


def test_the_config_builds_it(folder):
    overrides = ["codec=pca", f"codec.faces=[{folder}]", "codec.components=8", "codec.step=64"]
    codec = instantiate(compose_config(*overrides).codec)
    assert (codec.step, codec.image_size, codec.suffix) == (64.0, 128, ".pca")
    images = smooth_images(2, 128)
    assert codec.decode(codec.encode(images)).shape == images.shape


def test_the_config_alone_says_what_is_missing():
    with pytest.raises(Exception, match=r"codec\.faces must be a list .*got None") as caught:
        instantiate(compose_config("codec=pca").codec)
    assert isinstance(caught.value.__cause__ or caught.value, ValueError)
