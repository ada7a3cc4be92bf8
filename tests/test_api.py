"""The package's public face: resolved when used, and a codec in two lines."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.errors import HydraException
from PIL import Image

import ganrev
from ganrev.api import crop_and_resize
from ganrev.paths import config_dir
from ganrev.pixels import from_pillow, resize, to_pillow
from tests.tiny import TinyGenerator, compose_config, smooth_images

TINY = {
    "generator._target_": "tests.tiny.TinyGenerator",
    "loss": "mse",
    "reversal.steps": 5,
    "device": "cpu",
    "device.dtype": "float32",
}


def test_importing_the_package_imports_no_torch_and_no_hydra():
    check = "import ganrev, sys; print([m for m in ('torch', 'hydra', 'numpy', 'omegaconf') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_is_there_and_listed():
    assert set(ganrev.__all__) <= set(dir(ganrev))
    for name in ganrev.__all__:
        assert getattr(ganrev, name) is not None
    with pytest.raises(AttributeError, match=r"ganrev.*Kodec"):
        ganrev.Kodec  # noqa: B018


def test_types_are_told_to_type_checkers():
    assert (config_dir().parent / "ganrev" / "py.typed").is_file()


def test_a_codec_has_the_defaults_of_run_py():
    codec = ganrev.load_codec("gan", quant="standard", **TINY)
    assert isinstance(codec, ganrev.GanCodec)
    assert isinstance(codec.generator, TinyGenerator)
    defaults = compose_config("quant=standard")
    assert codec.step_size == pytest.approx(defaults.quant.step / TinyGenerator.card_scale)
    assert codec.reversal.lr == defaults.reversal.lr
    assert codec.reversal.steps == 5


def test_options_are_pythons_values_or_the_command_lines_text(face_folder):
    for codec in (
        ganrev.load_codec("pca", **{"codec.faces": [face_folder], "codec.step": 50.0, "codec.components": 8}),
        ganrev.load_codec("pca", f'codec.faces=["{face_folder}"]', "codec.step=50", "codec.components=8"),
    ):
        assert codec.step == 50
    with pytest.raises(ValueError, match="an option is a text, a number"):
        ganrev.load_codec("jpeg", **{"codec.quality": object()})


def test_mistakes_are_told():
    with pytest.raises(ValueError, match=r"^codec.quality must be a whole number between 1 and 95, got 1000$"):
        ganrev.load_codec("jpeg", **{"codec.quality": 1000})
    with pytest.raises(HydraException, match="jepg"):
        ganrev.load_codec("jepg")
    with pytest.raises(ValueError, match="the codec is gan and codec=jpeg: give one of the two"):
        ganrev.load_codec("gan", "codec=jpeg")
    with pytest.raises(HydraException, match="nonsense"):
        ganrev.load_codec("jpeg", nonsense=3)
    with pytest.raises(ValueError, match=r"data=.* is an option of runs"):
        ganrev.load_codec("gan", data="seen")
    with pytest.raises(ValueError, match=r"options \(quant\) belong to a codec's name"):
        ganrev.compress(smooth_images(1)[0], ganrev.load_codec("jpeg", **{"codec.quality": 50}), quant="extreme")


@pytest.mark.parametrize("kind", ["pillow", "numpy", "torch"])
def test_there_and_back_in_two_lines(kind):
    image = smooth_images(1, 40)[0]
    given = {"pillow": to_pillow(image), "numpy": image.permute(1, 2, 0).numpy(), "torch": image}[kind]
    blob = ganrev.compress(given, "png")
    back = ganrev.decompress(blob, "png")
    assert back.dtype == np.uint8
    assert np.array_equal(back, image.permute(1, 2, 0).numpy())


def test_a_face_of_another_size_is_cut_and_resized():
    picture = to_pillow(smooth_images(1, 200)[0, :, :160])
    blob = ganrev.compress(picture, **TINY)
    assert blob == ganrev.compress(picture, ganrev.load_codec("gan", **TINY))
    assert ganrev.decompress(blob, **TINY).shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (np.zeros((8, 8), np.uint8), r"got uint8 \[8, 8\]"),
        (np.zeros((8, 8, 3)), r"got float64 \[8, 8, 3\]"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), r"got torch.uint8 \[1, 3, 8, 8\]"),
        (Image.new("RGBA", (8, 8)), "in mode RGB, got RGBA: convert it first"),
        ("face.png", "got str"),
    ],
)
def test_other_pictures_are_refused(image, complaint):
    with pytest.raises(ValueError, match=complaint):
        ganrev.compress(image, "png")


def test_a_codec_is_loaded_inside_a_program_that_uses_hydra():
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        assert ganrev.load_codec("png").suffix == ".png"
        assert compose("config").codec["_target_"]  # the program's own Hydra is still there


def test_an_aligned_celeba_image_is_cut_and_not_resized_for_128_pixels():
    picture = to_pillow(smooth_images(1, 218)[0, :, :, :178])
    fitted, done = crop_and_resize(picture, 128)
    assert done == ["cut 178 x 218 to CelebA's face window, rows 57-184 and columns 25-152"]
    assert torch.equal(fitted, from_pillow(picture)[:, 57:185, 25:153])


def test_a_wide_photo_loses_its_sides():
    image = smooth_images(1, 200)[0, :, :128]
    fitted, (done,) = crop_and_resize(to_pillow(image), 128)
    assert torch.equal(fitted, image[:, :, 36:164])
    assert done.startswith("cut 200 x 128 to the centred square of 128 x 128; the face")


def test_a_square_photo_is_resized():
    image = smooth_images(1, 256)[0]
    fitted, done = crop_and_resize(to_pillow(image), 128)
    assert torch.equal(fitted, resize(image[None], 128)[0])
    assert done == ["resized to 128 x 128"]


def test_junk_is_no_file_of_a_codec():
    for junk in (b"", b"junk", b"\xff\xd8\xff\xe0 and more"):
        with pytest.raises(ValueError, match="JPEG") as told:
            ganrev.decompress(junk, "jpeg")
        assert "object at" not in str(told.value)
    codec = ganrev.load_codec("jpeg")
    for junk in ("text", b"junk", ["text"], [3]):
        with pytest.raises(ValueError, match="expected a list of the bytes of files, got"):
            codec.decode(junk)


def test_what_is_no_file_or_no_name_is_refused():
    with pytest.raises(ValueError, match="expected the bytes of a file, got int"):
        ganrev.decompress(3)
    with pytest.raises(ValueError, match="expected the name of a codec"):
        ganrev.load_codec("reversal.steps=5")
    for codec in (None, 250, object()):
        with pytest.raises(ValueError, match="expected a codec, as load_codec makes them, or the name of one, got"):
            ganrev.compress(smooth_images(1)[0], codec)
        with pytest.raises(ValueError, match="expected a codec"):
            ganrev.decompress(b"GR", codec)
