"""A turned square of a photo, which becomes a picture of 128 x 128: CelebA's frame around a face."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from PIL import Image

FRAME_SIZE = 128  # side of the picture, rows 57-184 and columns 25-152 of CelebA's aligned images
_MIDDLE = FRAME_SIZE / 2
_LARGEST = 1e6  # pixels, or degrees: no photo that is read is so wide
_MARGIN = 4  # pixels around the frame that interpolation may read
_MOST_PIXELS_PER_PIXEL = 4  # of the photo, for one of the picture, that are resampled; more are averaged before


@dataclass(frozen=True)
class Frame:
    """A square of a photo, turned.

    Points are (x, y), and (0, 0) is the upper left corner of a picture: the middle of its first pixel is (0.5, 0.5).

    Attributes:
        x: of the centre, in pixels of the photo.
        y: of the centre.
        side: in pixels of the photo.
        angle: in degrees, clockwise, by which the upright frame is turned to lie on the photo.

    Raises:
        ValueError: a number is not finite or beyond any photo's, or the side is under a pixel.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.x, self.y, self.side, self.angle)
        if not all(abs(number) <= _LARGEST for number in numbers) or self.side < 1:  # NaN is not, either
            given = ", ".join(f"{name} {number:g}" for name, number in asdict(self).items())
            raise ValueError(f"a frame has finite numbers, none beyond a million, and a side of 1 or more; got {given}")

    @staticmethod
    def from_points(points: np.ndarray, template: np.ndarray, weights: Sequence[float] | None = None) -> "Frame":
        """Return the frame in which points lie as near as can be to where a template has them, by least squares.

        Args:
            points: float [N, 2], in pixels of the photo.
            template: float [N, 2], in pixels of the frame.
            weights: of the squared distances; None for equal ones.

        Raises:
            ValueError: the points are all the same.
        """
        share = np.ones(len(points)) if weights is None else np.asarray(weights, float)
        share = share / share.sum()
        found, wanted = _complex(points), _complex(template)
        found_middle, wanted_middle = (share * found).sum(), (share * wanted).sum()
        offsets = wanted - wanted_middle
        turn = (share * offsets.conj() * (found - found_middle)).sum() / (share * abs(offsets) ** 2).sum()
        if not abs(turn) > 0:
            raise ValueError("the landmarks of the face are all in one place: no frame fits them")
        return Frame._from_map(turn, found_middle - turn * wanted_middle)

    @staticmethod
    def _from_map(turn: complex, shift: complex) -> "Frame":
        """Return the frame whose pixel p, as a complex number, lies at turn * p + shift."""
        middle = turn * complex(_MIDDLE, _MIDDLE) + shift
        angle = math.degrees(math.atan2(turn.imag, turn.real))
        return Frame(float(middle.real), float(middle.imag), float(abs(turn) * FRAME_SIZE), angle)

    @property
    def _turn(self) -> complex:
        angle = math.radians(self.angle)
        return complex(math.cos(angle), math.sin(angle)) * self.side / FRAME_SIZE

    def to_photo(self, points: np.ndarray) -> np.ndarray:
        """Return where points [N, 2] of the frame, from 0 to 128, lie on the photo."""
        return _points(self._turn * (_complex(points) - complex(_MIDDLE, _MIDDLE)) + complex(self.x, self.y))

    def to_frame(self, points: np.ndarray) -> np.ndarray:
        """Return where points [N, 2] of the photo lie in the frame."""
        return _points((_complex(points) - complex(self.x, self.y)) / self._turn + complex(_MIDDLE, _MIDDLE))

    def moved(self, right: float = 0.0, down: float = 0.0, growth: float = 1.0, turn: float = 0.0) -> "Frame":
        """Return the frame moved in its own directions, enlarged and turned.

        Args:
            right: in pixels of the frame.
            down: in pixels of the frame.
            growth: factor on the side.
            turn: degrees, clockwise.
        """
        middle = complex(self.x, self.y) + self._turn * complex(right, down)
        return Frame(middle.real, middle.imag, self.side * growth, self.angle + turn)

    def error(self, other: "Frame") -> float:
        """Return how far a picture's pixels lie apart in two frames: the mean distance, in pixels of this frame."""
        places = np.arange(0.5, FRAME_SIZE, 8)
        grid = np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)
        apart = self.to_frame(other.to_photo(grid)) - grid
        return float(np.hypot(apart[:, 0], apart[:, 1]).mean())

    def share_outside(self, width: int, height: int) -> float:
        """Return the share of the frame that lies beyond the edges of a photo of that size, 0 to 1."""
        places = np.arange(0.5, FRAME_SIZE, 2)
        x, y = self.to_photo(np.stack(np.meshgrid(places, places), axis=-1).reshape(-1, 2)).T
        return float(1 - ((x >= 0) & (x <= width) & (y >= 0) & (y <= height)).mean())

    def cut(self, photo: Image.Image, size: int = FRAME_SIZE, margin: float = 0.0) -> Image.Image:
        """Cut the frame out of a photo; beyond the photo's edges its outermost pixels are repeated.

        Args:
            photo: mode RGB.
            size: side of the picture, with its margins.
            margin: how much of the photo to leave around the frame on each side, as a share of the frame.

        Returns:
            A picture of mode RGB, size x size. An upright frame of whole pixels gives these as they are.

        Raises:
            ValueError: the frame does not touch the photo.
        """
        if margin:
            return self.moved(growth=1 + 2 * margin).cut(photo, size)
        part, left, upper = self._part_around(photo)
        # Of large photos first average whole blocks: interpolation reads but a few pixels.
        block = max(1, int(self.side / size / 2))
        part = part.reduce(block)
        fine = min(_MOST_PIXELS_PER_PIXEL, math.ceil(self.side / size / block - 1e-6)) * size
        # The map from pixels of the finer picture to those of the part, whose middles are at whole numbers in OpenCV.
        turn = self._turn * FRAME_SIZE / fine / block
        corner = self.to_photo(np.zeros((1, 2)))[0]
        shift = complex(corner[0] - left, corner[1] - upper) / block + turn * (0.5 + 0.5j) - (0.5 + 0.5j)
        matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(np.asarray(part), matrix, (fine, fine), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        picture = Image.fromarray(warped)
        return picture if fine == size else picture.resize((size, size), Image.Resampling.LANCZOS)

    def _part_around(self, photo: Image.Image) -> tuple[Image.Image, int, int]:
        """Return the part of a photo that the frame may need, and where its upper left corner lies."""
        corners = self.to_photo(np.array([[0, 0], [FRAME_SIZE, 0], [FRAME_SIZE, FRAME_SIZE], [0, FRAME_SIZE]], float))
        reach = _MARGIN * max(1, math.ceil(self.side / FRAME_SIZE))
        left, upper = np.maximum(np.floor(corners.min(axis=0)).astype(int) - reach, 0)
        right, lower = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + reach, photo.size)
        if self.share_outside(*photo.size) == 1 or right <= left or lower <= upper:
            raise ValueError("the frame does not touch the picture: move it back")
        return photo.crop((int(left), int(upper), int(right), int(lower))), int(left), int(upper)


def _complex(points: np.ndarray) -> np.ndarray:
    points = np.asarray(points, float)
    return points[:, 0] + 1j * points[:, 1]


def _points(numbers: np.ndarray) -> np.ndarray:
    return np.stack((numbers.real, numbers.imag), axis=-1)
