"""A folder of pictures as data source."""

import json
import logging
import os

import pytest
import torch
from PIL import Image

from ganrev.data.folder import Folder, unique_names
from ganrev.pixels import from_pillow
from tests.picture_files import BAD, chw, encoded, noise


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


def test_what_is_no_file_is_named_among_those_left_out(folder, caplog):
    (folder / "gone.jpg").symlink_to("nowhere.jpg")
    (folder / "linked.png").symlink_to("a.png" if (folder / "a.png").exists() else next(folder.glob("a.*")).name)
    os.mkfifo(folder / "pipe")
    pictures = Folder(folder).load()
    assert pictures.names == ["a", "b", "c", "linked"]
    assert pictures.skipped == [("gone.jpg", "it is a link to nothing, no file"), ("pipe", "it is a pipe, no file")]
    assert "skipped gone.jpg: it is a link to nothing" in caplog.text


def test_every_bad_kind_is_skipped_beside_a_good_one(folder):
    for name, (data, _) in BAD.items():
        (folder / name).write_bytes(data)
    pictures = Folder(folder).load()
    assert pictures.names == ["a", "b", "c"]
    assert {name for name, _ in pictures.skipped} == set(BAD)
    assert all(BAD[name][1] in reason for name, reason in pictures.skipped)


def test_folder_of_bad_files_only(tmp_path):
    (tmp_path / "a.txt").write_text("no picture")
    with pytest.raises(ValueError, match=r"none of 1 file .* a\.txt: not a picture.* data=seen needs no"):
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


def test_faces_are_found_in_photos_of_any_size(tmp_path, drawn_faces, caplog):
    photo = Image.new("RGB", (400, 300), (120, 120, 120))
    photo.paste(drawn_faces[0].resize((150, 150)), (200, 60))
    photo.save(tmp_path / "face.png")
    Image.new("RGB", (400, 300), (10, 90, 30)).save(tmp_path / "meadow.png")
    small = Image.new("RGB", (200, 200), (120, 120, 120))
    small.paste(drawn_faces[0].resize((40, 40)), (80, 80))
    small.save(tmp_path / "small.png")
    pictures = Folder(tmp_path, crop="face").load()
    assert (pictures.names, pictures.images.shape) == (["face", "small"], (2, 3, 128, 128))
    ((file, reason),) = pictures.skipped
    assert (file, reason[:21]) == ("meadow.png", "no face was found: ta")
    true = from_pillow(drawn_faces[0])
    assert (pictures.images[0].float() - true.float()).abs().mean() < 12
    assert any(record.message.startswith("small.png: the face is small") for record in caplog.records)
