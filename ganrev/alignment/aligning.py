"""From a photo of any size to the frame of CelebA's aligned pictures around one face."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from ganrev.alignment.detector import Face, detect, find_faces
from ganrev.alignment.frame import FRAME_SIZE, Frame
from ganrev.alignment.refiner import refine

# Where the detector sees eyes, nose and corners of the mouth in CelebA's frame: means over aligned faces.
_LANDMARKS = np.array([[45.1, 56.2], [83.2, 56.1], [63.6, 78.3], [47.8, 94.6], [80.8, 94.5]])
_SIDES = (112, 176, 288)  # of the frame, in pixels, where landmarks are looked for once more: each errs in its own way
_MARGIN = 0.25  # of the frame, around it, for these looks
_TURNED_AWAY = 0.7  # above which a face counts as seen from the side
_SMALL = 48  # pixels of the photo across a frame, below which a face is blurred
_OUTSIDE = 0.05  # of the frame beyond the edges of the photo, above which it is told


class NoFaceError(ValueError):
    """A photo has no face, or not the one that was asked for."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a face lies.

    Attributes:
        frame: around the face.
        faces: all that were found, from left to right.
        chosen: number of the face in the frame, from 0.
        remarks: what to know of it and what to do, a sentence each; empty for one good face.
    """

    frame: Frame
    faces: list[Face]
    chosen: int
    remarks: list[str]


def align(photo: Image.Image, face: int | None = None) -> Alignment:
    """Find a face in a photo and the frame around it.

    Args:
        photo: mode RGB, of any size.
        face: its number, from 1 at the left; None for the largest.

    Raises:
        NoFaceError: there is none, or none of that number.
        ganrev.fetch.FetchError: the detector could not be fetched.
    """
    faces = find_faces(photo)
    if not faces:
        raise NoFaceError(
            "no face was found: take a picture in which a face is seen from the front, upright and at least some 30 "
            "pixels wide; one that is cut as CelebA's pictures are needs no alignment"
        )
    if face is not None and not 1 <= face <= len(faces):
        raise NoFaceError(f"there is no face {face}: {_count(len(faces))} found; number them from 1 at the left")
    chosen = max(range(len(faces)), key=lambda i: faces[i].area) if face is None else face - 1
    frame = refine(photo, look_again(photo, by_landmarks(faces[chosen])))
    return Alignment(frame, faces, chosen, _remarks(photo, faces, chosen, frame, face is None))


def by_landmarks(face: Face) -> Frame:
    """Return the frame that fits the landmarks of one look, off by several pixels."""
    return Frame.from_points(face.landmarks, _LANDMARKS)


def look_again(photo: Image.Image, frame: Frame) -> Frame:
    """Return the frame by landmarks that are found in the frame itself, upright, at several sizes and mirrored."""
    found = []
    for side in _SIDES:
        size = round(side * (1 + 2 * _MARGIN))
        wider = frame.moved(growth=1 + 2 * _MARGIN)
        picture = wider.cut(photo, size)
        mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        for faces, is_mirrored in ((detect(picture), False), (detect(mirrored), True)):
            if faces:
                found.append(wider.to_photo(_upright(faces[0].landmarks, size, is_mirrored) * FRAME_SIZE / size))
    return Frame.from_points(np.mean(found, axis=0), _LANDMARKS) if found else frame


def _upright(landmarks: np.ndarray, size: int, is_mirrored: bool) -> np.ndarray:
    """Return landmarks as they lie in the picture that was perhaps mirrored before."""
    if not is_mirrored:
        return landmarks
    return np.stack((size - landmarks[:, 0], landmarks[:, 1]), axis=-1)[[1, 0, 2, 4, 3]]


def _count(number: int) -> str:
    return "one face was" if number == 1 else f"{number} faces were"


def _remarks(photo: Image.Image, faces: list[Face], chosen: int, frame: Frame, by_size: bool) -> list[str]:
    """Return what a reader must know of a face that was taken, a sentence each."""
    remarks = []
    if len(faces) > 1 and by_size:
        remarks.append(
            f"{len(faces)} faces were found and the largest taken, number {chosen + 1} from the left: choose another "
            "by its number"
        )
    if faces[chosen].turned_away > _TURNED_AWAY:
        remarks.append(
            "the face is seen from the side, and the generator knows faces from the front: expect little of it, or "
            "take a picture in which both eyes look at you"
        )
    if frame.side < _SMALL:
        remarks.append(
            f"the face is small: {frame.side:.0f} pixels of the photo become {FRAME_SIZE}, and a larger photo would be "
            "sharper"
        )
    outside = frame.share_outside(*photo.size)
    if outside > _OUTSIDE:
        remarks.append(
            f"{100 * outside:.0f} % of the frame lie beyond the edges of the photo, where its outermost pixels are "
            "repeated: take a photo with more room around the face"
        )
    return remarks
