from .jobs import JobRecord
from .overlap import Overlap
from .run_folder import RunFolder
from .runner import run

__all__ = [
    "JobRecord",
    "Overlap",
    "RunFolder",
    "run",
]
