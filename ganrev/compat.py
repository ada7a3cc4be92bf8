"""Make torchvision importable beside a CPU-only torch."""

import importlib

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library: torch.library.Library | None = None


def import_torchvision() -> None:
    """Import torchvision, declaring the operators that its wheel expects if the plain import fails.

    torchvision's wheel is linked against CUDA; beside a CPU-only torch its C++ library does not load and
    `torchvision::nms` is unknown. Declaring the two schemas is enough for datasets, transforms and models.

    Raises:
        ImportError: torchvision is not installed.
        RuntimeError: the import fails for another reason than the missing operators.
    """
    global _library
    try:
        importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
        _library = torch.library.Library("torchvision", "DEF")  # kept alive: the schemas are removed with it
        for schema in _SCHEMAS:
            _library.define(schema)
        importlib.import_module("torchvision")
