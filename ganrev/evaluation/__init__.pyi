from .fair_share import FairShare
from .jobs import JobRecord
from .overlap import Overlap
from .run_folder import RunFolder
from .runner import run

__all__ = [
    "FairShare",
    "JobRecord",
    "Overlap",
    "RunFolder",
    "run",
]
