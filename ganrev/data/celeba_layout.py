"""CelebA as it lies on disks: the official layout, torchvision's and Kaggle's.

| | images | lists |
| --- | --- | --- |
| official | `img_align_celeba/`, or `img_align_celeba.zip` | `list_eval_partition.txt`, `identity_CelebA.txt` |
| torchvision | the same in `celeba/` | the same in `celeba/` |
| Kaggle | `img_align_celeba/img_align_celeba/`, or a zip of it | `list_eval_partition.csv`, with a header |
"""

import logging
import re
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from ganrev.data.folder import shown
from ganrev.data.pictures import NEXT_STEPS
from ganrev.files import no_folder

_logger = logging.getLogger(__name__)

Split = Literal["train", "valid", "test", "all"]
ZIP = "img_align_celeba.zip"
PARTITION, IDENTITIES = "list_eval_partition", "identity_CelebA"  # lists, without suffix
_FOLDER = "img_align_celeba"
_SPLITS = {"0": "train", "1": "valid", "2": "test"}


def find_layout(root: Path) -> Path:
    """Return the folder that holds the images: `root`, or `root/celeba` as torchvision lays it out."""
    if not root.is_dir():
        raise ValueError(
            f"{no_folder(root)}: data.root must hold {_FOLDER}/ or {ZIP}, and {PARTITION}.txt or .csv; "
            f"data.download=true fetches them. {NEXT_STEPS}"
        )
    for layout in (root, root / "celeba"):
        if (layout / _FOLDER).is_dir() or (layout / ZIP).is_file():
            return layout
    raise ValueError(
        f"{root} holds neither {_FOLDER}/ nor {ZIP}: data=celeba expects CelebA's official layout there, or Kaggle's "
        f"unpacked, and data.download=true fetches it. {NEXT_STEPS}"
    )


@contextmanager
def aligned_images(layout: Path) -> Iterator[dict[int, Path | zipfile.Path]]:
    """Yield the images by id; while it is open they can be read."""
    if (layout / _FOLDER).is_dir():
        yield _by_id(_innermost(layout), layout / _FOLDER)
        return
    try:
        archive = zipfile.ZipFile(layout / ZIP)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{layout / ZIP} is damaged ({error}): copy or download it again") from error
    with archive:
        yield _by_id(_innermost(zipfile.Path(archive)), layout / ZIP)


def _innermost(folder: Path | zipfile.Path) -> Iterable[Path | zipfile.Path]:
    """Return what lies in the folder of images, which Kaggle has once more in itself."""
    for _ in range(2):
        inner = folder / _FOLDER
        if not inner.is_dir():
            break
        folder = inner
    return folder.iterdir()


def _by_id(files: Iterable[Path | zipfile.Path], where: Path) -> dict[int, Path | zipfile.Path]:
    by_id: dict[int, Path | zipfile.Path] = {}
    strange: list[str] = []
    for file in files:
        if re.fullmatch(r"[0-9]{6}\.jpg", file.name):
            by_id[int(file.stem)] = file
        elif not file.name.startswith("."):
            strange.append(file.name)
    if strange:
        _logger.warning(
            "%s: ignored %d files that are not named like CelebA's images (000001.jpg), such as %s",
            where,
            len(strange),
            shown(min(strange)),
        )
    return by_id


def read_partition(layout: Path) -> dict[int, str]:
    """Return the split of each CelebA id; ValueError without that list."""
    path = _list_file(layout, PARTITION)
    if path is None:
        raise ValueError(
            f"{layout} has neither {PARTITION}.txt nor {PARTITION}.csv: data.split needs CelebA's partition list; "
            "data.split=all takes every image"
        )
    return {celeba_id: _SPLITS[part] for celeba_id, part in _read_list(path, "[012]", "0")}


def read_identities(layout: Path) -> dict[int, int]:
    """Return the person on each CelebA image, by number; nothing without that list."""
    path = _list_file(layout, IDENTITIES)
    if path is None:
        return {}
    return {celeba_id: int(person) for celeba_id, person in _read_list(path, "[0-9]{1,6}", "2880")}


def _list_file(layout: Path, name: str) -> Path | None:
    """Return the list of a name, the official one or Kaggle's; None where there is none."""
    return next((path for path in (layout / f"{name}.txt", layout / f"{name}.csv") if path.is_file()), None)


def _read_list(path: Path, value: str, example: str) -> Iterator[tuple[int, str]]:
    """Yield CelebA id and value from each line of a list; ValueError for a line that is not like the example."""
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    for number, line in enumerate(lines, start=1):
        is_header = number == 1 and re.fullmatch(r"\s*\"?image_id\b.*", line)
        if not line.strip() or is_header:
            continue
        match = re.fullmatch(rf"\s*([0-9]{{6}})\.jpg[\s,]+({value})\s*", line)
        if match is None:
            raise ValueError(f"{path}, line {number}: expected `000001.jpg {example}`, got {line[:60]!r}")
        yield int(match[1]), match[2]
