"""PCA as a codec: files are exact and small, bad input is named."""

import binascii
import struct

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.components import Basis, fit
from baselines.pca import PCA, ladder
from ganrev.codecs import BelowFloorError
from ganrev.coding import range_coder
from ganrev.coding.frame import CorruptFileError, NotAContainerError, WrongGeneratorError
from tests.tiny import smooth_images

HEADER = struct.Struct("<2sBe2sH")  # magic, version, step, fingerprint, checksum
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


def mean_squared_error(a: Tensor, b: Tensor) -> float:
    return float((a.float() - b.float()).square().mean())


# ---- files


def test_what_comes_back_is_the_picture_rounded_in_the_basis(basis, unseen):
    codec = PCA(basis, STEP, rounding=0.5)
    decoded = codec.decode(codec.encode(unseen))
    assert (decoded.dtype, decoded.shape) == (torch.uint8, unseen.shape)
    symbols = (basis.coefficients(unseen) / STEP).round()
    assert torch.equal(decoded, torch.stack([basis.draw(row * STEP) for row in symbols]))


@pytest.mark.parametrize(
    ("options", "symbols"),
    [
        ({"rounding": 0.5}, [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2]),
        ({}, [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2]),
        ({"rounding": 0.1}, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2]),
    ],
)
def test_rounding_is_towards_zero_and_alike_for_both_signs(options, symbols):
    # Pictures of one grey and their only component: a symbol is worth five grey levels of every pixel.
    even = torch.full((1, 96), 96**-0.5).half()
    basis = Basis(torch.full((3, 8, 8), 100.0), even, even[:0], torch.ones(1))
    codec = PCA(basis, 5 * 192**0.5, **options)
    for sign in (1, -1):
        greys = 100 + sign * torch.arange(11)
        decoded = codec.decode(codec.encode(greys.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)))
        assert decoded[:, 0, 0, 0].tolist() == [100 + sign * 5 * symbol for symbol in symbols]


def test_a_dead_zone_beats_plain_rounding_where_most_components_are_narrower_than_the_step(basis):
    deviations = torch.linspace(100, 20, 60)
    laws = torch.distributions.Laplace(torch.zeros(60), deviations / 2**0.5)
    narrow = Basis(torch.full_like(basis.mean, 128), basis.even, basis.odd, deviations)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        images = torch.stack([narrow.draw(row) for row in laws.sample((60,))])
    sizes, errors = [], []
    for codec in (PCA(narrow, 100), PCA(narrow, 120, rounding=0.5)):
        blobs = codec.encode(images)
        sizes.append(sum(map(len, blobs)))
        errors.append(mean_squared_error(codec.decode(blobs), images))
    assert sizes[0] < sizes[1]
    assert errors[0] < errors[1]


def test_an_error_in_a_coefficient_is_the_same_error_in_the_picture(basis, faces):
    # The error of rounding is step^2 / 12 for each component, spread over the pixels.
    codecs = [PCA(basis, step, rounding=0.5) for step in (1.0, 24.0)]
    fine, coarse = (mean_squared_error(codec.decode(codec.encode(faces)), faces) for codec in codecs)
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
    codec = PCA(basis, STEP, rounding=0.5)
    deviations = basis.deviations.double()
    law = torch.distributions.Laplace(torch.zeros_like(deviations), deviations / 2**0.5)
    symbols = (basis.coefficients(unseen).double() / STEP).round()
    mass = law.cdf((symbols + 0.5) * STEP) - law.cdf((symbols - 0.5) * STEP)
    for blob, bits in zip(codec.encode(unseen), -mass.log2().sum(1), strict=True):
        assert len(blob) - HEADER.size < 1.03 * float(bits) / 8 + 2


def test_faces_that_are_all_alike_have_components_that_cost_nothing():
    faces = torch.full((8, 3, SIDE, SIDE), 77, dtype=torch.uint8)
    codec = PCA(fit(faces, 8), STEP)
    (blob,) = codec.encode(faces[:1])
    assert len(blob) <= HEADER.size + 1
    assert torch.equal(codec.decode([blob]), faces[:1])


def test_two_thousand_components_that_nobody_sees_cost_less_than_a_bit():
    table = range_coder.frequencies(range_coder.LOWEST)
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
    codec = PCA(symmetric_basis(), 16.0, rounding=0.5)
    (blob,) = codec.encode(picture)
    assert blob.hex() == "504301004cbb452e52adf86f82779c3034f9"
    row = torch.tensor([159, 159, 159, 159, 128, 94, 128, 94], dtype=torch.uint8)
    assert torch.equal(codec.decode([blob])[0], row.expand(3, 8, 8))


# ---- damaged and foreign files


def forged(blob: bytes, **fields: object) -> bytes:
    """Return the file with other fields of the header, its checksum right."""
    names = ("magic", "version", "step", "mark")
    values = dict(zip(names, HEADER.unpack_from(blob)[:-1], strict=True)) | fields
    head = HEADER.pack(*values.values(), 0)[:-2]
    payload = blob[HEADER.size :]
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
            decoded = PCA(basis, STEP).decode([forged(blob[: HEADER.size] + payload)])
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


@pytest.mark.parametrize("rounding", [-0.1, 0.51, float("nan"), "half", None, True])
def test_roundings_that_cannot_be_used_are_refused(basis, rounding):
    with pytest.raises(ValueError, match=r"codec\.rounding must be a number from 0 to 0\.5, plain rounding, got"):
        PCA(basis, STEP, rounding)


def test_the_smallest_step_reaches_the_largest_coefficient(basis):
    codec = PCA(basis, 0.22, rounding=0.5)
    noise = torch.randint(0, 2, (1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).to(torch.uint8) * 255
    images = torch.cat((noise, noise * 0, noise * 0 + 255))
    symbols = (basis.coefficients(images) / codec.step).round()
    assert symbols.abs().max() > 8_000
    expected = basis.draw(symbols[1] * codec.step)
    assert torch.equal(codec.decode(codec.encode(images))[1], expected)


# ---- a size asked for


def test_a_size_is_kept_and_more_bytes_make_a_better_picture(basis):
    images = smooth_images(3, SIDE, seed=5)
    errors = []
    for target in (20, 30, 60):
        codec = PCA(basis, STEP, target_bytes=target)
        blobs = codec.encode(images)
        assert max(map(len, blobs)) <= target
        errors.append((codec.decode(blobs).float() - images.float()).square().mean((1, 2, 3)).tolist())
    assert (np.diff(errors, axis=0) <= 0).all()


def test_a_file_of_a_size_is_one_of_some_step(basis):
    images = smooth_images(1, SIDE, seed=5)
    (blob,) = PCA(basis, STEP, target_bytes=40).encode(images)
    step = float(np.frombuffer(blob[3:5], "<f2")[0])
    assert PCA(basis, step).encode(images) == [blob]
    assert step in ladder(SIDE)


def test_a_size_below_the_floor_names_it(basis):
    with pytest.raises(BelowFloorError, match=r"floor for it is 1[0-9] bytes"):
        PCA(basis, STEP, target_bytes=5).encode(smooth_images(1, SIDE))


def test_the_step_names_a_run_only_where_all_files_have_it(basis):
    assert PCA(basis, STEP).identity().step_size == STEP
    assert PCA(basis, STEP, target_bytes=40).identity().step_size is None
