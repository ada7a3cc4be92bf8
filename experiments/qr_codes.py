"""How many QR codes are read back byte for byte: from their own PNG, and from simulated photos of a print."""

import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image

from ganrev.data import decode_picture
from ganrev.markdown import markdown_table
from ganrev.progress import ProgressBar
from ganrev.qr import from_qr, to_qr

MODULE = 4  # pixels of the photo
MOST_TURNED = 10  # degrees
PERSPECTIVE = 0.05  # of the code's side, by which each corner may be off, both ways
BLUR = 1.0  # pixels
NOISE = 3.0  # grey levels
QUALITY = 70  # of the photo's JPEG


def photograph(code: bytes, rng: np.random.Generator) -> bytes:
    """Return a simulated photo of a printed QR code, a JPEG file.

    Args:
        code: a PNG of `ganrev.qr.to_qr`.
        rng: draws how it lies, its light and its noise.
    """
    with Image.open(io.BytesIO(code)) as opened:
        print_ = np.asarray(opened.convert("L").reduce(8 // MODULE))
    side = len(print_)
    size = int(1.35 * side)
    square = np.array([[0, 0], [side, 0], [side, side], [0, side]], np.float32)
    angle = np.deg2rad(rng.uniform(-MOST_TURNED, MOST_TURNED))
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    corners = (square - side / 2) @ turn + size / 2 + rng.uniform(-PERSPECTIVE, PERSPECTIVE, (4, 2)) * side
    matrix = cv2.getPerspectiveTransform(square, corners.astype(np.float32))
    grey = cv2.warpPerspective(print_, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=205)
    grey = cv2.GaussianBlur(grey, (0, 0), BLUR).astype(float)
    grey = grey * rng.uniform(0.6, 0.95) + rng.uniform(0, 20) + rng.normal(0, NOISE, grey.shape)
    buffer = io.BytesIO()
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(buffer, format="JPEG", quality=QUALITY)
    return buffer.getvalue()


def measure(sizes: Sequence[int], number: int, seed: int) -> str:
    """Return a table of how many codes of random files are read back byte for byte.

    Args:
        sizes: of the files, in bytes.
        number: of files of each size.
        seed: of the files and the photos.
    """
    rng, rows = np.random.default_rng(seed), []
    for size in sizes:
        plain = photographed = 0
        for _ in ProgressBar(range(number), desc=f"{size} bytes", leave=False):
            blob = rng.bytes(size)
            code = to_qr(blob)
            plain += _reads(code, blob)
            photographed += _reads(photograph(code, rng), blob)
        rows.append([str(size), f"{plain} of {number}", f"{photographed} of {number}"])
    return markdown_table(["bytes", "from its own PNG", "from a photo"], rows)


def _reads(picture: bytes, blob: bytes) -> bool:
    try:
        return from_qr(decode_picture(picture)) == blob
    except ValueError:
        return False
