"""The user's own pictures."""

import logging
import re
from functools import partial
from itertools import chain, count
from pathlib import Path

from ganrev.configuration.options import Count, checked_options
from ganrev.data.pictures import Crop, Entry, Pictures, load_entries
from ganrev.files import kind_of
from ganrev.paths import user_path

_logger = logging.getLogger(__name__)


def unique_names(files: list[str]) -> list[str]:
    """Return a name for each file, all different, without suffix, and valid as a file name on any system.

    Whatever is not a letter, digit, `_`, `-` or `.` becomes `_`. Of two files with the same stem the second
    gets its suffix added to the name, then a number; names that differ only in case count as equal.
    """
    names: list[str] = []
    taken: set[str] = set()
    for file in files:
        stem = re.sub(r"[^\w.-]", "_", Path(file).stem).lstrip(".-") or "picture"
        longer = f"{stem}_{Path(file).suffix.lstrip('.')}"
        candidates = chain([stem, longer], (f"{longer}_{number}" for number in count(2)))
        name = next(candidate for candidate in candidates if candidate.casefold() not in taken)
        taken.add(name.casefold())
        names.append(name)
    return names


def shown(file: str) -> str:
    """Return a file's name for messages and records: on one line, and of characters that can be encoded."""
    return file if file.isprintable() else ascii(file)


def _read(path: Path) -> bytes:
    """Return the content of a file; ValueError for anything else, such as a link to nothing."""
    kind = kind_of(path)
    if kind != "a file":
        raise ValueError(f"it is {kind}, no file")
    return path.read_bytes()


class Folder:
    """Every file of one folder, in the order of their names; subfolders and hidden files are ignored.

    Args:
        root: the folder.
        crop: `celeba`, `center`, `face` or `none`, as in `ganrev.data.pictures.crop_picture`.
        limit: number of files, from the first; None for all.
        strict: raise for a file that cannot be used, a text for instance, instead of skipping it.
        allow_seen_in_training: take pictures that the codec's generator was trained on; the runner refuses them.

    Raises:
        ValueError: an argument is out of range.
    """

    @checked_options("data.")
    def __init__(
        self,
        root: str | Path,
        crop: Crop = "center",
        limit: Count | None = None,
        strict: bool = False,
        allow_seen_in_training: bool = False,
    ) -> None:
        self.root = user_path(root)
        self.crop = crop
        self.limit = limit
        self.strict = strict
        self.allow_seen_in_training = allow_seen_in_training

    def load(self) -> Pictures:
        """Read the pictures.

        Raises:
            ValueError: the folder is missing, is empty or holds nothing that can be used; with `strict`, one
                file cannot be used.
        """
        if not self.root.is_dir():
            kind = kind_of(self.root)
            state = f"is {kind}" if kind else "does not exist"
            raise ValueError(f"data.root={self.root} {state}: give a folder of pictures; data=seen needs none")
        visible = sorted(path for path in self.root.iterdir() if not path.name.startswith("."))
        files = [path for path in visible if not path.is_dir()]
        subfolders = [path.name for path in visible if path.is_dir()]
        if not files:
            inside = f" but the folders {', '.join(subfolders[:5])}, give one of them" if subfolders else ""
            raise ValueError(f"data.root={self.root} holds no file{inside}: put pictures there; data=seen needs none")
        if subfolders:
            _logger.warning("%s: subfolders are not searched: %s", self.root, ", ".join(map(shown, subfolders[:5])))
        names = unique_names([path.name for path in files])
        entries = [
            Entry(name, shown(path.name), None, partial(_read, path)) for name, path in zip(names, files, strict=True)
        ]
        return load_entries(entries[: self.limit], self.crop, self.strict)
