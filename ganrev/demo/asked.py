"""What the page's script sends, read and checked: the body of a request, a frame, a size or a quality."""

import json
from collections.abc import Mapping

from starlette.requests import Request

from ganrev.alignment import Frame
from ganrev.codecs.auto import parse_quality
from ganrev.demo.work import Wish

MOST_UPLOADED = 40_000_000  # bytes
_LONGEST = 12  # digits or letters of a number or a quality; more are none, and would fill the page


async def body_of(request: Request) -> bytes:
    """Return what was sent; ValueError where it is too much, of which nothing is kept."""
    content = bytearray()
    num_bytes = 0
    async for part in request.stream():  # to its end: browsers do not read an answer while they send
        num_bytes += len(part)
        if num_bytes <= MOST_UPLOADED:
            content += part
        else:
            content.clear()
    if num_bytes > MOST_UPLOADED:
        raise ValueError(f"the file is too large: up to {MOST_UPLOADED // 1_000_000} MB are taken")
    return bytes(content)


def job_of(body: bytes) -> tuple[Wish, Frame]:
    """Return the size or quality, and the frame, that a face shall be compressed with; ValueError for anything else."""
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError("expected frame and bytes or quality as JSON, and this is no JSON") from error
    if not isinstance(asked, dict) or "frame" not in asked or ("bytes" in asked) == ("quality" in asked):
        raise ValueError("expected frame and bytes or quality as JSON: a frame, and one of the two others")
    wish = _size_of(asked["bytes"]) if "bytes" in asked else _quality_of(asked["quality"])
    return wish, frame_of(asked["frame"])


def frame_of(numbers: object) -> Frame:
    """Return a frame of the numbers x, y, side and angle, which may be text; ValueError for anything else."""
    try:
        if not isinstance(numbers, Mapping):
            raise TypeError("no object")
        x, y, side, angle = (float(str(numbers[key])) for key in ("x", "y", "side", "angle"))
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError("a frame has four numbers: x, y, side and angle") from error
    return Frame(x, y, side, angle)


def face_of(number: str) -> int:
    """Return the number of a face, as an address has it; ValueError for anything else."""
    if not number.isdecimal() or len(number) > _LONGEST:
        raise ValueError(f"faces have whole numbers, from 1 at the left; got {_cut_short(number)}")
    return int(number)


def _size_of(asked: object) -> Wish:
    size = str(asked)
    if not size.isdecimal() or len(size) > _LONGEST or not 16 <= int(size) <= 100_000:
        raise ValueError(f"a file has a whole number of bytes, 16 to 100000; got {_cut_short(size)}")
    return Wish(num_bytes=int(size))


def _quality_of(asked: object) -> Wish:
    quality = str(asked)
    parse_quality(_cut_short(quality))
    return Wish(quality=quality)


def _cut_short(text: str) -> str:
    return text if len(text) <= 4 * _LONGEST else f"{text[: 4 * _LONGEST]}…"
