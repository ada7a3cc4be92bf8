"""The folder of a run: names survive, what is unfinished is refused, and verify compares all or fails."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from ganrev.evaluation.archives import join_traces
from ganrev.evaluation.integrity import SUMS
from ganrev.evaluation.recode import recode
from ganrev.evaluation.run_folder import RunFolder
from ganrev.evaluation.run_list import read_runs
from ganrev.evaluation.runner import run
from ganrev.evaluation.verify import verify
from ganrev.pixels import to_pillow
from tests.calling import status_of
from tests.tiny import OVERRIDES, compose_config, smooth_images

pytestmark = pytest.mark.usefixtures("quick_runs")

NAMES = ["007", "NA", "nan", "null", "true"]  # in the order of their files
PICKY = ["codec=png", "codec._target_=tests.tiny.RawCodec", "+codec.size=128", "+codec.picky=true"]


def save(folder, names=NAMES, red=()):
    folder.mkdir()
    for name, image in zip(names, smooth_images(len(names), 128), strict=True):
        if name in red:
            image[:, 0, 0] = torch.tensor([255, 0, 0], dtype=torch.uint8)
        to_pillow(image).save(folder / f"{name}.png")
    return folder


def run_in(folder, *overrides):
    common = [*OVERRIDES, "data=folder", f"data.root={folder / 'pictures'}", f"out={folder / 'runs'}", "batch_size=2"]
    return RunFolder(run(compose_config(*common, *overrides)))


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    """A folder with pictures that a table reader takes for something else, and an unrounded run of them."""
    folder = tmp_path_factory.mktemp("odd")
    save(folder / "pictures")
    return folder, run_in(folder, "quant=none")


@pytest.fixture
def copied(odd, tmp_path):
    """A copy of that run, to be damaged."""
    return RunFolder(shutil.copytree(odd[1].path, tmp_path / odd[1].name))


# ---- names


def test_pictures_of_any_name_survive(odd, monkeypatch, capsys):
    _, done = odd
    assert done.rows["name"].tolist() == NAMES
    assert done.blob_names == sorted(NAMES)
    assert status_of("verify", done, "--alone", "5") == 0
    assert "compressed alone, SSIM within" in capsys.readouterr().out
    recoded = recode(done, ["quant=extreme"])
    assert recoded["name"].tolist() == NAMES
    assert recode(done, ["quant=extreme"])["name"].tolist() == NAMES  # as they were kept


def swap(one: Path, other: Path) -> None:
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def test_files_of_such_names_that_were_swapped_are_noticed(copied, monkeypatch, capsys):
    swap(*(copied.path / "blobs" / f"{name}.gr" for name in ("NA", "null")))
    assert status_of("verify", copied) == 2
    assert f"{copied} is damaged: blobs/NA.gr is not what was written" in capsys.readouterr().err
    (copied.path / SUMS).unlink()  # as in runs of older versions
    assert status_of("verify", copied) == 2
    assert "the file of NA has" in capsys.readouterr().err


def test_what_no_size_tells_is_noticed_by_pictures_and_scores(copied, monkeypatch, capsys):
    blobs = {file: file.read_bytes() for file in (copied.path / "blobs").iterdir()}
    sizes = [len(blob) for blob in blobs.values()]
    one, other = [file for file, blob in blobs.items() if sizes.count(len(blob)) > 1][:2]
    assert len(blobs[one]) == len(blobs[other])
    swap(one, other)
    (copied.path / SUMS).unlink()
    assert status_of("verify", copied) == 2
    assert "is not what its file draws" in capsys.readouterr().err
    swap(*(copied.path / "decoded" / f"{file.stem}.png" for file in (one, other)))
    assert status_of("verify", copied) == 1
    assert "CHANGED by more than 1e-3" in capsys.readouterr().out


def test_shards_of_such_names_are_merged(odd, tmp_path, capsys):
    folder, done = odd
    for number in (1, 2, 3):
        run_in(folder, "quant=none", f"data.shard={number}/3", f"out={tmp_path}")
    assert status_of("collect", tmp_path) == 0
    assert RunFolder(tmp_path / done.name).rows["name"].tolist() == NAMES
    assert sorted(p.name for p in (tmp_path / done.name / "blobs").iterdir()) == [f"{n}.gr" for n in sorted(NAMES)]


# ---- verify compares everything, or fails


def test_pictures_that_have_other_names_now_are_not_taken_for_failed_ones(odd, copied, tmp_path, monkeypatch, capsys):
    shutil.copytree(odd[0] / "pictures", tmp_path / "renamed")
    for file in (tmp_path / "renamed").iterdir():
        file.rename(file.with_name(f"face_{file.name}"))
    text = (copied.path / "config.yaml").read_text()
    (copied.path / "config.yaml").write_text(text.replace(str(odd[0] / "pictures"), str(tmp_path / "renamed")))
    (copied.path / SUMS).unlink()  # what verify finds without them
    assert status_of("verify", copied) == 2
    assert f"error: the pictures that {copied} compressed are no longer the same" in capsys.readouterr().err


@pytest.mark.parametrize("kept_lines", [0, 1, 3])
def test_rows_that_are_missing_are_noticed(copied, kept_lines, monkeypatch, capsys):
    rows = copied.path / "rows.csv"
    rows.write_text("".join(rows.read_text().splitlines(keepends=True)[:kept_lines]))
    assert status_of("verify", copied) == 2
    complaint = capsys.readouterr().err
    if kept_lines:
        assert f"{copied} is damaged: summary.json: it speaks of other than {kept_lines - 1} rows" in complaint
    else:
        assert f"{rows} is empty or damaged" in complaint


def test_a_file_that_is_missing_is_noticed(copied, monkeypatch, capsys):
    (copied.path / "blobs" / "NA.gr").unlink()
    assert status_of("verify", copied) == 2
    assert f"{copied} is damaged: blobs/NA.gr cannot be read" in capsys.readouterr().err
    (copied.path / SUMS).unlink()
    assert status_of("verify", copied) == 2
    assert "5 rows, but 4 files" in capsys.readouterr().err


def test_failed_pictures_have_a_reason_instead_of_a_row(tmp_path):
    save(tmp_path / "pictures", red=["007", "nan"])
    done = run_in(tmp_path, *PICKY)
    checked = verify(done, num_alone=2)
    assert (checked.num_compared, checked.has_changed) == (3, False)
    summary = done.summary
    del summary["images_failed"]["nan"]
    (done.path / "summary.json").write_text(json.dumps(summary))
    with pytest.raises(ValueError, match="3 rows and 1 failures do not make up its 5 pictures"):
        verify(done)


def test_a_folder_that_is_no_finished_run_is_refused_by_one_sentence(copied, tmp_path, monkeypatch, capsys):
    (copied.path / "summary.json").unlink()
    for folder, files in ((copied.path, "summary.json"), (tmp_path, "config.yaml and no summary.json")):
        expected = f"error: {folder} is no finished run: it has no {files}; give folders like results/runs/<run_id>\n"
        assert status_of("verify", folder) == 2
        assert capsys.readouterr().err == expected
        assert status_of("recode", folder, "quant=extreme") == 2
        assert capsys.readouterr().err == expected


# ---- a codec of a stranger's


class Theirs:
    """Only what `Codec` asks for; its files have a suffix of two parts."""

    suffix = ".raw.bin"
    image_size = None

    def encode(self, images: Tensor) -> list[bytes]:
        return [image.numpy().tobytes() for image in images]

    def decode(self, blobs: list[bytes]) -> Tensor:
        rows = [torch.frombuffer(bytearray(blob), dtype=torch.uint8) for blob in blobs]
        return torch.stack(rows).view(-1, 3, 128, 128)


def test_a_strangers_codec_needs_four_things(tmp_path, monkeypatch):
    save(tmp_path / "pictures", ["a", "a.b"])
    done = run_in(tmp_path, "codec=png", f"codec._target_={__name__}.Theirs")
    assert done.name.startswith("theirs-")
    assert done.rows["num_bytes"].tolist() == [3 * 128 * 128] * 2
    assert sorted(path.name for path in (done.path / "blobs").iterdir()) == ["a.b.raw.bin", "a.raw.bin"]
    assert RunFolder(done.path).blob("a") == RunFolder(done.path, ".raw.bin").blob("a")
    assert done.summary["mean"]["psnr"] == "inf"
    assert status_of("verify", done, "--alone", "1") == 0
    assert read_runs(done.path.parent)[0].what.startswith(f"codec._target_={__name__}.Theirs ")


def test_joining_no_traces_gives_none():
    assert join_traces([]) == {}
