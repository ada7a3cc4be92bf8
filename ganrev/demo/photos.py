"""Photos that a page has been given: in memory only, and only the last few."""

import io
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field

from PIL import Image

from ganrev.alignment import Alignment, Frame, NoFaceError, align

_MOST_KEPT = 4
_MOST_SIDE = 4096  # pixels; larger photos are reduced, a face in them is large enough
_SHOWN_SIDE = 1200  # pixels of a photo on the page


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo, and the face in it.

    Attributes:
        picture: mode RGB.
        frame: around the face; the largest centred square where none was found.
        alignment: None where no face was found.
        remarks: what to know of it, a sentence each.
        name: a random one, which addresses use.
    """

    picture: Image.Image
    frame: Frame
    alignment: Alignment | None
    remarks: list[str]
    name: str = field(default_factory=lambda: secrets.token_urlsafe(9))

    def described(self) -> dict[str, object]:
        """Return what the page must know of it."""
        width, height = self.picture.size
        return {
            "name": self.name,
            "width": width,
            "height": height,
            "frame": frame_numbers(self.frame),
            "num_faces": len(self.alignment.faces) if self.alignment else 0,
            "chosen": self.alignment.chosen + 1 if self.alignment else 0,
            "remarks": self.remarks,
        }

    def shown(self) -> bytes:
        """Return it as the page shows it, a JPEG file."""
        small = self.picture.copy()
        small.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
        buffer = io.BytesIO()
        small.save(buffer, format="JPEG", quality=88)
        return buffer.getvalue()


def frame_numbers(frame: Frame) -> dict[str, float]:
    """Return a frame as the page's numbers: centre, side and angle."""
    return {"x": frame.x, "y": frame.y, "side": frame.side, "angle": frame.angle}


def find_in(picture: Image.Image, face: int | None = None, name: str = "") -> Photo:
    """Return a photo with its face; where none is found and none was asked for, with a sentence that says so.

    Args:
        picture: mode RGB.
        face: as in `ganrev.alignment.align`.
        name: of the photo that it is already; empty for a new one.

    Raises:
        NoFaceError: the photo has no face of that number.
    """
    if max(picture.size) > _MOST_SIDE:
        picture = picture.copy()
        picture.thumbnail((_MOST_SIDE, _MOST_SIDE))
    width, height = picture.size
    named = {"name": name} if name else {}
    try:
        alignment = align(picture, face)
    except NoFaceError as error:
        if face is not None:
            raise  # the photo and its frame stay as they are
        square = Frame(width / 2, height / 2, min(width, height))
        return Photo(picture, square, None, [f"{error}. Or place the frame by hand"], **named)
    return Photo(picture, alignment.frame, alignment, alignment.remarks, **named)


class Photos:
    """The last few photos."""

    def __init__(self) -> None:
        self._photos: OrderedDict[str, Photo] = OrderedDict()

    def keep(self, photo: Photo) -> Photo:
        """Keep a photo; the oldest is forgotten where there are too many."""
        self._photos[photo.name] = photo
        while len(self._photos) > _MOST_KEPT:
            self._photos.popitem(last=False)
        return photo

    def find(self, name: str) -> Photo | None:
        """Return the photo of a name; None where there is none, or no more."""
        return self._photos.get(name)
