"""Names of files to write: none of another kind, and never the input."""

from pathlib import Path

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif", ".jp2", ".heic", ".jxl")


def check_not_input(output: Path, source: Path) -> None:
    """Raise ValueError where the output is the input, by whatever name."""
    if output.exists() and source.exists() and output.samefile(source):
        raise ValueError(f"{output} is the input itself; give -o another name")


def check_png(output: Path) -> None:
    """Raise ValueError for a name that does not end in .png."""
    if output.suffix.lower() != ".png":
        raise ValueError(f"pictures are written as PNG; give {output.name} a name that ends in .png")


def check_code(output: Path, num_bytes: int | None) -> None:
    """Raise ValueError unless a QR code of so many bytes, where that is known, can be written."""
    from ganrev.qr import check_can_hold

    check_png(output)
    check_can_hold(num_bytes or 1)


def check_kind(output: Path, num_bytes: int | None, as_qr: bool) -> None:
    """Raise ValueError for a name of a picture, which a `.gr` file is not, or for a QR code that cannot be written."""
    if as_qr:
        check_code(output, num_bytes)
    elif output.suffix.lower() in _PICTURES:  # it may be somebody's photo
        raise ValueError(f"what is written is no picture: give {output.name} a name that ends in .gr, or add --qr")
