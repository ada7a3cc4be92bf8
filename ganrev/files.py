"""Files that are written completely or not at all."""

from pathlib import Path


def write_whole(path: Path, data: bytes) -> None:
    """Write a file completely or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
