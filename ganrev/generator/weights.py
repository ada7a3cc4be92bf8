"""Weights from untrusted files.

No pickle is ever executed, and every fault of a file raises one ValueError that says what to do.
"""

import hashlib
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeGuard

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ganrev.files import kind_of
from ganrev.paths import user_path

_MAX_NAMED = 3  # names in one message; a wrong file may miss hundreds
_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)


def file_digest(path: str | Path) -> str:
    """Return the SHA-256 of a file, hexadecimal.

    Raises:
        ValueError: there is no such file.
    """
    with existing_file(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def existing_file(path: str | Path) -> Path:
    """Return the path with `~` expanded.

    Raises:
        ValueError: there is no such file.
    """
    path = user_path(path)
    if not path.is_file():
        found = kind_of(path) or "nothing"
        raise ValueError(f"expected a file of weights at {path}, found {found}; give another one by generator.path=")
    return path


def load_checkpoint(path: str | Path, allowed_classes: Sequence[str] = ()) -> dict[str, Any]:
    """Read a checkpoint that `torch.save` wrote, on the CPU, without executing what it asks for.

    Args:
        path: the file.
        allowed_classes: dotted names of classes that the file may mention. During this call each name stands
            for an empty class made here, never for the class itself, so nothing is imported for it.

    Returns:
        The dictionary inside.

    Raises:
        ValueError: the file is missing or damaged, is no checkpoint, or mentions any other class or function.
    """
    path = existing_file(path)
    stand_ins: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
        (type(name.rpartition(".")[2], (), {}), name) for name in allowed_classes
    ]
    try:
        _check_inflated(path)
        with torch.serialization.safe_globals(stand_ins):
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged bytes make the reader raise nearly anything
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused is None:
            raise ValueError(
                f"{path} cannot be read as a torch checkpoint ({type(error).__name__}): it is damaged, "
                "incomplete or of another format; fetch it again"
            ) from error
        # Without the cause, since torch's own message recommends to load the file unsafely.
        raise ValueError(
            f"{path} asks for {refused[1]} while loading, which weights do not need and which is refused; "
            "expected tensors only: save it again as a plain state dict if you trust it"
        ) from None
    if not isinstance(loaded, dict):
        raise ValueError(f"{path} holds a {type(loaded).__name__}, expected a dictionary of tensors; give another file")
    return loaded


def _check_inflated(path: Path) -> None:
    """Raise ValueError for an archive that inflates; `torch.save` compresses nothing, and a bomb would."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            declared = sum(member.file_size for member in archive.infolist())
        if declared > path.stat().st_size:
            raise ValueError(f"its members declare {declared} bytes")


def load_tensors(path: str | Path) -> dict[str, Tensor]:
    """Read a safetensors file, on the CPU.

    Raises:
        ValueError: the file is missing or damaged, or of another format.
    """
    path = existing_file(path)
    with _readable(path):
        return safetensors.torch.load_file(path)


def load_notes(path: str | Path) -> dict[str, str]:
    """Read what a safetensors file says about itself beside its tensors, such as whose they are; may be empty.

    Raises:
        ValueError: the file is missing or damaged, or of another format.
    """
    path = existing_file(path)
    with _readable(path), safetensors.safe_open(path, framework="pt") as file:
        return file.metadata() or {}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise ValueError(
            f"{path} cannot be read as safetensors ({error}): it is damaged or of another format; fetch it again"
        ) from error


def tensors_under(checkpoint: Mapping[str, Any], key: str, source: str | Path) -> dict[str, Any]:
    """Return the state dict under a key of a checkpoint.

    Raises:
        ValueError: there is none.
    """
    nested = checkpoint.get(key)
    if not isinstance(nested, dict):
        raise ValueError(
            f"{source} has no state dict under {key!r} (keys: {_some(list(checkpoint))}); it is of another "
            "layout, give another file or choose another generator="
        )
    return nested


def shape_of(tensors: Mapping[str, Any], name: str, num_axes: int, source: str | Path) -> tuple[int, ...]:
    """Return a tensor's shape, from which an architecture can be read.

    Raises:
        ValueError: no tensor of that name and number of axes, or an empty one.
    """
    value = tensors.get(name)
    if not _is_plain(value) or value.ndim != num_axes or value.numel() == 0:
        raise ValueError(
            f"{source} has no tensor {name!r} of {num_axes} axes (keys: {_some(list(tensors))}); it is of "
            "another layout, give another file or choose another generator="
        )
    return tuple(value.shape)


def load_state(network: nn.Module, tensors: Mapping[str, Any], source: str | Path) -> None:
    """Fill a network, also one on the meta device, with tensors of its own names, shapes and, cast, dtypes.

    Raises:
        ValueError: names or shapes differ, or values are not finite numbers.
    """
    expected = network.state_dict()
    differences = {
        "missing": [name for name in expected if name not in tensors],
        "not expected": [name for name in tensors if name not in expected],
        "of another shape": [
            f"{name} ({_kind(tensors[name])}, not {_axes(slot)})"
            for name, slot in expected.items()
            if name in tensors and _kind(tensors[name]) != _axes(slot)
        ],
    }
    found = "; ".join(f"{len(names)} {kind}: {_some(names)}" for kind, names in differences.items() if names)
    if found:
        raise ValueError(
            f"the tensors of {source} do not fit the generator ({found}); give another file or choose "
            "another generator="
        )
    broken = [name for name, value in tensors.items() if not torch.isfinite(value).all()]
    if broken:
        raise ValueError(f"{source} has values that are not finite, in {_some(broken)}; it is damaged, fetch it again")
    cast = {
        name: tensors[name].detach().to(slot.dtype, copy=True, memory_format=torch.contiguous_format)
        for name, slot in expected.items()
    }
    network.load_state_dict(cast, assign=True)


def _is_plain(value: object) -> TypeGuard[Tensor]:
    """Whether this is a dense tensor of ordinary numbers, each of which is in memory."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided or value.is_meta or value.is_nested:
        return False
    # One number may stand for billions (a stride of 0), and a small file would ask for all of them.
    return value.dtype in _DTYPES and value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _axes(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _kind(value: object) -> str:
    return _axes(value) if _is_plain(value) else f"{type(value).__name__} of another kind"


def _some(names: Sequence[object]) -> str:
    rest = len(names) - _MAX_NAMED
    return ", ".join(map(str, names[:_MAX_NAMED])) + (f" and {rest} more" if rest > 0 else "") or "none"
