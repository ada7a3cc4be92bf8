"""`ganrev compress`, `decompress`, `info` and `sample`: single files."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from ganrev.coding import container
from ganrev.commands import OUTPUT, OUTPUT_OR_FOLDER, with_overrides
from ganrev.commands.names import check_code, check_kind, check_not_input, check_png
from ganrev.files import read_file, write_whole
from ganrev.wording import counted

if TYPE_CHECKING:
    from PIL import Image

    from ganrev.codecs.auto import AutoCodec
    from ganrev.codecs.gan import GanCodec

_MOST_SAMPLES = 10_000  # in one PNG
_OUTPUT = click.option(
    "-o", "--output", type=OUTPUT, required=True, metavar="OUT", help="a file, in a folder that is there"
)
_INPUT = click.argument("source", type=click.Path(path_type=Path), metavar="IN")

# Back ends by their number in a file's header. `ganrev.coding.backends` has them too, but takes long to import.
BACK_ENDS = {
    0: "Store",
    1: "Bzip2",
    2: "Range flat",
    3: "Range adaptive",
    4: "Range prior",
    5: "Zlib",
    6: "Lzma",
    7: "Zstd",
    8: "Range fitted",
}


def make_codec(overrides: list[str]) -> "GanCodec | AutoCodec":
    """Build the GAN codec of `configs/config.yaml` with Hydra-style overrides.

    Raises:
        ValueError: the overrides choose another codec, which has no `.gr` file, or pictures.
    """
    from hydra.utils import instantiate

    from ganrev.codecs.auto import AutoCodec
    from ganrev.codecs.gan import GanCodec
    from ganrev.configuration.overrides import compose_for_codec
    from ganrev.evaluation.runner import unused_overrides, without_effect

    cfg = compose_for_codec(overrides)
    codec = instantiate(cfg.codec)
    if not isinstance(codec, GanCodec | AutoCodec):
        raise ValueError(f"this command makes and reads .gr files; {cfg.codec['_target_']} has a format of its own")
    for override in unused_overrides(cfg, overrides, ("codec", "hydra")):
        print(without_effect(cfg, override), file=sys.stderr)
    return codec


def _read_picture(path: Path) -> "Image.Image":
    from ganrev.data.formats import decode_picture

    data = read_file(path)
    try:
        return decode_picture(data)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _read_gr(path: Path) -> bytes:
    """Return a `.gr` file: what lies there, or what a QR code holds on the picture that lies there.

    Raises:
        ValueError: it is neither, or damaged; before any weights are loaded.
    """
    blob = read_file(path)
    if not blob:
        raise ValueError(f"{path} is empty: expected a .gr file, or a picture of its QR code")
    try:
        container.read(blob)
        return blob
    except container.NotAContainerError as error:
        from ganrev.data.formats import NotAPictureError, decode_picture
        from ganrev.qr import from_qr

        try:
            picture = decode_picture(blob)
        except NotAPictureError:
            raise error from None  # neither a .gr file nor a picture
        except ValueError as reason:
            raise ValueError(f"{path} is a picture, of a QR code perhaps, that cannot be read: {reason}") from reason
    try:
        blob = from_qr(picture, container.MAGIC)
        container.read(blob)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return blob


def _target(num_bytes: int | None, quality: str | None, overrides: Sequence[str]) -> list[str]:
    """Return overrides for the size or the quality that the command line gives; automatic mode at 250 bytes without.

    Raises:
        ValueError: both are given, or an override chooses otherwise.
    """
    if num_bytes is not None and quality is not None:
        raise ValueError("give --bytes or --quality, not both")
    if num_bytes is None and quality is None:
        return ["codec=gan_auto"]
    option = "--quality" if num_bytes is None else "--bytes"
    for override in overrides:
        key, _, value = override.lstrip("+~").partition("=")
        if key == "codec" and value != "gan_auto":
            raise ValueError(
                f"{option} is for automatic mode (codec=gan_auto), which chooses all else by itself; {override} takes "
                f"its own options, and files get the size that these give: leave out {option} or {override}"
            )
        if key in ("codec.target_bytes", "codec.quality"):
            raise ValueError(f"{option} and {override} are two targets of one file: leave one of them out")
    if num_bytes is None:
        return ["codec=gan_auto", "codec.target_bytes=null", f"codec.quality='{quality}'"]
    return ["codec=gan_auto", f"codec.target_bytes={num_bytes}"]


@click.command()
@_INPUT
@_OUTPUT
@click.option("--bytes", "num_bytes", type=int, metavar="N", help="a file of this size; 250 without -- codec=gan")
@click.option("--quality", metavar="Q", help="ssim:0.72 or psnr:25, in as few bytes as it takes")
@click.option("--align", "aligned", is_flag=True, help="find the face and cut it out as CelebA's faces are")
@click.option("--face", type=int, metavar="N", help="with --align: which of several, from 1 at the left")
@click.option("--qr", "as_qr", is_flag=True, help="write the file as a QR code, a PNG")
@with_overrides
def compress(
    source: Path,
    output: Path,
    num_bytes: int | None,
    quality: str | None,
    aligned: bool,
    face: int | None,
    as_qr: bool,
    overrides: tuple[str, ...],
) -> None:
    """Write a `.gr` file and print its scores.

    \b
    ganrev compress face.jpg -o face.gr
    ganrev compress face.jpg -o face.gr --bytes 250
    ganrev compress photo.jpg -o face.gr --align
    ganrev compress face.jpg -o face-qr.png --bytes 250 --qr
    ganrev compress face.jpg -o face.gr -- codec=gan loss=mse quant=standard
    """
    check_not_input(output, source)
    if face is not None and not aligned:
        raise ValueError("--face chooses among the faces that --align finds: add --align")
    target = _target(num_bytes, quality, overrides)
    picture = _read_picture(source)
    check_kind(output, num_bytes, as_qr)

    from ganrev.api import align_and_resize, crop_and_resize
    from ganrev.codecs.auto import AutoCodec
    from ganrev.evaluation.metrics import bits_per_pixel, check_size, distortion
    from ganrev.qr import to_qr

    codec = make_codec([*target, *overrides])
    if as_qr and isinstance(codec, AutoCodec):
        check_code(output, codec.target_bytes)
    check_size(codec.image_size, codec.image_size)
    if aligned:
        image, remarks = align_and_resize(picture, codec.image_size, face)
    else:
        image, remarks = crop_and_resize(picture, codec.image_size)
    print("".join(f"{remark}\n" for remark in remarks), end="")
    report = codec.encode_with_report(image[None])
    print("".join(f"{remark}\n" for remark in report.remarks), end="")
    (blob,) = report.blobs
    write_whole(output, to_qr(blob) if as_qr else blob)
    scores = distortion(image, codec.decode([blob])[0])
    bpp = bits_per_pixel(len(blob), codec.image_size, codec.image_size)
    print(f"{output}: {len(blob)} bytes, {bpp:.4f} bits per pixel")
    print(f"PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}")


@click.command()
@_INPUT
@_OUTPUT
@with_overrides
def decompress(source: Path, output: Path, overrides: tuple[str, ...]) -> None:
    """Write the picture of a `.gr` file as PNG; IN may be a picture, or a photo, of its QR code.

    \b
    ganrev decompress face.gr -o back.png
    ganrev decompress face-qr.png -o back.png
    """
    check_not_input(output, source)
    check_png(output)
    blob = _read_gr(source)

    from ganrev.pixels import to_png

    image = make_codec(list(overrides)).decode([blob])[0]
    write_whole(output, to_png(image))
    print(f"{output}: {image.shape[-1]} x {image.shape[-2]} PNG")


@click.command()
@click.argument("source", type=click.Path(path_type=Path), metavar="FILE")
def info(source: Path) -> None:
    """Print what a `.gr` file says about itself.

    \b
    ganrev info face.gr
    """
    blob = _read_gr(source)
    content = container.read(blob)
    coder = BACK_ENDS.get(content.entropy_code)
    if coder is None:
        raise ValueError(
            f"unknown entropy back end {content.entropy_code}: the file was made by a newer version of ganrev"
        )
    print(f"file        {len(blob)} bytes, version {content.version}")
    print(f"header      {len(blob) - len(content.payload)} bytes")
    print(f"payload     {len(content.payload)} bytes, {coder}")
    print(f"levels      {'z and grid' if content.has_grid else 'z'}")
    unit = "times each latent's own" if content.scaled else "in units of z"
    print(f"step        {f'{content.step_size:.6g} {unit}' if content.step_size else 'none, float32 latents'}")
    print(f"generator   {content.fingerprint.hex()}")


@click.command()
@click.option("-n", "--number", type=int, default=64, show_default=True, metavar="N")
@click.option(
    "-o",
    "--output",
    type=OUTPUT_OR_FOLDER,
    required=True,
    metavar="OUT",
    help="a .png, or a folder; in one that is there",
)
@click.option("--prior", type=click.Choice(["cube", "faces"]), default="cube", show_default=True)
@with_overrides
def sample(number: int, output: Path, prior: Literal["cube", "faces"], overrides: tuple[str, ...]) -> None:
    """Draw pictures from the generator's prior: a sheet where OUT ends in .png, else a folder of single PNG files.

    The prior is the cube that the generator was trained with, or a density of faces that was fitted afterwards.

    \b
    ganrev sample -n 16 -o faces.png --prior faces
    ganrev sample -n 16 -o faces/ --prior faces
    ganrev sample -n 16 -o samples.png
    ganrev sample -n 16 -o samples.png seed=3
    """
    if not 1 <= number <= _MOST_SAMPLES:
        raise ValueError(f"-n must be from 1 to {_MOST_SAMPLES}, got {number}")
    as_folder = output.is_dir() or not output.suffix
    if not as_folder:
        check_png(output)
    elif output.exists() and not output.is_dir():
        raise ValueError(f"{output} is a file; give -o the name of a folder, or one that ends in .png")

    import torch
    from hydra.utils import instantiate

    from ganrev.configuration.options import Whole, check_option
    from ganrev.configuration.overrides import compose_for_codec
    from ganrev.pixels import to_grid, to_images, to_png

    cfg = compose_for_codec(list(overrides))
    generator = instantiate(cfg.generator)
    seed = check_option(Whole, "seed", cfg.seed)
    z = generator.sample(number, torch.Generator().manual_seed(seed), prior)
    with torch.no_grad():
        images = torch.cat([to_images(generator(part)) for part in z.split(16)])
    if as_folder:
        output.mkdir(exist_ok=True)
        for index, image in enumerate(images):
            write_whole(output / f"sample_{index:04d}.png", to_png(image))
    else:
        write_whole(output, to_png(to_grid(images)))
    size = f"{generator.image_size} x {generator.image_size}"
    print(f"{output}: {counted(number, 'sample')} of {size}{', a file each' if as_folder else ''}")
