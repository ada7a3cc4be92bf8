"""compress, decompress, info and sample: there, back, and nothing lost."""

import io

import pytest
import torch
from PIL import Image

from ganrev.cli import main
from ganrev.coding import backends, container
from ganrev.commands import files
from ganrev.evaluation.metrics import distortion
from ganrev.pixels import from_pillow, to_pillow
from tests.commands.photos import SEEN, TINY, files_in, seen_image
from tests.tiny import OVERRIDES, smooth_images

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


def test_without_options_the_file_is_one_of_250_bytes(photo, tmp_path, capsys):
    main(["compress", str(photo), "-o", str(tmp_path / "auto.gr"), "--", *OVERRIDES])
    assert capsys.readouterr().out.startswith("chose z alone, ")
    assert container.read((tmp_path / "auto.gr").read_bytes()).scaled
    assert (tmp_path / "auto.gr").stat().st_size <= 250


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
    assert "levels      z\n" in printed
    assert "step        0.25 in units of z" in printed
    assert "generator   012345" in printed
    main(["compress", str(photo), "-o", str(tmp_path / "raw.gr"), *TINY, "quant=none", "entropy=none"])
    capsys.readouterr()
    main(["info", str(tmp_path / "raw.gr")])
    printed = capsys.readouterr().out
    assert "payload     64 bytes, Store" in printed
    assert "step        none, float32 latents" in printed
    beyond = container.Container(8, 0.25, b"abc", b"payload", scaled=True, has_grid=True)
    (tmp_path / "grid.gr").write_bytes(container.write(beyond))
    main(["info", str(tmp_path / "grid.gr")])
    assert "levels      z and grid\n" in capsys.readouterr().out


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


def test_pictures_of_other_modes(tmp_path):
    for mode in ("L", "RGBA", "CMYK", "P"):
        photo = tmp_path / f"{mode}.tif"
        to_pillow(seen_image()).convert(mode).save(photo)
        main(["compress", str(photo), "-o", str(tmp_path / f"{mode}.gr"), *TINY])
        assert container.read((tmp_path / f"{mode}.gr").read_bytes()).payload


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


def test_samples_are_a_folder_of_pictures_where_the_name_is_one_of_a_folder(tmp_path, capsys):
    main(["sample", "-n", "3", "-o", f"{tmp_path / 'faces'}/", *TINY])
    main(["sample", "-n", "3", "-o", str(tmp_path / "grid.png"), *TINY])
    assert files_in(tmp_path / "faces") == ["sample_0000.png", "sample_0001.png", "sample_0002.png"]
    with Image.open(tmp_path / "faces" / "sample_0001.png") as alone, Image.open(tmp_path / "grid.png") as picture:
        assert torch.equal(from_pillow(alone), from_pillow(picture)[:, :32, 32:64])
    capsys.readouterr()
    main(["sample", "-n", "1", "-o", str(tmp_path / "faces"), *TINY])
    assert capsys.readouterr().out == f"{tmp_path / 'faces'}: 1 sample of 32 x 32, a file each\n"


def test_info_names_back_ends_as_they_are_named():
    for code, name in files.BACK_ENDS.items():
        back_end = backends.by_code(code)
        assert name == " ".join(filter(None, (type(back_end).__name__, getattr(back_end, "model", None))))
    with pytest.raises(ValueError, match="unknown entropy back end 9"):
        backends.by_code(len(files.BACK_ENDS))


def test_overrides_need_no_dashes(photo, compressed, tmp_path):
    main(["compress", str(photo), "codec=gan", *OVERRIDES, "-o", str(tmp_path / "again.gr")])
    assert (tmp_path / "again.gr").read_bytes() == compressed.read_bytes()
