"""Files of a few hundred bytes as QR codes, for badges, tickets and documents (extra `qr`)."""

import importlib
import io
from importlib.util import find_spec
from types import ModuleType

from PIL import Image

INSTALL = "pip install 'ganrev[qr]'"
MOST_BYTES = 2331  # of a code of the largest version, 40, with error correction M
_SCALE = 8  # pixels a module
_BORDER = 4  # modules of white around it, as the standard wants
_MOST_SHOWN = 60  # bytes of what a code holds


class ForeignCodeError(ValueError):
    """A QR code holds something else than a file of the kind that is looked for."""


def _library(name: str) -> ModuleType:
    if find_spec(name) is None:
        raise ValueError(f"QR codes need their extra: {INSTALL}")
    return importlib.import_module(name)


def check_can_hold(num_bytes: int) -> None:
    """Raise ValueError unless a file of this size can be written as a QR code: called before it is made, too."""
    if not 1 <= num_bytes <= MOST_BYTES:
        raise ValueError(
            f"a QR code holds 1 to {MOST_BYTES} bytes and the file has {num_bytes}: make it smaller, by --bytes 250"
        )
    _library("segno")


def to_qr(blob: bytes) -> bytes:
    """Return a PNG of a QR code that holds a file, byte for byte.

    Byte mode, error correction M or better where the code gets no larger: version 11 for 250 bytes, 16 for 445.

    Args:
        blob: at least one byte, at most 2331.

    Raises:
        ValueError: the file is empty or too large, or the extra is not installed.
    """
    check_can_hold(len(blob))
    code = _library("segno").make(blob, mode="byte", error="m", micro=False)
    buffer = io.BytesIO()
    code.save(buffer, kind="png", scale=_SCALE, border=_BORDER)
    return buffer.getvalue()


def from_qr(picture: Image.Image, magic: bytes = b"") -> bytes:
    """Return what the QR code on a picture holds, a photo of a print for instance.

    Args:
        picture: mode RGB.
        magic: first bytes of the files that are looked for; codes that hold anything else do not count.

    Raises:
        ForeignCodeError: all codes hold something else.
        ValueError: there is no code that can be read, or more than one, or the extra is not installed.
    """
    zxing = _library("zxingcpp")
    doubled = (2 * picture.width, 2 * picture.height)
    others: set[bytes] = set()
    for shown in (picture, picture.resize(doubled, Image.Resampling.BICUBIC)):
        contents = {bytes(code.bytes) for code in zxing.read_barcodes(shown, formats=zxing.BarcodeFormat.QRCode)}
        found = {content for content in contents if content.startswith(magic)}
        if len(found) > 1:
            raise ValueError(f"there are {len(found)} QR codes on the picture: cut it to the one that is meant")
        if found:
            return found.pop()
        others |= contents
    if others:
        text = min(others)[:_MOST_SHOWN].decode(errors="replace")
        raise ForeignCodeError(f"the QR code on the picture holds something else than was looked for: {text!r}")
    raise ValueError(
        "this is not a .gr file, and no QR code on the picture can be read: take it from straight above, sharp, "
        "with the white border in view"
    )
