"""Decodes one picture file, of any kind, to 8-bit RGB pixels.

Conversions: grey and palette pictures become RGB; samples of other than 8 bits are scaled and rounded (`deep`); alpha
is laid over white; the colours of an embedded ICC profile, such as Display P3 or Adobe RGB, become those of sRGB, but
for profiles of grey, which are not applied; CMYK without a profile becomes RGB by plain arithmetic; the EXIF
orientation is carried out; of an animation the first frame is taken.
"""

import functools
import io
import itertools
import logging
import struct
import warnings
import zlib

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageFile, UnidentifiedImageError

from ganrev.data.deep import deep_pixels
from ganrev.data.png import SIGNATURE, without_long_metadata

_logger = logging.getLogger(__name__)

# What Pillow's readers raise on a broken file: some of them index before they check.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
)
_DAMAGED = "truncated or damaged: its pixels cannot all be read; save it once more"
_ROWS = 64  # of a picture that are computed with at a time
_SAME_COLOUR = 2  # grey levels by which colours that count as the same may differ
_CONVERTIBLE = {"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV", "LA", "PA", "RGBA", "RGBa"}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def decode_picture(data: bytes, size: tuple[int, int] | None = None) -> Image.Image:
    """Decode a picture file.

    Args:
        data: the whole file.
        size: width and height that it must have, which is checked before its pixels are decoded; None for any.

    Returns:
        The upright picture in Pillow's mode RGB.

    Raises:
        ValueError: the reason why the file cannot be used.
    """
    if not data:
        raise ValueError("the file is empty")
    profile = None
    try:
        rgb, orientation = _decode(data, size)
    except _DamagedError:
        if not data.startswith(SIGNATURE):
            raise
        shorter, profile = without_long_metadata(data)
        if shorter == data:
            raise
        rgb, orientation = _decode(shorter, size)
    if profile is not None:
        rgb = _to_srgb(rgb, profile)
    return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


class _DamagedError(ValueError):
    """Pillow gave up on the file, or it is another one than it must be."""


class NotAPictureError(_DamagedError):
    """The file is of another format, or not even its beginning is whole."""


def _decode(data: bytes, size: tuple[int, int] | None) -> tuple[Image.Image, int]:
    """Return the picture as it is stored, in mode RGB, and its EXIF orientation."""
    try:
        with _open(data) as picture:
            if size is not None and picture.size != size:
                raise _DamagedError(f"it has {picture.width} x {picture.height} pixels, not {size[0]} x {size[1]}")
            layout = _stored_layout(picture)  # loading forgets it
            picture.load()
            orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except UnidentifiedImageError as error:
        reason = "not a picture, damaged at its start, or of a kind that is not read: save it as PNG or JPEG"
        raise NotAPictureError(reason) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        most = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise ValueError(f"too large to be a photo: {most} million pixels are read; make it smaller") from error
    except _DamagedError:
        raise
    except _BROKEN as error:
        raise _DamagedError(_DAMAGED) from error
    try:
        return _to_rgb(picture, layout, data), orientation
    except (OSError, LookupError, TypeError, struct.error, zlib.error) as error:
        raise ValueError(_DAMAGED) from error


def _open(data: bytes) -> ImageFile.ImageFile:
    """Open a picture; one of more pixels than Pillow warns of (89 million) raises, rather than twice as many."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        return Image.open(io.BytesIO(data))


def _stored_layout(picture: ImageFile.ImageFile) -> str:
    """Return how the file stores its pixels, such as `RGB;16B`; empty if the format does not say."""
    if not picture.tile:
        return ""
    arguments = picture.tile[0].args
    layout = arguments if isinstance(arguments, str) else arguments[0] if arguments else ""
    return layout if isinstance(layout, str) else ""


def _to_rgb(picture: Image.Image, layout: str, data: bytes) -> Image.Image:
    profile = picture.info.get("icc_profile")
    deep = deep_pixels(picture, layout, data)
    if deep is not None:
        rgb = _over_white(deep)
    elif picture.mode not in _CONVERTIBLE:
        raise ValueError(f"its pixels are of mode {picture.mode}, which has no fixed white; save it with 8 bits")
    elif picture.mode == "CMYK":
        return _to_srgb(picture, profile) if profile else picture.convert("RGB")
    elif picture.has_transparency_data:
        _scale_transparent_value(picture, layout)
        rgb = _over_white(np.asarray(picture.convert("RGBA")), 255)
    else:
        rgb = picture.convert("RGB")
    return _to_srgb(rgb, profile) if profile else rgb


def _scale_transparent_value(picture: Image.Image, layout: str) -> None:
    """Scale a transparent value as Pillow scaled the pixels of 2 or 4 bits that it is compared with."""
    factor = {"L;2": 85, "L;4": 17}.get(layout)
    value = picture.info.get("transparency")
    if factor and picture.format == "PNG" and isinstance(value, int):
        picture.info["transparency"] = min(255, value * factor)


def _over_white(pixels: np.ndarray, white: int = 1) -> Image.Image:
    """Scale [H, W], [H, W, 3] or [H, W, 4] from 0 to `white` to RGB, alpha laid over white."""
    rgb = np.empty((*pixels.shape[:2], 3), np.uint8)
    for begin in range(0, len(pixels), _ROWS):  # floats of the whole picture could take gigabytes
        x = pixels[begin : begin + _ROWS].astype(np.float32) / white
        if x.ndim == 2:
            x = np.repeat(x[..., None], 3, axis=2)
        if x.shape[2] == 4:
            x = x[..., :3] * x[..., 3:] + (1 - x[..., 3:])
        rgb[begin : begin + _ROWS] = np.rint(x * 255)
    return Image.fromarray(rgb)


# ---- colour profiles


def _to_srgb(picture: Image.Image, profile: bytes) -> Image.Image:
    """Convert a picture of mode RGB or CMYK by its ICC profile; what that cannot be applied to becomes plain RGB."""
    try:
        transform = _transform_to_srgb(profile, picture.mode)
        if transform is not None:
            return transform.apply(picture)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        _logger.warning("a colour profile is damaged (%s): the colours are taken for those of sRGB", error)
    return picture.convert("RGB")


@functools.lru_cache(maxsize=4)
def _transform_to_srgb(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what turns the colours of a profile into those of sRGB, or None where there is nothing to be done.

    Profiles of sRGB are many and differ in the last digit; a picture with one of them stays as it is. So does one with
    a profile for another kind of pixels, such as grey.
    """
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if source.profile.xcolor_space.strip() != mode:
        return None
    transform = ImageCms.buildTransform(
        source,
        _srgb(),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if mode != "RGB":
        return transform
    colours = np.array([list(itertools.product(range(0, 256, 51), repeat=3))], np.uint8)
    moved = np.abs(np.asarray(transform.apply(Image.fromarray(colours))).astype(int) - colours).max()
    return transform if moved > _SAME_COLOUR else None


@functools.cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
