"""Archives of arrays that are joined from many without holding them all: traces take 23 kB a picture and restart."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np

from ganrev.evaluation.integrity import read_arrays
from ganrev.files import open_whole

_SHARED = "snapshot_steps"  # the same for all pictures
RESULT = "result"  # of a journal's entry: no array to be joined


def join_archives(parts: Sequence[Path], target: Path) -> None:
    """Write an .npz file that holds the arrays of others, each concatenated along its first axis.

    Args:
        parts: at least one, in their order; `snapshot_steps` is taken from the first, `result` is left out.
        target: the file to write.

    Raises:
        ValueError: the arrays of a name have different kinds, or a part is damaged.
    """
    first = read_arrays(parts[0])
    with open_whole(target) as file, ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, array in first.items():
            if name != RESULT:
                _write(archive, name, array, parts[:1] if name == _SHARED else parts)


def _write(archive: ZipFile, name: str, like: np.ndarray, parts: Sequence[Path]) -> None:
    """Write one array, a part at a time."""
    length = sum(len(array) for array in _each(name, like, parts))
    header = {"descr": np.lib.format.dtype_to_descr(like.dtype), "fortran_order": False}
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array_header_1_0(file, header | {"shape": (length, *like.shape[1:])})
        for array in _each(name, like, parts):
            file.write(np.ascontiguousarray(array).tobytes())


def _each(name: str, like: np.ndarray, parts: Sequence[Path]) -> Iterator[np.ndarray]:
    for part in parts:
        array = read_arrays(part).get(name)
        if array is None or array.dtype != like.dtype or array.shape[1:] != like.shape[1:]:
            raise ValueError(f"{part} has no {name} like that of {parts[0]}: they cannot be joined")
        yield array


def join_traces(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Concatenate the traces of several batches; empty if there are none.

    Args:
        parts: of each batch, arrays by name, pictures first; `snapshot_steps` is the same for all pictures.
    """
    names = parts[0] if parts else ()
    return {name: parts[0][name] if name == _SHARED else np.concatenate([p[name] for p in parts]) for name in names}
