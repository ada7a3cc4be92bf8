"""The `ganrev` command: compress, decompress and inspect single files, or run the harness."""

import argparse
import sys
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from PIL import Image
from torch import Tensor

from ganrev import __version__, container, entropy
from ganrev.auto import AutoCodec
from ganrev.data.formats import decode_picture
from ganrev.data.pictures import ALIGNED, SIZE, crop_picture
from ganrev.errors import plain_errors
from ganrev.files import write_whole
from ganrev.gan import GanCodec
from ganrev.metrics import bits_per_pixel, distortion
from ganrev.paths import config_dir
from ganrev.pixels import from_pillow, resize, to_grid, to_images, to_png
from ganrev.runner import unused_overrides

_MOST_SAMPLES = 10_000  # in one PNG
_OVERRIDES = "Hydra overrides after --, for example: -- loss=mse quant=standard reversal.steps=800"


def _compose(overrides: list[str]) -> DictConfig:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        return compose("config", overrides=overrides)


def make_codec(overrides: list[str]) -> GanCodec | AutoCodec:
    """Build the GAN codec of `configs/config.yaml` with Hydra-style overrides.

    Raises:
        ValueError: the overrides choose another codec, which has no `.gr` file.
    """
    cfg = _compose(overrides)
    codec = instantiate(cfg.codec)
    if not isinstance(codec, GanCodec | AutoCodec):
        raise ValueError(f"this command makes and reads .gr files; {cfg.codec['_target_']} has a format of its own")
    for override in unused_overrides(cfg, overrides):
        print(f"{override} has no effect: {cfg.codec['_target_']} does not read it", file=sys.stderr)
    return codec


def check_output(output: Path, source: Path | None = None) -> None:
    """Raise ValueError unless `output` can become a file beside `source`; said before the work, not after it."""
    if source is not None and output.exists() and source.exists() and output.samefile(source):
        raise ValueError(f"{output} is the input itself; give -o another name")
    if output.is_dir():
        raise ValueError(f"{output} is a folder; -o takes the name of a file")
    if not output.parent.is_dir():
        raise ValueError(f"there is no folder {output.parent} to write {output.name} to; make it first")


def _check_png(output: Path, source: Path | None = None) -> None:
    check_output(output, source)
    if output.suffix.lower() != ".png":
        raise ValueError(f"pictures are written as PNG; give {output.name} a name that ends in .png")


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise ValueError(f"there is no file {path}")
    return path.read_bytes()


def fit(picture: Image.Image, size: int) -> Tensor:
    """Cut and resize an RGB picture to uint8 [3, size, size], saying on the screen what was done."""
    width, height = picture.size
    if (width, height) == (size, size):
        return from_pillow(picture)
    crop = "celeba" if (width, height) == ALIGNED else "center"
    image = from_pillow(crop_picture(picture, crop))
    side = SIZE if crop == "celeba" else min(width, height)
    if crop == "celeba":
        print(f"cut {width} x {height} to CelebA's face window, rows 57-184 and columns 25-152")
    elif width != height:
        print(f"cut {width} x {height} to the centred square of {side} x {side}; the face should fill it as in CelebA")
    if side != size:
        print(f"resized to {size} x {size}")
    return resize(image[None], size)[0]


def _target(arguments: argparse.Namespace) -> list[str]:
    """Return the overrides that ask for a size or a quality, where the command line does."""
    if arguments.bytes is not None and arguments.quality is not None:
        raise ValueError("give --bytes or --quality, not both")
    if arguments.bytes is not None:
        return ["codec=gan_auto", f"codec.target_bytes={arguments.bytes}"]
    if arguments.quality is not None:
        return ["codec=gan_auto", "codec.target_bytes=null", f"codec.quality='{arguments.quality}'"]
    return []


def compress(arguments: argparse.Namespace) -> None:
    """Write a `.gr` file and say how good it is."""
    check_output(arguments.output, arguments.input)
    data = _read(arguments.input)
    try:
        picture = decode_picture(data)
    except ValueError as error:
        raise ValueError(f"{arguments.input}: {error}") from error
    codec = make_codec(_target(arguments) + arguments.overrides)
    image = fit(picture, codec.image_size)[None]
    report = codec.encode_with_report(image)
    for remark in report.remarks:
        print(remark)
    (blob,) = report.blobs
    write_whole(arguments.output, blob)
    scores = distortion(image[0], codec.decode([blob])[0])
    bpp = bits_per_pixel(len(blob), codec.image_size, codec.image_size)
    print(f"{arguments.output}: {len(blob)} bytes, {bpp:.4f} bits per pixel")
    print(f"PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}")


def decompress(arguments: argparse.Namespace) -> None:
    """Write the PNG that a `.gr` file stands for."""
    _check_png(arguments.output, arguments.input)
    blob = _read(arguments.input)
    container.read(blob)  # a foreign or corrupt file is named before any weights are loaded
    image = make_codec(arguments.overrides).decode([blob])[0]
    write_whole(arguments.output, to_png(image))
    print(f"{arguments.output}: {image.shape[-1]} x {image.shape[-2]} PNG")


def info(arguments: argparse.Namespace) -> None:
    """Print what a `.gr` file says about itself."""
    blob = _read(arguments.input)
    content = container.read(blob)
    back_end = entropy.by_code(content.entropy_code)
    coder = " ".join(filter(None, (type(back_end).__name__, getattr(back_end, "model", None))))
    print(f"file        {len(blob)} bytes, version {content.version}")
    print(f"header      {len(blob) - len(content.payload)} bytes")
    print(f"payload     {len(content.payload)} bytes, {coder}")
    unit = "times each latent's own" if content.scaled else "in units of z"
    print(f"step        {f'{content.step_size:.6g} {unit}' if content.step_size else 'none, float32 latents'}")
    print(f"generator   {content.fingerprint.hex()}")


def sample(arguments: argparse.Namespace) -> None:
    """Draw pictures from the generator's prior and write them as one PNG."""
    if not 1 <= arguments.number <= _MOST_SAMPLES:
        raise ValueError(f"-n must be from 1 to {_MOST_SAMPLES}, got {arguments.number}")
    _check_png(arguments.output)
    cfg = _compose(arguments.overrides)
    generator = instantiate(cfg.generator)
    z = generator.sample_prior(arguments.number, torch.Generator().manual_seed(cfg.seed))
    with torch.no_grad():
        images = torch.cat([to_images(generator(part)) for part in z.split(16)])
    write_whole(arguments.output, to_png(to_grid(images)))
    print(f"{arguments.output}: {arguments.number} samples of {generator.image_size} x {generator.image_size}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ganrev",
        description="Compress a face by finding the latent vector of a frozen GAN generator that redraws it.",
        epilog="`ganrev run loss=ssim quant=extreme` evaluates a codec over a data set, as run.py does in a checkout.",
    )
    parser.add_argument("--version", action="version", version=f"ganrev {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="{compress,decompress,info,sample,run}")
    for name, action, text in (
        ("compress", compress, "picture to .gr"),
        ("decompress", decompress, ".gr to PNG"),
        ("info", info, "what a .gr file says about itself"),
    ):
        command = commands.add_parser(name, help=text, description=action.__doc__, epilog=_OVERRIDES)
        command.set_defaults(action=action)
        command.add_argument("input", type=Path, metavar="IN")
        if action is compress:
            command.add_argument("--bytes", type=int, metavar="N", help="a file of this size; all else is chosen")
            command.add_argument("--quality", metavar="Q", help="ssim:0.72 or psnr:25, in as few bytes as it takes")
        if action is not info:
            command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT")
    command = commands.add_parser(
        "sample", help="pictures from the prior", description=sample.__doc__, epilog=_OVERRIDES
    )
    command.set_defaults(action=sample)
    command.add_argument("-n", "--number", type=int, default=64, metavar="N")
    command.add_argument("-o", "--output", type=Path, required=True, metavar="OUT")
    commands.add_parser("run", help="evaluate a codec over a data set (Hydra overrides follow)")
    return parser


def main(argv: list[str] | None = None) -> None:
    """Run the command line; a user's mistake prints one line and exits with status 2."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["run"]:
        from ganrev.app import main as run_main  # Hydra reads sys.argv itself

        sys.argv = ["ganrev run", *arguments[1:]]
        run_main()
        return
    overrides: list[str] = []
    if "--" in arguments:
        cut = arguments.index("--")
        arguments, overrides = arguments[:cut], arguments[cut + 1 :]
    parsed = _parser().parse_args(arguments)
    parsed.overrides = overrides
    with plain_errors():
        parsed.action(parsed)


if __name__ == "__main__":
    main()
