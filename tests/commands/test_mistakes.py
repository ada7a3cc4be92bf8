"""Every way to use compress, decompress and info wrongly ends with one line."""

import os

import numpy as np
import pytest
from PIL import Image

from ganrev.cli import main
from ganrev.coding import container
from ganrev.commands import files
from tests.calling import fails
from tests.commands.photos import TINY, files_in


@pytest.mark.parametrize("command", ["compress", "decompress", "info"])
def test_a_missing_file(capsys, tmp_path, command):
    more = [] if command == "info" else ["-o", tmp_path / "out.png", *TINY]
    complaint = fails(capsys, command, tmp_path / "nowhere.png", *more)
    assert complaint == f"error: there is no file {tmp_path / 'nowhere.png'}"
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("command", ["compress", "decompress", "info"])
def test_what_is_no_file_is_named(capsys, tmp_path, command):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere")
    more = [] if command == "info" else ["-o", tmp_path / "out.png", *TINY]
    for source, kind in (
        (tmp_path, "a folder"),
        (tmp_path / "pipe", "a pipe"),
        ("/dev/null", "a device"),
        (tmp_path / "link", "a link to nothing"),
    ):
        assert fails(capsys, command, source, *more) == f"error: {source} is {kind}: give the name of a file"


def test_an_empty_file_is_said_to_be_empty(capsys, tmp_path):
    (tmp_path / "empty").touch()
    assert fails(capsys, "info", tmp_path / "empty").startswith(f"error: {tmp_path / 'empty'} is empty: expected a .gr")
    assert "the file is empty" in fails(capsys, "compress", tmp_path / "empty", "-o", tmp_path / "out.gr")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--bytes", 250, "codec=gan"], "leave out --bytes or codec=gan"),
        (["--quality", "ssim:0.7", "codec=gan"], "leave out --quality or codec=gan"),
        (["--bytes", 250, "codec.target_bytes=300"], "--bytes and codec.target_bytes=300 are two targets of one file"),
        (["--bytes", 250, "--quality", "ssim:0.7"], "give --bytes or --quality, not both"),
    ],
)
def test_targets_that_exclude_each_other(capsys, photo, tmp_path, words, told):
    assert told in fails(capsys, "compress", photo, "-o", tmp_path / "out.gr", *words)
    assert files_in(tmp_path) == ["photo.png"]


@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_standard_output_is_not_written_to(capsys, photo, command):
    assert "- stands for standard output" in fails(capsys, command, photo, "-o", "-")


def test_a_file_that_is_no_picture(capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    complaint = fails(capsys, "compress", tmp_path / "notes.txt", "-o", tmp_path / "out.gr", *TINY)
    assert f"{tmp_path / 'notes.txt'}: not a picture" in complaint
    assert files_in(tmp_path) == ["notes.txt"]


def test_a_photo_that_is_too_small(capsys, tmp_path):
    Image.fromarray(np.zeros((50, 40, 3), np.uint8)).save(tmp_path / "small.png")
    complaint = fails(capsys, "compress", tmp_path / "small.png", "-o", tmp_path / "out.gr", *TINY)
    assert "too small: it is 40 x 50" in complaint
    assert files_in(tmp_path) == ["small.png"]


@pytest.mark.parametrize("command", ["decompress", "info"])
def test_a_damaged_file(capsys, compressed, tmp_path, command):
    whole = compressed.read_bytes()
    more = [] if command == "info" else ["-o", tmp_path / "out.png", *TINY]
    before = files_in(tmp_path)
    for damaged in (whole[:-1], whole[:6], whole[:20] + b"\0" + whole[21:], whole + b"x"):
        compressed.write_bytes(damaged)
        complaint = fails(capsys, command, compressed, *more)
        assert "truncated" in complaint
    compressed.write_bytes(b"hello")
    assert "not a .gr file" in fails(capsys, command, compressed, *more)
    assert files_in(tmp_path) == before


def test_a_foreign_file_is_named_before_any_weights_are_loaded(capsys, photo, tmp_path):
    complaint = fails(capsys, "decompress", photo, "-o", tmp_path / "out.png", "--", "generator.path=/nowhere")
    assert "not a .gr file" in complaint


def test_a_wrong_generator(capsys, compressed, tmp_path):
    other = [*TINY, f"+generator.digest={'ff' * 32}"]
    complaint = fails(capsys, "decompress", compressed, "-o", tmp_path / "out.png", *other)
    assert "made with generator 012345, this one is ffffff" in complaint
    assert "out.png" not in files_in(tmp_path)


def test_an_output_folder_that_is_not_there_is_said_before_the_work(capsys, photo, compressed, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "make_codec", lambda overrides: pytest.fail("it worked in vain"))
    for command, source in (("compress", photo), ("decompress", compressed)):
        complaint = fails(capsys, command, source, "-o", tmp_path / "no" / "such" / "out", *TINY)
        assert f"there is no folder {tmp_path / 'no' / 'such'}" in complaint
        assert "is a folder" in fails(capsys, command, source, "-o", tmp_path, *TINY)


def test_an_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.gr"
    target.write_bytes(b"old")

    def full(self, other):
        raise OSError("no space left")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="no space left"):
        files.write_whole(target, b"new")
    assert target.read_bytes() == b"old"
    assert files_in(tmp_path) == ["a.gr"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("quant.step=-1", "quant.step must be a positive number"),
        ("quant.step=wide", "quant.step must be a positive number, or null for float32 latents, got 'wide'"),
        ("reversal.optimizer=newton", "reversal.optimizer must be one of sgd, adam, got 'newton'"),
        ("device.dtype=int8", "device.dtype must be"),
        ("codec=jpeg", "baselines.JPEG has a format of its own"),
        ("data=seen", "data=seen is an option of runs"),  # it sets latent_scale and clip, too
        ("+data.limit=3", "is an option of runs"),
        ("generator.path=/nowhere/weights", "/nowhere/weights"),
        ("+reversal.warmup=3", "unexpected keyword argument 'warmup'"),
    ],
)
def test_a_bad_override(capsys, photo, tmp_path, override, message):
    base = ["--"] if override.startswith("generator") else TINY
    complaint = fails(capsys, "compress", photo, "-o", tmp_path / "out.gr", *base, override)
    assert message in complaint
    assert "out.gr" not in files_in(tmp_path)


def test_an_override_that_is_none(capsys, photo, tmp_path):
    for override in ("loss=nothing", "quant.width=3", "reversal.steps"):
        with pytest.raises(SystemExit) as stopped:
            main(["compress", str(photo), "-o", str(tmp_path / "out.gr"), *TINY, override])
        assert stopped.value.code == 2
        assert "error: " in capsys.readouterr().err


def test_no_samples_at_all_are_refused(tmp_path, capsys):
    for number in ("0", "1000000000"):
        complaint = fails(capsys, "sample", "-n", number, "-o", tmp_path / "grid.png", *TINY)
        assert f"-n must be from 1 to 10000, got {number}" in complaint
    assert "ends in .png" in fails(capsys, "sample", "-o", tmp_path / "grid.jpg", *TINY)
    (tmp_path / "taken").write_text("")
    assert "is a file; give -o the name of a folder" in fails(capsys, "sample", "-o", tmp_path / "taken", *TINY)
    assert "to write faces to; make it first" in fails(capsys, "sample", "-o", tmp_path / "none" / "faces", *TINY)
    assert files_in(tmp_path) == ["taken"]


@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_the_input_is_never_overwritten(compressed, command, capsys):
    before = compressed.read_bytes()
    assert "is the input itself" in fails(capsys, command, compressed, "-o", compressed, *TINY)
    assert compressed.read_bytes() == before


def test_decompress_writes_png_and_nothing_that_only_looks_like_another_kind(compressed, tmp_path, capsys):
    complaint = fails(capsys, "decompress", compressed, "-o", tmp_path / "back.jpg", *TINY)
    assert "ends in .png" in complaint
    assert not (tmp_path / "back.jpg").exists()


def test_a_back_end_of_a_newer_version_is_named(tmp_path, capsys):
    (tmp_path / "new.gr").write_bytes(container.write(container.Container(15, 1.0, b"abc", b"payload")))
    assert "unknown entropy back end 15" in fails(capsys, "info", tmp_path / "new.gr")
