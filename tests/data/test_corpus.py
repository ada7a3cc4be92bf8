"""Training faces: read from tar shards and folders."""

import io
import logging
import shutil
import tarfile

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from ganrev.data.corpus import load_corpus
from ganrev.pixels import to_pillow
from tests.faces import as_png, write_folder, write_tar
from tests.tiny import smooth_images


def test_faces_come_from_tar_shards_and_folders_in_their_order(tmp_path):
    images = smooth_images(5, 128)
    members = {f"faces/{name}.PNG": as_png(image) for name, image in zip("dcb", images, strict=False)}
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
        (
            lambda place: write_tar(place / "bad.tar", {"a.png": b"\x89PNG"}),
            r"bad\.tar: a is damaged, or is not a picture that can be used",
        ),
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


def test_a_shard_that_inflates_to_gigabytes_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("ganrev.data.corpus._MOST_BYTES", 1000)
    with tarfile.open(tmp_path / "faces.tar.gz", "w:gz") as tar:
        for name, size in (("a.png", 10), ("b.png", 1 << 20)):
            member = tarfile.TarInfo(name)
            member.size = size
            tar.addfile(member, io.BytesIO(bytes(size)))
    with pytest.raises(ValueError, match=r"faces\.tar\.gz: b\.png has more than .* MiB"):
        load_corpus([tmp_path / "faces.tar.gz"])
