"""One picture file, of whatever kind, to 8-bit RGB pixels.

Conversions: grey and palette pictures become RGB; 16-bit values are divided by 257 and rounded; alpha is laid
over white; CMYK becomes RGB by plain arithmetic (an embedded colour profile is never applied); the EXIF
orientation is carried out; of an animation the first frame is taken.
"""

import io
import re
import struct
import zlib

import cv2
import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

# What Pillow's readers raise on a broken file: not every one of them checks before it indexes.
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
_GREY_16 = {"I;16", "I;16L", "I;16B", "I;16N"}
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


def decode_picture(data: bytes) -> Image.Image:
    """Decode a picture file.

    Args:
        data: the whole file.

    Returns:
        The upright picture in Pillow's mode RGB.

    Raises:
        ValueError: the reason why the file cannot be used.
    """
    if not data:
        raise ValueError("the file is empty")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            layout = _stored_layout(picture)  # loading forgets it
            picture.load()
            orientation = picture.getexif().get(ExifTags.Base.Orientation, 1)
    except UnidentifiedImageError as error:
        raise ValueError("not a picture, damaged at its start, or of a kind that Pillow cannot read") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"too large to be a photo: {error}") from error
    except _BROKEN as error:
        raise ValueError(f"truncated or damaged: {error}") from error
    rgb = _to_rgb(picture, layout, data)
    return rgb.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else rgb


def _stored_layout(picture: Image.Image) -> str:
    """Return how the file stores its pixels, such as `RGB;16B`; empty if the format does not say."""
    if not picture.tile:
        return ""
    arguments = picture.tile[0].args
    layout = arguments if isinstance(arguments, str) else arguments[0] if arguments else ""
    return layout if isinstance(layout, str) else ""


def _to_rgb(picture: Image.Image, layout: str, data: bytes) -> Image.Image:
    if picture.mode in _GREY_16 or (picture.mode == "I" and picture.format == "PPM"):
        return _to_8_bit(np.asarray(picture), white=65535)
    if re.fullmatch(r"(LA|RGB|RGBA);16[BLN]", layout):
        return _to_8_bit(_decode_16_bit(data), white=65535)
    if picture.mode not in _CONVERTIBLE:
        raise ValueError(
            f"its pixels are of Pillow's mode {picture.mode}, which has no fixed white; save it with 8 bits"
        )
    if picture.has_transparency_data:
        return _to_8_bit(np.asarray(picture.convert("RGBA")), white=255)
    return picture.convert("RGB")


def _decode_16_bit(data: bytes) -> np.ndarray:
    """Decode 16-bit colour, of which Pillow keeps the upper byte only; uint16 [H, W, 3 or 4], RGB or RGBA."""
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise ValueError("its 16-bit pixels cannot be decoded; save it with 8 bits")
    return pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def _to_8_bit(pixels: np.ndarray, white: int) -> Image.Image:
    """Scale [H, W], [H, W, 3] or [H, W, 4] with values up to `white` to RGB, alpha laid over white."""
    x = pixels.astype(np.float32) / white
    if x.ndim == 2:
        x = np.repeat(x[..., None], 3, axis=2)
    if x.shape[2] == 4:
        x = x[..., :3] * x[..., 3:] + (1 - x[..., 3:])
    return Image.fromarray(np.rint(x * 255).astype(np.uint8))
