"""Manifests of faces: CSV files that name the person on each picture of CelebA."""

import csv
from pathlib import Path

_COLUMNS = ("celeba_id", "identity")


def read_manifest(path: Path) -> dict[int, int]:
    """Return the identity of each CelebA number in a CSV with the columns celeba_id and identity; others are ignored.

    Raises:
        ValueError: there is no such file, or it is another one.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(f"it has no column {' and no column '.join(missing)}")
            return dict(_numbers(row, reader.line_num) for row in reader)
    except (OSError, ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} cannot be read ({error}); give a CSV with the columns celeba_id and identity, whole numbers"
        ) from error


def _numbers(row: dict[str, str], line: int) -> tuple[int, int]:
    """Return number and identity of one row; ValueError where they are not whole numbers."""
    values = [row[column] or "" for column in _COLUMNS]
    for column, value in zip(_COLUMNS, values, strict=True):
        if not value.strip().isascii() or not value.strip().isdigit():
            raise ValueError(f"line {line} has {column} {value[:40]!r}")
    return int(values[0]), int(values[1])
