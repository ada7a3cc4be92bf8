"""How far alignment misses the frame of faces that are turned, scaled and pasted into larger pictures."""

import statistics
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ganrev.alignment import FRAME_SIZE, Frame, align, find_faces
from ganrev.alignment.aligning import by_landmarks, look_again
from ganrev.data import Folder
from ganrev.evaluation.metrics import distortion
from ganrev.markdown import markdown_table
from ganrev.pixels import from_pillow, to_pillow
from ganrev.progress import ProgressBar

SIDES = (90, 420)  # of a pasted face, in pixels
MOST_TURNED = 30  # degrees
ALLOWED = 2.0  # pixels
_ROOM = (60, 560)  # pixels of background beside a face


def paste(face: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, Frame]:
    """Paste a face, turned and scaled, somewhere into a larger picture of smooth colours.

    Args:
        face: mode RGB, 128 x 128.
        rng: draws the place.

    Returns:
        The picture, and the frame in which the face lies.
    """
    side = float(np.exp(rng.uniform(*np.log(SIDES))))
    width, height = (int(1.5 * side + room) for room in rng.integers(*_ROOM, size=2))
    reach = 0.72 * side  # half of the diagonal of a square
    x, y = rng.uniform(reach, width - reach), rng.uniform(reach, height - reach)
    frame = Frame(x, y, side, rng.uniform(-MOST_TURNED, MOST_TURNED))
    colours = rng.uniform(0, 255, (6, 6, 3)).astype(np.float32)
    background = cv2.resize(colours, (width, height), interpolation=cv2.INTER_CUBIC).clip(0, 255)
    # OpenCV counts from the middle of the first pixel.
    corners = np.array([[0.5, 0.5], [FRAME_SIZE - 0.5, 0.5], [0.5, FRAME_SIZE - 0.5]])
    matrix = cv2.getAffineTransform(
        (corners - 0.5).astype(np.float32), (frame.to_photo(corners) - 0.5).astype(np.float32)
    )
    pixels: np.ndarray = np.asarray(face, np.float32)
    if side < FRAME_SIZE:  # as a lens would blur it
        pixels = cv2.GaussianBlur(pixels, (0, 0), 0.3 + 0.5 * (FRAME_SIZE / side - 1))
    moved = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    cover = cv2.warpAffine(np.ones_like(pixels), matrix, (width, height), flags=cv2.INTER_LINEAR)
    photo = background * (1 - cover) + moved * cover
    return Image.fromarray(photo.clip(0, 255).round().astype(np.uint8)), frame


def measure(faces: Path, limit: int | None, seed: int) -> str:
    """Paste each face of a folder once, find it, and return a table of how far the frames are off.

    Args:
        faces: folder of pictures in CelebA's frame, 128 x 128; not those that a test is about.
        limit: number of pictures; None for all.
        seed: of the places.

    Raises:
        ValueError: the folder holds no such picture.
    """
    pictures = Folder(faces, crop="none", limit=limit).load()
    rng = np.random.default_rng(seed)
    errors: dict[str, list[float]] = {"landmarks once": [], "landmarks six times": [], "refined": []}
    ssims, missed = [], []
    for name, image in ProgressBar(list(zip(pictures.names, pictures.images, strict=True)), desc="aligning"):
        photo, true = paste(to_pillow(image), rng)
        found = find_faces(photo)
        if not found:
            missed.append(name)
            continue
        once = by_landmarks(max(found, key=lambda face: face.area))
        alignment = align(photo)
        frames = (once, look_again(photo, once), alignment.frame)
        for kind, frame in zip(errors, frames, strict=True):
            errors[kind].append(true.error(frame))
        ssims.append(distortion(from_pillow(true.cut(photo)), from_pillow(alignment.frame.cut(photo)))["ssim"])
    return _report(errors, ssims, missed, len(pictures))


def _report(errors: dict[str, list[float]], ssims: list[float], missed: list[str], number: int) -> str:
    columns: dict[str, Callable[[list[float]], str]] = {
        f"under {ALLOWED:g} px": lambda values: f"{sum(value < ALLOWED for value in values)} of {number}",
        "mean, px": lambda values: f"{statistics.fmean(values):.2f}",
        "median, px": lambda values: f"{statistics.median(values):.2f}",
        "worst, px": lambda values: f"{max(values):.2f}",
    }
    rows = [[kind, *(column(values) for column in columns.values())] for kind, values in errors.items() if values]
    lines = [markdown_table(["frame by", *columns], rows), ""]
    if ssims:
        lines.append(
            f"SSIM of the picture cut by the found frame to that cut by the true one: {statistics.fmean(ssims):.3f}"
        )
    if missed:
        lines.append(f"no face was found in {len(missed)}: {', '.join(missed)}")
    return "\n".join(lines)
