"""Pixels of other than 8 bits, of which Pillow and OpenCV get some silently wrong: decoded correctly here, or refused.

Checked against files of every depth, layout and photometric interpretation that the two readers open. Pillow keeps the
upper byte of 16-bit colour, takes 12-bit grey for 16-bit and JPEG 2000 of few or many bits for 8-bit, and ignores
that white is zero. OpenCV reads the planes of a planar TIFF as if they were pixels.
"""

import io
import itertools
import re
import struct

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin

_GREY_16 = {"I;16", "I;16L", "I;16B", "I;16N"}
_COLOUR_16 = re.compile(r"(LA|RGB|RGBA|RGBa|RGBX);16[BLN]")
_MOST_SAMPLES = 1 << 27  # 512 MiB of floats: 44 million pixels of three samples
_SIGNED_OR_FLOAT = "its samples are signed or floating-point numbers, which have no fixed white; save it with 8 bits"
_UNSUPPORTED = "its pixels of {} cannot be decoded; save it with 8 bits"

# Tags of TIFF.
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL_ORDER = 256, 257, 258, 259, 262, 266
_STRIPS, _SAMPLES, _ROWS, _STRIP_BYTES, _PLANAR, _PREDICTOR = 273, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _SAMPLE_FORMAT = 322, 323, 324, 325, 339
_WHITE_IS_ZERO, _RGB, _SEPARATE = 0, 2, 2


def deep_pixels(picture: Image.Image, layout: str, data: bytes) -> np.ndarray | None:
    """Return the pixels of a file whose samples have other than 8 bits, or None where Pillow reads them correctly.

    Args:
        picture: loaded.
        layout: how the file stores its pixels, in Pillow's words (`RGB;16B`), empty if it does not say.
        data: the whole file.

    Returns:
        float32 in [0, 1], [H, W] or [H, W, 3] or, with alpha, not multiplied in, [H, W, 4].

    Raises:
        ValueError: they cannot be decoded correctly.
    """
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return _tiff(picture, layout, data)
    if picture.format == "JPEG2000":
        return _jpeg_2000(picture, data)
    if picture.mode in _GREY_16 or (picture.mode == "I" and picture.format == "PPM"):
        return _with_transparent_value(np.asarray(picture), picture.info.get("transparency"))
    if _COLOUR_16.fullmatch(layout):
        return _by_opencv(picture, data, layout)
    return None


def _with_transparent_value(grey: np.ndarray, transparent: object) -> np.ndarray:
    """Scale 16-bit grey [H, W] to [0, 1]; where one value is transparent, as RGBA."""
    if isinstance(transparent, int):
        grey = np.dstack([grey, grey, grey, np.where(grey == transparent, 0, 65535).astype(grey.dtype)])
    return _floats(grey) / 65535


def _floats(pixels: np.ndarray) -> np.ndarray:
    """Return samples as float32; ValueError for so many that they would take gigabytes."""
    if pixels.size > _MOST_SAMPLES:
        raise ValueError(
            f"too large to be a photo: {pixels.size} samples of more than 8 bits, at most {_MOST_SAMPLES} are read"
        )
    return pixels.astype(np.float32)


def _by_opencv(picture: Image.Image, data: bytes, layout: str, white: int = 65535) -> np.ndarray:
    """Decode chunky pixels of more than 8 bits, of which OpenCV keeps all, scaled by `white` to [0, 1]."""
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        pixels = None
    if pixels is None or pixels.dtype != np.uint16 or pixels.shape[:2] != picture.size[::-1]:
        raise ValueError(_UNSUPPORTED.format("more than 8 bits"))
    x = _floats(pixels) / white
    if x.ndim == 2:
        return x
    x = x[..., [2, 1, 0, 3][: x.shape[2]]]
    if layout.startswith("RGBX"):
        return x[..., :3]  # what the fourth sample means is not said
    if layout.startswith("RGBa"):
        x[..., :3] = np.minimum(x[..., :3] / np.maximum(x[..., 3:], 1e-6), 1)
    return x


# ---- TIFF


def _tiff(picture: TiffImagePlugin.TiffImageFile, layout: str, data: bytes) -> np.ndarray | None:
    if picture.mode in {"I", "F"}:
        return None  # refused by their mode
    tags = picture.tag_v2
    bits = set(tags.get(_BITS, (1,)))
    if not set(tags.get(_SAMPLE_FORMAT, (1,))) <= {1, 4}:  # unsigned, or not said
        raise ValueError(_SIGNED_OR_FLOAT)
    if max(bits) <= 8:
        return None
    if picture.mode in _GREY_16 and len(bits) == 1:
        white = 2 ** bits.pop() - 1
        grey = _floats(np.asarray(picture)) / white
        return 1 - grey if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else grey
    if bits == {16} and tags.get(_PHOTOMETRIC) == _RGB:
        if tags.get(_PLANAR) == _SEPARATE:
            return _planar_tiff(picture, data)
        if _COLOUR_16.fullmatch(layout):
            return _by_opencv(picture, data, layout)
    if picture.mode == "CMYK" and tags.get(_PLANAR) != _SEPARATE:
        return None  # Pillow drops the lower byte, which is less than a grey level
    raise ValueError(_UNSUPPORTED.format(f"{' and '.join(map(str, sorted(bits)))} bits"))


def _planar_tiff(picture: TiffImagePlugin.TiffImageFile, data: bytes) -> np.ndarray:
    """Read the planes of 16-bit RGB or RGBA one by one, each as the grey TIFF that it would be alone."""
    tags = picture.tag_v2
    samples = tags.get(_SAMPLES, 3)
    tiled = _TILES in tags
    offsets, sizes = tags[_TILES if tiled else _STRIPS], tags[_TILE_BYTES if tiled else _STRIP_BYTES]
    count = len(offsets) // samples
    if len(offsets) != len(sizes) or count * samples != len(offsets) or sum(sizes) > len(data):
        raise ValueError("truncated or damaged: its strips do not make whole planes")
    parts = [data[offset : offset + size] for offset, size in zip(offsets, sizes, strict=True)]
    planes = [_plane(picture, parts[count * i : count * (i + 1)], data[:2]) for i in range(min(samples, 4))]
    x = _floats(np.stack(planes, axis=-1)) / 65535
    extra = tags.get(338, (0,))[0]  # ExtraSamples: 1 is alpha that is multiplied in, 2 alpha that is not
    if samples == 3 or extra not in (1, 2):
        return x[..., :3]
    if extra == 1:
        x[..., :3] = np.minimum(x[..., :3] / np.maximum(x[..., 3:], 1e-6), 1)
    return x


def _plane(picture: TiffImagePlugin.TiffImageFile, parts: list[bytes], byte_order: bytes) -> np.ndarray:
    """Decode one plane, given its strips or tiles: uint16 [H, W]."""
    tags = picture.tag_v2
    kept = (_WIDTH, _HEIGHT, _COMPRESSION, _FILL_ORDER, _ROWS, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT)
    fields: dict[int, list[int]] = {tag: [int(tags[tag])] for tag in kept if tag in tags}
    fields |= {_BITS: [16], _PHOTOMETRIC: [1], _SAMPLES: [1]}
    begins = [8 + begin for begin in itertools.accumulate(map(len, parts[:-1]), initial=0)]
    tiled = _TILES in tags
    fields |= {_TILES if tiled else _STRIPS: begins, _TILE_BYTES if tiled else _STRIP_BYTES: list(map(len, parts))}
    with Image.open(io.BytesIO(_tiff_file(fields, b"".join(parts), byte_order)), formats=["TIFF"]) as plane:
        pixels = np.asarray(plane)
    if pixels.shape != picture.size[::-1] or pixels.dtype.kind != "u" or pixels.dtype.itemsize != 2:
        raise ValueError(_UNSUPPORTED.format("16 bits in planes"))
    return pixels.astype(np.uint16)


def _tiff_file(fields: dict[int, list[int]], body: bytes, byte_order: bytes) -> bytes:
    """Return a TIFF of one directory: eight bytes of header, the strips or tiles, long values, the fields."""
    order = "<" if byte_order == b"II" else ">"
    body += b"\0" * (len(body) % 2)
    entries = b""
    for tag, values in sorted(fields.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            packed, body = struct.pack(f"{order}I", 8 + len(body)), body + packed
        entries += struct.pack(f"{order}HHI", tag, 4, len(values)) + packed
    header = byte_order + struct.pack(f"{order}HI", 42, 8 + len(body))
    return header + body + struct.pack(f"{order}H", len(fields)) + entries + b"\0" * 4


# ---- JPEG 2000


def _jpeg_2000(picture: Image.Image, data: bytes) -> np.ndarray | None:
    begin = data.find(b"\xff\x4f\xff\x51")  # start of the codestream, then of its size marker
    if begin < 0 or len(data) < begin + 42:
        raise ValueError("truncated or damaged: its codestream has no header")
    (num_components,) = struct.unpack_from(">H", data, begin + 40)
    components = [data[begin + 42 + 3 * i : begin + 45 + 3 * i] for i in range(num_components)]
    if any(len(component) < 3 for component in components) or not components:
        raise ValueError("truncated or damaged: its codestream has no header")
    depths = {component[0] for component in components}
    palette = data.find(b"pclr", 0, begin)
    if palette >= 0:
        depths |= set(data[palette + 7 : palette + 7 + data[palette + 6]])
    if depths == {7}:
        return None
    if any(depth & 0x80 for depth in depths):
        raise ValueError(_SIGNED_OR_FLOAT)
    bits = max(depths) + 1
    subsampled = any(component[1:] != b"\x01\x01" for component in components)
    space = re.search(rb"colr\x01..(.{4})", data[:begin], re.DOTALL)  # none: a profile, or a codestream alone
    unknown_space = space is not None and int.from_bytes(space[1], "big") not in (16, 17)  # sRGB, grey
    if palette >= 0 or len(depths) > 1 or not 8 < bits <= 16 or subsampled or unknown_space or num_components == 2:
        raise ValueError(_UNSUPPORTED.format(f"{bits} bits"))
    return _by_opencv(picture, data, "", white=2**bits - 1)
