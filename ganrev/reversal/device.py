"""Where tensors live and how precisely reversal computes."""

import logging
from collections.abc import Callable
from typing import Annotated, Literal, TypeVar

import torch
from pydantic import Field

from ganrev.configuration.options import Count, checked_options

_logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}

DeviceName = Annotated[str, Field(pattern=r"^(auto|(cpu|cuda)(:[0-9]+)?)$", description="auto, cpu or cuda")]


class Device:
    """A device and the precision of reversal; decoding is always float32.

    Args:
        name: `auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:1`.
        dtype: `float32`, `bfloat16`, or `auto`: bfloat16 where the hardware multiplies in it.
        lanes: pictures x restarts in one batch, or None for what suits the device (large batches fall out of a
            CPU's cache); fewer where memory runs out. It is for speed; results agree within rounding.
        threads: of the processor, for this whole process; None for as many as OMP_NUM_THREADS says, or as there are
            cores. They are for speed, too.

    Raises:
        ValueError: an unknown name or dtype, or CUDA where there is none.
    """

    @checked_options("device.")
    def __init__(
        self,
        name: DeviceName = "auto",
        dtype: Literal["auto", "float32", "bfloat16"] = "auto",
        lanes: Count | None = None,
        threads: Count | None = None,
    ) -> None:
        if name == "auto":
            name = "cuda" if torch.cuda.is_available() else "cpu"
        if name.startswith("cuda") and not torch.cuda.is_available():
            raise ValueError("device=cuda, but torch sees no CUDA device; use device=cpu or device=auto")
        self.torch_device = torch.device(name)
        self.dtype = _DTYPES[self._best_dtype() if dtype == "auto" else dtype]
        if threads is not None:
            torch.set_num_threads(threads)
        self.lanes = lanes or (256 if self.torch_device.type == "cuda" else 8)

    def _best_dtype(self) -> str:
        if self.torch_device.type == "cuda":
            return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return "bfloat16" if fast else "float32"

    def in_parts(self, work: Callable[[list[int]], Result], num_lanes: int, group_size: int = 1) -> list[Result]:
        """Do some work on all lanes, in equal parts of at most `lanes`; after memory has run out, of half as many.

        Args:
            work: called with the indices of the lanes of each part.
            num_lanes: of all parts.
            group_size: lanes side by side that belong into one part, such as a picture's restarts.

        Raises:
            torch.OutOfMemoryError: memory is too small for a single group.
        """
        groups, results = torch.arange(num_lanes).view(-1, group_size), []
        while len(groups):
            at_once = max(1, self.lanes // group_size)
            part = groups.chunk(-(-len(groups) // at_once))[0]
            try:
                results.append(work(part.flatten().tolist()))
            except torch.OutOfMemoryError:
                if len(part) == 1:
                    raise
                self.lanes = part.numel() // 2
                _logger.warning("memory ran out for %d lanes at a time; going on with %d", part.numel(), self.lanes)
            else:
                groups = groups[len(part) :]
        return results

    @property
    def precision(self) -> str:
        """Name of the dtype that reversal computes in."""
        return str(self.dtype).removeprefix("torch.")
