"""Metadata of PNG files beyond Pillow's limits of a megabyte of text or of colour profile.

No pixel depends on text, so text that is too long is left out and the file is read without it.
"""

import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_MOST_TEXT = 1 << 19  # bytes, all chunks together, unpacked; half of what Pillow takes in one
_MOST_PROFILE = 1 << 24  # bytes, unpacked


def without_long_metadata(data: bytes) -> tuple[bytes, bytes | None]:
    """Return a PNG file without text beyond half a megabyte and without a long colour profile, and that profile."""
    kept, profile, text = [SIGNATURE], None, 0
    for kind, chunk in _chunks(data):
        if kind in _TEXT:
            text += _unpacked_size(chunk, _MOST_TEXT)
            if text > _MOST_TEXT:
                continue
        if kind == b"iCCP" and _unpacked_size(chunk, _MOST_TEXT) > _MOST_TEXT:
            profile = _unpacked(chunk, _MOST_PROFILE)
            continue
        kept.append(chunk)
    return b"".join(kept), profile


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and whole bytes of each chunk; the last may be cut short."""
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        yield data[place + 4 : place + 8], data[place : place + 12 + length]
        place += 12 + length


def _unpacked(chunk: bytes, most: int) -> bytes | None:
    """Return what a chunk holds compressed after a name, or None for nothing or more than `most` bytes."""
    _, _, packed = chunk[8:-4].partition(b"\0")
    try:
        content = zlib.decompressobj().decompress(packed[1:], most + 1)
    except zlib.error:
        return None
    return content if content and len(content) <= most else None


def _unpacked_size(chunk: bytes, most: int) -> int:
    """Return how many bytes a chunk of metadata takes, `most` + 1 if these are more, or unknown."""
    if len(chunk) > most:
        return most + 1
    if chunk[4:8] == b"tEXt":
        return len(chunk)
    if chunk[4:8] == b"iTXt":
        is_packed = chunk[8:-4].partition(b"\0")[2][:1] != b"\0"
        return most + 1 if is_packed else len(chunk)
    content = _unpacked(chunk, most)
    return most + 1 if content is None else len(content)
