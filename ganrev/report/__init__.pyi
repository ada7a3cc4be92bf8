from .compressai import to_compressai
from .page import write_report
from .paired import PairedResult, compare_runs
from .reported import ReportedRun, read_reported

__all__ = [
    "PairedResult",
    "ReportedRun",
    "compare_runs",
    "read_reported",
    "to_compressai",
    "write_report",
]
