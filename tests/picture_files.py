"""Makers of picture files: whole ones, odd ones and bad ones."""

import io
import struct
import zlib

import cv2
import numpy as np
import torch
from PIL import Image

from ganrev.data.formats import decode_picture
from ganrev.data.pictures import Pictures
from ganrev.pixels import to_pillow
from tests.tiny import smooth_images


def noise(height, width, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def encoded(picture, format="PNG", **options):
    picture = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    picture.save(buffer, format=format, **options)
    return buffer.getvalue()


def decoded(data):
    picture = decode_picture(data)
    assert picture.mode == "RGB"
    return np.asarray(picture)


def chw(pixels):
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


BAD = {
    "empty.png": (b"", "the file is empty"),
    "text.jpg": (b"this is no picture", "not a picture"),
    "cut.jpg": (encoded(noise(130, 130), "JPEG")[:-500], "truncated or damaged"),
    "cut.png": (encoded(noise(130, 130))[:-500], "truncated or damaged"),
    "cut16.png": (
        cv2.imencode(".png", noise(130, 130).astype(np.uint16) * 257)[1][:-500].tobytes(),
        "truncated",
    ),
    "float.tiff": (encoded(Image.fromarray(np.ones((130, 130), np.float32)), "TIFF"), "mode F"),
    "small.png": (encoded(noise(127, 300)), "too small: it is 300 x 127"),
}


def with_chunks(data, *chunks):
    """Put chunks behind the header of a PNG."""
    return data[:33] + b"".join(chunks) + data[33:]


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, depth, colour, row, transparent=b"", height=1):
    """Write a PNG of one row by hand."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    middle = chunk(b"tRNS", transparent) if transparent else b""
    body = chunk(b"IHDR", header) + middle + chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def make_pictures(num_images):
    images = torch.arange(num_images, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    names = [f"face{i}" for i in range(num_images)]
    skipped = [("notes.txt", "no picture")]
    return Pictures(images.contiguous(), names, list(range(num_images)), skipped, list(range(num_images)))


def save_pictures(folder, num_images=3, red=()):
    """Write 128 x 128 pictures and a file that is none; of those in `red` the first pixel is pure red."""
    folder.mkdir()
    images = smooth_images(num_images, 128)
    for index, image in enumerate(images):
        if index in red:
            image[:, 0, 0] = torch.tensor([255, 0, 0], dtype=torch.uint8)
        to_pillow(image).save(folder / f"face{index}.png")
    (folder / "notes.txt").write_text("no picture")
    return images
