"""The `ganrev` command: there, back, and every way to use it wrongly."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from PIL import Image

from ganrev import __version__, cli
from ganrev.api import fit
from ganrev.cli import main
from ganrev.coding import backends, container
from ganrev.commands import files
from ganrev.errors import plain_errors, root_message
from ganrev.evaluation.metrics import distortion
from ganrev.pixels import from_pillow, resize, to_images, to_pillow
from tests.tiny import OVERRIDES, TinyGenerator, smooth_images

GOLDEN = Path(__file__).parent / "golden"
OWN_HELP = [name for name in cli.COMMANDS if name not in ("run", "train")]  # which Hydra helps with
TINY = ["--", *OVERRIDES]
SEEN = [*TINY, "latent_scale=1", "quant=none", "reversal.steps=200"]


def seen_image():
    generator = TinyGenerator().freeze()
    return to_images(generator(generator.sample_prior(1, torch.Generator().manual_seed(0))))[0]


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.png"
    to_pillow(seen_image()).save(path)
    return path


@pytest.fixture
def compressed(photo, tmp_path):
    main(["compress", str(photo), "-o", str(tmp_path / "photo.gr"), *TINY])
    return tmp_path / "photo.gr"


def fails(capsys, *arguments):
    """Run the command, which must end with status 2 and one line; returns the line."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        main([str(argument) for argument in arguments])
    assert stopped.value.code == 2
    complaint = capsys.readouterr().err.strip()
    assert complaint.startswith("error: ")
    assert len(complaint.splitlines()) == 1
    return complaint


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- there and back


def test_there_and_back(photo, tmp_path, capsys):
    packed, back = tmp_path / "photo.gr", tmp_path / "back.png"
    main(["compress", str(photo), "-o", str(packed), *SEEN])
    printed = capsys.readouterr().out
    main(["decompress", str(packed), "-o", str(back), *SEEN])
    with Image.open(back) as picture:
        assert (picture.format, picture.size) == ("PNG", (32, 32))
        scores = distortion(seen_image(), from_pillow(picture))
    assert scores["psnr"] > 30
    size = packed.stat().st_size
    assert f"{size} bytes, {8 * size / 1024:.4f} bits per pixel" in printed
    assert f"PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}" in printed
    assert "cut" not in printed
    assert "resized" not in printed
    assert files_in(tmp_path) == ["back.png", "photo.gr", "photo.png"]


def test_the_same_bytes_twice(photo, compressed, tmp_path):
    main(["compress", str(photo), "-o", str(tmp_path / "again.gr"), *TINY])
    assert (tmp_path / "again.gr").read_bytes() == compressed.read_bytes()


def test_decoding_needs_no_other_settings_than_the_generator(compressed, tmp_path):
    for name, overrides in (("a.png", TINY), ("b.png", [*TINY, "quant=standard", "entropy=none", "seed=5"])):
        main(["decompress", str(compressed), "-o", str(tmp_path / name), *overrides])
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_an_existing_output_is_replaced(photo, compressed, tmp_path):
    target = tmp_path / "old.gr"
    target.write_bytes(b"old")
    main(["compress", str(photo), "-o", str(target), *TINY])
    assert target.read_bytes() == compressed.read_bytes()


def test_overrides_are_used(photo, tmp_path):
    for step in (0.1, 1):
        main(["compress", str(photo), "-o", str(tmp_path / f"{step}.gr"), *TINY, f"quant.step={step}"])
    steps = [container.read((tmp_path / f"{step}.gr").read_bytes()).step_size for step in (0.1, 1)]
    assert steps == [pytest.approx(0.025), 0.25]


def test_info_says_what_is_in_the_file(photo, compressed, tmp_path, capsys):
    capsys.readouterr()
    main(["info", str(compressed)])
    printed = capsys.readouterr().out
    size = compressed.stat().st_size
    assert f"file        {size} bytes, version 1" in printed
    assert "header      12 bytes" in printed
    assert f"payload     {size - 12} bytes, Bzip2" in printed
    assert "step        0.25 in units of z" in printed
    assert "generator   012345" in printed
    main(["compress", str(photo), "-o", str(tmp_path / "raw.gr"), *TINY, "quant=none", "entropy=none"])
    capsys.readouterr()
    main(["info", str(tmp_path / "raw.gr")])
    printed = capsys.readouterr().out
    assert "payload     64 bytes, Store" in printed
    assert "step        none, float32 latents" in printed


# ---- pictures of other sizes and kinds


@pytest.mark.parametrize(
    ("size", "said"),
    [
        ((200, 160), ["cut 200 x 160 to the centred square of 160 x 160", "resized to 32 x 32"]),
        ((150, 150), ["resized to 32 x 32"]),
        ((178, 218), ["cut 178 x 218 to CelebA's face window", "resized to 32 x 32"]),
        ((128, 128), ["resized to 32 x 32"]),
    ],
)
def test_a_larger_photo_is_cut_and_resized_as_it_says(tmp_path, capsys, size, said):
    width, height = size
    photo = tmp_path / "large.jpg"
    to_pillow(smooth_images(1, max(size))[0, :, :height, :width]).save(photo, quality=95)
    main(["compress", str(photo), "-o", str(tmp_path / "large.gr"), *TINY])
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == len(said) + 2
    for line, expected in zip(printed, said, strict=False):
        assert line.startswith(expected)


def test_an_aligned_celeba_image_is_cut_and_not_resized_for_128_pixels():
    picture = to_pillow(smooth_images(1, 218)[0, :, :, :178])
    fitted, done = fit(picture, 128)
    assert done == ["cut 178 x 218 to CelebA's face window, rows 57-184 and columns 25-152"]
    assert torch.equal(fitted, from_pillow(picture)[:, 57:185, 25:153])


def test_a_wide_photo_loses_its_sides():
    image = smooth_images(1, 200)[0, :, :128]
    fitted, (done,) = fit(to_pillow(image), 128)
    assert torch.equal(fitted, image[:, :, 36:164])
    assert done.startswith("cut 200 x 128 to the centred square of 128 x 128; the face")


def test_a_square_photo_is_resized():
    image = smooth_images(1, 256)[0]
    fitted, done = fit(to_pillow(image), 128)
    assert torch.equal(fitted, resize(image[None], 128)[0])
    assert done == ["resized to 128 x 128"]


def test_pictures_of_other_modes(tmp_path):
    for mode in ("L", "RGBA", "CMYK", "P"):
        photo = tmp_path / f"{mode}.tif"
        to_pillow(seen_image()).convert(mode).save(photo)
        main(["compress", str(photo), "-o", str(tmp_path / f"{mode}.gr"), *TINY])
        assert container.is_container((tmp_path / f"{mode}.gr").read_bytes())


# ---- mistakes


@pytest.mark.parametrize("command", ["compress", "decompress", "info"])
def test_a_missing_file(capsys, tmp_path, command):
    more = [] if command == "info" else ["-o", tmp_path / "out.png", *TINY]
    complaint = fails(capsys, command, tmp_path / "nowhere.png", *more)
    assert complaint == f"error: there is no file {tmp_path / 'nowhere.png'}"
    assert files_in(tmp_path) == []


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


def test_usage(capsys):
    for arguments in ([], ["compress"], ["compress", "a.png"], ["unpack", "a.gr"], ["info", "a.gr", "loss=mse"]):
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        assert stopped.value.code == 2
        assert "Usage: ganrev" in capsys.readouterr().err


def test_help_and_version(capsys):
    for arguments, expected in (
        (["--help"], "compress"),
        (["compress", "--help"], "-- loss=mse quant=standard"),
        (["--version"], __version__),
    ):
        main(arguments)
        assert expected in capsys.readouterr().out


def test_run_hands_over_to_the_harness(monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "argv", ["ganrev"])
    monkeypatch.setattr("ganrev.app.main", lambda: seen.append(list(sys.argv)))
    main(["run", "codec=jpeg", "--multirun"])
    assert seen == [["ganrev run", "codec=jpeg", "--multirun"]]


# ---- whose fault an error is


def make(error):
    raise error


@pytest.mark.parametrize("error", [ValueError("a bad value"), FileNotFoundError("a missing file")])
def test_a_users_mistake_ends_with_its_message(capsys, error):
    with pytest.raises(SystemExit) as stopped, plain_errors():
        raise error
    assert stopped.value.code == 2
    assert capsys.readouterr().err == f"error: {error}\n"


def test_a_users_mistake_deep_in_a_config_ends_with_its_message(capsys):
    nested = {"_target_": "tests.test_cli.make", "error": {"_target_": "tests.test_cli.make", "error": None}}
    nested["error"]["error"] = {"_target_": "ganrev.coding.Quantiser", "step": -3}
    with pytest.raises(SystemExit), plain_errors():
        instantiate(nested)
    assert capsys.readouterr().err.startswith("error: quant.step must be a positive number")


def test_a_value_that_is_missing_is_one_line(capsys):
    with pytest.raises(SystemExit), plain_errors():
        files.make_codec(["generator=dcgan"])
    assert capsys.readouterr().err == "error: generator.path is not set: add generator.path=... to the command\n"


@pytest.mark.parametrize("error", [KeyError("a bug"), RuntimeError("a bug"), ZeroDivisionError("a bug")])
def test_the_programs_own_fault_keeps_its_stack_trace(error):
    with pytest.raises(type(error)), plain_errors():
        raise error
    with pytest.raises(InstantiationException) as wrapped, plain_errors():
        instantiate({"_target_": "tests.test_cli.make", "_args_": [error]})
    assert root_message(wrapped.value) == str(error)


def test_png_output_has_no_side_files(compressed, tmp_path):
    main(["decompress", str(compressed), "-o", str(tmp_path / "back.png"), *TINY])
    assert Image.open(io.BytesIO((tmp_path / "back.png").read_bytes())).size == (32, 32)
    assert files_in(tmp_path) == ["back.png", "photo.gr", "photo.png"]


# ---- samples


def test_samples_are_one_png_in_a_grid_with_white_where_none_is_left(tmp_path):
    main(["sample", "-n", "5", "-o", str(tmp_path / "grid.png"), *TINY])
    with Image.open(tmp_path / "grid.png") as picture:
        grid = from_pillow(picture)
    assert grid.shape == (3, 2 * 32, 3 * 32)
    assert (grid[:, 32:, 64:] == 255).all()
    drawn = [grid[:, 32 * (i // 3) : 32 * (i // 3) + 32, 32 * (i % 3) : 32 * (i % 3) + 32] for i in range(5)]
    assert all(not torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])


def test_no_samples_at_all_are_refused(tmp_path, capsys):
    for number in ("0", "1000000000"):
        complaint = fails(capsys, "sample", "-n", number, "-o", tmp_path / "grid.png", *TINY)
        assert f"-n must be from 1 to 10000, got {number}" in complaint
    assert "ends in .png" in fails(capsys, "sample", "-o", tmp_path / "grid.jpg", *TINY)
    assert files_in(tmp_path) == []


# ---- what would be lost


@pytest.mark.parametrize("command", ["compress", "decompress"])
def test_the_input_is_never_overwritten(compressed, command, capsys):
    before = compressed.read_bytes()
    assert "is the input itself" in fails(capsys, command, compressed, "-o", compressed, *TINY)
    assert compressed.read_bytes() == before


def test_decompress_writes_png_and_nothing_that_only_looks_like_another_kind(compressed, tmp_path, capsys):
    complaint = fails(capsys, "decompress", compressed, "-o", tmp_path / "back.jpg", *TINY)
    assert "ends in .png" in complaint
    assert not (tmp_path / "back.jpg").exists()


def test_ctrl_c_is_one_line(capsys):
    with pytest.raises(SystemExit) as stopped, plain_errors():
        raise KeyboardInterrupt
    assert stopped.value.code == 130
    assert capsys.readouterr().err.strip().startswith("interrupted")


# ---- at once


def test_what_needs_no_model_imports_none():
    check = "import sys; from ganrev.cli import main; main(sys.argv[1:])"
    heavy = "print([m for m in ('torch', 'hydra', 'omegaconf', 'numpy', 'pandas', 'PIL') if m in sys.modules])"
    stored = GOLDEN / "v1-adaptive-extremes.gr"
    for arguments in (["--help"], ["--version"], ["info", stored], *([name, "--help"] for name in OWN_HELP)):
        command = [sys.executable, "-c", f"{check}; {heavy}", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "[]", arguments


def test_every_command_has_help_with_an_example(capsys):
    main(["--help"])
    overview = capsys.readouterr().out
    for name in cli.COMMANDS:
        assert f"\n  {name} " in overview
    for name in OWN_HELP:
        main([name, "--help"])
        assert f"\n  ganrev {name} " in capsys.readouterr().out


def test_info_names_back_ends_as_they_are_named():
    for code, name in files.BACK_ENDS.items():
        back_end = backends.by_code(code)
        assert name == " ".join(filter(None, (type(back_end).__name__, getattr(back_end, "model", None))))
    with pytest.raises(ValueError, match="unknown entropy back end 9"):
        backends.by_code(len(files.BACK_ENDS))


def test_a_back_end_of_a_newer_version_is_named(tmp_path, capsys):
    (tmp_path / "new.gr").write_bytes(container.write(container.Container(15, 1.0, b"abc", b"payload")))
    assert "unknown entropy back end 15" in fails(capsys, "info", tmp_path / "new.gr")


def test_overrides_need_no_dashes(photo, compressed, tmp_path):
    main(["compress", str(photo), *OVERRIDES, "-o", str(tmp_path / "again.gr")])
    assert (tmp_path / "again.gr").read_bytes() == compressed.read_bytes()
