from .aligning import Alignment, NoFaceError, align
from .detector import Face, fetch_detector, find_faces
from .frame import FRAME_SIZE, Frame

__all__ = [
    "FRAME_SIZE",
    "Alignment",
    "Face",
    "Frame",
    "NoFaceError",
    "align",
    "fetch_detector",
    "find_faces",
]
