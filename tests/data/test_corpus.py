"""Training faces: read from tar shards and folders, dealt out in batches, sharpened."""

import io
import logging
import shutil
import tarfile

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from ganrev.data.corpus import load_corpus
from ganrev.evaluation.realism import laplacian_pyramid
from ganrev.pixels import to_pillow, to_x
from ganrev.train.batches import batch_at, deblur
from tests.tiny import smooth_images


def png(image):
    buffer = io.BytesIO()
    to_pillow(image).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


def write_folder(folder, images, first=0):
    """Write pictures named by numbers, as CelebA's are."""
    folder.mkdir(parents=True)
    for number, image in enumerate(images, start=first):
        (folder / f"{number:06d}.png").write_bytes(png(image))
    return folder


def write_tar(path, files):
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


# ---- pictures


def test_faces_come_from_tar_shards_and_folders_in_their_order(tmp_path):
    images = smooth_images(5, 128)
    members = {f"faces/{name}.PNG": png(image) for name, image in zip("dcb", images, strict=False)}
    shard = write_tar(tmp_path / "shard.tar", members | {"faces/notes.txt": b"no picture"})
    folder = write_folder(tmp_path / "folder", images[3:])
    (folder / "notes.txt").write_text("no picture")
    names, read = load_corpus([shard, str(folder)])
    assert names == ["d", "c", "b", "000000", "000001"]
    assert read.dtype == torch.uint8
    assert torch.equal(read, images)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda place: place / "nowhere", "there are no faces at .*nowhere: give tar shards or folders"),
        (lambda place: write_folder(place / "empty", []), "empty holds no picture"),
        (lambda place: write_tar(place / "empty.tar", {"a.txt": b"a"}), "empty.tar holds no picture"),
        (lambda place: write_folder(place / "small", smooth_images(1, 64)), "000000 is 64 x 64.*must be 128 x 128"),
        (lambda place: write_tar(place / "bad.tar", {"a.png": b"\x89PNG"}), "bad.tar: a is damaged or no picture"),
        (lambda place: shutil.copy(__file__, place / "faces.tar"), "faces.tar is no whole tar file"),
    ],
)
def test_faces_that_cannot_be_used_are_named(make, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        load_corpus([make(tmp_path)])


@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_faces_are_decoded_as_test_pictures_are(kind, tmp_path, caplog):
    (image,) = smooth_images(1, 128)
    upright, files = to_pillow(image), {}
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right, so it is stored turned to the left
    for name, picture, options in (
        ("a.png", upright, {}),
        ("b.tif", upright, {}),
        ("c.bmp", upright, {}),
        ("d.webp", upright, {"lossless": True}),
        ("e.avif", upright, {"quality": 100, "subsampling": "4:4:4"}),
        ("f.png", upright.transpose(Image.Transpose.ROTATE_90), {"exif": exif}),
    ):
        buffer = io.BytesIO()
        picture.save(buffer, {"tif": "TIFF"}.get(name[2:], name[2:].upper()), **options)
        files[name] = buffer.getvalue()
    grey = np.full((128, 128), 0x4000, np.uint16)
    files["g.png"] = cv2.imencode(".png", grey)[1].tobytes()
    files["h.png"] = cv2.imencode(".png", np.zeros((128, 128, 4), np.uint8))[1].tobytes()  # black, and transparent
    files |= {"._a.png": b"\0\5\x16\7 AppleDouble", ".DS_Store": b"Bud1", "notes.txt": b"no picture"}
    source = tmp_path / "faces"
    if kind == "tar":
        write_tar(source, {f"in/{name}": data for name, data in files.items()})
    else:
        source.mkdir()
        for name, data in files.items():
            (source / name).write_bytes(data)
    with caplog.at_level(logging.WARNING):
        names, images = load_corpus([source])
    assert names == list("abcdefgh")
    for index in (0, 1, 2, 3, 5):
        assert torch.equal(images[index], image), names[index]
    assert (images[4].int() - image.int()).abs().max() < 16
    assert (images[6] == 64).all()
    assert (images[7] == 255).all()
    assert "left out 1 files that are not named like pictures" in caplog.text
    assert "notes.txt" in caplog.text
    assert "DS_Store" not in caplog.text


def test_no_source_is_no_corpus():
    with pytest.raises(ValueError, match="there are no faces"):
        load_corpus([])


def test_a_damaged_picture_is_named(tmp_path):
    folder = write_folder(tmp_path / "faces", smooth_images(2, 128))
    path = folder / "000001.png"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ValueError, match="000001 is damaged"):
        load_corpus([folder])


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
    with pytest.raises(ValueError, match="batch_size=4 needs at least so many faces, got 3"):
        batch_at(3, 4, 0, seed=0)


# ---- sharpening


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
