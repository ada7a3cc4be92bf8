"""The package in three functions: load a codec by name, compress a picture, decompress a file."""

from typing import Any

import numpy as np
import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from PIL import Image
from torch import Tensor

from ganrev.alignment import align
from ganrev.codecs.base import Codec
from ganrev.configuration.overrides import compose_for_codec, to_overrides
from ganrev.data.pictures import ALIGNED, SIZE, Crop, crop_picture
from ganrev.errors import root_cause
from ganrev.pixels import from_pillow, resize, to_pillow

# Other modes hold more than 8-bit colour, such as alpha, which the caller must flatten.
_PILLOW_MODES = ("RGB", "L")


def load_codec(name: str = "gan", *overrides: str, **options: Any) -> Codec:
    """Build a codec as `python run.py codec=<name>` does, with the same defaults.

        load_codec("gan", quant="standard", reversal="fast")
        load_codec("jpeg", **{"codec.quality": 10})
        load_codec("gan_auto", "codec.target_bytes=250")

    Args:
        name: a file of configs/codec/: gan, gan_auto, png, jpeg, kmeans, pca.
        overrides: as on the command line, `option=value` in Hydra's grammar.
        options: the same as Python values; a name with a dot needs the form with `**`.

    Raises:
        ValueError: an override that cannot be read, a value that the option does not take, or a choice of pictures.
        OSError: a missing file of weights.
        hydra.errors.HydraException: an option or a choice that does not exist.
    """
    if not isinstance(name, str) or "=" in name:
        raise ValueError(f"expected the name of a codec, such as gan, before any overrides, got {name!r}")
    if other := next((word for word in overrides if not isinstance(word, str)), None):
        raise ValueError(f"overrides are text such as 'quant.step=0.5', got {other!r}")
    words = [*to_overrides(options), *overrides]
    if choice := next((word for word in words if word.startswith("codec=")), None):
        raise ValueError(f"the codec is {name} and {choice}: give one of the two")
    cfg = compose_for_codec([f"codec={name}", *words])
    try:
        return instantiate(cfg.codec)
    except InstantiationException as error:
        cause = root_cause(error)
        if isinstance(cause, ValueError | OSError):
            raise cause from None  # the message without Hydra's wrapping
        raise


def compress(image: Image.Image | np.ndarray | Tensor, codec: str | Codec = "gan", **options: Any) -> bytes:
    """Compress one picture; returns the whole file.

    Args:
        image: 8-bit RGB: a Pillow picture (RGB or L), a uint8 array [H, W, 3], or a uint8 tensor [3, H, W]. One
            that does not have the size that the codec draws is cut to its centred square (CelebA's 178 x 218 to its
            face window) and resized, as `ganrev compress` does.
        codec: a codec, or the name of one for `load_codec`. Load it once where there are many pictures.
        options: for `load_codec`, where `codec` is a name.

    Raises:
        ValueError: another dtype or shape, a picture that is too small, or what `load_codec` raises.
    """
    picture = _to_pillow(image)
    chosen = _codec(codec, options)
    pixels = from_pillow(picture) if chosen.image_size is None else crop_and_resize(picture, chosen.image_size)[0]
    (blob,) = chosen.encode(pixels[None])
    return blob


def decompress(blob: bytes, codec: str | Codec = "gan", **options: Any) -> np.ndarray:
    """Return the picture of a file that `compress` made, uint8 [H, W, 3] RGB.

    Args:
        blob: the whole file.
        codec: as for `compress`; of a `.gr` file only the generator must be the same.
        options: for `load_codec`, where `codec` is a name.

    Raises:
        ValueError: not a file of this codec's or a damaged one, another generator, or what `load_codec` raises.
    """
    if not isinstance(blob, bytes | bytearray | memoryview):
        raise ValueError(f"expected the bytes of a file, got {type(blob).__name__}; Path(...).read_bytes() reads them")
    (picture,) = _codec(codec, options).decode([bytes(blob)])
    return picture.permute(1, 2, 0).cpu().numpy()


def _codec(codec: str | Codec, options: dict[str, Any]) -> Codec:
    if isinstance(codec, str):
        return load_codec(codec, **options)
    if options:
        raise ValueError(f"options ({', '.join(options)}) belong to a codec's name; this one is built already")
    if not isinstance(codec, Codec):
        raise ValueError(f"expected a codec, as load_codec makes them, or the name of one, got {codec!r:.60}")
    return codec


def crop_and_resize(picture: Image.Image, size: int) -> tuple[Tensor, list[str]]:
    """Cut and resize a Pillow picture to the size that a codec draws.

    Returns:
        uint8 [3, size, size], and what was done, a sentence for each change.

    Raises:
        ValueError: it is smaller than `ganrev.data` takes.
    """
    width, height = picture.size
    if (width, height) == (size, size):
        return from_pillow(picture), []
    crop: Crop = "celeba" if (width, height) == ALIGNED else "center"
    image = from_pillow(crop_picture(picture, crop))
    side = SIZE if crop == "celeba" else min(width, height)
    done = []
    if crop == "celeba":
        done.append(f"cut {width} x {height} to CelebA's face window, rows 57-184 and columns 25-152")
    elif width != height:
        centre = f"cut {width} x {height} to the centred square of {side} x {side}"
        done.append(f"{centre}; the face should fill it as in CelebA")
    if side != size:
        done.append(f"resized to {size} x {size}")
    return resize(image[None], size)[0], done


def align_and_resize(picture: Image.Image, size: int, face: int | None = None) -> tuple[Tensor, list[str]]:
    """Find a face in a Pillow picture of mode RGB, and cut it out as CelebA's aligned pictures are cut.

    Args:
        picture: of any size.
        size: side of the result.
        face: its number, from 1 at the left; None for the largest.

    Returns:
        uint8 [3, size, size], and what was done and must be known of it, a sentence each.

    Raises:
        ganrev.alignment.NoFaceError: there is none.
    """
    alignment = align(picture, face)
    frame = alignment.frame
    done = (
        f"cut out the face at ({frame.x:.0f}, {frame.y:.0f}), a square of {frame.side:.0f} pixels turned by "
        f"{frame.angle:.0f} degrees, as CelebA's faces are"
    )
    return from_pillow(frame.cut(picture, size)), [done, *alignment.remarks]


def _to_pillow(image: Image.Image | np.ndarray | Tensor) -> Image.Image:
    """Return a Pillow picture in mode RGB; ValueError for another kind of picture."""
    if isinstance(image, Image.Image):
        if image.mode not in _PILLOW_MODES:
            raise ValueError(f"expected a Pillow picture in mode RGB, got {image.mode}: convert it first")
        return image.convert("RGB")
    if isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3:
        return Image.fromarray(image)
    if isinstance(image, Tensor) and image.dtype == torch.uint8 and image.ndim == 3 and len(image) == 3:
        return to_pillow(image)
    kind = getattr(image, "dtype", type(image).__name__)
    shape = f" {list(image.shape)}" if hasattr(image, "shape") else ""
    raise ValueError(
        f"expected a Pillow picture, a uint8 array [H, W, 3] or a uint8 tensor [3, H, W], got {kind}{shape}"
    )
