"""The contract of `ganrev.codecs.base.Codec`, over every file of configs/codec/."""

import io

import pytest
import torch
from hydra.utils import instantiate
from PIL import Image

from baselines.learned.model import Kind
from ganrev.codecs.auto import AutoCodec
from ganrev.codecs.base import check_images
from ganrev.evaluation.metrics import distortion
from ganrev.paths import config_dir
from ganrev.pixels import to_images, to_png, to_x
from tests.learned import write_weights
from tests.tiny import OVERRIDES, TinyGenerator, compose_config, smooth_images

SMALL_BUDGET = [
    "reversal.steps=20",
    "+codec.budget._target_=ganrev.codecs.rate_control.RateBudget",
    "+codec.budget.search={_target_: ganrev.coding.Effort, num_steps: 10, lr: 0.03, num_rounds: 5}",
]
LEARNED: dict[str, Kind] = {
    "autoencoder": "autoencoder",
    "hyperprior": "hyperprior",
    "encoder": "encoder",
    "encoder_adversarial": "adversarial",
}
CONFIGS = sorted(path.stem for path in (config_dir() / "codec").glob("*.yaml"))


@pytest.fixture(scope="module", params=CONFIGS)
def make_codec(request, tmp_path_factory):
    """Build one of the codecs, over the tiny generator where it has one, small where it must be fitted first."""
    own = []
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "pca":
            folder = tmp_path_factory.mktemp("faces")
            for number, image in enumerate(smooth_images(60, 128, seed=7)):
                (folder / f"{number}.png").write_bytes(to_png(image))
            patch.setenv("GANREV_CACHE", str(folder / "cache"))
            own = [f"codec.faces=[{folder}]", "codec.components=40"]
        if request.param == "gan_auto":
            own = ["codec.target_bytes=30", *SMALL_BUDGET]  # what sixteen latents can use
        if request.param in LEARNED:
            folder = tmp_path_factory.mktemp("weights")
            weights = write_weights(LEARNED[request.param], folder, TinyGenerator(size=128))
            own = [f"codec.path={weights}"]
            own += ["+generator.size=128"] * (request.param not in ("autoencoder", "hyperprior"))
        yield lambda: instantiate(compose_config(*OVERRIDES, f"codec={request.param}", *own).codec)


@pytest.fixture(scope="module")
def codec(make_codec):
    return make_codec()


@pytest.fixture(scope="module")
def images(codec):
    return smooth_images(4, codec.image_size or 48)


@pytest.fixture(scope="module")
def blobs(codec, images):
    return codec.encode(images)


def test_configs_are_found():
    assert {"gan", "png", "jpeg", "kmeans"} <= set(CONFIGS)


def test_attributes(codec):
    assert codec.suffix.startswith(".")
    assert codec.suffix == codec.suffix.lower()
    assert codec.image_size is None or codec.image_size > 0


def test_one_file_a_picture_and_a_picture_of_each(codec, images, blobs):
    assert isinstance(blobs, list)
    assert [type(blob) for blob in blobs] == [bytes] * len(images)
    decoded = codec.decode(blobs)
    assert decoded.dtype == torch.uint8
    assert decoded.device.type == "cpu"
    assert decoded.shape == images.shape


def test_pictures_come_back_in_their_order_and_their_colours(codec, images, blobs):
    decoded = codec.decode(blobs).float()
    distances = torch.cdist(decoded.flatten(1), images.float().flatten(1))
    assert distances.argmin(dim=1).tolist() == [0, 1, 2, 3]


def test_deterministic(make_codec, images, blobs):
    again = make_codec()
    assert again.encode(images) == blobs
    assert torch.equal(again.decode(blobs), again.decode(blobs))


def test_no_influence_of_neighbours_on_a_search(codec, images, blobs):
    """A search over symbols may turn on the last bit of a sum, which a batch of another size adds up otherwise."""
    if not isinstance(codec, AutoCodec):
        pytest.skip("compared byte by byte")
    for image, blob in zip(images, blobs, strict=True):
        alone = codec.encode(image[None])
        assert max(len(alone[0]), len(blob)) <= codec.target_bytes
        similar = [distortion(image, drawn)["ssim"] for drawn in codec.decode([*alone, blob])]
        assert similar[0] == pytest.approx(similar[1], abs=0.01)


def test_no_state_between_calls_and_no_influence_of_neighbours(codec, images, blobs):
    if isinstance(codec, AutoCodec):
        pytest.skip("compared by what the files are worth")
    assert [codec.encode(image[None])[0] for image in images] == blobs
    assert codec.encode(images.flip(0)) == blobs[::-1]
    decoded = codec.decode(blobs)
    alone = torch.cat([codec.decode([blob]) for blob in blobs])
    assert (decoded.int() - alone.int()).abs().max() <= 1


def test_another_memory_layout_is_the_same_picture(codec, images, blobs):
    assert codec.encode(images.contiguous(memory_format=torch.channels_last)) == blobs


def test_pictures_are_left_alone(codec, images):
    before = images.clone()
    codec.encode(images)
    assert torch.equal(images, before)


def test_extreme_pictures(codec):
    size = codec.image_size or 48
    noise = torch.randint(0, 256, (1, 3, size, size), generator=torch.Generator().manual_seed(0))
    black = torch.zeros(1, 3, size, size)
    images = torch.cat([black, black + 255, noise, black + 128]).to(torch.uint8)
    assert codec.decode(codec.encode(images)).shape == images.shape


def test_nothing_gives_nothing(codec, images):
    assert codec.encode(images[:0]) == []
    with pytest.raises(ValueError, match="at least one file"):
        codec.decode([])


@pytest.mark.parametrize(
    "change",
    [
        lambda images: images.float(),
        lambda images: images.int(),
        lambda images: images[0],
        lambda images: images[:, :1],
        lambda images: images.permute(0, 2, 3, 1),
        lambda images: torch.cat([images, images[:, :1]], dim=1),
    ],
    ids=["float", "int32", "one picture", "grey", "channels last", "alpha"],
)
def test_other_tensors_are_refused(codec, images, change):
    with pytest.raises(ValueError, match=r"expected uint8 pictures \[N, 3, H, W\] in RGB, got .*\["):
        codec.encode(change(images))


def test_another_size_is_taken_or_refused(codec, images):
    larger = smooth_images(1, images.shape[-1] + 8)
    if codec.image_size is None:
        assert codec.decode(codec.encode(larger)).shape == larger.shape
    else:
        with pytest.raises(ValueError, match=rf"draws {codec.image_size} x {codec.image_size} pictures, got"):
            codec.encode(larger)


@pytest.mark.parametrize("garbage", [b"", b"\0", b"garbage" * 40, b"GR", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_garbage_is_refused(codec, blobs, garbage):
    with pytest.raises(ValueError, match=r"\w"):
        codec.decode([garbage])
    with pytest.raises(ValueError, match=r"\w"):
        codec.decode([blobs[0], garbage])


def test_a_truncated_file_is_refused(codec, blobs):
    for length in (1, 5, 12, len(blobs[0]) // 3, len(blobs[0]) // 2):
        with pytest.raises(ValueError, match=r"\w"):
            codec.decode([blobs[0][:length]])


def test_a_file_of_another_format_is_refused(codec, images):
    foreign = io.BytesIO()
    Image.new("RGB", (48, 48)).save(foreign, format="BMP")
    with pytest.raises(ValueError, match=r"\w"):
        codec.decode([foreign.getvalue()])
    if codec.suffix != ".png":
        with pytest.raises(ValueError, match=r"\w"):
            codec.decode([to_png(images[0])])


def test_check_images_names_what_came():
    with pytest.raises(ValueError, match=r"got float32 \[2, 3, 8, 8\]"):
        check_images(torch.zeros(2, 3, 8, 8))
    with pytest.raises(ValueError, match=r"draws 16 x 16 pictures, got 8 x 9; crop or resize"):
        check_images(torch.zeros(2, 3, 8, 9, dtype=torch.uint8), 16)
    check_images(torch.zeros(2, 3, 8, 9, dtype=torch.uint8))


def test_pixels_are_rounded_and_not_truncated():
    values = torch.arange(256, dtype=torch.uint8).expand(1, 3, 2, 256)
    x = to_x(values)
    assert x.min() == -1
    assert x.max() == 1
    for nudge in (-0.45, 0.0, 0.45):  # of a grey level
        assert torch.equal(to_images(x + nudge / 127.5), values)
    assert to_images(torch.tensor([-3.0, 5.0])).tolist() == [0, 255]
